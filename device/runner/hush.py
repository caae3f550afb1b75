"""A runtime's own chatter kept off the journal, and read where it says why something did not open.

The runtimes write to file descriptor 2 from C++ ("Created TensorFlow Lite XNNPACK delegate", "Failed to load library
libonnxruntime_providers_cuda.so"): it tells a nurse nothing, and no level or variable turns all of it off.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import IO

MOST_KEPT = 100_000
"""Bytes of chatter that are read back."""


class Chatter:
    """What was written to standard error meanwhile; complete once the block has ended."""

    text = ""


@contextlib.contextmanager
def runtime_hushed() -> Iterator[Chatter]:
    """Send file descriptor 2 elsewhere for a moment. What goes wrong comes as an exception all the same."""
    said = Chatter()
    kept = os.dup(2)
    try:
        with _somewhere() as place:
            os.dup2(place.fileno(), 2)
            try:
                yield said
            finally:
                os.dup2(kept, 2)
                if place.readable():
                    place.seek(0)
                    said.text = place.read(MOST_KEPT).decode("utf-8", errors="replace")
    finally:
        os.close(kept)


def one_line(error: BaseException) -> str:
    """An error's first line, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _somewhere() -> IO[bytes]:
    """A file that goes by itself; nowhere at all on a unit whose disk is full, which must still be able to watch."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "wb")
