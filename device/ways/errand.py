"""Asked from another process: has every way carried this test, and does every way work?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from device.clock import Clock
from device.health import last_beat
from device.journal import Journal
from device.mqtt.presence import Presence
from device.settings import Settings
from device.spill import Spill
from device.ways import MAKERS
from device.ways.ledger import Told, outcome
from device.ways.names import names_of
from device.ways.way import WayError
from device.ways.worker import Worker, lock_name

TURN_S = 0.1
LINGER_S = 1.0
"""A test that this process has carried itself is let ring out: a relay's takes half a second."""
BEAT_FRESH_S = 90.0
"""The unit leaves a heartbeat every 30 s; an older one says nothing about now."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a test by one way.

    seconds: from the unit's disk to the other side's word. by: the unit or this process. error: "" when delivered.
    """

    way: str
    delivered: bool
    seconds: float
    by: Literal["unit", "self"]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Whether a way works. ok None: worth knowing, stops nothing."""

    ok: bool | None
    said: str


def carry_test(settings: Settings, folder: Path, clock: Clock, alert_id: str, deadline_s: float) -> Iterator[Carried]:
    """Wait for each way to carry an alert that is in the outbox; the ones that no unit has at work, carry here.

    Raises StoreError.
    """
    with closing(Journal(folder, room=settings.unit.room)) as journal:
        for name in names_of(settings):
            yield _carry(name, settings, journal, clock, (alert_id, deadline_s))


def look(name: str, settings: Settings, folder: Path, clock: Clock) -> Look:
    """Ask the other side of a way whether it is there, or the unit that has it at work. Raises WayError."""
    if settings.alerts.consumer_receipts is False and getattr(settings, name).when == "fallback":
        return Look(False, f'{name}.when is "fallback" and alerts.consumer_receipts is off: it would carry nothing')
    with Presence(folder, lock_name(name)) as lock:
        if not lock.take():
            error = _of_the_unit(name, folder, clock)
            return Look(not error, error or "at work in the running unit")
        way = MAKERS[name](settings, clock)
        try:
            end = clock.now() + 3.0 * settings.pager.poll_s + 1.0
            while not way.turn([], clock.now()):
                if clock.now() > end:
                    raise WayError(f"{name}: no sign of life; look at the other side")
        finally:
            way.close()
    if name == "webhook" and settings.webhook.url.startswith("http:"):
        return Look(None, "it answers, and is not encrypted: who listens on the network reads every alert; use https")
    return Look(True, {"webhook": "takes our signature", "relay": "its pin can be driven"}.get(name, "answers"))


def _carry(name: str, settings: Settings, journal: Journal, clock: Clock, job: tuple[str, float]) -> Carried:
    alert_id, deadline_s = job
    end = clock.now() + deadline_s
    with Presence(journal.folder, lock_name(name)) as lock:
        if not lock.take():
            told = _wait(journal, name, alert_id, end, clock)
            return _carried(name, "unit", told, _of_the_unit(name, journal.folder, clock) or _late(deadline_s))
    worker = Worker(MAKERS[name](settings, clock), settings, journal.folder, clock, Spill())
    worker.start()
    try:
        told = _wait(journal, name, alert_id, end, clock)
        error = worker.error
        if told is not None and told.sent:
            time.sleep(LINGER_S)
    finally:
        worker.ask_to_stop()
        worker.join(LINGER_S)
    return _carried(name, "self", told, error or _late(deadline_s))


def _carried(name: str, by: Literal["unit", "self"], told: Told | None, otherwise: str) -> Carried:
    """otherwise: what is said where nothing was carried in time."""
    if told is None:
        return Carried(name, False, 0.0, by, otherwise)
    return Carried(name, told.sent, told.seconds, by, "" if told.sent else told.why or "refused")


def _wait(journal: Journal, name: str, alert_id: str, end: float, clock: Clock) -> Told | None:
    """How the way has carried it; None when it has not in time."""
    while clock.now() < end:
        if (told := outcome(journal, name, alert_id)) is not None:
            return told
        time.sleep(TURN_S)
    return None


def _late(deadline_s: float) -> str:
    return f"not carried within {deadline_s:.0f} s; see the unit's log and `fallwatch check`"


def _of_the_unit(name: str, folder: Path, clock: Clock) -> str:
    """What the running unit says is wrong with this way; "" for nothing."""
    beat = last_beat(folder) or {}
    fresh = abs(clock.wall() - float(beat.get("wall", 0.0))) <= BEAT_FRESH_S
    ways = beat.get("ways") if fresh else None
    state = ways.get(name) if isinstance(ways, dict) else None
    return str(state.get("error", "")) if isinstance(state, dict) else ""
