"""Tells other processes that a unit's courier is at work on this store."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

LOCK = "courier.lock"


class Presence:
    """A lock on a file in the unit's folder, gone with the process that holds it, however that ends."""

    def __init__(self, folder: Path, name: str = LOCK) -> None:
        self._path = folder / name
        self._handle: int | None = None

    def take(self) -> bool:
        """Try to hold the lock; True while we do. Nobody waits for it: to send twice does no harm, not to send does."""
        if self._handle is not None:
            return True
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(handle)
            else:
                self._handle = handle
        return self._handle is not None

    def __enter__(self) -> Presence:
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
