"""What every scenario of the failure suite is given, and what it gives back."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.alert_life import Moment
from device.chaos.life import Job, born, live
from device.chaos.reckoning import Reckoning, disk_faults
from device.chaos.taps import read_ledger
from device.journal import boot_id
from device.settings import Mqtt, Settings, Store

FAULTS_SHOWN = 5
"""Sentences kept of one scenario; the counts say how many there were."""
NAME_MAX = 64
"""Characters of a unit's id, as settings.Name bounds it."""
CHAOS = "-chaos"
"""What the unit under test is called after the one whose settings it has."""
MUST_BE_ZERO = ("lost", "repeated_alarms", "out_of_order", "silent", "torn", "stuck")


class NotDoneError(Exception):
    """This scenario cannot be played on this machine; the text says why and what to do."""


@dataclass
class Outcome:
    """counts: what happened how often; those of MUST_BE_ZERO decide. faults: a sentence about each, the first few.

    not_done: why it could not be played here, "" when it was.
    """

    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    not_done: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.faults and not any(self.counts[name] for name in MUST_BE_ZERO)

    def add(self, reckoning: Reckoning) -> None:
        self.counts.update(reckoning.counts())
        for fault in reckoning.faults:
            self.fault(fault)

    def fault(self, text: str) -> None:
        if len(self.faults) < FAULTS_SHOWN:
            self.faults.append(text)

    def expect(self, so: bool, text: str) -> None:
        """One thing that must be so; `text` says what is wrong otherwise."""
        self.counts["checks"] += 1
        if not so:
            self.fault(text)


@dataclass
class Bench:
    """base: the settings of the unit whose alerts are put to the test. folder: a temporary one of our own.

    quick: a part of each scenario. kills: random kills asked for.
    site: base names the broker of a site. tell: says how far a scenario has come. stopped: somebody
    wants it to end; the scenario that noticed has counted what it had.
    """

    base: Settings
    folder: Path
    seed: int
    kills: int
    quick: bool
    site: bool = False
    stopped: bool = False
    tell: Callable[[str, int, int], None] = lambda what, done, of: None
    _names: itertools.count[int] = field(default_factory=itertools.count)

    def rng(self, name: str) -> random.Random:
        """Chance that is the same for the same seed and scenario."""
        return random.Random(f"{self.seed} {name}")

    def place(self) -> Path:
        """An empty folder of its own."""
        place = self.folder / f"{next(self._names)}"
        place.mkdir()
        return place

    def unit(self, state: Path, mqtt: Mqtt, *, receipts: bool = False) -> Settings:
        """The settings of the unit under test: its times of the unit on the wall, its own name, store and broker.

        receipts: a desk says that it has each alert. Nothing else of the unit is switched on: no webhook, relay, pager.
        """
        alerts = self.base.alerts
        if not receipts:
            alerts = alerts.model_copy(update={"receipt": "broker", "consumer_receipts": False})
        return Settings(
            unit=self.base.unit.model_copy(update={"id": f"{self.base.unit.id[: NAME_MAX - len(CHAOS)]}{CHAOS}"}),
            mqtt=mqtt,
            alerts=alerts,
            store=Store(folder=str(state), reserve_mb=1),
        )


def loopback(port: int) -> Mqtt:
    """A broker of ours on this machine."""
    return Mqtt(host="127.0.0.1", port=port)


@dataclass
class Lives:
    """The lives of one unit, one after the other over the same store. target: what a life does."""

    settings: Settings
    place: Path
    shift_s: float = 0.0
    target: Callable[[Job], None] = live
    deaths: Counter[str] = field(default_factory=Counter)
    _count: int = 0

    def job(self, seed: int, **more: Any) -> Job:
        """The next life."""
        self._count += 1
        ledger = self.place / f"ledger-{self._count}"
        return Job(self.settings, ledger, self.place / "where", seed, self.shift_s, **more)

    def finish(self, outcome: Outcome, seed: int, *plan: str) -> list[dict[str, Any]]:
        """A life that nobody disturbs: it acts by the plan, sends everything and ends. Returns its ledger."""
        return self.run(outcome, self.job(seed, plan=plan))

    def run(self, outcome: Outcome, job: Job, target: Callable[[Job], None] | None = None) -> list[dict[str, Any]]:
        """Let a life end by itself, kill -9 at its own hand included, and look at the store. Returns its ledger."""
        said = self.alone(outcome, job, target)
        outcome.add(self.now(said))
        return said

    def alone(self, outcome: Outcome, job: Job, target: Callable[[Job], None] | None = None) -> list[dict[str, Any]]:
        """The same without a look at the store."""
        process = born(job, target or self.target)
        process.join()
        said = self.read(job)
        ends = {line["did"] for line in said} & {"ended", "stuck", "died", "not done"}
        if ends not in ({"ended"}, {"died"}, {"not done"}):
            outcome.counts["stuck"] += 1
            outcome.fault(f"a life ended as {ends or f'exit code {process.exitcode}'}: {said[-1:]}")
        return said

    def read(self, job: Job) -> list[dict[str, Any]]:
        said = read_ledger(job.ledger)
        for line in said:
            if line["did"] == "shifted":
                self.shift_s = line["to"]
        return said

    def now(self, said: list[dict[str, Any]]) -> Reckoning:
        """What is wrong with the store at this moment."""
        if not (self.settings.store.path() / "fallwatch.db").exists():
            return Reckoning()  # killed before it had made one: nothing was promised
        now = Moment(time.time() + self.shift_s, time.monotonic() + self.shift_s, boot_id())
        return disk_faults(self.settings.store.path(), self.settings, said, now)
