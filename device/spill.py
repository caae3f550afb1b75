"""Alerts that the disk would not take: kept in memory, sent all the same, written down as soon as there is room.

One Spill is shared by the thread that sees and the thread that sends; every method takes its lock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from device.records import Alert, Incident, Receipt


@dataclass(frozen=True, slots=True)
class Letter:
    """One message on its way.

    seq: rises by one per message; 0 until it is on disk or in the spill. topic: below fallwatch/<site>/<unit>/.
    payload: as first written; seq, attempt and published_at come on sending. attempts: how often it was sent so far.
    """

    seq: int
    alert_id: str
    topic: str
    payload: dict[str, Any]
    created: float
    attempts: int = 0


@dataclass(slots=True)
class Unsaved:
    """One transition that is not on disk; receipt is set once the broker has its letter."""

    incident: Incident
    alert: Alert | None
    model_id: str
    letter: Letter | None
    receipt: Receipt | None = None


class Spill:
    """What is known only in memory, and the highest sequence number that was ever given out.

    settling: held by the thread that is writing it down, so that nothing is written twice.
    """

    def __init__(self) -> None:
        self.settling = threading.Lock()
        self._lock = threading.Lock()
        self._unsaved: list[Unsaved] = []
        self._highest = 0

    def note(self, seq: int) -> None:
        """Remember a sequence number that is taken."""
        with self._lock:
            self._highest = max(self._highest, seq)

    def next_seq(self, at_least: int = 0) -> int:
        """A sequence number above every one given out so far and above `at_least`; it is then taken."""
        with self._lock:
            self._highest = max(self._highest, at_least) + 1
            return self._highest

    def add(self, unsaved: Unsaved) -> None:
        with self._lock:
            self._unsaved.append(unsaved)

    def drop(self, unsaved: Unsaved) -> None:
        with self._lock:
            self._unsaved.remove(unsaved)

    def all(self) -> list[Unsaved]:
        """What is not on disk, in the order it happened."""
        with self._lock:
            return list(self._unsaved)

    def letters(self) -> list[Letter]:
        """Letters that are neither on disk nor on the broker."""
        return [one.letter for one in self.all() if one.letter is not None and one.receipt is None]

    def delivered(self, seq: int, receipt: Receipt) -> bool:
        """The broker has this letter; True when it was one of ours."""
        with self._lock:
            for one in self._unsaved:
                if one.letter is not None and one.letter.seq == seq:
                    one.receipt = receipt
                    return True
        return False

    def has_alert(self, alert_id: str) -> bool:
        return any(one.incident.id == alert_id and one.alert is not None for one in self.all())
