"""The power goes: what was not synced to the disk is gone, in part there, or torn, at any moment of a unit's life.

A child lives with a shim that writes down, in order, every write, cut and sync that SQLite asked of its files
(disk.py), and between them what it promised and what it gave to the broker. From that the parent builds the files as
the power cut could have left them: all that was synced, and of the rest nothing, some, or pieces of 512 bytes. The unit
then starts on them.

What this shows: that the order of writes and syncs keeps every promise on any disk that keeps what it has synced and
writes whole sectors. What it cannot show: a disk that says it has synced and has not, and what the file system does
with names; the files are taken as there from the moment they were opened.
"""

from __future__ import annotations

import json
import logging
import pickle
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.alert_life import Moment
from device.chaos.bench import Bench, Lives, NotDoneError, Outcome
from device.chaos.brokers import recording
from device.chaos.disk import Asked, Disk, NoShimError
from device.chaos.life import Job, ShiftedClock, Ward, hurry, sent_all
from device.chaos.reckoning import disk_faults
from device.chaos.taps import Ledger, swap
from device.journal import Journal, boot_id
from device.mqtt import Courier
from device.mqtt.link import Link, Post
from device.outbox import Outbox
from device.salvage import open_journal, set_aside
from device.settings import Settings
from device.store import FILE

PLAN = ("fall", "ring", "claim", "fall", "worse", "close", "ring", "fall", "up", "ring", "reject", "fall")
LOG = "disk.log"
CHECKPOINT_PAGES = 8
"""Instead of SQLite's 1000, so that the power also goes while the log is being taken over into the database."""
SECTOR = 512
"""Bytes that a disk writes whole or not at all."""
CUTS, QUICK_CUTS = 300, 25
LEFT = ("nothing", "some", "torn")
"""What is left of the writes that were not synced."""


@dataclass(frozen=True, slots=True)
class Tape:
    """base: the files as they were before. asked: what followed."""

    base: dict[str, bytes]
    asked: list[Asked]


def power_cuts(bench: Bench) -> Outcome:
    """The power goes at many moments of one life, each time with three ways in which the disk is left."""
    outcome, place = Outcome(), bench.place()
    with recording() as broker:
        lives = Lives(bench.unit(place / "state", broker.mqtt), place)
        said = lives.run(outcome, lives.job(bench.seed, plan=PLAN), recorded)
    if why := next((line["why"] for line in said if line["did"] == "not done"), ""):
        raise NotDoneError(why)
    tape: Tape = pickle.loads((place / LOG).read_bytes())  # written by our own child, in our own folder
    play(tape, bench, lives.settings, outcome)
    return outcome


def play(tape: Tape, bench: Bench, settings: Settings, outcome: Outcome) -> None:
    """Cut the power at moments of this tape and look at what is left."""
    rng = bench.rng("power cuts")
    moments = range(len(tape.asked) + 1)
    chosen = set(rng.sample(moments, min(QUICK_CUTS if bench.quick else CUTS, len(moments))))
    disk, said = Platter(tape.base), list[dict[str, Any]]()
    for moment in moments:
        if moment in chosen:
            bench.tell("power cuts", moment, len(moments))
            for left in LEFT:
                _start_on(disk.left(left, rng), bench, settings, said, outcome)
                outcome.counts["power cuts"] += 1
        if moment < len(tape.asked):
            asked = tape.asked[moment]
            if asked.kind == "mark":
                said.append(json.loads(asked.mark))
            else:
                disk.take(asked)
                outcome.counts[f"{asked.kind}s of the disk"] += 1


class Platter:
    """What lies on the disk for good, and what is still on its way there."""

    def __init__(self, base: dict[str, bytes]) -> None:
        self._safe = {name: bytearray(content) for name, content in base.items()}
        self._coming: dict[str, list[Asked]] = defaultdict(list)

    def take(self, asked: Asked) -> None:
        name = Path(asked.path).name
        if asked.kind != "sync":
            self._coming[name].append(asked)
            return
        for one in self._coming.pop(name, []):
            _apply(self._safe, name, one)

    def left(self, how: str, rng: random.Random) -> dict[str, bytes]:
        """The files after a power cut at this moment; how: one of LEFT."""
        files = {name: bytearray(content) for name, content in self._safe.items()}
        for name, coming in self._coming.items():
            for asked in coming:
                for part in _arrived(asked, how, rng):
                    _apply(files, name, part)
        return {name: bytes(content) for name, content in files.items()}


