"""Thresholds for a card, from rooms that the scoring network has not seen: `python -m quantize.thresholds`.

The policy looks at the half-second mean of P(falling) and of P(floor), each with a level to enter and one to leave. A
level to enter is the one of equal error on held-out training rooms; footage of dev chooses nothing. Prints the
[thresholds] part of the card's hand-written file, and what stands behind it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from device.errors import FallwatchError
from device.incidents.down import SMOOTH_S
from device.labels import FALLING, FLOOR, INDEX
from training.index import HoldOut, read_index, trainable
from training.judged import UNSEEN, Scored, open_model, score_clips
from training.metrics import clip_windows, smooth

LEVELS: Final = np.round(np.arange(0.20, 0.701, 0.01), 2)
"""Candidates. Below 0.2 several labels could be likelier; above 0.7 caution would cost real falls, and a few windows
are too few to say otherwise."""


@dataclass(frozen=True, slots=True)
class Level:
    """One kind of evidence: its thresholds, and the share of falls and of everyday windows above the level to enter."""

    on: float
    off: float
    falls: int
    windows: int
    falls_above: float
    windows_above: float


def level(scored: Sequence[Scored], label: str) -> Level:
    """The level for one label: where missed falls and everyday windows (4 s) above it are as few as they can both be.

    Clips with somebody on the floor on purpose say nothing about false alarms and are left out.
    """
    clips = [
        clip_windows(one.t, smooth(one.t, one.probabilities[:, INDEX[label]], SMOOTH_S), one.fall)
        for one in scored
        if not one.clip.on_floor
    ]
    falls = np.asarray([clip.fall for clip in clips if clip.fall is not None])
    everyday = np.asarray([score for clip in clips for score in clip.everyday])
    if not falls.size or not everyday.size:
        raise ValueError("no fall or no everyday window among the held-out clips; name folds that hold some out")
    worse = np.maximum((falls[:, None] <= LEVELS).mean(axis=0), (everyday[:, None] > LEVELS).mean(axis=0))
    on = round(float(np.median(LEVELS[worse == worse.min()])), 2)
    return Level(
        on=on,
        off=round(on / 2, 3),
        falls=len(falls),
        windows=len(everyday),
        falls_above=float((falls > on).mean()),
        windows_above=float((everyday > on).mean()),
    )


def run(args: argparse.Namespace) -> int:
    """Print the thresholds; 0, or 1 when models or clips are no good."""
    try:
        folds = [
            (HoldOut.parse(what), open_model(Path(path))) for what, _, path in (f.rpartition("=") for f in args.fold)
        ]
        clips = [clip for clip in trainable(read_index(args.clips)) if any(rule.holds(clip) for rule, _ in folds)]
        scored = [one for one in score_clips(clips, folds[0][1], folds, args.cache) if one.protocol == UNSEEN]
        fall, down = level(scored, FALLING), level(scored, FLOOR)
    except (FallwatchError, ValueError) as error:
        print(f"quantize.thresholds: {error}", file=sys.stderr)
        return 1
    for name, found in (("falling", fall), ("floor", down)):
        print(
            f"# {name}: {found.falls_above:.0%} of {found.falls} falls and {found.windows_above:.1%} of "
            f"{found.windows} everyday windows are above, in rooms never seen"
        )
    print(f"[thresholds]\nfall_on = {fall.on}\nfall_off = {fall.off}\ndown_on = {down.on}\ndown_off = {down.off}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="quantize.thresholds", description="Choose a card's thresholds.")
    parser.add_argument("--clips", type=Path, required=True, help="table of clips; only its trainable rows are used")
    parser.add_argument(
        "--fold", action="append", required=True, metavar="WHAT=MODEL", help="DATASET:SUBJECT and who never saw them"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded footage")
    sys.exit(run(parser.parse_args()))
