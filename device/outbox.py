"""Alerts on disk until the broker has them: the only truth about what still has to be said.

An incident, the event it changes, its alert and the message to send are one transaction; a receipt and the message it
removes are another. kill -9 between any two lines of this file loses nothing and repeats at most a message whose
(alert_id, seq) the receiver has seen.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from device import alerts
from device.journal import ALLOWED_FROM, STATE_AFTER, Journal, incident_from
from device.payloads import Standing, event_payload
from device.records import Alert, Incident, Receipt
from device.reserve import Reserve
from device.settings import Settings
from device.spill import Letter, Spill, Unsaved
from device.store import StoreError

TOPIC = "alert/event"
HUMAN_WORDS = {
    "claim": "{by} is going",
    "arrive": "{by} is there",
    "close": "closed by {by}",
    "reject": "rejected by {by}",
}
BATCH = 64
"""Messages read at once; the window in flight is far smaller, and refused ones must not hide the rest."""


class Outbox:
    """One unit's outbox over a journal of the calling thread; `spill` is what the threads share."""

    def __init__(self, journal: Journal, settings: Settings, spill: Spill | None = None) -> None:
        self.journal = journal
        self.unit = settings.unit
        self.spill = spill if spill is not None else Spill()
        self.reserve = Reserve(journal.folder, settings.store)
        self._gone: dict[int, Receipt] = {}
        self.spill.note(self._last_seq())

    def put(self, incident: Incident, alert: Alert | None, model_id: str) -> StoreError | None:
        """Write one transition down and, unless `alert` is None, the message about it.

        Returns None when it is on disk. Otherwise the error: the alert is then in memory, the courier sends it all the
        same, and settle() writes it down when the disk takes it again. Never raises StoreError.
        """
        letter = None if alert is None else self._letter(incident, alert, model_id)
        try:
            self._with_room(lambda: self._write(Unsaved(incident, alert, model_id, letter)))
        except StoreError as error:
            if letter is not None:
                letter = replace(letter, seq=self.spill.next_seq(self._last_seq()))
            self.spill.add(Unsaved(incident, alert, model_id, letter))
            return error
        return None

    def pending(self, limit: int = BATCH, alert_id: str = "") -> list[Letter]:
        """What the broker has not got yet, oldest first, from disk and from memory. Raises StoreError.

        alert_id: only the messages of this alert; "" means all.
        """
        rows = self._read(
            "SELECT * FROM outbox WHERE ? IN ('', alert_id) ORDER BY seq LIMIT ?", alert_id, limit + len(self._gone)
        )
        stored = [_letter_from(row) for row in rows if row["seq"] not in self._gone]
        spilt = [letter for letter in self.spill.letters() if alert_id in ("", letter.alert_id)]
        return sorted((*stored, *spilt), key=lambda letter: letter.seq)[:limit]

    def waiting(self) -> int:
        """How many messages the broker has not got yet. Raises StoreError."""
        stored = int(self._read("SELECT count(*) FROM outbox")[0][0])
        return stored - len(self._gone) + len(self.spill.letters())

    def sent(self, seqs: list[int]) -> None:
        """Count one attempt for each. A disk that does not take it costs only the count."""
        with suppress(StoreError), self.journal.writing() as connection:
            connection.executemany("UPDATE outbox SET attempts = attempts + 1 WHERE seq = ?", [(seq,) for seq in seqs])

    def delivered(self, receipts: dict[int, Receipt], wall: float, t: float) -> StoreError | None:
        """The broker has these: the messages leave and their receipts are journalled, all or nothing.

        receipts: by sequence number. On a disk that takes none of it they are not sent again by this process, and
        settle() tries later.
        """
        stored = {seq: receipt for seq, receipt in receipts.items() if not self.spill.delivered(seq, receipt)}
        if not stored:
            return None
        try:
            self._with_room(lambda: self._remove(stored, wall, t))
        except StoreError as error:
            self._gone |= stored
            return error
        return None

    def answer(self, receipt: Receipt, nonce: str, wall: float, t: float) -> str:
        """Enter what a consumer or a human answered, and pass a human's answer on to everybody else.

        Returns "" when it counted, else one reason why it did not: unknown, seen before, stale. Raises StoreError.
        """
        try:
            known = self.journal.knows_alert(receipt.alert_id) or self.spill.has_alert(receipt.alert_id)
            seen = self.journal.has_receipt(receipt, nonce)
            row = self.journal.event(receipt.alert_id)
        except sqlite3.Error as error:
            raise StoreError(f"{self.journal.folder}: the journal cannot be read ({error}); check the disk") from None
        if not known:
            return "no alert with this id was ever sent from here"
        if seen:
            return "this answer was entered before"
        if row is not None and row["state"] not in ALLOWED_FROM[receipt.action]:
            return f"{receipt.action} comes too late, the alert is {row['state']}"
        self._with_room(lambda: self._write_answer(receipt, nonce, wall, t))
        return ""

    def settle(self, wall: float, t: float) -> bool:
        """Write down what only memory knows, oldest first, and lay the reserve down again; True when all is on disk."""
        with self.spill.settling:
            try:
                for one in self.spill.all():
                    self._write(one)
                    self.spill.drop(one)
                if self._gone:
                    self._remove(self._gone, wall, t)
                    self._gone = {}
            except StoreError:
                return False
            self.reserve.keep()
        return True

    def _read(self, query: str, *values: str | float) -> list[sqlite3.Row]:
        try:
            return self.journal.connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self.journal.folder}: the outbox cannot be read ({error}); check the disk") from None

    def _with_room(self, write: Callable[[], None]) -> None:
        try:
            write()
        except StoreError:
            if not self.reserve.release():
                raise
            write()

    def _letter(self, incident: Incident, alert: Alert, model_id: str) -> Letter:
        payload = event_payload(self.unit, alert, self._standing(incident, alert, model_id), self.journal.boot)
        return Letter(0, incident.id, TOPIC, payload, alert.wall)

    def _standing(self, incident: Incident, alert: Alert, model_id: str) -> Standing:
        """Where the alert stands; what a disk that cannot be read would know is left out."""
        try:
            row = self.journal.event(incident.id)
            told = self.journal.knows_alert(incident.id)
            answer = self.journal.last_answer(incident.id)
        except sqlite3.Error:
            row, told, answer = None, False, None
        state = "open" if row is None else str(row["state"])
        if incident.ended and state not in ("closed", "rejected"):
            state = incident.stage
        told = told or self.spill.has_alert(incident.id)
        return Standing(
            type="end" if alert.ends else ("update" if told else "new"),
            state=state,
            event_type=alerts.event_type(incident.kind, incident.stage),
            model_id=model_id,
            by=answer.by if answer else None,
            at=answer.at if answer else None,
            cause=str(incident.detail["cause"]) if "cause" in incident.detail else None,
        )

    def _write(self, one: Unsaved) -> None:
        with self.journal.writing():
            self.journal.put_incident(one.incident, one.model_id)
            if one.alert is not None:
                self.journal.put_alert(one.alert, one.alert.t)
            if one.receipt is not None:
                self.journal.put_receipt(one.receipt, one.receipt.at, one.incident.t)
            elif one.letter is not None:
                self._insert(one.letter)

    def _write_answer(self, receipt: Receipt, nonce: str, wall: float, t: float) -> None:
        with self.journal.writing():
            self.journal.put_receipt(receipt, wall, t, nonce)
            row = self.journal.event(receipt.alert_id)
            if receipt.level == "human" and row is not None:
                self._insert(self._answer_letter(row, receipt, wall, t))

    def _answer_letter(self, row: sqlite3.Row, receipt: Receipt, wall: float, t: float) -> Letter:
        """A human's answer as everybody else hears it: not loud, with its own time."""
        incident = incident_from(json.loads(row["incident"]))
        ends = receipt.action in ("close", "reject")
        room = incident.room or self.unit.room
        text = f"{room}: {HUMAN_WORDS[receipt.action].format(by=receipt.by)}"
        said = Alert(
            incident_id=incident.id,
            kind=incident.kind,
            stage=incident.stage,
            priority="info",
            text=text + (f" ({receipt.cause})" if receipt.cause else ""),
            repeat_s=None,
            t=t,
            wall=wall,
            wall_start=incident.wall_start,
            score=incident.score,
            ends=ends,
            camera=incident.camera,
            room=room,
        )
        state = STATE_AFTER[receipt.action]
        standing = Standing(
            type="end" if ends else "update",
            state=state,
            event_type=state,
            model_id=row["model_id"] or "",
            by=receipt.by,
            at=receipt.at,
            cause=receipt.cause or None,
        )
        payload = event_payload(self.unit, said, standing, self.journal.boot)
        return Letter(0, incident.id, TOPIC, payload, wall)

    def _insert(self, letter: Letter) -> None:
        """Inside the caller's transaction, where no other thread or process can take the same number."""
        seq = letter.seq or self.spill.next_seq(self._last_seq())
        self.journal.connection.execute(
            "INSERT INTO outbox (seq, alert_id, topic, payload, created, attempts) VALUES (?, ?, ?, ?, ?, ?)",
            (seq, letter.alert_id, letter.topic, json.dumps(letter.payload), letter.created, letter.attempts),
        )

    def _remove(self, receipts: dict[int, Receipt], wall: float, t: float) -> None:
        with self.journal.writing() as connection:
            for seq, receipt in receipts.items():
                connection.execute("DELETE FROM outbox WHERE seq = ?", (seq,))
                self.journal.put_receipt(receipt, wall, t)

    def _last_seq(self) -> int:
        """The highest number ever on disk; 0 when it cannot be read, and the spill's own count goes on."""
        try:
            row = self.journal.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        except sqlite3.Error:
            return 0
        return 0 if row is None else int(row["seq"])


