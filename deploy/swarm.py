"""Many units and one desk in one event loop, each with its own connection and the habits of device.mqtt.

A unit of the swarm has a will, a lasting session, its retained truths, a heartbeat every 30 s, a window of messages in
flight, an outbox that keeps an alert until the desk has it, and the courier's waits between attempts. It has no camera
and no disk.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass, field

from deploy import mqtt_wire as wire
from deploy.mqtt_member import KEEPALIVE_S, Door, Member
from device.clock import rfc3339
from device.mqtt.link import SESSION_S, WILL_DELAY_S
from device.mqtt.window import NO_MATCHING_SUBSCRIBERS, UNHEARD_RETRY_S

SITE = "load"
DESK = "desk-1"
HEALTH_S = 30.0
"""Between two heartbeats of a unit (DESIGN 6.3)."""
UNHEARD_S = 10.0
"""No word from a desk for this long: the alert is published again, as the units do."""
DESK_RETRY_S = 1.0


@dataclass(slots=True)
class Ledger:
    """What became of every alert: alert_id -> monotonic seconds. late: first heard after a newer one of its unit."""

    handed_in: dict[str, float] = field(default_factory=dict)
    at_broker: dict[str, float] = field(default_factory=dict)
    at_desk: dict[str, float] = field(default_factory=dict)
    repeats: int = 0
    late: int = 0
    offline: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    _last: dict[str, int] = field(default_factory=dict)

    def heard(self, unit: str, alert_id: str, seq: int, t: float) -> None:
        """The desk has an alert; one it has already is a repeat and rings nowhere."""
        if alert_id in self.at_desk:
            self.repeats += 1
            return
        self.at_desk[alert_id] = t
        self.late += seq < self._last.get(unit, 0)
        self._last[unit] = max(seq, self._last.get(unit, 0))

    def missing(self) -> int:
        """Alerts that were handed in and that the desk has not got."""
        return len(self.handed_in) - len(self.at_desk)


@dataclass(slots=True)
class Letter:
    """An alert in a unit's outbox. sent_at: of the newest attempt, None while it waits for a connection."""

    alert_id: str
    seq: int
    attempts: int = 0
    sent_at: float | None = None


class Unit(Member):
    """One wall."""

    def __init__(self, name: str, door: Door, ledger: Ledger) -> None:
        self.branch = f"fallwatch/{SITE}/{name}"
        greeting = wire.Greeting(
            name, KEEPALIVE_S, SESSION_S, f"{self.branch}/availability", b"offline", will_delay_s=WILL_DELAY_S
        )
        super().__init__(name, door, greeting)
        self.outbox: dict[str, Letter] = {}
        self._ledger = ledger
        self._seq = 0

    def alert(self) -> None:
        """A fall is confirmed now."""
        self._seq += 1
        letter = Letter(f"{self.name}-{self._seq}", self._seq)
        self.outbox[letter.alert_id] = letter
        self._ledger.handed_in[letter.alert_id] = self._loop.time()
        self._send(letter)
        self._truth("alert/active", {"state": "open", "open": len(self.outbox)})

    def beat(self) -> None:
        """What happens by time alone: say again what no desk has confirmed."""
        now = self._loop.time()
        for letter in list(self.outbox.values()):
            if letter.sent_at is not None and now - letter.sent_at > UNHEARD_S:
                self._send(letter)

    async def live(self) -> None:
        heart = asyncio.create_task(self._heart())
        try:
            await super().live()
        finally:
            heart.cancel()

    async def _heart(self) -> None:
        await asyncio.sleep(random.uniform(0.0, HEALTH_S))
        while True:
            self._truth("health", {"state": "watching", "fps": 10.0, "outbox_waiting": len(self.outbox)})
            await asyncio.sleep(HEALTH_S)

    def greeted(self) -> None:
        own = self.branch
        self.subscribe(*((f"{own}/{way}", 1) for way in ("alert/+/receipt", "alert/+/ack", "staff/set", "privacy/set")))
        self.say(f"{own}/availability", b"online", retain=True)
        self._truth("fault/active", {"faults": []})
        self._truth("alert/active", {"state": "open" if self.outbox else "clear", "open": len(self.outbox)})
        for letter in self.outbox.values():
            letter.sent_at = None
            self._send(letter)

    def acked(self, mark: str, code: int) -> None:
        if code >= wire.FAILURE:
            self._ledger.refused.append(mark or self.name)
        elif mark:
            now = self._loop.time()
            self._ledger.at_broker.setdefault(mark, now)
            if code == NO_MATCHING_SUBSCRIBERS and mark in self.outbox:
                self.outbox[mark].sent_at = now - UNHEARD_S + UNHEARD_RETRY_S  # sooner than for a silent desk

    def received(self, packet: wire.Packet) -> None:
        parts = packet.topic.split("/")
        if parts[-1] == "receipt":
            self.outbox.pop(parts[-2], None)

    def _send(self, letter: Letter) -> None:
        if self.connected:
            letter.attempts, letter.sent_at = letter.attempts + 1, self._loop.time()
            body = {
                "schema": 1,
                "alert_id": letter.alert_id,
                "seq": letter.seq,
                "attempt": letter.attempts,
                "event_type": "fall_confirmed",
                "text": "a fall of the load driver; nobody needs help" + " " * 500,  # about as long as a real one
                "test": True,
            }
            self.say(f"{self.branch}/alert/event", json.dumps(body).encode(), mark=letter.alert_id)

    def _truth(self, topic: str, body: dict[str, object]) -> None:
        if self.connected:
            payload = {"schema": 1, "room": self.name, "device": self.name, **body}
            self.say(f"{self.branch}/{topic}", json.dumps(payload).encode(), retain=True)


class Desk(Member):
    """Hears every room, says that it has each alert, and keeps the book."""

    def __init__(self, door: Door, ledger: Ledger) -> None:
        super().__init__(DESK, door, wire.Greeting(DESK, KEEPALIVE_S, SESSION_S))
        self._ledger = ledger

    def wait_s(self) -> float:
        return DESK_RETRY_S

    def greeted(self) -> None:
        every = f"fallwatch/{SITE}/+"
        ways = (("alert/event", 1), ("alert/active", 1), ("fault/active", 1), ("availability", 1), ("health", 0))
        self.subscribe(*((f"{every}/{way}", qos) for way, qos in ways))

    def received(self, packet: wire.Packet) -> None:
        unit = packet.topic.split("/")[2]
        if packet.topic.endswith("/alert/event"):
            body = json.loads(packet.payload)
            self._ledger.heard(unit, body["alert_id"], body["seq"], self._loop.time())
            receipt = json.dumps({"by": DESK, "at": rfc3339(time.time())}).encode()
            self.say(f"fallwatch/{SITE}/{unit}/alert/{body['alert_id']}/receipt", receipt)
        elif packet.topic.endswith("/availability"):
            (self._ledger.offline.add if packet.payload == b"offline" else self._ledger.offline.discard)(unit)
