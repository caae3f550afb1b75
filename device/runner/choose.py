"""Which runtime serves, and which of a bundle's files it takes: chosen by what is asked for and what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from device.card import TFLITE_FILE, BundleError, Card, read_card
from device.runner import flatbuffer, ort
from device.runner.graph import Graph, NotInstalled, RuntimeUnavailable, check_against_card, check_threads
from device.settings import RuntimeName

ONNX_FILE: Final = "model.onnx"
ONNX_FLOAT_FILE: Final = "model-fp32.onnx"
ONNX_TENSORRT_FILE: Final = "model-trt.onnx"
AUTO: Final = "auto"


class OpenStep(Protocol):
    """An open model and its past, whichever runtime it lies in."""

    runtime: str
    graph: Graph

    def reset(self) -> None: ...

    def raw_step(self, image: NDArray[np.uint8]) -> NDArray[Any]: ...

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """files: those it can take, the one to be preferred first. open(content, name of the file, threads)."""

    files: tuple[str, ...]
    open: Callable[[bytes, str, int], OpenStep]


def _on(library: flatbuffer.Library) -> Callable[[bytes, str, int], OpenStep]:
    return lambda content, _file, threads: flatbuffer.Int8Step(content, threads, library)


def _by(provider: ort.Provider) -> Callable[[bytes, str, int], OpenStep]:
    return lambda content, file, threads: ort.OnnxStep(content, provider, int8=file != ONNX_FLOAT_FILE, threads=threads)


RUNTIMES: Final[dict[str, Runtime]] = {
    "litert": Runtime((TFLITE_FILE,), _on(flatbuffer.LITERT)),
    "tflite-runtime": Runtime((TFLITE_FILE,), _on(flatbuffer.TFLITE_RUNTIME)),
    "onnx-tensorrt": Runtime((ONNX_TENSORRT_FILE, ONNX_FLOAT_FILE), _by(ort.TENSORRT)),
    "onnx-cuda": Runtime((ONNX_FLOAT_FILE,), _by(ort.CUDA)),
    "onnx-cpu": Runtime((ONNX_FILE,), _by(ort.CPU)),
}
"""In the order in which "auto" tries them: first those that run the very file whose parity was proven, then by speed.

TensorRT takes the float file at half precision where a bundle has no symmetric int8 one (MODEL.md I.4)."""


class Runner:
    """An opened bundle: a model, its past, and the card it was checked against. Several cameras are several runners.

    card, model_id, runtime (which one, and its version) and file say what runs. Make one with `open_runner`.
    """

    def __init__(self, card: Card, model: OpenStep, file: str = TFLITE_FILE) -> None:
        check_against_card(model.graph, card)
        self.card = card
        self.file = file
        self.model_id = f"{card.name}-{card.version}-{card.files[file][:8]}"
        self.runtime = model.runtime
        self.steps_since_reset = 0
        self._model = model

    @property
    def picture(self) -> tuple[int, ...]:
        """(height, width, 3): the uint8 picture that a step wants."""
        return self._model.graph.picture

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

        Raises ValueError for an image of another shape or type.
        """
        scores = self._model.step(image)
        self.steps_since_reset += 1
        return scores

    def raw_step(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """One frame on, the graph's own answer: (7,) logits, quantized int8 or float32; what golden files compare."""
        logits = self._model.raw_step(image)
        self.steps_since_reset += 1
        return logits


def open_runner(bundle: Path, threads: int = 1, runtime: str = AUTO) -> Runner:
    """The runner of a bundle folder, checked against its card and reset.

    threads: 1..16 of the runtime's own; a step is too small to gain much from more than one. runtime: as in the
    settings. Raises BundleError (its kind RuntimeUnavailable where that runtime cannot run a model here).
    """
    check_threads(threads)
    card = read_card(bundle)
    if runtime == AUTO:
        return _first_that_works(bundle, card, threads)
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime {runtime!r} is none of {', '.join(get_args(RuntimeName))}")
    return _open(bundle, card, threads, runtime)


@dataclass(frozen=True, slots=True)
class Serving:
    """What a unit watches with. problem: why it is not what was asked for, in one sentence; None when it is."""

    bundle: Path
    runtime: str
    problem: str | None


def serving(asked: tuple[Path, str], known_good: Path, threads: int = 1) -> Serving:
    """The bundle and runtime asked for, or the nearest to them that opens: a refused one must not end the watch.

    asked: bundle and runtime of the settings. First another runtime is tried for the same bundle, then the bundle
    `known_good`. Raises the first BundleError where nothing opens.
    """
    bundle, runtime = asked
    refused: BundleError | None = None
    for candidate in dict.fromkeys([(bundle, runtime), (bundle, AUTO), (known_good, runtime), (known_good, AUTO)]):
        try:
            opened = open_runner(candidate[0], threads, candidate[1])
            # A GPU's libraries are loaded at the first step: a runtime serves that has made one.
            opened.step(np.zeros(opened.picture, np.uint8))
        except BundleError as error:
            refused = refused or error
            continue
        return Serving(*candidate, _instead(refused, opened))
    assert refused is not None
    raise refused


def _instead(refused: BundleError | None, opened: Runner) -> str | None:
    return None if refused is None else f"{refused}; watching with {opened.model_id} by {opened.runtime}"


def _first_that_works(bundle: Path, card: Card, threads: int) -> Runner:
    """Of the runtimes that are not here the first reason that is more than absence is said."""
    reasons = []
    for name in RUNTIMES:
        try:
            return _open(bundle, card, threads, name)
        except RuntimeUnavailable as error:
            reasons.append(error)
    raise next(
        (reason for reason in reasons if not isinstance(reason, NotInstalled)),
        NotInstalled(f"no inference runtime is installed; run `{flatbuffer.LITERT.install}`"),
    )


def _open(bundle: Path, card: Card, threads: int, name: str) -> Runner:
    runtime = RUNTIMES[name]
    file = next((file for file in runtime.files if file in card.files), None)
    if file is None:
        raise RuntimeUnavailable(
            f"{bundle}: holds no {' or '.join(runtime.files)}, which the runtime {name} takes; set another "
            "model.runtime or copy a bundle that has it"
        )
    path = bundle / file
    try:
        return Runner(card, runtime.open(path.read_bytes(), file, threads), file)
    except RuntimeUnavailable:
        raise
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error}); copy the bundle again") from None
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
