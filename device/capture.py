"""The capture process: opens one source, takes its pictures, burns the privacy mask in, puts them into the ring.

Started by device.camera with an order on stdin; answers with a JSON object a line on a pipe. It holds nothing that is
needed later: whatever blocks in here is killed from outside. It ends when stdin closes, that is with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.footage import FootageError, describe, read_footage, source_kind
from device.frame_ring import FrameRing
from device.live_source import LiveSource, SourceError, open_live

MAX_WIDTH = 1920
"""Wider pictures are shrunk here: no clip is wider (settings.Recorder.width), and it bounds the ring's memory."""

MAX_FPS = 20.0
"""Pictures of a camera converted per second at most. All are grabbed, so none is stale. The network takes 10; with 20
no camera of any rate leaves more than a step between two pictures (thinned to 15, one of 18 a second would)."""

LOOP_PAUSE_S = 1.5
"""Before a looped file starts again; above the sampler's gap, so that the cut is a new start and no movement."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the parent asks for. mask: polygons of [x, y], 0..1 from the top left. memory, pipe: file descriptors."""

    source: str
    width: int
    height: int
    fps: float
    open_s: float
    mask: list[list[list[float]]]
    loop: bool
    memory: int
    pipe: int

    def line(self) -> bytes:
        """One line of JSON for stdin; never the command line, which everybody can read: an address holds a password."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Burner:
    """Blacks the privacy mask out, in place."""

    def __init__(self, mask: list[list[list[float]]]) -> None:
        self._mask = [np.asarray(polygon, np.float64) for polygon in mask]

    def burn(self, pixels: NDArray[np.uint8]) -> None:
        """Fill every polygon with black, its edge included."""
        height, width = pixels.shape[:2]
        for polygon in self._mask:
            cv2.fillPoly(pixels, [np.rint(polygon * (width, height)).astype(np.int32)], (0, 0, 0))


class Pace:
    """Which of the grabbed pictures are worth converting: `fps` of them on average, evenly."""

    def __init__(self, fps: float = MAX_FPS) -> None:
        self._period = 1.0 / fps
        self._due = -float("inf")

    def takes(self, t: float) -> bool:
        """True when the picture grabbed at t is due; missed ones are not made up for."""
        if t < self._due:
            return False
        self._due = max(self._due + self._period, t)
        return True


class Publisher:
    """Pictures into the ring, words onto the pipe."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._burner = Burner(order.mask)
        self._ring: FrameRing | None = None
        self._seq = 0
        self.grabbed = 0

    def say(self, what: str, **words: Any) -> None:
        """One line that must arrive: waits for a slow parent."""
        os.write(self._order.pipe, json.dumps({"what": what, **words}).encode() + b"\n")

    def opened(self, width: int, height: int, fps: float) -> None:
        """Make the ring for pictures of this size and tell the parent."""
        width, height = shrunk_size(width, height)
        self._ring = FrameRing(self._order.memory, width * height * 3)
        self.say("opened", width=width, height=height, fps=fps, slot_bytes=self._ring.slot_bytes)

    def slot(self, width: int, height: int) -> NDArray[np.uint8]:
        """Where the next picture goes, as large as a picture of this size travels. Raises SourceError: too large."""
        width, height = shrunk_size(width, height)
        if self._ring is None or width * height * 3 > self._ring.slot_bytes:
            raise SourceError("the picture changed its size; it is opened again")
        return self._ring.begin(self._seq + 1, height, width)

    def publish(self, slot: NDArray[np.uint8], t: float, wall: float) -> None:
        """Mask the picture that lies in its slot, mark it whole, announce it."""
        if self._ring is None:
            raise SourceError("a picture before the source was opened")
        self._burner.burn(slot)
        self._seq += 1
        self._ring.end(self._seq)
        height, width = slot.shape[:2]
        frame = {"what": "frame", "seq": self._seq, "t": t, "wall": wall, "width": width, "height": height}
        try:
            os.set_blocking(self._order.pipe, False)
            os.write(self._order.pipe, json.dumps({**frame, "grabbed": self.grabbed}).encode() + b"\n")
        except BlockingIOError:
            pass  # A parent that does not listen misses pictures; the next line it reads names a newer one.
        finally:
            os.set_blocking(self._order.pipe, True)


