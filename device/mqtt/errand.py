"""One errand to the broker: a marked test alert, or all that waits, from a process that is not the unit."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ulid import ULID

from device.alerts import alert_for
from device.clock import Clock
from device.journal import Journal
from device.mqtt.courier import branch
from device.mqtt.faults import Faults
from device.mqtt.link import Link, LinkError
from device.mqtt.presence import Presence
from device.mqtt.window import FAILURE, Window
from device.outbox import Outbox
from device.records import Incident
from device.settings import Settings

TURN_S = 0.1


@dataclass(frozen=True, slots=True)
class Errand:
    """What became of it. alert_id: "" when it was about all that waits. seconds: until the broker had it, or gave up.

    by: who carried it, the running unit or this process. waiting: messages still in the outbox. error: one sentence,
    "" when delivered. listened: False when the broker said that nobody listens, None when it does not say (3.1.1).
    """

    alert_id: str
    delivered: bool
    seconds: float
    by: Literal["unit", "self"]
    waiting: int
    error: str = ""
    listened: bool | None = None


def send_test(settings: Settings, folder: Path, clock: Clock, deadline_s: float = 15.0) -> Errand:
    """Put a test alert into the outbox and wait for the broker's receipt. Raises StoreError.

    The running unit carries it; where none runs this process does, under a client id of its own.
    """
    with closing(Journal(folder, room=settings.unit.room)) as journal:
        outbox = Outbox(journal, settings)
        t, wall = clock.now(), clock.wall()
        incident = Incident(str(ULID()), "test", "confirmed", t, wall, t, wall)
        if error := outbox.put(incident, alert_for(incident, settings.unit.room), ""):
            raise error
        return _carry(outbox, settings, clock, deadline_s, incident.id)


def send_waiting(settings: Settings, folder: Path, clock: Clock, deadline_s: float = 15.0) -> Errand:
    """Bring everything that waits in the outbox to the broker now. Raises StoreError."""
    with closing(Journal(folder, room=settings.unit.room)) as journal:
        return _carry(Outbox(journal, settings), settings, clock, deadline_s, "")


def _carry(outbox: Outbox, settings: Settings, clock: Clock, deadline_s: float, alert_id: str) -> Errand:
    began = clock.now()
    by: Literal["unit", "self"] = "self"
    error = "mqtt.enabled is false in the settings: nothing is sent; write true"
    if settings.mqtt.enabled:
        with Presence(outbox.journal.folder) as lock:
            if lock.take():
                # Its own client id: a second client under the unit's name would throw the unit off the broker.
                name = f"{settings.unit.id}-errand-{str(ULID())[-6:]}"
                window = Window(outbox, branch(settings), clock, Faults(), unheard_s=0.0)
                try:
                    link = Link(settings.mqtt, name, lambda message: None)
                    error = _go(link, window, began + deadline_s, alert_id, clock)
                except LinkError as refused:
                    error = str(refused)
            else:
                by = "unit"
                error = _wait(outbox, clock, began + deadline_s, alert_id)
    waiting = outbox.waiting()
    done = not outbox.pending(1, alert_id)
    return Errand(
        alert_id=alert_id,
        delivered=done,
        seconds=clock.now() - began,
        by=by,
        waiting=waiting,
        error="" if done else error,
        listened=_listened(outbox, alert_id) if done and settings.mqtt.protocol == "5" else None,
    )


def _go(link: Link, window: Window, end: float, alert_id: str, clock: Clock) -> str:
    """Carry it ourselves; returns why it did not arrive, or "". Raises LinkError."""
    try:
        link.open()
        while clock.now() < end:
            if link.connected():
                window.fill(link, alert_id)
                if window.idle() and not window.outbox.pending(1, alert_id):
                    link.close()
                    return ""
            link.turn(TURN_S)
            acks, link.acked = link.acked, []
            window.acked(acks, link.address)
            for ack in acks:
                if ack.code >= FAILURE:
                    return f"{link.address}: the broker refuses alerts of this unit ({ack.name}); check its ACL"
    finally:
        link.drop()
    return f"{link.address}: no receipt from the broker in time; it stays in the outbox"


def _wait(outbox: Outbox, clock: Clock, end: float, alert_id: str) -> str:
    while outbox.pending(1, alert_id):
        if clock.now() > end:
            return "the running unit has not brought it to the broker in time; see its log and `fallwatch check`"
        time.sleep(TURN_S)
    return ""


def _listened(outbox: Outbox, alert_id: str) -> bool | None:
    if not alert_id:
        return None
    for entry in outbox.journal.entries(incident_id=alert_id):
        if entry["what"] == "receipt":
            return "subscribers" not in entry["body"]
    return None
