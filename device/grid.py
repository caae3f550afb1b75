"""The steady grid of steps over irregular camera time: which moments take a step, and where a gap begins it anew.

Both ends use it: the capture process, to convert only the pictures that will be looked at, and the sampler, which
must come to the same answer from those alone. It needs nothing but arithmetic, so that the former stays small.
"""

from __future__ import annotations

import math

EARLY_S = 0.005
"""A frame this little before its due time still takes the step: container time stamps are rounded to milliseconds."""

GAP_S = 1.0
"""Longer without a frame is a gap: held pictures would tell the network that nothing moved for a second."""


class Grid:
    """Moments in, steps due out; owns nothing but the last moment and the next due time.

    start: monotonic seconds of step 0. count: steps taken or passed over; step `count` is the next one.
    """

    def __init__(self, step_s: float, gap_s: float = GAP_S) -> None:
        self.step_s = step_s
        self.gap_s = gap_s
        self.start = 0.0
        self.count = 0
        self._last: float | None = None

    def is_gap(self, t: float) -> bool:
        """True when a frame at t begins anew: the first one, after a gap, or when time runs backwards."""
        return self._last is None or not -EARLY_S <= t - self._last <= self.gap_s

    def begin(self, t: float, start: float | None = None) -> None:
        """Begin anew at t. start: of a grid that somebody else laid; None lays one that starts at t."""
        self._last = t
        self.start = t if start is None else start
        self.count = self._passed(t)

    def due(self, t: float) -> int:
        """How many steps a frame at t, which is no gap, brings; the last of them is its own."""
        self._last = t
        return max(0, self._passed(t) - self.count)

    def takes(self, t: float) -> bool:
        """Move on to a frame at t; True when it takes a step of its own."""
        if self.is_gap(t):
            self.begin(t)
            return True
        due = self.due(t)
        self.count += due
        return due > 0

    def would_take(self, t: float) -> bool:
        """Whether a frame at t would take a step."""
        return self.is_gap(t) or self._passed(t) > self.count

    def _passed(self, t: float) -> int:
        """Steps whose time has come by t."""
        return math.floor((t - self.start + EARLY_S) / self.step_s) + 1
