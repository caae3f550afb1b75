"""One connection to the broker: the only file that knows paho.

A paho client lives for one connection and is then thrown away with everything it remembers, so that what still has to
be said is known in one place only, the outbox (paho would send its own copies again beside ours). There is no paho
thread that could die unseen (paho issue 894): the caller's thread turns the network loop.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.clock import SystemClock
from device.errors import FallwatchError
from device.mqtt.certificates import distrusted, overheard, rejected
from device.settings import Mqtt

CONNECT_S = 5.0
"""A broker in the same building answers in milliseconds; longer than this it is not there."""
SESSION_S = 7 * 24 * 3600
"""The broker keeps what people answered while the unit was away for a week."""
WILL_DELAY_S = 5
"""A unit that is back within this was restarted, not lost; below the keepalive, so that an outage is still told."""
RECEIVE_MAX = 20
"""Answers the broker may have on their way to us at once."""
NOT_LET_IN = (0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C)
"""MQTT 5 CONNACK: protocol, client id, password, not authorized, banned, method. The rest (busy, moved) may pass."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the broker. response_topic, correlation: where and under what mark the sender wants an answer.

    retain: the broker had kept it from before, so that nobody can tell when it was said.
    """

    topic: str
    payload: bytes
    retain: bool = False
    response_topic: str = ""
    correlation: bytes | None = None


Handler = Callable[[Message], None]


class LinkError(FallwatchError):
    """The broker cannot be used; `refused` when it answered and said no, so that trying again soon is pointless."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we are gone."""

    topic: str
    payload: str


@dataclass(frozen=True, slots=True)
class Acked:
    """The broker's word on one publish; code below 0x80 means that it has the message."""

    mid: int
    code: int
    name: str


@dataclass(frozen=True, slots=True)
class Post:
    """One message to publish, QoS 1. expiry_s: None keeps it until it is delivered. correlation: the asker's mark."""

    topic: str
    payload: str
    retain: bool = False
    expiry_s: int | None = None
    properties: tuple[tuple[str, str], ...] = ()
    correlation: bytes | None = None


