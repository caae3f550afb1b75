"""`fallwatch chaos`: does to a unit's alerts on purpose what can befall them, and counts what became of each."""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from device.chaos.bench import MUST_BE_ZERO, Bench
from device.chaos.suite import SCENARIOS, Played, play, totals
from device.commands.common import add_config, settings_of
from device.errors import UsageError

KILLS, QUICK_KILLS = 1000, 20
EVERY_S = 0.2
BAR = 24
"""Characters of the progress bar."""
NAME = max(len(name) for name in SCENARIOS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--quick", action="store_true", help="a part of each scenario, in a minute or two")
    parser.add_argument("--kills", type=int, metavar="N", help=f"random kills (default {KILLS}, quick {QUICK_KILLS})")
    parser.add_argument("--seed", type=int, metavar="N", help="the same chances again; each run says its own")
    parser.add_argument("--only", action="append", metavar="WORD", help="scenarios whose name holds this; repeatable")
    parser.add_argument("--json", action="store_true", help="the report as one JSON object")


def run(args: argparse.Namespace) -> int:
    kills = args.kills if args.kills is not None else (QUICK_KILLS if args.quick else KILLS)
    if kills < 1:
        raise UsageError(f"--kills is {kills}, expected 1 or more")
    names = chosen(args.only or [])
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 32)
    bar = Bar(sys.stderr)
    if not args.verbose:
        logging.disable(logging.CRITICAL)  # every scenario is full of warnings that are as they should be
    with tempfile.TemporaryDirectory(prefix="fallwatch-chaos-") as folder:
        bench = Bench(
            settings_of(args), Path(folder), seed, kills, args.quick, site=args.config is not None, tell=bar.show
        )
        played: list[Played] = []
        try:
            for one in play(bench, names):
                bar.clear()
                played.append(one)
                if not args.json:
                    print(line(one), flush=True)
        except KeyboardInterrupt:
            bench.stopped = True
    passed = all(one.outcome.passed for one in played)
    if args.json:
        report = {"passed": passed, "seed": seed, "totals": totals(played), "scenarios": [one.body() for one in played]}
        print(json.dumps(report))
    else:
        print(summary(played, seed))
    if bench.stopped:
        raise KeyboardInterrupt
    return 0 if passed else 1


def chosen(words: list[str]) -> list[str]:
    """The scenarios to play. Raises UsageError where a word fits none."""
    for word in words:
        if not any(word in name for name in SCENARIOS):
            raise UsageError(f"--only {word}: no scenario is called so; there are: {', '.join(SCENARIOS)}")
    return [name for name in SCENARIOS if not words or any(word in name for word in words)]


def line(one: Played) -> str:
    """One scenario for people: result, time, what was counted, and under it what is wrong."""
    counts = {**one.outcome.counts, **one.outcome.figures}
    said = ", ".join(f"{name} {value:g}" for name, value in counts.items() if value or name in MUST_BE_ZERO)
    text = f"{one.word:<8}  {one.name:<{NAME}}  {one.outcome.seconds:6.1f} s  {one.outcome.not_done or said}"
    return "\n".join([text, *(f"          {fault}" for fault in one.outcome.faults)])


def summary(played: list[Played], seed: int) -> str:
    """The last lines: what was done, what was lost."""
    counts = totals(played)
    words = {name: sum(one.word == name for one in played) for name in ("ok", "FAILED", "not done")}
    return (
        f"\n{counts['kills']} kills, {counts['power cuts']} power cuts, {counts['refusals']} refusals of the disk, "
        f"{counts['messages']} messages: {counts['lost']} lost, {counts['repeated_alarms']} repeated alarms, "
        f"{counts['out_of_order']} out of order, {counts['silent']} fallen silent\n"
        f"{words['ok']} scenarios ok, {words['FAILED']} failed, {words['not done']} not done; seed {seed}"
    )


class Bar:
    """A line on the terminal that says how far it has come; silent where nobody looks."""

    def __init__(self, out: TextIO) -> None:
        self._out = out if out.isatty() else None
        self._shown = float("-inf")

    def show(self, what: str, done: int, of: int) -> None:
        """of: 0 where nobody knows how many there will be."""
        if self._out is None or time.monotonic() - self._shown < EVERY_S:
            return
        self._shown = time.monotonic()
        full = "#" * (BAR * done // of) if of else ""
        self._out.write(f"\r\x1b[K[{full:<{BAR}}] {done}{f' of {of}' if of else ''} {what}")
        self._out.flush()

    def clear(self) -> None:
        if self._out is not None:
            self._out.write("\r\x1b[K")
            self._out.flush()
