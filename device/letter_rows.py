"""The two tables in which letters lie: what waits for the broker, and what the broker has and no consumer says it has.

Every method that writes is called inside a transaction that the caller has open.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from device.journal import Journal
from device.overtaking import overtakes
from device.records import Receipt
from device.settings_alerts import Alerts
from device.spill import Letter
from device.store import StoreError, is_damage
from device.unreadable import WRONG, body_from, drop_unreadable

log = logging.getLogger(__name__)


class LetterRows:
    """The letters of one unit over a journal of the calling thread; times: whose receipt counts."""

    def __init__(self, journal: Journal, times: Alerts) -> None:
        self.journal = journal
        self._times = times

    def read(self, query: str, *values: str | float) -> list[sqlite3.Row]:
        """Rows of one question, of a new store where another has taken this one's place. Raises StoreError."""
        self.journal.follow()
        try:
            return self.journal.connection.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            text = f"{self.journal.folder}: the outbox cannot be read ({error}); check the disk"
            raise StoreError(text, damaged=is_damage(error)) from None

    def letters(self, query: str, *values: str | float) -> list[Letter]:
        """The same as letters; one that cannot be read is taken out and said, the others go on. Raises StoreError."""
        rows = self.read(query, *values)
        found = [letter for row in rows if (letter := _letter_from(row)) is not None]
        if len(found) < len(rows):
            with suppress(StoreError, sqlite3.Error):  # a disk that takes nothing: looked over again the next time
                drop_unreadable(self.journal)
        return found

    def insert(self, seq: int, letter: Letter) -> None:
        """Let it wait for the broker; what it overtakes waits no longer, and the journal says so."""
        for gone in self._overtaken("outbox", letter.alert_id, seq, letter.payload):
            t = float(letter.payload["mono_ms"]) / 1000.0
            self.journal.append("overtaken", letter.created, t, {"seq": gone, "for": seq}, letter.alert_id)
        self.journal.connection.execute(
            "INSERT INTO outbox (seq, alert_id, topic, payload, created, attempts) VALUES (?, ?, ?, ?, ?, ?)",
            (seq, letter.alert_id, letter.topic, json.dumps(letter.payload), letter.created, letter.attempts),
        )

    def confirmed(self, seq: int, receipt: Receipt, wall: float, t: float, *, heard: bool) -> None:
        """The broker has it. What was overtaken while it was on its way has gone before and is not told of twice."""
        row = self.journal.connection.execute("SELECT * FROM outbox WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            return
        letter = _letter_from(row)
        if letter is not None and not heard:
            self.watch(seq, letter, wall)
        self.journal.connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,))
        self.journal.put_receipt(receipt, wall, t)

    def watch(self, seq: int, letter: Letter, broker_wall: float) -> None:
        """The broker has it since broker_wall (Unix seconds): let it wait for a consumer, where one has to have it."""
        if not self.wants_consumer(letter.payload):
            return
        self._overtaken("unheard", letter.alert_id, seq, letter.payload)
        self.journal.connection.execute(
            "INSERT OR REPLACE INTO unheard VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                seq,
                letter.alert_id,
                letter.topic,
                json.dumps(letter.payload),
                letter.created,
                letter.attempts,
                broker_wall,
            ),
        )

    def heard(self, alert_id: str, to: int) -> None:
        """A consumer has the messages of this alert up to number `to`, or none has to have them any more."""
        self.journal.connection.execute("DELETE FROM unheard WHERE alert_id = ? AND seq <= ?", (alert_id, to))

    def wants_consumer(self, payload: Mapping[str, Any]) -> bool:
        """What calls somebody, and everything where only a consumer's receipt counts."""
        return self._times.receipt == "consumer" or (self._times.consumer_receipts and bool(payload.get("ring")))

    def last_seq(self, *, counted: bool) -> int:
        """The highest number ever on disk. Where it cannot be read: 0 when numbers are `counted` in memory, else the
        Unix time, which is above any count of messages."""
        try:
            row = self.journal.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        except sqlite3.Error:
            return 0 if counted else int(time.time())
        return 0 if row is None else int(row["seq"])

    def _overtaken(self, table: str, alert_id: str, seq: int, payload: Mapping[str, Any]) -> Sequence[int]:
        """Take out of one table what this message overtakes; their numbers."""
        rows = self.journal.connection.execute(
            f"SELECT * FROM {table} WHERE alert_id = ? AND seq < ?", (alert_id, seq)
        ).fetchall()
        older = [letter for row in rows if (letter := _letter_from(row)) is not None]
        gone = [letter.seq for letter in older if overtakes(payload, letter.payload)]
        self.journal.connection.executemany(f"DELETE FROM {table} WHERE seq = ?", [(one,) for one in gone])
        return gone


def _letter_from(row: sqlite3.Row) -> Letter | None:
    """None for one that cannot be read."""
    try:
        payload = body_from(row["payload"])
    except WRONG:
        log.debug("letter %s cannot be read", row["seq"])
        return None
    return Letter(row["seq"], row["alert_id"], row["topic"], payload, row["created"], row["attempts"])
