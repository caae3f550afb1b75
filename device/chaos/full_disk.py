"""A disk that takes nothing: ENOSPC and EIO at each write and each sync, a file that may not grow."""

from __future__ import annotations

import logging
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

from device.chaos.bench import Bench, Lives, NotDoneError, Outcome
from device.chaos.brokers import recording
from device.chaos.disk import EIO_SYNC, EIO_TRUNCATE, EIO_WRITE, FULL, OK, Asked, Disk, NoShimError
from device.chaos.life import Job, ShiftedClock, Ward, hurry, sent_all
from device.chaos.reckoning import reckon
from device.chaos.taps import Ledger, Points, tap_road
from device.mqtt import Courier
from device.outbox import Outbox
from device.salvage import open_journal
from device.store import FILE

PLACES = range(1, 31)
"""The 1st to 30th request to the disk after a fall: more than a fall, its sending and its receipt need together."""
QUICK_PLACES = range(1, 31, 6)
LASTING = (1, 25, 0)
"""How many requests in a row fail; 0: every one until the broker has the alert."""
GROWTH = (0, 100, 4200, 20_000, 45_000, 90_000)
"""Bytes by which the write-ahead log may grow: none, part of a page, part of a commit, part of the receipts."""
EIO = {"write": EIO_WRITE, "sync": EIO_SYNC, "cut": EIO_TRUNCATE}
SENT_S = 30.0


def write_errors(bench: Bench) -> Outcome:
    """At each of the writes and syncs that an alert needs the disk says no, once, for a while, or until it is sent."""
    return _suffering(bench, fails_at_each_write)


def small_file(bench: Bench) -> Outcome:
    """The kernel itself refuses: a limit on the size of files (RLIMIT_FSIZE) that the log of the database runs into."""
    return _suffering(bench, runs_into_a_limit)


def _suffering(bench: Bench, target: Callable[[Job], None]) -> Outcome:
    outcome, place = Outcome(), bench.place()
    with recording() as broker:
        lives = Lives(bench.unit(place / "state", broker.mqtt), place)
        plan = ("quick",) if bench.quick else ()
        said = lives.run(outcome, lives.job(bench.seed, plan=plan), target)
        if why := next((line["why"] for line in said if line["did"] == "not done"), ""):
            raise NotDoneError(why)
        for word in ("told", "spilt"):
            outcome.counts[f"falls {word}"] = sum(line["did"] == word for line in said)
        outcome.counts["refusals"] = next((line["refusals"] for line in said if line["did"] == "refused"), 0)
        outcome.expect(outcome.counts["falls spilt"] > 0, "the disk never refused a fall: this tested nothing")
        outcome.add(reckon(lives.settings.store.path(), broker.received))
    return outcome


def fails_at_each_write(job: Job) -> None:
    """Target of a child: falls, each with a disk that fails at another request."""
    ledger = Ledger(job.ledger)
    try:
        disk = Disk.install()
    except NoShimError as error:
        ledger.say("not done", why=str(error))
        return
    disk.keep = False
    with _Unit(job, ledger) as unit:
        refusals = 0
        for lasting in LASTING:
            for place in QUICK_PLACES if job.plan else PLACES:
                for full in (True, False):
                    failing = _Failing(place, lasting, unit.points, full=full)
                    disk.judge = failing
                    unit.ward.fall()
                    unit.sent()
                    disk.judge = lambda asked: OK
                    refusals += failing.refused
                    unit.settled(f"{'ENOSPC' if full else 'EIO'} at request {place}, {lasting or 'all'}")
        ledger.say("refused", refusals=refusals)


def runs_into_a_limit(job: Job) -> None:
    """Target of a child: falls, each with another limit on how far the log may grow."""
    ledger = Ledger(job.ledger)
    with _Unit(job, ledger) as unit:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        log = Path(f"{job.settings.store.path() / FILE}-wal")
        refusals = 0
        for growth in GROWTH:
            size = max(log.stat().st_size, 1)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + growth, hard))
            unit.ward.fall()
            refusals += unit.ward.outbox.trouble is not None
            unit.sent()
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            unit.settled(f"a log that may grow by {growth} bytes")
        ledger.say("refused", refusals=refusals)


class _Unit:
    """Courier and ward of a child whose disk will fail."""

    def __init__(self, job: Job, ledger: Ledger) -> None:
        logging.disable(logging.CRITICAL)
        hurry()
        self.points = Points(ledger, job.where)
        tap_road(self.points)
        self._ledger = ledger
        self._clock = ShiftedClock()
        settings, folder = job.settings, job.settings.store.path()
        self.courier = Courier(settings, folder, self._clock)
        self._outbox = Outbox(open_journal(folder, settings.unit.room), settings, self.courier.spill)
        self.ward = Ward(self._outbox, self._clock, random.Random(job.seed), ledger)
        self._acked = 0

    def __enter__(self) -> _Unit:
        self.courier.start()
        self.ward.fall()
        self.courier.wake()
        self.settled("a disk that is well")
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.say("ended" if sent_all(self._outbox, self._clock) else "stuck")
        self.courier.stop()
        self._outbox.journal.close()

    def sent(self) -> None:
        """Wait until the broker has taken something more than before, whatever the disk does."""
        self.courier.wake()
        end = time.monotonic() + SENT_S
        while self.points.passed["acked"] <= self._acked:
            if time.monotonic() > end:
                self._ledger.say("stuck", at="the broker did not get it while the disk failed")
                return
            time.sleep(0.002)

    def settled(self, what: str) -> None:
        """The disk is well again: everything has to find its place on it."""
        if not sent_all(self._outbox, self._clock, SENT_S):
            self._ledger.say("stuck", at=what)
        self._acked = self.points.passed["acked"]


class _Failing:
    """A disk that refuses requests number `place` to `place + lasting`; 0: until the broker has one more message."""

    def __init__(self, place: int, lasting: int, points: Points, *, full: bool) -> None:
        self.refused = 0
        self._place, self._lasting, self._points, self._full = place, lasting, points, full
        self._sent = points.passed["acked"]
        self._count = 0

    def __call__(self, asked: Asked) -> int:
        self._count += 1
        over = (
            self._count >= self._place + self._lasting if self._lasting else self._points.passed["acked"] > self._sent
        )
        if asked.kind not in EIO or self._count < self._place or over:
            return OK
        if self._full and asked.kind != "write":
            return OK  # a full disk still syncs and cuts
        self.refused += 1
        return FULL if self._full else EIO[asked.kind]
