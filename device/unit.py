"""The unit: camera, loop, journal, courier and recorder put together, and the thin loop that turns them.

Nothing is decided here. What is seen goes to the recorder, what happens goes to the outbox first and then everywhere
else, what people answer comes back in, and every half minute the unit says how it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from device.alerts import alert_for
from device.camera import Camera, CameraState
from device.card import CARD_FILE, sha256
from device.clock import Clock
from device.health import Faults, Pulse, beat, disk_free_mb, fault_rows, readings, status_line
from device.incidents import Incidents, policy_of
from device.journal import Journal
from device.loop import Turn, Watch
from device.mqtt import Courier, LinkState
from device.outbox import Outbox
from device.recorder import Recorder
from device.records import Alert, Incident, Receipt
from device.runner import open_runner
from device.settings import Settings
from device.supervisor import Supervisor

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
    """One camera, one room. run() returns when told to stop, or when a file used as a camera has ended.

    told: called with every turn of the loop and the alerts it gave rise to; for a terminal that shows them.
    Raises BundleError, StoreError, CameraError at the start.
    """

    def __init__(self, settings: Settings, bundle: Path, clock: Clock, told: Told | None = None) -> None:
        self.settings = settings
        self.clock = clock
        folder = settings.store.path()
        self.journal = Journal(folder, room=settings.unit.room)
        runner = open_runner(bundle, settings.model.threads, settings.model.runtime)
        self.watch = Watch(runner, Incidents(policy_of(settings, runner.card.thresholds)))
        self.model_id, self.runtime = runner.model_id, runner.runtime
        self.courier = Courier(settings, folder, clock)
        self.outbox = Outbox(self.journal, settings, self.courier.spill)
        self.recorder = Recorder(settings, runner.card, sha256(bundle / CARD_FILE))
        self.camera = Camera(settings.camera, clock)
        self.supervisor = Supervisor()
        self.pulse, self.faults = Pulse(), Faults()
        self._told = told
        self._folder = folder
        self._started_t = clock.now()
        self._report_due = self._started_t
        self._broker_seen = self._started_t

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set."""
        t, wall = self.clock.now(), self.clock.wall()
        self.journal.say("unit", wall, t, {"said": "started", "model": self.model_id, "runtime": self.runtime})
        self.watch.incidents.restore(self.journal.open_incidents(), t, wall)
        self.camera.start()
        if self.settings.mqtt.enabled:
            self.courier.start()
        try:
            while not stop.is_set() and self.camera.state is not CameraState.ENDED:
                self._turn()
        finally:
            self._close()

    def fault(self, cause: str, so: bool) -> None:
        """Latch or clear a fault of the unit; cause: a word of alerts.CAUSES."""
        self._happened(self.faults.set(cause, so, self.clock.now(), self.clock.wall()))

    def _turn(self) -> None:
        frame = self.camera.read(READ_S)
        if frame is None:
            self._happened(self.watch.tick(self.clock.now(), self.clock.wall()))
            self.recorder.pass_time(self.clock.now())
        else:
            for turn in self.watch.feed(frame):
                self._seen(turn)
        self._hear()
        self._look_after()

    def _seen(self, turn: Turn) -> None:
        self.pulse.beat(turn.scores)
        self.recorder.keep(turn.step, turn.scores, None if turn.frame is None else turn.frame.pixels)
        alerts = self._happened(turn.incidents)
        self.supervisor.classified(turn.scores.t)
        if self._told is not None:
            self._told(turn, alerts)

    def _happened(self, incidents: list[Incident]) -> list[Alert]:
        """Disk first, then the network, then the pictures."""
        said = []
        for incident in incidents:
            alert = alert_for(incident, self.settings.unit.room)
            error = self.outbox.put(incident, alert, self.model_id)
            if error is not None:
                log.error("%s", error)
                if incident.detail.get("cause") != "disk":
                    self.fault("disk", True)
            self.recorder.on_incident(incident)
            if alert is not None:
                said.append(alert)
            log.info("%s %s %s (score %.2f)", incident.kind, incident.stage, incident.id, incident.score)
        if incidents:
            self.courier.wake()
            self.courier.set_faults(fault_rows(self._latched()))
        return said

    def _hear(self) -> None:
        """What people answered: a closed incident is forgotten by the watch."""
        while self.courier.inbox:
            receipt = self.courier.inbox.popleft()
            if receipt.action in ENDING_ACTIONS:
                self._closed(receipt)

    def _closed(self, receipt: Receipt) -> None:
        log.info("%s: %s by %s", receipt.alert_id, receipt.action, receipt.by)
        self.watch.incidents.close(receipt.alert_id, self.clock.now())

    def _look_after(self) -> None:
        t = self.clock.now()
        if self.courier.state is LinkState.CONNECTED or not self.settings.mqtt.enabled:
            self._broker_seen = t
        self.fault("broker", t - self._broker_seen > BROKER_PATIENCE_S)
        if t >= self._report_due:
            self._report_due = t + REPORT_S
            self._report(t)

    def _report(self, t: float) -> None:
        free = disk_free_mb(self._folder)
        settled = self.outbox.settle(self.clock.wall(), t)
        self.fault("disk", not settled or self.recorder.fault is not None or (free is not None and free < 1.0))
        health = {
            **readings(self._folder, self.pulse, t, self._started_t),
            "state": "blind" if self.watch.incidents.blind.open else str(self.camera.state),
            "model": self.model_id,
            "runtime": self.runtime,
            "camera": {"drops": self.camera.drops, "restarts": self.camera.restarts},
            "faults": [str(incident.detail["cause"]) for incident in self._latched()],
        }
        self.courier.set_health(health)
        beat(self._folder, health, self.clock.wall())
        self.supervisor.status(status_line(health), t)

    def _latched(self) -> list[Incident]:
        blind = self.watch.incidents.blind.open
        return [*([blind] if blind else []), *self.faults.open()]

    def _close(self) -> None:
        """End in the order of the road: no new pictures, clips written, last words sent."""
        self.supervisor.stopping("stopped")
        self.camera.close()
        self.recorder.close()
        t, wall = self.clock.now(), self.clock.wall()
        self.journal.say("unit", wall, t, {"said": "stopped"})
        self.courier.stop()
        self.journal.close()
