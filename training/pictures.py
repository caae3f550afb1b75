"""A folder or a zip of numbered pictures -> Frames, as the public datasets ship them (UR Fall, UP-Fall).

A picture's time is in its name (UP-Fall: 2018-07-04T12_04_17.738369.png) or follows from its number and a rate.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.footage import FootageError
from device.records import Frame

ENDINGS: Final = (".png", ".jpg", ".jpeg", ".bmp")
STAMP: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[T_ ](\d{2})[_:-](\d{2})[_:-](\d{2}(?:\.\d+)?)$")


def is_pictures(path: Path) -> bool:
    """Whether this is footage as pictures: a folder, or a zip."""
    return path.is_dir() or path.suffix.lower() == ".zip"


def picture_names(path: Path) -> list[str]:
    """Names of the pictures in a folder or zip, by time stamp or else by the last number in the name.

    Raises FootageError naming the path when there are none, or it cannot be read.
    """
    try:
        if path.is_dir():
            found = [entry.name for entry in path.iterdir() if entry.is_file()]
        else:
            with zipfile.ZipFile(path) as archive:
                found = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise FootageError(f"{path}: cannot be read ({error}); fetch it again") from None
    names = [name for name in found if name.lower().endswith(ENDINGS) and not PurePosixPath(name).name.startswith(".")]
    if not names:
        raise FootageError(f"{path}: no picture in it ({', '.join(ENDINGS)}); name a folder or zip of pictures")
    return sorted(names, key=_order)


def stamps(names: Sequence[str], fps: float | None, path: Path) -> list[float]:
    """Seconds of each picture from the first: from their names, else at `fps` pictures a second.

    Raises FootageError when the names carry no time and no rate is given, or time stands still.
    """
    moments = [moment(PurePosixPath(name).stem) for name in names]
    if all(one is not None for one in moments):
        t = [(one - moments[0]).total_seconds() for one in moments if one is not None and moments[0] is not None]
    elif fps:
        t = [index / fps for index in range(len(names))]
    else:
        raise FootageError(f"{path}: the names of its pictures carry no time; give pictures per second in column fps")
    for earlier, later, name in zip(t, t[1:], names[1:], strict=False):
        if later <= earlier:
            raise FootageError(f"{path}: {name} is not later than the picture before it; correct the names")
    return t


def moment(text: str) -> datetime | None:
    """The moment that a name ends with, or None."""
    found = STAMP.search(text)
    return datetime.fromisoformat(f"{found[1]}T{found[2]}:{found[3]}:{_padded(found[4])}") if found else None


def read_pictures(path: Path, fps: float | None = None) -> Iterator[Frame]:
    """Every picture in order as a Frame: BGR as it lies in the file, t in seconds from the first.

    Raises FootageError naming the picture that cannot be decoded.
    """
    names = picture_names(path)
    times = stamps(names, fps, path)
    if path.is_dir():
        for index, (name, t) in enumerate(zip(names, times, strict=True)):
            yield Frame(index, t, t, _decoded((path / name).read_bytes(), path, name))
        return
    with zipfile.ZipFile(path) as archive:
        for index, (name, t) in enumerate(zip(names, times, strict=True)):
            try:
                content = archive.read(name)
            except (OSError, zipfile.BadZipFile, zlib.error) as error:
                raise FootageError(f"{path}: {name} cannot be unpacked ({error}); fetch the zip again") from None
            yield Frame(index, t, t, _decoded(content, path, name))


def _decoded(content: bytes, path: Path, name: str) -> NDArray[np.uint8]:
    coded = np.frombuffer(content, np.uint8)
    picture = cv2.imdecode(coded, cv2.IMREAD_COLOR) if coded.size else None
    if picture is None:
        raise FootageError(f"{path}: {name} is no picture; delete it or fetch it again")
    return np.asarray(picture, np.uint8)


def _order(name: str) -> tuple[str, int, str]:
    stem = PurePosixPath(name).stem
    numbers = re.findall(r"\d+", stem)
    return (stem, 0, name) if STAMP.search(stem) else ("", int(numbers[-1]) if numbers else 0, name)


def _padded(seconds: str) -> str:
    """Microseconds to six digits, as datetime.fromisoformat of Python 3.11 and older wants them."""
    whole, _, part = seconds.partition(".")
    return f"{whole}.{part[:6]:0<6}" if part else whole
