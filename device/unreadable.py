"""Rows that cannot be read any more are taken out, said and gone on without: one would hold up all behind it.

SQLite sees nothing wrong with a bit that has turned over in a text. An alert whose letter goes rings again by its
life; one whose life goes gets another from its event.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from device.alert_life import life_from
from device.feature import feature_from
from device.journal import Journal, incident_from
from device.store import FILE

log = logging.getLogger(__name__)


def body_from(raw: str) -> dict[str, Any]:
    """The JSON object that a column holds. Raises ValueError."""
    body = json.loads(raw)
    if not isinstance(body, dict):
        raise ValueError("no JSON object")
    return body


JSON_TEXT: dict[str, tuple[str, str, Callable[[dict[str, Any]], object]]] = {
    "outbox": ("alert_id", "payload", dict),
    "unheard": ("alert_id", "payload", dict),
    "letter": ("alert_id", "payload", dict),
    "alert": ("alert_id", "life", life_from),
    "feature": ("name", "body", feature_from),
    "event": ("incident_id", "incident", incident_from),
}
"""Where a table keeps JSON, by what a row of it is called, and what has to be made of it."""
WRONG = (ValueError, KeyError, TypeError, AttributeError)
"""What making a record of it raises; of JSON that is none, a ValueError."""


def drop_unreadable(journal: Journal) -> int:
    """Take them out, each with a line in the log and in the journal; how many. Raises StoreError, sqlite3.Error."""
    dropped = 0
    for table, (key, text, made) in JSON_TEXT.items():
        if not _exists(journal, table):
            continue
        rows = journal.connection.execute(f"SELECT rowid, CAST({key} AS BLOB), CAST({text} AS BLOB) FROM {table}")
        bad = [row for row in rows if not _readable(row[2], made)]
        if bad:
            _take_out(journal, table, bad)
        dropped += len(bad)
    return dropped


def _take_out(journal: Journal, table: str, bad: list[sqlite3.Row]) -> None:
    """All of it or nothing: while the disk takes nothing it is passed over, and said once the disk does."""
    column = JSON_TEXT[table][1]
    named = [(rowid, bytes(name or b"").decode("utf-8", "replace"), content) for rowid, name, content in bad]
    with journal.writing() as connection:
        for _, about, content in named:
            body = {"said": "unreadable", "table": table, "content": bytes(content or b"").hex()}
            journal.append("unit", time.time(), time.monotonic(), body, about)
        # By content too: another thread may have taken it out, and the number given to a new one.
        connection.executemany(
            f"DELETE FROM {table} WHERE rowid = ? AND CAST({column} AS BLOB) IS ?",
            [(rowid, content) for rowid, _, content in named],
        )
    for _, about, _ in named:
        log.error("%s: a row of %s about %s cannot be read and is left out", journal.folder / FILE, table, about)


def _readable(raw: bytes | None, made: Callable[[dict[str, Any]], object]) -> bool:
    try:
        made(body_from((raw or b"").decode("utf-8", "replace")))
    except WRONG:
        return False
    return True


def _exists(journal: Journal, table: str) -> bool:
    found = journal.connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return found is not None
