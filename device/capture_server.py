"""Starts capture processes by forking, so that Python, PyAV and FFmpeg are in memory once and not once for each camera.

Started by device.captures. A request is a message with three descriptors: where the order is read, the memory of the
pictures, where the capture process says its words. The new process is announced there too, with a descriptor by which
it can be killed and by which nobody else can be hit. One thread only, and no source is ever opened in here: a fork
copies neither a lock that somebody holds nor a camera. It ends when the unit does; capture processes outlive it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from device import capture

PLAIN = b"start"
WITH_OPENCV = b"start with OpenCV"
"""Requests. OpenCV is loaded once one asks for it: only a V4L2 device needs it, and it is as large as all the rest."""

DESCRIPTORS = 3
"""Of a request: order, memory, words."""


def serve(requests: socket.socket) -> None:
    """Fork for every request and bury who has ended, until the unit closes the socket."""
    born: dict[int, int] = {}
    while True:
        waiting: list[Any] = [requests, *born]
        ready, _, _ = select.select(waiting, [], [])
        for handle in born.keys() & set(ready):
            os.waitpid(born.pop(handle), 0)
            os.close(handle)
        if requests in ready:
            asked, given, _, _ = socket.recv_fds(requests, len(WITH_OPENCV), DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            if not asked:
                return
            if asked == WITH_OPENCV:
                _load_opencv()
            if len(given) == DESCRIPTORS:
                _start(given, requests, born)
            for descriptor in given:
                os.close(descriptor)


def _load_opencv() -> None:
    """Once, in here, where no thread comes of it (device.captures sees to that)."""
    with contextlib.suppress(ImportError):  # The capture process tries again, and says what is missing.
        importlib.import_module("cv2")
        gc.freeze()


def _start(given: list[int], requests: socket.socket, born: dict[int, int]) -> None:
    """Fork, and announce the process. born: handle -> process id, of those that have to be buried."""
    with socket.socket(fileno=os.dup(given[-1])) as words, contextlib.suppress(BrokenPipeError, BlockingIOError):
        try:
            pid = os.fork()
            if pid == 0:
                _become_capture(given, [requests.fileno(), words.fileno(), *born])
            handle = _handle_of(pid)
        except OSError as error:
            said = {"what": "failed", "error": f"no capture process can be started ({error.strerror})"}
            words.send(json.dumps(said).encode(), socket.MSG_DONTWAIT)
            return
        born[handle] = pid
        birth = json.dumps({"what": "born", "pid": pid}).encode()
        socket.send_fds(words, [birth], [handle], socket.MSG_DONTWAIT)


def _handle_of(pid: int) -> int:
    """A descriptor that stands for this very process (Linux 5.3 and newer). Raises OSError, the process then ended."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _become_capture(given: list[int], of_the_server: list[int]) -> NoReturn:
    """Hold nothing of the server's, nor of another camera's, then capture to the end."""
    try:
        for descriptor in of_the_server:
            os.close(descriptor)
        order, memory, words = given
        os.dup2(order, 0)
        os.close(order)
        capture.main(memory, socket.socket(fileno=words))
    finally:
        os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the unit, which then closes the socket.
    gc.freeze()  # What is loaded stays; a collection that looked at it would write to pages that all share.
    serve(socket.socket(fileno=int(sys.argv[1])))
