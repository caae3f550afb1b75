"""Every runtime says what the golden file says, is chosen by what is there, and one that can't serve is refused."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from device.card import CARD_FILE, BundleError, read_card, sha256, shipped_bundle
from device.commands import run as run_command
from device.preprocess import Raster
from device.runner import (
    ONNX_FILE,
    ONNX_FLOAT_FILE,
    ONNX_TENSORRT_FILE,
    RUNTIMES,
    OnnxStep,
    Runner,
    RuntimeUnavailable,
    open_runner,
    ort,
    serving,
)
from device.settings import Settings
from quantize import golden

GPU = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
Pictures = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def raster() -> Raster:
    return read_card(shipped_bundle()).input.raster()


@pytest.fixture(scope="module")
def pictures(raster: Raster) -> Pictures:
    return golden.pictures(raster)


@pytest.fixture(scope="module")
def wanted() -> NDArray[np.float64]:
    return np.asarray(json.loads(golden.GOLDEN_FILE.read_text())["probabilities"])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may damage."""
    return Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))


def reseal(bundle: Path, name: str) -> None:
    """Write a file's hash into the card, added if it is not listed."""
    card = bundle / CARD_FILE
    kept = [line for line in card.read_text().splitlines() if not line.startswith(f'"{name}"')]
    card.write_text("\n".join([*kept, f'"{name}" = "{sha256(bundle / name)}"']) + "\n")


def edit_onnx(bundle: Path, edit: Callable[[Any], None], name: str = ONNX_FILE) -> None:
    model = onnx.load(bundle / name)
    edit(model)
    onnx.save(model, bundle / name)
    reseal(bundle, name)


def with_tensorrt_file(bundle: Path) -> Path:
    """The bundle with a file by TensorRT's name in it; here it is the float network under that name."""
    if ONNX_TENSORRT_FILE not in read_card(bundle).files:
        shutil.copy(bundle / ONNX_FLOAT_FILE, bundle / ONNX_TENSORRT_FILE)
        reseal(bundle, ONNX_TENSORRT_FILE)
    return bundle


class Gpu:
    """Stands for an onnxruntime with a GPU: says it has the providers, keeps what it was asked, computes on the CPU.

    Memory "on the GPU" is a copy, as ONNX Runtime documents it, so whoever forgets to bring a picture there is seen.
    """

    def __init__(self, patch: pytest.MonkeyPatch, providers: list[str]) -> None:
        self.asked: list[Any] = []
        self.options: list[Any] = []
        self.starts = set(providers)
        self.chatter = ""
        self._session = onnxruntime.InferenceSession
        self._value = onnxruntime.OrtValue.ortvalue_from_numpy
        patch.setattr(onnxruntime, "get_available_providers", lambda: providers)
        patch.setattr(onnxruntime, "InferenceSession", self.session)
        patch.setattr(onnxruntime, "OrtValue", SimpleNamespace(ortvalue_from_numpy=self.value))

    def session(self, model: bytes, options: Any, *, providers: list[Any], enable_fallback: int) -> Any:
        assert not enable_fallback, "ONNX Runtime would go on elsewhere by itself"
        self.asked.append(providers)
        self.options.append(options)
        os.write(2, self.chatter.encode())
        session = self._session(model, options, providers=["CPUExecutionProvider"])
        session.get_providers = lambda: [name for name, _ in providers if name in self.starts]
        return session

    def value(self, array: NDArray[Any], device: str = "cpu", number: int = 0) -> Any:
        return self._value(array if device == "cpu" else array.copy(), "cpu", number)


@pytest.mark.parametrize("name", ["litert", "onnx-cpu"])
def test_the_golden_answers(name: str) -> None:
    held = golden.hold(name)
    assert held.ok, held.said


def test_the_golden_answers_by_the_float_file(raster: Raster, wanted: NDArray[np.float64]) -> None:
    """What CUDA computes, and TensorRT at half precision, here by the CPU's kernels."""
    model = OnnxStep((shipped_bundle() / ONNX_FLOAT_FILE).read_bytes())
    assert np.abs(golden.probabilities(model, raster) - wanted).max() <= golden.ALLOWED_DIFFERENCE


@pytest.mark.parametrize("lost", ["fed back", "forgotten"])
def test_a_past_that_is_not_kept_right_is_further_off_than_a_runtime_may_be(
    lost: str, raster: Raster, wanted: NDArray[np.float64]
) -> None:
    """What is allowed to a runtime is less than what the states are worth."""
    model = OnnxStep((shipped_bundle() / ONNX_FLOAT_FILE).read_bytes())
    if lost == "fed back":
        step, reset = model.step, model.reset

        def forgetful(image: NDArray[np.uint8]) -> NDArray[np.float32]:
            reset()
            return step(image)

        model.step = forgetful  # type: ignore[method-assign]
    else:
        model.reset = lambda: None  # type: ignore[method-assign]
    assert np.abs(golden.probabilities(model, raster) - wanted).max() > golden.ALLOWED_DIFFERENCE


