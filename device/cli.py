"""The command line: one table of subcommands, each imported only when it is called.

Exit codes: 0 fine, 1 a finding or a failure, 2 wrong use. Errors meant for people are one sentence, no traceback.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from device import __version__
from device.errors import FallwatchError, MissingExtraError


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: the module that serves it, what it does, how it is called, and the extra it needs."""

    module: str
    does: str
    example: str
    extra: str | None = None


COMMANDS = {
    "demo": Command(
        "device.commands.demo",
        "the whole product on this machine with nothing installed",
        "fallwatch demo --source rtsp://user:password@camera/stream",
        "console",
    ),
    "run": Command("device.commands.run", "the unit's loop", "fallwatch run --config /etc/fallwatch/unit.toml"),
    "check": Command(
        "device.commands.check",
        "validates settings, then camera, model, broker, disk and clock, and says what to do",
        "fallwatch check --config /etc/fallwatch/unit.toml",
    ),
    "replay": Command(
        "device.commands.replay",
        "the same road over a video file or a recorded event",
        "fallwatch replay fall.mp4 --scores fall.csv --plot fall.png",
    ),
    "events": Command(
        "device.commands.events", "recorded events: list, show, export, label, erase", "fallwatch events list"
    ),
    "console": Command(
        "device.commands.console", "the web page of this unit", "fallwatch console --config unit.toml", "console"
    ),
    "outbox": Command("device.commands.outbox", "alerts that wait for the broker: ls, retry", "fallwatch outbox ls"),
    "test-alert": Command(
        "device.commands.test_alert", "a marked test along the whole chain", "fallwatch test-alert --config unit.toml"
    ),
    "chaos": Command(
        "device.commands.chaos",
        "does to a unit's alerts what can befall them, and counts what is lost",
        "fallwatch chaos --quick",
    ),
    "bench": Command(
        "device.commands.bench",
        "what watching costs this machine: network, loop, cameras per core, memory, alerts",
        "fallwatch bench --plot bench.png",
    ),
    "synth": Command(
        "training.synth.cli", "renders training clips", "fallwatch synth --clips 20 --seed 1 --out synth", "training"
    ),
    "train": Command("training.train", "trains a network", "fallwatch train --out runs/first", "training"),
    "evaluate": Command(
        "training.evaluate", "scores a checkpoint or a bundle over clips", "fallwatch evaluate BUNDLE", "training"
    ),
    "mine": Command(
        "training.mine",
        "keeps the everyday footage that fools a model, for its next training",
        "fallwatch mine BUNDLE nights/ --out mined",
        "training",
    ),
    "quantize": Command(
        "quantize.cli",
        "checkpoint -> int8 model bundle",
        "fallwatch quantize runs/first/checkpoint.pt -o bundle",
        "quantize",
    ),
    "parity": Command(
        "quantize.parity.cli",
        "the gate of a bundle: int8 says what float says, and no fall is lost",
        "fallwatch parity bundle --checkpoint runs/first/checkpoint.pt",
        "quantize",
    ),
    "bundle": Command(
        "quantize.sealing_cli",
        "keys and signatures of bundles, and a bundle as one file",
        "fallwatch bundle sign bundle --key keys/site.key",
    ),
    "provision": Command(
        "deploy.provision",
        "a site's authority, its broker's files, and a certificate for every unit and desk",
        "fallwatch provision site --site home --broker broker.home.lan,192.168.1.10",
        "provision",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _front()
    if not given or given[0] not in COMMANDS:
        parser.parse_args(given)  # --help, --version and misspelt commands end here
        parser.print_help()
        return 2
    name = given[0]
    try:
        return _serve(name, given[1:])
    except FallwatchError as error:
        for line in str(error).splitlines():
            print(f"fallwatch {name}: {line}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has closed it (`| head`): that is not a failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"\nfallwatch {name}: stopped", file=sys.stderr)
        return 130


def _front() -> argparse.ArgumentParser:
    rows = "\n".join(f"  {name:<11} {command.does}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="fallwatch",
        description="Watches a room, sees a fall, tells a nurse.",
        epilog=f"commands:\n{rows}\n\n`fallwatch COMMAND --help` says more, with an example.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fallwatch {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    return parser


def _serve(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    module = _load(command)
    parser = argparse.ArgumentParser(
        prog=f"fallwatch {name}",
        description=command.does[0].upper() + command.does[1:] + ".",
        epilog=f"example: {command.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--verbose", action="store_true", help="also say what is usually not worth saying")
    module.add_arguments(parser)
    args = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if args.verbose else logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    return int(module.run(args))


def _load(command: Command) -> ModuleType:
    try:
        return importlib.import_module(command.module)
    except ModuleNotFoundError as error:
        if command.extra is None or error.name in (None, command.module):
            raise
        raise MissingExtraError(command.extra, error.name) from None


if __name__ == "__main__":
    sys.exit(main())
