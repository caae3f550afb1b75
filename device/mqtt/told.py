"""What the unit's retained topics say: availability, the worst alert, faults, health, staff and privacy."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from device.clock import Clock, rfc3339
from device.feature import NAMES
from device.mqtt.answers import Answers
from device.mqtt.faults import Faults
from device.mqtt.link import Link
from device.mqtt.truths import Truths, worth_telling
from device.mqtt.window import Window
from device.outbox import Outbox, active_alert
from device.payloads import active_payload, faults_payload, feature_payload, health_payload
from device.settings import Settings
from device.spill import Spill
from device.store import StoreError

HEALTH_S = 30.0


class Told:
    """Puts together what is true now, from the disk and from what the unit says of itself."""

    def __init__(self, settings: Settings, truths: Truths, spill: Spill, faults: Faults, clock: Clock) -> None:
        self._settings = settings
        self._truths = truths
        self._spill = spill
        self._faults = faults
        self._clock = clock
        self._health: dict[str, Any] = {}
        self._health_at = float("-inf")
        self._unit_faults: list[dict[str, Any]] = []
        self._seen: tuple[int, int, tuple[int, ...]] | None = None

    def set_health(self, health: Mapping[str, Any]) -> bool:
        """How the unit is now; True when that is worth telling at once."""
        before, self._health = self._health, dict(health)
        worth = worth_telling(before, self._health)
        if worth:
            self._health_at = float("-inf")
        return worth

    def set_faults(self, faults: list[dict[str, Any]]) -> bool:
        """Latched faults of the unit; True when they are others than before."""
        new = faults != self._unit_faults
        self._unit_faults = list(faults)
        return new

    def greet(self) -> None:
        """A new connection is told everything."""
        self._truths.forget()
        self._truths.set("availability", "online")
        self._health_at = float("-inf")

    def say(self, link: Link, window: Window | None, answers: Answers) -> None:
        """Tell the broker what it does not know yet. Raises LinkError."""
        now, wall = self._clock.now(), self._clock.wall()
        if window is not None:
            self._look(window.outbox, answers)
        self._truths.set("fault/active", faults_payload(self._settings.unit, self._all_faults()))
        if self._health and now - self._health_at >= HEALTH_S:
            self._health_at = now
            receipts = self._receipts(window, answers)
            self._truths.set(
                "health", health_payload(self._settings.unit, self._health, self.waiting(window), receipts)
            )
            self._truths.again("health")
        self._truths.publish(link, now, wall)

    def waiting(self, window: Window | None) -> int:
        """Messages still on their way, as far as a disk that may be gone lets us know."""
        with suppress(StoreError):
            if window is not None:
                return window.outbox.waiting()
        return len(self._spill.letters())

    def unsent(self, window: Window | None) -> int:
        """Messages that the broker has not got, whatever receipt the settings want."""
        with suppress(StoreError):
            if window is not None:
                return window.outbox.unsent_count()
        return len(self._spill.letters())

    def _look(self, outbox: Outbox, answers: Answers) -> None:
        """Look at the alerts again when another connection, an answer or the spill has changed them."""
        seen = (outbox.journal.changes(), answers.count, tuple(id(one) for one in self._spill.all()))
        if seen == self._seen:
            return
        unit = self._settings.unit
        alert, standing, count = active_alert(outbox)
        self._truths.set("alert/active", active_payload(unit, alert, standing, count))
        for name in NAMES:
            self._truths.set(f"{name}/state", feature_payload(unit, name, outbox.features(name)))
        self._seen = seen

    def _receipts(self, window: Window | None, answers: Answers) -> dict[str, Any]:
        """The three levels apart: how many messages or alerts wait for each, and when the last one came."""
        unheard = unclaimed = 0
        if window is not None:
            with suppress(StoreError):
                unheard = window.outbox.unheard_count()
            unclaimed = sum(life.rings for life in window.outbox.lives.open())
        last = {
            "broker": window.last_receipt if window is not None else None,
            "consumer": answers.last.get("consumer"),
            "human": answers.last.get("human"),
        }
        waits = {"broker": self.unsent(window), "consumer": unheard, "human": unclaimed}
        return {
            level: {"waiting": waits[level], "last_at": None if at is None else rfc3339(at)}
            for level, at in last.items()
        }

    def _all_faults(self) -> list[dict[str, Any]]:
        rows = (*self._faults.all(), *self._unit_faults)
        return list({(row["cause"], row.get("camera")): row for row in rows}.values())
