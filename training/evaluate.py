"""Score a checkpoint or a bundle over real clips: `fallwatch evaluate`.

What was trained on is never mixed with what was not. Score = P(falling) + P(floor), raw and as the mean of the last
half second. Window figures are measure/score.py's; events go through the unit's own policy (device.incidents). Rooms
held out by a fold are scored by that fold's checkpoint.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device.errors import FallwatchError
from training.curves import draw_recall
from training.index import HoldOut, read_index
from training.judged import PROTOCOLS, Model, Scored, open_model, score_clips
from training.scoring import evidence
from training.table import events, events_text, rows, table_text


def write_scores(scored: Sequence[Scored], folder: Path) -> None:
    """One DATASET__STEM.csv a clip with t,score: what measure/score.py reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in scored:
        lines = [f"{t:.3f},{s:.4f}" for t, s in zip(one.t, evidence(one.probabilities), strict=True)]
        (folder / f"{one.clip.name}.csv").write_text("t,score\n" + "\n".join(lines) + "\n", encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fallwatch evaluate`."""
    parser.epilog = "example: fallwatch evaluate runs/all.pt --clips clips.csv --fold gmdcsa24:G1=runs/G1.pt"
    parser.add_argument("model", type=Path, help="a checkpoint file or a bundle folder")
    parser.add_argument("--clips", type=Path, required=True, help="table of clips, in the form of data/clips.csv")
    parser.add_argument(
        "--fold",
        action="append",
        default=[],
        metavar="WHAT=MODEL",
        help="score DATASET or DATASET:SUBJECT,SUBJECT by the model that was trained without them; may be repeated",
    )
    parser.add_argument("--only", default="", metavar="NAMES", help="only these datasets, separated by commas")
    parser.add_argument("--scores", type=Path, help="folder for one t,score table a clip")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--plot", type=Path, help="PNG of recall against everyday windows")


def run(args: argparse.Namespace) -> int:
    """Evaluate by the command line's options. 0: done; 1: the model, table or footage is no good."""
    try:
        only = [name for name in args.only.split(",") if name]
        clips = [clip for clip in read_index(args.clips) if not only or clip.dataset in only]
        if not clips:
            raise ValueError(f"{args.clips}: no clip of {args.only}; name datasets of the table")
        folds = [_fold(text) for text in args.fold]
        scored = score_clips(clips, open_model(args.model), folds, Path("runs/cache"))
        _report(scored, args)
    except (FallwatchError, ValueError) as error:
        print(f"fallwatch evaluate: {error}", file=sys.stderr)
        return 1
    return 0


def _fold(text: str) -> tuple[HoldOut, Model]:
    what, _, path = text.rpartition("=")
    if not what:
        raise ValueError(f"--fold {text!r}: write WHAT=MODEL, e.g. gmdcsa24:G1=runs/G1/checkpoint.pt")
    return HoldOut.parse(what), open_model(Path(path))


def _report(scored: Sequence[Scored], args: argparse.Namespace) -> None:
    table = rows(scored)
    said: list[dict[str, Any]] = []
    print(table_text(table))
    for protocol in PROTOCOLS:
        mine = [one for one in scored if one.protocol == protocol]
        for stage in ("suspected", "confirmed") if mine else ():
            found = events(mine, stage)
            print(events_text(protocol, stage, found))
            said.append({"protocol": protocol, "stage": stage, **dataclasses.asdict(found)})
    if args.scores:
        write_scores(scored, args.scores)
    if args.json:
        rows_said = [dataclasses.asdict(row) for row in table]
        text = json.dumps(_measured({"windows": rows_said, "events": said}), indent=1, allow_nan=False)
        args.json.write_text(text, encoding="utf-8")
    if args.plot:
        draw_recall({name: _levels(scored, name) for name in PROTOCOLS if any(_levels(scored, name))}, args.plot)


def _measured(said: Any) -> Any:
    """The same with null for what there was nothing to measure on: JSON knows no NaN."""
    if isinstance(said, dict):
        return {name: _measured(value) for name, value in said.items()}
    if isinstance(said, list | tuple):
        return [_measured(value) for value in said]
    return None if isinstance(said, float) and math.isnan(said) else said


def _levels(scored: Sequence[Scored], protocol: str) -> tuple[list[float], list[float]]:
    clips = [one.windows(0.5) for one in scored if one.protocol == protocol and not one.clip.on_floor]
    return [c.fall for c in clips if c.fall is not None], [score for c in clips for score in c.everyday]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="fallwatch evaluate", description="Score a model over real clips.")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
