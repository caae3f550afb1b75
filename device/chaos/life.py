"""The life of a chaos child: what a unit does with alerts, without camera and network, until it is done or killed.

Forked from a process that has imported everything already (multiprocessing's forkserver): a thousand lives in minutes.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from device.alert_life import Life
from device.alerts import alert_for
from device.chaos.disk import Disk, NoShimError
from device.chaos.taps import Ledger, Points, tap_disk, tap_road
from device.clock import SystemClock
from device.incidents.policy import new_ulid
from device.mqtt import Courier
from device.mqtt import courier as courier_module
from device.outbox import Outbox
from device.records import Action, Incident, Receipt
from device.salvage import open_journal
from device.settings import Settings

OPEN_MOST = 12
"""Above this many open alerts people only answer: a ward, not a pile."""
STAGE_AFTER = {"confirmed": "still_down", "still_down": "very_long"}
STUCK_S = 60.0
"""An outbox out of which nothing has gone for so long is stuck."""
HURRY = {"BACKOFF_S": (0.05,), "SETTLE_S": 0.2, "REFUSED_RETRY_S": 0.2}
"""Waits of the courier that a child has not got the time for."""


@dataclass(frozen=True, slots=True)
class Job:
    """One life. plan: what to do, then send everything and end; None: whatever comes, until killed.

    die_at: number of the point at which it kills itself, 0 never. count_disk: writes and syncs are such points too.
    shift_s: how far the clock of the thread that sees is ahead of the machine's.
    """

    settings: Settings
    ledger: Path
    where: Path
    seed: int
    shift_s: float = 0.0
    plan: tuple[str, ...] | None = None
    die_at: int = 0
    count_disk: bool = False


class ShiftedClock:
    """The machine's clock, set on by seconds that pass at once. wall_s: how far only the time of day is set."""

    def __init__(self, shift_s: float = 0.0, wall_s: float = 0.0) -> None:
        self.shift_s = shift_s
        self.wall_s = wall_s

    def now(self) -> float:
        return time.monotonic() + self.shift_s

    def wall(self) -> float:
        return time.time() + self.shift_s + self.wall_s


class Ward:
    """What happens in a room and what staff do about it, entered into an outbox one act at a time."""

    def __init__(self, outbox: Outbox, clock: ShiftedClock, rng: random.Random, ledger: Ledger) -> None:
        self.outbox = outbox
        self.clock = clock
        self._rng = rng
        self._ledger = ledger
        self.acts: dict[str, Callable[[], None]] = {
            "fall": self.fall,
            "worse": self.worse,
            "up": self.up,
            "claim": partial(self.answer, "claim"),
            "arrive": partial(self.answer, "arrive"),
            "close": partial(self.answer, "close"),
            "reject": partial(self.answer, "reject"),
            "ring": self.ring,
        }

    def anything(self) -> None:
        """One act that makes sense now."""
        crowded = len(self.outbox.lives.open()) >= OPEN_MOST
        words = ["claim", "arrive", "close", "close", "reject", "up", "worse", "ring"]
        self.acts[self._rng.choice(words if crowded else ["fall"] * 5 + words)]()

    def fall(self) -> None:
        t, wall = self.clock.now(), self.clock.wall()
        self._tell(Incident(new_ulid(wall), "fall", "confirmed", t, wall, t - 5.0, wall - 5.0, t, wall, 0.9, 0.9))

    def worse(self) -> None:
        for before in self._open_incidents("confirmed", "still_down"):
            self._tell(self._moved(before, STAGE_AFTER[before.stage]))

    def up(self) -> None:
        for before in self._open_incidents("confirmed", "still_down", "very_long"):
            self._tell(replace(self._moved(before, "recovered"), ended=True))

    def answer(self, action: Action) -> None:
        life = self._any_open()
        if life is None:
            return
        receipt = Receipt(life.id, "human", "chaos", self.clock.wall(), action, "made by fallwatch chaos")
        nonce = uuid.UUID(int=self._rng.getrandbits(128)).hex
        if self.outbox.answer(receipt, nonce, self.clock.wall(), self.clock.now()).counts:
            word = "answered" if self.outbox.trouble is None else "spilt"
            self._ledger.say(word, alert=life.id, action=action, nonce=nonce)

    def ring(self) -> None:
        """A minute and more passes, and the unit looks at its alerts."""
        self.clock.shift_s += self._rng.uniform(61.0, 200.0)
        self.outbox.tick(self.clock.wall(), self.clock.now())
        self._ledger.say("shifted", to=self.clock.shift_s)

    def _tell(self, incident: Incident) -> None:
        alert = alert_for(incident, self.outbox.unit.room)
        assert alert is not None, f"{incident.kind}/{incident.stage} is told to nobody"
        error = self.outbox.put(incident, replace(alert, test=True), "chaos")
        self._ledger.say("told" if error is None else "spilt", alert=incident.id, stage=incident.stage)

    def _moved(self, before: Incident, stage: str) -> Incident:
        return replace(before, stage=stage, t=self.clock.now(), wall=self.clock.wall())

    def _open_incidents(self, *stages: str) -> list[Incident]:
        """One open incident in one of these stages, or none."""
        found = [one for one in self.outbox.journal.open_incidents() if one.stage in stages]
        return [self._rng.choice(found)] if found else []

    def _any_open(self) -> Life | None:
        lives = self.outbox.lives.open()
        return self._rng.choice(lives) if lives else None


