"""From confirmed to the people: an alert through outbox, courier and broker to a listening desk, one after another.

Each begins when the receipts of the one before are on disk: a house has an alert a day and not a burst of them, and in
a burst every alert waits for the disk to take the receipts of the last.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from device.alerts import alert_for
from device.clock import SystemClock
from device.errors import FallwatchError
from device.incidents import new_ulid
from device.journal import Journal
from device.mqtt import Courier, LinkState
from device.mqtt.desk import Desk
from device.outbox import Outbox
from device.records import Incident
from device.settings import Mqtt, Settings, Store, Unit

ALERTS = 30
CONNECT_S = 15.0
ALERT_S = 10.0
LOOK_S = 0.01


def time_alerts(mqtt: Mqtt, folder: Path, said: Callable[[str], None]) -> dict[str, Any]:
    """Milliseconds from a confirmed incident (before it is on disk) to a desk at the broker. Raises FallwatchError.

    The alerts are marked tests: whoever else listens at that broker is not called.
    """
    settings = Settings(unit=Unit(site="bench", id="bench"), mqtt=mqtt, store=Store(folder=str(folder)))
    clock = SystemClock()
    heard: queue.Queue[tuple[str, float]] = queue.Queue()

    def received(topic: str, payload: Any) -> None:
        if topic.endswith("/alert/event"):
            heard.put((str(payload["alert_id"]), time.monotonic()))

    courier = Courier(settings, folder, clock)
    with (
        closing(Journal(folder)) as journal,
        Desk(mqtt, "bench-desk", "fallwatch/bench/bench/alert/event", received) as desk,
    ):
        courier.start()
        try:
            _connected(courier, desk)
            outbox = Outbox(journal, settings, courier.spill)
            taken = []
            for n in range(ALERTS):
                said(f"alert {n + 1} of {ALERTS}")
                taken.append(_one(outbox, courier, heard))
                _settled(outbox)
        finally:
            courier.stop()
    return {
        "alerts": ALERTS,
        "median_ms": round(float(np.median(taken)), 2),
        "p95_ms": round(float(np.percentile(taken, 95)), 2),
        "worst_ms": round(max(taken), 2),
    }


def _connected(courier: Courier, desk: Desk) -> None:
    end = time.monotonic() + CONNECT_S
    while courier.state is not LinkState.CONNECTED or not desk.ready.wait(0.05):
        if time.monotonic() > end:
            raise FallwatchError(courier.error or "the broker takes no connection; check its address")


def _one(outbox: Outbox, courier: Courier, heard: queue.Queue[tuple[str, float]]) -> float:
    t, wall = time.monotonic(), time.time()
    incident = Incident(new_ulid(wall), "test", "confirmed", t, wall, t, wall)
    if error := outbox.put(incident, alert_for(incident, outbox.unit.room), ""):
        raise error
    courier.wake()
    while True:
        try:
            identity, at = heard.get(timeout=ALERT_S)
        except queue.Empty:
            raise FallwatchError(f"an alert did not come back from the broker within {ALERT_S:.0f} s") from None
        if identity == incident.id:
            return 1000.0 * (at - t)


def _settled(outbox: Outbox) -> None:
    """Wait until broker and desk have said that they have it, and the disk knows."""
    end = time.monotonic() + ALERT_S
    while outbox.unsent_count() or outbox.unheard_count():
        if time.monotonic() > end:
            raise FallwatchError(f"the receipt of an alert did not come within {ALERT_S:.0f} s")
        time.sleep(LOOK_S)
