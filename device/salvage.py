"""A damaged store is set aside, what still has to be said is taken over from it, and the unit goes on with a new one.

The journal of the past stays in the file that was set aside: to copy it would hold up the watch. Every connection
notices by the file's inode that there is another store, and opens that (Journal.follow).
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from device import header
from device.clock import rfc3339
from device.journal import Journal
from device.store import FILE, SCHEMA_VERSION, StoreError, connect
from device.unreadable import drop_unreadable

log = logging.getLogger(__name__)

ASIDE = f"{FILE}.damaged-"
LOCK = "fallwatch.db.lock"
TABLES = ("alert", "outbox", "unheard", "feature", "event")
"""In the order of what matters; all are small."""
CHUNK = 100


def open_journal(folder: Path, room: str) -> Journal:
    """A journal of this folder, whatever its state: of a new store where the old one is damaged, later where the disk
    refuses. Raises StoreError only for a damaged store that cannot be set aside."""
    try:
        journal = Journal(folder, room=room, lenient=True)
    except StoreError:
        replace(folder)
        journal = Journal(folder, room=room, lenient=True)
    with suppress(StoreError, sqlite3.Error):  # a disk that refuses; it is looked for again when a row is met
        drop_unreadable(journal)
    return journal


def replace(folder: Path) -> Path | None:
    """Set a damaged store aside for a new one; None when it is whole by now. Raises StoreError."""
    path = folder / FILE
    with _alone(folder):
        if _whole(path):
            return None
        aside = folder / f"{ASIDE}{rfc3339(time.time()).replace(':', '')}"
        try:
            if header.repairable(path):
                header.repair(path, folder / f"{aside.name}-header", SCHEMA_VERSION)
            taken = _build(folder / "new", path)
            for ending in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.replace(f"{path}{ending}", f"{aside}{ending}")
            os.link(path, aside)
            os.replace(folder / "new" / FILE, path)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path}: damaged, and cannot be set aside ({error}); check the disk") from None
    log.error("%s was damaged and is now %s; taken over: %s", path, aside.name, taken)
    return aside


def set_aside(folder: Path) -> list[Path]:
    """The damaged stores that lie in this folder until somebody has taken them away."""
    return sorted(one for one in folder.glob(f"{ASIDE}*") if not one.name.endswith(("-wal", "-shm")))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One thread of one process at a time, gone with the process however that ends."""
    handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _whole(path: Path) -> bool:
    if header.wound(path):
        return False
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            known = 0 <= version <= header.VERSION_MOST
            return known and bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error:
        return False


def _build(folder: Path, damaged: Path) -> dict[str, int]:
    """A new store in `folder` with what could be read of the damaged one; returns how many rows of what."""
    for leftover in folder.glob("*"):
        leftover.unlink()
    address = f"{damaged.resolve().as_uri()}?mode=ro"
    with closing(connect(folder)) as new, closing(sqlite3.connect(address, uri=True)) as old:
        taken = {table: _copy(old, new, table) for table in TABLES}
        _go_on_counting(old, new)
        new.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return taken


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> int:
    """Rows from the front to the damage, and from the back to the damage."""
    columns = [str(row[1]) for row in new.execute(f"PRAGMA table_info({table})")]
    rows = [*_readable(old, table, columns, "ASC"), *_readable(old, table, columns, "DESC")]
    marks = ", ".join("?" for _ in columns)
    new.executemany(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
    return int(new.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _readable(old: sqlite3.Connection, table: str, columns: list[str], order: str) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    with suppress(sqlite3.Error):
        cursor = old.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY rowid {order}")
        while chunk := cursor.fetchmany(CHUNK):
            rows += chunk
    return rows


def _go_on_counting(old: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Numbers of messages rise for ever: from the last one where that can be read, else from the Unix time, which is
    above any count of messages."""
    last = int(time.time())
    with suppress(sqlite3.Error):
        row = old.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
        last = last if row is None else int(row[0])
    new.execute("DELETE FROM sqlite_sequence WHERE name = 'outbox'")
    new.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', ?)", (last,))
