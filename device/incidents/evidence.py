"""The small parts of policy: a mean over time, a two-threshold switch, a budget that fills and drains; in seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

LONGEST_STEP_S = 0.5
"""More time than this between two scores was not watched, so it does not count as evidence (a step is 0.1 s)."""


@dataclass(slots=True)
class MovingMean:
    """Mean of the values of the last `window_s` seconds."""

    window_s: float
    _values: deque[tuple[float, float]] = field(default_factory=deque)

    def update(self, t: float, value: float) -> float:
        """Add a value and return the mean of the window that ends with it."""
        self._values.append((t, value))
        while t - self._values[0][0] >= self.window_s - 1e-6:
            self._values.popleft()
        return sum(value for _, value in self._values) / len(self._values)

    def clear(self) -> None:
        self._values.clear()


@dataclass(slots=True)
class Switch:
    """On at `enter` and above, off below `leave`; in between it stays as it is."""

    enter: float
    leave: float
    on: bool = False

    def update(self, value: float) -> bool:
        self.on = value >= (self.leave if self.on else self.enter)
        return self.on


@dataclass(slots=True)
class Budget:
    """Seconds of evidence: fills while something is so, drains `drain` times as fast while it is not, never below 0."""

    drain: float
    seconds: float = 0.0

    def update(self, dt: float, so: bool) -> float:
        dt = min(max(dt, 0.0), LONGEST_STEP_S)
        self.seconds = max(0.0, self.seconds + (dt if so else -self.drain * dt))
        return self.seconds

    def clear(self) -> None:
        self.seconds = 0.0
