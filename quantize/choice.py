"""Which calibration method an int8 file is made by: every method is tried, the scores on held-out clips decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from device.card import Trial
from quantize.agreement import Agreement, Scores, Windows, compare_runs, run
from quantize.int8 import METHODS
from quantize.steppers import Stepper

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Clips that no range was measured on, and what the float network says of them."""

    windows: Windows
    truth: Sequence[Scores]


@dataclass(frozen=True, slots=True)
class Choice:
    """One int8 file of a bundle: its name, its bytes, the method it was made by, and how every method agreed."""

    file: str
    model: bytes
    method: str
    by_method: dict[str, Agreement]

    @property
    def agreement(self) -> Agreement:
        """Of the method that was chosen."""
        return self.by_method[self.method]

    @property
    def trials(self) -> list[Trial]:
        """As a card lists them."""
        return [
            Trial(
                file=self.file,
                method=method,
                chosen=method == self.method,
                argmax_agreement=round(found.argmax, 4),
                difference_p50=round(found.p50, 4),
                difference_p99=round(found.p99, 4),
                difference_max=round(found.largest, 4),
            )
            for method, found in self.by_method.items()
        ]


def choose(
    file: str,
    make: Callable[[str], bytes],
    opened: Callable[[bytes], Stepper],
    held_out: HeldOut,
    say: Say,
) -> Choice:
    """Make a file by each method and keep the one whose scores stay nearest to float, 99th percentile first."""
    models, by_method = {}, {}
    for method in METHODS:
        models[method] = make(method)
        by_method[method] = compare_runs(held_out.truth, run(opened(models[method]), held_out.windows))
        say(f"{file}, {method}: {by_method[method]}")
    best = min(by_method, key=lambda method: by_method[method].order)
    return Choice(file, models[best], best, by_method)
