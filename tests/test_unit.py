"""The parts put together: what a unit says of itself, and what it goes on doing when a part fails."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from device.card import TFLITE_FILE, shipped_bundle
from device.cli import main
from device.clock import SystemClock
from device.journal import Journal
from device.loop import Turn
from device.records import Alert, Incident, Receipt
from device.settings import Camera, Mqtt, Settings, Store
from device.store import StoreError
from device.unit import Unit
from tests.footage_made import moving_square, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("footage") / "room.mp4", moving_square(20), fps=10)


@pytest.fixture
def settings(tmp_path: Path, video: Path) -> Settings:
    return Settings(
        camera=Camera(source=str(video)), mqtt=Mqtt(enabled=False), store=Store(folder=str(tmp_path / "state"))
    )


def entries(folder: Path, what: str) -> list[dict[str, Any]]:
    journal = Journal(folder, readonly=True)
    try:
        return [json.loads(row["body"]) for row in journal.entries() if row["what"] == what]
    finally:
        journal.close()


def test_footage_as_a_camera_is_watched_to_its_end_and_the_journal_says_from_when_to_when(settings: Settings) -> None:
    turns: list[Turn] = []
    unit = Unit(settings, shipped_bundle(), SystemClock(), lambda turn, alerts: turns.append(turn))
    unit.run(threading.Event())
    assert len(turns) >= 15
    said = entries(settings.store.path(), "unit")
    assert [one["said"] for one in said] == ["started", "stopped"]
    assert said[0]["model"] == turns[0].scores.model_id


def test_told_to_stop_it_stops(settings: Settings) -> None:
    stop = threading.Event()
    turns: list[Turn] = []

    def told(turn: Turn, alerts: list[Alert]) -> None:
        turns.append(turn)
        stop.set()

    Unit(settings, shipped_bundle(), SystemClock(), told).run(stop)
    assert len(turns) < 15
    assert entries(settings.store.path(), "unit")[-1]["said"] == "stopped"


def test_a_disk_that_takes_nothing_is_a_fault_and_the_watch_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[Turn] = []
    unit = Unit(settings, shipped_bundle(), SystemClock(), lambda turn, alerts: turns.append(turn))
    full = StoreError("disk full")
    monkeypatch.setattr(unit.outbox, "put", lambda *_: full)
    unit.fault("broker", True)
    assert {str(incident.detail["cause"]) for incident in unit.faults.open()} == {"broker", "disk"}
    unit.run(threading.Event())
    assert len(turns) >= 15


def test_a_closed_incident_is_forgotten_by_the_watch(settings: Settings) -> None:
    unit = Unit(settings, shipped_bundle(), SystemClock())
    down = unit.eyes[0].watch.incidents.down
    down.restore(Incident("01KB", "fall", "confirmed", 1.0, 1.0, 0.0, 0.0, 1.0, 1.0), 5.0, 5.0)
    for action in ("claim", "close"):
        unit.courier.inbox.append(Receipt("01KB", "human", "nina", 6.0, action))
        unit._hear()
        assert (down.open is None) == (action == "close")


def test_a_bundle_with_a_wrong_hash_is_refused_and_the_unit_watches_with_its_own(
    tmp_path: Path, video: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    bad = tmp_path / "bundle"
    shutil.copytree(shipped_bundle(), bad)
    with (bad / TFLITE_FILE).open("r+b") as file:
        file.seek(100)
        file.write(b"\xff\x00\xff")
    config = tmp_path / "unit.toml"
    config.write_text(f"[model]\nbundle = '{bad}'\n[mqtt]\nenabled = false\n")
    with caplog.at_level(logging.ERROR):
        assert main(["run", "--config", str(config), "--source", str(video)]) == 0
    assert "wrong hash" in caplog.text
    causes = [one["detail"].get("cause") for one in entries(tmp_path / "state", "incident")]
    assert "model" in causes
    assert main(["replay", str(video), "--model", str(bad)]) == 1


def test_bad_settings_never_stop_a_unit_that_has_had_good_ones(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    config = tmp_path / "unit.toml"
    config.write_text("[fall]\nconfirm_s = 'soon'\n")
    assert main(["run", "--config", str(config), "--source", str(video)]) == 2
    assert "fall.confirm_s" in capsys.readouterr().err
    config.write_text("[mqtt]\nenabled = false\n[fall]\nconfirm_s = 7\n")
    assert main(["run", "--config", str(config), "--source", str(video)]) == 0
    config.write_text("[mqtt]\nenabled = false\n[fall]\nconfirm_s = 'soon'\n")
    assert main(["run", "--config", str(config), "--source", str(video)]) == 0
    causes = [one["detail"].get("cause") for one in entries(tmp_path / "state", "incident")]
    assert causes.count("settings") >= 1