def shrunk_size(width: int, height: int) -> tuple[int, int]:
    """The width and height a picture travels in: at most MAX_WIDTH wide, same shape."""
    if width <= MAX_WIDTH:
        return width, height
    return MAX_WIDTH, max(1, round(height * MAX_WIDTH / width))


def put(pixels: NDArray[np.uint8], slot: NDArray[np.uint8]) -> None:
    """Copy a picture into its slot, shrunk to fit."""
    if pixels.shape == slot.shape:
        np.copyto(slot, pixels)
    else:
        cv2.resize(pixels, (slot.shape[1], slot.shape[0]), dst=slot, interpolation=cv2.INTER_AREA)


def play_live(source: LiveSource, publisher: Publisher) -> None:
    """Grab every picture, convert the due ones straight into their slots; SourceError when the stream ends."""
    pace = Pace()
    width, height = source.size
    while source.grab():
        t, wall = time.monotonic(), time.time()
        publisher.grabbed += 1
        if not pace.takes(t):
            continue
        slot = publisher.slot(width, height)
        pixels = source.retrieve(slot if slot.shape == (height, width, 3) else None)
        if not np.shares_memory(pixels, slot):
            height, width = pixels.shape[:2]
            slot = publisher.slot(width, height)
            put(pixels, slot)
        publisher.publish(slot, t, wall)
    raise SourceError("the stream ended")


def play_file(order: Order, publisher: Publisher) -> None:
    """The pictures of a file at the moments of its own time stamps: t is exactly the start plus the stamp."""
    start = time.monotonic()
    while True:
        last = 0.0
        for frame in read_footage(order.source):
            last = frame.t
            t = start + frame.t
            time.sleep(max(0.0, t - time.monotonic()))
            publisher.grabbed += 1
            slot = publisher.slot(frame.pixels.shape[1], frame.pixels.shape[0])
            put(frame.pixels, slot)
            publisher.publish(slot, t, time.time() - time.monotonic() + t)
        if not order.loop:
            return
        start += last + LOOP_PAUSE_S


def play(order: Order, publisher: Publisher) -> None:
    """Open the source, say so, and play it to its end."""
    if source_kind(order.source) == "file":
        first = next(read_footage(order.source))
        publisher.opened(first.pixels.shape[1], first.pixels.shape[0], describe(order.source).fps)
        play_file(order, publisher)
        publisher.say("ended")
        return
    source = open_live(order.source, (order.width, order.height, order.fps), order.open_s)
    publisher.opened(*source.size, source.fps)
    play_live(source, publisher)


def run(order: Order) -> None:
    """Play the source; whatever ends it is the last line on the pipe."""
    publisher = Publisher(order)
    try:
        play(order, publisher)
    except (SourceError, FootageError) as error:
        publisher.say("failed", error=str(error), password=getattr(error, "password", False))
    except BrokenPipeError:
        return  # The parent is gone.
    except Exception as error:
        # The process ends here whatever it was; a traceback would go nowhere, the parent says the sentence.
        publisher.say("failed", error=f"the capture process failed: {type(error).__name__}: {error}", password=False)


def die_with_parent() -> None:
    """End this process at once when stdin closes: the parent is gone, or has let go."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def read_order() -> Order:
    """The order on stdin; ends the process when the parent closes before a whole line."""
    line = b""
    while not line.endswith(b"\n"):
        if not (piece := os.read(0, 4096)):
            raise SystemExit(0)
        line += piece
    return Order(**json.loads(line))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the unit, which then closes stdin.
    cv2.setNumThreads(1)
    todo = read_order()
    die_with_parent()
    run(todo)
