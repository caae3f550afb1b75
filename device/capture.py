"""The capture process: opens one source, takes its pictures, burns the privacy mask in, puts them into the ring.

Only pictures that take a step of the network are converted: they are thinned to its grid right here. Forked by
device.capture_server for device.camera; its order comes on stdin, its answers go into a socket, a JSON object each. It
holds nothing that is needed later: whatever blocks in here is killed from outside. It ends when stdin closes, that is
with the unit. There is one for every camera, so neither numpy nor OpenCV is imported where PyAV is enough: they would
double its memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import av
from av.video.reformatter import Interpolation, VideoReformatter

from device.burner import BYTES_A_PIXEL, Burner
from device.decode import FootageError, describe, pictures, source_kind
from device.frame_ring import FrameRing
from device.grid import Grid
from device.live_source import SourceError, Stream, V4l2

MAX_WIDTH = 1920
"""Wider pictures are shrunk here: no clip is wider (settings.Recorder.width), and it bounds the ring's memory."""

LATE_S = 1.0
"""A file that is behind its time by more goes on from now, as a camera would: to catch up in a hurry takes the
processor from the loop that waits for the pictures."""

LOOP_PAUSE_S = 1.5
"""Before a looped file starts again; above the sampler's gap, so that the cut is a new start and no movement."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the parent asks for.

    step_s: seconds between two pictures that are looked at. mask: polygons of [x, y], 0..1 from the top left.
    decoder: of a stream, "" for software.
    """

    source: str
    width: int
    height: int
    fps: float
    open_s: float
    step_s: float
    decoder: str
    mask: list[list[list[float]]]
    loop: bool

    def line(self) -> bytes:
        """One line of JSON for stdin; never the command line, which everybody can read: an address holds a password."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Publisher:
    """Pictures into the ring, words to the unit. memory: the ring's. unit: a socket that keeps messages apart."""

    def __init__(self, order: Order, memory: int, unit: socket.socket) -> None:
        self._memory = memory
        self._unit = unit
        self._burner = Burner(order.mask)
        self._ring: FrameRing | None = None
        self._reformatter = VideoReformatter()
        self._seq = 0
        self.grid = Grid(order.step_s)
        self.grabbed = 0

    def say(self, what: str, **words: Any) -> None:
        """One word that must arrive: waits for a slow unit."""
        self._unit.send(json.dumps({"what": what, **words}).encode())

    def opened(self, width: int, height: int, fps: float) -> None:
        """Make the ring for pictures of this size and tell the unit."""
        width, height = shrunk_size(width, height)
        self._ring = FrameRing(self._memory, width * height * BYTES_A_PIXEL)
        self.say("opened", width=width, height=height, fps=fps, slot_bytes=self._ring.slot_bytes)

    def publish(self, picture: av.VideoFrame, t: float, wall: float) -> None:
        """Convert a picture into its slot as BGR, upright, masked; mark it whole, announce it."""
        width, height = shrunk_size(picture.width, picture.height)
        shrink = Interpolation.AREA if (width, height) != (picture.width, picture.height) else None
        bgr = self._reformatter.reformat(picture, width, height, "bgr24", interpolation=shrink, threads=1)
        if picture.rotation % 360:
            self.publish_array(_turned(bgr.to_ndarray(), picture.rotation), t, wall)
            return
        slot = self._slot(width, height)
        _copy_rows(memoryview(bgr.planes[0]), bgr.planes[0].line_size, slot, width * BYTES_A_PIXEL)
        self._announce(slot, (width, height), t, wall)

    def publish_array(self, pixels: Any, t: float, wall: float) -> None:
        """The same for a uint8 array (height, width, 3) BGR."""
        import cv2

        width, height = shrunk_size(pixels.shape[1], pixels.shape[0])
        if width != pixels.shape[1]:
            pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        slot = self._slot(width, height)
        slot[:] = memoryview(pixels.reshape(-1))
        self._announce(slot, (width, height), t, wall)

    def _slot(self, width: int, height: int) -> memoryview:
        size = width * height * BYTES_A_PIXEL
        if self._ring is None or size > self._ring.slot_bytes:
            raise SourceError("the picture changed its size; it is opened again")
        return self._ring.begin(self._seq + 1, size)

    def _announce(self, slot: memoryview, size: tuple[int, int], t: float, wall: float) -> None:
        assert self._ring is not None
        width, height = size
        self._burner.burn(slot, width, height)
        self._seq += 1
        self._ring.end(self._seq)
        frame = {"what": "frame", "seq": self._seq, "t": t, "wall": wall, "width": width, "height": height}
        frame |= {"grid": self.grid.start, "grabbed": self.grabbed}
        # Who does not listen misses pictures; the next word names a newer one.
        with contextlib.suppress(BlockingIOError):
            self._unit.send(json.dumps(frame).encode(), socket.MSG_DONTWAIT)


