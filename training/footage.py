"""Video file -> grey pictures at the network's steady step, by the file's own time stamps; decoded once, then cached.

Decoding, sampling and grey conversion are the unit's own (device.footage, device.sampler, device.preprocess), so that
a score computed here is the score the unit gives.
"""

from __future__ import annotations

import hashlib
import os
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
from training.index import Clip

__all__ = ["STEP_S", "Footage", "FootageError", "load_clip", "load_clips", "sample_footage"]

STEP_S = 0.1
"""Ten steps a second (DESIGN section 4)."""

DEPTH_BESIDE_COLOUR = ("urfd", 640)
"""UR Fall as published lays a depth picture of 320 px left of the colour picture: frames of 640 px are cut."""


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


def sample_footage(path: Path, raster: Raster, dataset: str = "") -> Footage:
    """Decode a video file and take the unit's steps from it. Raises FootageError when there is no picture in it."""
    sampler = Sampler(STEP_S)
    t, grey, reset, size = [], [], [], (0, 0)
    shown: tuple[int, NDArray[np.uint8]] | None = None
    for frame in read_footage(path):
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
    """A clip of the index, from the cache if its file has not changed since; else decoded and put there."""
    stat = clip.path.stat()
    key = f"{clip.path.resolve()} {stat.st_size} {stat.st_mtime_ns} {raster.width}x{raster.height} {STEP_S}"
    kept = cache / f"{clip.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    try:
        with np.load(kept) as stored:
            size = (int(stored["size"][0]), int(stored["size"][1]))
            return Footage(stored["t"], stored["grey"], stored["reset"], size)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        kept.unlink()
    footage = sample_footage(clip.path, raster, clip.dataset)
    cache.mkdir(parents=True, exist_ok=True)
    # Written whole, then named: a run that is stopped leaves no half of a file under a name that is read.
    partial = kept.with_name(f".{os.getpid()}-{kept.name}")
    np.savez_compressed(partial, t=footage.t, grey=footage.grey, reset=footage.reset, size=np.asarray(footage.size))
    partial.replace(kept)
    return footage


def load_clips(clips: Iterable[Clip], raster: Raster, cache: Path) -> dict[str, Footage]:
    """Clip name -> footage, with a progress bar."""
    from tqdm import tqdm

    return {clip.name: load_clip(clip, raster, cache) for clip in tqdm(list(clips), desc="footage", unit="clip")}


def _colour(frame: Frame, dataset: str) -> Frame:
    if (dataset, frame.pixels.shape[1]) != DEPTH_BESIDE_COLOUR:
        return frame
    return replace(frame, pixels=np.ascontiguousarray(frame.pixels[:, 320:]))
