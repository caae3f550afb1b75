"""The whole product on one machine, with nothing installed: footage as a camera, a broker, a nurse's ear, the page.

Every part is the real one: the unit of `fallwatch run`, an MQTT broker, a desk that prints what it receives, and the
console. Only the place differs: a folder of its own, a broker on a free loopback port.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from device.card import shipped_bundle
from device.clock import SystemClock
from device.demo_view import View
from device.embedded_broker import HOST, embedded_broker
from device.errors import FallwatchError
from device.live_source import without_password
from device.loop import Turn
from device.mqtt.desk import Desk
from device.records import Alert
from device.settings import Camera, Console, Mqtt, Settings, Store, Unit
from device.unit import Unit as Watching

SAMPLE = Path(__file__).parent / "footage" / "night_fall.mp4"
SETTINGS_FILE = "demo.toml"
SITE, UNIT, ROOM = "demo", "demo-unit", "room-12"

PICTURE_S = 20.0
"""A camera that has shown nothing by then will not by waiting longer: RTSP needs a few seconds, a webcam one or two."""

LAST_WORDS_S = 2.0
"""Time for the last alert to come back from the broker once the footage has ended."""

PAGE_PORTS = range(8710, 8730)


class Demo:
    """One run of the demo over one source: the sample footage, or the user's own file, device or address."""

    def __init__(self, source: str | None, folder: Path, view: View) -> None:
        self.sample = source is None
        self.source = source or str(SAMPLE)
        self.folder = folder
        self.view = view
        self.confirmed = 0
        self.stop = threading.Event()
        self._ended = threading.Event()
        self._looked = threading.Event()

    def run(self, seconds: float | None, stay: bool) -> int:
        """Watch the source to its end, or a live one until stopped or `seconds` have passed.

        stay: keep the page open afterwards, until `stop` is set. Returns 0; with the sample footage 1 when no
        confirmed fall came back from the broker. Raises FallwatchError when no picture comes.
        """
        with embedded_broker() as port:
            settings = demo_settings(self.source, self.folder, port, _free_page_port())
            with _page(settings, self.folder) as address, Desk(settings.mqtt, "desk", "fallwatch/#", self._received):
                self._welcome(address)
                self._watch(settings, seconds)
                self.stop.wait(LAST_WORDS_S)
                return self._farewell(address, stay)

    def _watch(self, settings: Settings, seconds: float | None) -> None:
        unit = Watching(settings, shipped_bundle(), SystemClock(), self._seen)
        timers = [threading.Timer(PICTURE_S, self._give_up)]
        if seconds is not None:
            timers.append(threading.Timer(seconds, self.stop.set))
        for timer in timers:
            timer.daemon = True
            timer.start()
        unit.run(self.stop)
        for timer in timers:
            timer.cancel()
        if not self._looked.is_set():
            raise FallwatchError(
                unit.eyes[0].camera.error or f"{without_password(self.source)}: no picture came; check the camera"
            )

    def _give_up(self) -> None:
        if not self._looked.is_set():
            self.stop.set()

    def _seen(self, turn: Turn, _alerts: list[Alert]) -> None:
        self._looked.set()
        self.view.look(turn.scores)

    def _received(self, topic: str, payload: Any) -> None:
        """What the nurse's side hears: this came over the network, through the broker."""
        if topic.endswith("/alert/event") and isinstance(payload, dict):
            self.view.message(payload)
            self.confirmed += payload.get("event_type") == "fall_confirmed"

    def _welcome(self, address: str) -> None:
        source = "sample footage, 33 s, rendered by this project" if self.sample else without_password(self.source)
        self.view.say("Fallwatch demo: a real unit, a real broker and a real page, all on this machine.")
        self.view.say(f"  camera   {source}")
        self.view.say(f"  page     {address or 'not available: pip install fallwatch[console]'}")
        self.view.say(f"  journal  {self.folder}")
        self.view.say()

    def _farewell(self, address: str, stay: bool) -> int:
        self.view.say()
        if self.confirmed:
            self.view.say(f"{self.confirmed} confirmed fall came back from the broker.")
        else:
            self.view.say("No confirmed fall came back from the broker.")
        self.view.say(f"See it again: fallwatch events list --config {self.folder / SETTINGS_FILE}")
        if stay and not self.stop.is_set():
            self.view.say(f"The page stays open at {address} until you press Ctrl-C.")
            self.stop.wait()
        return 1 if self.sample and not self.confirmed else 0


def demo_settings(source: str, folder: Path, broker_port: int, page_port: int) -> Settings:
    """A unit's settings as the demo's: MQTT 3.1.1, because that is what the embedded broker speaks."""
    return Settings(
        unit=Unit(site=SITE, id=UNIT, room=ROOM),
        camera=Camera(source=source),
        mqtt=Mqtt(host=HOST, port=broker_port, protocol="3.1.1"),
        store=Store(folder=str(folder), cap_mb=200),
        console=Console(port=page_port),
    )


@contextlib.contextmanager
def _page(settings: Settings, folder: Path) -> Iterator[str]:
    """The console in its own process, as on a unit; gives its address, which may open a moment later."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SETTINGS_FILE
    path.write_text(_toml(settings), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "device.cli", "console", "--config", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield f"http://{settings.console.host}:{settings.console.port}/"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3.0)
        process.kill()


def _toml(settings: Settings) -> str:
    """The settings the demo runs with, for the commands a curious user tries next."""
    return (
        f'[unit]\nsite = "{SITE}"\nid = "{UNIT}"\nroom = "{ROOM}"\n\n'
        f'[mqtt]\nhost = "{settings.mqtt.host}"\nport = {settings.mqtt.port}\nprotocol = "3.1.1"\n\n'
        f"[store]\nfolder = '{settings.store.folder}'\ncap_mb = {settings.store.cap_mb}\n\n"
        f"[console]\nport = {settings.console.port}\n"
    )


def _free_page_port() -> int:
    for port in PAGE_PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise FallwatchError(f"ports {PAGE_PORTS.start} to {PAGE_PORTS.stop - 1} are all taken; end another demo first")
