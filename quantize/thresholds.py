"""Thresholds for a card, from rooms that the scoring network has not seen: `python -m quantize.thresholds`.

The policy itself decides: every candidate pair is played over every held-out training clip and over simulated days of
everyday life. False alarms per hour come first: of the pairs that ring seldom enough, the one that confirms the most
falls, set against what it suspects for nothing. Footage of dev chooses nothing. Prints the [thresholds] part of the
card's hand-written file, and what stands behind it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tqdm import tqdm

from device.card import Thresholds
from device.errors import FallwatchError
from training.footage import STEP_S
from training.hours import Days, score_days
from training.index import read_index, trainable
from training.judged import NEVER_SEEN_ROOMS, USUAL_WARM_STEPS, Fold, Scored, open_model, score_clips
from training.metrics import Events
from training.unit_policy import STAGES, Answers, down_transitions, held_on, reached, records

LEVELS: Final = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Candidates to enter; half of it leaves. Coarse on purpose: there are too few clips to tell finer ones apart. Below
0.3 several labels could be likelier."""

RINGS_PER_HOUR: Final = 0.1
"""As often as it may ring for nothing: one in ten hours, the aim for simulated days of everyday life."""

SUSPICION_COST: Final = 0.0015
"""Share of the falls that one suspicion an hour is worth: it makes no sound, but it is an entry that somebody reads and
a clip on the disk. A judgement, not a measurement."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pair of thresholds gives in rooms never seen. everyday_*: incidents in `hours` of everyday footage."""

    thresholds: Thresholds
    falls: int
    suspected: int
    confirmed: int
    everyday_suspected: int
    everyday_confirmed: int
    hours: float

    @property
    def rank(self) -> tuple[float, ...]:
        """Greater is better: rings beyond what is allowed, then falls confirmed less the cost of suspicions."""
        too_often = max(0.0, self.everyday_confirmed / self.hours - RINGS_PER_HOUR)
        worth = self.confirmed / self.falls - SUSPICION_COST * self.everyday_suspected / self.hours
        return (-too_often, worth, self.suspected)

    def __str__(self) -> str:
        rings = Events(false_alarms=self.everyday_confirmed, hours=self.hours)
        return (
            f"fall_on {self.thresholds.fall_on} down_on {self.thresholds.down_on}: of {self.falls} falls "
            f"{self.suspected} suspected, {self.confirmed} confirmed; in {self.hours:.2f} h of everyday life "
            f"{self.everyday_suspected} suspected, {self.everyday_confirmed} confirmed: {rings.false_per_hour:.2f}/h "
            f"(< {rings.false_per_hour_bound:.2f}/h at 95 %)"
        )


def stages(scored: Scored, thresholds: Thresholds) -> dict[str, int]:
    """How many incidents of one clip come to each stage; the last second of a fall is held, so that it can confirm."""
    answers = Answers(scored.t, scored.reset, scored.probabilities, USUAL_WARM_STEPS)
    said = down_transitions(records(held_on(answers) if scored.fall else answers), thresholds)
    return {stage: len(reached(said, stage)) for stage in STAGES}


def outcome(scored: Sequence[Scored], thresholds: Thresholds, days: Days | None = None) -> Outcome:
    """One pair over all clips and days.

    Clips and spans with somebody on the floor on purpose say nothing about false alarms: left out.
    """
    falls = [stages(one, thresholds) for one in scored if one.fall is not None]
    calm = [one for one in scored if one.fall is None and not one.clip.on_floor]
    everyday = [stages(one, thresholds) for one in calm]
    if not falls or not everyday:
        raise ValueError("no fall or no everyday clip among the held-out clips; name folds that hold some out")
    played = days.at(thresholds) if days else None
    day = {stage: played.events(stage).false_alarms if played else 0 for stage in STAGES}
    return Outcome(
        thresholds=thresholds,
        falls=len(falls),
        suspected=sum(one["suspected"] > 0 for one in falls),
        confirmed=sum(one["confirmed"] > 0 for one in falls),
        everyday_suspected=sum(one["suspected"] for one in everyday) + day["suspected"],
        everyday_confirmed=sum(one["confirmed"] for one in everyday) + day["confirmed"],
        hours=sum(len(one.t) for one in calm) * STEP_S / 3600 + (days.hours if days else 0.0),
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
        model = open_model(args.model)
        folds = [Fold.parse(text, model) for text in args.fold]
        clips = trainable(read_index(args.clips))
        scored = [one for one in score_clips(clips, model, folds, args.cache) if one.protocol in NEVER_SEEN_ROOMS]
        days = score_days(args.day, model) if args.day else None
        outcomes = [outcome(scored, pair, days) for pair in tqdm(candidates(), desc="thresholds", unit="pair")]
    except (FallwatchError, ValueError) as error:
        print(f"quantize.thresholds: {error}", file=sys.stderr)
        return 1
    print("\n".join(f"# {one}" for one in outcomes))
    best = choose(outcomes)
    print(f"# chosen: {best}")
    print("[thresholds]")
    print("\n".join(f"{name} = {value}" for name, value in best.thresholds.model_dump().items()))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="quantize.thresholds", description="Choose a card's thresholds.")
    parser.add_argument("model", type=Path, help="the checkpoint or bundle that the thresholds are for")
    parser.add_argument("--clips", type=Path, required=True, help="table of clips; only its trainable rows are used")
    parser.add_argument(
        "--fold", action="append", default=[], metavar="WHAT=MODEL", help="DATASET:SUBJECT and who never saw them"
    )
    parser.add_argument("--day", type=Path, metavar="FOLDER", help="simulated days by `fallwatch synth --hours`")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded footage")
    sys.exit(run(parser.parse_args()))
