"""`fallwatch bench`: what watching costs this machine."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from device.bench import latency, loop, machine, network, report
from device.bench.source import make_source
from device.card import read_card
from device.commands.common import bundle_of, settings_of
from device.embedded_broker import HOST, embedded_broker
from device.errors import FallwatchError, UsageError
from device.settings import Mqtt

PARTS = ("network", "loop", "cores", "alert")
LOOP_S = 36.0
"""Longer than the recorder's memory reaches back (recorder.pre_s and floor.confirm_s, 30 s): it is full by then."""

QUICK_LOOP_S = 8.0
SOURCE_S = 80
"""Film enough for the longest part, with time to start on a slow board."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, metavar="BUNDLE", help="another bundle than the one of this version")
    parser.add_argument(
        "--only", choices=PARTS, action="append", metavar="PART", help=f"one part, may be repeated: {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--threads", type=int, action="append", metavar="N", help="threads of the network (default 1, 2)"
    )
    parser.add_argument(
        "--broker", metavar="HOST:PORT", help="measure alerts at this broker (default: one brought along)"
    )
    parser.add_argument("--quick", action="store_true", help="shorter: memory is then that of a unit just started")
    parser.add_argument("--json", action="store_true", help="everything as one JSON object instead of the table")
    parser.add_argument("--plot", type=Path, metavar="F.png", help="a picture of it too")


def run(args: argparse.Namespace) -> int:
    args.config = None
    if not args.verbose:
        logging.getLogger().setLevel(logging.ERROR)
    bundle = bundle_of(settings_of(args), args.model)
    threads = tuple(args.threads or sorted({1, min(2, len(os.sched_getaffinity(0)))}))
    if any(not 1 <= count <= 16 for count in threads):
        raise UsageError(f"--threads {threads}: a number from 1 to 16")
    args.mqtt = _named_broker(args.broker)
    found = _measure(set(args.only or PARTS), bundle, threads, args)
    print(json.dumps(found) if args.json else report.table(found))
    if args.plot:
        report.picture(found, args.plot)
    return 0


def _measure(parts: set[str], bundle: Path, threads: tuple[int, ...], args: argparse.Namespace) -> dict[str, Any]:
    card = read_card(bundle)
    found: dict[str, Any] = {"machine": machine.machine(), "model": {"id": card.model_id, "mmac": card.mmac_per_step}}
    with tempfile.TemporaryDirectory(prefix="fallwatch-bench-") as name, _progress() as said:
        folder = Path(name)
        if "network" in parts:
            found["network"], found["absent"] = network.time_network(bundle, threads, said)
            found["int8"] = _int8(found["network"], card.mmac_per_step)
        if parts & {"loop", "cores"}:
            said("making a film of 80 s")
            film = make_source(folder / "film.mp4", SOURCE_S)
            found["loop"] = loop.time_loop(film, bundle, QUICK_LOOP_S if args.quick else LOOP_S, said)
            if "cores" in parts:
                cost = found["loop"]["one"]["loop_ms"] + found["loop"]["one"]["capture_ms"]
                found["cameras_per_core"] = loop.cameras_per_core(film, bundle, cost, said)
        if "alert" in parts:
            try:
                with _broker(args.mqtt) as mqtt:
                    found["latency"] = latency.time_alerts(mqtt, folder, said)
                    found["latency"]["broker"] = args.broker or "the broker brought along"
            except FallwatchError as error:
                found["no_latency"] = str(error)
    return found


def _int8(rows: list[dict[str, Any]], mmac: float) -> dict[str, float]:
    """The runtime that serves, with the fewest threads that were tried, against one large matrix product on it."""
    rate, peak = mmac / rows[0]["cpu_ms"], machine.int8_rate()
    return {"gmac_s": round(rate, 2), "peak_gmac_s": round(peak, 2), "share": round(rate / peak, 4)}


@contextlib.contextmanager
def _broker(given: Mqtt | None) -> Iterator[Mqtt]:
    """The broker that was named, else one brought along. Raises FallwatchError where there is none to bring."""
    if given is not None:
        yield given
        return
    if importlib.util.find_spec("amqtt") is None:
        raise FallwatchError("no broker here; name one with --broker, or pip install 'fallwatch[console]'")
    with embedded_broker() as port:
        yield Mqtt(host=HOST, port=port, protocol="3.1.1")


def _named_broker(address: str | None) -> Mqtt | None:
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise UsageError(f"--broker {address}: write host:port, for example localhost:1883")
    return Mqtt(host=host, port=int(port))


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """One line on the terminal that says what is being measured; lines of their own where nobody looks."""
    tty = sys.stderr.isatty()

    def said(text: str) -> None:
        if tty:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    yield said
    if tty:
        sys.stderr.write("\r\x1b[K")
