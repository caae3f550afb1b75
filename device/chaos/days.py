"""A broker that is away for seconds to days, and clocks that are set, on a clock of our own."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace

from device.alerts import alert_for
from device.chaos.bench import Bench, Outcome, loopback
from device.chaos.brokers import free_port, recording
from device.chaos.life import ShiftedClock
from device.chaos.links import falls, hurried, unit_at, wait
from device.chaos.reckoning import reckon
from device.outbox import Outbox
from device.payloads import stamped, validate
from device.records import Receipt
from device.salvage import open_journal

HOUR_S = 3600.0
AWAY_S = {"30 seconds": 30.0, "an hour": HOUR_S, "a day": 24 * HOUR_S, "three days": 72 * HOUR_S}
QUICK = ("30 seconds", "an hour")
LOOK_S = 10.0
"""Of the clock of ours, between two looks at what is due."""
BACK_S = 15.0
"""All is delivered within this of the broker's return (DESIGN section 8)."""
DAY_S = 24 * HOUR_S
STEPS_S = {"a day on": DAY_S, "a day back": -DAY_S, "to 1970": None, "ten years on": 3650 * DAY_S}
WATCHED_S = 420.0
"""Long enough for every tier of the defaults (60, 120, 180 s) and a few rings after."""


def outages(bench: Bench) -> Outcome:
    """People fall while the broker is away, one is never found; it comes back: all arrives, in order."""
    outcome = Outcome()
    names = QUICK if bench.quick else tuple(AWAY_S)
    for name in names:
        bench.tell(f"the broker away for {name}", names.index(name), len(names))
        _outage(bench, outcome, name, AWAY_S[name])
    return outcome


def _outage(bench: Bench, outcome: Outcome, name: str, away_s: float) -> None:
    place, port, clock = bench.place(), free_port(), ShiftedClock()
    settings = bench.unit(place, loopback(port))
    with hurried(), unit_at(settings, clock) as (courier, outbox):
        falls(outbox, 1, clock)
        _days(outbox, clock, away_s)
        messages = outbox.waiting()
        began = time.monotonic()
        with recording(port=port) as broker:
            courier.wake()
            wait(lambda: outbox.waiting() == 0, outcome, f"away for {name}: alerts still wait", 300.0)
            took = time.monotonic() - began
            outcome.add(reckon(place, broker.received))
    outcome.counts["outages"] += 1
    outcome.figures[f"{name}: messages"] = messages
    outcome.figures[f"{name}: delivered in s"] = round(took, 2)
    if not bench.quick:  # the time is the bar of an idle machine; --quick also runs where many tests run at once
        outcome.expect(
            took <= BACK_S, f"away for {name}: {messages} messages took {took:.0f} s, allowed {BACK_S:.0f} s"
        )


def _days(outbox: Outbox, clock: ShiftedClock, away_s: float) -> None:
    """Time passes: an alert that nobody answers rings on, and every hour somebody falls and is helped up."""
    hours = 0
    end = clock.now() + away_s
    began = clock.now()
    while clock.now() < end:
        clock.shift_s += LOOK_S
        outbox.tick(clock.wall(), clock.now())
        if clock.now() - began >= (hours + 1) * HOUR_S:
            hours += 1
            [alert_id] = falls(outbox, 1, clock)
            for action in ("claim", "close"):
                receipt = Receipt(alert_id, "human", "chaos", clock.wall(), action)
                outbox.answer(receipt, f"{alert_id}-{action}", clock.wall(), clock.now())


@dataclass(frozen=True, slots=True)
class Heard:
    """rings: seconds after the fall at which it rang again. recovered: it could still be ended."""

    rings: tuple[float, ...]
    recovered: bool


def clock_steps(bench: Bench) -> Outcome:
    """The time of day is set while an alert rings: it rings as if nothing had been, and what is told is in contract."""
    outcome = Outcome()
    undisturbed = _rung(bench, outcome, None, at_s=0.0)
    outcome.expect(len(undisturbed.rings) >= 3, "an alert that nobody answers does not ring again")
    for name, step_s in STEPS_S.items():
        for at_s in (0.0, 59.0, 100.0):
            clock = ShiftedClock()
            by = -clock.wall() if step_s is None else step_s
            heard = _rung(bench, outcome, by, at_s)
            outcome.counts["clocks set"] += 1
            outcome.expect(
                heard == undisturbed,
                f"set {name} {at_s:.0f} s after the fall: rings at {heard.rings}, undisturbed at {undisturbed.rings}",
            )
    return outcome


def _rung(bench: Bench, outcome: Outcome, step_s: float | None, at_s: float) -> Heard:
    place = bench.place()
    settings = bench.unit(place, loopback(1))
    rings: list[float] = []
    t, wall = 1000.0, time.time()
    with closing(open_journal(place, settings.unit.room)) as journal:
        outbox = Outbox(journal, settings)
        [alert_id] = falls(outbox, 1, _At(t, wall))
        for second in range(int(WATCHED_S)):
            if step_s is not None and second == at_s:
                wall += step_s
            before = outbox.pending()[-1].seq
            outbox.tick(wall + second, t + second)
            if outbox.pending()[-1].seq > before:  # not how many wait: a ring overtakes the one before it
                rings.append(float(second))
        incident = next(one for one in journal.open_incidents() if one.id == alert_id)
        end = replace(incident, stage="recovered", ended=True, t=t + WATCHED_S, wall=max(0.0, wall + WATCHED_S))
        outbox.put(end, alert_for(end, settings.unit.room), "chaos")
        for letter in outbox.pending(1000):
            outcome.counts["messages"] += 1
            validate("alert-event", stamped(letter.payload, letter.seq, 1, time.time()))
        life = outbox.lives.get(alert_id)
    return Heard(tuple(rings), life is not None and life.state == "recovered")


class _At:
    """A clock that stands."""

    def __init__(self, t: float, wall: float) -> None:
        self._t, self._wall = t, wall

    def now(self) -> float:
        return self._t

    def wall(self) -> float:
        return self._wall
