"""The unit cannot see: no frames, a frozen or black picture, a network that says the same thing whatever it sees.

Silence must never look like safety: blindness is a latched fault with its cause, until the picture has been good for
a while.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from device.incidents.policy import NewId, Policy, latched
from device.records import Incident, Scores

BLANK_CONTRAST = 0.008
"""Standard deviation of the grey level, 0..1, below which a picture is blank: two grey levels of 255."""

CONSTANT_S = 60.0
"""A network whose output is the same to the last bit this long, while the picture moves, is broken."""


@dataclass(slots=True)
class _Since:
    """Since when something has been so; None while it is not."""

    t: float | None = None

    def update(self, so: bool, t: float) -> float:
        """Seconds it has been so."""
        if not so:
            self.t = None
            return 0.0
        if self.t is None:
            self.t = t
        return t - self.t


class BlindWatch:
    """Judges the picture, not the person."""

    def __init__(self, policy: Policy, new_id: NewId) -> None:
        self.policy = policy
        self._new_id = new_id
        self._frozen, self._black, self._constant, self._good = (_Since() for _ in range(4))
        self._last: Scores | None = None
        self._last_frame_t: float | None = None
        self.open: Incident | None = None

    def update(self, scores: Scores) -> list[Incident]:
        """The transitions that one step of scores brings."""
        cause = self._cause(scores)
        self._last, self._last_frame_t = scores, scores.t
        return self._settle(cause, scores.t, scores.wall)

    def tick(self, t: float, wall: float) -> list[Incident]:
        """The transitions that time without a frame brings; t counts on from the start of the loop."""
        if self._last_frame_t is None:
            self._last_frame_t = t
        if t - self._last_frame_t < self.policy.blind.no_frames_s:
            return []
        self._good.update(False, t)
        return self._settle("no_frames", t, wall)

    def _cause(self, scores: Scores) -> str | None:
        limits, t, last = self.policy.blind, scores.t, self._last
        same = last is not None and last.probabilities == scores.probabilities
        durations = {
            "frozen": self._frozen.update(scores.still, t) / limits.frozen_s,
            "black": self._black.update(scores.light < limits.dark or scores.contrast < BLANK_CONTRAST, t)
            / limits.black_s,
            "constant_output": self._constant.update(same and not scores.still, t) / CONSTANT_S,
        }
        worst = max(durations, key=lambda cause: durations[cause])
        self._good.update(not any(since.t is not None for since in (self._frozen, self._black, self._constant)), t)
        return worst if durations[worst] >= 1.0 else None

    def _settle(self, cause: str | None, t: float, wall: float) -> list[Incident]:
        if cause is not None:
            return self._latch(cause, t, wall)
        if self.open is None or self._good.t is None or t - self._good.t < self.policy.blind.clear_s:
            return []
        cleared = replace(self.open, stage="cleared", t=t, wall=wall, ended=True)
        self.open = None
        return [cleared]

    def _latch(self, cause: str, t: float, wall: float) -> list[Incident]:
        if self.open is not None and self.open.detail["cause"] == cause:
            return []
        if self.open is not None:
            self.open = replace(self.open, t=t, wall=wall, detail={"cause": cause})
        else:
            self.open = latched("blind", cause, t, wall, self._new_id(wall))
        return [self.open]
