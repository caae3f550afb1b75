"""`fallwatch test-alert`: a marked test along the whole chain, from the unit's disk to the broker and every way out."""

from __future__ import annotations

import argparse
import dataclasses
import json

from device.clock import SystemClock
from device.commands.common import add_config, settings_of
from device.errors import FallwatchError
from device.mqtt import Errand, send_test
from device.ways import prepare
from device.ways.errand import Carried, carry_test

CARRIER = {"unit": "the running unit", "self": "this command, no unit is running"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--deadline", type=float, default=15.0, metavar="S", help="give up after S seconds")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    folder, clock = settings.store.path(), SystemClock()
    prepare(settings, folder)
    done = send_test(settings, folder, clock, args.deadline)
    told = []
    for one in carry_test(settings, folder, clock, done.alert_id, args.deadline):
        told.append(one)
        if not args.json:
            _tell(one)
    if args.json:
        print(json.dumps({**dataclasses.asdict(done), "ways": [dataclasses.asdict(one) for one in told]}))
    by_broker = (done.delivered and done.listened is not False) or (bool(told) and not settings.mqtt.enabled)
    if args.json:
        return 0 if by_broker and all(one.delivered for one in told) else 1
    if settings.mqtt.enabled or not told:
        _judge(done)
    if broken := [one.way for one in told if not one.delivered]:
        raise FallwatchError(f"the test alert did not get out by {', '.join(broken)}: see above")
    return 0


def _tell(one: Carried) -> None:
    said = f"carried after {one.seconds:.2f} s by {CARRIER[one.by]}" if one.delivered else f"NOT carried: {one.error}"
    print(f"{one.way}: {said}", flush=True)


def _judge(done: Errand) -> None:
    """Say how the broker took it. Raises FallwatchError when nobody can have got it from there."""
    if not done.delivered:
        raise FallwatchError(f"the test alert is not on the broker: {done.error}")
    print(f"test alert {done.alert_id}: on the broker after {done.seconds:.2f} s, carried by {CARRIER[done.by]}")
    if done.listened is False:
        raise FallwatchError(
            "the broker has nobody who listens for alerts; start the desk, or check what it subscribes to"
        )
    if done.listened is None:
        print("whether somebody listens cannot be told from here: look at the desk")
