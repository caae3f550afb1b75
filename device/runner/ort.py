"""model.onnx and its twins on ONNX Runtime, by the provider asked for: CPU, CUDA or TensorRT.

Frame, logits and states are float32, so states fed back need no tying. Everything a step reads or writes is allocated
once and bound once: two bindings, whose states are each other's, take turns. On a GPU the states never leave it.

CUDA and TensorRT are written by ONNX Runtime's documentation and were not run on a GPU (docs/runtimes.md).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.card import BundleError
from device.runner.graph import FRAME, LOGITS, Graph, NotInstalled, RuntimeUnavailable, Tensor, check_threads
from device.runner.graph import checked_graph as checked
from device.runner.hush import one_line, runtime_hushed
from device.runner.odds import Softmax, check_picture
from device.settings import default_folder

GPU_PACKAGE: Final = "`pip install onnxruntime-gpu`; on a Jetson NVIDIA's wheel for its JetPack (docs/runtimes.md)"
QUIET: Final = 3
"""Log severity: errors only."""

Options = dict[str, Any]


def tensorrt_cache() -> Path:
    """Where built engines are kept: building one takes minutes on a small board."""
    return default_folder() / "tensorrt"


def _no_options(_int8: bool) -> Options:
    return {}


def _cuda_options(_int8: bool) -> Options:
    # kSameAsRequested: by default the arena doubles each time it grows, on a board whose GPU shares the RAM.
    # HEURISTIC: the default tries every algorithm of every convolution at the start.
    return {"device_id": 0, "arena_extend_strategy": "kSameAsRequested", "cudnn_conv_algo_search": "HEURISTIC"}


def _tensorrt_options(int8: bool) -> Options:
    # fp16 beside int8 serves the layers that carry no quantization; a QDQ file brings its own scales, so that no
    # calibration table is named.
    return {
        "device_id": 0,
        "trt_fp16_enable": True,
        "trt_int8_enable": int8,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(tensorrt_cache()),
    }


@dataclass(frozen=True, slots=True)
class Provider:
    """Who computes. then: the providers that take what this one can't. memory: where the states lie."""

    title: str
    name: str
    then: tuple[str, ...]
    memory: str
    options: Callable[[bool], Options]
    install: str

    def in_order(self, int8: bool) -> list[tuple[str, Options]]:
        """Providers and their options, as InferenceSession takes them."""
        chain = (self, *(BY_NAME[name] for name in self.then))
        return [(provider.name, provider.options(int8)) for provider in chain]


CPU: Final = Provider("CPU", "CPUExecutionProvider", (), "cpu", _no_options, "`pip install onnxruntime`")
CUDA: Final = Provider("CUDA", "CUDAExecutionProvider", (CPU.name,), "cuda", _cuda_options, GPU_PACKAGE)
TENSORRT: Final = Provider(
    "TensorRT", "TensorrtExecutionProvider", (CUDA.name, CPU.name), "cuda", _tensorrt_options, GPU_PACKAGE
)
BY_NAME: Final = {provider.name: provider for provider in (CPU, CUDA, TENSORRT)}


