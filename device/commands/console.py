"""`fallwatch console`: the web page of this unit."""

from __future__ import annotations

import argparse

from device.commands.common import add_config, settings_of
from device.console import serve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--port", type=int, metavar="N", help="another port than the settings'")


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    if args.port is not None:
        console = settings.console.model_copy(update={"port": args.port})
        settings = settings.model_copy(update={"console": console})
    return serve(settings)
