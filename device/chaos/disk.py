"""Everything that SQLite asks of its files, seen and if wanted refused: a shim over SQLite's own way to the disk (VFS).

    disk = Disk.install()
    disk.log                                   # every write, cut, sync and removal since then, in order
    disk.judge = lambda asked: FULL            # from now on the disk refuses what it is asked

SQLite's documented door is a table of functions behind each open file; three of them are replaced by ours, which write
down what was asked and pass it on. https://www.sqlite.org/vfs.html, sqlite3.h of 3.40; the layout is fixed by iVersion.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import threading
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from device.errors import FallwatchError

OK = 0
FULL = 13
"""SQLITE_FULL: what SQLite makes of ENOSPC."""
EIO_WRITE, EIO_SYNC, EIO_TRUNCATE = 778, 1034, 1546
"""SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE: what it makes of EIO."""

Kind = Literal["write", "cut", "sync", "remove", "mark"]


class NoShimError(FallwatchError):
    """This Python's SQLite cannot be reached from outside; the text says so."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing SQLite wants of a file. at: where it writes, or to what length it cuts. mark: a word of ours."""

    kind: Kind
    path: str
    at: int = 0
    data: bytes = b""
    mark: str = ""


Judge = Callable[[Asked], int]
"""0 lets it happen; else the SQLite error code that the disk answers with."""

# Names are bare addresses: SQLite keeps the pointer and reads on beyond the name, so it is handed on as it is.
OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(ctypes.Structure):
    _fields_: ClassVar[Any] = [
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", OPEN),
        ("xDelete", DELETE),
        *((f"rest{n}", c_void_p) for n in range(14)),  # xAccess to xNextSystemCall, version 3
    ]


class _Methods(ctypes.Structure):
    _fields_: ClassVar[Any] = [
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", c_void_p),
        ("xWrite", WRITE),
        ("xTruncate", TRUNCATE),
        ("xSync", SYNC),
        *((f"rest{n}", c_void_p) for n in range(13)),  # xFileSize to xUnfetch, version 3
    ]


class _File(ctypes.Structure):
    _fields_: ClassVar[Any] = [("pMethods", POINTER(_Methods))]


class Disk:
    """What SQLite asked of the files of this process, in order, from every thread."""

    _installed: ClassVar[Disk | None] = None

    def __init__(self) -> None:
        self.log: list[Asked] = []
        self.judge: Judge = lambda asked: OK
        self.keep = True
        self._lock = threading.Lock()
        self._paths: dict[int, str] = {}
        self._methods: dict[int, _Methods] = {}
        self._kept: list[Any] = []

    @classmethod
    def install(cls) -> Disk:
        """Between SQLite and the disk for the rest of this process. Raises NoShimError."""
        if cls._installed is None:
            disk = cls()
            disk._install()
            cls._installed = disk
        return cls._installed

    def mark(self, word: str) -> None:
        """Write a word between what SQLite asked before and what it asks after."""
        with self._lock:
            self.log.append(Asked("mark", "", mark=word))

    def _install(self) -> None:
        try:
            library = ctypes.CDLL(_sqlite3.__file__)  # its own symbols and those of the libsqlite3 that it is bound to
            find, register = library.sqlite3_vfs_find, library.sqlite3_vfs_register
        except (OSError, AttributeError):
            raise NoShimError(
                f"{_sqlite3.__file__}: hides its SQLite, so that its disk cannot be made to fail"
            ) from None
        find.restype, find.argtypes = POINTER(_Vfs), [c_char_p]
        register.restype, register.argtypes = c_int, [POINTER(_Vfs), c_int]
        found = find(None)
        if not found or found.contents.iVersion < 3:
            raise NoShimError(f"{_sqlite3.__file__}: its SQLite is too old for this; use one of 2011 or later")
        original = found.contents
        ours = _Vfs.from_buffer_copy(original)
        ours.zName = b"fallwatch-chaos"
        ours.xOpen = OPEN(self._opening(original))
        ours.xDelete = DELETE(self._deleting(original))
        self._kept += [original, ours]
        if register(ctypes.byref(ours), 1) != OK:
            raise NoShimError(f"{_sqlite3.__file__}: its SQLite takes no other way to the disk")

    def _opening(self, original: _Vfs) -> Callable[..., int]:
        pass_on = original.xOpen

        def opened(vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
            code = int(pass_on(vfs, name, file, flags, out))
            handle = _File.from_address(file)
            if code == OK and handle.pMethods:
                self._paths[file] = _read(name)
                handle.pMethods = ctypes.pointer(self._replaced(handle.pMethods))
            return code

        return opened

    def _replaced(self, methods: Any) -> _Methods:
        """The same table with our functions in it; one for each table that SQLite uses."""
        address = ctypes.addressof(methods.contents)
        if address not in self._methods:
            original = methods.contents
            ours = _Methods.from_buffer_copy(original)
            write, truncate, sync = original.xWrite, original.xTruncate, original.xSync

            def written(file: int, data: int, size: int, at: int) -> int:
                asked = Asked("write", self._paths.get(file, ""), at, ctypes.string_at(data, size))
                return self._asked(asked) or int(write(file, data, size, at))

            def truncated(file: int, size: int) -> int:
                return self._asked(Asked("cut", self._paths.get(file, ""), size)) or int(truncate(file, size))

            def synced(file: int, flags: int) -> int:
                return self._asked(Asked("sync", self._paths.get(file, ""))) or int(sync(file, flags))

            ours.xWrite, ours.xTruncate, ours.xSync = WRITE(written), TRUNCATE(truncated), SYNC(synced)
            self._kept.append(original)
            self._methods[address] = ours
        return self._methods[address]

    def _deleting(self, original: _Vfs) -> Callable[..., int]:
        pass_on = original.xDelete

        def deleted(vfs: int, name: int, sync: int) -> int:
            return self._asked(Asked("remove", _read(name))) or int(pass_on(vfs, name, sync))

        return deleted

    def _asked(self, asked: Asked) -> int:
        with self._lock:
            code = self.judge(asked)
            if code == OK and self.keep:
                self.log.append(asked)
        return code


def _read(name: int | None) -> str:
    """The name at an address; empty for a file without one."""
    return ctypes.string_at(name).decode() if name else ""
