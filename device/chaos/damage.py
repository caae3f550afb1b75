"""A damaged database: it is set aside and reported, what can be rescued from it is, and the next alert goes out."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from device.chaos.bench import Bench, Lives, Outcome, loopback
from device.chaos.brokers import free_port, recording
from device.chaos.links import falls
from device.clock import SystemClock
from device.outbox import Outbox
from device.salvage import open_journal, set_aside
from device.store import FILE

WAITING = 4
"""Alerts that wait for the broker in a store that is then damaged."""
PAGE = 4096
"""Bytes of a page of SQLite, its default."""
PLAN = ("fall", "fall", "claim", "fall", "ring")
NEXT = 3
"""Falls in the plan. The ring is for what is still open and has lost its message."""


def _over(file: Path, at: int, size: int, rng: random.Random) -> None:
    with file.open("r+b") as out:
        out.seek(at)
        out.write(rng.randbytes(size))


def _header(file: Path, rng: random.Random) -> None:
    _over(file, 0, 100, rng)


def _empty(file: Path, rng: random.Random) -> None:
    with file.open("r+b") as out:
        out.truncate(0)


def _version(file: Path, rng: random.Random) -> None:
    """The number of the schema, a field of the header that SQLite itself takes as it is."""
    _over(file, 60, 4, rng)


def _behind(file: Path, rng: random.Random) -> None:
    _over(file, PAGE, file.stat().st_size - PAGE, rng)


def _half(file: Path, rng: random.Random) -> None:
    with file.open("r+b") as out:
        out.truncate(file.stat().st_size // 2 // PAGE * PAGE)


def _pages(file: Path, rng: random.Random) -> None:
    for _ in range(3):
        _over(file, rng.randrange(1, file.stat().st_size // PAGE) * PAGE, PAGE, rng)


def _bytes(file: Path, rng: random.Random) -> None:
    for _ in range(64):
        _over(file, rng.randrange(100, file.stat().st_size), 1, rng)


def _words(file: Path, rng: random.Random) -> None:
    """A letter of which SQLite sees nothing wrong and that is no JSON any more."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE outbox SET payload = substr(payload, 1, 40) WHERE seq = (SELECT min(seq) FROM outbox)"
        )


def _lives(file: Path, rng: random.Random) -> None:
    """The same of how an alert stands."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE alert SET life = replace(life, '{', '[')")
        connection.execute("DELETE FROM outbox")


WOUNDS: dict[str, Callable[[Path, random.Random], None]] = {
    "the header is garbage": _header,
    "the file is empty": _empty,
    "the number of its schema is garbage": _version,
    "a letter is no JSON any more": _words,
    "how alerts stand is no JSON any more, and no letter is left": _lives,
    "all but the first page is garbage": _behind,
    "three pages are garbage": _pages,
    "half of the file is gone": _half,
    "64 bytes are others": _bytes,
}


def damage(bench: Bench) -> Outcome:
    """The database is damaged while alerts wait in it and the unit is off."""
    outcome = Outcome()
    for number, (what, wound) in enumerate(WOUNDS.items()):
        bench.tell("damaged databases", number, len(WOUNDS))
        place, port = bench.place(), free_port()
        lives = Lives(bench.unit(place / "state", loopback(port)), place)
        state = lives.settings.store.path()
        with closing(open_journal(state, "room")) as journal:
            outbox = Outbox(journal, lives.settings)
            waiting = falls(outbox, WAITING, SystemClock())
            outbox.settle(time.time(), time.monotonic())  # lays the reserve down: a store that was in use
        wound(state / FILE, bench.rng(what))
        with recording(port=port) as broker:
            said = lives.alone(outcome, lives.job(1, plan=PLAN))
        arrived = {payload["alert_id"] for payload in broker.received}
        after = [line["alert"] for line in said if line["did"] in ("told", "spilt") and "stage" in line]
        outcome.counts["lost"] += len(set(after) - arrived)
        outcome.expect(len(after) == NEXT and set(after) <= arrived, f"{what}: an alert after it did not arrive")
        rescued, aside = len(set(waiting) & arrived), bool(set_aside(state))
        outcome.counts.update({"damaged": 1, "set aside": aside, "waited in it": WAITING, "rescued from it": rescued})
        outcome.expect(aside or rescued == WAITING, f"{what}: alerts are gone with it and nobody was told")
        outcome.expect(_whole(state / FILE), f"{what}: the store that the unit goes on with is not whole")
        new = [int(payload["seq"]) for payload in broker.received if payload["alert_id"] in after]
        outcome.expect(all(one < other for one, other in pairwise(dict.fromkeys(new))), f"{what}: numbers do not rise")
        outcome.expect(min(new, default=0) > WAITING, f"{what}: a number was given out twice")
    return outcome


def _whole(file: Path) -> bool:
    with closing(sqlite3.connect(file)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
