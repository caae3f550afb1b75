"""`fallwatch test-alert`: a marked test along the whole chain, from the unit's disk to the broker and its listeners."""

from __future__ import annotations

import argparse
import dataclasses
import json

from device.clock import SystemClock
from device.commands.common import add_config, settings_of
from device.errors import FallwatchError
from device.mqtt import send_test

CARRIER = {"unit": "the running unit", "self": "this command, no unit is running"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--deadline", type=float, default=15.0, metavar="S", help="give up after S seconds")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    done = send_test(settings, settings.store.path(), SystemClock(), args.deadline)
    if args.json:
        print(json.dumps(dataclasses.asdict(done)))
        return 0 if done.delivered and done.listened is not False else 1
    if not done.delivered:
        raise FallwatchError(f"the test alert is not on the broker: {done.error}")
    print(f"test alert {done.alert_id}: on the broker after {done.seconds:.2f} s, carried by {CARRIER[done.by]}")
    if done.listened is False:
        raise FallwatchError(
            "the broker has nobody who listens for alerts; start the desk, or check what it subscribes to"
        )
    if done.listened is None:
        print("whether somebody listens cannot be told from here: look at the desk")
    return 0
