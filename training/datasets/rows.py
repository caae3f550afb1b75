"""What a reader of a dataset yields: rows for a table of clips, and what it refuses, by name."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device.footage import FootageError, describe, read_footage
from training.clip import Clip, ClipTableError, Span, format_spans
from training.footage import CUT_SHORT_S
from training.index import read_index, row_fault
from training.pictures import is_pictures, picture_names, read_pictures, stamps

WRITTEN: Final = (
    "split", "dataset", "clip", "fall", "fall_start_s", "fall_end_s", "times", "on_floor", "description", "subject",
    "room", "licence", "source", "key", "fps", "on_bed", "spans",
)  # fmt: skip
VIDEO_ENDINGS: Final = (".mp4", ".avi", ".mkv", ".mov")


@dataclass(frozen=True, slots=True)
class Row:
    """A clip as a reader found it. fall: start and end in seconds, None in everyday clips. times: how they are known.

    dataset: only where one folder holds several datasets. Everything else as in training.clip.Clip.
    """

    path: Path
    key: str
    fall: tuple[float, float] | None
    times: str
    subject: str
    room: str
    description: str = ""
    on_floor: bool = False
    on_bed: bool = False
    fps: float | None = None
    spans: tuple[Span, ...] = ()
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A clip that breaks the rules: which, and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return self.why if self.why.startswith(self.what) else f"{self.what}: {self.why}"


Reader = Callable[[Path], Iterator[Row | Refused]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A public dataset: how to read its folder, and what its licence lets us do. split: train or dev."""

    name: str
    split: str
    licence: str
    source: str
    read: Reader


def csv_lines(table: Path) -> Iterator[tuple[int, list[str]] | Refused]:
    """The lines of a CSV file that are not empty, with their numbers from 1; a refusal where reading it ends early.

    What is no UTF-8 is read with its odd letters replaced: the columns that matter here are plain.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(csv.reader(file), start=1):
                if line:
                    yield number, line
    except (OSError, csv.Error) as error:
        yield Refused(str(table), f"cannot be read to its end ({error}); fetch the table again")


def length_s(path: Path, fps: float | None = None) -> float:
    """Seconds of footage. Raises FootageError when it has no first picture."""
    if is_pictures(path):
        times = stamps(picture_names(path), fps, path)
        next(read_pictures(path, fps))
        return times[-1]
    next(read_footage(path))
    return describe(path).duration_s


def faults(row: Row, cells: dict[str, str], root: Path) -> str | None:
    """What keeps a row out of a table, or None: the table's own rules, footage that cannot be read or is too short."""
    fault = row_fault(cells, root)
    if fault:
        return fault
    try:
        length = length_s(row.path, row.fps)
    except FootageError as error:
        return str(error)
    if row.fall and length and row.fall[1] > length + CUT_SHORT_S:
        return f"its fall ends at {row.fall[1]:g} s, the footage at {length:.1f} s; fetch it again"
    return None


def cells(dataset: Dataset, row: Row, root: Path) -> dict[str, str]:
    """A row as text, its path from `root` where it lies beneath, else absolute."""
    path = row.path.resolve()
    inside = path.is_relative_to(root.resolve())
    start, end = (f"{t:.3f}".rstrip("0").rstrip(".") for t in row.fall) if row.fall else ("", "")
    return {
        "split": dataset.split, "dataset": row.dataset or dataset.name,
        "clip": str(path.relative_to(root.resolve()) if inside else path), "fall": str(int(row.fall is not None)),
        "fall_start_s": start, "fall_end_s": end, "times": row.times, "on_floor": str(int(row.on_floor)),
        "description": row.description, "subject": row.subject, "room": row.room, "licence": dataset.licence,
        "source": dataset.source, "key": row.key, "fps": f"{row.fps:g}" if row.fps else "",
        "on_bed": str(int(row.on_bed)), "spans": format_spans(row.spans),
    }  # fmt: skip


def sort_out(
    dataset: Dataset, found: Iterator[Row | Refused], root: Path
) -> tuple[list[dict[str, str]], list[Refused]]:
    """(rows fit for a table, what is refused), in the order found."""
    good, refused = [], []
    for one in found:
        if isinstance(one, Refused):
            refused.append(one)
            continue
        written = cells(dataset, one, root)
        fault = faults(one, written, root)
        if fault:
            refused.append(Refused(written["clip"], fault))
        else:
            good.append(written)
    return good, refused


def write_table(rows: Sequence[dict[str, str]], out: Path) -> list[Clip]:
    """Write a table and read it back: its clips. Raises ClipTableError, and leaves no table, where it breaks a rule."""
    partial = out.with_name(f".{os.getpid()}-{out.name}")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, WRITTEN)
            writer.writeheader()
            writer.writerows(rows)
        clips = read_index(partial)
        partial.replace(out)
    except OSError as error:
        raise ClipTableError(f"{out}: cannot be written ({error.strerror}); name another file with -o") from None
    finally:
        partial.unlink(missing_ok=True)
    return clips
