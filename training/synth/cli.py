"""`fallwatch synth`: render synthetic clips into a folder, resumable, with a contact sheet and statistics."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from tqdm import tqdm

from training.pieces import Facts, read_facts
from training.synth.clip import clip_path, load_clip, save_clip
from training.synth.day import LONGEST_PIECE_S, PIECE_S, SHORTEST_PIECE_S, DayOptions
from training.synth.day_run import DayRun, render_day
from training.synth.film import Options, make_clip
from training.synth.sheet import sheet_fault, statistics, write_sheet
from training.synth.workers import Outcome, Rendered, finished, outcome_of, run_jobs

DEFAULT_DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
PROGRESS: Final = "PROGRESS"
CLIP_STEPS: Final = 60
SHEET_CLIPS: Final = 24

Job = tuple[int, int, Options, Path]
"""Seed, index, options, folder."""

EXAMPLE = "example: fallwatch synth --clips 200 --seed 1 --out clips --sheet sheet.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fallwatch synth`."""
    parser.epilog = EXAMPLE
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--clips", type=int, help="how many clips the folder shall hold")
    wanted.add_argument("--hours", type=float, help="instead: hours of everyday life without a fall, in pieces, "
                        "for counting false alarms and for mining")  # fmt: skip
    parser.add_argument("--seed", type=int, required=True, help="clip i depends on this number and i only")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the clips; whole clips already there are kept"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that render (default 2)")
    parser.add_argument("--steps", type=int, default=CLIP_STEPS,
                        help=f"length of a clip in steps of 0.1 s (default {CLIP_STEPS})")  # fmt: skip
    parser.add_argument("--piece", type=float, default=PIECE_S, metavar="S", help="length of a piece of --hours in s, "
                        f"each in a room of its own (default {PIECE_S:g}): short pieces for mining")  # fmt: skip
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with rooms/, textures/ "
                        "and bodies/ (CC0); procedural textures and capsule people where one is absent")  # fmt: skip
    parser.add_argument("--sheet", type=Path, help=f"PNG with the first {SHEET_CLIPS} clips, labels drawn")


def _wrong_use(args: argparse.Namespace) -> str | None:
    """What is wrong with the options, in one sentence, or None."""
    if args.clips < 1 or args.workers < 1 or args.seed < 0:
        return "--clips and --workers must be at least 1, --seed at least 0"
    if args.piece != PIECE_S:
        return "--piece is for --hours only"
    if not 20 <= args.steps <= 200:
        return f"--steps {args.steps} is outside 20..200 (2 to 20 s)"
    if args.out.exists() and not args.out.is_dir():
        return f"--out {args.out} is a file; name a folder"
    return sheet_fault(args.sheet) if args.sheet else None


def _kept(args: argparse.Namespace) -> tuple[list[int], str | None]:
    """Indices that are still to be made, and a sentence when the folder belongs to another run."""
    missing = []
    for index in range(args.clips):
        path = clip_path(args.out, index)
        try:
            clip = load_clip(path) if path.exists() else None
        except ValueError:
            clip = None
        if clip is None:
            missing.append(index)
        elif clip.meta.get("seed") != args.seed or len(clip.label) != args.steps:
            return [], (f"{path} was made with --seed {clip.meta.get('seed')} --steps {len(clip.label)}; "
                        "use another --out folder for other options")  # fmt: skip
    return missing, None


def _render(job: Job) -> Outcome:
    """Make and save one clip in a worker."""
    seed, index, options, folder = job
    return outcome_of(
        lambda: save_clip(make_clip(seed, index, options), clip_path(folder, index)), f"clip {index}", folder
    )


Told = TypeVar("Told")


def _told(args: argparse.Namespace, read: Callable[[Path], Told], most: int) -> Iterator[Told]:
    """What `read` gives of the folder's first clips; one that is torn and could not be made again is left out."""
    for index in range(min(args.clips, most)):
        path = clip_path(args.out, index)
        with contextlib.suppress(ValueError):
            if path.exists():
                yield read(path)


def _material(folder: Path) -> Path | None:
    """The folder of CC0 data, or None, said aloud, where nothing of it is there."""
    if any((folder / part).is_dir() for part in ("rooms", "textures", "bodies")):
        return folder
    print(f"fallwatch synth: nothing to draw from in {folder}: plain walls, capsule people", file=sys.stderr)
    return None


def _run_hours(args: argparse.Namespace) -> int:
    """Render a day in pieces; exit code as in run."""
    wrong = sheet_fault(args.sheet) if args.sheet else None
    if args.workers < 1 or args.seed < 0 or args.steps != CLIP_STEPS:
        wrong = "--workers must be at least 1, --seed at least 0, and --steps is for --clips only"
    if not SHORTEST_PIECE_S <= args.piece <= LONGEST_PIECE_S:
        wrong = f"--piece {args.piece:g} is outside {SHORTEST_PIECE_S:g} to {LONGEST_PIECE_S:g} s"
    if wrong:
        print(f"fallwatch synth: {wrong}", file=sys.stderr)
        return 2
    day = DayRun(args.hours, args.seed, args.out, args.workers, args.sheet)
    return render_day(day, DayOptions(args.piece, _material(args.data)))


def run(args: argparse.Namespace) -> int:
    """Render what is missing. 0 fine, 1 some clips could not be made or the run was interrupted, 2 wrong use."""
    if args.hours is not None:
        return _run_hours(args)
    wrong = _wrong_use(args)
    if wrong is None:
        try:
            args.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            wrong = f"cannot make the folder {args.out}: {error.strerror}"
    missing, foreign = ([], None) if wrong else _kept(args)
    if wrong or foreign:
        print(f"fallwatch synth: {wrong or foreign}", file=sys.stderr)
        return 2
    for leftover in args.out.glob(".clip_*.tmp"):
        leftover.unlink(missing_ok=True)
    options = Options(args.steps, _material(args.data))
    done = _render_all(args, [(args.seed, index, options, args.out) for index in missing])
    if done.interrupted:
        print("fallwatch synth: interrupted; run the same command again to go on", file=sys.stderr)
        return 1
    failed = done.failed
    facts: Iterator[Facts] = _told(args, read_facts, args.clips)
    print(statistics(facts))
    if args.sheet:
        try:
            write_sheet(list(_told(args, load_clip, SHEET_CLIPS)), args.sheet)
        except (OSError, ValueError) as error:
            failed.append(str(error))
    for reason in failed:
        print(f"fallwatch synth: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _render_all(args: argparse.Namespace, jobs: list[Job]) -> Rendered:
    """Render all jobs with a progress bar."""
    there = args.clips - len(jobs)

    def note(made: int) -> None:
        # On a full disk the next clip says so; this file is a courtesy.
        with contextlib.suppress(OSError):
            (args.out / PROGRESS).write_text(f"clips: {there + made} of {args.clips}\n")

    bar = tqdm(total=args.clips, initial=there, unit="clip", desc="synth", mininterval=2.0)
    done = run_jobs(finished(_render, jobs, args.workers), bar, note)
    if done.made and not done.interrupted:
        print(f"rendered {done.made} clips in {done.seconds:.0f} s, {done.made / done.seconds:.2f} clips/s")
    return done
