"""One capture process as the unit sees it: what it says, its pictures, and its end, which is always in our hands."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device.capture import Order
from device.captures import REAP_S, Captures
from device.decode import source_kind
from device.frame_ring import FrameRing, make_memory
from device.settings import Camera as CameraSettings

log = logging.getLogger(__name__)

OPEN_S = 15.0
"""Until the first frame: Python and PyAV start, FFmpeg reads a stream for up to 5 s to know it (its analyzeduration),
then waits for a key frame. The deadline of the settings holds from the first frame on."""

WORD_BYTES = 65536
"""Far more than any word is long."""


class CaptureProcess:
    """A running device.capture with its words and its ring. pid: None until it has been announced."""

    def __init__(self, captures: Captures, order: Order) -> None:
        """Have it started by `captures`; returns at once. Raises OSError where nothing can be started."""
        self.pid: int | None = None
        self._captures = captures
        self._handle: int | None = None
        self._ring: FrameRing | None = None
        self._memory = make_memory()
        theirs_order, self._order = os.pipe()
        self._words, theirs_words = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._words.setblocking(False)
        try:
            opencv = source_kind(order.source) == "v4l2"
            captures.start(theirs_order, self._memory, theirs_words.fileno(), opencv=opencv)
        except OSError:
            self._let_go()
            raise
        finally:
            os.close(theirs_order)
            theirs_words.close()
        with contextlib.suppress(BrokenPipeError):  # A process that died at once is told by its words.
            os.write(self._order, order.line())

    def fileno(self) -> int:
        """Readable when it has said something."""
        return self._words.fileno()

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it has said since; ends with {"what": "gone"} when there is nobody to say more."""
        while True:
            try:
                word, handles, _, _ = socket.recv_fds(self._words, WORD_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except ConnectionError:
                word, handles = b"", []
            if not word:
                yield {"what": "gone"}
                return
            said = json.loads(word)
            if handles:
                self.pid, self._handle = said["pid"], handles[0]
            else:
                yield said

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
        """End it, whatever it is doing, and let go of everything shared with it.

        One that has not even been announced ends by itself as soon as it is started, and what should have started it is
        not trusted any more.
        """
        for _ in self.lines():
            pass
        if self._handle is None:
            self._captures.end()
        elif not _killed(self._handle):
            log.error("capture process %d hangs in the kernel and cannot be killed; a new one is started", self.pid)
        self._let_go()

    def _let_go(self) -> None:
        self._words.close()
        for descriptor in (self._order, self._memory, self._handle):
            if descriptor is not None:
                os.close(descriptor)


def order_for(settings: CameraSettings, step_s: float, loop: bool) -> Order:
    """What a camera of these settings is asked for. step_s: seconds between two pictures that are looked at."""
    return Order(
        source=settings.source,
        width=settings.width,
        height=settings.height,
        fps=settings.fps,
        open_s=max(settings.deadline_s, OPEN_S / 2),
        step_s=step_s,
        decoder=settings.decoder,
        mask=[[list(point) for point in polygon] for polygon in settings.mask],
        loop=loop,
    )


def _killed(handle: int) -> bool:
    """Kill the process that a handle stands for; whether it is gone within REAP_S."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    gone = bool(waiting.poll(1000 * REAP_S))
    with contextlib.suppress(ChildProcessError):  # Its server buries it; without one, process 1 does, which may be us.
        os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG)
    return gone
