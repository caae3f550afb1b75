"""An MQTT 5 broker that plays a script, byte for byte: one function per connection, after mosquitto's own test suite.

    def script(line: Line) -> None:
        line.take(CONNECT)
        line.say(connack())
        alert = line.alert()
        line.say(puback(alert.mid, 0x97))

`ScriptedBroker(one, another)` plays `one` to the first connection and `another` to every further one. When a script
returns the connection is cut. Whatever a script does not ask for is answered as a good broker would, so that a script
only says what is wrong. Numbers and layouts: MQTT Version 5.0, OASIS Standard, chapters 2 and 3.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 10, 11, 12, 13, 14
PATIENCE_S = 20.0
"""A script that waits longer for the unit has failed; it says for what it waited."""
RECEIVE_MAXIMUM = 0x21
EVENT = "/alert/event"


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet from the unit. mid: its number, 0: none. topic, body: of a PUBLISH. count: filters of a SUBSCRIBE."""

    kind: int
    raw: bytes
    mid: int = 0
    topic: str = ""
    body: bytes = b""
    count: int = 0

    @property
    def payload(self) -> Any:
        return json.loads(self.body)


class Gone(Exception):  # noqa: N818  it is no error
    """The other side has closed the connection, or all is over."""


def connack(code: int = 0, *, session: bool = False, receive_maximum: int | None = None) -> bytes:
    properties = b"" if receive_maximum is None else bytes([RECEIVE_MAXIMUM]) + receive_maximum.to_bytes(2, "big")
    return packet(CONNACK << 4, bytes([session, code, len(properties)]) + properties)


def puback(mid: int, code: int = 0) -> bytes:
    """With a reason code only where there is something to say, as 3.4.2.1 allows."""
    return packet(PUBACK << 4, mid.to_bytes(2, "big") + (bytes([code, 0]) if code else b""))


def disconnect(code: int) -> bytes:
    return packet(DISCONNECT << 4, bytes([code, 0]))


def packet(first: int, rest: bytes) -> bytes:
    size, left = b"", len(rest)
    while True:
        left, byte = divmod(left, 128)
        size += bytes([byte | (0x80 if left else 0)])
        if not left:
            return bytes([first]) + size + rest


class Line:
    """One connection, seen from the broker."""

    def __init__(self, taken: socket.socket, number: int, broker: ScriptedBroker) -> None:
        self.number = number
        self._socket = taken
        self._broker = broker
        self._bytes = b""

    def take(self, kind: int, topic: str = "") -> Packet:
        """The next packet of this kind (and whose topic ends so); others get a good broker's answer. Raises Gone."""
        while True:
            one = self._next()
            if one.kind == kind and one.topic.endswith(topic):
                return one
            if one.topic.endswith(EVENT):
                self._broker.note(self.number, one)
            self.answer(one)

    def alert(self) -> Packet:
        """The next alert/event, without an answer; it is noted in broker.alerts. Raises Gone."""
        one = self.take(PUBLISH, EVENT)
        self._broker.note(self.number, one)
        return one

    def answer(self, one: Packet) -> None:
        """What a good broker says to this."""
        if one.kind == CONNECT:
            self.say(connack())
        elif one.kind == PUBLISH and one.mid:
            self.say(puback(one.mid))
        elif one.kind in (SUBSCRIBE, UNSUBSCRIBE):
            granted = b"\x01" if one.kind == SUBSCRIBE else b"\x00"
            kind = SUBACK if one.kind == SUBSCRIBE else UNSUBACK
            self.say(packet(kind << 4, one.mid.to_bytes(2, "big") + b"\x00" + granted * one.count))
        elif one.kind == PINGREQ:
            self.say(packet(PINGRESP << 4, b""))
        elif one.kind == DISCONNECT:
            raise Gone

    def say(self, *packets: bytes) -> None:
        """These bytes, as they are. Raises Gone."""
        try:
            self._socket.sendall(b"".join(packets))
        except OSError:
            raise Gone from None

    def serve(self) -> None:
        """Be a good broker until the unit leaves. Raises Gone."""
        while True:
            one = self._next()
            if one.kind == PUBLISH and one.topic.endswith(EVENT):
                self._broker.note(self.number, one)
            self.answer(one)

    def freeze(self) -> None:
        """Neither read nor answer nor hang up until all is over: a link whose other end lost its power."""
        self._broker.over.wait(PATIENCE_S)
        raise Gone

    def hear(self, size: int) -> None:
        """Read this many bytes of whatever comes and leave the rest in the air. Raises Gone."""
        while len(self._bytes) < size:
            self._read()

    def _next(self) -> Packet:
        while True:
            for one, rest in _packets(self._bytes):
                self._bytes = rest
                self._broker.heard.append((self.number, one))
                return one
            self._read()

    def _read(self) -> None:
        waited = 0.0
        while not select.select([self._socket], [], [], 0.1)[0]:
            waited += 0.1
            if self._broker.over.is_set():
                raise Gone
            if waited > PATIENCE_S:
                raise AssertionError(f"connection {self.number}: the unit said nothing for {PATIENCE_S} s")
        with suppress(OSError):
            if more := self._socket.recv(65536):
                self._bytes += more
                return
        raise Gone


