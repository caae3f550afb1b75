"""What starts capture processes, as the unit holds it: one server for all cameras, replaced when it died or hangs."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import device
from device.capture_server import PLAIN, WITH_OPENCV

REAP_S = 1.0
"""A killed process is gone within this, unless it hangs in the kernel; then it is left behind."""


class Captures:
    """Has capture processes started; the server behind it starts with the first of them. One thread calls it.

    Several cameras share one, so that what a capture process is made of lies in memory once. A camera that is alone
    ends it as soon as it has its process: nobody is left to share with.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """The server, while there is one."""
        return self._server.pid if self._server else None

    def start(self, order: int, memory: int, words: int, *, opencv: bool = False) -> None:
        """Ask for a process with these descriptors, and return at once; they are the caller's to close.

        opencv: it will need OpenCV. A server that is gone or no longer listens is replaced. Raises OSError where none
        can be started.
        """
        asked, given = [WITH_OPENCV if opencv else PLAIN], [order, memory, words]
        with contextlib.suppress(OSError):
            if self._line is not None:
                socket.send_fds(self._line, asked, given)
                return
        socket.send_fds(self._begin(), asked, given)

    def end(self) -> None:
        """End the server; the capture processes that it started go on. The next start brings a new one."""
        if self._line is not None:
            self._line.close()
        if self._server is not None:
            self._server.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(REAP_S)
        self._line = self._server = None

    def _begin(self) -> socket.socket:
        self.end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "device.capture_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # FFmpeg writes addresses with passwords there.
                env=_environment(),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for the unit.
            )
        ours.setblocking(False)
        self._line = ours
        return ours


def _environment() -> dict[str, str]:
    """The server finds this very package, installed or not, and numpy starts no thread in it that a fork would lose."""
    home = str(Path(device.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
