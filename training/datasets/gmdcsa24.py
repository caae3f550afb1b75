"""GMDCSA24: Subject N/{Fall,ADL}/*.mp4, and Subject N/{Fall,ADL}.csv with the times of actions in seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from device.footage import FootageError
from device.labels import FALLING, FLOOR, LOW, LYING, SEATED, UPRIGHT
from training.clip import Span
from training.datasets.rest import TIMES, rest_after
from training.datasets.rows import Refused, Row

POSTURES: Final[dict[str, tuple[str, ...]]] = {
    "walking": (UPRIGHT,),
    "standing": (UPRIGHT,),
    "sitting": (SEATED, LOW),
    "sleeping": (LYING, FLOOR),
    "drinking": (),
    "eating": (),
    "exercising": (),
    "reading": (),
    "writing": (),
}
"""Activity -> labels that are right during it; none where it says nothing of the posture. Some sit on the floor."""

BENDS: Final = re.compile(r"\b(?:pick|bend|stretch|yoga|exercis)", re.IGNORECASE)
"""Descriptions of clips in which `Standing` and `Walking` take in a bow: picking something up, a forward bend."""

ROOMS: Final = {"1": "G-A tiled room, blue door", "2": "G-B bedroom, red check floor", "4": "G-D cyan room, bed"}
ROOM_OF_3: Final = {True: "G-B bedroom, red check floor", False: "G-C bedroom, day, window side"}
"""As in data/clips.csv: subject 3 by night is in the room of subject 2. Seen in 26 of the 160 videos."""

ACTION: Final = re.compile(r"([A-Za-z][A-Za-z -]*?(?:\s*\([A-Z]{2}\)?)?)\s*\[((?:[\d.;\s]|to)*)")
TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(?:\s*to\s*|\s+)(\d+(?:\.\d+)?)")
"""`Falling (BW)[6.9 to 12]; Standing[0 to 0.3; 1.5 to 2.2]`, also without a `to` or a closing bracket. Taken from the
whole line: descriptions have commas and no quotes."""
FALLS_ON_BED: Final = re.compile(
    r"fall\w*(?: \(\w+\))?(?:(?!floor|ground|sitting)[^,;\[])*?\bon(?:to)? the bed", re.IGNORECASE
)
"""Falls onto the bed; not `falling to the floor from sitting on the bed`."""
ON_FLOOR: Final = re.compile(r"\b(?:floor|ground|mat|push-?ups?)\b", re.IGNORECASE)


def read(folder: Path) -> Iterator[Row | Refused]:
    """Every video that the CSV files name, and a refusal for each that breaks a rule or has no line of its own."""
    subjects = [path for path in sorted(folder.rglob("Subject?[0-9]*")) if path.is_dir()]
    if not subjects:
        yield Refused(str(folder), "no folder `Subject 1`; name the folder of GMDCSA24 that holds them")
    for subject in subjects:
        for kind in ("Fall", "ADL"):
            yield from _videos(subject, kind)


def _videos(subject: Path, kind: str) -> Iterator[Row | Refused]:
    table = subject / f"{kind}.csv"
    try:
        lines = table.read_text(encoding="utf-8-sig", errors="replace").splitlines()[1:]
    except OSError:
        yield Refused(str(table), "cannot be read; the times of the actions are in it")
        return
    named = set()
    for line in lines:
        name = line.split(",")[0].strip()
        if name:
            named.add(name)
            yield _row(subject, kind, name, line)
    for video in sorted((subject / kind).glob("*.mp4")):
        if video.name not in named:
            yield Refused(str(video), f"no line in {table.name}: what happens in it, and when, is not known")


def _row(subject: Path, kind: str, name: str, line: str) -> Row | Refused:
    path = subject / kind / name
    number = re.sub(r"\D", "", subject.name)
    times = actions(line)
    fault = _fault(path, kind, times)
    if fault:
        return Refused(str(path), fault)
    starts = [start for activity, start, _ in times if activity.startswith("fall")]
    try:
        fall = (min(starts), rest_after(path, min(starts))) if starts else None
    except FootageError as error:
        return Refused(str(path), str(error))
    text = line.partition(",")[2].strip()
    lying = any(activity == "sleeping" for activity, _, _ in times)
    return Row(
        path,
        key=f"s{number}_{kind}_{path.stem}",
        fall=fall,
        times=TIMES if fall else "",
        subject=f"G{number}",
        room=ROOMS.get(number) or ROOM_OF_3["night" in line.lower()],
        description=text,
        on_floor=kind == "ADL" and bool(ON_FLOOR.search(text)) and (lying or "push" in text.lower()),
        on_bed=bool(fall and FALLS_ON_BED.search(text)),
        spans=_spans(times, fall, bends=bool(BENDS.search(text))),
    )


def actions(line: str) -> list[tuple[str, float, float]]:
    """(activity in small letters, start, end in seconds), for every time that a line of the CSV gives."""
    return [
        (action[1].strip().lower(), float(start), float(end))
        for action in ACTION.finditer(line)
        for start, end in TIME.findall(action[2])
    ]


def _fault(path: Path, kind: str, times: list[tuple[str, float, float]]) -> str | None:
    falls = [activity for activity, _, _ in times if activity.startswith("fall")]
    unknown = [activity for activity, _, _ in times if activity not in POSTURES and activity not in falls]
    back = [activity for activity, start, end in times if start >= end]
    checks = (
        (not path.is_file(), "no such video, though the CSV names it; fetch it again"),
        (bool(unknown), f"unknown activity {(*unknown, '')[0]!r}; add it to POSTURES in training/datasets/gmdcsa24.py"),
        (bool(back), f"{(*back, '')[0]!r} ends before it starts; correct its times in the CSV"),
        (kind == "Fall" and not falls, "in the folder Fall, but its line gives no time of a fall"),
        (kind == "ADL" and bool(falls), "in the folder ADL, but its line has a fall; one of the two is wrong"),
    )
    return next((text for bad, text in checks if bad), None)


def _spans(times: list[tuple[str, float, float]], fall: tuple[float, float] | None, *, bends: bool) -> tuple[Span, ...]:
    """Postures up to the fall, then the fall. What follows it the table's own columns say.

    bends: somebody bows in it, so that who stands may as well be low.
    """
    until = fall[0] if fall else float("inf")
    spans = [
        Span(start, min(end, until), (UPRIGHT, LOW) if bends and UPRIGHT in POSTURES[activity] else POSTURES[activity])
        for activity, start, end in sorted(times, key=lambda one: one[1])
        if POSTURES.get(activity) and start < until
    ]
    return (*spans, *((Span(*fall, (FALLING,)),) if fall and spans else ()))
