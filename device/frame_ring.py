"""Pictures from the capture process to the unit through shared memory: one slot a picture, newest wins.

The rule: the writer fills slot `seq % SLOTS`, stamps it, and only then announces seq on its pipe; the reader copies
the slot out and looks at the stamp again. A stamp that is no longer seq means that the writer has lapped the reader:
the copy is thrown away. So a torn picture cannot be handed on, and neither side ever waits for the other.
The memory has no name: it goes when both processes are gone, however they went.
"""

from __future__ import annotations

import mmap
import os

import numpy as np
from numpy.typing import NDArray

SLOTS = 3
"""One being read, one complete, one being written."""

STAMP_BYTES = 8 * SLOTS
HEADER_BYTES = 64
"""Stamps first, pictures on a cache line of their own."""


def make_memory() -> int:
    """A file descriptor of memory that both processes can map; the writer gives it its size."""
    return os.memfd_create("fallwatch-frames")


class FrameRing:
    """The slots, mapped in this process. slot_bytes: size of the largest picture, height x width x 3."""

    def __init__(self, memory: int, slot_bytes: int) -> None:
        size = HEADER_BYTES + SLOTS * slot_bytes
        if os.fstat(memory).st_size < size:
            os.ftruncate(memory, size)
        self.slot_bytes = slot_bytes
        self._map = mmap.mmap(memory, size)
        whole = np.frombuffer(self._map, np.uint8)
        self._stamps = whole[:STAMP_BYTES].view(np.uint64)
        self._slots = [
            whole[HEADER_BYTES + slot * slot_bytes : HEADER_BYTES + (slot + 1) * slot_bytes] for slot in range(SLOTS)
        ]

    def begin(self, seq: int, height: int, width: int) -> NDArray[np.uint8]:
        """Writer: the slot of picture seq as (height, width, 3) uint8, to be filled in place, then end(seq)."""
        self._stamps[seq % SLOTS] = 0
        return self._slots[seq % SLOTS][: height * width * 3].reshape(height, width, 3)

    def end(self, seq: int) -> None:
        """Writer: picture seq is whole. Sequence numbers start at 1; 0 marks a slot that is being written."""
        self._stamps[seq % SLOTS] = seq

    def copy(self, seq: int, height: int, width: int) -> NDArray[np.uint8] | None:
        """Reader: a copy of picture seq, (height, width, 3) uint8 BGR; None when it has been overwritten."""
        slot = seq % SLOTS
        if self._stamps[slot] != seq:
            return None
        pixels = self._slots[slot][: height * width * 3].reshape(height, width, 3).copy()
        return pixels if self._stamps[slot] == seq else None
