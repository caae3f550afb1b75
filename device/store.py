"""One SQLite file for journal, outbox, receipts and events; clips lie beside it as folders.

Opened with WAL and synchronous=FULL: what was committed survives kill -9 and a power cut (NORMAL may lose the last
commit on power loss). Every thread and process opens its own connection.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from device import header
from device.errors import FallwatchError

FILE = "fallwatch.db"
EVENTS = "events"
SCHEMA_VERSION = 2

LOCKED_S = 5.0
"""How long a store that somebody else is writing is waited for; a commit takes milliseconds, on a slow card 1 s."""

LOCKED_AGAIN_S = 0.02

SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (      -- everything said, in the order it was said; never changed
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    wall REAL NOT NULL,                   -- Unix seconds, UTC
    t REAL NOT NULL,                      -- monotonic seconds
    boot_id TEXT NOT NULL,                -- t of two boots cannot be compared
    what TEXT NOT NULL,                   -- incident, alert, receipt, ring, fallback, feature, label, unit
    incident_id TEXT,
    body TEXT NOT NULL                    -- JSON of the record
);
CREATE INDEX IF NOT EXISTS journal_incident ON journal (incident_id);

CREATE TABLE IF NOT EXISTS outbox (       -- alerts on their way: a row leaves when the broker has it
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id TEXT NOT NULL,
    topic TEXT NOT NULL,                  -- below fallwatch/<site>/<unit>/
    payload TEXT NOT NULL,                -- JSON, as first written; seq and attempt are filled in on sending
    created REAL NOT NULL,                -- Unix seconds
    attempts INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS unheard (      -- what the broker has and no consumer has said yet that it has it
    seq INTEGER PRIMARY KEY,              -- as it was in the outbox
    alert_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    created REAL NOT NULL,
    attempts INTEGER NOT NULL,
    broker_wall REAL NOT NULL             -- Unix seconds at which the broker had it
);
CREATE INDEX IF NOT EXISTS unheard_alert ON unheard (alert_id);

CREATE TABLE IF NOT EXISTS alert (        -- the life of each alert as it stands (alert_life.py)
    alert_id TEXT PRIMARY KEY,
    open INTEGER NOT NULL,
    version INTEGER NOT NULL,
    life TEXT NOT NULL                    -- JSON
);
CREATE INDEX IF NOT EXISTS alert_open ON alert (open) WHERE open;

CREATE TABLE IF NOT EXISTS feature (      -- staff present and privacy, one row a room (feature.py)
    name TEXT NOT NULL,
    room TEXT NOT NULL,
    body TEXT NOT NULL,                   -- JSON
    PRIMARY KEY (name, room)
);

CREATE TABLE IF NOT EXISTS event (        -- an incident as a reviewer sees it; one row each, kept current
    incident_id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',   -- open, claimed, arrived, closed, rejected, recovered
    room TEXT NOT NULL,
    wall_start REAL NOT NULL,
    wall_confirmed REAL,
    wall_end REAL,
    peak REAL NOT NULL,
    by TEXT,                              -- who claimed or closed it
    cause TEXT,
    outcome TEXT,
    label TEXT,                           -- reviewer's word: true, false, unsure
    incident TEXT NOT NULL,               -- JSON of the newest Incident
    clip TEXT,                            -- folder below events/, once recorded
    clip_sha256 TEXT,
    model_id TEXT
);
CREATE INDEX IF NOT EXISTS event_start ON event (wall_start);
"""

STEPS: dict[int, tuple[str, ...]] = {1: ("ALTER TABLE event ADD COLUMN outcome TEXT",)}
"""From the version of a file that is there already -> what SCHEMA, which makes missing tables, does not do to it."""


class StoreError(FallwatchError):
    """The store cannot be opened or written; the text says what, where and what to do.

    damaged: what is in the file cannot be right any more, so that waiting for the disk is pointless (salvage.py).
    """

    def __init__(self, text: str, *, damaged: bool = False) -> None:
        super().__init__(text)
        self.damaged = damaged


DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_damage(error: BaseException) -> bool:
    """True when SQLite says that the file itself is wrong, not the disk under it."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def connect(folder: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open the store of a unit in `folder`, made on first use. Raises StoreError with one sentence."""
    path = folder / FILE
    if wrong := header.wound(path):
        raise StoreError(f"{path}: {wrong}; a unit that starts sets it aside and goes on", damaged=True)
    try:
        if readonly:
            if not path.is_file():
                raise StoreError(f"{path}: no journal there yet; start `fallwatch run` once or name the right folder")
            connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=LOCKED_S, isolation_level=None
            )
        else:
            folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None)
            _turn_on_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            _make_tables(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"{path}: cannot be opened ({error}); check the disk and who owns the folder", damaged=is_damage(error)
        ) from None
    connection.row_factory = sqlite3.Row
    # A text with a wrong byte in it is still a text: better an odd letter in an alert than no alert.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def _turn_on_wal(connection: sqlite3.Connection) -> None:
    """WAL from the first moment.

    Two that open a new file at once collide here, and SQLite's own patience does not cover the change of the mode.
    """
    end = time.monotonic() + LOCKED_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(LOCKED_AGAIN_S)


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this version's schema. A step only ever adds, so that what was recorded stays as it was."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= header.VERSION_MOST:
        raise StoreError(f"{path}: cannot be right, its schema is number {version}", damaged=True)
    if version > SCHEMA_VERSION:
        raise StoreError(f"{path}: written by a newer fallwatch (schema {version}); install that version again")
    if version == SCHEMA_VERSION:
        return
    # One transaction: two processes that start at once must not both add the column, nor a power cut leave half.
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for statement in (*_statements(SCHEMA), *(STEPS.get(version, ()))):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """A script one statement at a time: executescript() would end the transaction first."""
    found, rest = [], ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found


def event_folder(folder: Path, incident_id: str) -> Path:
    """Where the clip of an incident lies."""
    return folder / EVENTS / incident_id
