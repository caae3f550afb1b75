"""docs/examples/consumer.py as its reader would run it: a real broker, a real courier, Enter on the keyboard."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.clock import SystemClock
from device.mqtt import Courier
from device.outbox import Outbox
from tests.conftest import REPO, eventually
from tests.incident_samples import incident, moved, open_outbox, put, unit_settings
from tests.mosquitto import Listener, Mosquitto

PROGRAM = REPO / "docs" / "examples" / "consumer.py"


class Terminal:
    """The sample receiver in a process of its own; lines: what it has printed."""

    def __init__(self, port: int) -> None:
        self.lines: list[str] = []
        command = [sys.executable, str(PROGRAM), "--port", str(port), "--site", "home1", "--claim-as", "Anna"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def says(self, words: str) -> list[str]:
        return [line for line in list(self.lines) if words in line]

    def enter(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def close(self) -> int:
        """The end of its input ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(10.0)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def terminal(broker: Mosquitto) -> Iterator[Terminal]:
    shown = Terminal(broker.port)
    try:
        yield shown
    finally:
        shown.process.kill()
        shown.process.wait(10.0)


@pytest.fixture
def unit(broker: Mosquitto, tmp_path: Path) -> Iterator[tuple[Courier, Outbox]]:
    folder = tmp_path / "unit"
    courier = Courier(unit_settings(folder, broker.port), folder, SystemClock())
    outbox = open_outbox(folder, courier.spill)
    courier.start()
    try:
        yield courier, outbox
    finally:
        assert courier.stop(5.0)
        outbox.journal.close()


def test_an_alert_is_shown_receipted_claimed_with_enter_and_gone_when_it_ends(
    terminal: Terminal, unit: tuple[Courier, Outbox]
) -> None:
    courier, outbox = unit
    eventually(lambda: terminal.says("cam-r12 is online"))
    fall = put(outbox, incident())
    courier.wake()
    eventually(lambda: terminal.says("RING  r12: somebody fell"))
    eventually(lambda: ("consumer", "desk-1") in {(one.level, one.by) for one in list(courier.inbox)})
    terminal.enter()
    eventually(lambda: ("human", "Anna") in {(one.level, one.by) for one in list(courier.inbox)})
    eventually(lambda: terminal.says("[claimed]"))
    terminal.enter()
    eventually(lambda: terminal.says("nothing to claim"))
    put(outbox, moved(fall, "recovered", 50.0, down_s=40.0))
    courier.wake()
    eventually(lambda: terminal.says("[fall_recovered]"))
    assert terminal.close() == 0
    assert not terminal.says("Traceback")


def test_a_repeat_is_receipted_and_rings_once(
    broker: Mosquitto, terminal: Terminal, unit: tuple[Courier, Outbox]
) -> None:
    courier, outbox = unit
    eventually(lambda: terminal.says("connected as desk-1"))
    with Listener(broker.port) as listener:
        put(outbox, incident())
        courier.wake()
        eventually(lambda: listener.on("/alert/event") and listener.on("/receipt"))
        heard = listener.on("/alert/event")[0]
        listener.say(heard.topic, {**heard.body, "attempt": heard.body["attempt"] + 1}, b"\xff no JSON")
        eventually(lambda: len(listener.on("/receipt")) >= 2)
        assert listener.on("/receipt")[1].body["seq"] == heard.body["seq"]
        eventually(lambda: terminal.says("not understood"))
        assert len(terminal.says("[fall_confirmed]")) == 1


def test_whoever_starts_late_finds_what_is_open(broker: Mosquitto, unit: tuple[Courier, Outbox]) -> None:
    courier, outbox = unit
    with Listener(broker.port) as listener:
        put(outbox, incident())
        courier.wake()
        eventually(lambda: [one for one in listener.on("/alert/active") if one.body["state"] == "open"])
        shown = Terminal(broker.port)
        try:
            eventually(lambda: shown.says("RING  r12: somebody fell"))
            shown.enter()
            eventually(lambda: listener.on("/alert/active")[-1].body["state"] == "claimed")
        finally:
            shown.process.kill()
            shown.process.wait(10.0)
