"""A V4L2 device or an rtsp:// address, open; when one does not open, the reason in one sentence.

Streams go through PyAV, packet by packet, so that what nobody looks at need not be decoded. Devices go through OpenCV,
which is imported only for them: the capture process of a stream stays small.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

from device.errors import FallwatchError

ASK_S = 5.0
"""FFmpeg's own wait to get to know a stream (analyzeduration)."""


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

OF_THE_NETWORK = tuple(kind for kinds, _ in REASONS[:-1] for kind in kinds)

NO_PICTURE = "opened and gave no picture that can be decoded; set the camera to H.264"


def without_password(source: str) -> str:
    """A source as it may be shown: no user, no password, in the address or in its query."""
    bare = re.sub(r"^(\w+://).*@", r"\1", source)
    return re.sub(r"(?i)((?:pass\w*|pwd|token|user\w*)=)[^&/\s]*", r"\1…", bare)


class Stream:
    """An open rtsp:// address. size: width, height; fps: as the stream states it, 0 where it does not."""

    def __init__(self, source: str, open_s: float, decoder: str) -> None:
        """decoder: "" for FFmpeg's own, else a hardware device or a decoder by FFmpeg's name. Raises SourceError."""
        self._shown = without_password(source)
        self._container = _open(source, self._shown, open_s, decoder)
        if not self._container.streams.video:
            raise SourceError(f"{self._shown}: {NO_PICTURE}")
        self._stream = self._container.streams.video[0]
        self._codec = _codec(self._stream, decoder)
        self.fps = float(self._stream.average_rate or 0.0)
        self.packets = 0

    def pictures(self, wanted: Callable[[float], bool]) -> Iterator[tuple[float, float, av.VideoFrame]]:
        """Pictures with the monotonic and the Unix time at which they came; ends when the stream does.

        wanted: whether a picture at that moment would be looked at. One that is not, and that no other refers to, is
        not decoded at all.
        """
        try:
            for packet in self._container.demux(self._stream):
                t, wall = time.monotonic(), time.time()
                self.packets += 1
                self._codec.skip_frame = "DEFAULT" if wanted(t) else "NONREF"
                for picture in self._decoded(packet):
                    yield t, wall, picture
        except (av.FFmpegError, OSError) as error:
            raise _refusal(self._shown, error) from None

    def _decoded(self, packet: Any) -> list[Any]:
        """A damaged packet costs its own picture and no more: the next key frame puts it right."""
        try:
            return list(self._codec.decode(packet))
        except av.error.InvalidDataError:
            return []

    def close(self) -> None:
        self._container.close()


def _open(source: str, shown: str, open_s: float, decoder: str) -> Any:
    """Over TCP: over UDP a lost packet is a grey smear that looks like movement.

    timeout: of each wait on the socket. No fflags=nobuffer: it throws away what was read to know the stream, the only
    key frame for seconds among it, and the camera then opens without a picture.
    """
    options = {"rtsp_transport": "tcp", "timeout": str(round(open_s * 1e6))}
    hardware = HWAccel(decoder, allow_software_fallback=False) if decoder in hwdevices_available() else None
    try:
        return av.open(source, options=options, timeout=(open_s + ASK_S, open_s), hwaccel=hardware)
    except RuntimeError as error:  # PyAV's word for a device that cannot decode this stream
        raise _no_decoder(decoder, error) from None
    except (av.FFmpegError, OSError, ValueError) as error:
        if hardware and not isinstance(error, OF_THE_NETWORK):
            raise _no_decoder(decoder, error) from None
        raise _refusal(shown, error) from None


def _codec(stream: Any, decoder: str) -> Any:
    """What decodes the stream: one thread, because frame threads each hold a picture back."""
    codec = stream.codec_context
    if decoder and decoder not in hwdevices_available():
        codec = _named_codec(codec, decoder)
    codec.thread_type, codec.thread_count = "SLICE", 1
    return codec


def _named_codec(given: Any, decoder: str) -> Any:
    """A decoder of that name for the same stream, opened now so that a board without it says so now."""
    own = [f"{given.name}_{maker}" for maker in ("v4l2m2m", "cuvid", "qsv")]
    have = ", ".join([*hwdevices_available(), *(name for name in own if name in av.codecs_available)])
    if decoder not in av.codecs_available:
        raise SourceError(f'decoder "{decoder}" is not in this FFmpeg, which has {have}; correct camera.decoder')
    try:
        codec: Any = av.CodecContext.create(decoder, "r")
        codec.extradata, codec.width, codec.height = given.extradata, given.width, given.height
        codec.open()
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _no_decoder(decoder, error) from None
    return codec


def _no_decoder(decoder: str, error: BaseException) -> SourceError:
    return SourceError(f'decoder "{decoder}" does not work on this machine ({error}); leave camera.decoder empty')


def _refusal(shown: str, error: BaseException) -> SourceError:
    for kinds, reason in REASONS:
        if isinstance(error, kinds):
            return SourceError(f"{shown}: {reason}", password=kinds is REASONS[0][0])
    return SourceError(f"{shown}: {NO_PICTURE}")


class V4l2:
    """An open V4L2 device, by OpenCV. grab() takes a picture, retrieve() turns the one last grabbed into BGR."""

    def __init__(self, source: str, asked: tuple[int, int, float]) -> None:
        """asked: width, height, fps. Raises SourceError."""
        import cv2

        cv2.setNumThreads(1)
        source = f"/dev/video{source}" if source.isdigit() else source
        if not Path(source).exists() or not os.access(source, os.R_OK | os.W_OK):
            raise why_no_device(source)
        width, height, fps = asked
        options = [cv2.CAP_PROP_FRAME_WIDTH, width, cv2.CAP_PROP_FRAME_HEIGHT, height, cv2.CAP_PROP_FPS, round(fps)]
        self._capture = cv2.VideoCapture(source, cv2.CAP_V4L2, options)
        got, pixels = self._capture.read() if self._capture.isOpened() else (False, None)
        if not got or pixels is None or pixels.ndim != 3:
            self._capture.release()
            raise why_no_device(source)
        self.size = (pixels.shape[1], pixels.shape[0])
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))

    def grab(self) -> bool:
        """Wait for the next picture; False when there will be none."""
        return bool(self._capture.grab())

    def retrieve(self) -> Any:
        """The grabbed picture, a uint8 array (height, width, 3) BGR. Raises SourceError."""
        got, pixels = self._capture.retrieve()
        if not got or pixels is None or pixels.ndim != 3:
            raise SourceError("a picture could not be decoded")
        return pixels


def why_no_device(source: str) -> SourceError:
    """What keeps a V4L2 device from opening, as far as the file system shows."""
    if not Path(source).exists():
        return SourceError(f"{source}: no such camera; plug it in, or name another (ls /dev/video*)")
    if not os.access(source, os.R_OK | os.W_OK):
        return SourceError(f"{source}: may not be opened; add this user to the group video and log in again")
    return SourceError(f"{source}: gives no picture; another program may hold it, or it is no capture device")
