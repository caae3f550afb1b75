"""What a detector is worth: windows (measure/score.py's definition) and events (MODEL.md II.6). Pure functions.

Two units of account, never mixed: window figures say how well falls and everyday life are told apart on short clips;
event figures say what a nurse would have been told, how late, and how often for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BEFORE_FALL_S = 0.5
AFTER_FALL_S = 3.0
WINDOW_S = 4.0
SHORTEST_WINDOW_S = 1.5
"""A fall is the highest score in [start - 0.5, end + 3.0] s; everyday footage is cut into windows of 4 s, the last at
least 1.5 s (measure/score.py)."""

EARLIEST_S = -1.0
LATEST_S = 20.0
"""An incident answers a fall when it starts within [fall - 1 s, fall + 20 s] (MODEL.md II.6)."""

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClipWindows:
    """fall: the highest score of the fall, None in an everyday clip. everyday: the highest score of each window."""

    fall: float | None
    everyday: list[float]


def clip_windows(t: Series, score: Series, fall: tuple[float, float] | None, step_s: float = 0.1) -> ClipWindows:
    """Cut one clip's scores into its fall and its everyday windows. t: seconds from the start, rising."""
    if not len(t) or len(t) != len(score):
        raise ValueError(f"{len(t)} times for {len(score)} scores")
    start = fall[0] - BEFORE_FALL_S if fall else math.inf
    best = None
    if fall:
        inside = score[(t >= start) & (t <= fall[1] + AFTER_FALL_S)]
        best = float(inside.max()) if inside.size else 0.0
    everyday, t0, end = [], float(t[0]), min(float(t[-1]) + step_s, start)
    while end - t0 >= SHORTEST_WINDOW_S:
        inside = score[(t >= t0) & (t < min(t0 + WINDOW_S, end))]
        if inside.size:
            everyday.append(float(inside.max()))
        t0 += WINDOW_S
    return ClipWindows(best, everyday)


def window_auc(falls: Sequence[float], everyday: Sequence[float]) -> float:
    """Chance that a random fall scores above a random everyday window, ties counting half. nan if either is empty."""
    if not falls or not everyday:
        return math.nan
    above = np.subtract.outer(np.asarray(falls), np.asarray(everyday))
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def level_at(everyday: Sequence[float], share: float) -> float:
    """The score which just `share` of the everyday windows exceed: measure/score.py's alarm level."""
    ordered = sorted(everyday, reverse=True)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def recall_at(falls: Sequence[float], everyday: Sequence[float], share: float) -> float:
    """Share of falls above the level that `share` of the everyday windows may exceed. nan if either is empty."""
    if not falls or not everyday:
        return math.nan
    level = level_at(everyday, share)
    return sum(score > level for score in falls) / len(falls)


def false_share_at(falls: Sequence[float], everyday: Sequence[float], recall: float) -> float:
    """Share of everyday windows at or above the level that finds `recall` of the falls. nan if either is empty."""
    if not falls or not everyday:
        return math.nan
    ordered = sorted(falls, reverse=True)
    level = ordered[max(0, math.ceil(recall * len(ordered)) - 1)]
    return sum(score >= level for score in everyday) / len(everyday)


def smooth(t: Series, score: Series, over_s: float) -> Series:
    """Mean of the scores of the last `over_s` seconds, the present one included; what is not yet there is left out."""
    sums = np.concatenate(([0.0], np.cumsum(score, dtype=np.float64)))
    first = np.searchsorted(t, t - over_s + 1e-6)
    index = np.arange(len(t))
    return np.asarray((sums[index + 1] - sums[first]) / (index + 1 - first), np.float64)


