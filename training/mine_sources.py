"""Footage to mine: video files, folders, simulated days, rendered clips, as stretches of some minutes with their truth.

Footage that may only be evaluated on is refused by name. Where a table of clips knows a video, its falls and the people
on the floor on purpose in it are no everyday life; for any other video the user vouches that nobody falls in it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.footage import read_footage
from device.labels import FALLING, FLOOR, INDEX
from device.preprocess import Raster, letterbox, to_grey
from device.sampler import Sampler
from training.footage import STEP_S, Footage
from training.hours import spans_on_purpose
from training.index import Clip, ClipTableError, read_index
from training.metrics import BEFORE_FALL_S
from training.pieces import Piece, content_of, film_of, read_piece
from training.samples import STORED

TABLE: Final = "clips.csv"
VIDEOS: Final = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".mpg", ".mpeg", ".m4v", ".ts", ".wmv")

STRETCH_STEPS: Final = 3000
"""Five minutes: a night of footage is never in memory at once."""

PAST_STEPS: Final = 150
"""Steps shown again at the start of the next stretch, so that the network has its past there: three look-backs."""


@dataclass(frozen=True, slots=True)
class Doing:
    """One act by its name, as in the catalogue of clips or of days, in seconds from the start of the source."""

    name: str
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some minutes of one source.

    film: on the network's raster, t in seconds from the start of the source. stored: uint8 (steps, 96, 128), what is
    kept of it. everyday: bool (steps,), where the truth says that nobody falls or lies on the floor. fresh: the first
    step that an earlier stretch has not shown. label: uint8 (steps,) where it is known. content: left, top, width,
    height of the picture in `stored`, without bars. doing: who does what from when to when, seconds, where it is known.
    """

    film: Footage
    stored: NDArray[np.uint8]
    everyday: NDArray[np.bool_]
    fresh: int
    label: NDArray[np.uint8] | None
    content: tuple[int, int, int, int] = (0, 0, STORED.width, STORED.height)
    doing: tuple[Doing, ...] = ()

    @property
    def end_s(self) -> float:
        """Where it ends, seconds from the start of the source."""
        return float(self.film.t[-1]) + STEP_S


def sources_of(named: Sequence[Path]) -> list[Path]:
    """The files that the names mean, folders opened, in order. Raises ClipTableError for footage of dev, by name;
    ValueError for a name without footage."""
    found: list[Path] = []
    for path in named:
        inside = sorted(p for p in path.rglob("*") if _is_footage(p)) if path.is_dir() else [path]
        if not inside or not path.exists():
            raise ValueError(
                f"{path}: no footage there; name a video, a folder of videos, or a folder of pieces (.npz)"
            )
        # Absolute: what was mined has to be known again from any folder, or a test on it would pass for an honest one.
        found += [one for one in (file.absolute() for file in inside) if one not in found]
    for path in found:
        refuse_dev(path)
    return found


def refuse_dev(path: Path) -> None:
    """Raises ClipTableError when a table of clips beside this file, or above it, says it is for evaluation only."""
    clip = known_clip(path)
    folder = _table_folder(path.resolve().parent)
    in_dev = folder is not None and path.resolve().relative_to(folder).parts[0] == "dev"
    if in_dev or (clip is not None and clip.split == "dev"):
        raise ClipTableError(
            f"{path}: footage of dev: its licence allows evaluation only, and what is mined is trained on; leave it out"
        )


def known_clip(path: Path) -> Clip | None:
    """What the table of clips beside or above a file knows of it."""
    folder = _table_folder(path.resolve().parent)
    return _table(folder).get(path.resolve()) if folder else None


def stretches(path: Path, raster: Raster) -> Iterator[Stretch]:
    """A source from its start, on a network's raster. Raises FootageError or ValueError naming the file."""
    return iter([_piece(path, raster)]) if path.suffix == ".npz" else _film(path, raster)


