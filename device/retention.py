"""How much of the disk events may take: a cap that holds before every write, and a reserve that clips never touch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from device.recording import TEMP

MB = 1024 * 1024
BLOCK = 4096
"""A file takes whole blocks of the disk."""


def disk_bytes(sizes: list[int]) -> int:
    """What files of these sizes take on the disk."""
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take on the disk; files that vanish meanwhile count nothing."""
    total = 0
    for base, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += disk_bytes([os.stat(os.path.join(base, name)).st_size])
            except FileNotFoundError:
                continue
    return total


def make_room(events: Path, need: int, cap_mb: int, reserve_mb: int, removed: Callable[[str], None]) -> str | None:
    """Let `need` bytes fit: remove the oldest events until the cap holds, then leave the reserve free.

    removed: told the id of each event that went. Returns None when it fits, else one sentence that says why not, and
    then nothing was removed. No event goes for the reserve: others filled the disk, and what was recorded is evidence.
    """
    if need > cap_mb * MB:
        return f"{events}: the event takes {need / MB:.0f} MB and store.cap_mb is {cap_mb}; raise it"
    free = shutil.disk_usage(events).free
    # ULIDs sort by time.
    kept = sorted(path for path in events.iterdir() if path.is_dir() and not path.name.startswith(TEMP))
    sizes = {path: folder_bytes(path) for path in kept}
    excess = sum(sizes.values()) + need - cap_mb * MB
    going = []
    for path in kept:
        if excess <= 0:
            break
        going.append(path)
        excess -= sizes[path]
    if free + sum(sizes[path] for path in going) - need < reserve_mb * MB:
        return (
            f"{events}: no clip recorded, {free / MB:.0f} MB free and {reserve_mb} MB are kept for alerts; "
            "free some disk"
        )
    for path in going:
        shutil.rmtree(path, ignore_errors=True)
        removed(path.name)
    return None