def shrunk_size(width: int, height: int) -> tuple[int, int]:
    """The width and height a picture travels in: at most MAX_WIDTH wide, same shape."""
    if width <= MAX_WIDTH:
        return width, height
    return MAX_WIDTH, max(1, round(height * MAX_WIDTH / width))


def _copy_rows(rows: memoryview, stride: int, slot: memoryview, row_bytes: int) -> None:
    """The one copy of a picture. rows: as FFmpeg lays them, `stride` bytes apart."""
    if stride == row_bytes:
        slot[:] = rows[: len(slot)]
        return
    for row in range(len(slot) // row_bytes):
        slot[row * row_bytes : (row + 1) * row_bytes] = rows[row * stride : row * stride + row_bytes]


def _turned(pixels: Any, degrees: int) -> Any:
    """Upright, as the file's display matrix asks; degrees run counter-clockwise. Few files need it, no camera does."""
    import numpy as np

    return np.ascontiguousarray(np.rot90(pixels, round(degrees / 90)))


def play_stream(stream: Stream, publisher: Publisher) -> None:
    """Convert the pictures that take a step; SourceError when the stream ends."""
    for t, wall, picture in stream.pictures(publisher.grid.would_take):
        if publisher.grabbed == 0:
            publisher.opened(picture.width, picture.height, stream.fps)
        publisher.grabbed = stream.packets
        if publisher.grid.takes(t):
            publisher.publish(picture, t, wall)
    raise SourceError("the stream ended")


def play_device(device: V4l2, publisher: Publisher) -> None:
    """Grab every picture, so that none is stale, and convert those that take a step; SourceError when it stops."""
    while device.grab():
        t, wall = time.monotonic(), time.time()
        publisher.grabbed += 1
        if publisher.grid.takes(t):
            publisher.publish_array(device.retrieve(), t, wall)
    raise SourceError("the stream ended")


def play_file(order: Order, publisher: Publisher) -> None:
    """The pictures of a file at the moments of its own time stamps: t is exactly the start plus the stamp."""
    start = time.monotonic()
    while True:
        last = 0.0
        for at, picture in pictures(order.source):
            if publisher.grabbed == 0:
                side = picture.rotation % 180 != 0
                width, height = (picture.height, picture.width) if side else (picture.width, picture.height)
                publisher.opened(width, height, describe(order.source).fps)
                start = time.monotonic()
            publisher.grabbed += 1
            start += late if (late := time.monotonic() - start - at) > LATE_S else 0.0
            last, t = at, start + at
            if publisher.grid.takes(t):
                time.sleep(max(0.0, t - time.monotonic()))
                publisher.publish(picture, t, time.time() - time.monotonic() + t)
        if not order.loop:
            return
        start += last + LOOP_PAUSE_S


def play(order: Order, publisher: Publisher) -> None:
    """Open the source, say so, and play it to its end."""
    kind = source_kind(order.source)
    if kind == "file":
        play_file(order, publisher)
        publisher.say("ended")
    elif kind == "rtsp":
        play_stream(Stream(order.source, order.open_s, order.decoder), publisher)
    else:
        device = V4l2(order.source, (order.width, order.height, order.fps))
        publisher.opened(*device.size, device.fps)
        play_device(device, publisher)


def run(order: Order, publisher: Publisher) -> None:
    """Play the source; whatever ends it is the last word."""
    try:
        play(order, publisher)
    except (SourceError, FootageError) as error:
        publisher.say("failed", error=str(error), password=getattr(error, "password", False))
    except BrokenPipeError:
        return  # The unit is gone.
    except Exception as error:
        # The process ends here whatever it was; a traceback would go nowhere, the unit says the sentence.
        publisher.say("failed", error=f"the capture process failed: {type(error).__name__}: {error}", password=False)


def die_with_unit() -> None:
    """End this process at once when stdin closes: the unit is gone, or has let go."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="unit", daemon=True).start()


def read_order() -> Order | None:
    """The order on stdin; None when the unit closes before a whole line."""
    line = b""
    while not line.endswith(b"\n"):
        if not (piece := os.read(0, 4096)):
            return None
        line += piece
    return Order(**json.loads(line))


def main(memory: int, unit: socket.socket) -> None:
    """All of a capture process, from its order on stdin to its last word."""
    if order := read_order():
        die_with_unit()
        run(order, Publisher(order, memory, unit))
