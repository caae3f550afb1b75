"""What becomes of a run: its history, its checkpoints on disk, its curves, and what is said of it on the way.

Only the first of several processes keeps one; the others have a `Silence`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tqdm import tqdm

from device.errors import MissingExtraError
from training import checkpoint as store
from training.checkpoint import Checkpoint
from training.curves import draw_curves
from training.loop import Training
from training.rendered import better, validate
from training.samples import Sample

LAST: Final = "last.pt"
"""Where a run stands, to go on from."""

CHOSEN: Final = "checkpoint.pt"
"""The best of a run so far, to use."""


class Silence:
    """The record of a process that is not the first: nothing is said, measured or written."""

    def __enter__(self) -> Silence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def step(self, figures: Mapping[str, float], waited_s: float) -> None:
        """After each optimizer step: the parts of its loss, and how long its windows were waited for."""

    def keep(self) -> None:
        """Write down where the run stands."""

    def judge(self, held_back: Sequence[Sample]) -> None:
        """Measure the averaged weights, keep them if they are the best so far, write down where the run stands."""


class Record(Silence):
    """The record of `training` in the folder `out`, from the start or from where `kept` left it."""

    def __init__(self, training: Training, out: Path, kept: Checkpoint | None) -> None:
        self.training, self.out = training, out
        self.history: list[dict[str, float]] = list(kept.progress["history"]) if kept else []
        self.best: dict[str, float] = dict(kept.progress["best"]) if kept else {}
        # What a killed run has said of later steps is said again, and TensorBoard is to forget the first time.
        self._board = _board(out / "tb", purge_step=training.step + 1)
        self._bar = tqdm(initial=training.step, total=training.config.steps, desc="train", unit="step")
        self._began, self._waited_s = time.perf_counter(), 0.0
        if kept is None:
            self.keep()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        self._board.close()

    def step(self, figures: Mapping[str, float], waited_s: float) -> None:
        """Bar, history, TensorBoard."""
        step = self.training.step
        self._waited_s += waited_s
        self.history.append({"step": step, **figures})
        beside = {"rate": self.training.config.rate(step - 1), "waited_s": waited_s}
        for name, value in {**figures, **beside}.items():
            self._board.add_scalar(f"train/{name}", value, step)
        last = [point["loss"] for point in self.history[-20:]]
        self._bar.set_postfix(loss=f"{sum(last) / len(last):.3f}", refresh=False)
        self._bar.update()

    def keep(self) -> None:
        """last.pt."""
        store.save(self.training.to_resume({"history": self.history, "best": self.best}), self.out / LAST)

    def judge(self, held_back: Sequence[Sample]) -> None:
        """Figures into history, TensorBoard and curves.png; checkpoint.pt if they are the best so far; last.pt."""
        figures = validate(self.training.averaged(), held_back)
        measured = {name: value for name, value in figures.items() if not math.isnan(value)}
        self.history[-1].update(measured)
        if better(figures, self.best):
            self.best = figures
            store.save(self.training.checkpoint(figures), self.out / CHOSEN)
        self.keep()
        for name, value in measured.items():
            self._board.add_scalar(f"held_back/{name}", value, self.training.step)
        self._board.flush()
        draw_curves(self.history, self.out / "curves.png")
        said = " ".join(f"{name} {value:.3g}" for name, value in figures.items())
        waited = self._waited_s / max(1e-9, time.perf_counter() - self._began)
        self._bar.write(f"step {self.training.step}: {said}; {waited:.0%} of the time waiting for windows")


def _board(folder: Path, purge_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise MissingExtraError("training", error.name) from None
    return SummaryWriter(str(folder), purge_step=purge_step)
