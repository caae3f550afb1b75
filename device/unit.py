"""The unit: cameras, loops, journal, courier and recorders put together, and the thin loop that turns them.

Nothing is decided here. What is seen goes to the recorder, what happens goes to the outbox first and then everywhere
else, what people answer comes back in, and every half minute the unit says how it is.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2

from device.alerts import alert_for
from device.camera import CameraState, wait_for_any
from device.captures import Captures
from device.card import CARD_FILE, sha256
from device.clock import Clock
from device.event_writer import EventWriter
from device.eye import Eye, Shared
from device.health import Faults, beat, disk_free_mb, fault_rows, readings, status_line
from device.loop import Turn
from device.mqtt import Courier, LinkState
from device.mqtt.certificates import ends_soon
from device.outbox import Outbox
from device.recorder import CLOSE_S
from device.records import Alert, Incident, Receipt
from device.ringing import Ringing
from device.runner import open_runner
from device.salvage import open_journal, set_aside
from device.settings import Settings
from device.store import StoreError
from device.supervisor import Supervisor
from device.ways import Ways

log = logging.getLogger(__name__)

READ_S = 0.25
"""The longest the loop waits for a picture before it looks at the time: a quarter of the finest deadline, 1 s."""

REPORT_S = 30.0
"""Health is published this often (DESIGN section 6.3)."""

BROKER_PATIENCE_S = 30.0
"""The broker may be away this long before it is a fault: its restart takes seconds."""

ENDING_ACTIONS = ("close", "reject")

Told = Callable[[Turn, list[Alert]], None]


class Unit:
    """All cameras of one unit. run() returns when told to stop, or when every file used as a camera has ended.

    told: called with every turn of the loop and the alerts it gave rise to; for a terminal that shows them.
    Raises BundleError, CameraError at the start; StoreError only for a damaged store that cannot be set aside.
    """

    def __init__(self, settings: Settings, bundle: Path, clock: Clock, told: Told | None = None) -> None:
        cv2.setNumThreads(settings.model.threads)
        self.settings = settings
        self.clock = clock
        folder = settings.store.path()
        self.journal = open_journal(folder, settings.unit.room)
        views = settings.views()
        runners = [open_runner(bundle, settings.model.threads, settings.model.runtime) for _ in views]
        self.model_id, self.runtime = runners[0].model_id, runners[0].runtime
        self.courier = Courier(settings, folder, clock)
        self.outbox = Outbox(self.journal, settings, self.courier.spill)
        self.ways = Ways(settings, folder, clock, self.courier.spill)
        self.outbox.begin(clock.wall(), clock.now())
        self.ringing = Ringing(self.outbox)
        self.writer = EventWriter(settings.store)
        self.captures = Captures() if len(views) > 1 else None
        shared = Shared(runners[0].card, sha256(bundle / CARD_FILE), self.writer, clock, self.captures)
        self.eyes = [Eye(view, runner, shared) for view, runner in zip(views, runners, strict=True)]
        self.supervisor = Supervisor()
        self.faults = Faults()
        self._told = told
        self._folder = folder
        self._started_t = clock.now()
        self._report_due = self._started_t
        self._broker_seen = self._started_t

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set."""
        t, wall = self.clock.now(), self.clock.wall()
        self._say({"said": "started", "model": self.model_id, "runtime": self.runtime})
        with suppress(sqlite3.Error):  # a disk that cannot be read knows of nothing to go on with
            self._restore(self.journal.open_incidents(), t, wall)
        for eye in self.eyes:
            eye.camera.start()
        if self.settings.mqtt.enabled:
            self.courier.start()
        self.ways.start()
        try:
            while not stop.is_set() and any(eye.camera.state is not CameraState.ENDED for eye in self.eyes):
                self._turn()
        finally:
            self._close()

    def fault(self, cause: str, so: bool) -> None:
        """Latch or clear a fault of the unit; cause: a word of alerts.CAUSES."""
        self._happened(self.faults.set(cause, so, self.clock.now(), self.clock.wall()))

    def _say(self, body: dict[str, str]) -> None:
        """In the journal, where the disk takes it; to see and to call for help is more than to write."""
        try:
            self.journal.say("unit", self.clock.wall(), self.clock.now(), body)
        except StoreError as error:
            log.error("%s", error)

    def _restore(self, incidents: list[Incident], t: float, wall: float) -> None:
        """Hand each open incident to the eye that saw it, else to one in that room; else a human has to close it."""
        for incident in incidents:
            same = [eye for eye in self.eyes if eye.id == incident.camera]
            near = [eye for eye in self.eyes if incident.room in ("", eye.room)]
            for eye in (same or near)[:1]:
                eye.watch.incidents.restore([incident], t, wall)
            if not (same or near):
                room, camera = incident.room, incident.camera
                log.warning("%s: a %s is open and no camera watches there (%s); close it", room, incident.kind, camera)

    def _turn(self) -> None:
        wait_for_any([eye.camera for eye in self.eyes], READ_S)
        for eye in self.eyes:
            seen = False
            for turn in eye.turns():
                seen = True
                self._seen(eye, turn)
            if not seen:
                self._happened(self._of(eye, eye.pass_time(self.clock.now(), self.clock.wall())))
        self._hear()
        self._look_after()

    def _seen(self, eye: Eye, turn: Turn) -> None:
        alerts = self._happened(self._of(eye, turn.incidents))
        if self.courier.alive():  # who sees and cannot tell anybody is to be started anew
            self.supervisor.classified(turn.scores.t)
        if self._told is not None:
            self._told(turn, alerts)

    def _of(self, eye: Eye, incidents: list[Incident]) -> list[Incident]:
        return [eye.own(incident) for incident in incidents]

    def _happened(self, incidents: list[Incident]) -> list[Alert]:
        """Disk first, then the network, then the pictures."""
        said = []
        for incident in incidents:
            alert = alert_for(incident, incident.room or self.settings.unit.room)
            error = self.outbox.put(incident, alert, self.model_id)
            if error is not None:
                log.error("%s", error)
                if incident.detail.get("cause") != "disk":
                    self.fault("disk", True)
            for eye in self.eyes:
                if eye.id == incident.camera:
                    eye.recorder.on_incident(incident)
            if alert is not None:
                said.append(alert)
            log.info("%s %s %s (score %.2f)", incident.kind, incident.stage, incident.id, incident.score)
        if incidents:
            self.courier.wake()
            self.ways.wake()
            self.courier.set_faults(fault_rows(self._latched()))
        return said

    def _hear(self) -> None:
        """What people answered: a closed incident is forgotten by the watch. What time brought: alerts ring again."""
        receipts = []
        while self.courier.inbox:
            receipts.append(self.courier.inbox.popleft())
        heard = self.ringing.look(self.clock.wall(), self.clock.now())
        if heard is not None:
            receipts += heard.answers
            for eye in self.eyes:
                eye.recorder.set_private(eye.room in heard.private)
            if heard.helpless and self.settings.mqtt.enabled:
                self.fault("no_consumer", True)
        for receipt in receipts:
            if receipt.action in ENDING_ACTIONS:
                self._closed(receipt)
            if receipt.level == "consumer":
                self.fault("no_consumer", False)

    def _closed(self, receipt: Receipt) -> None:
        log.info("%s: %s by %s", receipt.alert_id, receipt.action, receipt.by)
        for eye in self.eyes:
            eye.watch.incidents.close(receipt.alert_id, self.clock.now())

    def _look_after(self) -> None:
        t = self.clock.now()
        carries = self.courier.revive() and self.courier.state is LinkState.CONNECTED
        if carries or not self.settings.mqtt.enabled:
            self._broker_seen = t
        self.fault("broker", t - self._broker_seen > BROKER_PATIENCE_S)
        for way, error in self.ways.faults().items():
            self.fault(way, bool(error))
        if t >= self._report_due:
            self._report_due = t + REPORT_S
            self._report(t)

    def _report(self, t: float) -> None:
        free = disk_free_mb(self._folder)
        settled = self.outbox.settle(self.clock.wall(), t)
        self.fault("disk", not settled or self.writer.fault is not None or (free is not None and free < 1.0))
        self.fault("certificate", ends_soon(self.settings.mqtt, self.clock.wall()))
        self.fault("store", bool(set_aside(self._folder)))
        health = {
            **readings(self._folder, [eye.pulse for eye in self.eyes], t, self._started_t),
            "state": self._state(),
            "model": self.model_id,
            "runtime": self.runtime,
            "camera": {
                "drops": sum(eye.camera.drops for eye in self.eyes),
                "restarts": sum(eye.camera.restarts for eye in self.eyes),
            },
            "cameras": [eye.health(t) for eye in self.eyes],
            "ways": self.ways.states(),
            "faults": [str(incident.detail["cause"]) for incident in self._latched()],
        }
        self.courier.set_health(health)
        beat(self._folder, health, self.clock.wall())
        self.supervisor.status(status_line(health), t)

    def _state(self) -> str:
        """The state of the camera that is worst off: one that is blind, else one that gives no pictures."""
        states = [eye.state for eye in self.eyes]
        worst = [state for state in states if state != CameraState.STREAMING]
        return "blind" if "blind" in states else (worst or states)[0]

    def _latched(self) -> list[Incident]:
        return [*(fault for eye in self.eyes if (fault := eye.blind())), *self.faults.open()]

    def _close(self) -> None:
        """End in the order of the road: no new pictures, clips written, last words sent."""
        self.supervisor.stopping("stopped")
        for eye in self.eyes:
            eye.camera.close()
        if self.captures is not None:
            self.captures.end()
        for eye in self.eyes:
            eye.recorder.close()
        self.writer.close(CLOSE_S)
        self.ways.stop()
        self._say({"said": "stopped"})
        self.courier.stop()
        self.journal.close()
