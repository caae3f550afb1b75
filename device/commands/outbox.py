"""`fallwatch outbox`: what waits for the broker or for a desk, and what came back for it so far."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from typing import Any, get_args

from device.clock import SystemClock, rfc3339
from device.commands.common import add_config, settings_of
from device.errors import FallwatchError
from device.journal import Journal
from device.mqtt import send_waiting
from device.outbox import Outbox
from device.records import Receipt, ReceiptLevel
from device.settings import Settings
from device.spill import Letter

ALL = 1_000_000
LEVELS: tuple[ReceiptLevel, ...] = get_args(ReceiptLevel)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("ls", "retry"), help="ls: list them; retry: send them now")
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per message")
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
        print(json.dumps(row) if args.json else _line(row))
    if not rows and not args.json:
        print("nothing waits")
    return 0


def waiting(settings: Settings) -> list[dict[str, Any]]:
    """The messages that the broker has not got, then those that no desk or gateway says it has, oldest first.

    waits_for: the level of the receipt that is missing. receipts: the newest of each level for the alert, or None.
    """
    with closing(Journal(settings.store.path(), readonly=True)) as journal:
        outbox = Outbox(journal, settings)
        found = [(letter, "broker") for letter in outbox.pending(ALL)]
        found += [(letter, "consumer") for letter in outbox.unheard(ALL)]
        return [_row(letter, level, journal.newest_receipts(letter.alert_id)) for letter, level in found]


def _row(letter: Letter, waits_for: str, receipts: dict[ReceiptLevel, Receipt]) -> dict[str, Any]:
    return {
        "seq": letter.seq,
        "alert_id": letter.alert_id,
        "event_type": letter.payload.get("event_type"),
        "created": rfc3339(letter.created),
        "attempts": letter.attempts,
        "waits_for": waits_for,
        "receipts": {
            level: {"by": one.by, "at": rfc3339(one.at), "action": one.action}
            if (one := receipts.get(level)) is not None
            else None
            for level in LEVELS
        },
    }


def _line(row: dict[str, Any]) -> str:
    came = ", ".join(
        f"{level} {one['by']} {one['at']}" if (one := row["receipts"][level]) else f"{level} -" for level in LEVELS
    )
    words = "{created}  {alert_id}  {event_type}  {attempts} attempts  waits for {waits_for}  ({came})"
    return words.format(**row, came=came)
