"""The first hundred bytes of a store: whether they can be right, and what they must be so that the rest can be read.

Layout: https://www.sqlite.org/fileformat2.html#the_database_header. SQLite answers a wrong one with "not a database",
"read only", "unsupported" or "cannot be opened", as the bytes fall; a store of ours is known better than that.
"""

from __future__ import annotations

import os
import struct
import threading
from contextlib import suppress
from pathlib import Path

SIZE = 100
MAGIC = b"SQLite format 3\0"
FIELDS = struct.Struct(">16sHBBBBBBIIIIIIIIIIII20sII")
PAGE = 4096
"""Bytes of a page, SQLite's default since 3.12 and in every store of ours."""
TABLE_PAGES = (5, 13)
"""First byte of a page of a table: with further pages below it, or without."""
VERSION_MOST = 10_000
"""No release has that many schemas: above it the number is damage, below it that of a newer release."""
TRACES = ("reserve.bin", "health.json", "events")
"""What lies beside a store that was in use; beside one that is being made there is none of it."""

MOST_OPEN = 64
"""Stores whose descriptor is kept. A unit has one, and one more each time a damaged one is set aside."""

_reading = threading.Lock()
_open: dict[tuple[int, int], int] = {}


def wound(path: Path) -> str:
    """What is wrong with the file as far as its header says, "" for nothing; a file that is not there is not wrong.

    What a write-ahead log still holds is SQLite's to judge: it may have a better header.
    """
    try:
        raw = _read(path)
        logged = _size(path.with_name(f"{path.name}-wal")) > 0
    except OSError:
        return ""
    if not raw:
        used = any((path.parent / trace).exists() for trace in TRACES)
        return "it is empty, and was in use" if used else ""
    return "" if logged or _right(raw) else "its header is garbage"


def repairable(path: Path) -> bool:
    """Whether the header alone is wrong: behind it begins a page of the kind that lists the tables. Raises OSError."""
    raw = _read(path, SIZE + 1)
    return bool(wound(path)) and len(raw) > SIZE and raw[SIZE] in TABLE_PAGES


def repair(path: Path, aside: Path, version: int) -> None:
    """Write a header with which what lies behind it can be read, and keep the one that was there in `aside`.

    version: of the schema that the file had. Raises OSError.
    """
    aside.write_bytes(_read(path))
    pages = _size(path) // PAGE
    header = FIELDS.pack(
        MAGIC, PAGE, 2, 2, 0, 64, 32, 32, 1, pages, 0, 0, 1, 4, 0, 0, 1, version, 0, 0, bytes(20), 1, 0
    )
    with path.open("r+b") as file:
        file.write(header)
        file.flush()
        os.fsync(file.fileno())


def _right(raw: bytes) -> bool:
    if len(raw) < SIZE:
        return False
    magic, page, *numbers = FIELDS.unpack(raw)
    write, read, _, most, least, leaf = numbers[:6]
    form, encoding, version, zeros = numbers[11], numbers[14], numbers[15], numbers[18]
    return bool(
        magic == MAGIC
        and page == PAGE
        and {write, read} <= {1, 2}
        and (most, least, leaf) == (64, 32, 32)
        and form <= 4
        and encoding <= 3
        and version <= VERSION_MOST
        and not any(zeros)
    )


def _read(path: Path, size: int = SIZE) -> bytes:
    """The first bytes, through a descriptor that stays open.

    Closing any descriptor of a file gives up every POSIX lock that the process has on it (fcntl(2); "How To Corrupt An
    SQLite Database File", 2.2), those of SQLite's open connections too: another process that closes the store would
    then take itself for the last and remove the log that this one writes to.
    """
    with _reading:
        status = path.stat()
        place = (status.st_dev, status.st_ino)
        if place not in _open:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            status = os.fstat(handle)
            place = (status.st_dev, status.st_ino)
            _open.setdefault(place, handle)  # a second one, of a file put in place meanwhile, stays open too
            while len(_open) > MOST_OPEN:
                os.close(_open.pop(next(iter(_open))))
        return os.pread(_open[place], size, 0)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
