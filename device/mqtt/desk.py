"""A receiver: subscribes, hands every message on, says that it has each alert, connects again for ever."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from device.clock import rfc3339
from device.mqtt.link import Link, LinkError, Message, Post
from device.settings import Mqtt

log = logging.getLogger(__name__)

EVENT = "/alert/event"
TURN_S = 0.2
RETRY_S = 1.0

Received = Callable[[str, Any], None]


class Desk:
    """Listens on one topic filter from its own thread while the `with` block runs.

    received(topic, payload): payload is the JSON, or the text where it is none. A desk without a connection retries
    every second; it says so once. After `received` has returned, the unit is told that the desk has the alert.
    """

    def __init__(self, settings: Mqtt, client_id: str, topic: str, received: Received) -> None:
        self._settings = settings
        self._client_id = client_id
        self._topic = topic
        self._received = received
        self._receipts: list[Post] = []
        self._stop = threading.Event()
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    def __enter__(self) -> Desk:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                self._listen()
            except LinkError as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("%s", said)
                self._stop.wait(RETRY_S)

    def _listen(self) -> None:
        link = Link(self._settings, self._client_id, self._hand_on)
        try:
            link.open()
            while not link.connected() and not self._stop.is_set():
                link.turn(TURN_S)
            link.subscribe([self._topic])
            self.ready.set()
            while not self._stop.is_set():
                link.turn(TURN_S)
                link.connected()
                self._confirm(link)
        finally:
            link.close()

    def _hand_on(self, message: Message) -> None:
        text = message.payload.decode("utf-8", errors="replace")
        try:
            content: Any = json.loads(text)
        except json.JSONDecodeError:
            content = text
        self._received(message.topic, content)
        if message.topic.endswith(EVENT) and isinstance(content, dict) and not message.retain:
            body = {"by": self._client_id, "at": rfc3339(time.time()), "seq": content.get("seq")}
            place = f"{message.topic.removesuffix(EVENT)}/alert/{content.get('alert_id')}/receipt"
            self._receipts.append(Post(place, json.dumps(body)))

    def _confirm(self, link: Link) -> None:
        """Not from inside the handler: paho is in the middle of reading there."""
        while self._receipts:
            link.publish(self._receipts[0])
            del self._receipts[0]
