"""`fallwatch demo`: the whole product on this machine."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import signal
import sys
import time
from pathlib import Path

from device.commands.common import with_source
from device.demo import Demo
from device.demo_view import View
from device.errors import MissingExtraError
from device.settings import Settings, default_folder

NEEDED = ("amqtt", "fastapi", "uvicorn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", metavar="URI", help="your own picture: a video file, rtsp://…, or /dev/video0 (default: sample)"
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end after N seconds")
    parser.add_argument("--exit", action="store_true", help="end when the footage has ended, without keeping the page")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where the demo keeps its journal and clips (default: a new one below the user's state folder)",
    )


def run(args: argparse.Namespace) -> int:
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("console", module)
    with_source(Settings(), args.source)
    if not args.verbose:
        logging.getLogger().setLevel(logging.ERROR)  # the terminal shows the road itself
    # A folder a run: an open fall of the last demo is not this one's.
    folder = args.folder or default_folder() / "demo" / time.strftime("%Y%m%d-%H%M%S")
    demo = Demo(args.source, folder, View())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: demo.stop.set())
    stay = not args.exit and args.seconds is None and sys.stdout.isatty()
    return demo.run(args.seconds, stay)