class OnnxStep:
    """A float32-fed ONNX model and its past on one provider. Not for several threads at once.

    model: the file's content. int8: whether it carries quantization (only TensorRT has to be told). threads: 1..16.
    Raises RuntimeUnavailable where the provider cannot work here, BundleError for a model that cannot be loaded.
    """

    def __init__(self, model: bytes, provider: Provider = CPU, *, int8: bool = True, threads: int = 1) -> None:
        check_threads(threads)
        ort = _onnxruntime(provider)
        numbers = ("int8" if int8 else "fp16") if provider is TENSORRT else ""
        self.runtime = f"onnxruntime {ort.__version__} ({' '.join((provider.title, numbers)).strip()})"
        self._errors = _errors_of(ort)
        self._session = self._open(ort, model, provider, int8, threads)
        self.graph = _graph(self._session)
        self._softmax = Softmax()
        self._frame = np.zeros(self.graph.frame.shape, np.float32)
        self._logits = np.zeros(self.graph.logits.shape, np.float32)
        self._on_device = provider.memory != CPU.memory
        self._frame_value = ort.OrtValue.ortvalue_from_numpy(self._frame, provider.memory, 0)
        self._logits_value = ort.OrtValue.ortvalue_from_numpy(self._logits, CPU.memory, 0)
        # Memory that ONNX Runtime shares with us as long as it lies in the CPU's: it must live as long as the values.
        self._zeros = {loop.state.name: np.zeros(loop.state.shape, np.float32) for loop in self.graph.loops}
        self._memory = [{name: zeros.copy() for name, zeros in self._zeros.items()} for _ in range(2)]
        self._past, self._next = (
            {name: ort.OrtValue.ortvalue_from_numpy(array, provider.memory, 0) for name, array in memory.items()}
            for memory in self._memory
        )
        self._bindings = [self._bind(self._past, self._next), self._bind(self._next, self._past)]
        self.reset()

    def reset(self) -> None:
        """Forget the past: states go to 0."""
        self._turn = 0
        for name, zeros in self._zeros.items():
            self._past[name].update_inplace(zeros)

    def raw_step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame on, the graph's own answer: float32 (7,) logits; what golden files compare."""
        check_picture(image, self.graph.picture)
        # In two strokes: dividing uint8 into float32 at once takes a buffer of 32 kB each time.
        np.copyto(self._frame[0], image)
        np.divide(self._frame, np.float32(255.0), out=self._frame)
        try:
            if self._on_device:
                self._frame_value.update_inplace(self._frame)
            self._session.run_with_iobinding(self._bindings[self._turn])
        except self._errors as error:
            raise RuntimeUnavailable(f"{self.runtime} failed at a step ({one_line(error)}); restart the unit") from None
        self._turn = 1 - self._turn
        return np.array(self._logits[0])

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame on: uint8 (height, width, 3) -> float32 (7,) probabilities; see `Runner.step`."""
        self._softmax.logits[:] = self.raw_step(image)
        return self._softmax()

    def _bind(self, past: dict[str, Any], following: dict[str, Any]) -> Any:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(FRAME, self._frame_value)
        binding.bind_ortvalue_output(LOGITS, self._logits_value)
        for loop in self.graph.loops:
            binding.bind_ortvalue_input(loop.state.name, past[loop.state.name])
            binding.bind_ortvalue_output(loop.following.name, following[loop.state.name])
        return binding

    def _open(self, ort: Any, model: bytes, provider: Provider, int8: bool, threads: int) -> Any:
        """A session that runs where it was asked to; ONNX Runtime itself would go on elsewhere and say so nowhere."""
        if provider is TENSORRT:
            _make_cache()
        try:
            with runtime_hushed() as said:
                session = ort.InferenceSession(
                    model, session_options(ort, threads), providers=provider.in_order(int8), enable_fallback=0
                )
        except self._errors as error:
            if provider is not CPU and not _is_about_the_model(error):
                raise _cannot_start(self.runtime, one_line(error), provider) from None
            raise BundleError(
                f"{self.runtime} cannot load it ({one_line(error)}); update the runtime or copy the bundle again"
            ) from None
        if provider.name not in session.get_providers():
            raise _cannot_start(self.runtime, _why(said.text), provider)
        return session


def session_options(ort: Any, threads: int) -> Any:
    """Options of a session that uses no more of a board than it was given."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = QUIET
    # Its threads would otherwise spin for the next work between two steps, 0.1 s apart.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # On x86-64 without VNNI its fast int8 sums overflow 16 bits and saturate: probabilities are then off by up to 0.094
    # instead of 0.033, for a fifth less time (measured, AVX2). No other processor is affected.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _onnxruntime(provider: Provider) -> Any:
    """The module, if it has this provider. Raises NotInstalled."""
    try:
        with runtime_hushed():
            ort = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise NotInstalled(f"onnxruntime is not installed ({one_line(error)}); run {provider.install}") from None
    there = ort.get_available_providers()
    if provider.name not in there:
        raise NotInstalled(
            f"onnxruntime {ort.__version__} is built for {', '.join(there)} and not for {provider.title}; "
            f"run {provider.install}"
        )
    return ort


def _errors_of(ort: Any) -> tuple[type[Exception], ...]:
    """ONNX Runtime's errors, which have no base of their own."""
    kinds = vars(ort.capi.onnxruntime_pybind11_state).values()
    return (RuntimeError, *(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception)))


def _is_about_the_model(error: BaseException) -> bool:
    return type(error).__name__ in ("InvalidGraph", "InvalidProtobuf", "NotImplemented", "InvalidArgument")


def _cannot_start(runtime: str, why: str, provider: Provider) -> RuntimeUnavailable:
    return RuntimeUnavailable(
        f"{runtime} cannot start here ({why}); install the CUDA{' and TensorRT' if provider is TENSORRT else ''} "
        'libraries that this onnxruntime was built for (docs/runtimes.md) or set model.runtime to "auto"'
    )


def _why(chatter: str) -> str:
    """The reason in ONNX Runtime's log: the library that would not load, else the last line, else that it said none."""
    if found := re.search(r"with error: (.+)", chatter):
        return found.group(1).strip()
    lines = chatter.strip().splitlines()
    return lines[-1].strip() if lines else "it gives no reason"


def _make_cache() -> None:
    try:
        tensorrt_cache().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RuntimeUnavailable(
            f"{tensorrt_cache()}: built engines cannot be kept there ({error}); make the folder writable"
        ) from None


def _graph(session: Any) -> Graph:
    return checked(_tensors(session.get_inputs()), _tensors(session.get_outputs()), np.float32)


def _tensors(entries: list[Any]) -> dict[str, Tensor]:
    """By name. A size that is not fixed is told as -1 and is then no size that is wanted."""
    found = {}
    for index, entry in enumerate(entries):
        shape = tuple(side if isinstance(side, int) else -1 for side in entry.shape)
        found[entry.name] = Tensor(entry.name, index, shape, NUMBERS.get(entry.type, np.object_))
    return found


NUMBERS: Final[dict[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
}
"""Number types as ONNX Runtime calls them; any other is told as object and refused."""
