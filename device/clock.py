"""Time comes in through one door: the system's clock on the wall, the footage's own clock in replay."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for durations, Unix seconds for people."""

    def now(self) -> float: ...

    def wall(self) -> float: ...


class SystemClock:
    """The clock of the machine: CLOCK_MONOTONIC and Unix time."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


@dataclass(slots=True)
class ReplayClock:
    """The clock of a recording: `t` is set by whoever plays it, `epoch` is the Unix time of its first moment."""

    epoch: float = 0.0
    t: float = 0.0

    def now(self) -> float:
        return self.t

    def wall(self) -> float:
        return self.epoch + self.t


def rfc3339(wall: float) -> str:
    """Unix seconds -> UTC text with milliseconds, as every payload writes it: 2026-11-22T03:14:07.120Z."""
    moment = datetime.fromtimestamp(wall, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
