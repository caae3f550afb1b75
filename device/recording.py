"""The folder of one recorded event, written whole or not at all, and read back to the last bit.

clip.mp4    what a person looks at        steps.npz   what the network looked at, and all it said
thumb.jpg   the moment of the fall        scores.csv  the same scores for people and programs
event.json  the incident with its transitions, where it comes from, and the hash of each file
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.errors import FallwatchError
from device.journal import incident_from
from device.labels import LABELS
from device.records import Incident, Scores
from device.sampler import GreyStep

EVENT_FILE = "event.json"
CLIP_FILE = "clip.mp4"
THUMB_FILE = "thumb.jpg"
STEPS_FILE = "steps.npz"
SCORES_FILE = "scores.csv"
SCHEMA = 1

TEMP = ".writing-"
"""Prefix of a folder that is being written; such a folder found at start is what a crash left."""

COPY_AGAIN = "the file was changed or cut short, copy the event again"


class RecordingError(FallwatchError):
    """A recorded event that cannot be used; the text says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the scores of an event come from: without it nobody can account for them."""

    site: str
    unit: str
    room: str
    model_id: str
    bundle_sha256: str
    settings_sha256: str
    raster: dict[str, int]
    step_s: float
    thresholds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Span:
    """Which steps of an event are what.

    t0, wall0: time 0 of the clip and of scores.csv. first: index of the step at t0; those before are the network's
    past. warm_up: from this step on, a replay that starts from nothing gives the recorded scores bit for bit.
    """

    t0: float
    wall0: float
    first: int
    warm_up: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded event. probabilities: float32 (steps, labels). note: event.json as it stands."""

    folder: Path
    note: dict[str, Any]
    span: Span
    steps: list[GreyStep]
    scores: list[Scores]
    probabilities: NDArray[np.float32]
    transitions: list[Incident]

    @property
    def incident(self) -> Incident:
        """The incident as it stood last."""
        return self.transitions[-1]

    @property
    def warm_up(self) -> int:
        return self.span.warm_up

    @property
    def model_id(self) -> str:
        return str(self.note["origin"]["model_id"])


def pack_steps(steps: Sequence[GreyStep], scores: Sequence[Scores]) -> bytes:
    """steps.npz: the exact rasters and everything the network said about them, one row a step."""
    columns: dict[str, Any] = {
        "grey": np.stack([step.grey for step in steps]),
        "t": np.array([step.t for step in steps]),
        "wall": np.array([step.wall for step in steps]),
        "frame_id": np.array([step.frame_id for step in steps], np.int64),
        "held": np.array([step.held for step in steps]),
        "reset": np.array([step.reset for step in steps]),
        "probabilities": np.array([one.probabilities for one in scores], np.float32),
    }
    for name in ("motion", "light", "contrast", "gap_share", "inference_ms"):
        columns[name] = np.array([getattr(one, name) for one in scores], np.float64)
    for name in ("still", "warm"):
        columns[name] = np.array([getattr(one, name) for one in scores], np.bool_)
    out = io.BytesIO()
    np.savez_compressed(out, **columns)
    return out.getvalue()


def make_note(transitions: Sequence[Incident], origin: Origin, span: Span, about: dict[str, Any]) -> dict[str, Any]:
    """event.json: everything about an event but its pictures. about: further keys."""
    return {
        "schema": SCHEMA,
        "incident": asdict(transitions[-1]),
        "transitions": [asdict(one) | {"t_clip": round(one.t - span.t0, 3)} for one in transitions],
        "origin": asdict(origin),
        "thresholds": origin.thresholds,
        "labels": list(LABELS),
        "span": asdict(span),
        **about,
    }


def add_transition(folder: Path, incident: Incident) -> None:
    """Enter a later transition into event.json; the file is replaced whole. Raises RecordingError or OSError."""
    note = _read_note(folder)
    entry = asdict(incident) | {"t_clip": round(incident.t - note["span"]["t0"], 3)}
    note["transitions"].append(entry)
    note["incident"] = asdict(incident)
    part = folder / f"{EVENT_FILE}.part"
    _write(part, _json(note))
    os.replace(part, folder / EVENT_FILE)


