"""How far one form of a network strays from another over streamed footage: int8 from float, runtime from runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.runner import open_runner
from quantize.export import step_of
from quantize.steppers import Stepper, TorchStep
from training.networks import FallNetwork, Step

Windows = Sequence[NDArray[np.uint8]]
Scores = NDArray[np.float32]
"""(steps, 7) probabilities of one window."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over all steps and labels: share of steps with the same strongest label, and |probability difference|."""

    steps: int
    argmax: float
    p50: float
    p99: float
    largest: float
    p99_first_half: float
    p99_second_half: float

    @property
    def order(self) -> tuple[float, float]:
        """Smaller is better: the 99th percentile decides, agreement breaks a tie."""
        return (self.p99, -self.argmax)

    def __str__(self) -> str:
        return (
            f"same strongest label {self.argmax:.2%} of {self.steps} steps, |dp| median {self.p50:.4f}, "
            f"99th percentile {self.p99:.4f} "
            f"(first half {self.p99_first_half:.4f}, second {self.p99_second_half:.4f}), largest {self.largest:.3f}"
        )


def compare(network: FallNetwork, bundle: Path, clips: Windows) -> Agreement:
    """Float network against a bundle's int8 model as the unit runs it, each clip streamed from a reset."""
    return compare_runs(run_step(step_of(network), clips), run(open_runner(bundle), clips))


def compare_runs(truth: Sequence[Scores], found: Sequence[Scores]) -> Agreement:
    """Two runs over the same windows. The halves of the stream are told apart: growing differences are drift."""
    one, other = np.concatenate(list(truth)), np.concatenate(list(found))
    difference = np.abs(one.astype(np.float64) - other)
    half = len(difference) // 2
    return Agreement(
        steps=len(one),
        argmax=float(np.mean(one.argmax(1) == other.argmax(1))),
        p50=float(np.median(difference)),
        p99=float(np.percentile(difference, 99)),
        largest=float(difference.max()),
        p99_first_half=float(np.percentile(difference[:half], 99)),
        p99_second_half=float(np.percentile(difference[half:], 99)),
    )


def run_step(step: Step, windows: Windows) -> list[Scores]:
    """Probabilities of the float network in its step form, states zero at the start of each window."""
    return run(TorchStep(step), windows)


def run(stepper: Stepper, windows: Windows) -> list[Scores]:
    """Probabilities of every window, each streamed from a reset."""
    runs = []
    for window in windows:
        stepper.reset()
        runs.append(np.stack([stepper.step(picture) for picture in window]))
    return runs
