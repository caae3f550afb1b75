"""Frames from a V4L2 device, an rtsp:// address or a file in real time, taken in a process of its own.

A camera library can block for ever, in the kernel too: so it lives in a process (device.capture) that is killed when
no frame has come for the deadline, and started again, for ever, with a growing pause. All of that happens inside
`read`, in the caller's thread, on the monotonic clock. The newest frame is handed out; older ones are counted as drops.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from device.capture_process import OPEN_S, CaptureProcess, order_for
from device.captures import Captures
from device.clock import Clock, SystemClock
from device.errors import FallwatchError
from device.live_source import without_password
from device.records import Frame
from device.settings import Camera as CameraSettings

log = logging.getLogger(__name__)

STEP_S = 0.1
"""Seconds between two steps of the network (DESIGN section 4), where no card says otherwise."""

PAUSE_FIRST_S = 1.0
PAUSE_LAST_S = 5.0
"""Pause before a start: doubled from the first to the last. With the time to open, a camera that comes back is seen
again within 10 s (DESIGN section 8)."""

PAUSE_PASSWORD_S = 30.0
"""Pause after a refused password: cameras lock an account that is tried too often."""

SETTLE_S = 0.5
MEASURE_S = 1.5
"""`probe` counts pictures between these moments after the first: a stream opens with a burst of what was read to know
it."""


class CameraState(StrEnum):
    """How the camera stands; `refused` and `lost` are tried again for ever, `ended` is a file that was played."""

    OPENING = "opening"
    STREAMING = "streaming"
    ENDED = "ended"
    REFUSED = "refused"
    LOST = "lost"


class CameraError(FallwatchError):
    """A camera that gives no picture; the text says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a camera was measured to give: pixels, and pictures per second."""

    width: int
    height: int
    fps: float


def pause_s(failures: int) -> float:
    """Seconds before the next start after this many failures in a row, 1 or more."""
    return float(min(PAUSE_FIRST_S * 2 ** min(failures - 1, 16), PAUSE_LAST_S))


class Camera:
    """The unit's eye. One thread calls start, read and close; the properties may be read from any."""

    def __init__(
        self,
        settings: CameraSettings,
        clock: Clock | None = None,
        *,
        step_s: float = STEP_S,
        loop: bool = False,
        captures: Captures | None = None,
    ) -> None:
        """step_s: seconds between two pictures that are looked at. loop: a file starts again at its end.

        captures: what several cameras share, ended by whoever made it; None for a camera that is alone.
        """
        self.settings = settings
        self.state = CameraState.OPENING
        self.error = ""
        self.drops = 0
        self.restarts = 0
        self.grabbed = 0
        self._clock = clock or SystemClock()
        self._step_s = step_s
        self._loop = loop
        self._shared = captures is not None
        self._captures = captures or Captures()
        self._child: CaptureProcess | None = None
        self._failures = 0
        self._base = 0
        self._seq = 0
        self._due = 0.0
        self._heard = 0.0

    @property
    def pid(self) -> int | None:
        """The capture process, while there is one."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the capture process; returns at once."""
        self._begin()

    def close(self) -> None:
        """End the capture process; the camera may be started again."""
        self._end_child()
        if not self._shared:
            self._captures.end()

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame, waited for at most timeout_s; None when there is none. Restarts what died on the way.

        Its pixels lie in memory that the capture process writes again after two more pictures: use them at once and
        then ask `whole`, or copy them.
        """
        end = self._clock.now() + timeout_s
        while True:
            frame = self._turn()
            left = end - self._clock.now()
            if frame is not None or left <= 0:
                return frame
            wait_for_any([self], left)

    def _turn(self) -> Frame | None:
        """Hear what the process said, then judge its silence."""
        now = self._clock.now()
        if self._child is None:
            if self.state is not CameraState.ENDED and now >= self._due:
                self.restarts += 1
                self._begin()
            return None
        newest: dict[str, Any] | None = None
        last: dict[str, Any] | None = None
        for line in self._child.lines():
            match line["what"]:
                case "frame":
                    self.drops += newest is not None
                    newest = line
                case "opened":
                    self._child.map_ring(line["slot_bytes"])
                case _:
                    last = last or line
        if self._child.pid is not None and not self._shared:
            self._captures.end()
        frame = self._take(newest, now) if newest else None
        if last:
            self._finish(last)
        elif now - self._heard > self._patience_s():
            self._fail(f"no picture for {self._patience_s():g} s; check cable, power and network of the camera")
        return frame

    def _take(self, line: dict[str, Any], now: float) -> Frame | None:
        assert self._child is not None
        self._heard = now
        self.grabbed = line["grabbed"]
        self._seq = line["seq"]
        pixels = self._child.picture(line)
        if pixels is None:
            self.drops += 1
            return None
        if self.state is not CameraState.STREAMING:
            log.info("camera %s: streaming %dx%d", self._shown(), line["width"], line["height"])
            self.state, self.error, self._failures = CameraState.STREAMING, "", 0
        return Frame(self._base + self._seq, line["t"], line["wall"], pixels, line["grid"])

    def whole(self) -> bool:
        """Whether the pixels of the frame last read have not been written over since."""
        return self._child is not None and self._child.whole(self._seq)

    def _finish(self, line: dict[str, Any]) -> None:
        """The process said its last word, or went without one."""
        if line["what"] == "ended":
            self.state = CameraState.ENDED
            self._end_child()
            return
        self._fail(line.get("error", "the capture process died"), password=line.get("password", False))

    def _fail(self, text: str, *, password: bool = False) -> None:
        seen = self.state is CameraState.STREAMING or self.state is CameraState.LOST
        self.state = CameraState.LOST if seen else CameraState.REFUSED
        self.error = self._sentence(text)
        self._failures += 1
        wait = PAUSE_PASSWORD_S if password else pause_s(self._failures)
        log.log(
            logging.WARNING if self._failures == 1 else logging.DEBUG,
            "camera %s; tried again in %g s, and on for ever",
            self.error,
            wait,
        )
        self._end_child()
        self._due = self._clock.now() + wait

    def _begin(self) -> None:
        self._end_child()
        self._base, self._seq = self._base + self._seq, 0
        self._heard = self._clock.now()
        try:
            self._child = CaptureProcess(self._captures, order_for(self.settings, self._step_s, self._loop))
        except OSError as error:
            self._fail(f"no capture process can be started ({error.strerror})")

    def _end_child(self) -> None:
        if self._child:
            self._child.kill()
            self._child = None

    def _patience_s(self) -> float:
        return self.settings.deadline_s if self._seq else max(OPEN_S, self.settings.deadline_s)

    @property
    def pipe(self) -> int | None:
        """A file descriptor that is readable when the capture process has said something; None while there is none."""
        return self._child.fileno() if self._child else None

    def due_s(self) -> float:
        """Seconds until `read` must be called even if nothing was said: to judge a silence, or to start again."""
        now = self._clock.now()
        if self._child is not None:
            return max(0.0, self._heard + self._patience_s() - now) + 0.001
        return float("inf") if self.state is CameraState.ENDED else max(0.0, self._due - now)

    def _shown(self) -> str:
        return without_password(self.settings.source)

    def _sentence(self, text: str) -> str:
        """What went wrong, where, with no password in it."""
        shown = self._shown()
        text = text.replace(self.settings.source, shown)
        return text if text.startswith(shown) else f"{shown}: {text}"


def wait_for_any(cameras: Sequence[Camera], timeout_s: float) -> None:
    """Sleep until one of the cameras has something to be read, a deadline of one passes, or timeout_s is over."""
    pipes = [pipe for camera in cameras if (pipe := camera.pipe) is not None]
    select.select(pipes, [], [], min([timeout_s, *(camera.due_s() for camera in cameras)]))


def probe(settings: CameraSettings, deadline_s: float = OPEN_S) -> Sight:
    """Open the camera once and measure what it gives. Raises CameraError with one sentence."""
    clock = SystemClock()
    camera = Camera(settings, clock)
    camera.start()
    try:
        end = clock.now() + deadline_s
        frame = None
        while frame is None:
            frame = camera.read(0.2)
            if camera.state is CameraState.REFUSED or clock.now() > end:
                text = camera.error or camera._sentence(f"no picture within {deadline_s:g} s; check address and power")
                raise CameraError(text)
        fps = _rate(camera, frame)
        return Sight(frame.pixels.shape[1], frame.pixels.shape[0], fps)
    finally:
        camera.close()


def _rate(camera: Camera, first: Frame) -> float:
    """Pictures per second that the camera gives, all of them counted; 0 when it stops at once."""
    counted: list[tuple[float, int]] = []
    frame: Frame | None = first
    while frame is not None and frame.t - first.t < MEASURE_S:
        frame = camera.read(MEASURE_S)
        if frame is not None and frame.t - first.t >= SETTLE_S:
            counted.append((frame.t, camera.grabbed))
    if len(counted) < 2:
        return 0.0
    return (counted[-1][1] - counted[0][1]) / (counted[-1][0] - counted[0][0])
