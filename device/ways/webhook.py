"""The webhook: each message of alert/event by HTTP POST, signed: the receiver knows who posts, and that it is whole.

The signature is that of the Standard Webhooks convention (standardwebhooks.com), for which receivers find libraries in
most languages. http.client of the standard library posts: one request on a connection of its own needs no pool, and
nothing has to be installed on a wall for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from device.alert_life import Life
from device.clock import Clock, rfc3339
from device.payloads import SCHEMA, stamped
from device.settings import Settings
from device.ways.way import Body, Item, WayError

BUSY = (408, 425, 429)
"""Client errors that pass by themselves: timeout, too early, too many requests."""
NOT_LET_IN = (401, 403, 407)
NOT_THERE = (404, 405, 410, 421, 501)
SECRET_MIN = 16
"""Characters; the convention asks for 24 to 64 random bytes, a word that somebody can guess is none."""
RETRY_AFTER_MAX_S = 300.0
"""A receiver may ask for patience, not for silence."""
PREFIX = "whsec_"
"""How the convention marks a secret in base64; without it the text itself is the secret."""


class Webhook:
    """Posts to one address; every call from one thread."""

    name = "webhook"
    turn_s = 1.0

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings.webhook
        self._unit = settings.unit
        self._clock = clock
        self._url = urlsplit(self._settings.url)
        self._proved_at = float("-inf")

    @property
    def address(self) -> str:
        """The address as a log may show it: what follows the host may hold a token."""
        return f"{self._url.scheme}://{self._url.netloc}"

    def wants(self, _body: Body, _told: bool) -> bool:
        return True

    def send(self, item: Item, attempt: int, wall: float) -> None:
        self._post(f"{item.alert_id}_{item.seq}", stamped(item.body, item.seq, attempt, wall), wall)

    def turn(self, lives: Sequence[Life], now: float) -> bool:
        """A sign of life when nothing was said for heartbeat_s, so that a receiver can miss the unit, and we it."""
        if now - self._proved_at < self._settings.heartbeat_s:
            return False
        wall = self._clock.wall()
        body = {
            "schema": SCHEMA,
            "type": "heartbeat",
            "room": self._unit.room,
            "device": self._unit.id,
            "open": sum(life.calls for life in lives),
            "published_at": rfc3339(wall),
        }
        self._post(f"heartbeat_{int(wall * 1000)}", body, wall)
        return True

    def close(self) -> None:
        """Nothing is kept open between two requests."""

    def _post(self, message_id: str, body: Body, wall: float) -> None:
        raw = json.dumps(body).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "fallwatch",
            "Connection": "close",
            **signed(message_id, raw, int(wall), self._secret()),
        }
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        try:
            with self._connection() as connection:
                connection.request("POST", path, raw, headers)
                answer = connection.getresponse()
                status, retry_after = answer.status, answer.headers.get("Retry-After", "")
        except ssl.SSLCertVerificationError as error:
            raise WayError(
                f"{self.address}: its certificate is not trusted ({error.verify_message}); check webhook.ca_file, the "
                "receiver's name and the clock",
                refused=True,
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise WayError(f"{self.address}: no answer ({_plain(error)}); check that the receiver runs") from None
        self._judge(status, retry_after)
        self._proved_at = self._clock.now()

    def _judge(self, status: int, retry_after: str) -> None:
        said = f"{self.address}: answered {status} {http.client.responses.get(status, '')}".rstrip()
        if 200 <= status < 300:
            return
        if status in BUSY or (status >= 500 and status not in NOT_THERE):
            asked = re.fullmatch(r"\d{1,6}", retry_after)
            wait = min(max(1.0, float(retry_after)), RETRY_AFTER_MAX_S) if asked else None
            raise WayError(f"{said}; look at the receiver's log", retry_s=wait)
        if status in NOT_LET_IN:
            raise WayError(f"{said}; webhook.secret_file must hold the same secret as the receiver", refused=True)
        if status in NOT_THERE or status < 400:
            raise WayError(f"{said}; nobody takes messages there, correct webhook.url", refused=True)
        raise WayError(f"{said}: it does not take this message; look at the receiver's log", only_this=True)

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        """Cut when the answer as a whole takes too long: a socket's own timeout begins anew with every byte."""
        connection = self._unopened()
        late = threading.Event()
        timer = threading.Timer(self._settings.timeout_s, _cut, (connection, late))
        timer.daemon = True
        timer.start()
        try:
            yield connection
            if late.is_set():  # a half of the headers, cut off, looks like all of them
                raise TimeoutError(f"not whole within {self._settings.timeout_s:.0f} s")
        finally:
            timer.cancel()
            connection.close()

    def _unopened(self) -> http.client.HTTPConnection:
        host, port, timeout_s = self._url.hostname or "", self._url.port, self._settings.timeout_s
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=timeout_s)
        ca_file = self._settings.ca_file
        if ca_file and not Path(ca_file).is_file():
            raise WayError(f"webhook.ca_file {ca_file}: no such file; copy it there or correct the path", refused=True)
        try:
            context = ssl.create_default_context(cafile=ca_file or None)
        except (ssl.SSLError, OSError) as error:
            raise WayError(f"webhook.ca_file {ca_file}: is no certificate in PEM ({error})", refused=True) from None
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)

    def _secret(self) -> bytes:
        """Read for every message, so that a changed one is used at once. Raises WayError."""
        path = self._settings.secret_file
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise WayError(
                f"webhook.secret_file {path}: cannot be read ({why}); write the secret into it", refused=True
            ) from None
        if len(text) < SECRET_MIN:
            raise WayError(
                f"webhook.secret_file {path}: shorter than {SECRET_MIN} characters; use `openssl rand -base64 32`",
                refused=True,
            )
        try:
            return secret_bytes(text)
        except ValueError:
            raise WayError(f"webhook.secret_file {path}: what follows {PREFIX} is no base64", refused=True) from None


def secret_bytes(text: str) -> bytes:
    """The key that a secret stands for. Raises ValueError."""
    if not text.startswith(PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def signed(message_id: str, raw: bytes, seconds: int, secret: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks: HMAC-SHA256 over id, Unix seconds and body, joined by full stops."""
    digest = hmac.new(secret, f"{message_id}.{seconds}.".encode() + raw, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    with suppress(OSError, AttributeError):  # not connected yet, or closed already
        connection.sock.shutdown(socket.SHUT_RDWR)


def _plain(error: Exception) -> str:
    """What went wrong, in words that hold nothing of the request."""
    if isinstance(error, http.client.HTTPException):
        return "the other side ended it too early or speaks no HTTP"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
