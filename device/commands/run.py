"""`fallwatch run`: the unit's loop, until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import threading

from device.card import BundleError, shipped_bundle
from device.clock import SystemClock
from device.commands.common import add_config, bundle_of, config_path, trusted_bundle, with_source
from device.runner import serving
from device.settings import Settings, default_folder
from device.settings_file import load_or_last_good
from device.unit import Unit

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--source", metavar="URI", help="another camera than the settings': file, device or rtsp://")


def run(args: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings, problems = _settings(args)
    settings, refused = _with_what_opens(settings)
    unit = Unit(settings, bundle_of(settings), SystemClock())
    unit.fault("settings", bool(problems))
    unit.fault("model", refused)
    unit.run(stop)
    return 0


def _settings(args: argparse.Namespace) -> tuple[Settings, str | None]:
    """The settings that hold. Bad ones never stop a unit that has had good ones: it goes on with those and says so."""
    path = config_path(args)
    if path is None:
        return with_source(Settings(), args.source), None
    settings, problem = load_or_last_good(path, default_folder())
    if problem:
        log.error("%s", problem)
    return with_source(settings, args.source), problem


def _with_what_opens(settings: Settings) -> tuple[Settings, bool]:
    """The settings with a bundle and a runtime that open, and whether what they asked for did not (DESIGN 6.2)."""
    asked, refused = settings.model, ""
    try:
        bundle, _ = trusted_bundle(settings)
    except BundleError as error:
        bundle, refused = shipped_bundle(), f"{error}; watching with the bundle of this version"
    found = serving((bundle, asked.runtime), shipped_bundle(), asked.threads)
    problems = [problem for problem in (refused, found.problem) if problem]
    if not problems:
        return settings, False
    log.error("%s", "; ".join(problems))
    serves = asked.model_copy(update={"bundle": str(found.bundle), "runtime": found.runtime})
    return settings.model_copy(update={"model": serves}), True
