"""One fall from camera to nurse: a real clip, a real RTSP server, `fallwatch run` as a process, a real Mosquitto."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from device import payloads, store
from device.clock import rfc3339
from tests.conftest import eventually
from tests.mosquitto import Listener, Mosquitto
from tests.rtsp_server import RtspServer

FALL_CLIP = "train/caucafall/cauca_test7.mp4"
"""Walks in, trips, lies for 6.8 s: the real clip with the longest lie that the licence lets the network learn from."""

CONFIRM_S = 3.0
"""Shorter than the default 5 s, because the footage is: the lie must outlast it."""

SEEN_S = 60.0
"""Start-up of Python, camera and stream, and the clip itself, on a loaded machine."""

BRANCH = "fallwatch/home/e2e"


@dataclass
class Unit:
    """`fallwatch run` as a process, with its own state folder."""

    folder: Path
    broker_port: int
    source: str
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "run.log"
        self.write(self.source)

    def write(self, source: str) -> None:
        (self.folder / "unit.toml").write_text(
            f'[unit]\nid = "e2e"\nroom = "r7"\n[camera]\nsource = "{source}"\n'
            f'[mqtt]\nhost = "127.0.0.1"\nport = {self.broker_port}\n[fall]\nconfirm_s = {CONFIRM_S}\n'
            f"[store]\nfolder = '{self.folder / 'state'}'\n[recorder]\npost_s = 2.0\n"
        )

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "device.cli", "run", "--config", str(self.folder / "unit.toml")],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/bin:/bin", "STATE_DIRECTORY": str(self.folder / "state")},
            )

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process = None
        return code

    def confirmed(self) -> dict[str, Any]:
        """The confirmed fall as the journal on disk has it; empty while there is none."""
        path = self.folder / "state" / store.FILE
        if not path.exists():
            return {}
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            try:
                row = connection.execute("SELECT incident FROM event WHERE wall_confirmed IS NOT NULL").fetchone()
            except sqlite3.OperationalError:
                return {}  # the unit is making its tables at this moment
        return {} if row is None else dict(json.loads(row[0]))

    def waiting(self) -> int:
        with sqlite3.connect(f"file:{self.folder / 'state' / store.FILE}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])


@pytest.fixture
def camera(clips: Path) -> Iterator[RtspServer]:
    server = RtspServer(clips / FALL_CLIP)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def unit(tmp_path: Path, broker: Mosquitto, camera: RtspServer) -> Iterator[Unit]:
    made = Unit(tmp_path / "unit", broker.port, camera.url)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()
    print(made.log.read_text()[-4000:])  # shown by pytest when the test failed


def confirmed_events(nurse: Listener) -> list[dict[str, Any]]:
    return [one.body for one in nurse.on("alert/event") if one.body["event_type"] == "fall_confirmed"]


def test_a_fall_on_camera_reaches_the_nurse_and_stays_true_for_whoever_comes_late(
    unit: Unit, broker: Mosquitto
) -> None:
    with Listener(broker.port) as nurse:
        unit.start()
        eventually(lambda: confirmed_events(nurse), SEEN_S)
        eventually(lambda: nurse.on("alert/active"), 10)
        events = [one.body for one in nurse.on("alert/event")]
        for event in events:
            payloads.validate("alert-event", event)
        assert events[0]["event_type"] == "fall_suspected"
        (fall,) = confirmed_events(nurse)
        assert (fall["room"], fall["device"], fall["test"], fall["type"]) == ("r7", "e2e", False, "update")
        assert fall["alert_id"] == events[0]["alert_id"]
        assert fall["model"]["id"]
        assert not any(one.retain for one in nurse.on("alert/event"))
        with Listener(broker.port, f"{BRANCH}/alert/active", "late") as late:
            eventually(lambda: late.heard, 10)
            active = late.heard[0]
            assert active.retain
            payloads.validate("alert-active", active.body)
            assert (active.body["state"], active.body["alert_id"]) == ("open", fall["alert_id"])
        eventually(lambda: nurse.on("/health"), 10)
        payloads.validate("health", nurse.on("/health")[-1].body)
        assert unit.end() == 0
        eventually(lambda: nurse.on("availability")[-1].raw == b"offline", 10)
    folder = unit.folder / "state" / "events" / fall["alert_id"]
    eventually((folder / "clip.mp4").exists, 10)


def test_the_broker_is_away_during_the_fall_and_the_alert_arrives_once_with_its_own_id_and_time(
    unit: Unit, broker: Mosquitto
) -> None:
    with Listener(broker.port) as nurse:
        broker.stop()
        unit.start()
        incident = eventually(unit.confirmed, SEEN_S)
        assert unit.waiting() >= 2
        broker.start()
        eventually(lambda: confirmed_events(nurse), 30)
        eventually(lambda: unit.waiting() == 0, 15)
        assert [event["alert_id"] for event in confirmed_events(nurse)] == [incident["id"]]
        assert rfc3339(incident["wall_confirmed"]) == confirmed_events(nurse)[0]["detected_at"]


def test_kill_9_after_the_fall_and_before_the_broker_is_back_loses_nothing(
    unit: Unit, broker: Mosquitto, clips: Path
) -> None:
    with Listener(broker.port) as nurse:
        broker.stop()
        unit.start()
        incident = eventually(unit.confirmed, SEEN_S)
        unit.end(signal.SIGKILL)
        unit.write("/dev/video99")  # the camera is gone too: the alert must not depend on a picture
        broker.start()
        unit.start()
        eventually(lambda: confirmed_events(nurse), 30)
        eventually(lambda: unit.waiting() == 0, 15)
        assert [event["alert_id"] for event in confirmed_events(nurse)] == [incident["id"]]
        active = eventually(lambda: [one for one in nurse.on("alert/active") if one.body["state"] == "open"], 10)
        assert active[-1].body["alert_id"] == incident["id"]


def test_a_nurse_claims_and_closes_and_the_truth_is_clear_again(unit: Unit, broker: Mosquitto) -> None:
    with Listener(broker.port) as nurse:
        unit.start()
        (fall,) = eventually(lambda: confirmed_events(nurse), SEEN_S)
        topic = f"{BRANCH}/alert/{fall['alert_id']}/ack"
        for action, nonce in (("claim", "nonce-claim"), ("close", "nonce-close")):
            nurse.say(topic, {"schema": 1, "action": action, "by": "nina", "at": fall["detected_at"], "nonce": nonce})
        # The word of the close first: before the fall was told the truth was clear too.
        eventually(lambda: "closed" in [one.body["event_type"] for one in nurse.on("alert/event")], 15)
        eventually(lambda: nurse.on("alert/active")[-1].body["state"] == "clear", 15)
        kinds = [one.body["event_type"] for one in nurse.on("alert/event")]
        assert kinds.index("claimed") < kinds.index("closed")
