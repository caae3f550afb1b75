"""As much of MQTT 5 as a load of many units needs: five packets out, six packets in, one decoder per connection.

Not a client library: paho connects, looks up and shakes hands in the caller's thread, one unit after the other, so that
a storm of 2,000 would be a queue; the asyncio clients on PyPI are shells around paho or speak no MQTT 5. Layouts: MQTT
Version 5.0, OASIS Standard, chapters 2 and 3; property numbers from its table 2-4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 9, 13, 14
PINGREQ = bytes([0xC0, 0])
GOODBYE = bytes([0xE0, 0])
FAILURE = 0x80
"""Reason codes from here on mean: not taken."""
_SESSION_EXPIRY, _WILL_DELAY, _RECEIVE_MAXIMUM = 0x11, 0x18, 0x21
_SIZES = {
    **dict.fromkeys((0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
"""Bytes of the properties of fixed size in a CONNACK; all others begin with a length of 2 bytes."""


class WireError(Exception):
    """The other side does not speak MQTT 5."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """A CONNECT. The session outlives the connection by session_s; `will` is retained, QoS 1, after will_delay_s."""

    client_id: str
    keepalive_s: int
    session_s: int
    will_topic: str = ""
    will: bytes = b""
    will_delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet from the broker. code: its worst reason code. limit: messages it takes at once (CONNACK)."""

    kind: int
    mid: int = 0
    code: int = 0
    limit: int = 65_535
    topic: str = ""
    payload: bytes = b""
    retain: bool = False


def connect(greeting: Greeting) -> bytes:
    flags = 0x2C if greeting.will_topic else 0  # will, QoS 1, retained; clean start stays off
    body = _text("MQTT") + bytes([5, flags]) + greeting.keepalive_s.to_bytes(2, "big")
    body += _properties(bytes([_SESSION_EXPIRY]) + greeting.session_s.to_bytes(4, "big")) + _text(greeting.client_id)
    if greeting.will_topic:
        body += _properties(bytes([_WILL_DELAY]) + greeting.will_delay_s.to_bytes(4, "big"))
        body += _text(greeting.will_topic) + len(greeting.will).to_bytes(2, "big") + greeting.will
    return _packet(0x10, body)


def publish(topic: str, payload: bytes, mid: int, *, retain: bool = False) -> bytes:
    """QoS 1."""
    return _packet(0x32 | retain, _text(topic) + mid.to_bytes(2, "big") + b"\x00" + payload)


def subscribe(filters: Sequence[tuple[str, int]], mid: int) -> bytes:
    """filters: (topic filter, QoS)."""
    return _packet(
        0x82, mid.to_bytes(2, "big") + b"\x00" + b"".join(_text(topic) + bytes([qos]) for topic, qos in filters)
    )


def puback(mid: int) -> bytes:
    return _packet(0x40, mid.to_bytes(2, "big"))


class Decoder:
    """Bytes as they come -> packets as they are complete."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, more: bytes) -> Iterator[Packet]:
        """Every packet that is whole now. Raises WireError."""
        self._bytes += more
        at = 0
        while (found := _frame(self._bytes, at)) is not None:
            first, begin, end = found
            yield _parsed(first, self._bytes[begin:end])
            at = end
        self._bytes = self._bytes[at:]


def _frame(stream: bytes, at: int) -> tuple[int, int, int] | None:
    """First byte, begin and end of the body of the packet at `at`; None while it is not whole."""
    size, shift, here = 0, 0, at + 1
    while here < len(stream):
        byte = stream[here]
        size, shift, here = size | (byte & 0x7F) << shift, shift + 7, here + 1
        if not byte & 0x80:
            return (stream[at], here, here + size) if here + size <= len(stream) else None
        if shift > 21:
            raise WireError("a packet without an end")
    return None


def _parsed(first: int, body: bytes) -> Packet:
    kind = first >> 4
    try:
        if kind == CONNACK:
            return Packet(kind, code=body[1], limit=_receive_maximum(body[2:]))
        if kind == PUBLISH:
            return _published(first, body)
        if kind in (PUBACK, SUBACK):
            codes = body[2:] if kind == PUBACK else body[3 + body[2] :]
            code = max(codes, default=0) if kind == SUBACK else (codes[0] if codes else 0)
            return Packet(kind, int.from_bytes(body[:2], "big"), code)
        if kind == DISCONNECT:
            return Packet(kind, code=body[0] if body else 0)
        if kind == PINGRESP:
            return Packet(kind)
    except IndexError:
        raise WireError(f"a packet of type {kind} that ends too soon") from None
    raise WireError(f"a packet of type {kind}, which no broker sends")


def _published(first: int, body: bytes) -> Packet:
    length = int.from_bytes(body[:2], "big")
    topic, rest, mid = body[2 : 2 + length].decode(), body[2 + length :], 0
    if first & 0x06:
        mid, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    size, begin = _number(rest)
    return Packet(PUBLISH, mid, topic=topic, payload=rest[begin + size :], retain=bool(first & 1))


def _receive_maximum(properties: bytes) -> int:
    size, at = _number(properties)
    end = at + size
    while at < end:
        name, at = properties[at], at + 1
        if name == _RECEIVE_MAXIMUM:
            return int.from_bytes(properties[at : at + 2], "big")
        if name == 0x26:  # a user property: two texts
            at += 2 + int.from_bytes(properties[at : at + 2], "big")
        at += _SIZES.get(name) or 2 + int.from_bytes(properties[at : at + 2], "big")
    return 65_535


def _number(data: bytes) -> tuple[int, int]:
    """A variable byte integer (1.5.5) and how many bytes it takes. Raises IndexError."""
    value, at = 0, 0
    while True:
        byte = data[at]
        value, at = value | (byte & 0x7F) << (7 * at), at + 1
        if not byte & 0x80:
            return value, at


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + _size(len(body)) + body


def _properties(properties: bytes) -> bytes:
    return _size(len(properties)) + properties


def _size(left: int) -> bytes:
    out = b""
    while True:
        left, byte = divmod(left, 128)
        out += bytes([byte | (0x80 if left else 0)])
        if not left:
            return out


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw
