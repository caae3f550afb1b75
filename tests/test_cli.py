"""The command line: exit codes, one sentence, no traceback."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from device.cli import COMMANDS, main
from device.journal import Journal
from device.records import Incident


def incident(identity: str, wall: float = 1000.0) -> Incident:
    return Incident(identity, "fall", "confirmed", 5.0, wall, 4.0, wall - 1, 5.0, wall, 0.9, 0.9)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "unit.toml"
    path.write_text(f"[store]\nfolder = '{tmp_path / 'state'}'\n[mqtt]\nport = 1\n")
    return path


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "state", room="r1")
    with made.writing():
        made.put_incident(incident("01KB0000000000000000000001"), "m")
    return made


WITHOUT_JSON = ("demo", "run", "console", "synth", "train", "quantize", "bundle")
"""What they answer is a file, a page or the exit code."""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_it_does_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"fallwatch {name}" in said.partition("example:")[2]
    assert "--json" in said or name in WITHOUT_JSON


def test_without_a_command_the_help_is_shown_and_it_is_wrong_use() -> None:
    done = subprocess.run([sys.executable, "-m", "device.cli"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "COMMAND" in done.stderr + done.stdout


def test_a_misspelt_command_is_wrong_use() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replya"])
    assert ended.value.code == 2


def test_a_missing_extra_is_one_hint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(importlib, "import_module", absent)
    assert main(["train"]) == 2
    assert capsys.readouterr().err == (
        "fallwatch train: torch is not installed; run: pip install 'fallwatch[training]'\n"
    )


def test_settings_with_a_typo_are_one_sentence_and_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "unit.toml"
    bad.write_text("[fall]\nconfirms_s = 5\n")
    assert main(["check", "--settings-only", "--config", str(bad)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{bad}:2" in line
    assert "confirm_s" in line


def test_check_names_each_finding_and_what_to_do(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--source", "/nowhere.mp4", "--config", str(config)]) == 1
    found = {row["what"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["settings"]["ok"] is found["model"]["ok"] is found["disk"]["ok"] is True
    assert found["camera"]["ok"] is found["broker"]["ok"] is False
    assert "/nowhere.mp4" in found["camera"]["said"]
    assert "127.0.0.1:1" in found["broker"]["said"] or "localhost:1" in found["broker"]["said"]


def test_events_are_listed_shown_labelled_exported_and_erased(
    config: Path, journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = "01KB0000000000000000000001"
    at = ["--config", str(config)]
    assert main(["events", "list", "--json", *at]) == 0
    assert json.loads(capsys.readouterr().out)["incident_id"] == identity
    assert main(["events", "label", identity, "--as", "false", "--by", "nina", *at]) == 0
    assert main(["events", "export", identity, "--out", str(tmp_path / "e.zip"), *at]) == 0
    assert (tmp_path / "e.zip").stat().st_size > 0
    assert main(["events", "erase", identity, *at]) == 0
    capsys.readouterr()
    assert main(["events", "show", identity, "--json", *at]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["label"] == "false"
    assert [entry["what"] for entry in shown["entries"]] == ["incident", "label", "erased"]


def test_an_unknown_event_is_one_sentence(config: Path, journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "show", "nope", "--config", str(config)]) == 1
    assert "nope: no such event" in capsys.readouterr().err
    assert main(["events", "show", "--config", str(config)]) == 2


def test_no_journal_yet_is_said_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "list", "--config", str(config)]) == 1
    assert "no journal there yet" in capsys.readouterr().err


def test_a_test_alert_without_a_broker_fails_and_stays_in_the_outbox(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["test-alert", "--deadline", "1", "--config", str(config)]) == 1
    assert "the test alert is not on the broker" in capsys.readouterr().err
    assert main(["outbox", "ls", "--json", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["event_type"] == "test"
    assert main(["outbox", "retry", "--deadline", "1", "--config", str(config)]) == 1
    assert "1 alerts still wait" in capsys.readouterr().err
