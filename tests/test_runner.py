"""The runner: the shipped bundle says what it always said, and one that is not right is refused with the reason."""

from __future__ import annotations

import functools
import importlib
import json
import re
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from device.card import CARD_FILE, TFLITE_FILE, BundleError, sha256, shipped_bundle
from device.labels import LABELS
from device.runner import FRAME, Int8Step, Runner, RuntimeUnavailable, flatbuffer, open_runner
from quantize import golden

TFLITE_RUNTIME_LSB = 6
"""tflite-runtime's own kernels round differently (MODEL.md I.2)."""


@pytest.fixture(scope="module")
def runner() -> Runner:
    return open_runner(shipped_bundle())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may damage."""
    return Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))


@pytest.fixture(scope="module")
def pictures(runner: Runner) -> list[NDArray[np.uint8]]:
    return golden.pictures(runner.card.input.raster())


def reseal(bundle: Path) -> None:
    """Write the model's hash into the card, as somebody who makes a wrong bundle on purpose would."""
    card = bundle / CARD_FILE
    lines = [
        f'"{TFLITE_FILE}" = "{sha256(bundle / TFLITE_FILE)}"' if line.startswith(f'"{TFLITE_FILE}"') else line
        for line in card.read_text().splitlines()
    ]
    card.write_text("\n".join(lines) + "\n")


def edit_model(bundle: Path, edit: Callable[[Any, Any], None]) -> None:
    """Change the flatbuffer through its own schema: edit(model, graph); the card gets the new hash."""
    import flatbuffers

    path = bundle / TFLITE_FILE
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    edit(model, model.subgraphs[0])
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    reseal(bundle)


def edit_card(bundle: Path, old: str, new: str) -> None:
    text = (bundle / CARD_FILE).read_text()
    assert old in text
    (bundle / CARD_FILE).write_text(text.replace(old, new, 1))


def tensor_of(model: Any, graph: Any, name: str) -> Any:
    signature = model.signatureDefs[0]
    entry = next(e for e in [*signature.inputs, *signature.outputs] if e.name.decode() == name)
    return graph.tensors[entry.tensorIndex]


def refused(bundle: Path, *words: str) -> None:
    with pytest.raises(BundleError) as caught:
        open_runner(bundle)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(bundle) in sentence
    for word in words:
        assert word in sentence


def test_golden_logits(runner: Runner) -> None:
    stored = json.loads(golden.GOLDEN_FILE.read_text())
    assert stored["model_id"] == runner.model_id, "another bundle is shipped: run python -m quantize.golden"
    difference = np.abs(np.asarray(golden.answers(runner)) - np.asarray(stored["logits"]))
    assert difference.max() <= (TFLITE_RUNTIME_LSB if runner.runtime.startswith("tflite-runtime") else 0)


