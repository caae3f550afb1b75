"""A copy of every message and, for each way, how far it has come; in the same file as the outbox.

The database itself copies each message as it enters the outbox, in the same transaction, so that no code can forget to.
A place in the ledger moves after the other side has taken the message: kill -9 in between repeats it, with the same
(alert_id, seq).
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from device.journal import Journal
from device.letters import TOPIC
from device.spill import Spill
from device.store import FILE, StoreError
from device.unreadable import WRONG, body_from, drop_unreadable
from device.ways.choice import tells
from device.ways.way import Body, Item

log = logging.getLogger(__name__)

TABLES = (
    """CREATE TABLE IF NOT EXISTS letter (   -- every message on alert/event until all ways are past it
        seq INTEGER PRIMARY KEY, alert_id TEXT NOT NULL, payload TEXT NOT NULL, created REAL NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS way (      -- how far each way has come
        name TEXT PRIMARY KEY, seq INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS way_told ( -- alerts that a way has told and nothing has ended there
        name TEXT NOT NULL, alert_id TEXT NOT NULL, PRIMARY KEY (name, alert_id))""",
)
TRIGGER = f"""CREATE TRIGGER IF NOT EXISTS letter_copied AFTER INSERT ON outbox WHEN NEW.topic = '{TOPIC}' BEGIN
    INSERT OR IGNORE INTO letter VALUES (NEW.seq, NEW.alert_id, NEW.payload, NEW.created); END"""
SEED = f"INSERT OR IGNORE INTO letter SELECT seq, alert_id, payload, created FROM outbox WHERE topic = '{TOPIC}'"
"""A way that is new carries what still waits for the broker; what is over by then, choice.py leaves out."""
BATCH = 2000
"""Messages looked at together: more than an alert that rings every 30 s brings in half a day."""
MOST = 20_000
"""Copies kept for a way that does not come back, about 25 MB; the oldest go first."""

Outcome = Literal["sent", "skipped", "overtaken", "refused"]


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one message. note: for the journal, such as the sentence with which it was refused."""

    item: Item
    outcome: Outcome
    attempt: int = 0
    note: str = ""


class Ledger:
    """One way's place in the messages. spill: what only memory knows. names: of all ways that are switched on.

    journal: None while it cannot be opened; what memory has is carried all the same.
    """

    def __init__(self, folder: Path, name: str, spill: Spill, names: Sequence[str]) -> None:
        self.journal: Journal | None = None
        self._folder = folder
        self._name = name
        self._names = names
        self._spill = spill
        self._inode = 0
        self._seq = 0
        self._told: set[str] = set()
        self._held: dict[int, Item] = {}
        self._past: set[int] = set()

    def open(self) -> bool:
        """Open the journal, anew where a damaged one was set aside for another; True when it is open."""
        inode = _inode(self._folder)
        if self.journal is not None and inode == self._inode:
            return True
        self.close()
        try:
            journal = Journal(self._folder)
        except StoreError as error:
            log.debug("%s", error)
            return False
        try:
            self._begin(journal)
        except StoreError as error:
            log.debug("%s", error)
            journal.close()
            return False
        self.journal, self._inode = journal, _inode(self._folder)
        return True

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()
            self.journal = None

    def waiting(self) -> list[Item]:
        """Messages in order that this way is not past, from disk and from memory.

        A disk that cannot be read, which the unit latches as a fault of its own, does not hold up what memory has.
        """
        self._look_into_memory()
        found = {}
        for row in self._rows():
            if row["seq"] not in self._past:
                if (item := self._item(row)) is not None:
                    found[item.seq] = item
            elif not found:
                self._seq = row["seq"]
        return [item for _, item in sorted((self._held | found).items())]

    def told(self, alert_id: str) -> bool:
        """True when this way has carried the alert and nothing since that ends it."""
        return alert_id in self._told

    def put(self, done: Sequence[Done], wall: float, t: float) -> None:
        """These are behind the way now. Raises StoreError when the disk does not take it and only memory knows."""
        for one in done:
            self._note(one)
        if not done or self.journal is None:
            return
        with self.journal.writing() as connection:
            connection.execute("UPDATE way SET seq = max(seq, ?) WHERE name = ?", (self._seq, self._name))
            for one in done:
                self._write(self.journal, one, wall, t)
            connection.execute(
                "DELETE FROM letter WHERE seq <= max((SELECT min(seq) FROM way), (SELECT max(seq) FROM letter) - ?)",
                (MOST,),
            )

    def _begin(self, journal: Journal) -> None:
        make(journal, self._names)
        with journal.writing() as connection:
            rows = connection.execute("SELECT seq FROM way WHERE name = ?", (self._name,)).fetchall()
            told = connection.execute("SELECT alert_id FROM way_told WHERE name = ?", (self._name,)).fetchall()
        self._seq = max(self._seq, int(rows[0]["seq"]))
        self._told |= {str(row["alert_id"]) for row in told}

    def _look_into_memory(self) -> None:
        """What the disk would not take; kept here too, because what the broker then has never enters the outbox."""
        letters = [one.letter for one in self._spill.all() if one.letter is not None and one.letter.topic == TOPIC]
        for letter in letters:
            if letter.seq not in self._past:
                self._held.setdefault(letter.seq, Item(letter.seq, letter.alert_id, letter.payload, letter.created))
        spilt = {letter.seq for letter in letters}
        self._past = {seq for seq in self._past if seq > self._seq or seq in spilt}

    def _rows(self) -> list[sqlite3.Row]:
        if self.journal is None:
            return []
        try:
            return self.journal.connection.execute(
                "SELECT * FROM letter WHERE seq > ? ORDER BY seq LIMIT ?", (self._seq, BATCH)
            ).fetchall()
        except sqlite3.Error as error:
            log.debug("%s", error)
            return []

    def _item(self, row: sqlite3.Row) -> Item | None:
        """None for one that cannot be read: it is taken out and said, and the others go on."""
        with suppress(*WRONG):
            return Item(row["seq"], row["alert_id"], body_from(row["payload"]), row["created"])
        if self.journal is not None:
            with suppress(StoreError, sqlite3.Error):
                drop_unreadable(self.journal)
        return None

    def _note(self, one: Done) -> None:
        """What came from memory does not move the place: the disk may hold earlier ones that cannot be read now."""
        item = one.item
        if self._held.pop(item.seq, None) is None:
            self._seq = max(self._seq, item.seq)
        else:
            self._past.add(item.seq)
        if one.outcome == "sent" and tells(item.body):
            self._told.add(item.alert_id)
        elif not tells(item.body) and one.outcome != "overtaken":
            self._told.discard(item.alert_id)

    def _write(self, journal: Journal, one: Done, wall: float, t: float) -> None:
        alert_id = one.item.alert_id
        statement = "DELETE FROM way_told WHERE name = ? AND alert_id = ?"
        if alert_id in self._told:
            statement = "INSERT OR IGNORE INTO way_told VALUES (?, ?)"
        journal.connection.execute(statement, (self._name, alert_id))
        if one.outcome in ("sent", "refused"):
            said = {"way": self._name, "outcome": one.outcome, "seq": one.item.seq, "attempt": one.attempt}
            journal.append("way", wall, t, {**said, **({"why": one.note} if one.note else {})}, alert_id)


def make(journal: Journal, names: Sequence[str]) -> None:
    """Let the database copy every message from now on, for all of these ways. Raises StoreError.

    All are entered at once: what one way is past is kept for those that have not begun yet.
    """
    new = not _has(journal, "letter_copied")
    with journal.writing() as connection:
        for statement in (*TABLES, TRIGGER, SEED) if new else ():
            connection.execute(statement)
        for name in names:
            connection.execute("INSERT OR IGNORE INTO way VALUES (?, 0)", (name,))


def keep_only(journal: Journal, names: Sequence[str]) -> None:
    """Forget the ways that are not named; without any the database copies no more. Raises StoreError."""
    if not _has(journal, "letter_copied"):
        return
    marks = ", ".join("?" for _ in names)
    with journal.writing() as connection:
        for table in ("way", "way_told"):
            connection.execute(f"DELETE FROM {table} WHERE name NOT IN ({marks})", tuple(names))
        if not names:
            connection.execute("DROP TRIGGER letter_copied")
            connection.execute("DELETE FROM letter")


@dataclass(frozen=True, slots=True)
class Told:
    """How one way carried an alert. why: the sentence with which it was refused. seconds: after it was said."""

    sent: bool
    why: str
    seconds: float


def outcome(journal: Journal, name: str, alert_id: str) -> Told | None:
    """What became of an alert's newest message by one way; None while it has not been carried."""
    entries = journal.entries(incident_id=alert_id)
    said = next((entry["t"] for entry in entries if entry["what"] == "alert"), 0.0)
    for entry in reversed(entries):
        body: Body = json.loads(entry["body"])
        if entry["what"] == "way" and body["way"] == name:
            return Told(body["outcome"] == "sent", str(body.get("why", "")), entry["t"] - said)
    return None


def _has(journal: Journal, trigger: str) -> bool:
    try:
        found = journal.connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (trigger,)).fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{journal.folder}: the journal cannot be read ({error}); check the disk") from None
    return found is not None


def _inode(folder: Path) -> int:
    try:
        return (folder / FILE).stat().st_ino
    except OSError:
        return 0
