"""UR Fall: fall-NN and adl-NN of camera 0 as pictures (folder or zip) or video; two CSVs label each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

from device.labels import EMPTY, FALLING, LOW, SEATED, UPRIGHT
from training.clip import Span
from training.datasets.rows import Refused, Row, csv_lines

FPS: Final = 30.0
"""Pictures per second of camera 0, as the videos of the dataset state it."""
NOT_LYING, FALLING_NOW, ON_GROUND = -1, 0, 1
"""The third column of the CSVs (dataset page): -1 not lying, 0 a passing posture, 1 lying on the ground."""
UP: Final = (EMPTY, UPRIGHT, SEATED, LOW)
TABLES: Final = ("urfall-cam0-falls.csv", "urfall-cam0-adls.csv")
FORMS: Final = ("{}-cam0-rgb", "{}-cam0-rgb.zip", "{}-cam0.mp4")
"""A sequence as folder, zip or video; the first that is there is taken."""


def read(folder: Path) -> Iterator[Row | Refused]:
    """A row for each sequence that the label tables name."""
    for name in TABLES:
        table = next(iter(sorted(folder.rglob(name))), None)
        if table is None:
            yield Refused(str(folder / name), "no such table; the labels of the frames are in it")
            continue
        sequences, faults = _labels(table)
        yield from faults
        for sequence, labels in sequences.items():
            yield _row(folder, sequence, labels)


def _labels(table: Path) -> tuple[dict[str, dict[int, int]], list[Refused]]:
    """Sequence -> frame number (from 1) -> label; lines that are not `name,frame,label,...`."""
    sequences: dict[str, dict[int, int]] = {}
    faults = []
    for found in csv_lines(table):
        if isinstance(found, Refused):
            faults.append(found)
            continue
        number, line = found
        try:
            name, frame, label = line[0].strip(), int(line[1]), int(float(line[2]))
        except (IndexError, ValueError, OverflowError):
            faults.append(Refused(f"{table} line {number}", "not `sequence,frame,label,...`; fetch the table again"))
            continue
        if label not in (NOT_LYING, FALLING_NOW, ON_GROUND):
            faults.append(Refused(f"{table} line {number}", f"unknown label {label}; it is -1, 0 or 1"))
        else:
            sequences.setdefault(name, {})[frame] = label
    return sequences, faults


def _row(folder: Path, sequence: str, labels: dict[int, int]) -> Row | Refused:
    found = (path for form in FORMS for path in sorted(folder.rglob(form.format(sequence))))
    path = next((path for path in found if not path.is_dir() or any(path.glob("*.png"))), None)
    if not re.fullmatch(r"(fall|adl)-\d+", sequence):
        return Refused(sequence, "unknown kind of sequence; it is fall-NN or adl-NN")
    if path is None:
        return Refused(sequence, f"no {' nor '.join(FORMS).format(*3 * (sequence,))} beneath {folder}; fetch it")
    is_fall = sequence.startswith("fall")
    runs = _runs(labels)
    fall = _fall(runs) if is_fall else None
    if is_fall and fall is None:
        return Refused(str(path), "a fall by its name, but its labels never lead from 0 to 1; fetch the table again")
    until = fall[0] if fall else float("inf")
    spans = [Span(start, min(end, until), UP) for label, start, end in runs if label == NOT_LYING and start < until]
    return Row(
        path,
        key=f"{sequence}-cam0",
        fall=fall,
        times="annotated (urfall-cam0-falls.csv: first label 0 / first label 1)" if fall else "",
        subject="",
        room="U-A office, fixed Kinect",
        description=f"UR Fall {sequence}",
        on_floor=not is_fall and any(label == ON_GROUND for label, _, _ in runs),
        fps=None if path.suffix == ".mp4" else FPS,
        spans=(*spans, *((Span(*fall, (FALLING,)),) if fall else ())),
    )


def _runs(labels: dict[int, int]) -> list[tuple[int, float, float]]:
    """(label, start, end) in seconds, for each stretch of one label."""
    runs = []
    for label, frames in groupby(sorted(labels), key=lambda frame: labels[frame]):
        numbers = list(frames)
        runs.append((label, (numbers[0] - 1) / FPS, numbers[-1] / FPS))
    return runs


def _fall(runs: list[tuple[int, float, float]]) -> tuple[float, float] | None:
    """From the passing posture to the first frame on the ground after it."""
    for (label, start, _), (after, end, _) in pairwise(runs):
        if (label, after) == (FALLING_NOW, ON_GROUND):
            return start, end
    return None
