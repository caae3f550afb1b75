"""Pictures from the capture process to the unit through shared memory: one slot a picture, newest wins.

The rule: the writer fills slot `seq % SLOTS`, stamps it, and only then announces seq on its pipe; the reader uses the
slot and looks at the stamp again. A stamp that is no longer seq means that the writer has lapped the reader: what was
made of it is thrown away. So a torn picture is not handed on, and neither side ever waits for the other.
The memory has no name: it goes when both processes are gone, however they went.
"""

from __future__ import annotations

import mmap
import os

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
        whole = memoryview(mmap.mmap(memory, size))
        self._stamps = whole[:STAMP_BYTES].cast("Q")
        self._slots = [
            whole[HEADER_BYTES + slot * slot_bytes : HEADER_BYTES + (slot + 1) * slot_bytes] for slot in range(SLOTS)
        ]

    def begin(self, seq: int, size: int) -> memoryview:
        """Writer: the `size` bytes for picture seq, to be filled in place, then end(seq)."""
        self._stamps[seq % SLOTS] = 0
        return self._slots[seq % SLOTS][:size]

    def end(self, seq: int) -> None:
        """Writer: picture seq is whole. Sequence numbers start at 1; 0 marks a slot that is being written."""
        self._stamps[seq % SLOTS] = seq

    def look(self, seq: int, size: int) -> memoryview:
        """Reader: where picture seq lies, `size` bytes; use it, then ask whether it is still `whole`."""
        return self._slots[seq % SLOTS][:size]

    def whole(self, seq: int) -> bool:
        """Reader: picture seq has not been written over, nor begun to be."""
        return self._stamps[seq % SLOTS] == seq
