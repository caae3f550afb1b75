"""Le2i / FDD: ROOM/Videos/video (N).avi and ROOM/Annotation_files/video (N).txt, the frames of the fall on top."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from device.footage import FootageError, describe
from device.labels import FALLING
from training.clip import Span
from training.datasets.rows import Refused, Row

ANNOTATIONS = ("Annotation_files", "Annotations_files")
"""The folder's name in the release, and as some copies spell it."""


def read(folder: Path) -> Iterator[Row | Refused]:
    """A row for each video that has its annotation."""
    videos = sorted(folder.rglob("*.avi"))
    if not videos:
        yield Refused(str(folder), "no .avi beneath it; name the folder that holds Coffee_room_01 and so on")
    for video in videos:
        yield _row(folder, video)


def _row(folder: Path, video: Path) -> Row | Refused:
    within = video.relative_to(folder).parts[:-1]
    scene = next((part for part in reversed(within) if part not in ("Videos", *ANNOTATIONS)), folder.name)
    tops = (video.parent.parent, video.parent)
    notes = [top / name / f"{video.stem}.txt" for top in tops for name in ANNOTATIONS]
    note = next((path for path in notes if path.is_file()), None)
    if note is None:
        return Refused(str(video), f"no annotation {notes[0]}; whether and when somebody falls is not known")
    lines = note.read_text(encoding="utf-8", errors="replace").splitlines()
    frames = [int(line) for line in lines[:2] if re.fullmatch(r"\s*\d{1,9}\s*", line)]
    if len(frames) != 2:
        return Refused(str(note), "its first two lines are not the frames of a fall (0 and 0 for none); correct it")
    try:
        info = describe(video)
    except FootageError as error:
        return Refused(str(video), str(error))
    first, last = frames
    if bool(first) != bool(last) or (first and first >= last):
        return Refused(str(note), f"the fall ends at frame {last}, not after its start at {first}; correct it")
    fall = ((first - 1) / info.fps, (last - 1) / info.fps) if first else None
    return Row(
        video,
        key=re.sub(r"\W+", "_", f"{scene}_{video.stem}").strip("_"),
        fall=fall,
        times="annotated (frames, dataset)" if fall else "",
        subject="",
        room=re.sub(r"_\d+$", "", scene.replace(" ", "_")),
        description=f"Le2i {scene} {video.stem}",
        spans=(Span(*fall, (FALLING,)),) if fall else (),
    )