def _piece(path: Path, raster: Raster) -> Stretch:
    """A simulated day's piece or a rendered clip: one stretch, the truth in its labels."""
    piece = read_piece(path)
    film = film_of(piece.grey, raster)
    everyday = np.ones(len(piece), bool)
    if piece.label is not None:
        everyday &= ~np.isin(piece.label, (INDEX[FALLING], INDEX[FLOOR]))
    for start, end in spans_on_purpose(piece):
        everyday &= (film.t < start) | (film.t > end)
    return Stretch(film, piece.grey, everyday, 0, piece.label, content_of(piece), _doing(piece))


def _doing(piece: Piece) -> tuple[Doing, ...]:
    """What happens in a simulated day, by its episodes, or in a rendered clip, from its first step to its last."""
    episodes = piece.meta.get("episodes") or ()
    acts = tuple(Doing(str(one["name"]), float(one["from_s"]), float(one["to_s"])) for one in episodes)
    behaviour = piece.meta.get("behaviour")
    return acts or ((Doing(str(behaviour), 0.0, len(piece) * STEP_S),) if behaviour else ())


@dataclass(frozen=True, slots=True)
class _Seen:
    """One step of a video: its picture on the network's raster and on the one that is kept."""

    t: float
    reset: bool
    small: NDArray[np.uint8]
    stored: NDArray[np.uint8]
    size: tuple[int, int]


def _film(path: Path, raster: Raster) -> Iterator[Stretch]:
    clip = known_clip(path)
    kept: list[_Seen] = []
    fresh = 0
    for seen in _steps(path, raster):
        kept.append(seen)
        if len(kept) == STRETCH_STEPS:
            yield _stretch(kept, fresh, clip)
            kept, fresh = kept[-PAST_STEPS:], PAST_STEPS
    if len(kept) > fresh:
        yield _stretch(kept, fresh, clip)


def _steps(path: Path, raster: Raster) -> Iterator[_Seen]:
    """The unit's steps of a video; a held step shows the picture before again."""
    sampler = Sampler(STEP_S)
    last: tuple[int, NDArray[np.uint8], NDArray[np.uint8]] | None = None
    for frame in read_footage(path):
        for step in sampler.push(frame):
            if last is None or last[0] != step.frame.id:
                pixels = step.frame.pixels
                last = (step.frame.id, to_grey(pixels, raster), to_grey(pixels, STORED))
            height, width = step.frame.pixels.shape[:2]
            yield _Seen(step.t, step.reset, last[1], last[2], (width, height))


def _stretch(kept: Sequence[_Seen], fresh: int, clip: Clip | None) -> Stretch:
    t = np.array([seen.t for seen in kept])
    reset = np.array([seen.reset for seen in kept])
    reset[0] = True
    everyday = np.ones(len(t), bool)
    if clip is not None:
        everyday &= not clip.on_floor
        if clip.fall_start_s is not None:
            everyday &= t < clip.fall_start_s - BEFORE_FALL_S
    film = Footage(t, np.stack([seen.small for seen in kept]), reset, (STORED.width, STORED.height))
    content = letterbox(*kept[-1].size, STORED)
    return Stretch(film, np.stack([seen.stored for seen in kept]), everyday, fresh, None, content)


def _is_footage(path: Path) -> bool:
    return path.suffix.lower() in (*VIDEOS, ".npz") and not path.name.startswith(".")


@cache
def _table_folder(folder: Path) -> Path | None:
    """The nearest folder above that holds a table of clips in our form."""
    for parent in (folder, *folder.parents):
        table = parent / TABLE
        if table.is_file() and "split" in _header(table):
            return parent
    return None


def _header(table: Path) -> list[str]:
    try:
        with table.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ClipTableError(f"{table}: cannot be read ({error}); mend it: it says what may be trained on") from None


@cache
def _table(folder: Path) -> dict[Path, Clip]:
    return {clip.path.resolve(): clip for clip in read_index(folder / TABLE)}
