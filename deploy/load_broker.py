"""The broker of the load driver: a real Mosquitto on a free loopback port, with a site's own configuration."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from deploy.authority import key_pem, new_key, request
from deploy.broker_files import Placement, Role, mosquitto_conf
from deploy.mqtt_member import Door
from deploy.site import Register, Site
from deploy.swarm import DESK, SITE
from device.errors import FallwatchError

HOST = "127.0.0.1"
SPARE_DESCRIPTORS = 100
START_S = 30.0
"""Reading the sessions of thousands of units back from a disk that is busy."""
MB = 1024 * 1024
FOR_A_SITE_ONLY = ("cafile", "certfile", "keyfile", "crlfile", "acl_file", "require_certificate", "use_identity")
"""Lines of mosquitto.conf that a plain listener has no use for."""


def allow_descriptors(units: int) -> None:
    """One open connection a unit, here and in the broker. Raises FallwatchError where the system allows fewer."""
    needed = units + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise FallwatchError(
            f"{units} units need {needed} open files and this shell allows {hard}; run `ulimit -Hn {needed}` as root "
            f"first, or give --units {max(1, hard - SPARE_DESCRIPTORS)}"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class LoadBroker:
    """start, kill, start again; what it had on disk stays. door: how the swarm comes in."""

    def __init__(self, folder: Path, names: Sequence[str], *, tls: bool) -> None:
        found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if found is None:
            raise FallwatchError("mosquitto is not installed here; run: apt install mosquitto")
        self.names = list(names)
        self.log = folder / "mosquitto.log"
        self._program = found
        self._config = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        port = _free_port()
        placement = Placement(folder / "site" / "broker", folder, port)
        self._keys = folder / "keys"
        self._site = _members(folder, self._keys, placement, names) if tls else None
        self.door = Door(HOST, port, self._context if tls else None)
        text = mosquitto_conf(placement)
        if not tls:
            lines = [line for line in text.splitlines() if not line.startswith(FOR_A_SITE_ONLY)]
            text = "\n".join(lines).replace(f"listener {port}", f"listener {port} {HOST}")
            text = text.replace("allow_anonymous false", "allow_anonymous true")
        owner = "user root\n" if os.geteuid() == 0 else ""  # it would become another user, who cannot write here
        self._config.write_text(f"{text}\n{owner}log_dest file {self.log}\n")

    def version(self) -> str:
        said = subprocess.run([self._program, "-h"], capture_output=True, text=True, check=False).stdout
        return said.splitlines()[0] if said else "mosquitto"

    def start(self) -> None:
        """Start it and wait until it listens. Raises FallwatchError."""
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + START_S
        while time.monotonic() < end and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.door.port)) == 0:
                    return
            time.sleep(0.01)
        raise FallwatchError(f"mosquitto did not start within {START_S:.0f} s; its log is {self.log}")

    def kill(self) -> None:
        """kill -9, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10.0)
            self._process = None

    def running(self) -> bool:
        return self._process is not None

    def cpu_s(self) -> float:
        """Seconds of a core that it has used."""
        times = self._of().cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        return float(self._of().memory_info().rss) / MB

    def _of(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def _context(self, name: str) -> ssl.SSLContext:
        assert self._site is not None
        context = ssl.create_default_context(cafile=str(self._site / "ca.pem"))
        context.load_cert_chain(self._site / "issued" / name / f"{name}.pem", self._keys / f"{name}.key")
        return context


def _members(folder: Path, keys: Path, placement: Placement, names: Sequence[str]) -> Path:
    """A site with everybody in it; its folder."""
    now = datetime.now(UTC)
    site = Site.create(folder / "site", Register(SITE, (HOST,), placement), now, None)
    keys.mkdir()
    asked: list[tuple[Path, Role]] = []
    for name in (DESK, *names):
        key = new_key()
        (keys / f"{name}.key").write_bytes(key_pem(key))
        (keys / f"{name}.csr").write_bytes(request(key, name))
        asked.append((keys / f"{name}.csr", "desk" if name == DESK else "unit"))
    site.sign_all(asked, now)
    return site.folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
