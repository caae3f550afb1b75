"""`fallwatch check`: is everything there that a watch needs, and if not, what to do."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from device import store
from device.camera import probe
from device.clock import SystemClock, rfc3339
from device.commands.common import add_config, config_path, trusted_bundle, with_source
from device.errors import FallwatchError
from device.health import CLOCK_SYNCED
from device.homeassistant import discovery_topic
from device.mqtt.certificates import ending, read_dates
from device.mqtt.reach import reach
from device.runner import open_runner
from device.settings import RoomCamera, Settings
from device.settings_file import read_settings
from device.ways.errand import look as look_at
from device.ways.names import names_of

MB = 1024 * 1024
STEPS = 20
"""Steps of the network to take its time from; the first few warm caches up."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ok None: worth knowing, stops nothing."""

    what: str
    ok: bool | None
    said: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--source", metavar="URI", help="another camera than the settings'")
    parser.add_argument("--settings-only", action="store_true", help="validate the settings and look at nothing else")
    parser.add_argument("--json", action="store_true", help="the findings as one JSON object a line")


def run(args: argparse.Namespace) -> int:
    path = config_path(args)
    settings = with_source(Settings() if path is None else read_settings(path), args.source)
    findings = [Finding("settings", True, f"{path or 'built-in defaults'}: valid")]
    _print(findings[0], args.json)
    if not args.settings_only:
        for finding in _look(settings):
            _print(finding, args.json)
            findings.append(finding)
    return 1 if any(finding.ok is False for finding in findings) else 0


def _look(settings: Settings) -> Iterator[Finding]:
    looks: list[tuple[str, Callable[[Settings], Finding], Settings]] = [
        ("model", _model, settings),
        *((_camera_name(view), _camera, view) for view in settings.views()),
        ("disk", _disk, settings),
        ("certificate", _certificate, settings),
        ("broker", _broker, settings),
        *((name, partial(_way, name), settings) for name in names_of(settings)),
        *([("homeassistant", _homeassistant, settings)] if settings.homeassistant.enabled else []),
        ("clock", _clock, settings),
    ]
    for what, look, of in looks:
        try:
            yield look(of)
        except FallwatchError as error:
            yield Finding(what, False, str(error))


def _camera_name(view: Settings) -> str:
    """What a camera is called here: by its own name where there may be several."""
    return view.camera.id if isinstance(view.camera, RoomCamera) else "camera"


def _model(settings: Settings) -> Finding:
    bundle, stands_for_it = trusted_bundle(settings)
    runner = open_runner(bundle, settings.model.threads, settings.model.runtime)
    raster = runner.card.input
    picture = np.zeros((raster.height, raster.width, 3), np.uint8)
    times = []
    for _ in range(STEPS):
        began = time.perf_counter()
        runner.step(picture)
        times.append(1000 * (time.perf_counter() - began))
    said = f"{runner.model_id} by {runner.runtime}: {np.median(times):.2f} ms a step; {stands_for_it}"
    return Finding("model", True, said)


def _camera(settings: Settings) -> Finding:
    sight = probe(settings.camera, max(settings.camera.deadline_s, 15.0))
    said = f"{sight.width}x{sight.height}, {sight.fps:.1f} pictures per second"
    return Finding(_camera_name(settings), True, said)


def _disk(settings: Settings) -> Finding:
    folder = settings.store.path()
    store.connect(folder).close()
    free_mb = shutil.disk_usage(folder).free / MB
    wanted = settings.store.reserve_mb + settings.store.cap_mb
    if free_mb < settings.store.reserve_mb:
        return Finding(
            "disk",
            False,
            f"{folder}: {free_mb:.0f} MB free, the reserve alone is {settings.store.reserve_mb} MB; free some",
        )
    if free_mb < wanted:
        return Finding(
            "disk",
            None,
            f"{folder}: {free_mb:.0f} MB free, clips may take {settings.store.cap_mb} MB; lower store.cap_mb",
        )
    return Finding("disk", True, f"{folder}: writable, {free_mb:.0f} MB free")


def _certificate(settings: Settings) -> Finding:
    file = settings.mqtt.cert_file
    if not file:
        return Finding("certificate", None, "this unit has none of its own; make one with `fallwatch provision key`")
    wall = SystemClock().wall()
    ends = read_dates(Path(file)).ends
    said = ending(settings.mqtt, wall)
    return Finding(
        "certificate", False if ends < wall else None if said else True, said or f"{file}: until {rfc3339(ends)[:10]}"
    )


def _broker(settings: Settings) -> Finding:
    if not settings.mqtt.enabled:
        return Finding("broker", None, "mqtt.enabled is false: this unit alerts nobody")
    reach(settings, SystemClock())
    return Finding("broker", True, f"{settings.mqtt.host}:{settings.mqtt.port} lets this unit in")


def _way(name: str, settings: Settings) -> Finding:
    found = look_at(name, settings, settings.store.path(), SystemClock())
    return Finding(name, found.ok, found.said)


def _homeassistant(settings: Settings) -> Finding:
    if not settings.mqtt.enabled:
        return Finding("homeassistant", False, "it is told over the broker, and mqtt.enabled is false; write true")
    topic = discovery_topic(settings)
    return Finding("homeassistant", True, f"announced on {topic}; its broker user must let this unit write there")


def _clock(_settings: Settings) -> Finding:
    if CLOCK_SYNCED.exists():
        return Finding("clock", True, "synchronized with a time server")
    return Finding("clock", None, "not known to be synchronized; times in alerts may be off: enable systemd-timesyncd")


MARKS = {True: "ok  ", False: "FAIL", None: "note"}


def _print(finding: Finding, as_json: bool) -> None:
    print(
        json.dumps(asdict(finding)) if as_json else f"{MARKS[finding.ok]}  {finding.what:<9} {finding.said}", flush=True
    )