def write_folder(folder: Path, files: dict[str, bytes], note: dict[str, Any]) -> None:
    """The event's folder, whole or not at all: written beside its place, flushed, then renamed. Raises OSError."""
    temp = folder.parent / f"{TEMP}{folder.name}"
    shutil.rmtree(temp, ignore_errors=True)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    try:
        temp.mkdir(parents=True)
        for name, content in files.items():
            _write(temp / name, content)
        _write(temp / EVENT_FILE, _json(note | {"files": hashes}))
        os.rename(temp, folder)
    except OSError:
        shutil.rmtree(temp, ignore_errors=True)
        raise
    handle = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_unfinished(events: Path) -> int:
    """Remove what a crash left half-written below events/; how many there were."""
    left = list(events.glob(f"{TEMP}*"))
    for temp in left:
        shutil.rmtree(temp, ignore_errors=True)
    return len(left)


def read_recording(folder: Path) -> Recording:
    """A recorded event with its hashes checked. Raises RecordingError with one sentence."""
    note = _read_note(folder)
    try:
        span = Span(**note["span"])
        transitions = [_incident(entry) for entry in note["transitions"]]
        hashes = dict(note["files"])
        model_id = str(note["origin"]["model_id"])
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{folder / EVENT_FILE}: damaged ({error}); {COPY_AGAIN}") from None
    if not transitions:
        raise RecordingError(f"{folder / EVENT_FILE}: no transition in it; {COPY_AGAIN}")
    if STEPS_FILE not in hashes:
        why = note.get("no_pictures") or "no pictures were kept"
        raise RecordingError(f"{folder}: cannot be replayed: {why}; scores.csv has what the network said")
    _check_hashes(folder, hashes)
    steps, scores, probabilities = _unpack_steps(folder / STEPS_FILE, model_id)
    return Recording(folder, note, span, steps, scores, probabilities, transitions)


def _read_note(folder: Path) -> dict[str, Any]:
    path = folder / EVENT_FILE
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise RecordingError(f"{folder}: no {EVENT_FILE} there; name the folder of a recorded event") from None
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror}); check who owns it") from None
    except ValueError:
        raise RecordingError(f"{path}: damaged; {COPY_AGAIN}") from None
    if not isinstance(note, dict) or note.get("schema") != SCHEMA:
        raise RecordingError(f"{path}: not of schema {SCHEMA}; replay it with the version that recorded it")
    return note


def _check_hashes(folder: Path, hashes: dict[str, str]) -> None:
    for name, known in hashes.items():
        path = folder / Path(name).name
        if not path.is_file():
            if name == STEPS_FILE:
                raise RecordingError(f"{path}: missing; copy the event again")
            continue  # a clip may have been erased; what the network saw is enough for a replay
        if hashlib.sha256(path.read_bytes()).hexdigest() != known:
            raise RecordingError(f"{path}: wrong hash; {COPY_AGAIN}")


def _unpack_steps(path: Path, model_id: str) -> tuple[list[GreyStep], list[Scores], NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as packed:
            columns = {name: packed[name] for name in packed.files}
        probabilities = np.asarray(columns["probabilities"], np.float32)
        grey = np.asarray(columns["grey"], np.uint8)
        rows = [
            {name: column[row].item() for name, column in columns.items() if column.ndim == 1}
            for row in range(len(grey))
        ]
        steps = [
            GreyStep(row["t"], row["wall"], row["frame_id"], grey[index], row["held"], row["reset"])
            for index, row in enumerate(rows)
        ]
        scores = [_scores(row, probabilities[index], model_id) for index, row in enumerate(rows)]
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path}: damaged ({error}); {COPY_AGAIN}") from None
    return steps, scores, probabilities


def _scores(row: dict[str, Any], probabilities: NDArray[np.float32], model_id: str) -> Scores:
    names = ("t", "wall", "frame_id", "motion", "light", "contrast", "still", "gap_share", "warm", "inference_ms")
    return Scores(
        **{name: row[name] for name in names},
        probabilities=tuple(float(p) for p in probabilities),
        model_id=model_id,
    )


def _incident(entry: dict[str, Any]) -> Incident:
    return incident_from({key: value for key, value in entry.items() if key != "t_clip"})


def _json(note: dict[str, Any]) -> bytes:
    return json.dumps(note, indent=1).encode() + b"\n"


def _write(path: Path, content: bytes) -> None:
    """A file that is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
