"""Video or pictures -> grey pictures at the network's steady step, by their own time stamps; decoded once, then cached.

Decoding, sampling and grey conversion are the unit's own (device.footage, device.sampler, device.preprocess), so that
a score computed here is the score the unit gives.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.footage import FootageError, read_footage
from device.preprocess import Raster, to_grey
from device.records import Frame
from device.sampler import Sampler
from training.clip import Clip
from training.pictures import is_pictures, read_pictures
from training.written import whole

__all__ = ["CACHE", "STEP_S", "Footage", "FootageError", "load_clip", "load_clips", "sample_footage"]

STEP_S = 0.1
"""Ten steps a second (DESIGN section 4)."""

CACHE = Path("runs/cache")
"""Decoded footage of real clips, from the folder a command is run in."""

DEPTH_BESIDE_COLOUR = ("urfd", (240, 640))
"""The videos of UR Fall lay a depth picture of 320x240 left of the colour picture: frames of 640x240 are cut. (Its
folders of pictures are 640x480, colour alone.)"""

CUT_SHORT_S = 0.5
"""Footage that ends this much before the fall it is said to show has lost its end; less is a rounded time."""


@dataclass(frozen=True, slots=True)
class Footage:
    """A clip as the network's clock sees it.

    t: float64 (steps,), seconds from the start of the footage. grey: uint8 (steps, height, width), letterboxed.
    reset: bool (steps,), first step and each first step after a gap. size: width and height of the decoded picture.
    """

    t: NDArray[np.float64]
    grey: NDArray[np.uint8]
    reset: NDArray[np.bool_]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.t)


def sample_footage(path: Path, raster: Raster, dataset: str = "", fps: float | None = None) -> Footage:
    """Decode a video file, or a folder or zip of pictures, and take the unit's steps from it.

    fps: pictures per second where their names carry no time. Raises FootageError when there is no picture in it.
    """
    sampler = Sampler(STEP_S)
    t, grey, reset, size = [], [], [], (0, 0)
    shown: tuple[int, NDArray[np.uint8]] | None = None
    for frame in read_pictures(path, fps) if is_pictures(path) else read_footage(path):
        for step in sampler.push(_colour(frame, dataset)):
            height, width = step.frame.pixels.shape[:2]
            size = (width, height)
            if shown is None or shown[0] != step.frame.id:
                shown = (step.frame.id, to_grey(step.frame.pixels, raster))
            t.append(step.t)
            grey.append(shown[1])
            reset.append(step.reset)
    return Footage(np.asarray(t), np.stack(grey), np.asarray(reset), size)


def load_clip(clip: Clip, raster: Raster, cache: Path) -> Footage:
    """A clip of the index, from the cache if nothing of it has changed since; else decoded and put there.

    Raises FootageError naming the clip when it cannot be read, or ends before the fall it is said to show.
    """
    kept = cache / f"{clip.name}-{_fingerprint(clip, raster)}.npz"
    footage = _cached(kept)
    if footage is None:
        try:
            footage = sample_footage(clip.path, raster, clip.dataset, clip.fps)
        except FootageError as error:
            raise FootageError(f"{clip.name}: {error}") from None
        _keep(footage, kept)
    if clip.fall_end_s is not None and footage.t[-1] + CUT_SHORT_S < clip.fall_end_s:
        raise FootageError(
            f"{clip.name}: {clip.path} ends at {footage.t[-1]:.1f} s, its fall at {clip.fall_end_s:g} s; "
            "fetch the file again, or correct the row"
        )
    return footage


def _fingerprint(clip: Clip, raster: Raster) -> str:
    """Changes with anything that the decoded pictures depend on: the files, how they are read, and the raster."""
    files = sorted(clip.path.iterdir()) if clip.path.is_dir() else [clip.path]
    try:
        marks = [f"{file.name} {(stat := file.stat()).st_size} {stat.st_mtime_ns}" for file in files]
    except OSError as error:
        raise FootageError(f"{clip.name}: {error.filename}: cannot be read; check the path") from None
    read_as = f"{clip.path.resolve()} {clip.dataset} {clip.fps} {raster.width}x{raster.height} {STEP_S}"
    return hashlib.sha256("\n".join([read_as, *marks]).encode()).hexdigest()[:12]


def _cached(kept: Path) -> Footage | None:
    """What is in the cache; what is not whole is deleted."""
    try:
        with np.load(kept) as stored:
            size = (int(stored["size"][0]), int(stored["size"][1]))
            return Footage(stored["t"], stored["grey"], stored["reset"], size)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        kept.unlink()
        return None


def _keep(footage: Footage, kept: Path) -> None:
    """Written whole, then named: a run that is stopped or a full disk leaves no half file under a name that is read."""
    size = np.asarray(footage.size)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with whole(kept) as partial, partial.open("wb") as file:
            np.savez_compressed(file, t=footage.t, grey=footage.grey, reset=footage.reset, size=size)
    except OSError as error:
        raise FootageError(f"{kept}: cannot be written ({error.strerror}); make room on the disk") from None


def load_clips(clips: Iterable[Clip], raster: Raster, cache: Path) -> dict[str, Footage]:
    """Clip name -> footage, with a progress bar."""
    from tqdm import tqdm

    return {clip.name: load_clip(clip, raster, cache) for clip in tqdm(list(clips), desc="footage", unit="clip")}


def _colour(frame: Frame, dataset: str) -> Frame:
    if (dataset, frame.pixels.shape[:2]) != DEPTH_BESIDE_COLOUR:
        return frame
    return replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, 320:]))
