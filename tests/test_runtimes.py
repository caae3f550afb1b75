"""Every runtime says what the golden file says, keeps its past, and is chosen by what is there."""

from __future__ import annotations

import functools
import json
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from device.card import CARD_FILE, read_card, shipped_bundle
from device.preprocess import Raster
from device.runner import (
    ONNX_FILE,
    ONNX_FLOAT_FILE,
    ONNX_TENSORRT_FILE,
    RUNTIMES,
    OnnxStep,
    RuntimeUnavailable,
    open_runner,
    ort,
)
from quantize import golden
from tests.runtime_stand_ins import GPU, Gpu, reseal

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


def with_tensorrt_file(bundle: Path) -> Path:
    """The bundle with a file by TensorRT's name in it; here it is the float network under that name."""
    if ONNX_TENSORRT_FILE not in read_card(bundle).files:
        shutil.copy(bundle / ONNX_FLOAT_FILE, bundle / ONNX_TENSORRT_FILE)
        reseal(bundle, ONNX_TENSORRT_FILE)
    return bundle


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


@pytest.mark.parametrize("name", ["litert", "onnx-cpu"])
def test_a_step_allocates_next_to_nothing(name: str, pictures: Pictures) -> None:
    """Heads of views and seven numbers; a picture is 20 kB, a state up to 160 kB in float."""
    runner = open_runner(shipped_bundle(), runtime=name)
    runner.raw_step(pictures[0])
    tracemalloc.start()
    runner.raw_step(pictures[1])
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    for picture in pictures[2:12]:
        runner.raw_step(picture)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 4096


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
