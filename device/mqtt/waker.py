"""Wakes a thread that waits for the network: a byte through a socket pair, which a selector can wait for beside it."""

from __future__ import annotations

import socket
from contextlib import suppress


class Waker:
    """wake() from any thread; the one that waits reads `socket` and empties it with drain()."""

    def __init__(self) -> None:
        self.socket, self._out = socket.socketpair()
        self.socket.setblocking(False)
        self._out.setblocking(False)

    def wake(self) -> None:
        """Returns at once."""
        with suppress(OSError):  # full: it is awake already; closed: it has stopped
            self._out.send(b"!")

    def drain(self) -> None:
        """Take what woke us."""
        with suppress(BlockingIOError):
            while self.socket.recv(4096):
                pass

    def close(self) -> None:
        self.socket.close()
        self._out.close()
