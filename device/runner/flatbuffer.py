"""model.tflite on ai-edge-litert or on its older brother tflite-runtime: one interface, so one class serves both."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.card import BundleError
from device.runner.graph import (
    MAKE_AGAIN,
    SIGNATURE,
    Graph,
    Loop,
    NotInstalled,
    RuntimeUnavailable,
    Tensor,
    check_threads,
    checked_graph,
    same_scale,
)
from device.runner.hush import one_line, runtime_hushed
from device.runner.odds import Softmax, check_picture

IMAGE_SCALE: Final = 1.0 / 255.0
IMAGE_ZERO_POINT: Final = -128
"""The image range is pinned to 0..1, so that the model's int8 is the picture's uint8 minus 128 and nothing else."""

FLIP_SIGN_BIT: Final = np.uint8(0x80)
"""uint8 - 128 as int8 is the same byte with its highest bit flipped."""


@dataclass(frozen=True, slots=True)
class Library:
    """A package that has an Interpreter. numpy_1: it works with numpy 1 only, though its import says nothing."""

    module: str
    distribution: str
    install: str
    numpy_1: bool = False

    def interpreter(self) -> tuple[Any, str]:
        """Its interpreter class, and its name with version. Raises RuntimeUnavailable."""
        try:
            found = importlib.import_module(self.module)
        except ImportError:
            raise NotInstalled(f"{self.distribution} is not installed; run `{self.install}`") from None
        if self.numpy_1 and int(np.__version__.split(".")[0]) >= 2:
            raise RuntimeUnavailable(
                f"{self.distribution} cannot work with numpy {np.__version__}; run `{LITERT.install}` "
                "(any numpy) or `pip install 'numpy<2'`"
            )
        return found.Interpreter, f"{self.distribution} {_version(self.distribution)}"


LITERT: Final = Library("ai_edge_litert.interpreter", "ai-edge-litert", "pip install ai-edge-litert")
TFLITE_RUNTIME: Final = Library(
    "tflite_runtime.interpreter", "tflite-runtime", "pip install 'fallwatch[tflite-runtime]'", numpy_1=True
)
"""2.14, the last one: Python 3.11 at most, int8 without XNNPACK; with numpy 2 its first model dies (MODEL.md I.2)."""


class Int8Step:
    """An int8 model and its past, whatever card it has. Not for several threads at once.

    model: the flatbuffer. threads: 1..16 of the runtime's own. runtime: which one serves, and its version.
    Raises BundleError for a model that cannot be loaded, is not int8 or has an untied state.
    """

    def __init__(self, model: bytes, threads: int = 1, library: Library | None = None) -> None:
        check_threads(threads)
        interpreter_class, self.runtime = library.interpreter() if library else any_library()
        try:
            with runtime_hushed():
                interpreter = interpreter_class(model_content=model, num_threads=threads)
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError, SystemError) as error:
            raise BundleError(
                f"{self.runtime} cannot load it ({one_line(error)}); update the runtime or copy the bundle again"
            ) from None
        self.graph = _graph(interpreter)
        self._interpreter = interpreter
        # Looked up once: a view must not be kept over an invoke, but the function that gives it may.
        self._frame_view: Callable[[], NDArray[np.int8]] = interpreter.tensor(self.graph.frame.index)
        self._logits_view: Callable[[], NDArray[np.int8]] = interpreter.tensor(self.graph.logits.index)
        self._views = [(interpreter.tensor(x.state.index), interpreter.tensor(x.following.index)) for x in self.loops]
        self._softmax = Softmax()
        self.reset()

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Every state with its way out, in the order of the names."""
        return self.graph.loops

    @property
    def logits(self) -> Tensor:
        """The quantized output."""
        return self.graph.logits

    def reset(self) -> None:
        """Forget the past: states go to their zero points, which mean 0."""
        for loop, (state, _) in zip(self.loops, self._views, strict=True):
            state().fill(loop.state.zero_point)

    def raw_step(self, image: NDArray[np.uint8]) -> NDArray[np.int8]:
        """One frame on, the graph's own answer: int8 (7,) quantized logits; what golden files compare."""
        check_picture(image, self.graph.picture)
        np.bitwise_xor(image, FLIP_SIGN_BIT, out=self._frame_view()[0].view(np.uint8))
        self._interpreter.invoke()
        for state, following in self._views:
            np.copyto(state(), following())
        return np.array(self._logits_view()[0])

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame on: uint8 (height, width, 3) -> float32 (7,) probabilities; see `Runner.step`."""
        logits = self._softmax.logits
        np.subtract(self.raw_step(image), self.logits.zero_point, out=logits, dtype=np.float64)
        np.multiply(logits, self.logits.scale, out=logits)
        return self._softmax()


def any_library() -> tuple[Any, str]:
    """The interpreter class of the first of the two that works here, and its name with version."""
    try:
        return LITERT.interpreter()
    except NotInstalled as absent:
        try:
            return TFLITE_RUNTIME.interpreter()
        except NotInstalled:
            raise absent from None


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(version unknown)"


def _graph(interpreter: Any) -> Graph:
    """Checked inputs and outputs by name; the order of the runtime's lists means nothing (MODEL.md I.1)."""
    if SIGNATURE not in interpreter.get_signature_list():
        raise BundleError(f"the model has no signature {SIGNATURE!r}; {MAKE_AGAIN}")
    runner = interpreter.get_signature_runner(SIGNATURE)
    graph = checked_graph(_tensors(runner.get_input_details()), _tensors(runner.get_output_details()), np.int8)
    frame, logits = graph.frame, graph.logits
    if not same_scale(frame.scale, IMAGE_SCALE) or frame.zero_point != IMAGE_ZERO_POINT:
        raise BundleError(
            f"the picture's scale {frame.scale:.6g} and zero point {frame.zero_point} are not 1/255 and -128; "
            f"{MAKE_AGAIN}"
        )
    for tensor in (logits, *(loop.state for loop in graph.loops)):
        if tensor.scale <= 0.0:
            raise BundleError(f"{tensor.name} is int8 without a scale, so it means nothing; {MAKE_AGAIN}")
    return graph


def _tensors(details: dict[str, Any]) -> dict[str, Tensor]:
    tensors = {}
    for name, detail in details.items():
        scale, zero_point = detail["quantization"]
        shape = tuple(int(side) for side in detail["shape"])
        tensors[name] = Tensor(name, detail["index"], shape, detail["dtype"], float(scale), int(zero_point))
    return tensors
