"""Somebody with an MQTT 5 connection in an event loop: connects, keeps alive, publishes in a window, comes back."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from deploy import mqtt_wire as wire
from device.mqtt.courier import ANSWER_S, BACKOFF_S, JITTER
from device.mqtt.window import ACK_DEADLINE_S, SIZE, TRUTHS

KEEPALIVE_S = 15
TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Door:
    """Where the broker is, and how to come in under a name; tls: None for a plain listener."""

    host: str
    port: int
    tls: Callable[[str], ssl.SSLContext] | None = None


class Member(asyncio.Protocol):
    """Somebody with a connection that is made again for ever. Subclasses say what is said on it."""

    def __init__(self, name: str, door: Door, greeting: wire.Greeting) -> None:
        self.name = name
        self.connected = False
        self.held = False
        """The line is cut: nobody can connect."""
        self.failures = 0
        self._door = door
        self._greeting = greeting
        self._context = door.tls(name) if door.tls else None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._decoder = wire.Decoder()
        self._closed: asyncio.Future[str] = self._loop.create_future()
        self._queue: deque[tuple[str, bytes, bool, str]] = deque()
        self._flying: dict[int, tuple[str, float]] = {}
        self._limit = 1
        self._mid = 0
        self._heard_at = 0.0

    async def live(self) -> None:
        """Connect, talk, lose it, wait, for ever; ends by being cancelled."""
        while True:
            self._closed = self._loop.create_future()
            try:
                connecting = self._loop.create_connection(
                    lambda: self,
                    self._door.host,
                    self._door.port,
                    ssl=self._context,
                    server_hostname=self._door.host if self._context else None,
                )
                await asyncio.wait_for(connecting, ANSWER_S)
                await self._watch()
            except (OSError, TimeoutError):
                pass
            finally:
                self.cut()
            await asyncio.sleep(self.wait_s())
            self.failures += 1
            while self.held:
                await asyncio.sleep(TICK_S)

    def cut(self) -> None:
        """Drop the line without a word, as a switch without power would."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self.connected = False

    def wait_s(self) -> float:
        """The courier's wait before the next attempt."""
        wait = BACKOFF_S[min(self.failures, len(BACKOFF_S) - 1)]
        return min(BACKOFF_S[-1], wait * random.uniform(1.0 - JITTER, 1.0 + JITTER))

    def say(self, topic: str, payload: bytes, *, retain: bool = False, mark: str = "") -> None:
        """Publish, QoS 1, as soon as the window allows; acked(mark, code) follows. Lost with the connection."""
        self._queue.append((topic, payload, retain, mark))
        self._pump()

    def greeted(self) -> None:
        """The broker has let us in."""

    def acked(self, mark: str, code: int) -> None:
        """The broker has one message."""

    def received(self, packet: wire.Packet) -> None:
        """A message from the broker."""

    async def _watch(self) -> None:
        """Ping, and give up a line on which nothing comes back; returns when it is lost."""
        began = self._loop.time()
        while True:
            done, _ = await asyncio.wait([self._closed], timeout=KEEPALIVE_S / 3)
            if done:
                return
            now = self._loop.time()
            late = any(now - at > ACK_DEADLINE_S for _, at in self._flying.values())
            if late or now - self._heard_at > KEEPALIVE_S * 1.5 or (not self.connected and now - began > ANSWER_S):
                return
            if self.connected and now - self._heard_at > KEEPALIVE_S / 2:
                self._write(wire.PINGREQ)

    def _pump(self) -> None:
        while self.connected and self._queue and len(self._flying) < self._limit:
            topic, payload, retain, mark = self._queue.popleft()
            self._mid = self._mid % 65_535 + 1
            self._flying[self._mid] = (mark, self._loop.time())
            self._write(wire.publish(topic, payload, self._mid, retain=retain))

    def subscribe(self, *filters: tuple[str, int]) -> None:
        self._write(wire.subscribe(filters, 65_535))

    def _write(self, raw: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(raw)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._decoder = wire.Decoder()
        self._queue.clear()
        self._flying.clear()
        self._heard_at = self._loop.time()
        self._write(wire.connect(self._greeting))

    def connection_lost(self, error: Exception | None) -> None:
        self.connected, self._transport = False, None
        if not self._closed.done():
            self._closed.set_result(str(error or "closed"))

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        try:
            for packet in self._decoder.feed(data):
                self._take(packet)
        except wire.WireError:
            self.cut()

    def _take(self, packet: wire.Packet) -> None:
        if packet.kind == wire.CONNACK and packet.code < wire.FAILURE:
            self.connected, self.failures = True, 0
            self._limit = min(SIZE + TRUTHS, packet.limit)
            self.greeted()
            self._pump()
        elif packet.kind == wire.PUBACK and packet.mid in self._flying:
            mark, _ = self._flying.pop(packet.mid)
            self.acked(mark, packet.code)
            self._pump()
        elif packet.kind == wire.PUBLISH:
            if packet.mid:
                self._write(wire.puback(packet.mid))
            self.received(packet)
        elif packet.kind in (wire.CONNACK, wire.DISCONNECT):
            self.cut()
