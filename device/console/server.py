"""uvicorn around the page; on Ctrl+C the open live streams end first, so that stopping takes no time."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from pathlib import Path
from types import FrameType

import uvicorn

from device.console.app import build
from device.console.stream import Watch
from device.settings import Settings

GRACE_S = 2
"""An answer still under way on Ctrl+C gets this long; a page that is not read any more must not hold up a restart."""


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, watch: Watch) -> None:
        super().__init__(config)
        self._watch = watch

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._watch.stop()
        super().handle_exit(sig, frame)


def serve_on(listening: socket.socket, folder: Path, settings: Settings) -> None:
    """Answer on a bound socket until a signal ends it."""
    app = build(folder, settings)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_S
    )
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises what it caught again once it has stopped: SIGTERM is a wish fulfilled then, not a death.
        signal.signal(signal.SIGTERM, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, app.state.watch).run(sockets=[listening])