def test_golden_logits_by_the_kernels_of_tflite_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its delegate ai-edge-litert runs the kernels of tflite-runtime 2.14: measured, 0 of 490 values differ."""
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = functools.partial(Interpreter, experimental_op_resolver_type=plain)
    monkeypatch.setattr(flatbuffer.Library, "interpreter", lambda _: (interpreter, "ai-edge-litert without XNNPACK"))
    stored = json.loads(golden.GOLDEN_FILE.read_text())["logits"]
    difference = np.abs(np.asarray(golden.answers(open_runner(shipped_bundle()))) - np.asarray(stored))
    assert difference.max() <= TFLITE_RUNTIME_LSB


def test_golden_pictures_move_the_scores() -> None:
    logits = np.asarray(json.loads(golden.GOLDEN_FILE.read_text())["logits"])
    assert logits.shape == (golden.SCENE_STEPS + golden.NOISE_STEPS, len(LABELS))
    assert np.ptp(logits, axis=0).min() >= 5, "golden answers that stay the same would pass a broken network"


def test_every_state_comes_back_at_the_scale_it_goes_in() -> None:
    model = Int8Step((shipped_bundle() / TFLITE_FILE).read_bytes())
    card = open_runner(shipped_bundle()).card
    assert [loop.state.name for loop in model.loops] == [state.name for state in card.states]
    for loop in model.loops:
        assert loop.state.scale == loop.following.scale > 0
        assert loop.state.zero_point == loop.following.zero_point
        assert loop.state.shape == loop.following.shape
        assert loop.state.dtype == loop.following.dtype == np.int8


def test_the_same_as_the_runtimes_own_signature_runner(runner: Runner, pictures: list[NDArray[np.uint8]]) -> None:
    """Written the slow and plain way, with dictionaries by name, the answer has the same bits."""
    interpreter = Interpreter(model_path=str(shipped_bundle() / TFLITE_FILE), num_threads=1)
    call = interpreter.get_signature_runner("step")
    states = {
        name: np.full(detail["shape"], detail["quantization"][1], np.int8)
        for name, detail in call.get_input_details().items()
        if name != FRAME
    }
    runner.reset()
    for picture in pictures:
        answer = call(frame=(picture.astype(np.int16) - 128).astype(np.int8)[None], **states)
        states = {name: answer[name.replace("state", "next")] for name in states}
        np.testing.assert_array_equal(runner.raw_step(picture), answer["logits"][0])


def test_reset_forgets_everything(runner: Runner, pictures: list[NDArray[np.uint8]]) -> None:
    runner.reset()
    first = [runner.step(picture) for picture in pictures[:20]]
    carried_on = runner.step(pictures[0])
    runner.reset()
    again = [runner.step(picture) for picture in pictures[:20]]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(carried_on, first[0]), "the past makes no difference: the states are not fed back"


def test_two_runners_do_not_share_a_past(runner: Runner, pictures: list[NDArray[np.uint8]]) -> None:
    other = open_runner(shipped_bundle())
    runner.reset()
    alone = [runner.step(picture) for picture in pictures[:12]]
    runner.reset()
    for index, picture in enumerate(pictures[:12]):
        np.testing.assert_array_equal(runner.step(picture), alone[index])
        other.step(pictures[-1 - index])


def test_probabilities(runner: Runner, pictures: list[NDArray[np.uint8]]) -> None:
    runner.reset()
    for picture in pictures:
        scores = runner.step(picture)
        assert scores.dtype == np.float32
        assert scores.shape == (len(LABELS),)
        assert scores.sum() == pytest.approx(1.0, abs=1e-6)
        assert scores.min() > 0.0, "quiet scores are small, never nothing"


def test_scores_handed_out_are_not_overwritten(runner: Runner, pictures: list[NDArray[np.uint8]]) -> None:
    runner.reset()
    first = runner.step(pictures[0])
    kept = first.copy()
    runner.step(pictures[-1])
    np.testing.assert_array_equal(first, kept)


def test_warm_after_the_steps_the_card_asks_for(runner: Runner, pictures: list[NDArray[np.uint8]]) -> None:
    runner.reset()
    for step in range(runner.card.warm_steps):
        assert not runner.warm
        runner.step(pictures[step])
    assert runner.warm
    assert runner.steps_since_reset == runner.card.warm_steps
    runner.reset()
    assert not runner.warm


@pytest.mark.parametrize("wrong", [np.zeros((72, 96), np.uint8), np.zeros((72, 96, 3), np.float32)])
def test_a_picture_of_another_kind_is_refused(runner: Runner, wrong: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"the model wants uint8 \(\d+, \d+, 3\), got"):
        runner.step(wrong)


@pytest.mark.parametrize("threads", [0, 17])
def test_threads_are_bounded(threads: int) -> None:
    with pytest.raises(ValueError, match=r"outside 1\.\.16"):
        open_runner(shipped_bundle(), threads)


def test_no_bundle_there(tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "no card.toml")


def test_a_flipped_byte(bundle: Path) -> None:
    path = bundle / TFLITE_FILE
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    refused(bundle, "wrong hash", TFLITE_FILE)


@pytest.mark.parametrize("name", [TFLITE_FILE, "model.onnx", "model-fp32.onnx"])
def test_a_missing_file(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    refused(bundle, "missing", name)


@pytest.mark.parametrize("length", [0, 200, 100_000])
def test_a_model_cut_short_whose_hash_is_right(bundle: Path, length: int) -> None:
    path = bundle / TFLITE_FILE
    path.write_bytes(path.read_bytes()[:length])
    reseal(bundle)
    refused(bundle, "cannot load it", "copy the bundle again")


def test_an_operator_version_the_runtime_has_not_got(bundle: Path) -> None:
    def newer(model: Any, _: Any) -> None:
        conv = next(c for c in model.operatorCodes if c.builtinCode == schema.BuiltinOperator.CONV_2D)
        conv.version = 99

    edit_model(bundle, newer)
    refused(bundle, "cannot load it", "CONV_2D", "99", "update the runtime")


class UntiedInterpreter(Interpreter):  # type: ignore[misc]
    """Describes the shipped model as one that was calibrated with the quantizer's defaults (MODEL.md I.5)."""

    def get_signature_runner(self, signature_key: str | None = None) -> Any:
        real = super().get_signature_runner(signature_key)
        details = real.get_output_details()
        scale, zero_point = details["next_03"]["quantization"]
        details["next_03"]["quantization"] = (scale * 1.2, zero_point)
        return types.SimpleNamespace(get_input_details=real.get_input_details, get_output_details=lambda: details)


