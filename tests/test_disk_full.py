"""A disk with no byte free: a real one, small and full, not an injected error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device import payloads
from device.card import CARD_FILE, sha256, shipped_bundle
from device.clock import SystemClock
from device.incidents import Incidents, policy_of
from device.journal import Journal
from device.loop import Watch
from device.mqtt import Courier, LinkState
from device.outbox import Outbox
from device.recorder import Recorder
from device.records import Frame
from device.runner import open_runner
from device.settings import Mqtt, Settings, Store
from device.settings import Recorder as RecorderSettings
from tests.conftest import eventually
from tests.footage_made import moving_square
from tests.incident_samples import alert_of, incident
from tests.mosquitto import Listener, Mosquitto

DISK_MB = 6
MANY = 120
"""Alerts of about 2 kB in the store: more than the reserve of 1 MB can hold beside SQLite's write-ahead log."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of its own of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("NO SMALL DISK: mounting a tmpfs needs root; the full disk was not tested")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take every byte that is left."""
    junk = place / "junk"
    with junk.open("wb", buffering=0) as out:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while out.write(b"\0" * size):
                    pass
            except OSError:
                continue
    return junk


def settings_on(place: Path, port: int = 1) -> Settings:
    return Settings(
        mqtt=Mqtt(host="127.0.0.1", port=port),
        store=Store(folder=str(place / "state"), reserve_mb=1, cap_mb=20),
        recorder=RecorderSettings(pre_s=2.0, post_s=1.0),
    )


def test_every_alert_goes_out_in_order_and_is_written_down_when_there_is_room_again(disk: Path, tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, Listener(broker.port) as nurse:
        settings = settings_on(disk, broker.port)
        folder = settings.store.path()
        courier = Courier(settings, folder, SystemClock())
        outbox = Outbox(Journal(folder, room="r1"), settings, courier.spill)
        assert outbox.settle(0.0, 0.0)  # lays the reserve down
        before = incident()
        assert outbox.put(before, alert_of(before), "m") is None
        courier.start()
        eventually(lambda: courier.state is LinkState.CONNECTED)
        junk = fill(disk)
        later = [incident() for _ in range(MANY)]
        refused = [outbox.put(one, alert_of(one), "m") for one in later]
        assert any(refused), "the disk was never full: the test tested nothing"
        courier.wake()
        eventually(lambda: len(nurse.on("alert/event")) >= MANY + 1, 40)
        told = [one.body for one in nurse.on("alert/event")]
        for body in told:
            payloads.validate("alert-event", body)
        order = list(dict.fromkeys(body["alert_id"] for body in told))
        assert order == [before.id, *(one.id for one in later)]
        junk.unlink()
        eventually(lambda: outbox.settle(0.0, 0.0), 20)
        courier.stop()
        journal = Journal(folder, readonly=True)
        assert {row["incident_id"] for row in journal.events(limit=1000)} == {before.id, *(one.id for one in later)}
        assert journal.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        journal.close()
        outbox.journal.close()


def test_a_clip_that_finds_no_room_leaves_the_older_ones_whole_and_is_a_fault(disk: Path) -> None:
    settings = settings_on(disk)
    folder = settings.store.path()
    bundle = shipped_bundle()
    runner = open_runner(bundle)
    journal = Journal(folder, room="r1")
    recorder = Recorder(settings, runner.card, sha256(bundle / CARD_FILE))
    watch = Watch(runner, Incidents(policy_of(settings, runner.card.thresholds)))
    kept = folder / "events" / "older"
    kept.mkdir(parents=True)
    (kept / "clip.mp4").write_bytes(b"an older clip")
    fill(disk)
    noise = np.random.default_rng(0)
    for n, picture in enumerate(moving_square(60)):
        grain = noise.integers(0, 30, picture.shape, dtype=np.uint8)
        for turn in watch.feed(Frame(n, n / 10, n / 10, picture + grain)):
            recorder.keep(turn.step, turn.scores, picture + grain)
    fall = incident(t=5.5, t_start=5.0, wall=5.5, wall_start=5.0, stage="suspected")
    recorder.on_incident(fall)
    recorder.close()
    assert recorder.fault is not None
    assert len(recorder.fault.splitlines()) == 1
    assert (kept / "clip.mp4").read_bytes() == b"an older clip"
    assert not (folder / "events" / fall.id / "clip.mp4").exists()
    journal.close()
