"""A file of real blocks on the unit's disk that is given up when the disk is full, so that an alert still fits."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from device.settings import Store

FILE = "reserve.bin"
MAX_MB = 8
"""An alert takes about 2 kB in journal and outbox together; 8 MB is room for some thousands of them."""
MB = 1024 * 1024


class Reserve:
    """The reserve of one unit; several threads and processes may hold one over the same folder."""

    def __init__(self, folder: Path, settings: Store) -> None:
        self.path = folder / FILE
        self.bytes = min(settings.reserve_mb, MAX_MB) * MB

    def keep(self) -> bool:
        """Lay the reserve down again when the disk has room for it twice; True while it lies there."""
        try:
            if self.path.exists():
                return True
            if shutil.disk_usage(self.path.parent).free < 2 * self.bytes:
                return False
            self._lay_down()
        except OSError:
            return False
        return True

    def release(self) -> bool:
        """Give its space to whoever needs it now; True when there was any to give."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True

    def _lay_down(self) -> None:
        part = self.path.with_suffix(".part")
        handle = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            os.posix_fallocate(handle, 0, self.bytes)  # real blocks: a sparse file would give nothing back
            os.replace(part, self.path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
