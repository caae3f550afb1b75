"""A video file -> Frames by its own time stamps, as fast as they are asked for; the same bits on every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from device.decode import FootageError, FootageInfo, SourceKind, describe, is_stream, pictures, source_kind
from device.records import Frame

__all__ = ["FootageError", "FootageInfo", "SourceKind", "describe", "is_stream", "read_footage", "source_kind"]

ROTATE = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def read_footage(
    path: str | Path, epoch: float = 0.0, wanted: Callable[[float], bool] | None = None
) -> Iterator[Frame]:
    """Every frame of a file, in order: BGR, upright, t in seconds from the first frame by the file's own stamps.

    wall = epoch + t. wanted: asked with each t in turn; a frame it does not want is decoded and not converted. Gives
    what can be decoded; damage after that is one warning in the log. Raises FootageError where no picture at all can be
    had: no such file, not a video, nothing decodable.
    """
    upright = VideoReformatter()
    for count, (t, picture) in enumerate(pictures(path)):
        if wanted is not None and not wanted(t):
            continue
        pixels = np.ascontiguousarray(upright.reformat(picture, format="bgr24", threads=1).to_ndarray(), np.uint8)
        yield Frame(count, t, epoch + t, _turned(pixels, picture.rotation))


def _turned(pixels: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """Upright, as the file's display matrix asks; degrees run counter-clockwise."""
    turn = ROTATE.get(degrees % 360)
    return pixels if turn is None else np.asarray(cv2.rotate(pixels, turn), np.uint8)
