"""One capture process as its parent sees it: what it says, its pictures, and its end, which is always in our hands."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import device
from device.capture import Order
from device.frame_ring import FrameRing, make_memory
from device.settings import Camera as CameraSettings

log = logging.getLogger(__name__)

OPEN_S = 15.0
"""Until the first frame: Python and OpenCV start, FFmpeg reads a stream for up to 5 s to know it (its analyzeduration),
then waits for a key frame. The deadline of the settings holds from the first frame on."""

REAP_S = 1.0
"""A killed process is gone within this, unless it hangs in the kernel; then it is left behind."""


class CaptureProcess:
    """A running device.capture with its pipe and its ring. pipe: readable when it has said something."""

    def __init__(self, settings: CameraSettings, step_s: float, loop: bool) -> None:
        """step_s: seconds between two pictures that are looked at; others are not converted."""
        self._memory = make_memory()
        self.pipe, theirs = os.pipe()
        os.set_blocking(self.pipe, False)
        order = Order(
            source=settings.source,
            width=settings.width,
            height=settings.height,
            fps=settings.fps,
            open_s=max(settings.deadline_s, OPEN_S / 2),
            step_s=step_s,
            decoder=settings.decoder,
            mask=[[list(point) for point in polygon] for polygon in settings.mask],
            loop=loop,
            memory=self._memory,
            pipe=theirs,
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "device.capture"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # FFmpeg writes addresses with passwords there.
                env=_environment(),
                pass_fds=(self._memory, theirs),
                start_new_session=True,  # Ctrl-C is for the unit.
            )
        finally:
            os.close(theirs)
        self.pid = self._process.pid
        with contextlib.suppress(BrokenPipeError):  # A process that died at once is told by its pipe.
            stdin = self._process.stdin
            assert stdin is not None
            stdin.write(order.line())
            stdin.flush()
        self._ring: FrameRing | None = None
        self._rest = b""

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it has said since; ends with {"what": "gone"} when it has closed its pipe."""
        while True:
            try:
                piece = os.read(self.pipe, 65536)
            except BlockingIOError:
                return
            if not piece:
                yield {"what": "gone"}
                return
            *whole, self._rest = (self._rest + piece).split(b"\n")
            yield from (json.loads(line) for line in whole)

    def map_ring(self, slot_bytes: int) -> None:
        """Look into its ring; it has said how large its slots are."""
        self._ring = FrameRing(self._memory, slot_bytes)

    def picture(self, line: dict[str, Any]) -> NDArray[np.uint8] | None:
        """The announced picture where it lies in the ring, read-only, (height, width, 3) BGR; None when it is gone.

        It stays until SLOTS - 1 more have come: use it at once, then ask whether it is still `whole`.
        """
        if self._ring is None or not self._ring.whole(line["seq"]):
            return None
        height, width = line["height"], line["width"]
        pixels = np.frombuffer(self._ring.look(line["seq"], height * width * 3), np.uint8).reshape(height, width, 3)
        pixels.flags.writeable = False
        return pixels

    def whole(self, seq: int) -> bool:
        """Whether picture seq has not been written over since."""
        return self._ring is not None and self._ring.whole(seq)

    def kill(self) -> None:
        """End it, whatever it is doing, and let go of everything shared with it."""
        self._process.kill()
        try:
            self._process.wait(REAP_S)
        except subprocess.TimeoutExpired:
            log.error("capture process %d hangs in the kernel and cannot be killed; a new one is started", self.pid)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        os.close(self.pipe)
        os.close(self._memory)


def _environment() -> dict[str, str]:
    """The child finds this very package, installed or not."""
    home = str(Path(device.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}
