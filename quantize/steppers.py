"""One frame on, on every runtime that a form of a network runs on besides the unit's own (device.runner).

All answer probabilities, so that they can be held against each other; states start at zero and are fed back here.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from device.runner import FRAME, LOGITS, NEXT_PREFIX, SIGNATURE, STATE_PREFIX
from training.networks import Step


class Stepper(Protocol):
    """A network on some runtime with its past: what every form of it is to whoever compares."""

    def reset(self) -> None:
        """Forget the past."""

    def step(self, image: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """One frame on: uint8 (height, width, 3) -> float32 (7,) probabilities."""


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities, computed in float64 as the unit does."""
    wide = logits.astype(np.float64)
    odds = np.exp(wide - wide.max())
    return np.asarray(odds / odds.sum(), np.float32)


class TorchStep:
    """The float network itself, in the step form that every export is traced from."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self.reset()

    def reset(self) -> None:
        """Forget the past: states go to zero."""
        self._states = self._step.initial_states()

    @torch.no_grad()
    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame on: uint8 (height, width, 3) -> float32 (7,) probabilities."""
        answer = self._step(torch.from_numpy(image[None].astype(np.float32) / 255.0), **self._states)
        self._states = self._step.follow(answer)
        return softmax(answer[LOGITS][0].numpy())


class FloatStep:
    """The step of a float .tflite on ai-edge-litert, one thread: the half-way house between torch and int8."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._call = Interpreter(model_content=model, num_threads=1).get_signature_runner(SIGNATURE)
        details = self._call.get_input_details()
        self._shapes = {name: detail["shape"] for name, detail in details.items() if name != FRAME}
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._states = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}

    def raw_step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame on: uint8 (height, width, 3) -> float32 (7,) logits."""
        answer = self._call(frame=image[None].astype(np.float32) / 255.0, **self._states)
        self._states = {name: answer[name.replace(STATE_PREFIX, NEXT_PREFIX)] for name in self._states}
        return np.asarray(answer[LOGITS][0], np.float32)

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame on: uint8 (height, width, 3) -> float32 (7,) probabilities."""
        return softmax(self.raw_step(image))
