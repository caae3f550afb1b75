"""Model bundle -> step(input) -> scores: the int8 network on the unit, one frame a step, its past held here.

The graph keeps nothing itself: every step hands in the states and takes out the next ones, as raw int8. That is only
right while each state has one scale and zero point on its way in and out, so opening a bundle asserts it; fed back
with two scales a state shrinks by about 16 % a step and the network forgets (MODEL.md I.5).
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.card import TFLITE_FILE, BundleError, Card, State, read_card
from device.labels import LABELS
from device.preprocess import CHANNELS

SIGNATURE: Final = "step"
FRAME: Final = "frame"
LOGITS: Final = "logits"
STATE_PREFIX: Final = "state_"
NEXT_PREFIX: Final = "next_"

IMAGE_SCALE: Final = 1.0 / 255.0
IMAGE_ZERO_POINT: Final = -128
"""The image range is pinned to 0..1, so that the model's int8 is the picture's uint8 minus 128 and nothing else."""

FLIP_SIGN_BIT: Final = np.uint8(0x80)
"""uint8 - 128 as int8 is the same byte with its highest bit flipped."""

MAX_THREADS: Final = 16
SCALE_TOLERANCE: Final = 1e-6
"""Relative; a float32, which a scale is, holds 7 digits."""

MAKE_AGAIN: Final = "make the bundle again with `fallwatch quantize`"

RUNTIMES: Final = (
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite_runtime.interpreter", "tflite-runtime"),
)
"""Module and distribution, the preferred one first: tflite-runtime 2.14 runs int8 without XNNPACK (MODEL.md I.2)."""


class RuntimeUnavailable(BundleError):  # noqa: N818 - says what is the matter, as BundleError's other texts do
    """No inference runtime that can work here; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named input or output of the graph, as the runtime describes it."""

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: Any
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A state's way out of one step and into the next: one shape, one scale, one zero point."""

    state: Tensor
    following: Tensor


class Int8Step:
    """An int8 model and its past, whatever card it has. Not for several threads at once.

    model: the flatbuffer. threads: 1..16 of the runtime's own. runtime: which one was found, and its version.
    Raises BundleError for a model that cannot be loaded, is not int8 or has an untied state.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        if not 1 <= threads <= MAX_THREADS:
            raise ValueError(f"threads {threads} is outside 1..{MAX_THREADS}")
        interpreter_class, self.runtime = find_runtime()
        try:
            with _runtime_hushed():
                interpreter = interpreter_class(model_content=model, num_threads=threads)
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError, SystemError) as error:
            raise BundleError(
                f"{self.runtime} cannot load it ({_one_line(error)}); update the runtime or copy the bundle again"
            ) from None
        inputs, outputs = _signature(interpreter)
        self.frame = _checked_frame(inputs)
        self.logits = _checked_logits(outputs)
        self.loops = _loops(inputs, outputs)
        self._interpreter = interpreter
        # Looked up once: a view must not be kept over an invoke, but the function that gives it may.
        self._frame_view: Callable[[], NDArray[np.int8]] = interpreter.tensor(self.frame.index)
        self._logits_view: Callable[[], NDArray[np.int8]] = interpreter.tensor(self.logits.index)
        self._views = [(interpreter.tensor(x.state.index), interpreter.tensor(x.following.index)) for x in self.loops]
        self.reset()

    def reset(self) -> None:
        """Forget the past: states go to their zero points, which mean 0."""
        for loop, (state, _) in zip(self.loops, self._views, strict=True):
            state().fill(loop.state.zero_point)

    def raw_step(self, image: NDArray[np.uint8]) -> NDArray[np.int8]:
        """One frame on, the graph's own answer: int8 (7,) quantized logits; what golden files compare."""
        shape = self.frame.shape[1:]
        if image.dtype != np.uint8 or image.shape != shape:
            raise ValueError(f"the model wants uint8 {shape}, got {image.dtype} {image.shape}")
        np.bitwise_xor(image, FLIP_SIGN_BIT, out=self._frame_view()[0].view(np.uint8))
        self._interpreter.invoke()
        for state, following in self._views:
            np.copyto(state(), following())
        return np.array(self._logits_view()[0])

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame on: uint8 (height, width, 3) -> float32 (7,) probabilities; see `Runner.step`."""
        logits = (self.raw_step(image).astype(np.float64) - self.logits.zero_point) * self.logits.scale
        odds = np.exp(logits - logits.max())
        return np.asarray(odds / odds.sum(), np.float32)


class Runner:
    """An opened bundle: a model, its past, and the card it was checked against. Several cameras are several runners.

    card, model_id and runtime (which one, and its version) say what runs. Make one with `open_runner`.
    """

    def __init__(self, card: Card, model: Int8Step) -> None:
        _check_against_card(model, card)
        self.card = card
        self.model_id = card.model_id
        self.runtime = model.runtime
        self.steps_since_reset = 0
        self._model = model

    @property
    def warm(self) -> bool:
        """True once the network has seen as much of the past as the card asks for before its scores may count."""
        return self.steps_since_reset >= self.card.warm_steps

    def reset(self) -> None:
        """Forget the past: at the start, after a camera gap."""
        self._model.reset()
        self.steps_since_reset = 0

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame on: uint8 (height, width, 3) -> float32 (7,) probabilities, sum 1, in the order of LABELS.

        The graph ends in logits and the softmax is here, in float64: an int8 softmax has steps of 1/256, so that
        every quiet score would be exactly 0 and no two of them could be told apart.
        Raises ValueError for an image of another shape or type.
        """
        scores = self._model.step(image)
        self.steps_since_reset += 1
        return scores

    def raw_step(self, image: NDArray[np.uint8]) -> NDArray[np.int8]:
        """One frame on, the graph's own answer: int8 (7,) quantized logits; what golden files compare."""
        logits = self._model.raw_step(image)
        self.steps_since_reset += 1
        return logits