@pytest.mark.parametrize("name", [ONNX_FILE, ONNX_FLOAT_FILE])
def test_the_same_bits_as_handing_states_over_by_name(name: str, pictures: Pictures) -> None:
    """The two bindings that take turns against the slow and plain way."""
    options = ort.session_options(onnxruntime, 1)
    session = onnxruntime.InferenceSession(str(shipped_bundle() / name), options, providers=["CPUExecutionProvider"])
    outputs = [entry.name for entry in session.get_outputs()]
    inputs = {entry.name: np.zeros(entry.shape, np.float32) for entry in session.get_inputs()}
    model = OnnxStep((shipped_bundle() / name).read_bytes())
    for picture in pictures[:12]:
        inputs["frame"] = picture[None].astype(np.float32) / np.float32(255.0)
        answer = dict(zip(outputs, session.run(None, inputs), strict=True))
        inputs.update({name: answer[name.replace("state", "next")] for name in inputs if name != "frame"})
        np.testing.assert_array_equal(model.raw_step(picture), answer["logits"][0])


def test_logits_handed_out_are_not_overwritten(pictures: Pictures) -> None:
    model = OnnxStep((shipped_bundle() / ONNX_FILE).read_bytes())
    first = model.raw_step(pictures[0])
    kept = first.copy()
    model.raw_step(pictures[-1])
    np.testing.assert_array_equal(first, kept)


def test_a_runner_says_what_runs() -> None:
    runner = open_runner(shipped_bundle(), runtime="onnx-cpu")
    card = read_card(shipped_bundle())
    assert runner.runtime == f"onnxruntime {onnxruntime.__version__} (CPU)"
    assert runner.file == ONNX_FILE
    assert runner.model_id.endswith(card.files[ONNX_FILE][:8]), "another network than the int8 one: scores must say so"
    assert open_runner(shipped_bundle()).model_id == card.model_id