def live(job: Job) -> None:
    """Target of a child process."""
    logging.disable(logging.CRITICAL)
    hurry()
    ledger = Ledger(job.ledger)
    points = Points(ledger, job.where, job.die_at)
    if job.count_disk:
        try:
            tap_disk(points, Disk.install())
        except NoShimError as error:
            ledger.say("not done", why=str(error))
            return
    tap_road(points)
    clock = ShiftedClock(job.shift_s)
    settings, folder = job.settings, job.settings.store.path()
    courier = Courier(settings, folder, SystemClock())  # a clock that leaps would make every receipt overdue
    outbox = Outbox(open_journal(folder, settings.unit.room), settings, courier.spill)
    outbox.begin(clock.wall(), clock.now())
    ledger.say("begun")
    courier.start()
    ward = Ward(outbox, clock, random.Random(job.seed), ledger)
    for act in job.plan if job.plan is not None else iter(lambda: "anything", ""):
        (ward.anything if act == "anything" else ward.acts[act])()
        courier.wake()
    ledger.say("ended" if sent_all(outbox, clock) else "stuck", waiting=outbox.waiting(), points=dict(points.passed))
    courier.stop()
    outbox.journal.close()


def sent_all(outbox: Outbox, clock: ShiftedClock, stuck_s: float = STUCK_S) -> bool:
    """Wait until everything is on disk, with the broker, and out of the outbox; False when nothing moves any more."""
    fewest, end = 2**62, time.monotonic() + stuck_s
    while not outbox.settle(clock.wall(), clock.now()) or outbox.waiting():
        if outbox.waiting() < fewest:
            fewest, end = outbox.waiting(), time.monotonic() + stuck_s
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def hurry() -> None:
    """Shorten, in this process, what a unit on a wall waits for patiently."""
    for name, value in HURRY.items():
        setattr(courier_module, name, value)


def _alive(job: Job, target: Callable[[Job], None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then counts what it has
    threading.Thread(target=_die_with_parent, daemon=True).start()
    target(job)


def _die_with_parent() -> None:
    """A suite that was killed itself must not leave a life without end behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def born(job: Job, target: Callable[[Job], None] = live) -> ForkServerProcess:
    """Begin a life in a process of its own."""
    job.where.write_bytes(bytes(2))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["device.chaos.life"])
    process = context.Process(target=_alive, args=(job, target), daemon=True)
    process.start()
    return process
