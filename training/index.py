"""data/clips.csv -> clips: which footage there is, who is in it, where, and whether it may be trained on.

Splits are by dataset, person and room, never by frame (training/splits.py). `dev` is for evaluation only: `trainable`
never lets it through. Tables of the public datasets are made by `python -m training.datasets` (docs/data.md).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Final

from device.labels import FALLING, FLOOR
from training.clip import Clip, ClipTableError, Span, parse_spans
from training.splits import HoldOut, datasets_out, hold_out, rooms_out

__all__ = [
    "COLUMNS", "EXTRA_COLUMNS", "Clip", "ClipTableError", "HoldOut", "Span", "both_classes", "datasets_out",
    "hold_out", "read_index", "read_indexes", "rooms_out", "trainable",
]  # fmt: skip

COLUMNS: Final = (
    "split", "dataset", "clip", "fall", "fall_start_s", "fall_end_s", "on_floor", "subject", "room", "licence"
)  # fmt: skip
EXTRA_COLUMNS: Final = ("key", "fps", "on_bed", "spans")
"""What a table may say besides; see Clip. Any other column is for people."""
SPLITS: Final = ("train", "dev")

SHOWN_PROBLEMS = 10


def read_index(table: Path) -> list[Clip]:
    """Every row of a table in the form of data/clips.csv, paths taken from the table's own folder.

    Raises ClipTableError naming each row that breaks the rules and what to fix there.
    """
    try:
        with table.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ClipTableError(f"{table}: no column {', '.join(missing)}; the header line must name {COLUMNS}")
            rows = [{name: _cell(value) for name, value in row.items()} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClipTableError(f"{table}: cannot be read ({error}); name a table like data/clips.csv") from None
    clips, problems = [], []
    for number, row in enumerate(rows, start=2):
        fault = "more cells than the header has columns; quote the commas" if None in row else None
        fault = fault or row_fault(row, table.parent)
        if fault:
            problems.append(f"row {number} ({row.get('clip') or 'no clip'}): {fault}")
        else:
            clips.append(_clip(number, row, table.parent))
    _refuse(str(table), problems + _shared_between_splits(clips) + _twice(clips))
    return clips


def read_indexes(tables: Iterable[Path]) -> list[Clip]:
    """The rows of several tables as one list, each by the rules of read_index, and no clip in two of them.

    Raises ClipTableError also for a dataset that is train in one table and dev in another.
    """
    tables = list(tables)
    clips = [clip for table in tables for clip in read_index(table)]
    _refuse(" + ".join(str(table) for table in tables), _shared_between_splits(clips) + _twice(clips))
    return clips


def trainable(clips: Sequence[Clip], names: Sequence[str] = ()) -> list[Clip]:
    """The clips whose licence lets weights trained on them be shipped; with names, those and only those.

    Asking for a clip of dev is an error, whatever the reason: ClipTableError.
    """
    if not names:
        return [clip for clip in clips if clip.split == "train"]
    by_name = {clip.name: clip for clip in clips}
    for name in names:
        if name not in by_name:
            raise ClipTableError(f"no clip {name} in the table; names are DATASET__STEM")
        if by_name[name].split != "train":
            raise ClipTableError(f"{name} is not in train: its licence allows evaluation only, never training")
    return [by_name[name] for name in names]


def both_classes(clips: Sequence[Clip]) -> None:
    """Nothing, if there are falls and everyday clips among these; else ClipTableError naming the empty class."""
    falls = sum(clip.fall for clip in clips)
    if not falls:
        raise ClipTableError(f"no fall among the {len(clips)} clips to train on; add some, or hold less out")
    if falls == len(clips):
        raise ClipTableError(f"no everyday clip among the {falls} clips to train on; add some, or hold less out")


def row_fault(row: dict[str, str], root: Path) -> str | None:
    """What is wrong with a row and how to put it right, or None. root: the folder its path starts from."""
    split, clip = row["split"], row["clip"] or ""
    key = row.get("key") or ""
    checks = (
        (split not in SPLITS, f"split {split!r}; write train or dev"),
        (not row["dataset"], "no dataset; name where the clip comes from"),
        (clip.startswith("dev/") and split != "dev", "a clip under dev/ is marked train; its split is dev"),
        (row["fall"] not in ("0", "1"), f"fall {row['fall']!r}; write 1 or 0"),
        (row["on_floor"] not in ("0", "1"), f"on_floor {row['on_floor']!r}; write 1 or 0"),
        (not row["licence"], "no licence; footage of unknown licence says so in words"),
        (not clip or not (root / clip).exists(), f"no file {root / clip}; correct the path or delete the row"),
        (bool(key) and not re.fullmatch(r"[\w.-]+", key), f"key {key!r}; use letters, digits, _ . and - only"),
        ((row.get("on_bed") or "0") not in ("0", "1"), f"on_bed {row.get('on_bed')!r}; write 1 or 0"),
        (not _rate(row.get("fps") or "1"), f"fps {row.get('fps')!r}; write pictures per second, above 0"),
    )
    for bad, text in checks:
        if bad:
            return text
    return _fault_in_times(row) or _fault_in_spans(row)


def _fault_in_times(row: dict[str, str]) -> str | None:
    given = (row["fall_start_s"], row["fall_end_s"])
    if row["fall"] == "0":
        return "an everyday clip has fall times; set fall to 1 or clear them" if any(given) else None
    try:
        start, end = (float(text) for text in given)
    except ValueError:
        return f"a fall without two times in seconds ({given[0]!r}, {given[1]!r}); fill fall_start_s and fall_end_s"
    if 0 <= start < end < inf:
        return None
    return f"the fall ends at {end} s, not after its start at {start} s; correct them"


def _fault_in_spans(row: dict[str, str]) -> str | None:
    """Spans that cannot be read, or that say the opposite of the row: one of the two is mislabelled."""
    try:
        spans = parse_spans(row.get("spans") or "")
    except ValueError as error:
        return str(error)
    sure = {span.labels[0] for span in spans if len(span.labels) == 1}
    if row["fall"] == "0" and FALLING in sure:
        return "an everyday clip has a span of falling; set fall to 1, or correct the span"
    if row["fall"] == "0" and row["on_floor"] == "0" and FLOOR in sure:
        return "a span has somebody on the floor, on_floor says nobody is; set on_floor to 1, or correct the span"
    if row["fall"] == "1" and spans and not any(FALLING in span.labels for span in spans):
        return "a fall has spans but none of falling; add it, or set fall to 0"
    return None


def _rate(text: str) -> bool:
    try:
        return 0 < float(text) < 1000
    except ValueError:
        return False


def _clip(number: int, row: dict[str, str], root: Path) -> Clip:
    fall = row["fall"] == "1"
    return Clip(
        row=number,
        split=row["split"],
        dataset=row["dataset"],
        path=root / row["clip"],
        fall=fall,
        fall_start_s=float(row["fall_start_s"]) if fall else None,
        fall_end_s=float(row["fall_end_s"]) if fall else None,
        on_floor=row["on_floor"] == "1",
        subject=row["subject"],
        room=row["room"],
        licence=row["licence"],
        key=row.get("key") or "",
        fps=float(row["fps"]) if row.get("fps") else None,
        on_bed=row.get("on_bed") == "1",
        spans=parse_spans(row.get("spans") or ""),
    )


def _shared_between_splits(clips: Sequence[Clip]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(clip.dataset, set()).add(clip.split)
    torn = [name for name, found in splits.items() if len(found) > 1]
    return [f"dataset {name} is in both train and dev; give all its rows one split" for name in torn]


def _twice(clips: Sequence[Clip]) -> list[str]:
    """A clip listed twice could be trained on under one row and tested on under the other."""
    names = Counter(clip.name for clip in clips)
    files = Counter(clip.path.resolve() for clip in clips)
    same_name = [
        f"{name} is listed {n} times; keep one, or give each its own key" for name, n in names.items() if n > 1
    ]
    return same_name + [f"{path} is in {n} rows; keep one" for path, n in files.items() if n > 1]


def _cell(value: str | list[str] | None) -> str:
    """A cell as text: a row that is too short lacks its last cells, one that is too long has a list of more."""
    return value.strip() if isinstance(value, str) else ""


def _refuse(where: str, problems: Sequence[str]) -> None:
    if problems:
        more = f"; and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        raise ClipTableError(f"{where}: " + "; ".join(problems[:SHOWN_PROBLEMS]) + more)
