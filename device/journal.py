"""The record of everything the unit said, and the events a reviewer opens.

A journal entry and the event row it changes are one transaction.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from device import store
from device.alert_life import ENDED_STATES, STATE_AFTER
from device.records import Alert, Incident, Receipt, ReceiptLevel

log = logging.getLogger(__name__)

NO_FILE = -1
"""In place of an inode, which is never below 0."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

INCIDENT_FIELDS = frozenset(one.name for one in fields(Incident))
RECEIPT_FIELDS = frozenset(one.name for one in fields(Receipt))

EVENT_KINDS = ("fall", "floor", "long_lie", "inactivity")
"""Incidents that happen to a person and so become events; faults of the unit stay in the journal."""

EVENT_ROWS = (
    "SELECT event.*, coalesce((SELECT json_extract(life, '$.silenced') FROM alert"
    " WHERE alert_id = incident_id AND open AND json_valid(life)), 0) AS hushed FROM event"
)
"""Events, and of each whether staff in the room keep its alert from ringing now."""


def boot_id() -> str:
    """The kernel's id of this boot; monotonic times of two boots cannot be compared."""
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else "unknown"


class Journal:
    """Writes and reads one unit's journal; one per thread."""

    def __init__(self, folder: Path, *, room: str = "", readonly: bool = False, lenient: bool = False) -> None:
        """Raises StoreError; lenient: only where the file is damaged, else it is opened as soon as the disk lets it be.

        Until then every transaction raises StoreError and every question sqlite3.Error.
        """
        self.folder = folder
        self.room = room
        self.boot = boot_id()
        self.readonly = readonly
        try:
            self._open()
        except store.StoreError as error:
            if error.damaged or not lenient:
                raise
            log.error("%s", error)
            self.connection, self._inode = sqlite3.connect(":memory:", isolation_level=None), NO_FILE

    def close(self) -> None:
        self.connection.close()

    def follow(self) -> bool:
        """Open the store anew where another file has taken its place; True when it did. Raises StoreError."""
        if _inode(self.folder) == self._inode:
            return False
        before = self.connection
        self._open()
        with suppress(sqlite3.Error):
            before.close()
        return True

    def _open(self) -> None:
        self.connection = store.connect(self.folder, readonly=self.readonly)
        self._inode = _inode(self.folder)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it on disk, or nothing. Raises StoreError in one sentence."""
        self.follow()
        path = self.folder / store.FILE
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise store.StoreError(
                f"{path}: not written ({error}); free some disk, what was recorded before is kept",
                damaged=store.is_damage(error),
            ) from None
        except BaseException:
            self._roll_back()
            raise
        if _inode(self.folder) != self._inode:
            raise store.StoreError(f"{path}: written to a file that was set aside at this moment; it is written again")

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # SQLite has rolled back by itself when the disk was full
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def say(self, what: str, wall: float, t: float, body: dict[str, Any], incident_id: str | None = None) -> None:
        """Append one entry outside any incident or alert: start, stop, settings, a note about the unit."""
        with self.writing():
            self.append(what, wall, t, body, incident_id)

    def append(self, what: str, wall: float, t: float, body: dict[str, Any], incident_id: str | None = None) -> None:
        """Append one entry inside a transaction that the caller has open."""
        self.connection.execute(
            "INSERT INTO journal (wall, t, boot_id, what, incident_id, body) VALUES (?, ?, ?, ?, ?, ?)",
            (wall, t, self.boot, what, incident_id, json.dumps(body)),
        )

    def put_incident(self, incident: Incident, model_id: str, *, ends_alert: bool = True) -> None:
        """Enter one transition of an incident, inside the caller's transaction.

        ends_alert: the end of the incident ends its alert too; else that goes on until a person ends it.
        """
        body = asdict(incident)
        self.append("incident", incident.wall, incident.t, body, incident.id)
        if incident.kind not in EVENT_KINDS:
            return
        self.connection.execute(
            "INSERT INTO event (incident_id, kind, stage, room, wall_start, peak, incident, model_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (incident_id) DO UPDATE SET stage = excluded.stage,"
            " peak = max(peak, excluded.peak), incident = excluded.incident",
            (
                incident.id,
                incident.kind,
                incident.stage,
                incident.room or self.room,
                incident.wall_start,
                incident.peak,
                json.dumps(body),
                model_id,
            ),
        )
        self.connection.execute(
            "UPDATE event SET wall_confirmed = coalesce(wall_confirmed, ?) WHERE incident_id = ?",
            (incident.wall_confirmed, incident.id),
        )
        if incident.ended:
            self.connection.execute(
                "UPDATE event SET wall_end = ?, state = CASE WHEN ? AND state NOT IN ('closed', 'rejected') THEN ?"
                " ELSE state END WHERE incident_id = ?",
                (incident.wall, ends_alert, incident.stage, incident.id),
            )

    def put_alert(self, alert: Alert, t: float) -> None:
        """Enter an alert, inside the caller's transaction."""
        self.append("alert", alert.wall, t, asdict(alert), alert.incident_id)

    def put_receipt(self, receipt: Receipt, wall: float, t: float, nonce: str = "", via: str = "") -> None:
        """Enter a receipt and move the event it acts on, inside the caller's transaction.

        via: the door an answer came in by, where it was not the broker.
        """
        body = asdict(receipt) | ({"nonce": nonce} if nonce else {}) | ({"via": via} if via else {})
        self.append("receipt", wall, t, body, receipt.alert_id)
        if state := STATE_AFTER.get(receipt.action):
            self.connection.execute(
                "UPDATE event SET state = ?, by = ?, cause = ?, outcome = ? WHERE incident_id = ?",
                (state, receipt.by, receipt.cause, receipt.outcome, receipt.alert_id),
            )
            if state in ENDED_STATES:
                self.connection.execute(
                    "UPDATE event SET wall_end = coalesce(wall_end, ?) WHERE incident_id = ?", (wall, receipt.alert_id)
                )

    def put_clip(self, incident_id: str, clip: str, digest: str) -> None:
        """Note where the clip of an event lies (folder name below events/) and its sha256."""
        with self.writing():
            self.connection.execute(
                "UPDATE event SET clip = ?, clip_sha256 = ? WHERE incident_id = ?", (clip, digest, incident_id)
            )

    def put_label(self, incident_id: str, label: str, by: str, wall: float, t: float) -> None:
        """A reviewer's word on an event: true, false or unsure."""
        with self.writing():
            self.connection.execute("UPDATE event SET label = ? WHERE incident_id = ?", (label, incident_id))
            self.append("label", wall, t, {"label": label, "by": by}, incident_id)

    def events(self, limit: int = 200, before: float | None = None) -> list[sqlite3.Row]:
        """Events newest first; `before` (Unix seconds) pages on."""
        return self.connection.execute(
            f"{EVENT_ROWS} WHERE wall_start < ? ORDER BY wall_start DESC LIMIT ?",
            (before if before is not None else 1e18, limit),
        ).fetchall()

    def event(self, incident_id: str) -> sqlite3.Row | None:
        """One event by its incident id."""
        row: sqlite3.Row | None = self.connection.execute(
            f"{EVENT_ROWS} WHERE incident_id = ?", (incident_id,)
        ).fetchone()
        return row

    def entries(self, after_seq: int = 0, incident_id: str | None = None, limit: int = 1000) -> list[sqlite3.Row]:
        """Journal entries in order, after a sequence number, of one incident or of all."""
        return self.connection.execute(
            "SELECT * FROM journal WHERE seq > ? AND (? IS NULL OR incident_id = ?) ORDER BY seq LIMIT ?",
            (after_seq, incident_id, incident_id, limit),
        ).fetchall()

    def knows_alert(self, alert_id: str) -> bool:
        """True when an alert with this id was ever said, be it about a person, a fault or a test."""
        return self._has("what = 'alert'", alert_id)

    def has_receipt(self, receipt: Receipt, nonce: str = "") -> bool:
        """True when this very answer is in the journal: same nonce, or without one same sender and moment."""
        if nonce:
            return self._has("what = 'receipt' AND json_extract(body, '$.nonce') = ?", receipt.alert_id, nonce)
        same = "json_extract(body, '$.level') = ? AND json_extract(body, '$.by') = ? AND json_extract(body, '$.at') = ?"
        return self._has(f"what = 'receipt' AND {same}", receipt.alert_id, receipt.level, receipt.by, receipt.at)

    def answers_via(self, via: str, after_seq: int) -> list[tuple[int, Receipt]]:
        """What people answered through this door after a sequence number of the journal, each with its own."""
        rows = self.connection.execute(
            "SELECT seq, body FROM journal WHERE seq > ? AND what = 'receipt' AND json_extract(body, '$.via') = ?"
            " ORDER BY seq",
            (after_seq, via),
        )
        return [(row["seq"], receipt_from(json.loads(row["body"]))) for row in rows]

    def has_nonce(self, what: str, about: str, nonce: str) -> bool:
        """True when an entry of this kind about this carries the nonce."""
        return self._has("what = ? AND json_extract(body, '$.nonce') = ?", about, what, nonce)

    def newest_receipts(self, alert_id: str) -> dict[ReceiptLevel, Receipt]:
        """What came back last for an alert, by level; a level from which nothing came is left out."""
        rows = self.connection.execute(
            "SELECT body FROM journal WHERE incident_id = ? AND what = 'receipt' ORDER BY seq", (alert_id,)
        )
        receipts = [receipt_from(json.loads(row["body"])) for row in rows]
        return {receipt.level: receipt for receipt in receipts}

    def last_answer(self, alert_id: str) -> Receipt | None:
        """The newest human receipt of an alert."""
        row = self.connection.execute(
            "SELECT body FROM journal WHERE incident_id = ? AND what = 'receipt'"
            " AND json_extract(body, '$.level') = 'human' ORDER BY seq DESC LIMIT 1",
            (alert_id,),
        ).fetchone()
        return None if row is None else receipt_from(json.loads(row["body"]))

    def _has(self, where: str, incident_id: str, *values: str | float) -> bool:
        found = self.connection.execute(
            f"SELECT 1 FROM journal WHERE incident_id = ? AND {where} LIMIT 1", (incident_id, *values)
        )
        return found.fetchone() is not None

    def changes(self) -> int:
        """A number that differs once another connection has written; our own writes do not move it."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    def last_seq(self) -> int:
        """Sequence number of the newest entry; 0 for an empty journal."""
        return int(self.connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0])

    def open_incidents(self) -> list[Incident]:
        """Incidents with a life that had not ended when the unit last wrote: what a restart goes on with."""
        rows = self.connection.execute(
            "SELECT incident FROM event WHERE wall_end IS NULL AND state NOT IN ('closed', 'rejected')"
            " ORDER BY wall_start"
        ).fetchall()
        return [incident_from(json.loads(row["incident"])) for row in rows]


def _inode(folder: Path) -> int:
    """Which file the store is; 0 where there is none."""
    try:
        return (folder / store.FILE).stat().st_ino
    except OSError:
        return 0


def incident_from(body: dict[str, Any]) -> Incident:
    """An Incident from the JSON the journal keeps; what a newer version has written beside it is passed over."""
    known = {name: value for name, value in body.items() if name in INCIDENT_FIELDS}
    return Incident(**{**known, "evidence": tuple(known["evidence"])})


def receipt_from(body: dict[str, Any]) -> Receipt:
    """A Receipt from the JSON the journal keeps, which may carry a nonce and more beside it."""
    return Receipt(**{name: value for name, value in body.items() if name in RECEIPT_FIELDS})
