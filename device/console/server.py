"""uvicorn around the page; on Ctrl+C the open live streams end first, so that stopping takes no time."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path
from types import FrameType

import uvicorn

from device.console.app import build
from device.settings import Settings

GRACE_S = 2
"""An answer still under way on Ctrl+C gets this long; a page that is not read any more must not hold up a restart."""


class _Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.config.app.state.watch.stop()
        super().handle_exit(sig, frame)
        # uvicorn raises caught signals again after stopping, for its caller: SIGTERM is a wish fulfilled, not a death.
        self._captured_signals = [caught for caught in self._captured_signals if caught == signal.SIGINT]


def serve_on(listening: socket.socket, folder: Path, settings: Settings) -> None:
    """Answer on a bound socket until a signal ends it."""
    config = uvicorn.Config(
        build(folder, settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config).run(sockets=[listening])
