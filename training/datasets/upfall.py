"""UP-Fall: SubjectNActivityNTrialNCameraN as pictures named by their moment; CompleteDataSet.csv tags each moment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from device.footage import FootageError
from device.labels import FALLING, LOW, SEATED, UPRIGHT
from training.clip import Span
from training.datasets.rows import Refused, Row, csv_lines
from training.pictures import moment, picture_names

ACTIVITIES: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    1: ("falls forward on hands", ()),
    2: ("falls forward on knees", ()),
    3: ("falls backwards", ()),
    4: ("falls sideways", ()),
    5: ("falls while trying to sit", ()),
    6: ("walks", (UPRIGHT,)),
    7: ("stands", (UPRIGHT,)),
    8: ("sits on a chair", (UPRIGHT, SEATED)),
    9: ("picks up an object", (UPRIGHT, LOW)),
    10: ("jumps", (UPRIGHT,)),
    11: ("lies on the mattress", ()),
}
FALLS: Final = range(1, 6)
"""Activities that are falls; as tags they mark the moments of the fall itself."""
LIES: Final = 11
TABLE: Final = "CompleteDataSet.csv"
HEADER_LINES: Final = 2
NAME: Final = re.compile(r"Subject(\d+)Activity(\d+)Trial(\d+)Camera(\d+)(?:\.zip)?")

Trial = tuple[int, int, int]


def read(folder: Path) -> Iterator[Row | Refused]:
    """A row for each camera of each trial, folder or zip."""
    table = next(iter(sorted(folder.rglob(TABLE))), None)
    if table is None:
        yield Refused(str(folder / TABLE), "no such table; when people fall is in it")
        return
    tags, faults = _falls(table)
    yield from faults
    found = sorted(path for path in folder.rglob("Subject*Camera*") if NAME.fullmatch(path.name))
    if not found:
        yield Refused(str(folder), "nothing named Subject1Activity1Trial1Camera1 (.zip) beneath it; fetch the cameras")
    for path in found:
        if not (path.suffix == ".zip" and path.with_suffix("").is_dir()):  # unpacked beside its zip
            yield _row(path, tags)


def _falls(table: Path) -> tuple[dict[Trial, tuple[datetime, datetime] | None], list[Refused]]:
    """Trial -> first and last moment that is tagged a fall, None where none is.

    The table has two header lines, and ends each line with subject, activity, trial, tag.
    """
    trials: dict[Trial, tuple[datetime, datetime] | None] = {}
    faults = []
    for found in csv_lines(table):
        if isinstance(found, Refused):
            faults.append(found)
            continue
        number, line = found
        if number <= HEADER_LINES:
            continue
        try:
            trial = (int(line[-4]), int(line[-3]), int(line[-2]))
            tag, now = int(line[-1]), datetime.fromisoformat(line[0]).replace(tzinfo=None)
        except (IndexError, ValueError):
            faults.append(Refused(f"{table} line {number}", "not `time, ..., subject, activity, trial, tag`"))
            continue
        before = trials.setdefault(trial, None)
        if tag in FALLS:
            trials[trial] = (before[0] if before else now, now)
    return trials, faults


def _row(path: Path, falls: dict[Trial, tuple[datetime, datetime] | None]) -> Row | Refused:
    subject, activity, trial, camera = (int(text) for text in NAME.fullmatch(path.name).groups())  # type: ignore[union-attr]
    tagged = falls.get((subject, activity, trial))
    fault = _fault((subject, activity, trial), falls)
    if fault:
        return Refused(str(path), fault)
    try:
        began = moment(Path(picture_names(path)[0]).stem)
    except FootageError as error:
        return Refused(str(path), str(error))
    if began is None:
        return Refused(str(path), "its pictures are not named by their moment (2018-07-04T12_04_17.738369.png)")
    fall = None
    if tagged:
        fall = ((tagged[0] - began).total_seconds(), (tagged[1] - began).total_seconds())
    what, postures = ACTIVITIES[activity]
    everyday = (Span(0.0, _length(path, began), postures),) if postures else ()
    return Row(
        path,
        key=f"S{subject:02}_A{activity:02}_T{trial}_C{camera}",
        fall=fall,
        times=f"annotated ({TABLE}, Tag)" if fall else "",
        subject=f"UP-S{subject}",
        room=f"UP-Fall lab, camera {camera}",
        description=f"UP-Fall act. {activity}: {what}",
        on_floor=activity == LIES,
        spans=(Span(*fall, (FALLING,)),) if fall and 0 <= fall[0] < fall[1] else everyday,
    )


def _fault(trial: Trial, falls: dict[Trial, tuple[datetime, datetime] | None]) -> str | None:
    activity = trial[1]
    checks = (
        (activity not in ACTIVITIES, f"unknown activity {activity}; it is 1 to 11"),
        (trial not in falls, f"no line of this trial in {TABLE}; fetch the table again"),
        (activity in FALLS and not falls.get(trial), f"activity {activity} is a fall, but no moment is tagged as one"),
        (activity not in FALLS and bool(falls.get(trial)), f"activity {activity} is everyday, but is tagged as a fall"),
    )
    return next((text for bad, text in checks if bad), None)


def _length(path: Path, began: datetime) -> float:
    last = moment(Path(picture_names(path)[-1]).stem)
    return max(0.1, (last - began).total_seconds()) if last else 0.1
