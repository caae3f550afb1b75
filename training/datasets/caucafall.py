"""CAUCAFall: Subject.N/ACTIVITY/ with an .avi, its pictures as .png, and a .txt of the label beside each picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from device.footage import FootageError, describe
from device.labels import EMPTY, FALLING, LOW, SEATED, UPRIGHT
from training.clip import Span
from training.datasets.rest import TIMES, rest_after
from training.datasets.rows import Refused, Row

ACTIVITIES: Final[dict[str, tuple[str, ...] | None]] = {
    "fall backwards": None,
    "fall forward": None,
    "fall left": None,
    "fall right": None,
    "fall sitting": None,
    "walk": (EMPTY, UPRIGHT),
    "hop": (EMPTY, UPRIGHT),
    "kneel": (EMPTY, UPRIGHT, LOW),
    "pick up object": (EMPTY, UPRIGHT, LOW),
    "sit down": (EMPTY, UPRIGHT, SEATED),
}
"""Activity -> labels that may be right in it; None is a fall."""

NO_FALL, FALL = "0", "1"
"""First word of a label: its place in classes.txt, which says nofall, fall."""
OFF_BY: Final = 2
"""The pictures are one more than the video's frames (docs/data.md); a greater difference is a wrong pair."""


def read(folder: Path) -> Iterator[Row | Refused]:
    """A row for each activity of each subject."""
    subjects = [path for path in sorted(folder.rglob("Subject.*"), key=_number) if path.is_dir()]
    if not subjects:
        yield Refused(str(folder), "no folder `Subject.1`; name the folder CAUCAFall that holds them")
    for subject in subjects:
        for activity in sorted(path for path in subject.iterdir() if path.is_dir()):
            yield _row(subject, activity)


def _row(subject: Path, activity: Path) -> Row | Refused:
    name = activity.name.lower()
    videos = sorted(activity.glob("*.avi"))
    if name not in ACTIVITIES:
        return Refused(str(activity), "unknown activity; add it to ACTIVITIES in training/datasets/caucafall.py")
    if len(videos) != 1:
        return Refused(str(activity), f"{len(videos)} .avi in it, where one is expected; fetch it again")
    labels = _labels(activity)
    try:
        info = describe(videos[0])
        fault = _fault(labels, info.frames, fall=ACTIVITIES[name] is None)
        if fault:
            return Refused(str(videos[0]), fault)
        start = labels.index(FALL) / info.fps if ACTIVITIES[name] is None else None
        fall = None if start is None else (start, rest_after(videos[0], start))
        length = info.duration_s or info.frames / info.fps
    except FootageError as error:
        return Refused(str(videos[0]), str(error))
    number = _number(subject)
    postures = ACTIVITIES[name]
    return Row(
        videos[0],
        key=videos[0].stem.replace(" ", "_"),
        fall=fall,
        times=TIMES if fall else "",
        subject=f"C{number}",
        room="C-Fall room",
        description=f"{activity.name}, subject {number}",
        spans=(Span(0.0, length, postures),) if postures else (Span(*fall, (FALLING,)),) if fall else (),
    )


def _labels(activity: Path) -> list[str]:
    """First word of each label in the order of the pictures; "?" where it is not one."""
    files = [path for path in activity.glob("*.txt") if path.name.lower() != "classes.txt"]
    words = (path.read_text(encoding="utf-8-sig", errors="replace").split() for path in sorted(files, key=_number))
    return [one[0] if one and one[0] in (NO_FALL, FALL) else "?" for one in words]


def _fault(labels: list[str], frames: int, *, fall: bool) -> str | None:
    checks = (
        (not labels, "no label (.txt) beside it; fetch the labels"),
        ("?" in labels, "a label that is neither 0 (nofall) nor 1 (fall); fetch the labels again"),
        (abs(len(labels) - frames) > OFF_BY, f"{len(labels)} labels for {frames} frames; they are of another video"),
        (fall and FALL not in labels, "a fall by its folder, but no frame is labelled fall; one of the two is wrong"),
        (not fall and FALL in labels, "everyday by its folder, but frames are labelled fall; one of the two is wrong"),
    )
    return next((text for bad, text in checks if bad), None)


def _number(path: Path) -> int:
    """Last number in a name: Subject.10, cas200091."""
    numbers = re.findall(r"\d+", path.name)
    return int(numbers[-1]) if numbers else 0
