"""data/clips.csv -> clips: which footage there is, who is in it, where, and whether it may be trained on.

Splits are by dataset, person and room, never by frame. `dev` is for evaluation only: `trainable` never lets it through.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COLUMNS: Final = (
    "split", "dataset", "clip", "fall", "fall_start_s", "fall_end_s", "on_floor", "subject", "room", "licence"
)  # fmt: skip
SPLITS: Final = ("train", "dev")
FALLS_ONTO_A_BED: Final = frozenset({("gmdcsa24", "s2_Fall_14"), ("gmdcsa24", "s4_Fall_01")})
"""Falls that end lying on a bed, not on the floor (data/README.md)."""

SHOWN_PROBLEMS = 10


class ClipTableError(ValueError):
    """A table of clips that cannot be used as it stands; the text names rows and what to fix."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One piece of footage and what is known about it.

    fall_start_s: balance lost; fall_end_s: body at rest; both seconds from the start, None in everyday clips.
    on_floor: somebody is on the floor on purpose.
    """

    row: int
    split: str
    dataset: str
    path: Path
    fall: bool
    fall_start_s: float | None
    fall_end_s: float | None
    on_floor: bool
    subject: str
    room: str
    licence: str

    @property
    def stem(self) -> str:
        """File name without its ending."""
        return self.path.stem

    @property
    def name(self) -> str:
        """dataset__stem: what score files are called."""
        return f"{self.dataset}__{self.stem}"

    @property
    def ends_on_bed(self) -> bool:
        """The fall ends on a bed, so afterwards both `lying` and `floor` are true answers."""
        return (self.dataset, self.stem) in FALLS_ONTO_A_BED


@dataclass(frozen=True, slots=True)
class HoldOut:
    """Clips kept away from training: a whole dataset, or some of its subjects. Written gmdcsa24:G2,G3 or caucafall."""

    dataset: str
    subjects: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> HoldOut:
        """From the written form; ValueError says what is expected."""
        found = re.fullmatch(r"([\w-]+)(?::([^:]+))?", text.strip())
        if not found:
            raise ValueError(f"{text!r} is no hold-out; write DATASET or DATASET:SUBJECT,SUBJECT, e.g. gmdcsa24:G2,G3")
        subjects = tuple(s.strip() for s in (found[2] or "").split(",") if s.strip())
        return cls(found[1], subjects)

    def holds(self, clip: Clip) -> bool:
        """Whether this clip is kept away."""
        return clip.dataset == self.dataset and (not self.subjects or clip.subject in self.subjects)


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
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClipTableError(f"{table}: cannot be read ({error}); name a table like data/clips.csv") from None
    clips, problems = [], []
    for number, row in enumerate(rows, start=2):
        fault = _fault(row, table.parent)
        if fault:
            problems.append(f"row {number} ({row.get('clip') or 'no clip'}): {fault}")
        else:
            clips.append(_clip(number, row, table.parent))
    problems += _shared_between_splits(clips)
    if problems:
        more = f"; and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        raise ClipTableError(f"{table}: " + "; ".join(problems[:SHOWN_PROBLEMS]) + more)
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


def hold_out(clips: Sequence[Clip], away: Sequence[HoldOut]) -> tuple[list[Clip], list[Clip]]:
    """(kept, held). Raises ClipTableError if a person or room of a dataset is on both sides, or nothing is held."""
    held = [clip for clip in clips if any(rule.holds(clip) for rule in away)]
    kept = [clip for clip in clips if not any(rule.holds(clip) for rule in away)]
    for rule in away:
        if not any(rule.holds(clip) for clip in clips):
            raise ClipTableError(f"hold-out {rule.dataset}:{','.join(rule.subjects) or '*'} matches no clip")
    for what in ("subject", "room"):
        both = {(c.dataset, getattr(c, what)) for c in kept} & {(c.dataset, getattr(c, what)) for c in held}
        both = {pair for pair in both if pair[1]}
        if both:
            dataset, value = sorted(both)[0]
            raise ClipTableError(f"{what} {value!r} of {dataset} would be on both sides; hold out all its clips")
    return kept, held


def _fault(row: dict[str, str], root: Path) -> str | None:
    """What is wrong with a row and how to put it right, or None."""
    split, clip = row["split"], row["clip"] or ""
    checks = (
        (split not in SPLITS, f"split {split!r}; write train or dev"),
        (not row["dataset"], "no dataset; name where the clip comes from"),
        (clip.startswith("dev/") and split != "dev", "a clip under dev/ is marked train; its split is dev"),
        (row["fall"] not in ("0", "1"), f"fall {row['fall']!r}; write 1 or 0"),
        (row["on_floor"] not in ("0", "1"), f"on_floor {row['on_floor']!r}; write 1 or 0"),
        (not row["licence"], "no licence; footage of unknown licence says so in words"),
        (not clip or not (root / clip).is_file(), f"no file {root / clip}; correct the path or delete the row"),
    )
    for bad, text in checks:
        if bad:
            return text
    return _fault_in_times(row)


def _fault_in_times(row: dict[str, str]) -> str | None:
    given = (row["fall_start_s"], row["fall_end_s"])
    if row["fall"] == "0":
        return "an everyday clip has fall times; set fall to 1 or clear them" if any(given) else None
    try:
        start, end = (float(text) for text in given)
    except ValueError:
        return f"a fall without two times in seconds ({given[0]!r}, {given[1]!r}); fill fall_start_s and fall_end_s"
    return None if 0 <= start < end else f"the fall ends at {end} s, not after its start at {start} s; correct them"


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
    )


def _shared_between_splits(clips: Sequence[Clip]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(clip.dataset, set()).add(clip.split)
    torn = [name for name, found in splits.items() if len(found) > 1]
    return [f"dataset {name} is in both train and dev; give all its rows one split" for name in torn]
