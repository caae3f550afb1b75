"""What lies in an event's folder: clip, thumbnail, scores, note. Each may be absent; then it is said why.

The recorder writes the folder (device/recorder.py); this module only reads it.
"""

from __future__ import annotations

import csv
import json
import math
import re
import sqlite3
from functools import lru_cache
from pathlib import Path
from typing import Any

from device.labels import LABELS
from device.settings import Settings

CLIP, THUMB, SCORES, NOTE = "clip.mp4", "thumb.jpg", "scores.csv", "event.json"
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
COLUMNS = ("t", *LABELS, "motion")
LIMITS = ("fall_on", "fall_off", "down_on", "down_off")

FINISH_S = 30.0
"""A clip is being written until this long after its post-roll (encoding and hashing on a slow board); then the page
no longer promises it."""


class FootageError(Exception):
    """A file of an event that cannot be shown; the text says what and why."""


def is_incident_id(text: str) -> bool:
    """Whether a text is a ULID: 26 letters and digits, so it can never leave the events folder."""
    return ULID.fullmatch(text) is not None


def clip_absence(row: sqlite3.Row, folder: Path, settings: Settings, wall: float) -> str | None:
    """Why there is no clip to play, in one sentence; None when there is one. wall: Unix seconds now."""
    if row["clip"] and (folder / CLIP).is_file():
        return None
    if row["clip"]:
        return "The clip was recorded and is no longer on this unit: erased, or removed to keep within the disk cap."
    if row["kind"] == "long_lie":
        return "A long lie has no clip of its own: the fall it grew from has."
    if why := read_note(folder / NOTE).get("no_pictures"):
        return f"No pictures of this event were kept: {str(why).rstrip('.')}."
    if not settings.recorder.enabled:
        return "The recorder is switched off in the settings: this event has its story and no pictures."
    post_s = settings.recorder.post_s + settings.fall.confirm_s + FINISH_S
    if wall - (row["wall_confirmed"] or row["wall_start"]) < post_s:
        return "Still recording. The clip appears here by itself when it is complete."
    return "No clip of this event is on this unit: the recorder was off, the disk was full, or the unit was stopped."


def read_scores(path: Path) -> dict[str, Any]:
    """The columns of a scores.csv: {'t': [...], 'series': {label: [...]}, 'motion': [...]}, floats, t in seconds.

    A last line cut short by a power cut is left out. Raises FootageError with one sentence.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != COLUMNS:
                raise FootageError(f"{path.name} has not the columns {','.join(COLUMNS)}; record the event again")
            rows = [[float(cell) for cell in cells] for cells in reader if len(cells) == len(COLUMNS)]
    except FileNotFoundError:
        raise FootageError("No scores were kept with this event.") from None
    except (OSError, ValueError, csv.Error) as error:
        raise FootageError(f"The scores of this event cannot be read ({error}).") from None
    if not rows or not all(math.isfinite(value) for row in rows for value in row):
        raise FootageError("The scores of this event are empty or broken.")
    columns = {name: [row[place] for row in rows] for place, name in enumerate(COLUMNS)}
    return {"t": columns["t"], "series": {label: columns[label] for label in LABELS}, "motion": columns["motion"]}


def read_note(path: Path) -> dict[str, Any]:
    """event.json as written by the recorder; empty when absent or broken, the page then shows fewer marks."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def marks(note: dict[str, Any]) -> list[dict[str, Any]]:
    """The transitions that have a place in the clip: stage, t in seconds from its start."""
    transitions = note.get("transitions")
    if not isinstance(transitions, list):
        return []
    return [
        {"stage": str(step.get("stage", "")).replace("_", " "), "t": float(step["t_clip"])}
        for step in transitions
        if isinstance(step, dict) and isinstance(step.get("t_clip"), int | float)
    ]


def thresholds(note: dict[str, Any], model_id: str | None, settings: Settings) -> dict[str, float]:
    """Where evidence enters and leaves a state: as noted with the event, else today's settings over the model's card.

    Empty where neither the event nor a bundle of the same model id says.
    """
    noted = note.get("thresholds")
    if isinstance(noted, dict):
        return {name: float(noted[name]) for name in LIMITS if isinstance(noted.get(name), int | float)}
    known = _card_thresholds(settings.model.bundle, model_id or "")
    given = {name: getattr(settings.fall, name) for name in LIMITS}
    return {**known, **{name: value for name, value in given.items() if value is not None}} if known else {}


@lru_cache(maxsize=16)
def _card_thresholds(bundle: str, model_id: str) -> dict[str, float]:
    from device.card import BundleError, read_card, shipped_bundle  # brings OpenCV: only when it is needed

    try:
        card = read_card(Path(bundle) if bundle else shipped_bundle())
    except BundleError:
        return {}
    return {name: getattr(card.thresholds, name) for name in LIMITS} if card.model_id == model_id else {}
