"""Once a second: alerts ring again, what staff switched is over, and what people answered elsewhere is heard."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass

from device.alert_life import Life
from device.feature import holds
from device.outbox import Outbox
from device.records import Receipt

LOOK_S = 1.0
"""A ring is at most this much late; one look is a few reads of small tables."""
CONSOLE = "console"
"""The door through which the unit's own page answers alerts (Journal.answers_via)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one look brought.

    helpless: alerts that ring and that no consumer has. answers: what people said on the unit's own page. private:
    rooms of which no pictures are to be kept now.
    """

    helpless: tuple[Life, ...]
    answers: tuple[Receipt, ...]
    private: frozenset[str]


class Ringing:
    """The unit's own look at its alerts, over the outbox of the thread that sees."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._due = float("-inf")
        self._seen = 0
        with suppress(sqlite3.Error):  # a journal that cannot be read is looked at from its start later
            self._seen = outbox.journal.last_seq()

    def look(self, wall: float, t: float) -> Heard | None:
        """What time and people have brought; None before the next look is due. Never raises for a failing disk."""
        if t < self._due:
            return None
        self._due = t + LOOK_S
        helpless = self._outbox.tick(wall, t)
        return Heard(tuple(helpless), self._answers(), self._private(wall, t))

    def _answers(self) -> tuple[Receipt, ...]:
        try:
            found = self._outbox.journal.answers_via(CONSOLE, self._seen)
        except sqlite3.Error:
            return ()
        if found:
            self._seen = found[-1][0]
        return tuple(receipt for _, receipt in found)

    def _private(self, wall: float, t: float) -> frozenset[str]:
        now = self._outbox.moment(wall, t)
        return frozenset(one.room for one in self._outbox.features("privacy") if holds(one, now))
