"""A real Mosquitto on a free loopback port, and a listener that keeps what it hears; for tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.conftest import eventually, free_port

MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """`with Mosquitto(folder) as broker:` runs it; kill() and start() again keep the port and what it had on disk."""

    def __init__(self, folder: Path, *lines: str) -> None:
        """lines: further configuration; with a `password_file` line nobody comes in without a name."""
        if MOSQUITTO is None:
            pytest.skip("REAL BROKER ABSENT: mosquitto is not installed (apt install mosquitto); this checked nothing")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        anonymous = not any(line.startswith("password_file") for line in lines)
        owner = ["user root"] if os.geteuid() == 0 else []  # it would become another user, who cannot write here
        self._config.write_text(
            "\n".join(
                [
                    f"listener {self.port} 127.0.0.1",
                    f"allow_anonymous {str(anonymous).lower()}",
                    "persistence true",
                    f"persistence_location {folder}/",
                    f"log_dest file {self.log}",
                    *owner,
                    *lines,
                    "",
                ]
            )
        )

    def start(self) -> None:
        """Start it and wait until it listens."""
        assert MOSQUITTO is not None
        assert self._process is None
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._listens, 10.0)

    def kill(self) -> None:
        """kill -9, as a power cut would; what it knew until now is on its disk."""
        self._save()
        self._end(kill=True)

    def stop(self) -> None:
        self._end(kill=False)

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end(kill=True)

    def _save(self) -> None:
        assert self._process is not None
        database = self.folder / "mosquitto.db"
        before = database.stat().st_mtime_ns if database.exists() else 0
        self._process.send_signal(signal.SIGUSR1)  # mosquitto(8): write the database now
        eventually(lambda: database.exists() and database.stat().st_mtime_ns > before)

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is not None:
            (process.kill if kill else process.terminate)()
            process.wait(10.0)

    def _listens(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"mosquitto ended at once: {self.log.read_text() if self.log.exists() else ''}")
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass(frozen=True, slots=True)
class Heard:
    """One message as a subscriber got it; at: monotonic seconds. correlation: the mark of who asked (MQTT 5)."""

    topic: str
    raw: bytes
    retain: bool
    qos: int
    at: float
    correlation: bytes | None = None

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Listener:
    """A subscriber with a lasting session: what is published while it or the broker is away still reaches it."""

    def __init__(self, port: int, topic: str = "fallwatch/#", name: str = "listener") -> None:
        self.heard: list[Heard] = []
        self._topic = topic
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _u, m: self.heard.append(
            Heard(
                m.topic,
                bytes(m.payload),
                m.retain,
                m.qos,
                time.monotonic(),
                getattr(m.properties, "CorrelationData", None),
            )
        )
        self._client.reconnect_delay_set(1, 1)
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 3600
        self._client.connect_async("127.0.0.1", port, keepalive=15, clean_start=False, properties=session)

    def __enter__(self) -> Listener:
        self._client.loop_start()
        assert self._subscribed.wait(10.0), "the listener could not subscribe"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def connected(self) -> bool:
        """Whether the broker has let it in, again after an outage."""
        return bool(self._client.is_connected())

    def on(self, suffix: str) -> list[Heard]:
        """What was heard on topics that end so, in the order it came."""
        return [one for one in list(self.heard) if one.topic.endswith(suffix)]

    def say(self, topic: str, *payloads: bytes | dict[str, Any]) -> None:
        """Publish messages, QoS 1, and wait until the broker has them all."""
        said = [
            self._client.publish(topic, json.dumps(payload) if isinstance(payload, dict) else payload, qos=1)
            for payload in payloads
        ]
        for one in said:
            one.wait_for_publish(20.0)

    def ask(self, topic: str, payload: dict[str, Any], response_topic: str, correlation: bytes) -> None:
        """Publish a message that wants its answer on a topic of its own (MQTT 5)."""
        wants = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        wants.ResponseTopic = response_topic
        wants.CorrelationData = correlation
        self._client.publish(topic, json.dumps(payload), qos=1, properties=wants).wait_for_publish(20.0)

    def retain(self, topic: str, payload: bytes) -> None:
        """Publish a message that the broker keeps for whoever subscribes later."""
        self._client.publish(topic, payload, qos=1, retain=True).wait_for_publish(20.0)
