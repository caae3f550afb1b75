"""`fallwatch replay`: the unit's own road over video files and recorded events."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from device import store
from device.commands.common import add_config, bundle_of, settings_of
from device.errors import FallwatchError, UsageError
from device.footage import is_stream
from device.live_source import without_password
from device.replay import Progress, Replay, transition
from device.runner import Runner, open_runner
from device.score_table import save_scores
from device.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="a video file, an event's folder, or an event's id"
    )
    parser.add_argument("--model", type=Path, metavar="BUNDLE", help="another model bundle than the settings'")
    add_config(parser)
    parser.add_argument("--jsonl", action="store_true", help="one JSON object per incident transition, then a summary")
    parser.add_argument(
        "--scores", type=Path, metavar="F.csv", help="the network's scores, a row per step (many sources: a folder)"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="F.png", help="the score timeline as a picture (many sources: a folder)"
    )


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    model = settings.model
    runner = open_runner(bundle_of(settings, args.model), model.threads, model.runtime)
    many = len(args.sources) > 1
    failed = 0
    for text in args.sources:
        try:
            _one(locate(text, settings), settings, runner, args, many)
        except FallwatchError as error:
            if not many:
                raise
            print(f"fallwatch replay: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def locate(text: str, settings: Settings) -> Path:
    """The file or folder that a SOURCE means: a path as it stands, else the id of an event of this unit."""
    if is_stream(text):
        raise UsageError(f"{without_password(text)}: a live source has no end; use `fallwatch demo --source` or `run`")
    path = Path(text)
    if not path.exists():
        event = store.event_folder(settings.store.path(), text)
        if event.is_dir() and "/" not in text:
            return event
    return path


def _one(source: Path, settings: Settings, runner: Runner, args: argparse.Namespace, many: bool) -> None:
    replay = Replay(source, settings, runner)
    progress = Progress(source, sys.stderr)
    for turn in replay.turns():
        for incident in turn.incidents:
            _say(transition(incident, replay.start), args.jsonl, source if many else None)
        progress.show(turn.scores.t - replay.start)
    progress.done()
    if args.scores is not None:
        save_scores(_target(args.scores, source, ".csv", many), replay.scores, replay.start)
    if args.plot is not None:
        _plot(_target(args.plot, source, ".png", many), replay)
    _say_summary(replay.summary(), args.jsonl)


def _target(named: Path, source: Path, ending: str, many: bool) -> Path:
    """The file to write; for many sources `named` is a folder and each keeps the name of its folder and file."""
    return named / f"{source.parent.name}__{source.stem}{ending}" if many else named


def _plot(path: Path, replay: Replay) -> None:
    from device.plot import timeline_png

    path.parent.mkdir(parents=True, exist_ok=True)
    timeline_png(path, replay.scores, replay.incidents, replay.thresholds, replay.source.name)


def _say(line: dict[str, Any], jsonl: bool, source: Path | None) -> None:
    if jsonl:
        print(json.dumps(line if source is None else {"source": str(source), **line}), flush=True)
    else:
        where = "" if source is None else f"{source.name}: "
        print(f"{where}{line['t']:8.1f} s  {line['kind']} {line['stage']}  {line['score']:.2f}  {line['incident_id']}")


def _say_summary(summary: dict[str, Any], jsonl: bool) -> None:
    if jsonl:
        print(json.dumps({"summary": summary}), flush=True)
        return
    print(
        f"{summary['source']}: {summary['seconds']} s, {summary['steps']} steps, "
        f"{len(summary['incidents'])} transitions, "
        f"peak falling {summary['peak_falling']}, floor {summary['peak_floor']}; "
        f"{summary['ms_per_step']} ms a step, {summary['times_real_time']} times real time; {summary['model']}"
    )
    if "reproduced" in summary:
        word = {True: "yes, to the last bit", False: "NO", None: "another model was asked"}[summary["reproduced"]]
        print(
            f"reproduces the recorded scores: {word} ({summary['compared_steps']} steps, "
            f"largest difference {summary['max_difference']:.6f})"
        )
