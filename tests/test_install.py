"""The installer and the service: a real installation below a temporary folder, and what happens when it can't go on."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.settings import Blind
from device.settings_file import read_settings
from tests.conftest import REPO
from tests.test_imports import NEVER_ON_A_UNIT, ONLY_WITH_THE_PAGE, after_importing, modules_of_the_watch

INSTALL = REPO / "deploy" / "install.sh"
SERVICE = REPO / "deploy" / "fallwatch.service"
NOBODY = 65534
DEVICE_INSTALL_MB = 450
"""DESIGN section 6.5: what the unit installs stays under this."""


def run(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def needs(program: str) -> str:
    """The program's path; skips, loudly, where it is absent."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program.upper()} ABSENT: this test checked nothing")
    return found


def pretend(folder: Path, program: str, says: str) -> str:
    """A PATH on which `program` answers with `says`, whatever it is asked."""
    folder.mkdir(exist_ok=True)
    (folder / program).write_text(f"#!/bin/sh\nprintf '{says}'\n")
    (folder / program).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def copy_of_the_checkout(target: Path) -> Path:
    for part in ("device", "training", "quantize", "deploy"):
        shutil.copytree(REPO / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "LICENSE"):
        shutil.copy(REPO / name, target / name)
    return target


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own, so that nobody's editing or building meddles with it."""
    return copy_of_the_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def installed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root below which install.sh has put a unit."""
    root = tmp_path_factory.mktemp("machine")
    before = files_below(checkout)
    done = run("bash", checkout / "deploy/install.sh", "--root", root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Installed and not started" in done.stdout
    assert files_below(checkout) == before, "building must leave nothing in the checkout"
    yield root
    # pytest keeps the folders of the last runs, and this one is large.
    shutil.rmtree(root)


class TestInstalled:
    def test_the_command_runs_from_the_path(self, installed: Path) -> None:
        done = run(installed / "usr/local/bin/fallwatch", "--help")
        assert (done.returncode, "usage: fallwatch" in done.stdout) == (0, True), done.stderr

    def test_the_settings_are_valid_and_look_at_the_services_journal(self, installed: Path) -> None:
        settings = read_settings(installed / "etc/fallwatch/unit.toml")
        assert settings.store.folder == "/var/lib/fallwatch"
        assert (installed / "etc/fallwatch/unit.toml").stat().st_mode & 0o777 == 0o640

    def test_the_service_is_in_place_and_runs_what_is_installed(self, installed: Path) -> None:
        unit = (installed / "etc/systemd/system/fallwatch.service").read_text()
        assert "ExecStart=/opt/fallwatch/current/bin/fallwatch run --config /etc/fallwatch/unit.toml" in unit
        assert (installed / "opt/fallwatch/current/bin/fallwatch").exists()

    def test_every_file_of_device_arrives(self, installed: Path, checkout: Path) -> None:
        (there,) = (installed / "opt/fallwatch/current/lib").glob("python3*/site-packages")
        assert files_below(checkout / "device") - files_below(there / "device") == set()

    def test_the_watch_needs_nothing_that_is_not_installed(self, installed: Path) -> None:
        known = set(modules_of_the_watch())
        held = after_importing(sorted(known), str(installed / "opt/fallwatch/current/bin/python"), cwd=installed)
        assert "device" in held
        assert held & (NEVER_ON_A_UNIT | ONLY_WITH_THE_PAGE) == set()

    def test_it_stays_small(self, installed: Path) -> None:
        taken = run("du", "-sm", (installed / "opt/fallwatch/current").resolve()).stdout.split()[0]
        assert int(taken) < DEVICE_INSTALL_MB

    def test_a_second_run_installs_nothing_and_keeps_the_settings(self, installed: Path, checkout: Path) -> None:
        settings = installed / "etc/fallwatch/unit.toml"
        settings.write_text(settings.read_text().replace('room = "room-1"', 'room = "room-9"'))
        before = (installed / "opt/fallwatch/current").resolve()
        done = run("bash", checkout / "deploy/install.sh", "--root", installed, PIP_NO_INDEX="1")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "this release is installed already" in done.stdout
        assert "settings are kept" in done.stdout
        assert read_settings(settings).unit.room == "room-9"
        assert (installed / "opt/fallwatch/current").resolve() == before

    def test_an_upgrade_that_fails_leaves_the_old_release_in_force(self, installed: Path, tmp_path: Path) -> None:
        newer = copy_of_the_checkout(tmp_path)
        (newer / "device" / "__init__.py").write_text('"""Newer."""\n\n__version__ = "99.0"\n')
        before = (installed / "opt/fallwatch/current").resolve()
        done = run("bash", newer / "deploy/install.sh", "--root", installed, PIP_NO_INDEX="1", PIP_FIND_LINKS="")
        assert done.returncode == 1
        assert "pip could not install Fallwatch into" in done.stderr.splitlines()[-1]
        assert (installed / "opt/fallwatch/current").resolve() == before
        assert run(installed / "usr/local/bin/fallwatch", "--help").returncode == 0


class TestBeforeAnythingIsChanged:
    def test_a_dry_run_names_every_step_and_does_nothing(self, tmp_path: Path) -> None:
        done = run("bash", INSTALL, "--dry-run", "--root", tmp_path / "root")
        assert done.returncode == 0, done.stderr
        for step in (
            "install Fallwatch into",
            "place settings to edit",
            "place the service",
            "put it in force",
            "check",
        ):
            assert f"- {step}" in done.stdout
        assert not (tmp_path / "root").exists()

    @pytest.mark.parametrize("words", [("--rot", "/x"), ("--root",), ("--wait", "soon"), ("extra",)])
    def test_wrong_use_is_said_in_one_line(self, words: tuple[str, ...]) -> None:
        done = run("bash", INSTALL, *words)
        assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")

    def test_help_has_an_example(self) -> None:
        done = run("bash", INSTALL, "--help")
        assert (done.returncode, "Example: sudo deploy/install.sh" in done.stdout) == (0, True)

    @pytest.mark.parametrize(
        ("program", "says", "sentence"),
        [
            ("uname", "armv7l", "no network runtime exists for armv7l: use a 64-bit system"),
            ("df", "Filesystem M Used Free\\nx 1 1 12 1%% /\\n", "12 MB free and 1000 MB are needed: free some space"),
        ],
    )
    def test_a_machine_that_cannot_do_it(self, tmp_path: Path, program: str, says: str, sentence: str) -> None:
        path = pretend(tmp_path / "bin", program, says)
        done = run("bash", INSTALL, "--root", tmp_path / "root", PATH=path)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert sentence in done.stderr
        assert not (tmp_path / "root").exists()

    @pytest.fixture
    def public_copy(self) -> Iterator[Path]:
        """A copy of deploy/ that any account may read."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(REPO / "deploy", Path(folder) / "deploy")
            for path in (Path(folder), Path(folder) / "deploy", *(Path(folder) / "deploy").rglob("*")):
                path.chmod(0o755)
            yield Path(folder)

    def test_it_asks_for_root(self, public_copy: Path) -> None:
        somebody_else = NOBODY if os.geteuid() == 0 else None
        done = subprocess.run(
            ["bash", str(public_copy / "deploy/install.sh")],
            user=somebody_else,
            group=somebody_else,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "must run as root to install a service: run sudo" in done.stderr


class TestStart:
    """The service counts as started when it has seen a frame; else the release before it comes back."""

    @pytest.fixture
    def machine(self, tmp_path: Path) -> Path:
        """A root with an old and a new release, the new one in force."""
        for release in ("old", "new"):
            command = tmp_path / "opt/fallwatch/releases" / release / "bin/fallwatch"
            command.parent.mkdir(parents=True)
            command.write_text("#!/bin/sh\n")
            command.chmod(0o755)
        (tmp_path / "opt/fallwatch/current").symlink_to(tmp_path / "opt/fallwatch/releases/new")
        return tmp_path

    def start(self, machine: Path, active: bool, before: str) -> subprocess.CompletedProcess[str]:
        """start_and_wait of install.sh, with a systemctl that only writes down what it is asked."""
        systemctl = machine / "bin" / "systemctl"
        systemctl.parent.mkdir()
        systemctl.write_text(
            f'#!/bin/sh\necho "$*" >>{machine}/asked\n[ "$1" != is-active ] || exit {0 if active else 3}\n'
        )
        systemctl.chmod(0o755)
        releases = machine / "opt/fallwatch/releases"
        script = f"source {INSTALL}; read_arguments --root {machine} --wait 0; start_and_wait {releases}/new '{before}'"
        return run("bash", "-c", script, PATH=f"{systemctl.parent}:{os.environ['PATH']}")

    def asked(self, machine: Path) -> list[str]:
        return (machine / "asked").read_text().splitlines()

    def test_a_frame_was_seen(self, machine: Path) -> None:
        done = self.start(machine, active=True, before="")
        assert (done.returncode, "The room is watched." in done.stdout) == (0, True)
        assert self.asked(machine) == [
            "daemon-reload",
            "enable --quiet fallwatch",
            "stop fallwatch",
            "start --no-block fallwatch",
            "is-active --quiet fallwatch",
        ]

    def test_no_frame_after_an_upgrade_brings_the_old_release_back(self, machine: Path) -> None:
        old = machine / "opt/fallwatch/releases/old"
        done = self.start(machine, active=False, before=str(old))
        assert (done.returncode, f"back to {old}" in done.stderr) == (1, True)
        assert (machine / "opt/fallwatch/current").resolve() == old
        assert self.asked(machine)[-2:] == ["stop fallwatch", "start --no-block fallwatch"]

    def test_no_frame_at_the_first_installation_is_said_aloud(self, machine: Path) -> None:
        done = self.start(machine, active=False, before="")
        assert (done.returncode, "NOT WATCHING YET" in done.stderr) == (1, True)


class TestService:
    @pytest.fixture
    def here(self, tmp_path: Path) -> Path:
        """The unit file with a command that exists on this machine."""
        unit = tmp_path / "fallwatch.service"
        unit.write_text(SERVICE.read_text().replace("/opt/fallwatch/current/bin/fallwatch", "/bin/true"))
        return unit

    def test_systemd_accepts_it(self, here: Path) -> None:
        done = run(needs("systemd-analyze"), "verify", "--man=no", here)
        assert (done.returncode, done.stderr) == (0, "")

    def test_systemd_calls_its_exposure_ok(self, here: Path) -> None:
        done = run(needs("systemd-analyze"), "security", "--offline=true", "--threshold=30", here)
        assert done.returncode == 0, done.stdout

    def test_a_lost_camera_is_said_well_before_the_watchdog_bites(self) -> None:
        assert float(self.read()["Service"]["WatchdogSec"]) >= 3 * Blind().no_frames_s

    def test_it_never_gives_up(self) -> None:
        unit = self.read()
        assert unit["Unit"]["StartLimitIntervalSec"] == "0"
        assert unit["Service"]["Restart"] == "always"
        assert (unit["Service"]["Type"], unit["Service"]["NotifyAccess"]) == ("notify", "main")

    def test_no_picture_of_the_room_is_dumped_on_a_crash(self) -> None:
        assert self.read()["Service"]["LimitCORE"] == "0"

    @staticmethod
    def read() -> configparser.ConfigParser:
        unit = configparser.ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(SERVICE)
        return unit


def test_the_shell_scripts_are_clean() -> None:
    scripts = [*sorted((REPO / "deploy").glob("*.sh")), REPO / ".ci" / "run"]
    done = run(needs("shellcheck"), "-x", *scripts)
    assert done.returncode == 0, done.stdout


def test_the_set_up_names_its_two_goals() -> None:
    done = run("bash", REPO / "deploy" / "prepare.sh", "dmo")
    assert (done.returncode, done.stderr) == (2, "usage: deploy/prepare.sh demo|test\n")
