"""Camera picture -> model input. The only implementation: the unit, replay, training and calibration all call it.

The model sees three uint8 channels on a small letterboxed raster: the grey level, the difference to a short while
ago and the difference to a long while ago. Differences carry nearly all of the fall (MODEL.md I.8: AUC 0.985 with the
0.2 s difference, 0.93 without); the grey level is what still shows a person who no longer moves.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CHANNELS = 3
NO_CHANGE = 128
"""Value of a difference channel where nothing changed; int8 0 after the model's own offset of 128."""

MOVED_LEVELS = 12
"""A pixel moved when its short difference exceeds this many grey levels. Sensor noise that area averaging leaves on
the raster stays below it: 99.9 % of the pixels of still moments differ by at most 6 levels on the CAUCAFall infrared
clip and by 1 on a frigate corridor clip (measured)."""


@dataclass(frozen=True, slots=True)
class Raster:
    """Size of the model's picture and the reach of its two differences, in steps (10 steps are 1 s)."""

    width: int = 96
    height: int = 72
    short_steps: int = 2
    long_steps: int = 10

    def __post_init__(self) -> None:
        if not (16 <= self.width <= 512 and 16 <= self.height <= 512):
            raise ValueError(f"raster {self.width}x{self.height} is outside 16..512 pixels")
        if not 1 <= self.short_steps < self.long_steps <= 50:
            raise ValueError(f"raster differences {self.short_steps}/{self.long_steps} must rise within 1..50 steps")


def letterbox(width: int, height: int, raster: Raster) -> tuple[int, int, int, int]:
    """Where a picture of width x height lands in the raster: left, top, width, height in raster pixels."""
    scale = min(raster.width / width, raster.height / height)
    w = min(raster.width, max(1, round(width * scale)))
    h = min(raster.height, max(1, round(height * scale)))
    return (raster.width - w) // 2, (raster.height - h) // 2, w, h


def to_grey(pixels: NDArray[np.uint8], raster: Raster) -> NDArray[np.uint8]:
    """The whole field of view as grey levels on the raster: uint8 (raster.height, raster.width), bars black.

    pixels: uint8 (height, width, 3) BGR or (height, width) grey. Raises ValueError for anything else.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != CHANNELS):
        raise ValueError(f"a picture is uint8 (h, w, 3) or (h, w), got {pixels.dtype} {pixels.shape}")
    left, top, w, h = letterbox(pixels.shape[1], pixels.shape[0], raster)
    # Colour is dropped before shrinking: 0.6 ms against 1.0 ms at 640x480 (one core), equal within one level.
    grey_pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels
    small = cv2.resize(grey_pixels, (w, h), interpolation=cv2.INTER_AREA)
    if (w, h) == (raster.width, raster.height):
        return np.asarray(small, np.uint8)
    grey = np.zeros((raster.height, raster.width), np.uint8)
    grey[top : top + h, left : left + w] = small
    return grey


def difference(now: NDArray[np.uint8], past: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """now - past around NO_CHANGE, saturating: uint8, same shape. Contrast is kept, overflow is clipped.

    OpenCV's weighted sum is exact for these whole numbers and takes a tenth of the time of numpy's four arrays.
    """
    if not now.size:
        return now.copy()
    flat = (now.size // max(1, now.shape[-1]), now.shape[-1])
    signed = cv2.addWeighted(now.reshape(flat), 1.0, past.reshape(flat), -1.0, float(NO_CHANGE))
    return np.asarray(signed, np.uint8).reshape(now.shape)


class Differencer:
    """Grey rasters in, model inputs out, one a step; keeps the last second of grey."""

    def __init__(self, raster: Raster) -> None:
        self.raster = raster
        self._past: deque[NDArray[np.uint8]] = deque(maxlen=raster.long_steps + 1)

    def reset(self) -> None:
        """Forget the past: after a gap or a cut, old pictures are no ground for a difference."""
        self._past.clear()

    def step(self, grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The model input at this step: uint8 (height, width, 3). Before there is a past, the oldest picture serves."""
        if grey.shape != (self.raster.height, self.raster.width):
            raise ValueError(f"grey raster {grey.shape}, the model wants {(self.raster.height, self.raster.width)}")
        self._past.append(grey)
        last = len(self._past) - 1
        short = self._past[max(0, last - self.raster.short_steps)]
        long = self._past[max(0, last - self.raster.long_steps)]
        return np.asarray(cv2.merge((grey, difference(grey, short), difference(grey, long))), np.uint8)


def stack(greys: NDArray[np.uint8], raster: Raster) -> NDArray[np.uint8]:
    """A whole window at once: uint8 (steps, height, width) -> uint8 (steps, height, width, 3); equal to stepping."""
    index = np.arange(len(greys))
    short = greys[np.maximum(0, index - raster.short_steps)]
    long = greys[np.maximum(0, index - raster.long_steps)]
    return np.stack((greys, difference(greys, short), difference(greys, long)), axis=-1)


def motion_share(model_input: NDArray[np.uint8]) -> float:
    """Share of raster pixels that moved over the short difference, 0..1. model_input: uint8 (height, width, 3)."""
    short = cv2.extractChannel(model_input, 1)
    quiet = cv2.countNonZero(cv2.inRange(short, NO_CHANGE - MOVED_LEVELS, NO_CHANGE + MOVED_LEVELS))
    return (short.size - quiet) / short.size
