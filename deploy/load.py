"""What one broker bears: thousands of units on a real Mosquitto, alerts at a rate, and the storms that a house has.

    python -m deploy.load --units 2000
    python -m deploy.load --units 2000 --tls --json

Three storms: every line is cut for a while (a switch without power), the broker is killed with -9 and started again,
and everybody comes back at once. An alert counts as lost when it was handed in and no desk has it at the end. Times are
taken in this process, so that the driver's own delays count against the broker: they are upper bounds. Exit code 1 when
an alert was lost or refused, somebody did not come back, p99 from confirmed to broker is above its bar, or a desk had
not all alerts of a storm within 15 s of the return.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from deploy.load_broker import LoadBroker, allow_descriptors
from deploy.load_report import Plan, Report, Spread, Storm, machine, spread, table
from deploy.swarm import Desk, Ledger, Unit
from device.errors import FallwatchError, UsageError

TICK_S = 0.02


class Load:
    """One run: the swarm, the desk and the broker they live on."""

    def __init__(self, plan: Plan, broker: LoadBroker, report: Report) -> None:
        self.plan = plan
        self.report = report
        self._broker = broker
        self._ledger = Ledger()
        self._desk = Desk(broker.door, self._ledger)
        self._units = [Unit(name, broker.door, self._ledger) for name in broker.names]
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """All phases; fills the report. Raises FallwatchError when the swarm cannot even connect."""
        try:
            await self._connect()
            self._tasks += [asyncio.create_task(self._alert_for_ever()), asyncio.create_task(self._repeat_for_ever())]
            await self._steady()
            self.report.storms.append(await self._storm("every line cut", self._cut_all))
            for _ in range(self.plan.storms):
                self.report.storms.append(await self._storm("broker killed with -9", self._kill))
            self._tasks[-2].cancel()
            await self._until("last alerts", lambda: len(self._ledger.at_desk), lambda: len(self._ledger.handed_in))
        finally:
            for task in self._tasks:
                task.cancel()
        ledger, report = self._ledger, self.report
        report.handed_in, report.lost = len(ledger.handed_in), ledger.missing()
        report.repeats, report.late, report.refused = ledger.repeats, ledger.late, len(ledger.refused)

    async def _connect(self) -> None:
        """Everybody at once, as after a power cut."""
        began = self._loop.time()
        self._tasks += [asyncio.create_task(member.live()) for member in (self._desk, *self._units)]
        if not await self._until("connecting", self._up, lambda: len(self._units)):
            raise FallwatchError(
                f"{self._up()} of {len(self._units)} units could connect within {self.plan.patience_s:.0f} s; give "
                f"fewer --units or more --patience, or look into {self._broker.log}"
            )
        self.report.connected_s = self._loop.time() - began

    async def _steady(self) -> None:
        cpu, own, began = self._broker.cpu_s(), sum(os.times()[:2]), self._loop.time()
        first = set(self._ledger.handed_in)
        with tqdm(total=int(self.plan.seconds), desc="steady", unit="s", disable=None) as bar:
            while (passed := self._loop.time() - began) < self.plan.seconds:
                bar.update(int(passed) - bar.n)
                await asyncio.sleep(0.5)
        passed = self._loop.time() - began
        self.report.broker_cpu = (self._broker.cpu_s() - cpu) / passed
        self.report.driver_cpu = (sum(os.times()[:2]) - own) / passed
        self.report.broker_rss_mb = self._broker.rss_mb()
        these = set(self._ledger.handed_in) - first
        await self._until("settling", lambda: len(these & self._ledger.at_desk.keys()), lambda: len(these))
        self.report.to_broker = self._took(these, self._ledger.at_broker)
        self.report.to_desk = self._took(these, self._ledger.at_desk)

    async def _storm(self, what: str, cause: Callable[[], None]) -> Storm:
        """Cut, wait, let them come back; alerts go on being handed in all the while."""
        before, began = set(self._ledger.handed_in), self._loop.time()
        self._ledger.offline.clear()
        offline = 0
        cause()
        while self._loop.time() - began < self.plan.outage_s:
            offline = max(offline, len(self._ledger.offline))
            await asyncio.sleep(TICK_S)
        meanwhile = set(self._ledger.handed_in) - before
        if not self._broker.running():
            await asyncio.to_thread(self._broker.start)
        for member in (self._desk, *self._units):
            member.held = False
        down_s, up, own = self._loop.time() - began, self._loop.time(), sum(os.times()[:2])
        spent = self._broker.cpu_s()
        marks: dict[int, float] = {}
        total = len(self._units)
        counts = (-(-total // 2), -(-total * 99 // 100), total)
        for count in counts:
            if await self._until(f"{what}: back", self._up, lambda count=count: count):  # type: ignore[misc]
                marks[count] = self._loop.time() - up
        if total not in marks:
            raise FallwatchError(
                f"{what}: only {self._up()} of {total} units came back within {self.plan.patience_s:.0f} s"
            )
        everything = await self._until(
            "its alerts", lambda: len(meanwhile & self._ledger.at_desk.keys()), lambda: len(meanwhile)
        )
        half, most, every = (marks[count] for count in counts)
        return Storm(
            what=what,
            down_s=down_s,
            handed_in=len(meanwhile),
            back=Spread(total, half, most, every),
            all_delivered_s=self._loop.time() - up,
            offline_seen=offline,
            broker_cpu_s=self._broker.cpu_s() - spent,
            driver_cpu_s=sum(os.times()[:2]) - own,
            everything=everything,
        )

    def _cut_all(self) -> None:
        for unit in self._units:
            unit.held = True
            unit.cut()

    def _kill(self) -> None:
        self._broker.kill()

    async def _alert_for_ever(self) -> None:
        """Falls at random moments in random rooms, at the rate asked for."""
        due = self._loop.time()
        while True:
            due += random.expovariate(self.plan.rate)
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            random.choice(self._units).alert()

    async def _repeat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            for unit in self._units:
                unit.beat()

    async def _until(self, words: str, count: Callable[[], int], total: Callable[[], int]) -> bool:
        """Wait until count() reaches total(), showing how far it is; False when that takes too long."""
        end = self._loop.time() + self.plan.patience_s
        with tqdm(total=total(), desc=words, disable=None) as bar:
            while (now := count()) < total():
                bar.total = total()
                bar.update(now - bar.n)
                if self._loop.time() > end:
                    return False
                await asyncio.sleep(TICK_S)
            bar.update(now - bar.n)
        return True

    def _up(self) -> int:
        return sum(unit.connected for unit in self._units)

    def _took(self, alerts: set[str], arrived: dict[str, float]) -> Spread:
        return spread([arrived[one] - self._ledger.handed_in[one] for one in alerts if one in arrived])


async def drive(plan: Plan, *, tls: bool, folder: Path) -> Report:
    """Start a broker in `folder`, run the plan on it, end it; the report. Raises FallwatchError."""
    names = [f"unit-{number:05d}" for number in range(1, plan.units + 1)]
    broker = LoadBroker(folder, names, tls=tls)
    report = Report(machine(), broker.version(), plan, tls, os.getloadavg()[0])
    await asyncio.to_thread(broker.start)
    try:
        await Load(plan, broker, report).run()
    finally:
        broker.kill()
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.load",
        description=(__doc__ or "").splitlines()[0],
        epilog="exit code 1: a bar was missed",
    )
    parser.add_argument("--units", type=int, default=2000, metavar="N", help="how many (default 2000)")
    parser.add_argument("--rate", type=float, default=20.0, metavar="N", help="alerts a second, all units (default 20)")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="N", help="the steady phase (default 30)")
    parser.add_argument("--storms", type=int, default=2, metavar="N", help="how often to kill the broker (default 2)")
    parser.add_argument("--outage", type=float, default=10.0, metavar="S", help="seconds it stays away (default 10)")
    parser.add_argument(
        "--patience", type=float, default=120.0, metavar="S", help="for everybody's return (default 120)"
    )
    parser.add_argument("--tls", action="store_true", help="a certificate for each unit, as a site has it")
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")
    args = parser.parse_args(arguments)
    plan = Plan(args.units, args.rate, args.seconds, args.storms, args.outage, args.patience)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # that a line is cut is what this is about
    try:
        if min(plan.units, plan.rate, plan.seconds, plan.outage_s) <= 0 or plan.storms < 0:
            raise UsageError("--units, --rate, --seconds and --outage must be above 0, --storms 0 or more")
        allow_descriptors(plan.units)
        with tempfile.TemporaryDirectory(prefix="fallwatch-load-") as folder:
            report = asyncio.run(drive(plan, tls=args.tls, folder=Path(folder)))
    except FallwatchError as error:
        print(f"deploy.load: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ndeploy.load: stopped", file=sys.stderr)
        return 130
    print(json.dumps({**asdict(report), "passed": report.passed()}) if args.json else table(report))
    return 0 if report.passed() else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # however it is ended, its broker ends with it
    sys.exit(main())
