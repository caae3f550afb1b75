"""What the unit would have said over scored footage: its own incidents (device.incidents), at its default settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from device.card import Thresholds
from device.incidents import Incidents, policy_of
from device.incidents.down import DownWatch
from device.preprocess import Raster, motion_share, stack
from device.records import Incident, Scores
from device.settings import Settings
from training.metrics import Confirmed

KINDS = ("fall", "floor")
"""What an incident must be to answer a fall: seen falling, or found on the floor."""

STAGES = ("suspected", "confirmed")
"""Suspected is shown and silent; confirmed rings."""


@dataclass(frozen=True, slots=True)
class View:
    """What the loop notes of each picture besides the network's answer; arrays over steps, as in Scores."""

    motion: NDArray[np.float64]
    light: NDArray[np.float64]
    contrast: NDArray[np.float64]
    still: NDArray[np.bool_]


def view_of(grey: NDArray[np.uint8], raster: Raster) -> View:
    """The view of one stretch of footage without a gap; grey: uint8 (steps, height, width) on the raster."""
    motion = np.array([motion_share(picture) for picture in stack(grey, raster)], np.float64)
    still = np.zeros(len(grey), bool)
    still[1:] = (grey[1:] == grey[:-1]).all(axis=(1, 2))
    return View(motion, grey.mean(axis=(1, 2)) / 255.0, grey.std(axis=(1, 2)) / 255.0, still)


def ordinary_view(steps: int) -> View:
    """A picture in which nothing is the matter: for footage too short to blind a unit. Falls do not depend on it."""
    return View(np.zeros(steps), np.full(steps, 0.5), np.full(steps, 0.2), np.zeros(steps, bool))


@dataclass(frozen=True, slots=True)
class Answers:
    """A network's answers over footage. t: seconds (steps,). reset: first steps after a gap. probabilities: (steps,
    labels). warm_steps: how many steps after a reset count for nothing."""

    t: NDArray[np.float64]
    reset: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    warm_steps: int

    @property
    def warm(self) -> NDArray[np.bool_]:
        """Whether the network had made enough steps since it last started from nothing: bool (steps,)."""
        index = np.arange(len(self.reset))
        last = np.maximum.accumulate(np.where(self.reset, index, 0))
        return np.asarray(index - last + 1 >= self.warm_steps)


def records(answers: Answers, view: View | None = None) -> list[Scores]:
    """The same records the loop hands to the policy, one a step."""
    view = view or ordinary_view(len(answers.t))
    rows = zip(
        answers.t.tolist(),
        answers.probabilities.tolist(),
        view.motion.tolist(),
        view.light.tolist(),
        view.contrast.tolist(),
        view.still.tolist(),
        answers.warm.tolist(),
        strict=True,
    )
    return [
        Scores(t, t, n, tuple(row), motion, light, contrast, still, 0.0, warm, "evaluated", 0.0)
        for n, (t, row, motion, light, contrast, still, warm) in enumerate(rows)
    ]


def transitions(scores: Iterable[Scores], thresholds: Thresholds) -> list[Incident]:
    """Every transition of every kind of incident: the whole policy."""
    numbers = count()
    policy = Incidents(policy_of(Settings(), thresholds), lambda wall: str(next(numbers)))
    return [incident for one in scores for incident in policy.update(one)]


def down_transitions(scores: Iterable[Scores], thresholds: Thresholds) -> list[Incident]:
    """The transitions of falls and of people on the floor alone: what thresholds are tried out with, at half the cost.

    Equal to `transitions` in these kinds, which know nothing of the others.
    """
    numbers = count()
    watch = DownWatch(policy_of(Settings(), thresholds), lambda wall: str(next(numbers)))
    return [incident for one in scores if one.warm for incident in watch.update(one)]


def reached(said: Sequence[Incident], stage: str) -> list[Confirmed]:
    """When each fall or floor incident first came to a stage, in the order they began."""
    found: dict[str, Confirmed] = {}
    for incident in said:
        if incident.kind in KINDS and incident.stage == stage:
            found.setdefault(incident.id, Confirmed(incident.t_start, incident.t, incident.kind))
    return list(found.values())


TAIL_S = 6.0
"""Clips of falls end a few seconds after them, often before the five seconds that confirm: this much is added."""


def held_on(answers: Answers, for_s: float = TAIL_S, step_s: float = 0.1) -> Answers:
    """The same with the mean of its last second held for a while longer.

    What the policy then confirms is measured on what the network said of the person at rest, not on the cut.
    """
    more = round(for_s / step_s)
    last = answers.probabilities[-round(1.0 / step_s) :].mean(axis=0)
    return Answers(
        np.concatenate((answers.t, answers.t[-1] + step_s * np.arange(1, more + 1))),
        np.concatenate((answers.reset, np.zeros(more, bool))),
        np.concatenate((answers.probabilities, np.tile(last, (more, 1)))),
        answers.warm_steps,
    )
