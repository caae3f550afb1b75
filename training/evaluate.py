"""Score a checkpoint or a bundle over real clips, simulated days and stripes: `fallwatch evaluate`.

What was trained on is never mixed with what was not. Score = P(falling) + P(floor), raw and as the mean of the last
half second. Window figures are measure/score.py's; incidents go through the unit's own policy (device.incidents). Rooms
held out by a fold are scored by that fold's checkpoint. A bundle's card is held against what was measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from device.card import read_card, shipped_bundle
from device.errors import FallwatchError, UsageError
from training.aims import aims
from training.card_rows import (
    day_results,
    differences,
    event_results,
    key_of,
    measurable,
    not_measured,
    striped_results,
    window_results,
    write_card,
)
from training.footage import CACHE
from training.hours import day_paths, score_days
from training.index import Clip, read_indexes
from training.judged import Fold, Model, Scored, open_model, score_clips, unseen
from training.pieces import pieces_in
from training.report import Evaluation, text_of, write_json, write_report
from training.scoring import evidence
from training.striped_test import striped_rows
from training.table import SMOOTHING_S, event_rows, rows, said_of

CLIPS: Final = Path("../shared/data/clips.csv")
"""Where the real clips lie beside a checkout."""


def write_scores(scored: Sequence[Scored], folder: Path) -> None:
    """One DATASET__STEM.csv a clip with t,score: what measure/score.py reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in scored:
        lines = [f"{t:.3f},{s:.4f}" for t, s in zip(one.t, evidence(one.probabilities), strict=True)]
        (folder / f"{one.clip.name}.csv").write_text("t,score\n" + "\n".join(lines) + "\n", encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fallwatch evaluate`."""
    parser.epilog = "example: fallwatch evaluate BUNDLE --fold gmdcsa24:G1=runs/G1.pt --day days --report runs/report"
    add = parser.add_argument
    add("model", type=Path, nargs="?", help="a checkpoint file or a bundle folder (default: the bundle that ships)")
    add("--clips", type=Path, action="append", help=f"table of clips like data/clips.csv; repeatable (default {CLIPS})")
    add(
        "--fold",
        action="append",
        default=[],
        metavar="WHAT=MODEL",
        help="score DATASET, DATASET:SUBJECT,SUBJECT or DATASET@ROOM by the model trained without them; repeatable",
    )
    add("--only", default="", metavar="NAMES", help="only these datasets, separated by commas")
    add("--thresholds", type=Path, metavar="BUNDLE", help="judge incidents by this bundle's thresholds (checkpoints)")
    add("--day", type=Path, metavar="FOLDER", help="simulated days by `fallwatch synth --hours`: false alarms per hour")
    add("--striped", type=Path, metavar="FOLDER", help="rendered clips of a seed never trained on: stripes behind them")
    add("--scores", type=Path, help="folder for one t,score table a clip")
    add("--json", type=Path, help="file for all figures")
    add("--report", type=Path, metavar="FOLDER", help="report.md and report.json with curves, timelines and failures")
    add(
        "--write-card",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="ABOUT",
        help="put the figures into the bundle's card (and into the hand-written text it is made from)",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate by the command line's options. 0: done; 1: something is no good, or the card says otherwise."""
    try:
        bundle = _bundle_of(args)
        model = _model_of(args, bundle)
        found = evaluate(args, model)
        print(text_of(found))
        _write(found, args)
        return _hold_against_card(found, bundle, args.write_card) if bundle else 0
    except UsageError:
        raise
    except (FallwatchError, ValueError) as error:
        print(f"fallwatch evaluate: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        told = f"{error.filename or args.report or args.json}: {error.strerror or error}"
        print(f"fallwatch evaluate: {told}; make room, or name another place", file=sys.stderr)
        return 1


def evaluate(args: argparse.Namespace, model: Model) -> Evaluation:
    """Measure everything that was asked for. Raises ValueError or FallwatchError with one sentence."""
    if args.day:
        day_paths(args.day, model)
    if args.striped:
        unseen(pieces_in(args.striped), model)
    every = clips_of(args)
    clips = only_of(every, [name for name in args.only.split(",") if name])
    folds = folds_of(args.fold, model, every)
    scored = score_clips(clips, model, folds, CACHE) if clips else []
    said = [said_of(one) for one in scored]
    days = score_days(args.day, model) if args.day else None
    striped = striped_rows(args.striped, model, SMOOTHING_S) if args.striped else []
    windows, events = rows(scored), event_rows(list(zip(scored, said, strict=True)))
    names = [fold.name for fold in folds]
    results = window_results(scored, windows, names) + event_results(scored, events, names)
    results += day_results(days, model.numbers) if days else []
    results += striped_results(striped, model.numbers)
    return Evaluation(model, scored, said, windows, events, days, striped, aims(scored, said, days), results)


def clips_of(args: argparse.Namespace) -> list[Clip]:
    """The clips of the tables that are named, else of the usual one.

    None where that is absent and something else is to be judged. Raises ValueError where there is nothing to judge.
    """
    if not args.clips and not CLIPS.is_file():
        if args.day or args.striped:
            return []
        raise ValueError(
            f"{CLIPS}: no such table; name one with --clips (docs/data.md), or judge --day or --striped alone"
        )
    clips = read_indexes(args.clips or [CLIPS])
    if not clips:
        raise ValueError(f"{args.clips[0]}: no clip in it but the header; add rows, or name another --clips")
    return clips


def only_of(clips: Sequence[Clip], only: Sequence[str]) -> list[Clip]:
    """The clips of these datasets; of all where none is named. Raises ValueError naming one that has no clip."""
    there = {clip.dataset for clip in clips}
    wrong = [name for name in only if name not in there]
    if wrong:
        raise ValueError(f"--only {wrong[0]}: no clip of it; the tables hold {', '.join(sorted(there)) or 'nothing'}")
    return [clip for clip in clips if not only or clip.dataset in only]


def folds_of(texts: Sequence[str], model: Model, clips: Sequence[Clip]) -> list[Fold]:
    """The folds of --fold, standing for `model`. Raises ValueError naming one that no clip of the tables belongs to."""
    folds = [Fold.parse(text, model) for text in texts]
    for fold in folds:
        if not any(fold.holds.holds(clip) for clip in clips):
            raise ValueError(f"--fold {fold.holds}: no clip of the tables is held out by it; correct its name")
    return folds


def _bundle_of(args: argparse.Namespace) -> Path | None:
    """The bundle that is judged, None for a checkpoint."""
    path = args.model or shipped_bundle()
    if args.write_card is not None and not path.is_dir():
        raise UsageError(f"{path}: a checkpoint has no card to write; make a bundle with `fallwatch quantize` first")
    if args.write_card not in (None, Path()) and not args.write_card.is_file():
        raise UsageError(f"--write-card {args.write_card}: no such file; name the text the card was made from, or none")
    return path if path.is_dir() else None


def _model_of(args: argparse.Namespace, bundle: Path | None) -> Model:
    model = open_model(bundle or args.model)
    return replace(model, thresholds=read_card(args.thresholds).thresholds) if args.thresholds else model


def _write(found: Evaluation, args: argparse.Namespace) -> None:
    if args.scores:
        write_scores(found.scored, args.scores)
    if args.json:
        write_json(found, args.json)
    if args.report:
        write_report(found, args.report)
        print(f"{args.report / 'report.md'}: written, with pictures")


def _hold_against_card(found: Evaluation, bundle: Path, about: Path | None) -> int:
    """Write the card if that was asked for; else say where it disagrees, which is a finding."""
    if about is not None:
        write_card(bundle, found.results, about if about != Path() else None)
        print(f"{bundle}: {len(found.results)} rows written into its card")
        return 0
    card = read_card(bundle).results
    for line in not_measured(card, found.results):
        print(f"card: not measured now: {line}")
    measured = {key_of(one) for one in found.results}
    again = sum(measurable(one) and key_of(one) in measured for one in card)
    wrong = differences(card, found.results)
    for line in wrong:
        print(f"card: DISAGREES: {line}")
    print(f"card: {again} of its {len(card)} rows measured again, {len(wrong)} figures disagree")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="fallwatch evaluate", description="Score a model over real clips.")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
