"""Irregular camera time -> the network's steady step, with gaps named.

A step is taken at the first frame at or after its due time; steps that came due without a frame of their own are held
(the picture before serves again). So footage slower than the step is held, faster is thinned, and nothing waits for
the next frame. Time that jumps, forward past `gap_s` or backward, is a gap: the network starts again from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device.grid import GAP_S, Grid
from device.records import Frame


@dataclass(frozen=True, slots=True)
class Step:
    """One tick of the network's time and the picture it looks at.

    t: monotonic seconds on the step's own grid. held: no fresh frame came for it. reset: first step after a gap.
    """

    t: float
    wall: float
    frame: Frame
    held: bool
    reset: bool


@dataclass(frozen=True, slots=True)
class GreyStep:
    """A step as the network sees it and as an event keeps it: uint8 (raster height, raster width) grey levels."""

    t: float
    wall: float
    frame_id: int
    grey: NDArray[np.uint8]
    held: bool
    reset: bool


class Sampler:
    """Frames in, steps out; owns nothing but the last frame and the grid of steps."""

    def __init__(self, step_s: float = 0.1, gap_s: float = GAP_S) -> None:
        self.step_s = step_s
        self._grid = Grid(step_s, gap_s)
        self._last: Frame | None = None

    def push(self, frame: Frame) -> Iterator[Step]:
        """The steps that came due with this frame, oldest first; the last one, if any, shows the frame itself.

        Frames that were thinned at the source name the grid they were thinned to, and it is kept: with another phase
        every second one would come a moment too early.
        """
        last, self._last = self._last, frame
        if last is None or frame.grid != last.grid or self._grid.is_gap(frame.t):
            self._grid.begin(frame.t, frame.grid)
            t = frame.t if frame.grid is None else frame.grid + (self._grid.count - 1) * self.step_s
            yield Step(t, frame.wall + (t - frame.t), frame, held=False, reset=True)
            return
        due = self._grid.due(frame.t)
        for _ in range(due - 1):
            yield self._take(last, frame, held=True)
        if due > 0:
            yield self._take(frame, frame, held=False)

    def _take(self, shown: Frame, newest: Frame, *, held: bool) -> Step:
        t = self._grid.start + self._grid.count * self.step_s
        self._grid.count += 1
        return Step(t, newest.wall + (t - newest.t), shown, held=held, reset=False)