def active_alert(outbox: Outbox) -> tuple[Alert | None, Standing | None, int]:
    """The worst open alert that calls somebody to the room, where it stands, and how many are open.

    Worst: nobody has claimed it, then the highest priority, then the oldest. Raises StoreError.
    """
    opened = _open_incidents(outbox)
    room = outbox.unit.room
    told = [(alerts.alert_for(incident, incident.room or room), state, by) for incident, state, by in opened]
    ringing = [(alert, state, by) for alert, state, by in told if alert and alert.priority in alerts.RINGING]
    if not ringing:
        return None, None, 0
    alert, state, by = min(
        ringing, key=lambda one: (one[1] != "open", -alerts.RANK[one[0].priority], one[0].wall_start)
    )
    return alert, Standing("update", state, alerts.event_type(alert.kind, alert.stage), by=by), len(ringing)


def _open_incidents(outbox: Outbox) -> list[tuple[Incident, str, str | None]]:
    try:
        rows = outbox.journal.open_events()
    except sqlite3.Error as error:
        raise StoreError(f"{outbox.journal.folder}: the events cannot be read ({error}); check the disk") from None
    found = {row["incident_id"]: (incident_from(json.loads(row["incident"])), row["state"], row["by"]) for row in rows}
    for one in outbox.spill.all():
        _, state, by = found.get(one.incident.id, (one.incident, "open", None))
        found[one.incident.id] = (one.incident, state, by)
    return [one for one in found.values() if not one[0].ended]


def _letter_from(row: sqlite3.Row) -> Letter:
    return replace(
        Letter(row["seq"], row["alert_id"], row["topic"], json.loads(row["payload"]), row["created"]),
        attempts=row["attempts"],
    )
