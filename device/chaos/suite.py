"""The table of scenarios, played one after the other, and what is said about them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from device.chaos.bench import MUST_BE_ZERO, Bench, NotDoneError, Outcome
from device.chaos.damage import damage
from device.chaos.days import clock_steps, outages
from device.chaos.disk import NoShimError
from device.chaos.full_disk import small_file, write_errors
from device.chaos.kills import points, random_kills
from device.chaos.links import misbehaviour, refused_connection
from device.chaos.power import power_cuts
from device.chaos.site import site_broker
from device.chaos.webhooks import webhooks

SCENARIOS: dict[str, Callable[[Bench], Outcome]] = {
    "kill -9 at random moments": random_kills,
    "kill -9 at each commit, write, publish and receipt": points,
    "power cut, unsynced writes gone or torn": power_cuts,
    "ENOSPC and EIO at each write": write_errors,
    "a file that may not grow": small_file,
    "damaged database": damage,
    "broker that misbehaves": misbehaviour,
    "broker that is not there": refused_connection,
    "webhook's receiver that misbehaves or is not there": webhooks,
    "broker away for seconds to days": outages,
    "clock set by a day, either way": clock_steps,
    "the site's own broker": site_broker,
}


@dataclass(frozen=True, slots=True)
class Played:
    """A scenario and what became of it."""

    name: str
    outcome: Outcome

    @property
    def word(self) -> str:
        if self.outcome.not_done:
            return "not done"
        return "ok" if self.outcome.passed else "FAILED"

    def body(self) -> dict[str, Any]:
        """For JSON."""
        one = self.outcome
        return {
            "scenario": self.name,
            "result": self.word,
            "seconds": round(one.seconds, 1),
            "counts": dict(one.counts),
            "figures": one.figures,
            "faults": one.faults,
            "not_done": one.not_done,
        }


def play(bench: Bench, names: list[str]) -> Iterator[Played]:
    """Each scenario of the table that is named, as soon as it is over."""
    for name in names:
        began = time.monotonic()
        try:
            outcome = SCENARIOS[name](bench)
        except (NotDoneError, NoShimError) as reason:
            outcome = Outcome(not_done=str(reason))
        outcome.seconds = time.monotonic() - began
        yield Played(name, outcome)
        if bench.stopped:
            return


def totals(played: list[Played]) -> dict[str, int]:
    """What the whole suite counted: kills, messages, and what must be 0."""
    counts: Counter[str] = Counter()
    for one in played:
        counts.update(one.outcome.counts)
    return {name: counts[name] for name in ("kills", "power cuts", "refusals", "messages", "received", *MUST_BE_ZERO)}
