"""Thresholds for a card, from rooms that the scoring network has not seen: `python -m quantize.thresholds`.

The policy itself decides: every candidate pair is played over every held-out training clip. False alarms come first:
the pair that rings least in everyday clips; then the one that confirms the most falls, set against what it suspects
there. Footage of dev chooses nothing. Prints the [thresholds] part of the card's hand-written file, and what stands
behind it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from device.card import Thresholds
from device.errors import FallwatchError
from device.incidents import policy_of
from device.incidents.down import DownWatch
from device.records import Scores
from device.settings import Settings
from training.index import HoldOut, read_index, trainable
from training.judged import UNSEEN, Scored, open_model, score_clips

LEVELS: Final = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Candidates to enter; half of it leaves. Coarse on purpose: there are too few clips to tell finer ones apart. Below
0.3 several labels could be likelier."""

WARM_STEPS: Final = 10
"""Steps the unit lets pass before scores count; as in the card."""

TAIL_S: Final = 6.0
"""Footage ends a few seconds after a fall, before the five seconds that confirm it: the mean of its last second is
held for this long. The policy's confirmation is thereby measured on what the network said of the person at rest."""

STEP_S: Final = 0.1

SUSPICION_COST: Final = 0.2
"""Falls that one suspicion in an everyday clip is worth: it makes no sound, but it is an entry that somebody reads and
a clip on the disk, and the held-out everyday clips are busy ones, a few minutes long."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pair of thresholds gives in rooms never seen. everyday_*: incidents in everyday clips."""

    thresholds: Thresholds
    falls: int
    suspected: int
    confirmed: int
    everyday_suspected: int
    everyday_confirmed: int

    @property
    def rank(self) -> tuple[float, ...]:
        """Greater is better."""
        return (-self.everyday_confirmed, self.confirmed - SUSPICION_COST * self.everyday_suspected, self.suspected)


def stages(scored: Scored, thresholds: Thresholds) -> list[str]:
    """The stages the policy goes through on one clip."""
    watch = DownWatch(policy_of(Settings(), thresholds), lambda wall: "clip")
    return [incident.stage for step in _steps(scored) for incident in watch.update(step)]


def _steps(scored: Scored) -> Iterator[Scores]:
    rows = list(scored.probabilities)
    if scored.fall is not None:
        rows += [np.mean(rows[-round(1.0 / STEP_S) :], axis=0)] * round(TAIL_S / STEP_S)
    for n, row in enumerate(rows):
        if n >= WARM_STEPS - 1:
            t = n * STEP_S
            yield Scores(t, t, n, tuple(map(float, row)), 0.0, 0.5, 0.2, False, 0.0, True, "held out", 0.0)


def outcome(scored: Sequence[Scored], thresholds: Thresholds) -> Outcome:
    """One pair over all clips. Clips with somebody on the floor on purpose say nothing about false alarms: left out."""
    falls = [stages(one, thresholds) for one in scored if one.fall is not None]
    everyday = [stages(one, thresholds) for one in scored if one.fall is None and not one.clip.on_floor]
    if not falls or not everyday:
        raise ValueError("no fall or no everyday clip among the held-out clips; name folds that hold some out")
    return Outcome(
        thresholds=thresholds,
        falls=len(falls),
        suspected=sum("suspected" in one for one in falls),
        confirmed=sum("confirmed" in one for one in falls),
        everyday_suspected=sum(one.count("suspected") for one in everyday),
        everyday_confirmed=sum(one.count("confirmed") for one in everyday),
    )


def candidates() -> list[Thresholds]:
    """Every pair, the highest first, so that caution wins where all else is equal."""
    pairs = itertools.product(reversed(LEVELS), repeat=2)
    return [Thresholds(fall_on=f, fall_off=round(f / 2, 3), down_on=d, down_off=round(d / 2, 3)) for f, d in pairs]


def choose(outcomes: Sequence[Outcome]) -> Outcome:
    """The best one; the first of equals."""
    return max(outcomes, key=lambda one: one.rank)


def run(args: argparse.Namespace) -> int:
    """Print the thresholds; 0, or 1 when models or clips are no good."""
    try:
        folds = [
            (HoldOut.parse(what), open_model(Path(path))) for what, _, path in (f.rpartition("=") for f in args.fold)
        ]
        clips = [clip for clip in trainable(read_index(args.clips)) if any(rule.holds(clip) for rule, _ in folds)]
        scored = [one for one in score_clips(clips, folds[0][1], folds, args.cache) if one.protocol == UNSEEN]
        outcomes = [outcome(scored, pair) for pair in candidates()]
    except (FallwatchError, ValueError) as error:
        print(f"quantize.thresholds: {error}", file=sys.stderr)
        return 1
    for one in outcomes:
        print(
            f"# fall_on {one.thresholds.fall_on} down_on {one.thresholds.down_on}: of {one.falls} falls "
            f"{one.suspected} suspected, {one.confirmed} confirmed; "
            f"everyday clips: {one.everyday_suspected} suspected, {one.everyday_confirmed} confirmed"
        )
    best = choose(outcomes).thresholds
    print("[thresholds]")
    print("\n".join(f"{name} = {value}" for name, value in best.model_dump().items()))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="quantize.thresholds", description="Choose a card's thresholds.")
    parser.add_argument("--clips", type=Path, required=True, help="table of clips; only its trainable rows are used")
    parser.add_argument(
        "--fold", action="append", required=True, metavar="WHAT=MODEL", help="DATASET:SUBJECT and who never saw them"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded footage")
    sys.exit(run(parser.parse_args()))
