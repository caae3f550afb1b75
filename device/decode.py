"""A video file -> decoded pictures with their times, by PyAV alone; the same on every run.

No numpy and no OpenCV: the capture process plays files with this and stays small. Sources are told apart here too: an
rtsp:// address, a V4L2 device or a file.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av

from device.errors import FallwatchError

log = logging.getLogger(__name__)

SourceKind = Literal["rtsp", "v4l2", "file"]

USUAL_RATE = Fraction(25)
"""Frames per second assumed for a file that states neither time stamps nor a rate (the PAL rate, FFmpeg's default)."""

JUMP_BACK_S = 1.0
"""Stamps that fall back further than this are a new beginning (files joined end to end); less is jitter."""

TICK_S = 0.001
"""A frame whose stamp does not rise comes this much after the one before: a container's own rounding."""


class FootageError(FallwatchError):
    """Footage that gives no picture; the text says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class FootageInfo:
    """What a file says of itself. width, height: pixels before rotation; frames, duration_s: 0 where not stated."""

    width: int
    height: int
    fps: float
    frames: int
    duration_s: float


def source_kind(source: str) -> SourceKind:
    """What a source is: a stream address, a V4L2 device (path or index), or else a file."""
    if re.match(r"^rtsps?://", source, re.IGNORECASE):
        return "rtsp"
    if re.match(r"^(\d{1,3}|/dev/(video\d+|v4l/.+))$", source):
        return "v4l2"
    return "file"


def is_stream(source: str) -> bool:
    """True for a source that goes on for ever and cannot be replayed: a camera device or an rtsp:// address."""
    return source_kind(source) != "file"


def pictures(path: str | Path) -> Iterator[tuple[float, av.VideoFrame]]:
    """Every picture of a file, in order, with its seconds from the first one by the file's own stamps.

    Gives what can be decoded; damage after that is one warning in the log. Raises FootageError where no picture at all
    can be had: no such file, not a video, nothing decodable.
    """
    path = Path(path)
    with _open(path) as container:
        stream = _picture_stream(container, path)
        # One thread: the same bits every time, and no more of a small board than replay needs.
        stream.thread_type = "SLICE"
        stream.codec_context.thread_count = 1
        stamps = _Stamps(stream.average_rate or stream.guessed_rate or USUAL_RATE)
        damage = _Damage(path)
        count = 0
        for picture in _decode(container, stream, damage):
            t = stamps.seconds(None if picture.time is None else float(picture.time))
            count += 1
            damage.read_until(t, count)
            yield t, picture
        damage.tell()
        if count == 0:
            raise FootageError(
                f"{path}: no picture in it can be decoded; name another file, or convert it to H.264 mp4"
            )


def describe(path: str | Path) -> FootageInfo:
    """Size, rate and length as the file's header states them. Raises FootageError as read_footage does."""
    path = Path(path)
    with _open(path) as container:
        stream = _picture_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
        duration = float(container.duration or 0) / av.time_base
        return FootageInfo(stream.width, stream.height, float(rate), stream.frames, duration)


def _open(path: Path) -> Any:
    if not path.exists():
        raise FootageError(f"{path}: no such file; check the name")
    if not path.is_file():
        raise FootageError(f"{path}: not a file; name one video file")
    try:
        return av.open(str(path))
    except PermissionError:
        raise FootageError(f"{path}: may not be read; check who owns it") from None
    except (av.FFmpegError, OSError, ValueError):
        raise FootageError(f"{path}: not a video, or cut short before its first picture; name another file") from None


def _picture_stream(container: Any, path: Path) -> Any:
    # FFmpeg takes any .txt for a terminal recording ("tty") and would draw its letters.
    if not container.streams.video or container.format.name == "tty":
        raise FootageError(f"{path}: no picture in it; name a video file")
    return container.streams.video[0]


def _decode(container: Any, stream: Any, damage: _Damage) -> Iterator[Any]:
    """Pictures of one stream; packets that do not decode are counted and passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):
            damage.add()
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except (av.FFmpegError, OSError):
            damage.add()


class _Damage:
    """Counts what did not decode and says it once, at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places = 0
        self._t = 0.0
        self._first_t = 0.0
        self._frames = 0

    def read_until(self, t: float, frames: int) -> None:
        self._t, self._frames = t, frames

    def add(self) -> None:
        if self.places == 0:
            self._first_t = self._t
        self.places += 1

    def tell(self) -> None:
        if self.places and self._frames:
            log.warning(
                "%s: damaged at %.1f s (%d packets lost); %d frames were read, convert the file again if that matters",
                self.path,
                self._first_t,
                self.places,
                self._frames,
            )


class _Stamps:
    """The file's presentation stamps -> seconds from the first frame that always rise."""

    def __init__(self, rate: Fraction) -> None:
        self._period = float(1 / rate)
        self._last: float | None = None
        self._origin: float | None = None

    def seconds(self, stamp: float | None) -> float:
        if self._last is None:
            self._origin, self._last = stamp, 0.0
            return 0.0
        if stamp is None:
            t = self._last + self._period
        else:
            if self._origin is None or stamp - self._origin < self._last - JUMP_BACK_S:
                self._origin = stamp - self._last - self._period
            t = max(stamp - self._origin, self._last + TICK_S)
        self._last = t
        return t
