"""Pictures -> a clip that any browser plays: H.264, yuv420p, faststart, true time stamps; made in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import FallwatchError

CODEC = "libx264"
X264 = {"preset": "veryfast", "crf": "25", "g": "20"}
"""veryfast, because boards encode it beside the watch. A key frame every 20 pictures, 2 s, to jump to."""

TICKS = 90_000
"""Time base of the clip, per second; MPEG's own, finer than any camera's jitter."""

JPEG_QUALITY = 85
"""Of the pictures that wait in memory: finer than the clip made of them, so that the clip sets the quality."""

THUMB_WIDTH = 320


class ClipError(FallwatchError):
    """A clip that cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it waits in memory: JPEG. t: monotonic seconds."""

    t: float
    frame_id: int
    jpeg: bytes


def clip_size(width: int, height: int, most: int) -> tuple[int, int]:
    """The size of a clip for pictures of this size: at most `most` wide, same shape, both even (H.264 4:2:0)."""
    scale = min(1.0, most / width)
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def to_jpeg(pixels: NDArray[np.uint8], most: int) -> bytes:
    """A picture (height, width, 3) BGR, shrunk to the size of a clip, as JPEG. Raises ClipError."""
    size = clip_size(pixels.shape[1], pixels.shape[0], most)
    try:
        if size != (pixels.shape[1], pixels.shape[0]):
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        done, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    except cv2.error as error:
        raise ClipError(
            f"a picture of {pixels.shape} could not be kept ({error.err}); the event has no pictures"
        ) from None
    if not done:
        raise ClipError(f"a picture of {pixels.shape} could not be kept as JPEG; the event has no pictures")
    return jpeg.tobytes()


def to_pixels(jpeg: bytes) -> NDArray[np.uint8]:
    """JPEG -> (height, width, 3) BGR."""
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def make_thumb(jpeg: bytes) -> bytes:
    """A small JPEG of a picture, THUMB_WIDTH wide at most."""
    return to_jpeg(to_pixels(jpeg), THUMB_WIDTH)


def make_clip(pictures: Sequence[Picture]) -> bytes:
    """An mp4 of the pictures, each shown from its t on; the first is at 0 s. Raises ClipError."""
    if not pictures:
        raise ClipError("no picture to make a clip of")
    # In memory, yet with a path: faststart opens what it wrote a second time, and the size is known before the disk.
    memory = os.memfd_create("fallwatch-clip")
    try:
        with av.open(f"/proc/self/fd/{memory}", "w", format="mp4", options={"movflags": "faststart"}) as container:
            _encode(container, pictures)
        return os.pread(memory, os.fstat(memory).st_size, 0)
    except (av.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise ClipError(f"no clip was made ({error}); check that PyAV has {CODEC}: pip install --upgrade av") from None
    finally:
        os.close(memory)


def _encode(container: Any, pictures: Sequence[Picture]) -> None:
    height, width = to_pixels(pictures[0].jpeg).shape[:2]
    stream = container.add_stream(CODEC, rate=10, options=X264)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
    stream.codec_context.thread_count = 1
    for picture in pictures:
        pixels = to_pixels(picture.jpeg)
        if pixels.shape[:2] != (height, width):
            pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
        frame.pts = round((picture.t - pictures[0].t) * TICKS)
        frame.time_base = Fraction(1, TICKS)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
