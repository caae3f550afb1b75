"""The demo: the whole product on one machine, the way a newcomer meets it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from device.demo_view import bar


def demo(folder: Path, *arguments: str, timeout: float = 150.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "device.cli", "demo", "--exit", "--folder", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_the_sample_footage_reaches_a_confirmed_alert(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 confirmed fall came back from the broker" in done.stdout
    assert re.search(r"ALERT .*fall_confirmed .*room-12: somebody fell", done.stdout)
    assert re.search(r"\d+\.\d steps/s", done.stdout)
    assert "http://127.0.0.1:" in done.stdout
    assert len(list((tmp_path / "events").glob("*/clip.mp4"))) >= 1


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1:1/room", "/nowhere/room.mp4"])
def test_a_source_that_gives_no_picture_is_one_sentence(tmp_path: Path, source: str) -> None:
    done = demo(tmp_path, "--source", source)
    assert done.returncode == 1
    sentences = [line for line in done.stderr.splitlines() if line.startswith("fallwatch demo:")]
    assert len(sentences) == 1
    assert source.rpartition("/")[2] in sentences[0]
    assert "Traceback" not in done.stderr


def test_a_cameras_password_is_not_shown(tmp_path: Path) -> None:
    done = demo(tmp_path, "--source", "rtsp://nina:hunter2@127.0.0.1:1/room", "--seconds", "3")
    assert "127.0.0.1:1/room" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_bars_are_as_long_as_the_share() -> None:
    assert bar(0.0) == " " * 8
    assert bar(1.0) == "█" * 8
    assert bar(0.5) == "████    "
    assert bar(1 / 64) == "▏       "
    assert len(bar(0.3)) == len(bar(2.0)) == 8
