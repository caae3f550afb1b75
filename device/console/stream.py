"""The live stream: one thread looks at the journal a few times a second, every open page hears what is new.

Server-sent events; the id of a message is the journal's sequence number, so a tablet that slept says where it stopped
(Last-Event-ID) and catches up.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from device import store
from device.console import footage, words
from device.health import last_beat
from device.journal import Journal, boot_id

LOOK_S = 0.25
"""The journal is looked at four times a second: what a nurse sees is at most this much behind it."""

ALIVE_S = 3.0
"""A page that has heard nothing for 10 s says so; three lost messages in a row are no accident."""

BACKLOG = 200
"""A page further behind than this reads the list anew instead of every entry it missed."""

STATUS_ENTRIES = 500
"""The unit's state is judged from this many newest entries."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """One look: newest sequence number, a count of changes, what the unit's state is, or why nothing is known."""

    seq: int = 0
    version: int = 0
    trouble: str = ""
    status: dict[str, Any] | None = None


class Watch:
    """Looks at the journal from a thread of its own, so that a slow disk never holds up the page.

    The thread replaces `pulse`, which is immutable; readers take whichever is there and need no lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pulse = Pulse(trouble="not looked at yet")
        self._journal: Journal | None = None
        self._seen: tuple[int, int] | None = None
        self._newest: list[sqlite3.Row] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def _run(self) -> None:
        while not self.stopping:
            self.pulse = self._look()
            self._stopping.wait(LOOK_S)
        self._close()

    def _look(self) -> Pulse:
        """The journal now. A file that was replaced (restored, erased) is opened anew."""
        before = self.pulse
        try:
            file = self.folder / store.FILE
            inode = file.stat().st_ino if file.exists() else 0
            if self._journal is None or self._seen is None or self._seen[0] != inode:
                self._close()
                self._journal = Journal(self.folder, readonly=True)
            seen = (inode, self._journal.connection.execute("PRAGMA data_version").fetchone()[0])
            seq = before.seq
            if seen != self._seen:
                seq = self._journal.last_seq()
                self._newest = self._journal.entries(max(0, seq - STATUS_ENTRIES), limit=STATUS_ENTRIES + 100)
            status = words.unit_status(self._newest, boot_id(), last_beat(self.folder), time.time())
            if seen == self._seen and status == before.status:
                return before
            self._seen = seen
            return Pulse(seq, before.version + 1, "", status)
        except (store.StoreError, sqlite3.Error, OSError) as error:
            self._close()
            changed = before.trouble != str(error)
            return Pulse(0, before.version + changed, str(error))

    def _close(self) -> None:
        self._seen = None
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def message(name: str, data: dict[str, Any], seq: int | None = None) -> str:
    """One server-sent event; only one with an id moves Last-Event-ID."""
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n"


def news(folder: Path, after_seq: int) -> list[dict[str, Any]]:
    """Journal entries after a sequence number, each with its event as it stands now (None for the unit's own)."""
    journal = Journal(folder, readonly=True)
    try:
        told = []
        for entry in journal.entries(after_seq, limit=BACKLOG + 1):
            incident_id = entry["incident_id"]
            row = journal.event(incident_id) if incident_id else None
            event = None
            if row is not None:
                thumb = store.event_folder(folder, incident_id) / footage.THUMB
                event = words.summary(row, thumb.is_file())
            told.append({"seq": entry["seq"], "what": entry["what"], "incident_id": incident_id, "event": event})
        return told
    finally:
        journal.close()


async def messages(watch: Watch, cursor: int | None) -> AsyncIterator[str]:
    """The stream of one page, from after `cursor` (None: from now) until the page goes or the server stops.

    journal: one entry. changed: something else moved, a clip is complete. reset: read the list anew. alive: every 3 s.
    """
    yield "retry: 2000\n\n"
    heard = -1
    spoke = float("-inf")
    while not watch.stopping:
        pulse = watch.pulse
        if pulse.version != heard:
            heard = pulse.version
            spoke = float("-inf")
            if not pulse.trouble:
                cursor = pulse.seq if cursor is None else cursor
                for missed in await _catch_up(watch.folder, cursor, pulse.seq):
                    cursor = missed.cursor
                    yield missed.text
        if time.monotonic() - spoke >= ALIVE_S:
            spoke = time.monotonic()
            yield message("alive", {"now": time.time(), "trouble": pulse.trouble, "status": pulse.status})
        await asyncio.sleep(LOOK_S)


@dataclass(frozen=True, slots=True)
class Missed:
    """One message for a page that is behind, and the cursor it leads to."""

    text: str
    cursor: int


async def _catch_up(folder: Path, cursor: int, last_seq: int) -> list[Missed]:
    """What a page at `cursor` has missed, in order."""
    if cursor > last_seq or last_seq - cursor > BACKLOG:
        return [Missed(message("reset", {}, last_seq), last_seq)]
    try:
        entries = await run_in_threadpool(news, folder, cursor)
    except (store.StoreError, sqlite3.Error):
        return []  # the watch meets the same trouble within a look and says it
    if not entries:
        return [Missed(message("changed", {}), cursor)]
    return [Missed(message("journal", entry, entry["seq"]), entry["seq"]) for entry in entries]
