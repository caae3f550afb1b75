"""OmniFall annotations: labels/*.csv of `path,label,start,end,subject,cam,dataset`, videos in DATASET/video/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from device.labels import FALLING, FLOOR, LOW, LYING, SEATED, UPRIGHT
from training.clip import Span
from training.datasets.rows import VIDEO_ENDINGS, Refused, Row, csv_lines

ANY_POSTURE: Final = (UPRIGHT, SEATED, LOW, LYING, FLOOR)
CLASSES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("walk", (UPRIGHT,)),
    ("fall", (FALLING,)),
    ("fallen", (FLOOR, LYING)),
    ("sit_down", (UPRIGHT, SEATED, LOW)),
    ("sitting", (SEATED, LOW)),
    ("lie_down", ANY_POSTURE),
    ("lying", (LYING, FLOOR)),
    ("stand_up", ANY_POSTURE),
    ("standing", (UPRIGHT,)),
    ("other", ANY_POSTURE),
    ("kneel_down", (UPRIGHT, SEATED, LOW)),
    ("kneeling", (LOW,)),
    ("squat_down", (UPRIGHT, LOW)),
    ("squatting", (LOW,)),
    ("crawl", (LOW,)),
    ("jump", (UPRIGHT,)),
)
"""The 16 classes by their number, and which of our labels are right during each. `fallen` may be on a mattress and
`lying` on the ground (OmniFall LABELS.md), so both leave both open."""

FALL: Final = 1
DOWN: Final = frozenset({2, 5, 6, 14})
"""Classes during which an everyday clip may show somebody on the floor on purpose."""
COLUMNS: Final = ("path", "label", "start", "end", "subject", "cam", "dataset")
NAMES: Final = {"GMDCSA24": "gmdcsa24", "up_fall": "upfall", "OOPS": "oops", "of-syn": "ofsyn"}
"""Their names of datasets -> ours; the others are the same. One name, so that no dataset is train and dev at once."""

Segment = dict[str, str]


def read(folder: Path) -> Iterator[Row | Refused]:
    """A row for each video that the tables in labels/ name."""
    tables = sorted((folder / "labels").glob("*.csv"))
    if not tables:
        yield Refused(str(folder / "labels"), "no table in it; put OmniFall's labels/*.csv there")
    for table in tables:
        videos, faults = _segments(table)
        yield from faults
        for (dataset, path), segments in videos.items():
            yield _row(folder, dataset, path, segments)


def _segments(table: Path) -> tuple[dict[tuple[str, str], list[Segment]], list[Refused]]:
    """(dataset, path) -> the segments of that video, and lines that are not the table's columns.

    A video with such a line is left out: the line may have been its fall.
    """
    videos: dict[tuple[str, str], list[Segment]] = {}
    faults: list[Refused] = []
    columns: list[str] = []
    torn: set[str] = set()
    for found in csv_lines(table):
        if isinstance(found, Refused):
            return {}, [found]
        number, line = found
        if not columns:
            columns = line
            continue
        segment = dict(zip(columns, line, strict=False))
        if len(line) < len(columns) or not (segment.get("dataset") and segment.get("path")):
            faults.append(Refused(f"{table} line {number}", f"not `{','.join(COLUMNS)}`; fetch the table again"))
            torn.add(segment.get("path", ""))
            continue
        videos.setdefault((segment["dataset"], segment["path"]), []).append(segment)
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        return {}, [Refused(str(table), f"no column {', '.join(missing)}; it is not a table of OmniFall's segments")]
    return {video: told for video, told in videos.items() if video[1] not in torn}, faults


def _row(folder: Path, dataset: str, path: str, segments: list[Segment]) -> Row | Refused:
    what = f"{dataset}/{path}"
    bases = (folder / dataset / "video", folder / dataset, folder / "videos" / dataset)
    files = [base / f"{path}{ending}" for base in bases for ending in VIDEO_ENDINGS]
    video = next((file for file in files if file.is_file()), None)
    if video is None:
        return Refused(what, f"no video {files[0]} (or {', '.join(VIDEO_ENDINGS[1:])}); obtain it from its own source")
    try:
        told = sorted((_time(one["start"]), _time(one["end"]), int(one["label"])) for one in segments)
    except ValueError as error:
        return Refused(what, f"a segment with a label or time that is no number ({error}); correct the table")
    fault = _fault(told)
    if fault:
        return Refused(what, fault)
    falls = [(start, end) for start, end, label in told if label == FALL]
    subject = segments[0]["subject"]
    name = NAMES.get(dataset, dataset)
    return Row(
        video,
        key=re.sub(r"[^\w.-]+", "_", path),
        fall=falls[0] if falls else None,
        times="annotated (OmniFall)" if falls else "",
        subject="" if subject == "-1" or name == "le2i" else f"{name} {subject}",
        room=_room(name, path),
        description=f"{len(falls)} falls; " + ", ".join(CLASSES[label][0] for _, _, label in told),
        on_floor=not falls and any(label in DOWN for _, _, label in told),
        spans=tuple(Span(max(0.0, start), end, CLASSES[label][1]) for start, end, label in told),
        dataset=name,
    )


def _fault(told: list[tuple[float, float, int]]) -> str | None:
    unknown = [label for _, _, label in told if not 0 <= label < len(CLASSES)]
    if unknown:
        return f"unknown class {unknown[0]}; they are 0 to {len(CLASSES) - 1}"
    back = [start for start, end, _ in told if max(0.0, start) >= end]
    return (
        f"the segment at {back[0]:g} s ends before it starts, or before the video; correct the table" if back else None
    )


def _time(text: str) -> float:
    """Seconds; ValueError for what is no number of seconds."""
    value = float(text)
    if not -3600 < value < 36000:
        raise ValueError(f"{text} s")
    return value


def _room(name: str, path: str) -> str:
    """The scene where the path says it (Le2i); nothing where each video is elsewhere; else the dataset's one room."""
    if name == "le2i":
        return re.sub(r"_\d+$", "", path.partition("/")[0])
    return "" if name in ("oops", "ofsyn") else f"{name} room"
