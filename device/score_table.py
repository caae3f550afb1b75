"""The table of scores: one row per step, the network's own probabilities before any smoothing."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from device.labels import LABELS
from device.records import Scores

HEADER = ("t", *LABELS, "motion")


def row(scores: Scores, start: float) -> list[str]:
    """t in seconds from `start`, milliseconds kept; probabilities with six decimals (int8 logits carry no more)."""
    return [f"{scores.t - start:.3f}", *(f"{p:.6f}" for p in scores.probabilities), f"{scores.motion:.6f}"]


def write_scores(out: TextIO, scores: Iterable[Scores], start: float) -> None:
    """Header and rows to an open text file."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(row(one, start) for one in scores)


def save_scores(path: Path, scores: Iterable[Scores], start: float) -> None:
    """The whole table as a file; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as out:
        write_scores(out, scores, start)