def _arrived(asked: Asked, how: str, rng: random.Random) -> Iterable[Asked]:
    if how == "nothing" or (how == "some" and rng.random() < 0.5):
        return []
    return [asked] if how == "some" or asked.kind != "write" else list(_sectors(asked, rng))


def _sectors(asked: Asked, rng: random.Random) -> Iterator[Asked]:
    for begin in range(0, len(asked.data), SECTOR):
        if rng.random() < 0.5:
            yield Asked("write", asked.path, asked.at + begin, asked.data[begin : begin + SECTOR])


def _apply(files: dict[str, bytearray], name: str, asked: Asked) -> None:
    if asked.kind == "remove":
        files.pop(name, None)
        return
    content = files.setdefault(name, bytearray())
    if asked.kind == "cut":
        del content[asked.at :]
        return
    if len(content) < asked.at:
        content.extend(bytes(asked.at - len(content)))
    content[asked.at : asked.at + len(asked.data)] = asked.data


def _start_on(
    files: dict[str, bytes], bench: Bench, settings: Settings, said: list[dict[str, Any]], outcome: Outcome
) -> None:
    """Start a unit on what the power cut has left, and hold it against what was promised until then."""
    place = bench.place()
    for name, content in files.items():
        (place / name).write_bytes(content)
    open_journal(place, settings.unit.room).close()  # as a unit does when it starts
    shift_s = max((line["to"] for line in said if line["did"] == "shifted"), default=0.0)
    now = Moment(time.time() + shift_s, time.monotonic() + shift_s, boot_id())
    found = disk_faults(place, settings, said, now)
    outcome.add(found)
    known = 0 if found.torn else _last_number(place)
    highest = max((line["seq"] for line in said if line["did"] == "published"), default=0)
    outcome.expect(highest <= known, f"number {highest} is with the broker and would be given out again")
    outcome.expect(not set_aside(place), "the database was damaged by the power cut")
    shutil.rmtree(place)


def _last_number(place: Path) -> int:
    """The highest number of a message that the store knows to be given out."""
    with closing(Journal(place, readonly=True)) as journal:
        row = journal.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return 0 if row is None else int(row[0])


class Marked(Ledger):
    """A ledger that also writes its lines between the writes of the disk."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path)
        self._disk = disk

    def say(self, did: str, **what: Any) -> None:
        self._disk.mark(json.dumps({"did": did, **what}))
        super().say(did, **what)


def recorded(job: Job) -> None:
    """Target of a child: a life with everything written down that it asks of its disk."""
    logging.disable(logging.CRITICAL)
    hurry()
    try:
        disk = Disk.install()
    except NoShimError as error:
        Ledger(job.ledger).say("not done", why=str(error))
        return
    ledger = Marked(job.ledger, disk)
    settings, folder = job.settings, job.settings.store.path()
    clock = ShiftedClock()
    open_journal(folder, settings.unit.room).close()
    base = {one.name: one.read_bytes() for one in folder.glob(f"{FILE}*") if not one.name.endswith("-shm")}
    disk.log.clear()
    courier = Courier(settings, folder, clock)
    outbox = Outbox(open_journal(folder, settings.unit.room), settings, courier.spill)
    outbox.journal.connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    _mark_wire(ledger)
    courier.start()
    ward = Ward(outbox, clock, random.Random(job.seed), ledger)
    for act in job.plan or ():
        ward.acts[act]()
        courier.wake()
    ledger.say("ended" if sent_all(outbox, clock) else "stuck")
    (job.ledger.parent / LOG).write_bytes(pickle.dumps(Tape(base, list(disk.log))))
    courier.stop()
    outbox.journal.close()


def _mark_wire(ledger: Ledger) -> None:
    """Write down which number is given to the broker, and when."""
    publish = Link.publish

    def marked(link: Link, post: Post) -> int:
        if seq := dict(post.properties).get("seq"):
            ledger.say("published", seq=int(seq))
        return publish(link, post)

    swap(Link, "publish", marked)
