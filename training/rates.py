"""Recall against false alarms a day: the policy at one threshold after another, over falls and over everyday life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from device.card import Thresholds
from training.hours import Days
from training.judged import NEVER_SEEN_ROOMS, Scored
from training.metrics import Events, RatePoint, rate_point
from training.table import matched
from training.unit_policy import Answers, down_transitions, held_on, records

LEVELS: Final = tuple(np.round(np.arange(0.1, 0.96, 0.05), 2).tolist())
"""Fall evidence that makes a fall suspected; half of it leaves, as in every card. What counts as down stays the
model's own."""


def rate_curve(scored: Sequence[Scored], days: Days | None, stage: str, own: Thresholds) -> list[RatePoint]:
    """A point a level: falls of clips in rooms never seen; false alarms of simulated days, or of everyday clips in
    rooms never seen where there are no days. The last second of a fall clip is held, so that it can be confirmed.
    own: the thresholds of the model that is judged."""
    never = [one for one in scored if one.protocol in NEVER_SEEN_ROOMS and not one.clip.on_floor]
    falls = [one for one in never if one.fall]
    everyday = [one for one in never if not one.fall]
    if not falls or not (days or everyday):
        return []
    from tqdm import tqdm

    points = []
    for level in tqdm(LEVELS, desc=f"curve of {stage}", unit="level"):
        at = own.model_copy(update={"fall_on": level, "fall_off": level / 2})
        found = sum((_played(one, at, stage, held_on(one.answers)) for one in falls), Events())
        if days:
            false = days.events(stage, at)
        else:
            false = sum((_played(one, at, stage, one.answers) for one in everyday), Events())
        points.append(rate_point(level, found, false))
    return points


def _played(one: Scored, thresholds: Thresholds, stage: str, answers: Answers) -> Events:
    return matched(one, down_transitions(records(answers), thresholds), stage)
