"""A V4L2 device or an rtsp:// address through OpenCV; when one does not open, the reason in one sentence."""

from __future__ import annotations

import os
import re
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from device.errors import FallwatchError
from device.footage import source_kind

FFMPEG_OPTIONS = "rtsp_transport;tcp|timeout;{microseconds}"
"""For OpenCV's FFmpeg, key;value|key;value. TCP: over UDP a lost packet is a grey smear that looks like movement.
timeout: of each wait on the socket. No fflags=nobuffer: it throws away what was read to know the stream, the only key
frame for seconds among it, and the camera then opens without a picture."""


class SourceError(FallwatchError):
    """A live source that gives no picture; the text says what happened and what to do, without any password.

    password: True when the camera refused the user or password; asking often makes some cameras lock the account.
    """

    def __init__(self, text: str, *, password: bool = False) -> None:
        super().__init__(text)
        self.password = password


REASONS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError), "user or password refused; check them"),
    ((av.error.HTTPNotFoundError,), "the camera answers and has no stream of that name; check the path in the address"),
    ((ConnectionRefusedError,), "connection refused; check address, port and password, and that the camera is on"),
    ((TimeoutError, av.error.ExitError), "no answer in time; check the address and the network"),
    ((OSError,), "cannot be reached; check the address and the network"),
)
"""Why an address did not open, in FFmpeg's own errors; the first line that fits is said."""

NO_PICTURE = "opened and gave no picture that can be decoded; set the camera to H.264"


def without_password(source: str) -> str:
    """A source as it may be shown: no user, no password, in the address or in its query."""
    bare = re.sub(r"^(\w+://).*@", r"\1", source)
    return re.sub(r"(?i)((?:pass\w*|pwd|token|user\w*)=)[^&/\s]*", r"\1…", bare)


class LiveSource:
    """An open camera: grab() takes a picture from it, retrieve() turns the one last grabbed into BGR."""

    def __init__(self, capture: cv2.VideoCapture, size: tuple[int, int], fps: float) -> None:
        self._capture = capture
        self.size = size
        self.fps = fps

    def grab(self) -> bool:
        """Wait for the next picture; False when there will be none."""
        return bool(self._capture.grab())

    def retrieve(self, slot: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        """The grabbed picture, (height, width, 3) BGR: in `slot` where it fits, else in an array of its own."""
        got, pixels = self._capture.retrieve(slot) if slot is not None else self._capture.retrieve()
        if not got or pixels is None or pixels.ndim != 3:
            raise SourceError("a picture could not be decoded")
        return np.asarray(pixels, np.uint8)


def open_live(source: str, asked: tuple[int, int, float], open_s: float) -> LiveSource:
    """Open a camera and take one picture. asked: width, height, fps of a V4L2 device. Raises SourceError."""
    stream = source_kind(source) == "rtsp"
    source = f"/dev/video{source}" if source.isdigit() else source
    capture = _open_rtsp(source, open_s) if stream else _open_v4l2(source, asked)
    got, pixels = capture.read() if capture.isOpened() else (False, None)
    if not got or pixels is None or pixels.ndim != 3:
        capture.release()
        raise why_refused(source, open_s) if stream else why_no_device(source)
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    return LiveSource(capture, (pixels.shape[1], pixels.shape[0]), fps)


def _open_rtsp(source: str, open_s: float) -> cv2.VideoCapture:
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = FFMPEG_OPTIONS.format(microseconds=round(open_s * 1e6))
    milliseconds = round(open_s * 1000)
    # One thread: FFmpeg's frame threads each hold a picture back.
    options = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    return cv2.VideoCapture(source, cv2.CAP_FFMPEG, [*options, cv2.CAP_PROP_N_THREADS, 1])


def _open_v4l2(source: str, asked: tuple[int, int, float]) -> cv2.VideoCapture:
    if not Path(source).exists() or not os.access(source, os.R_OK | os.W_OK):
        raise why_no_device(source)
    width, height, fps = asked
    options = [cv2.CAP_PROP_FRAME_WIDTH, width, cv2.CAP_PROP_FRAME_HEIGHT, height, cv2.CAP_PROP_FPS, round(fps)]
    return cv2.VideoCapture(source, cv2.CAP_V4L2, options)


def why_refused(source: str, open_s: float) -> SourceError:
    """Ask the address once more through PyAV, which names its errors where OpenCV only says no."""
    shown = without_password(source)
    options: dict[str, str] = {"rtsp_transport": "tcp", "timeout": str(round(open_s * 1e6))}
    try:
        with av.open(source, options=options, timeout=open_s):
            return SourceError(f"{shown}: {NO_PICTURE}")
    except (av.FFmpegError, OSError, ValueError) as error:
        for kinds, reason in REASONS:
            if isinstance(error, kinds):
                return SourceError(f"{shown}: {reason}", password=kinds is REASONS[0][0])
        return SourceError(f"{shown}: {NO_PICTURE}")


def why_no_device(source: str) -> SourceError:
    """What keeps a V4L2 device from opening, as far as the file system shows."""
    if not Path(source).exists():
        return SourceError(f"{source}: no such camera; plug it in, or name another (ls /dev/video*)")
    if not os.access(source, os.R_OK | os.W_OK):
        return SourceError(f"{source}: may not be opened; add this user to the group video and log in again")
    return SourceError(f"{source}: gives no picture; another program may hold it, or it is no capture device")
