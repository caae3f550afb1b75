"""The unit's word to systemd, received by a real datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.supervisor import Supervisor
from tests.conftest import REPO, eventually
from tests.footage_made import moving_square, write_video

PID = 4321
WATCHDOG_30_S = {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}


class Systemd:
    """The listening end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.line.bind(address)

    def heard(self) -> list[str]:
        words = []
        while True:
            try:
                words += self.line.recv(4096).decode().split("\n")
            except BlockingIOError:
                return words


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def systemd(path: str) -> Iterator[Systemd]:
    listener = Systemd(path)
    yield listener
    listener.line.close()


def test_ready_is_said_once_and_only_after_the_first_classified_frame(systemd: Systemd, path: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": path}, PID)
    supervisor.status("opening the camera", 0.0)
    assert systemd.heard() == ["STATUS=opening the camera"]
    supervisor.classified(3.0)
    supervisor.classified(3.1)
    assert systemd.heard() == ["READY=1"]


def test_the_watchdog_is_fed_by_frames_in_time_and_not_by_every_frame(systemd: Systemd, path: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": path, **WATCHDOG_30_S}, PID)
    fed_at = []
    for step in range(600):
        supervisor.classified(step / 10)
        if "WATCHDOG=1" in systemd.heard():
            fed_at.append(step / 10)
    assert fed_at == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]


def test_a_loop_that_turns_without_frames_feeds_nothing(systemd: Systemd, path: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": path, **WATCHDOG_30_S}, PID)
    supervisor.classified(0.0)
    systemd.heard()
    for second in range(1, 60):
        supervisor.status(f"no picture for {second} s", float(second))
    assert all(word.startswith("STATUS=") for word in systemd.heard())


def test_the_status_line_is_not_repeated_and_not_hurried(systemd: Systemd, path: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": path}, PID)
    for second in range(30):
        supervisor.status("watching" if second < 12 else f"watching,\n{second} s", float(second))
    assert systemd.heard() == ["STATUS=watching", "STATUS=watching, 12 s", "STATUS=watching, 22 s"]


def test_stopping_gives_its_reason(systemd: Systemd, path: str) -> None:
    Supervisor({"NOTIFY_SOCKET": path}, PID).stopping("asked to stop")
    assert systemd.heard() == ["STOPPING=1", "STATUS=asked to stop"]


def test_an_abstract_socket_is_reached() -> None:
    name = f"fallwatch-test-{os.getpid()}"
    listener = Systemd("\0" + name)
    Supervisor({"NOTIFY_SOCKET": "@" + name}, PID).classified(1.0)
    assert listener.heard() == ["READY=1"]
    listener.line.close()


def test_without_systemd_nothing_is_said_and_nothing_breaks() -> None:
    supervisor = Supervisor({}, PID)
    supervisor.classified(0.0)
    supervisor.status("watching", 0.0)
    supervisor.stopping("done")
    assert not supervisor.listening


def test_ready_is_said_again_until_systemd_hears_it(path: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": path}, PID)
    supervisor.classified(0.0)
    listener = Systemd(path)
    supervisor.classified(0.1)
    assert listener.heard() == ["READY=1"]
    listener.line.close()


def test_a_systemd_that_does_not_read_never_blocks_the_watch(systemd: Systemd, path: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": path}, PID)
    for second in range(5000):
        supervisor.status(f"watching {second}", second * 10.0)
    assert 0 < len(systemd.heard()) < 5000


@pytest.mark.parametrize(
    ("environment", "every_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_the_watchdog_is_fed(environment: dict[str, str], every_s: float | None) -> None:
    assert Supervisor(environment, PID).feed_every_s == every_s


def test_an_address_that_is_none_is_ignored() -> None:
    assert not Supervisor({"NOTIFY_SOCKET": "relative"}, PID).listening


def test_the_process_environment_is_the_default(systemd: Systemd, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    Supervisor().classified(0.0)
    assert systemd.heard() == ["READY=1"]


def test_a_real_unit_says_ready_with_its_first_frame_and_feeds_until_it_is_stopped(
    systemd: Systemd, path: str, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "room.mp4", moving_square(150))
    (tmp_path / "unit.toml").write_text(
        f'[camera]\nsource = "{video}"\n[mqtt]\nenabled = false\n[store]\nfolder = "{tmp_path / "state"}"\n'
    )
    heard: list[str] = []

    def hear(word: str) -> bool:
        heard.extend(systemd.heard())
        return word in heard

    unit = subprocess.Popen(
        [sys.executable, "-m", "device.cli", "run", "--config", str(tmp_path / "unit.toml")],
        cwd=REPO,
        env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "600000", "XDG_STATE_HOME": str(tmp_path / "own")},
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: hear("READY=1"))
        heard.clear()
        eventually(lambda: hear("WATCHDOG=1"))
        unit.send_signal(signal.SIGTERM)
        assert unit.wait(timeout=20) == 0
        assert hear("STOPPING=1")
    finally:
        unit.kill()
        unit.wait()