def test_int8_sums_do_not_saturate(raster: Raster, wanted: NDArray[np.float64]) -> None:
    """Without its own switch for it ONNX Runtime is up to 0.094 off on x86-64 with AVX2 and no VNNI: measured."""
    model = OnnxStep((shipped_bundle() / ONNX_FILE).read_bytes())
    assert np.abs(golden.probabilities(model, raster) - wanted).max() < 0.06


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_those_of_the_settings_and_do_not_spin(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    gpu = Gpu(monkeypatch, GPU)
    for name in ("onnx-cpu", "onnx-cuda", "onnx-tensorrt"):
        open_runner(shipped_bundle(), threads, name)
    for options in gpu.options:
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


class TestWithAGpu:
    """Chosen, asked for and refused as ONNX Runtime's documentation has it; nothing here ran on a GPU."""

    def test_cuda_takes_the_float_file_and_the_cpu_what_it_cannot(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gpu = Gpu(monkeypatch, GPU)
        runner = open_runner(shipped_bundle(), runtime="onnx-cuda")
        ((cuda, options), (cpu, _)) = gpu.asked[0]
        assert (runner.file, cuda, cpu) == (ONNX_FLOAT_FILE, "CUDAExecutionProvider", "CPUExecutionProvider")
        assert options["arena_extend_strategy"] == "kSameAsRequested"
        assert runner.runtime.endswith("(CUDA)")

    def test_tensorrt_takes_its_own_int8_file(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
        gpu = Gpu(monkeypatch, GPU)
        runner = open_runner(with_tensorrt_file(bundle), runtime="onnx-tensorrt")
        assert runner.file == ONNX_TENSORRT_FILE
        assert [name for name, _ in gpu.asked[0]] == GPU
        assert gpu.asked[0][0][1] == {
            "device_id": 0,
            "trt_fp16_enable": True,
            "trt_int8_enable": True,
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(tmp_path / "state" / "tensorrt"),
        }
        assert (tmp_path / "state" / "tensorrt").is_dir()
        assert runner.runtime.endswith("(TensorRT int8)")

    def test_tensorrt_without_an_int8_file_takes_the_float_one_at_half_precision(
        self, bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
        card = bundle / CARD_FILE
        card.write_text("\n".join(x for x in card.read_text().splitlines() if not x.startswith('"model-trt')) + "\n")
        gpu = Gpu(monkeypatch, GPU)
        runner = open_runner(bundle, runtime="onnx-tensorrt")
        options = gpu.asked[0][0][1]
        assert (runner.file, options["trt_fp16_enable"], options["trt_int8_enable"]) == (ONNX_FLOAT_FILE, True, False)
        assert runner.runtime.endswith("(TensorRT fp16)")

    def test_states_and_pictures_reach_memory_that_is_not_ours(
        self, monkeypatch: pytest.MonkeyPatch, raster: Raster, wanted: NDArray[np.float64]
    ) -> None:
        Gpu(monkeypatch, GPU)
        model = OnnxStep((shipped_bundle() / ONNX_FLOAT_FILE).read_bytes(), ort.CUDA)
        assert np.abs(golden.probabilities(model, raster) - wanted).max() <= golden.ALLOWED_DIFFERENCE

    def test_a_provider_that_is_not_built_in_says_what_to_install(self) -> None:
        with pytest.raises(
            RuntimeUnavailable,
            match="CPUExecutionProvider and not for CUDA; run `pip install onnxruntime-gpu`",
        ):
            open_runner(shipped_bundle(), runtime="onnx-cuda")

    def test_a_provider_whose_libraries_are_missing_is_refused_by_the_name_of_the_library(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """ONNX Runtime only logs it and goes on with the CPU; the sentence is what its log says on such a machine."""
        gpu = Gpu(monkeypatch, GPU)
        gpu.starts = {"CPUExecutionProvider"}
        gpu.chatter = (
            "[E:onnxruntime:Default, provider_bridge_ort.cc:1480 TryGetProviderInfo_CUDA] Failed to load library "
            "libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file\n"
        )
        with pytest.raises(RuntimeUnavailable) as refused:
            open_runner(shipped_bundle(), runtime="onnx-cuda")
        said = str(refused.value)
        assert "cannot start here (libcublasLt.so.12: cannot open shared object file)" in said
        assert "install the CUDA libraries" in said
        assert "\n" not in said
        assert capfd.readouterr().err == "", "the runtime's chatter is no news"

    def test_an_engine_cache_that_cannot_be_written(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "file"))
        Gpu(monkeypatch, GPU)
        with pytest.raises(RuntimeUnavailable, match=r"file/tensorrt: built engines cannot be kept there"):
            open_runner(shipped_bundle(), runtime="onnx-tensorrt")

    def test_a_gpu_lost_in_mid_watch_is_a_sentence(self, monkeypatch: pytest.MonkeyPatch, pictures: Pictures) -> None:
        Gpu(monkeypatch, GPU)
        runner = open_runner(shipped_bundle(), runtime="onnx-cuda")

        def lost(*_: Any) -> None:
            raise onnxruntime.capi.onnxruntime_pybind11_state.Fail(
                "CUDA failure 719: unspecified launch failure\n at …"
            )

        monkeypatch.setattr(runner._model._session, "run_with_iobinding", lost)  # type: ignore[attr-defined]
        with pytest.raises(RuntimeUnavailable, match=r"\(CUDA\) failed at a step \(CUDA failure 719.*\); restart"):
            runner.step(pictures[0])


class TestAuto:
    """auto: the runtimes of the file whose parity was proven, then ONNX Runtime's by speed."""

    @pytest.fixture
    def no_flatbuffer_runtime(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("ai_edge_litert", "ai_edge_litert.interpreter", "tflite_runtime", "tflite_runtime.interpreter"):
            monkeypatch.setitem(__import__("sys").modules, module, None)

    def test_litert_before_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gpu = Gpu(monkeypatch, GPU)
        assert open_runner(shipped_bundle()).runtime.startswith("ai-edge-litert ")
        assert gpu.asked == []

    @pytest.mark.parametrize(
        ("there", "starts", "taken"),
        [
            (GPU, GPU, "(TensorRT fp16)"),
            (GPU, GPU[1:], "(CUDA)"),
            (GPU, GPU[2:], "(CPU)"),
            (GPU[1:], GPU[1:], "(CUDA)"),
            (GPU[2:], GPU[2:], "(CPU)"),
        ],
        ids=["TensorRT", "TensorRT that does not start", "no GPU that starts", "CUDA", "CPU"],
    )
    @pytest.mark.usefixtures("no_flatbuffer_runtime")
    def test_the_best_provider_that_starts(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: list[str], starts: list[str], taken: str
    ) -> None:
        monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
        gpu = Gpu(monkeypatch, there)
        gpu.starts = set(starts)
        runtime = open_runner(shipped_bundle()).runtime
        assert runtime.replace("int8", "fp16").endswith(taken)


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


def test_the_check_of_a_machine_names_each_runtime(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert golden.main(["--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1].rstrip(":") for line in lines] == [*RUNTIMES]
    assert golden.main(["--check", "onnx-cuda"]) == 1, "a runtime asked for by name must be there"
    wrong = functools.partial(np.full, (60 + 10, 7))
    monkeypatch.setattr(golden, "answers", lambda _: wrong(3))
    assert golden.main(["--check", "litert"]) == 1
    assert "FAIL  litert" in capsys.readouterr().out
