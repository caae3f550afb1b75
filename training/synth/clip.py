"""A rendered clip and its file. Reading one needs no renderer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.labels import FALLING, INDEX, LABELS
from training.pieces import UNREADABLE, content_fits, write_arrays

FORMAT: Final = 2
PEOPLE: Final = 2
"""People whose place is recorded; a third person in a scene would be a label nobody could check."""
SEEN_PIXELS: Final = 12
"""Fewer pixels than this (0.1 % of 128 x 96) are not a visible person."""


@dataclass(frozen=True)
class Clip:
    """One rendered clip, as the camera delivered it, at 10 steps a second.

    grey: uint8 (T, 96, 128). owner: uint8 (T, 96, 128), 0 nobody, 1 the first person, 2 the second; pets, aids and
    furniture are nobody. label: uint8 (T,), places in LABELS. height: float32 (T, 2), head of each person over the
    floor in m, nan when absent or not visible. meta: plain JSON; `content` there is left, top, width, height of the
    picture within the raster (bars around it where the camera is not 4:3).
    """

    grey: NDArray[np.uint8]
    owner: NDArray[np.uint8]
    label: NDArray[np.uint8]
    height: NDArray[np.float32]
    meta: dict[str, Any]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where somebody is: bool (T, 96, 128)."""
        return np.asarray(self.owner > 0)


def clip_path(folder: Path, index: int) -> Path:
    """Where clip `index` of a run lies."""
    return folder / f"clip_{index:06d}.npz"


def visible(owner: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each person has SEEN_PIXELS in each step: bool (T, 2)."""
    counts = [(owner == person + 1).sum(axis=(1, 2)) for person in range(PEOPLE)]
    return np.stack(counts, axis=1) >= SEEN_PIXELS


def boxes(clip: Clip) -> NDArray[np.float32]:
    """Where each person is: float32 (T, 2, 4), x0, y0, x1, y1 in raster pixels (x1, y1 exclusive), nan unseen."""
    out = np.full((len(clip.owner), PEOPLE, 4), np.nan, np.float32)
    for step, person in zip(*np.nonzero(visible(clip.owner)), strict=True):
        theirs = clip.owner[step] == person + 1
        columns, rows = np.flatnonzero(theirs.any(axis=0)), np.flatnonzero(theirs.any(axis=1))
        out[step, person] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return out


def save_clip(clip: Clip, path: Path) -> None:
    """Write a clip so that a reader sees all of it or none: to a temporary name, then renamed."""
    write_arrays(path, clip.meta, grey=clip.grey, owner=clip.owner, label=clip.label, height=clip.height)


def load_clip(path: Path) -> Clip:
    """Read a clip. Raises ValueError, naming the file, when it is not a whole clip of this format, or another thing."""
    again = "delete it and run synth again"
    try:
        with np.load(path, allow_pickle=False) as parts:
            meta = json.loads(parts["meta"].tobytes())
            again = _other_thing(meta) or again
            if meta.get("format") != FORMAT:
                raise ValueError(f"it holds clip format {meta.get('format')}, this version reads {FORMAT}")
            clip = Clip(parts["grey"], parts["owner"], parts["label"], parts["height"], meta)
    except UNREADABLE as error:
        raise ValueError(f"{path} is not a whole synthetic clip ({error}); {again}") from error
    flaw = _flaw(clip)
    if flaw:
        raise ValueError(f"{path} is not a whole synthetic clip ({flaw}); {again}")
    return clip


def _other_thing(meta: dict[str, Any]) -> str:
    """What a whole file is that is no clip of today, so that nobody deletes hours of work; empty for a clip."""
    if meta.get("kind") == "day":
        return "it is a piece of a simulated day: for `fallwatch mine` and `fallwatch evaluate --day`"
    if "truth" in meta:
        return "it was kept by `fallwatch mine`: its folder is for `fallwatch train --negatives`"
    if meta.get("format") == FORMAT - 1:
        return "read it as one of today's with `python -m training.synth.upgrade`"
    return ""


def _flaw(clip: Clip) -> str:
    """What is wrong with the arrays of a clip that could be read; empty when nothing is."""
    steps = len(clip.label)
    if clip.grey.dtype != np.uint8 or clip.grey.ndim != 3 or not steps or len(clip.grey) != steps:
        return f"grey {clip.grey.dtype} {clip.grey.shape} with {steps} labels"
    if clip.owner.dtype != np.uint8 or clip.owner.shape != clip.grey.shape or int(clip.owner.max()) > PEOPLE:
        return f"owner {clip.owner.dtype} {clip.owner.shape} up to {clip.owner.max()}"
    if clip.height.shape != (steps, PEOPLE) or clip.label.dtype != np.uint8 or int(clip.label.max()) >= len(LABELS):
        return f"height {clip.height.shape}, labels {clip.label.dtype} up to {clip.label.max()}"
    if not content_fits(clip.meta.get("content") or (-1, -1, 0, 0), clip.grey.shape[1:]):
        return f"content {clip.meta.get('content')}"
    return ""


def is_fall(clip: Clip) -> bool:
    """Whether a fall can be seen in the clip."""
    return bool((clip.label == INDEX[FALLING]).any())
