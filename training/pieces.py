"""Pieces of footage as .npz: simulated days, rendered clips and what was mined, grey pictures at the steady step.

A piece holds grey uint8 (steps, 96, 128), label uint8 (steps,) where the truth is known, and meta, JSON as bytes.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.labels import LABELS
from device.preprocess import Raster, to_grey
from training.footage import STEP_S, Footage
from training.written import whole

STORED_SHAPE = (96, 128)

UNREADABLE: Final = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
"""What numpy and json raise for a file that is no .npz of ours, or half of one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """grey: uint8 (steps, 96, 128). label: uint8 (steps,), places in LABELS, or None. meta: plain JSON."""

    grey: NDArray[np.uint8]
    label: NDArray[np.uint8] | None
    meta: dict[str, Any]

    def __len__(self) -> int:
        return len(self.grey)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a piece or a rendered clip says of itself, without its pictures: label as in Piece, meta plain JSON."""

    label: NDArray[np.uint8] | None
    meta: dict[str, Any]


def read_facts(path: Path) -> Facts:
    """The facts alone: half a millisecond where a clip's pictures take ten (measured). ValueError as read_piece."""
    try:
        with np.load(path, allow_pickle=False) as parts:
            return Facts(parts["label"] if "label" in parts.files else None, json.loads(parts["meta"].tobytes()))
    except UNREADABLE as error:
        raise ValueError(f"{path}: no whole piece of footage ({error}); delete it and make it again") from None


def pieces_in(folder: Path, pattern: str = "*.npz") -> list[Path]:
    """The pieces of a folder in the order of their names. Raises ValueError when there is none."""
    paths = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder}: no {pattern} in it; name a folder of pieces, e.g. made by fallwatch synth")
    return paths


def read_piece(path: Path) -> Piece:
    """Read a piece. Raises ValueError with one sentence naming the file when it is not a whole one."""
    try:
        with np.load(path, allow_pickle=False) as parts:
            label = parts["label"] if "label" in parts.files else None
            piece = Piece(parts["grey"], label, json.loads(parts["meta"].tobytes()))
    except UNREADABLE as error:
        raise ValueError(f"{path}: no whole piece of footage ({error}); delete it and make it again") from None
    grey, label = piece.grey, piece.label
    if grey.dtype != np.uint8 or grey.shape[1:] != STORED_SHAPE or not len(grey):
        raise ValueError(f"{path}: grey is {grey.dtype} {grey.shape}, not uint8 (steps, 96, 128); make it again")
    if label is not None and (label.shape != grey.shape[:1] or int(label.max()) >= len(LABELS)):
        raise ValueError(f"{path}: {label.shape} labels up to {label.max()} for {len(grey)} steps; make it again")
    return piece


def write_piece(piece: Piece, path: Path) -> None:
    """Write whole, then name: a reader never sees half a piece."""
    known = {} if piece.label is None else {"label": piece.label}
    write_arrays(path, piece.meta, grey=piece.grey, **known)


def write_arrays(path: Path, meta: dict[str, Any], **arrays: Any) -> None:
    """An .npz of arrays and of meta as JSON in bytes, written whole, then named."""
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)


def content_of(piece: Piece | Facts) -> tuple[int, int, int, int]:
    """Left, top, width, height of the picture between the bars of its raster; all of it where the piece does not say.

    Raises ValueError for one that does not lie within the raster.
    """
    height, width = STORED_SHAPE
    left, top, wide, high = piece.meta.get("content") or (0, 0, width, height)
    if not content_fits((left, top, wide, high), STORED_SHAPE):
        raise ValueError(f"its content {piece.meta['content']} is not within {width} x {height}")
    return int(left), int(top), int(wide), int(high)


def content_fits(content: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether left, top, width, height lie within a raster of (height, width), and are a picture at all."""
    left, top, width, height = content
    return min(left, top) >= 0 and min(width, height) >= 1 and left + width <= shape[1] and top + height <= shape[0]


def film_of(grey: NDArray[np.uint8], raster: Raster) -> Footage:
    """Stored pictures as footage on a network's raster: one stretch from t = 0 s, without a gap."""
    small = np.stack([to_grey(picture, raster) for picture in grey])
    t = np.arange(len(grey), dtype=np.float64) * STEP_S
    return Footage(t, small, np.arange(len(grey)) == 0, (grey.shape[2], grey.shape[1]))