def open_runner(bundle: Path, threads: int = 1) -> Runner:
    """The runner of a bundle folder, checked against its card and reset.

    threads: 1..16 of the runtime's own; a step is too small to gain much from more than one.
    Raises BundleError (its kind RuntimeUnavailable where nothing here can run a model) with one sentence.
    """
    card = read_card(bundle)
    path = bundle / TFLITE_FILE
    try:
        return Runner(card, Int8Step(path.read_bytes(), threads))
    except RuntimeUnavailable:
        raise
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again") from None
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None


@contextlib.contextmanager
def _runtime_hushed() -> Iterator[None]:
    """The runtime's own chatter ("Created TensorFlow Lite XNNPACK delegate") goes to file descriptor 2 from C++.

    It tells a nurse nothing, and no level or variable turns it off. What goes wrong comes as an exception all the same.
    """
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def find_runtime() -> tuple[Any, str]:
    """The interpreter class of the first runtime that works here, and its name with version."""
    for module, distribution in RUNTIMES:
        try:
            found = importlib.import_module(module)
        except ImportError:
            continue
        if distribution == "tflite-runtime":
            _refuse_numpy_2()
        return found.Interpreter, f"{distribution} {_version(distribution)}"
    raise RuntimeUnavailable("no inference runtime is installed; run `pip install ai-edge-litert`")


def _refuse_numpy_2() -> None:
    """Its import succeeds under numpy 2 and its first model then dies with a SystemError (MODEL.md I.2)."""
    if int(np.__version__.split(".")[0]) >= 2:
        raise RuntimeUnavailable(
            f"tflite-runtime cannot work with numpy {np.__version__}; run `pip install ai-edge-litert` "
            "(any numpy) or `pip install 'numpy<2'`"
        )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(version unknown)"


