"""Figures of two forms over the same footage: differences of probabilities, drift, the falls each tells. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from device.card import Thresholds
from quantize.agreement import Agreement, compare_runs
from quantize.parity.footage import Reference
from quantize.parity.forms import Scores
from quantize.parity.runs import ClipRun
from training.metrics import EARLIEST_S, LATEST_S, clip_windows, smooth
from training.scoring import WindowFigures, evidence, window_figures
from training.unit_policy import KINDS, STAGES, Answers, down_transitions, held_on, records


@dataclass(frozen=True, slots=True)
class Drift:
    """Whether a form strays further from float after a long time than at first, over the very same pictures.

    first, last: 99th percentile of |probability difference| in the first and the last sixth of the stream, which show
    the same. echo: largest |difference| between what the form itself says the first and the last time.
    """

    first: float
    last: float
    echo: float

    @property
    def grown(self) -> float:
        """By how much the last exceeds the first; negative where it shrank."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Told:
    """What the policy made of one clip: stage -> the moment, seconds, that answers its fall; and all its incidents."""

    answered: dict[str, float]
    incidents: dict[str, int]


@dataclass(frozen=True, slots=True)
class Change:
    """A fall that one form tells and the other does not. stage: suspected (silent) or confirmed (rings)."""

    clip: str
    stage: str


@dataclass(frozen=True, slots=True)
class Falls:
    """The reference falls by one form: how many came to each stage, which were lost or won against the reference form,
    by how much the latest moment moved, and how many incidents everyday clips gave."""

    reached: dict[str, int]
    lost: tuple[Change, ...]
    won: tuple[Change, ...]
    moved_s: float
    everyday: dict[str, int]


def agreement(truth: Sequence[Scores], found: Sequence[Scores]) -> Agreement:
    """Over all steps and labels of all clips."""
    return compare_runs(truth, found)


def drift(truth: Scores, found: Scores, block: int, settle: int) -> Drift:
    """settle: steps at the start of both blocks that still hear what came before them; left out of the echo."""
    strayed = np.abs(truth.astype(np.float64) - found)
    first, last = (float(np.percentile(part, 99)) for part in (strayed[:block], strayed[-block:]))
    settled = slice(min(settle, block - 1), block)
    echo = np.abs(found[:block][settled].astype(np.float64) - found[-block:][settled])
    return Drift(first, last, float(echo.max()))


def told(reference: Reference, said: Scores, thresholds: Thresholds, warm_steps: int) -> Told:
    """The unit's own policy over one clip; the last second of a fall is held on, so that it can confirm.

    A fall is answered at a stage by the first fall or floor incident that comes to it from 1 s before the loss of
    balance to 20 s after it.
    """
    film = reference.film
    answers = Answers(film.t, film.reset, said.astype(np.float64), warm_steps)
    incidents = down_transitions(records(held_on(answers) if reference.fall else answers), thresholds)
    moments = {stage: [one.t for one in incidents if one.kind in KINDS and one.stage == stage] for stage in STAGES}
    answered: dict[str, float] = {}
    for stage, times in moments.items():
        start = None if reference.fall is None else reference.fall.start
        near = [t for t in times if start is not None and EARLIEST_S <= t - start <= LATEST_S]
        answered |= {stage: near[0]} if near else {}
    return Told(answered, {stage: len(times) for stage, times in moments.items()})


def falls(references: Sequence[Reference], truth: Sequence[Told], found: Sequence[Told]) -> Falls:
    """One form's falls against the reference form's."""
    changes: dict[bool, list[Change]] = {True: [], False: []}
    moved, everyday = 0.0, dict.fromkeys(STAGES, 0)
    for reference, one, other in zip(references, truth, found, strict=True):
        if reference.fall is None and not reference.on_floor:
            everyday = {stage: count + other.incidents[stage] for stage, count in everyday.items()}
        for stage in STAGES:
            before, after = one.answered.get(stage), other.answered.get(stage)
            if (before is None) != (after is None):
                changes[after is None].append(Change(reference.name, stage))
            elif before is not None and after is not None:
                moved = max(moved, abs(after - before))
    reached = {stage: sum(stage in one.answered for one in found) for stage in STAGES}
    return Falls(reached, tuple(changes[True]), tuple(changes[False]), moved, everyday)


def windows_of(runs: Sequence[ClipRun], form: str, smoothing_s: float) -> WindowFigures:
    """Window figures as `fallwatch evaluate` counts them: clips with somebody on the floor on purpose are left out."""
    cut = []
    for run in runs:
        reference = run.reference
        if reference.on_floor:
            continue
        score = evidence(run.said[form].astype(np.float64))
        t = reference.film.t
        fall = None if reference.fall is None else (reference.fall.start, reference.fall.rest)
        cut.append(clip_windows(t, smooth(t, score, smoothing_s) if smoothing_s else score, fall))
    return window_figures(cut)


def by_minutes(truth: Scores, found: Scores, steps: int) -> NDArray[np.float64]:
    """99th percentile of |difference| in each stretch of `steps`; the last, shorter one included."""
    strayed = np.abs(truth.astype(np.float64) - found)
    return np.asarray([np.percentile(strayed[at : at + steps], 99) for at in range(0, len(strayed), steps)])


def counted(changes: Sequence[Change]) -> str:
    """Changes in words, clip by clip."""
    ordered = sorted(changes, key=lambda change: change.clip)
    said: Mapping[str, list[str]] = {
        clip: [one.stage for one in group] for clip, group in groupby(ordered, key=lambda change: change.clip)
    }
    return "; ".join(f"{clip} ({', '.join(stages)})" for clip, stages in said.items())