@dataclass(frozen=True, slots=True)
class FallTime:
    """A true fall: start (balance lost) and rest (body at rest), seconds."""

    start: float
    rest: float


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An incident at one stage: when it began and when it reached the stage, seconds on the same clock.

    kind: fall, or floor where no fall was seen.
    """

    start: float
    confirmed: float
    kind: str = "fall"


@dataclass(frozen=True, slots=True)
class Events:
    """What came of one or more recordings at one stage (suspected or confirmed).

    delays_s: from the body at rest to the stage, one a detected fall; negative when reached before it lay still.
    since_start_s: the same from the loss of balance. The impact lies between the two; no table here has its time.
    """

    falls: int = 0
    detected: int = 0
    duplicates: int = 0
    false_alarms: int = 0
    delays_s: tuple[float, ...] = ()
    hours: float = 0.0
    since_start_s: tuple[float, ...] = ()

    def __add__(self, other: Events) -> Events:
        return Events(
            self.falls + other.falls,
            self.detected + other.detected,
            self.duplicates + other.duplicates,
            self.false_alarms + other.false_alarms,
            self.delays_s + other.delays_s,
            self.hours + other.hours,
            self.since_start_s + other.since_start_s,
        )

    @property
    def recall(self) -> float:
        """Detected falls of all falls; nan without falls."""
        return self.detected / self.falls if self.falls else math.nan

    @property
    def precision(self) -> float:
        """Detected falls of all incidents that are no duplicates; nan without incidents."""
        said = self.detected + self.false_alarms
        return self.detected / said if said else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision."""
        total = 2 * self.detected + self.false_alarms + (self.falls - self.detected)
        return 2 * self.detected / total if total else math.nan

    @property
    def false_per_hour(self) -> float:
        """False alarms per hour of footage; nan without footage."""
        return self.false_alarms / self.hours if self.hours else math.nan

    @property
    def false_per_hour_bound(self) -> float:
        """Upper 95 % Poisson bound of the rate: none in T hours only proves less than 3/T."""
        return poisson_upper(self.false_alarms) / self.hours if self.hours else math.nan

    def delay(self, share: float) -> float:
        """The delay from rest that `share` of the detected falls stay within; nan without any."""
        return nearest_rank(self.delays_s, share)

    def delay_from_start(self, share: float) -> float:
        """The delay from the loss of balance that `share` of the detected falls stay within; nan without any."""
        return nearest_rank(self.since_start_s, share)


def match_events(falls: Sequence[FallTime], incidents: Sequence[Confirmed], hours: float) -> Events:
    """One incident per fall: the first that starts in its reach. A further one within the reach of a fall already
    answered is a duplicate; one within no fall's reach is a false alarm."""
    answered: dict[int, float] = {}
    duplicates = false_alarms = 0
    for incident in sorted(incidents, key=lambda i: (i.start, i.confirmed)):
        near = [n for n, fall in enumerate(falls) if EARLIEST_S <= incident.start - fall.start <= LATEST_S]
        free = [n for n in near if n not in answered]
        if free:
            answered[free[0]] = incident.confirmed
        elif near:
            duplicates += 1
        else:
            false_alarms += 1
    order = sorted(answered)
    from_rest = tuple(answered[n] - falls[n].rest for n in order)
    from_start = tuple(answered[n] - falls[n].start for n in order)
    return Events(len(falls), len(answered), duplicates, false_alarms, from_rest, hours, from_start)


def nearest_rank(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0..1) of the values do not exceed; nan without any."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


def window_roc(falls: Sequence[float], everyday: Sequence[float]) -> tuple[Series, Series]:
    """Share of everyday windows and share of falls at or above each level, from the highest level down.

    Both start at 0 and end at 1; the area under the line through the points is `window_auc`. Raises ValueError if
    either is empty.
    """
    if not falls or not everyday:
        raise ValueError("a curve needs at least one fall and one everyday window")
    levels = np.unique([*falls, *everyday])[::-1]
    shares = [np.mean(np.asarray(scores)[None] >= levels[:, None], axis=1) for scores in (everyday, falls)]
    false, found = (np.concatenate(([0.0], share)) for share in shares)
    return false, found


@dataclass(frozen=True, slots=True)
class RatePoint:
    """What the policy gives at one threshold: share of falls found, false alarms a day, and the most it may be (95 %).

    level: fall evidence that makes a fall suspected. hours: of the everyday footage behind the rate.
    """

    level: float
    recall: float
    per_day: float
    per_day_bound: float
    hours: float


def rate_point(level: float, falls: Events, everyday: Events) -> RatePoint:
    """One point of recall against false alarms a day: recall from clips with falls, the rate from everyday footage."""
    per_day, bound = 24 * everyday.false_per_hour, 24 * everyday.false_per_hour_bound
    return RatePoint(level, falls.recall, per_day, bound, everyday.hours)


def poisson_upper(count: int, confidence: float = 0.95) -> float:
    """The largest mean under which `count` or fewer events still happen with probability 1 - confidence."""
    low, high = float(count), count + 10.0 * math.sqrt(count + 1.0) + 10.0
    for _ in range(100):
        mean = (low + high) / 2
        at_most = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))
        low, high = (mean, high) if at_most > 1 - confidence else (low, mean)
    return (low + high) / 2