class Link:
    """Connect, turn, publish, close; every call from one thread."""

    def __init__(self, settings: Mqtt, client_id: str, handler: Handler, will: Will | None = None) -> None:
        """`handler` gets each message before the broker is told that we have it; it never raises.

        Without a will the session ends with the connection. acked, unsubscribed: what the broker said, for the caller
        to empty. receive_max: how many messages the broker takes before it has acknowledged one.
        """
        self.settings = settings
        self.acked: list[Acked] = []
        self.unsubscribed: list[str] = []
        self.receive_max = 65_535
        self._v5 = settings.protocol == "5"
        self._handler = handler
        self._lasting = will is not None
        self._answer: ReasonCode | None = None
        self._lost = ""
        self._said = ""
        self._client = self._make(client_id, will)

    @property
    def address(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    def open(self) -> None:
        """Ask for a connection; connected() says when it is granted. Raises LinkError with one sentence."""
        try:
            self._connect()
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(distrusted(self.settings, error)) from None
        except ssl.SSLError as error:
            if blame := rejected(self.settings, str(error), SystemClock().wall()):
                raise self._untrusted(blame) from None
            raise LinkError(
                f"{self.address}: no TLS with the broker ({error.reason or error}); check port and tls"
            ) from None
        except (OSError, ValueError) as error:
            raise LinkError(f"{self.address}: the broker cannot be reached ({error}); check that it runs") from None

    def connected(self) -> bool:
        """True once the broker has said yes. Raises LinkError when it said no or is gone."""
        if self._answer is not None and self._answer.is_failure:
            raise LinkError(
                f"{self.address}: the broker refuses this unit ({self._answer}); check username and password_file",
                refused=self._answer.value in NOT_LET_IN,
            )
        if self._lost and self._answer is None:
            if self.settings.tls and (blame := self._blame()):
                raise self._untrusted(blame)
            raise LinkError(
                f"{self.address}: the broker hung up before it answered ({self._lost}); if it knows no MQTT 5 write "
                'protocol = "3.1.1", if it wants TLS or a certificate give them'
            )
        if self._lost:
            raise LinkError(f"{self.address}: the connection to the broker is lost ({self._lost})")
        return self._answer is not None

    def turn(self, timeout_s: float, wake: socket.socket | None = None) -> None:
        """Read and write what there is; returns after `timeout_s` at the latest, at once when `wake` is readable."""
        broker = self._client.socket()
        if broker is None:
            self._lost = self._lost or "closed"
            return
        with selectors.DefaultSelector() as waiting:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
            waiting.register(broker, wanted)
            if wake is not None:
                waiting.register(wake, selectors.EVENT_READ)
            buffered = isinstance(broker, ssl.SSLSocket) and broker.pending() > 0
            ready = {key.fileobj: mask for key, mask in waiting.select(0.0 if buffered else timeout_s)}
        mask = ready.get(broker, 0)
        if buffered or mask & selectors.EVENT_READ:
            self._client.loop_read()
        if mask & selectors.EVENT_WRITE:
            self._client.loop_write()
        self._client.loop_misc()

    def publish(self, post: Post) -> int:
        """Hand one message to the broker; its number comes back in `acked`. Raises LinkError when not connected."""
        properties = None
        if self._v5:
            properties = _properties(PacketTypes.PUBLISH)
            if post.expiry_s is not None:
                properties.MessageExpiryInterval = post.expiry_s
            if post.correlation is not None:
                properties.CorrelationData = post.correlation
            if post.properties:
                properties.UserProperty = list(post.properties)
        if not self._client.is_connected():
            raise LinkError(f"{self.address}: the connection to the broker is lost ({self._lost or 'closed'})")
        info = self._client.publish(post.topic, post.payload, qos=1, retain=post.retain, properties=properties)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise LinkError(f"{self.address}: not published ({paho.error_string(info.rc)})")
        return info.mid

    def subscribe(self, topics: list[str]) -> None:
        """Ask for these topics at QoS 1; what is refused appears in `unsubscribed`."""
        self._client.subscribe([(topic, 1) for topic in topics])

    def close(self) -> None:
        """Say goodbye, so that the broker does not speak our will."""
        self._client.disconnect()
        while self._client.want_write() and self._client.loop_write() == paho.MQTT_ERR_SUCCESS:
            pass
        self.drop()

    def drop(self) -> None:
        """Cut the line without a word."""
        broker = self._client.socket()
        if broker is not None:
            broker.close()

    def _connect(self) -> None:
        host, port, keepalive_s = self.settings.host, self.settings.port, self.settings.keepalive_s
        if not self._v5:
            self._client.connect(host, port, keepalive_s)
            return
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_S if self._lasting else 0
        properties.ReceiveMaximum = RECEIVE_MAX
        self._client.connect(host, port, keepalive_s, clean_start=not self._lasting, properties=properties)

    def _make(self, client_id: str, will: Will | None) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self._v5 else not self._lasting,
            protocol=paho.MQTTv5 if self._v5 else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.max_inflight_messages_set(0)  # the window is ours; paho must send at once or not at all
        if self.settings.username:
            client.username_pw_set(self.settings.username, password(self.settings))
        if self.settings.tls:
            client.tls_set_context(tls_context(self.settings))
        if will is not None:
            properties = _properties(PacketTypes.WILLMESSAGE) if self._v5 else None
            if properties is not None:
                properties.WillDelayInterval = WILL_DELAY_S
            client.will_set(will.topic, will.payload, qos=1, retain=True, properties=properties)
        client.on_socket_open = _without_waiting
        client.on_log = self._on_log
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _blame(self) -> str:
        """Why a broker that hung up before it answered does not trust us; "" when it does."""
        said = self._said if "ALERT" in self._said else overheard(self.settings, tls_context(self.settings))
        return rejected(self.settings, said, SystemClock().wall())

    def _untrusted(self, blame: str) -> LinkError:
        return LinkError(f"{self.address}: no trust between unit and broker: {blame}", refused=True)

    def _on_log(self, _c: paho.Client, _u: object, level: int, text: str) -> None:
        """paho tells nobody but its log what the TLS library said when a broker hung up (TLS 1.3: after connect)."""
        if level == paho.MQTT_LOG_ERR:
            self._said = text

    def _on_connect(self, _c: paho.Client, _u: object, _f: object, reason: ReasonCode, said: Properties | None) -> None:
        self._answer = reason
        self.receive_max = getattr(said, "ReceiveMaximum", self.receive_max)

    def _on_disconnect(self, _c: paho.Client, _u: object, _f: object, reason: ReasonCode, _p: object) -> None:
        self._lost = str(reason)

    def _on_publish(self, _c: paho.Client, _u: object, mid: int, reason: ReasonCode, _p: object) -> None:
        self.acked.append(Acked(mid, reason.value, str(reason)))

    def _on_subscribe(self, _c: paho.Client, _u: object, _mid: int, reasons: list[ReasonCode], _p: object) -> None:
        self.unsubscribed += [str(reason) for reason in reasons if reason.is_failure]

    def _on_message(self, _c: paho.Client, _u: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        said = getattr(message, "properties", None)
        response_topic = getattr(said, "ResponseTopic", "")
        correlation = getattr(said, "CorrelationData", None)
        self._handler(Message(topic, bytes(message.payload), bool(message.retain), response_topic, correlation))


def _without_waiting(_c: paho.Client, _u: object, line: Any) -> None:
    """A second small message must not wait for the other side to acknowledge the first, which it does 40 ms late."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]


def password(settings: Mqtt) -> str | None:
    """The password, read from its file at every connect so that a changed one is used. Raises LinkError."""
    if not settings.password_file:
        return None
    try:
        return Path(settings.password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise LinkError(
            f"mqtt.password_file {settings.password_file}: cannot be read ({why}); write the password into it",
            refused=True,
        ) from None


def tls_context(settings: Mqtt) -> ssl.SSLContext:
    """What proves the broker to us and us to the broker. Raises LinkError naming the file that is missing or wrong."""
    for name in ("ca_file", "cert_file", "key_file"):
        path = getattr(settings, name)
        if path and not Path(path).is_file():
            raise LinkError(f"mqtt.{name} {path}: no such file; copy it there or correct the path", refused=True)
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except (ssl.SSLError, OSError) as error:
        raise LinkError(
            f"mqtt certificates: cannot be used ({error}); check that ca_file, cert_file and key_file are PEM and "
            "belong together",
            refused=True,
        ) from None
    return context
