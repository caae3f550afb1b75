"""Taps on the road of an alert inside a chaos child: each point it passes is counted, and at one of them it is killed.

Put in from outside, by replacing functions in this one process; the road itself knows nothing of it.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device.chaos.disk import OK, Asked, Disk
from device.mqtt.link import Link

WHERE = {
    0: "starting",
    1: "between two transactions",
    2: "inside a transaction",
    3: "at a commit",
    4: "at a publish",
    5: "at a receipt of the broker",
}
"""What the thread that sees (byte 0) and the courier (byte 1) are at; read by the parent when it has killed them."""
CODES = {word: code for code, word in WHERE.items()}
AT = {
    "begin": "inside a transaction",
    "commit": "at a commit",
    "committed": "between two transactions",
    "publish": "at a publish",
    "published": "between two transactions",
    "ack": "at a receipt of the broker",
    "acked": "between two transactions",
}


class Ledger:
    """What a child has promised and done, one JSON line each, written so that kill -9 cannot take it back."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def say(self, did: str, **what: Any) -> None:
        os.write(self._file, json.dumps({"did": did, **what}).encode() + b"\n")


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """The lines of a ledger; a last one that was cut off by the kill was never said."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class Points:
    """Counts what is passed; at number `die_at` (from 1, 0: never) the process is killed with -9, there and then."""

    def __init__(self, ledger: Ledger, where: Path, die_at: int = 0) -> None:
        self.passed: Counter[str] = Counter()
        self._ledger = ledger
        self._die_at = die_at
        self._count = 0
        self._lock = threading.Lock()
        with where.open("r+b") as file:
            self._where = mmap.mmap(file.fileno(), 2)

    def at(self, name: str) -> None:
        if name in AT:
            self._where[int(threading.current_thread().name == "courier")] = CODES[AT[name]]
        with self._lock:
            self.passed[name] += 1
            self._count += 1
            if self._count == self._die_at:
                self._ledger.say("died", at=name, number=self._count)
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any], before: str, after: str) -> Callable[..., Any]:
        def tapped(*args: Any, **named: Any) -> Any:
            self.at(before)
            result = function(*args, **named)
            self.at(after)
            return result

        return tapped


def tap_road(points: Points) -> None:
    """Count every transaction, publish and receipt of the broker in this process."""

    class Tapped(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            word = sql.split(maxsplit=1)[0]
            if word == "COMMIT":
                points.at("commit")
            cursor = super().execute(sql, *values)
            if word in ("BEGIN", "COMMIT"):
                points.at("begin" if word == "BEGIN" else "committed")
            return cursor

    connect = sqlite3.connect

    def tapped(*args: Any, **named: Any) -> Any:
        return connect(*args, **{"factory": Tapped, **named})

    swap(sqlite3, "connect", tapped)
    swap(Link, "publish", points.around(Link.publish, "publish", "published"))
    swap(Link, "_on_publish", points.around(Link._on_publish, "ack", "acked"))


def tap_disk(points: Points, disk: Disk) -> None:
    """Count every write and sync that SQLite asks for."""

    def judged(asked: Asked) -> int:
        points.at(f"disk {asked.kind}")
        return OK

    disk.keep = False
    disk.judge = judged


def swap(where: object, name: str, what: object) -> None:
    """Put another function in the place of one, for the rest of this process."""
    setattr(where, name, what)
