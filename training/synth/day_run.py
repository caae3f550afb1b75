"""`fallwatch synth --hours`: a folder of day pieces, resumable piece by piece, with statistics and a contact sheet."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from device.labels import FLOOR, LABELS
from training.pieces import Facts, Piece, read_facts, read_piece, write_piece
from training.synth.day import FORMAT, DayOptions, make_piece
from training.synth.sheet import GREEN, RED, YELLOW, write_words
from training.synth.simulate import STEPS_PER_S
from training.synth.workers import Outcome, Rendered, finished, outcome_of, run_jobs

COLUMNS: Final = 12
TILE: Final = (160, 120)
SHEET_PIECES: Final = 16
Job = tuple[int, int, DayOptions, Path]
"""Seed, index, options, folder."""


@dataclass(frozen=True)
class DayRun:
    """What is asked for: hours of footage in a folder, from one seed."""

    hours: float
    seed: int
    out: Path
    workers: int = 2
    sheet: Path | None = None

    def pieces(self, options: DayOptions) -> int:
        """How many pieces make up the hours."""
        return math.ceil(round(self.hours * 3600 / options.piece_s, 6))


def piece_path(folder: Path, index: int) -> Path:
    """Where piece `index` of a run lies."""
    return folder / f"day_{index:06d}.npz"


def _whole(path: Path) -> Piece | None:
    """The piece in a file, or None when the file is absent or torn."""
    try:
        return read_piece(path) if path.exists() else None
    except ValueError:
        return None


def _facts(path: Path) -> Facts | None:
    """What a piece says of itself, or None when the file is absent or torn (and could not be made again)."""
    try:
        return read_facts(path) if path.exists() else None
    except ValueError:
        return None


def missing_pieces(run: DayRun, options: DayOptions) -> list[int]:
    """Indices still to be made. Raises ValueError, in one sentence, when the folder belongs to another run."""
    missing = []
    for index in range(run.pieces(options)):
        path = piece_path(run.out, index)
        piece = _whole(path)
        if piece is None:
            missing.append(index)
        elif (piece.meta.get("seed"), piece.meta.get("format"), len(piece)) != (run.seed, FORMAT, options.steps):
            raise ValueError(
                f"{path} was made with another --seed or --piece, or by an older release; use another --out folder"
            )
    return missing


def _render(job: Job) -> Outcome:
    """Make and save one piece in a worker."""
    seed, index, options, folder = job
    return outcome_of(
        lambda: write_piece(make_piece(seed, index, options), piece_path(folder, index)), f"piece {index}", folder
    )


def render_day(run: DayRun, options: DayOptions) -> int:
    """Render what is missing of a day. 0 fine, 1 something could not be made or was interrupted, 2 wrong use."""
    if not 0 < run.hours <= 1000:
        print(f"fallwatch synth: --hours {run.hours} is outside 0..1000; name the length of the day", file=sys.stderr)
        return 2
    try:
        run.out.mkdir(parents=True, exist_ok=True)
        missing = missing_pieces(run, options)
    except OSError as error:
        print(f"fallwatch synth: cannot make the folder {run.out}: {error.strerror}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"fallwatch synth: {error}", file=sys.stderr)
        return 2
    for leftover in run.out.glob(".day_*.tmp"):
        leftover.unlink(missing_ok=True)
    done = _render_all(run, options, missing)
    if done.interrupted:
        print("fallwatch synth: interrupted; run the same command again to go on", file=sys.stderr)
        return 1
    paths = [piece_path(run.out, index) for index in range(run.pieces(options))]
    print(statistics(facts for path in paths if (facts := _facts(path))))
    failed = done.failed
    there = [piece for path in paths[:SHEET_PIECES] if run.sheet and (piece := _whole(path))]
    if run.sheet and there:
        try:
            write_sheet(there, run.sheet)
        except OSError as error:
            failed.append(str(error))
    for reason in failed:
        print(f"fallwatch synth: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _render_all(run: DayRun, options: DayOptions, missing: Sequence[int]) -> Rendered:
    """Render pieces with a progress bar."""
    total = run.pieces(options)
    jobs: list[Job] = [(run.seed, index, options, run.out) for index in missing]
    bar = tqdm(total=total, initial=total - len(jobs), unit="piece", desc="day", mininterval=2.0)
    done = run_jobs(finished(_render, jobs, run.workers), bar)
    if done.made and not done.interrupted:
        print(f"rendered {done.made * options.piece_s / 3600:.2f} h in {done.seconds / 60:.1f} min, "
              f"{1000 * done.seconds / (done.made * options.steps):.1f} ms a step")  # fmt: skip
    return done


def statistics(pieces: Iterable[Piece | Facts]) -> str:
    """Hours, minutes on each label and in each behaviour, minutes on the floor on purpose, as lines of text."""
    steps: Counter[str] = Counter()
    acts: Counter[str] = Counter()
    rooms: Counter[str] = Counter()
    on_purpose = 0.0
    for piece in pieces:
        assert piece.label is not None
        steps.update(LABELS[int(label)] for label in piece.label)
        rooms[piece.meta["room"]] += 1
        length = piece.meta["piece_s"]
        for episode in piece.meta["episodes"]:
            acts[episode["name"]] += round(min(length, episode["to_s"]) - episode["from_s"])
        on_purpose += sum(min(length, end) - min(length, start) for start, end in piece.meta["on_purpose"])
    minute = STEPS_PER_S * 60
    lines = [f"{sum(steps.values()) / minute / 60:.2f} h of everyday life in {sum(rooms.values())} pieces: "
             + ", ".join(f"{room} {count}" for room, count in rooms.most_common())]  # fmt: skip
    lines += ["minutes by label: " + ", ".join(f"{name} {steps[name] / minute:.1f}" for name in LABELS if steps[name])]
    lines += [f"  {name:<18}{seconds / 60:>8.1f} min" for name, seconds in acts.most_common()]
    return "\n".join([*lines, f"minutes on the floor on purpose: {on_purpose / 60:.1f}"])


def _tiles(piece: Piece) -> Iterator[NDArray[np.uint8]]:
    """COLUMNS pictures over the time of a piece with the label, the time and what somebody does."""
    assert piece.label is not None
    for column, step in enumerate(np.linspace(0, len(piece) - 1, COLUMNS).astype(int)):
        tile = cv2.resize(cv2.cvtColor(piece.grey[step], cv2.COLOR_GRAY2BGR), TILE, interpolation=cv2.INTER_LINEAR)
        t = step / STEPS_PER_S
        doing = [e["name"] for e in piece.meta["episodes"] if e["from_s"] <= t < e["to_s"]]
        name = LABELS[int(piece.label[step])]
        lines = [(name, 12, RED if name == FLOOR else YELLOW), (" ".join(doing), TILE[1] - 5, GREEN)]
        lines += [(f"piece {piece.meta['index']}", 25, (255, 255, 255))] if column == 0 else []
        for text, y, ink in lines:
            write_words(tile, text, (3, y), ink, 0.36)
        yield np.asarray(tile, np.uint8)


def write_sheet(pieces: Sequence[Piece], path: Path) -> None:
    """A PNG with one strip a piece. Raises OSError when it cannot be written."""
    if not cv2.imwrite(str(path), np.vstack([np.hstack(list(_tiles(piece))) for piece in pieces])):
        raise OSError(f"cannot write the contact sheet {path}")
