"""Brokers of the failure suite: a real Mosquitto with a desk where one is installed, else one that only records."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.chaos.bench import NotDoneError, loopback
from device.chaos.scripted_broker import Script, ScriptedBroker, good
from device.mqtt.desk import EVENT, Desk
from device.settings import Mqtt

START_S = 20.0
"""A board that is busy starts a process in seconds."""
_WITH_ITS_PARENT = (setpriv, "--pdeathsig", "KILL") if (setpriv := shutil.which("setpriv")) else ()
"""So that a suite that was killed itself leaves no broker behind (util-linux 2.33)."""


@dataclass
class Recording:
    """What a broker or a desk got, in the order it came; desk: it says of each alert that it has it."""

    mqtt: Mqtt
    desk: bool
    received: list[dict[str, Any]] = field(default_factory=list)

    def note(self, topic: str, payload: Any) -> None:
        if topic.endswith(EVENT):
            self.received.append(payload)


class Mosquitto:
    """A private one on a loopback port, its files in `folder`; stop() and start() again keep port and sessions."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if program is None:
            raise NotDoneError("mosquitto is not installed here; run: apt install mosquitto")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        owner = "user root\n" if os.geteuid() == 0 else ""  # it would become another user, who cannot write here
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nlog_dest none\n{owner}"
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*_WITH_ITS_PARENT, self._program, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the suite, which then counts what it has and ends its broker
        )
        end = time.monotonic() + START_S
        while not listens(self.port):
            if time.monotonic() > end or self._process.poll() is not None:
                raise NotDoneError("mosquitto is installed and does not start; try it by hand")
            time.sleep(0.02)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(START_S)

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def recorder(folder: Path, branch: str) -> Iterator[Recording]:
    """Where alerts are received: a real Mosquitto and a desk at it, else a broker of ours that records.

    branch: the unit's part of the topic tree.
    """
    try:
        broker = Mosquitto(folder)
    except NotDoneError:
        with recording() as found:
            yield found
        return
    with broker:
        found = Recording(loopback(broker.port), desk=True)
        with Desk(found.mqtt, "chaos-desk", f"{branch}/#", found.note) as desk:
            if not desk.ready.wait(START_S):
                raise NotDoneError("mosquitto runs and lets nobody subscribe")
            yield found


@contextmanager
def recording(*scripts: Script, port: int = 0) -> Iterator[Recording]:
    """A broker that plays scripts, by default that of a good one, and records; it takes any unit and has no desk."""
    with ScriptedBroker(*(scripts or (good,)), port=port) as broker:
        found = Recording(loopback(broker.port), desk=False)
        broker.on_alert = found.received.append
        yield found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