Script = Callable[["Line"], None]


def good(line: Line) -> None:
    line.serve()


class ScriptedBroker:
    """`with ScriptedBroker(script, …) as broker:`; the last script is played again for ever.

    heard: (connection, packet) of everything. alerts: (connection, payload) of every alert/event that a script took;
    on_alert gets each at once.
    """

    def __init__(self, *scripts: Script, port: int = 0) -> None:
        """port: 0 takes any that is free."""
        self.heard: list[tuple[int, Packet]] = []
        self.alerts: list[tuple[int, dict[str, Any]]] = []
        self.on_alert: Callable[[dict[str, Any]], None] = lambda payload: None
        self.failed: list[BaseException] = []
        self.over = threading.Event()
        self.connections = 0
        self._scripts = scripts
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listening.getsockname()[1])
        self._threads = [threading.Thread(target=self._run, name="scripted broker", daemon=True)]

    def __enter__(self) -> ScriptedBroker:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in list(self._threads):
            thread.join(PATIENCE_S)
        self._listening.close()
        if self.failed:
            raise self.failed[0]

    def note(self, number: int, alert: Packet) -> None:
        """A script has taken an alert/event on connection `number`."""
        payload = alert.payload
        self.alerts.append((number, payload))
        self.on_alert(payload)

    def _run(self) -> None:
        while not self.over.is_set():
            if not select.select([self._listening], [], [], 0.05)[0]:
                continue
            taken, _ = self._listening.accept()
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            playing = threading.Thread(target=self._play, args=(script, taken, self.connections), daemon=True)
            self._threads.append(playing)
            playing.start()

    def _play(self, script: Script, taken: socket.socket, number: int) -> None:
        with taken, suppress(Gone):
            try:
                script(Line(taken, number, self))
            except AssertionError as error:
                self.failed.append(error)


def _packets(stream: bytes) -> Iterator[tuple[Packet, bytes]]:
    """The first whole packet of the stream and what comes after it, if there is one."""
    size, shift, at = 0, 0, 1
    while True:
        if at >= len(stream):
            return
        byte = stream[at]
        size, shift, at = size | (byte & 0x7F) << shift, shift + 7, at + 1
        if not byte & 0x80:
            break
    if at + size <= len(stream):
        yield _packet(stream[: at + size], at), stream[at + size :]


def _packet(raw: bytes, at: int) -> Packet:
    kind, rest = raw[0] >> 4, raw[at:]
    if kind == PUBLISH:
        length = int.from_bytes(rest[:2], "big")
        topic, rest = rest[2 : 2 + length].decode(), rest[2 + length :]
        mid = 0
        if raw[0] & 0x06:
            mid, rest = int.from_bytes(rest[:2], "big"), rest[2:]
        size, begin = _varint(rest)
        return Packet(kind, raw, mid, topic, rest[begin + size :])
    if kind in (SUBSCRIBE, UNSUBSCRIBE):
        mid, rest = int.from_bytes(rest[:2], "big"), rest[2:]
        size, begin = _varint(rest)
        rest, count, options = rest[begin + size :], 0, 1 if kind == SUBSCRIBE else 0
        while rest:
            rest, count = rest[2 + int.from_bytes(rest[:2], "big") + options :], count + 1
        return Packet(kind, raw, mid, count=count)
    return Packet(kind, raw)


def _varint(data: bytes) -> tuple[int, int]:
    """A variable byte integer (1.5.5) at the beginning of `data`, and how many bytes it takes."""
    value = 0
    for at, byte in enumerate(data):
        value |= (byte & 0x7F) << (7 * at)
        if not byte & 0x80:
            return value, at + 1
    raise AssertionError("a packet of the unit ends in the middle of a number")