def test_a_state_that_is_not_tied(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuffer.Library, "interpreter", lambda _: (UntiedInterpreter, "ai-edge-litert"))
    refused(bundle, "state_03 is not tied", "make the bundle again")


def test_a_picture_range_that_is_not_pinned(bundle: Path) -> None:
    def shift(model: Any, graph: Any) -> None:
        frame = tensor_of(model, graph, FRAME)
        index = graph.tensors.index(frame)
        padded = next(graph.tensors[o.outputs[0]] for o in graph.operators if o.inputs[0] == index)
        for tensor in (frame, padded):
            tensor.quantization.scale = [0.00362]

    edit_model(bundle, shift)
    refused(bundle, "not 1/255 and -128")


def test_another_signature(bundle: Path) -> None:
    def rename(model: Any, _: Any) -> None:
        model.signatureDefs[0].signatureKey = b"serving_default"

    edit_model(bundle, rename)
    refused(bundle, "no signature 'step'")


def test_a_card_with_another_state_scale(bundle: Path) -> None:
    text = (bundle / CARD_FILE).read_text()
    head, tail = text.split('name = "state_02"')
    scale = open_runner(bundle).card.states[2].scale
    edited = re.sub(r"scale = \S+", f"scale = {scale * 1.1:.9f}", tail, count=1)
    (bundle / CARD_FILE).write_text(f'{head}name = "state_02"{edited}')
    refused(bundle, "state_02 has scale", "its card says")


def test_a_card_with_another_raster(bundle: Path) -> None:
    width = open_runner(bundle).card.input.width
    edit_card(bundle, f"width = {width}", f"width = {width + 2}")
    refused(bundle, "the model's picture is", str(width + 2))


def test_a_card_with_a_state_too_few(bundle: Path) -> None:
    edit_card(bundle, 'name = "state_04"', 'name = "state_94"')
    refused(bundle, "state_94", "are not its card's")


class FakeInterpreter:
    """Stands for a module that can be imported; opening a model with it is not part of these tests."""


def only(monkeypatch: pytest.MonkeyPatch, *present: str) -> None:
    """Pretend that of the two flatbuffer runtimes just these are installed, and no ONNX Runtime."""
    for library in (flatbuffer.LITERT, flatbuffer.TFLITE_RUNTIME):
        package = library.module.partition(".")[0]
        fake = types.ModuleType(library.module)
        fake.Interpreter = FakeInterpreter  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, package, types.ModuleType(package) if package in present else None)
        monkeypatch.setitem(sys.modules, library.module, fake if package in present else None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    importlib.invalidate_caches()


def test_litert_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "ai_edge_litert", "tflite_runtime")
    assert flatbuffer.any_library()[1].startswith("ai-edge-litert ")


def test_tflite_runtime_is_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "tflite_runtime")
    monkeypatch.setattr(np, "__version__", "1.26.4")
    found, name = flatbuffer.any_library()
    assert found is FakeInterpreter
    assert name.startswith("tflite-runtime ")


@pytest.mark.parametrize("runtime", ["auto", "tflite-runtime"])
def test_tflite_runtime_under_numpy_2_says_what_to_install(monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    only(monkeypatch, "tflite_runtime")
    monkeypatch.setattr(np, "__version__", "2.4.6")
    with pytest.raises(RuntimeUnavailable, match=r"cannot work with numpy 2\.4\.6; run `pip install ai-edge-litert`"):
        open_runner(shipped_bundle(), runtime=runtime)


def test_no_runtime_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    with pytest.raises(RuntimeUnavailable, match="no inference runtime is installed; run `pip install ai-edge-litert`"):
        open_runner(shipped_bundle())


@pytest.mark.parametrize(
    ("runtime", "cure"),
    [
        ("litert", "pip install ai-edge-litert"),
        ("tflite-runtime", r"pip install 'fallwatch\[tflite-runtime\]'"),
        ("onnx-cpu", "pip install onnxruntime"),
        ("onnx-cuda", "pip install onnxruntime-gpu"),
        ("onnx-tensorrt", "pip install onnxruntime-gpu"),
    ],
)
def test_the_runtime_asked_for_is_not_installed(monkeypatch: pytest.MonkeyPatch, runtime: str, cure: str) -> None:
    only(monkeypatch)
    with pytest.raises(RuntimeUnavailable, match=rf"is not installed.*; run:? `?{cure}"):
        open_runner(shipped_bundle(), runtime=runtime)


def test_a_runtime_nobody_knows() -> None:
    with pytest.raises(ValueError, match="runtime 'tpu' is none of auto, litert"):
        open_runner(shipped_bundle(), runtime="tpu")
