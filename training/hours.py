"""Hours of everyday life without a fall, played through the whole policy: what rings for nothing, and how often.

The footage is made by `fallwatch synth --hours`: pieces of some minutes, each one room, one camera. Spans in which
somebody is on the floor on purpose (meta `on_purpose`, seconds) are counted apart: a unit may speak up there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.card import Thresholds
from device.labels import FALLING, INDEX, LABELS
from device.records import Incident
from training.footage import STEP_S
from training.judged import Model, unseen
from training.metrics import Confirmed, Events
from training.pieces import Piece, film_of, pieces_in, read_piece
from training.unit_policy import Answers, down_transitions, reached, records, transitions, view_of

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One incident that came to a stage where nobody fell. start, t: seconds into the piece. truth: the label at t.

    kind: fall, or floor: somebody is said to be on the floor without a fall having been seen. Both ring.
    """

    piece: Path
    start: float
    t: float
    truth: str
    on_purpose: bool
    kind: str


@dataclass(frozen=True, slots=True)
class Hour:
    """One piece as scored: the network's answers, the truth, the spans on purpose, what the policy said."""

    path: Path
    answers: Answers
    label: NDArray[np.uint8] | None
    on_purpose: tuple[tuple[float, float], ...]
    said: tuple[Incident, ...]

    @property
    def hours(self) -> float:
        """Length outside the spans on purpose."""
        t = self.answers.t
        apart = np.zeros(len(t), bool)
        for start, end in self.on_purpose:
            apart |= (t >= start) & (t < end)
        return float((~apart).sum()) * STEP_S / 3600

    def alarms(self, stage: str) -> list[Alarm]:
        """Falls and floor incidents that reached a stage."""
        return [self._alarm(one) for one in reached(self.said, stage)]

    def _alarm(self, one: Confirmed) -> Alarm:
        start, t = one.start, one.confirmed
        return Alarm(self.path, start, t, self._truth(t), self._apart(start, t), one.kind)

    def _apart(self, start: float, t: float) -> bool:
        return any(start <= end and t >= begin for begin, end in self.on_purpose)

    def _truth(self, t: float) -> str:
        if self.label is None:
            return UNKNOWN
        return LABELS[int(self.label[min(len(self.label) - 1, round(t / STEP_S))])]


@dataclass(frozen=True, slots=True)
class Days:
    """All pieces of a folder as scored by one model."""

    folder: Path
    pieces: tuple[Hour, ...]

    @property
    def hours(self) -> float:
        """Everyday hours, spans on purpose left out."""
        return sum(piece.hours for piece in self.pieces)

    @property
    def hours_on_purpose(self) -> float:
        """Hours with somebody on the floor on purpose."""
        return sum(len(piece.answers.t) for piece in self.pieces) * STEP_S / 3600 - self.hours

    def at(self, thresholds: Thresholds) -> Days:
        """The same answers as the policy would take them at other thresholds: falls and floor incidents alone."""
        said = [tuple(down_transitions(records(piece.answers), thresholds)) for piece in self.pieces]
        return replace(
            self, pieces=tuple(replace(piece, said=words) for piece, words in zip(self.pieces, said, strict=True))
        )

    def alarms(self, stage: str) -> list[Alarm]:
        """Every incident that reached a stage, on purpose or not."""
        return [alarm for piece in self.pieces for alarm in piece.alarms(stage)]

    def events(self, stage: str) -> Events:
        """False alarms and hours, spans on purpose left out of both."""
        wrong = [alarm for alarm in self.alarms(stage) if not alarm.on_purpose]
        return Events(false_alarms=len(wrong), hours=self.hours)

    def faults(self) -> Counter[str]:
        """Faults of sight the policy latched, by cause: a real room's light must not blind the unit."""
        latched = [one for piece in self.pieces for one in piece.said if one.kind == "blind" and one.stage == "latched"]
        return Counter(str(one.detail.get("cause", "")) for one in latched)


def day_paths(folder: Path, model: Model) -> Sequence[Path]:
    """The pieces of a folder. Raises ValueError where there are none, or the model was trained on one."""
    return unseen(pieces_in(folder, "day_*.npz"), model)


def score_days(folder: Path, model: Model) -> Days:
    """Every piece of a folder (day_*.npz) through the model and the policy, with a progress bar.

    Raises ValueError naming a piece that cannot be read, in which somebody falls, or that was trained on.
    """
    from tqdm import tqdm

    paths = day_paths(folder, model)
    return Days(folder, tuple(score_piece(path, model) for path in tqdm(paths, desc="days", unit="piece")))


def score_piece(path: Path, model: Model) -> Hour:
    """One piece through the model and the whole policy."""
    piece = read_piece(path)
    if piece.label is not None and bool((piece.label == INDEX[FALLING]).any()):
        raise ValueError(f"{path}: somebody falls in it; a day of everyday life has no fall, make it again")
    film = film_of(piece.grey, model.raster)
    answers = model.answers(film)
    said = transitions(records(answers, view_of(film.grey, model.raster)), model.thresholds)
    return Hour(path, answers, piece.label, spans_on_purpose(piece), tuple(said))


def spans_on_purpose(piece: Piece) -> tuple[tuple[float, float], ...]:
    """Seconds in which somebody is on the floor on purpose."""
    given: Sequence[Any] = piece.meta.get("on_purpose", ())
    return tuple((float(start), float(end)) for start, end in given)


def days_text(days: Days, stage: str) -> str:
    """One line a stage: how often, as what, what the truth was, and what was counted apart."""
    alarms, found = days.alarms(stage), days.events(stage)
    wrong = [alarm for alarm in alarms if not alarm.on_purpose]
    kinds, truths = Counter(alarm.kind for alarm in wrong), Counter(alarm.truth for alarm in wrong)
    said = [f"{count} as {kind}" for kind, count in kinds.most_common()]
    words = ", ".join([*said, *(f"{count} while {truth}" for truth, count in truths.most_common())])
    return (
        f"{'simulated days':26} {stage:10} {found.false_alarms} false in {found.hours:.2f} h: "
        f"{found.false_per_hour:.2f}/h (< {found.false_per_hour_bound:.2f}/h at 95 %)"
        f"{f' ({words})' if words else ''}; apart, on the floor on purpose: "
        f"{sum(alarm.on_purpose for alarm in alarms)} in {days.hours_on_purpose:.2f} h"
    )
