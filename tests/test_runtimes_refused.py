"""What does not open is refused with the reason and what to do, and the unit goes on with what does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from device.card import CARD_FILE, BundleError, read_card, shipped_bundle
from device.commands import run as run_command
from device.runner import (
    ONNX_FILE,
    ONNX_FLOAT_FILE,
    OnnxStep,
    Runner,
    RuntimeUnavailable,
    open_runner,
    serving,
)
from device.settings import Settings
from tests.runtime_stand_ins import GPU, Gpu, reseal


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may damage."""
    return Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))


def edit_onnx(bundle: Path, edit: Callable[[Any], None], name: str = ONNX_FILE) -> None:
    model = onnx.load(bundle / name)
    edit(model)
    onnx.save(model, bundle / name)
    reseal(bundle, name)


def refused(bundle: Path, *words: str, runtime: str = "onnx-cpu") -> None:
    with pytest.raises(BundleError) as caught:
        open_runner(bundle, runtime=runtime)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in (str(bundle), *words):
        assert word in sentence


class TestBadOnnx:
    def test_a_file_that_the_card_does_not_list(self, bundle: Path) -> None:
        card = bundle / CARD_FILE
        card.write_text("\n".join(x for x in card.read_text().splitlines() if not x.startswith(f'"{ONNX_FILE}"')))
        refused(bundle, "holds no model.onnx, which the runtime onnx-cpu takes", "copy a bundle that has it")

    def test_an_operator_set_the_runtime_has_not_got(self, bundle: Path) -> None:
        def newer(model: Any) -> None:
            model.opset_import[0].version = 99

        edit_onnx(bundle, newer)
        refused(bundle, ONNX_FILE, "cannot load it", "99", "update the runtime")

    @pytest.mark.parametrize("length", [0, 300, 100_000])
    def test_a_file_cut_short_whose_hash_is_right(self, bundle: Path, length: int) -> None:
        (bundle / ONNX_FILE).write_bytes((bundle / ONNX_FILE).read_bytes()[:length])
        reseal(bundle, ONNX_FILE)
        refused(bundle, ONNX_FILE, "cannot load it", "copy the bundle again")

    def test_a_state_that_comes_back_in_another_shape(self, bundle: Path) -> None:
        def double(model: Any) -> None:
            graph = model.graph
            out = next(entry for entry in graph.output if entry.name == "next_06")
            shape = [side.dim_value for side in out.type.tensor_type.shape.dim]
            graph.node.append(helper.make_node("Concat", ["next_06", "next_06"], ["twice"], axis=1))
            graph.output.remove(out)
            shape[1] *= 2
            graph.output.append(helper.make_tensor_value_info("twice", TensorProto.FLOAT, shape))
            rename(model, "next_06", "once")
            rename(model, "twice", "next_06")

        edit_onnx(bundle, double)
        refused(bundle, "state_06 goes in as (1, 2, 1, 128) and comes out as (1, 4, 1, 128)")

    def test_a_state_that_does_not_come_back(self, bundle: Path) -> None:
        edit_onnx(bundle, lambda model: rename(model, "next_06", "lost"))
        refused(bundle, "no output 'next_06'", "make the bundle again")

    def test_a_picture_of_another_number_type(self, bundle: Path) -> None:
        def half(model: Any) -> None:
            frame = next(entry for entry in model.graph.input if entry.name == "frame")
            frame.type.tensor_type.elem_type = TensorProto.FLOAT16
            model.graph.node.insert(0, helper.make_node("Cast", ["frame"], ["wide"], to=TensorProto.FLOAT))
            for node in model.graph.node[1:]:
                node.input[:] = ["wide" if name == "frame" else name for name in node.input]

        edit_onnx(bundle, half)
        refused(bundle, "input 'frame' is float16 and must be float32")

    def test_a_card_with_another_raster(self, bundle: Path) -> None:
        card = bundle / CARD_FILE
        width = read_card(bundle).input.width
        card.write_text(card.read_text().replace(f"width = {width}", f"width = {width + 2}", 1))
        refused(bundle, "the model's picture is", str(width + 2))


def rename(model: Any, old: str, new: str) -> None:
    """Give a tensor another name wherever it stands."""
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for entry in [*model.graph.output, *model.graph.value_info]:
        if entry.name == old:
            entry.name = new


class TestGoingOn:
    """What a unit watches with when what it was told to watch with does not open."""

    def test_as_asked(self, bundle: Path) -> None:
        found = serving((bundle, "onnx-cpu"), shipped_bundle())
        assert (found.bundle, found.runtime, found.problem) == (bundle, "onnx-cpu", None)

    def test_a_runtime_that_is_not_there_costs_the_runtime_and_not_the_bundle(self, bundle: Path) -> None:
        found = serving((bundle, "onnx-cuda"), shipped_bundle())
        assert (found.bundle, found.runtime) == (bundle, "auto")
        assert "not for CUDA" in str(found.problem)
        assert "watching with r2plus1d-s" in str(found.problem)
        assert "ai-edge-litert" in str(found.problem)

    def test_a_bundle_that_does_not_open_costs_the_bundle_and_not_the_runtime(self, bundle: Path) -> None:
        (bundle / ONNX_FLOAT_FILE).unlink()
        found = serving((bundle, "onnx-cpu"), shipped_bundle())
        assert (found.bundle, found.runtime) == (shipped_bundle(), "onnx-cpu")
        assert str(bundle / ONNX_FLOAT_FILE) in str(found.problem)

    def test_both(self, tmp_path: Path) -> None:
        found = serving((tmp_path / "nothing", "onnx-tensorrt"), shipped_bundle())
        assert (found.bundle, found.runtime) == (shipped_bundle(), "auto")
        assert "no card.toml" in str(found.problem), "the first refusal is the one to cure"

    def test_a_runtime_that_opens_and_cannot_make_a_step(self, monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
        Gpu(monkeypatch, GPU)

        def no_cudnn(self: Any, image: Any) -> Any:
            raise RuntimeUnavailable("libcudnn_graph.so.9 is missing")

        monkeypatch.setattr(OnnxStep, "step", no_cudnn)
        found = serving((bundle, "onnx-cuda"), shipped_bundle())
        assert (found.runtime, "libcudnn" in str(found.problem)) == ("auto", True)

    def test_nothing_at_all_raises_what_was_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="one: no card"):
            serving((tmp_path / "one", "auto"), tmp_path / "two")

    @pytest.mark.parametrize(("runtime", "fault"), [("onnx-cpu", False), ("onnx-tensorrt", True)])
    def test_the_unit_latches_the_fault_model(
        self, monkeypatch: pytest.MonkeyPatch, runtime: str, fault: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen: dict[str, Any] = {}

        class FakeUnit:
            def __init__(self, settings: Settings, bundle: Path, _clock: object) -> None:
                seen["runner"] = open_runner(bundle, settings.model.threads, settings.model.runtime)

            def fault(self, cause: str, so: bool) -> None:
                seen[cause] = so

            def run(self, _stop: object) -> None:
                pass

        monkeypatch.setattr(run_command, "Unit", FakeUnit)
        monkeypatch.setattr(run_command, "_settings", lambda _: (Settings(model={"runtime": runtime}), None))
        assert run_command.run(SimpleNamespace(config=None, source=None)) == 0  # type: ignore[arg-type]
        assert seen["model"] is fault
        assert isinstance(seen["runner"], Runner)
        assert ("not for TensorRT" in caplog.text) is fault
