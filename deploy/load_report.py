"""What a load run has to tell: records, and a table for a person."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

BAR_S = 1.0
"""Confirmed to broker, p99 (DESIGN 8)."""
BACK_S = 15.0
"""From the broker's return until a desk has every alert that was handed in meanwhile (DESIGN 8)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. rate: alerts a second over all units. seconds: of the steady phase. outage_s: of a storm.

    patience_s: whoever is not back by then stays away.
    """

    units: int
    rate: float
    seconds: float
    storms: int
    outage_s: float
    patience_s: float = 120.0


@dataclass(slots=True)
class Spread:
    """Seconds: half of them, 99 of 100, and all of them took no longer."""

    n: int
    p50: float
    p99: float
    most: float


@dataclass(slots=True)
class Storm:
    """What a storm did. back: seconds after which half, 99 % and all units were connected again.

    all_delivered_s: seconds from the broker's return, or that of the lines, until a desk had every alert handed in
    meanwhile; everything: it had them within the driver's patience.
    *_cpu_s: seconds of a core from then until all was delivered; unlike the times, no other work changes these.
    """

    what: str
    down_s: float
    handed_in: int
    back: Spread
    all_delivered_s: float
    offline_seen: int
    broker_cpu_s: float
    driver_cpu_s: float
    everything: bool = True

    def in_time(self) -> bool:
        return self.everything and self.all_delivered_s <= BACK_S


@dataclass(slots=True)
class Report:
    """Everything that is printed. *_cpu: seconds of a core per second, in the steady phase."""

    machine: str
    broker: str
    plan: Plan
    tls: bool
    load_average: float
    connected_s: float = 0.0
    to_broker: Spread | None = None
    to_desk: Spread | None = None
    broker_cpu: float = 0.0
    driver_cpu: float = 0.0
    broker_rss_mb: float = 0.0
    storms: list[Storm] = field(default_factory=list)
    handed_in: int = 0
    lost: int = 0
    repeats: int = 0
    late: int = 0
    refused: int = 0

    def passed(self) -> bool:
        quick = self.to_broker is None or self.to_broker.p99 <= BAR_S
        return quick and all(storm.in_time() for storm in self.storms) and not (self.lost or self.refused)


def spread(seconds: Sequence[float]) -> Spread:
    """p50, p99 (nearest rank) and the longest of some times."""
    ordered = sorted(seconds)
    if not ordered:
        return Spread(0, 0.0, 0.0, 0.0)
    rank = max(0, -(-len(ordered) * 99 // 100) - 1)
    return Spread(len(ordered), ordered[len(ordered) // 2], ordered[rank], ordered[-1])


def table(report: Report) -> str:
    """The report for a person."""
    plan = report.plan
    rows = [
        ("machine", f"{report.machine}, load average {report.load_average:.1f} before the run"),
        ("broker", f"{report.broker}, {'mutual TLS' if report.tls else 'plain'}, on the same machine"),
        ("units", f"{plan.units}, {plan.rate:g} alerts/s, a heartbeat every 30 s each"),
        ("all connected at once", f"{report.connected_s:.1f} s"),
        ("confirmed to broker", _ms(report.to_broker)),
        ("confirmed to desk", _ms(report.to_desk)),
        ("cost while steady", f"broker {100 * report.broker_cpu:.0f} % of a core and {report.broker_rss_mb:.0f} MB, "
                              f"this driver {100 * report.driver_cpu:.0f} %"),
    ]  # fmt: skip
    for storm in report.storms:
        back = storm.back
        rows.append(
            (
                storm.what,
                f"for {storm.down_s:.0f} s; back: half {back.p50:.1f} s, 99 % {back.p99:.1f} s, all {back.most:.1f} s; "
                f"{storm.handed_in} alerts handed in meanwhile, {_delivered(storm)}; "
                f"{storm.broker_cpu_s:.1f} s of a core in the broker, {storm.driver_cpu_s:.1f} s here"
                + (f"; {storm.offline_seen} said offline by the broker" if storm.offline_seen else ""),
            )
        )
    rows.append(("alerts", f"{report.handed_in} handed in, {report.lost} lost, {report.late} heard after a newer one"))
    rows.append(("repeats", f"{report.repeats} (same alert_id and seq: a desk ignores them)"))
    if report.refused:
        rows.append(("refused", f"{report.refused} messages; check the broker's access list"))
    return "\n".join(f"{name:<22} {said}" for name, said in rows)


def _delivered(storm: Storm) -> str:
    judged = f"bar {BACK_S:.0f} s: {'held' if storm.in_time() else 'MISSED'}"
    if not storm.everything:
        return f"not all at the desk after {storm.all_delivered_s:.1f} s ({judged})"
    return f"all at the desk {storm.all_delivered_s:.1f} s after the return ({judged})"


def _ms(one: Spread | None) -> str:
    if one is None or not one.n:
        return "no alerts"
    return (
        f"p50 {1000 * one.p50:.1f} ms, p99 {1000 * one.p99:.1f} ms, longest {1000 * one.most:.1f} ms ({one.n} alerts)"
    )


def machine() -> str:
    """The processor's own name and how many cores there are."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores"
