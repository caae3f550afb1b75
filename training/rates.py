"""Recall against false alarms a day: the policy at one threshold after another, over falls and over everyday life."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from device.card import Thresholds
from device.records import Incident
from training.hours import Days
from training.judged import NEVER_SEEN_ROOMS, Scored
from training.metrics import RatePoint, rate_point
from training.table import events
from training.unit_policy import STAGES, Answers, down_transitions, held_on, records

LEVELS: Final = tuple(np.round(np.arange(0.1, 0.96, 0.05), 2).tolist())
"""Fall evidence that makes a fall suspected; half of it leaves, as in every card. What counts as down stays the
model's own."""


def rate_curves(scored: Sequence[Scored], days: Days | None, own: Thresholds) -> dict[str, list[RatePoint]]:
    """Stage -> a point a level: falls of clips in rooms never seen; false alarms of simulated days, or of everyday
    clips in rooms never seen where there are no days. The last second of a fall clip is held, so that it can be
    confirmed. own: the thresholds of the model that is judged. No points without falls or without everyday footage."""
    never = [one for one in scored if one.protocol in NEVER_SEEN_ROOMS and not one.clip.on_floor]
    falls = [one for one in never if one.fall]
    everyday = [one for one in never if not one.fall]
    curves: dict[str, list[RatePoint]] = {stage: [] for stage in STAGES}
    if not falls or not (days or everyday):
        return curves
    from tqdm import tqdm

    for level in tqdm(LEVELS, desc="recall against false alarms", unit="level"):
        at = own.model_copy(update={"fall_on": level, "fall_off": level / 2})
        fell = [(one, _said(held_on(one.answers), at)) for one in falls]
        calm = [] if days else [(one, _said(one.answers, at)) for one in everyday]
        played = days.at(at) if days else None
        for stage, points in curves.items():
            false = played.events(stage) if played else events(calm, stage)
            points.append(rate_point(level, events(fell, stage), false))
    return curves


def _said(answers: Answers, thresholds: Thresholds) -> list[Incident]:
    return down_transitions(records(answers), thresholds)
