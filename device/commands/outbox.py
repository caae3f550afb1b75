"""`fallwatch outbox`: what waits for the broker."""

from __future__ import annotations

import argparse
import json
from typing import Any

from device.clock import SystemClock, rfc3339
from device.commands.common import add_config, settings_of
from device.errors import FallwatchError
from device.journal import Journal
from device.mqtt import send_waiting
from device.outbox import Outbox
from device.settings import Settings

ALL = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("ls", "retry"), help="ls: list them; retry: send them now")
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per alert")
    parser.add_argument("--deadline", type=float, default=15.0, metavar="S", help="retry: give up after S seconds")


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    if args.action == "retry":
        done = send_waiting(settings, settings.store.path(), SystemClock(), args.deadline)
        if not done.delivered:
            raise FallwatchError(f"{done.waiting} alerts still wait: {done.error}")
        print("the broker has everything")
        return 0
    rows = waiting(settings)
    for row in rows:
        print(
            json.dumps(row) if args.json else "{created}  {alert_id}  {event_type}  {attempts} attempts".format(**row)
        )
    if not rows and not args.json:
        print("nothing waits")
    return 0


def waiting(settings: Settings) -> list[dict[str, Any]]:
    """The alerts the broker has not got, oldest first."""
    journal = Journal(settings.store.path(), readonly=True)
    try:
        return [
            {
                "seq": letter.seq,
                "alert_id": letter.alert_id,
                "event_type": letter.payload.get("event_type"),
                "created": rfc3339(letter.created),
                "attempts": letter.attempts,
            }
            for letter in Outbox(journal, settings).pending(ALL)
        ]
    finally:
        journal.close()
