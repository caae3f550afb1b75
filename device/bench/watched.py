"""One unit over N cameras, measured from inside: a process of its own that ends with one line of JSON.

    python -m device.bench.watched '{"source": "film.mp4", "cameras": 2, "seconds": 10, "core": null, "bundle": "..."}'

Every camera plays the same film in real time through a capture process of its own, as on a wall. Nothing is left out:
the recorder keeps its pictures, the journal is on disk; only the broker is missing.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from device.bench.machine import cpu_s, memory_mb
from device.clock import SystemClock
from device.loop import Turn
from device.settings import Mqtt, RoomCamera, Settings, Store
from device.unit import Unit

SETTLE_STEPS = 25
"""Steps of each camera before anything is counted: everything is loaded and the network warm."""

PATIENCE_S = 30.0
"""For all to start and settle on one core; one that has not by then carries fewer cameras."""


@dataclass(frozen=True, slots=True)
class Order:
    """core: the one processor core that all of it must do with; None for all. seconds: measured after settling."""

    source: str
    cameras: int
    seconds: float
    core: int | None
    bundle: str


@dataclass(slots=True)
class Mark:
    """What the clocks said at one moment; captures: processor seconds of all capture processes."""

    t: float
    loop: float
    captures: float
    fresh: int


class Watched:
    """Counts turns; takes the marks between which things are measured."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.stop = threading.Event()
        self.first: dict[str, float] = {}
        self.began: Mark | None = None
        self.said: dict[str, Any] = {}
        self._turns = 0
        self._fresh = 0
        self._unit: Unit | None = None

    def run(self, folder: Path) -> dict[str, Any]:
        """Watch until it has been measured; the result, empty when it never settled."""
        settings = settings_for(self.order, folder)
        self._unit = Unit(settings, Path(self.order.bundle), SystemClock(), lambda turn, _alerts: self._told(turn))
        limit = threading.Timer(PATIENCE_S + self.order.seconds, self.stop.set)
        limit.start()
        self._unit.run(self.stop)
        limit.cancel()
        return self.said

    def _told(self, turn: Turn) -> None:
        self._turns += 1
        self._fresh += not turn.step.held
        if self._turns == 1:
            self.first = {
                "first_t": time.monotonic(),
                "first_cpu_s": time.process_time() + self._captures_s() + self._started_s(),
            }
        if self.began is None and self._turns >= SETTLE_STEPS * self.order.cameras:
            self.began = self._mark()
        elif self.began and time.monotonic() - self.began.t >= self.order.seconds and not self.said:
            self.said = self._measured(self.began, self._mark())
            self.stop.set()

    def _pids(self) -> list[int]:
        assert self._unit is not None
        return [pid for eye in self._unit.eyes if (pid := eye.camera.pid) is not None]

    def _captures_s(self) -> float:
        return sum(cpu_s(pid) for pid in self._pids())

    def _server(self) -> list[int]:
        """What several capture processes are forked from; it does nothing after that, but is in memory."""
        assert self._unit is not None
        captures = self._unit.captures
        return [captures.pid] if captures is not None and captures.pid is not None else []

    def _started_s(self) -> float:
        """Processor seconds of what started the capture processes, whether it is still there or not."""
        ended = os.times()
        return ended.children_user + ended.children_system + sum(cpu_s(pid) for pid in self._server())

    def _mark(self) -> Mark:
        return Mark(time.monotonic(), time.process_time(), self._captures_s(), self._fresh)

    def _measured(self, a: Mark, b: Mark) -> dict[str, Any]:
        assert self._unit is not None
        fresh, seconds = b.fresh - a.fresh, b.t - a.t
        step_s = self._unit.eyes[0].watch.network.card.input.step_s
        memory = [memory_mb(pid) for pid in (os.getpid(), *self._server(), *self._pids())]
        return {
            **asdict(self.order),
            **self.first,
            "seconds": round(seconds, 2),
            "steps": fresh,
            "kept_up": round(fresh * step_s / seconds / self.order.cameras, 4),
            "loop_ms": round(1000 * (b.loop - a.loop) / fresh, 3),
            "capture_ms": round(1000 * (b.captures - a.captures) / fresh, 3),
            "ring_mb": round(sum(eye.recorder.bytes_held for eye in self._unit.eyes) / 2**20, 1),
            "memory_mb": {name: round(sum(one[name] for one in memory), 1) for name in memory[0]},
            "unit_mb": memory[0],
            "server_mb": memory[1] if self._server() else None,
            "capture_mb": memory[-1],
        }


def settings_for(order: Order, folder: Path) -> Settings:
    """A unit of so many cameras, each in a room of its own, that writes into `folder` and speaks to no broker."""
    cameras = [RoomCamera(id=f"cam-{n}", room=f"room-{n}", source=order.source) for n in range(1, order.cameras + 1)]
    return Settings(cameras=cameras, mqtt=Mqtt(enabled=False), store=Store(folder=str(folder)))


def main(text: str) -> int:
    order = Order(**json.loads(text))
    if order.core is not None:
        os.sched_setaffinity(0, {order.core})
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="fallwatch-bench-") as folder:
        said = Watched(order).run(Path(folder))
    print(json.dumps(said), flush=True)
    return 0 if said else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