def _signature(interpreter: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Inputs and outputs by name; the order of the runtime's lists means nothing (MODEL.md I.1)."""
    if SIGNATURE not in interpreter.get_signature_list():
        raise BundleError(f"the model has no signature {SIGNATURE!r}; {MAKE_AGAIN}")
    runner = interpreter.get_signature_runner(SIGNATURE)
    return _tensors(runner.get_input_details()), _tensors(runner.get_output_details())


def _tensors(details: dict[str, Any]) -> dict[str, Tensor]:
    tensors = {}
    for name, detail in details.items():
        scale, zero_point = detail["quantization"]
        shape = tuple(int(side) for side in detail["shape"])
        tensors[name] = Tensor(name, detail["index"], shape, detail["dtype"], float(scale), int(zero_point))
    return tensors


def _the(tensors: dict[str, Tensor], name: str, kind: str) -> Tensor:
    if name not in tensors:
        raise BundleError(f"the model has no {kind} {name!r}; {MAKE_AGAIN}")
    tensor = tensors[name]
    if tensor.dtype != np.int8:
        raise BundleError(f"{kind} {name!r} is {np.dtype(tensor.dtype).name} and must be int8; {MAKE_AGAIN}")
    return tensor


def _checked_frame(inputs: dict[str, Tensor]) -> Tensor:
    frame = _the(inputs, FRAME, "input")
    if len(frame.shape) != 4 or frame.shape[0] != 1 or frame.shape[3] != CHANNELS:
        raise BundleError(f"the model's picture is {frame.shape} and must be (1, height, width, 3); {MAKE_AGAIN}")
    if not _same_scale(frame.scale, IMAGE_SCALE) or frame.zero_point != IMAGE_ZERO_POINT:
        raise BundleError(
            f"the picture's scale {frame.scale:.6g} and zero point {frame.zero_point} are not 1/255 and -128; "
            f"{MAKE_AGAIN}"
        )
    return frame


def _checked_logits(outputs: dict[str, Tensor]) -> Tensor:
    logits = _the(outputs, LOGITS, "output")
    if logits.shape != (1, len(LABELS)) or logits.scale <= 0.0:
        raise BundleError(f"the model's scores are {logits.shape}, not a quantized {(1, len(LABELS))}; {MAKE_AGAIN}")
    return logits


def _loops(inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> list[Loop]:
    """Every state with its way out, in the order of the names."""
    loops = []
    for name in sorted(inputs.keys() - {FRAME}):
        state = _the(inputs, name, "input")
        following = _the(outputs, name.replace(STATE_PREFIX, NEXT_PREFIX), "output")
        if state.shape != following.shape:
            raise BundleError(f"{name} goes in as {state.shape} and comes out as {following.shape}; {MAKE_AGAIN}")
        if (state.scale, state.zero_point) != (following.scale, following.zero_point):
            raise BundleError(
                f"{name} is not tied: in at scale {state.scale:.6g} and zero point {state.zero_point}, "
                f"out at {following.scale:.6g} and {following.zero_point}; {MAKE_AGAIN}"
            )
        loops.append(Loop(state, following))
    return loops


def _check_against_card(model: Int8Step, card: Card) -> None:
    wanted = (1, card.input.height, card.input.width, CHANNELS)
    if model.frame.shape != wanted:
        raise BundleError(f"the model's picture is {model.frame.shape} and its card says {wanted}; {MAKE_AGAIN}")
    said = {state.name: state for state in card.states}
    found = {loop.state.name: loop.state for loop in model.loops}
    if said.keys() != found.keys():
        raise BundleError(f"the model's states {sorted(found)} are not its card's {sorted(said)}; {MAKE_AGAIN}")
    for name, state in found.items():
        _check_state(state, said[name])


def _check_state(found: Tensor, said: State) -> None:
    if found.shape != said.shape:
        raise BundleError(f"{said.name} has shape {found.shape} and its card says {said.shape}; {MAKE_AGAIN}")
    if not _same_scale(found.scale, said.scale) or found.zero_point != said.zero_point:
        raise BundleError(
            f"{said.name} has scale {found.scale:.6g} and zero point {found.zero_point}, its card says "
            f"{said.scale:.6g} and {said.zero_point}; {MAKE_AGAIN}"
        )


def _same_scale(one: float, other: float) -> bool:
    return abs(one - other) <= SCALE_TOLERANCE * abs(other)


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
