"""Somebody close to the camera: a part of a rendered picture in which a body does not fit.

A unit may hang low, or somebody may sit right before it: then head and arms fill the picture, and no floor is seen.
Rendered cameras hang at 1.5 to 3 m and see people whole, so a network that knows only them takes big, quick arms for a
fall.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.labels import EMPTY, INDEX
from training.augment import Look
from training.cuts import Cut
from training.samples import ALARMING

ASPECTS: Final = (9 / 16, 4 / 3, 16 / 9)
SMALLEST: Final = 28
"""Stored pixels: what is magnified more than 2.5 times is a blot."""
MOST_GROWN: Final = 2.0
"""A part that would have to be larger than this shows somebody who is far away."""
BODY: Final = (0.4, 1.0)
"""Height of the part, in that of the person: from head and chest to all but the feet's surroundings."""
ROOM: Final = (1.05, 1.4)
"""Size of the part around a fall, in that of all the pixels that people pass through: they stay in the picture."""
FEWEST: Final = 20
"""Stored pixels of people below which nobody can be said to be seen in the part, nor to be gone from it."""

Box = tuple[int, int, int, int]
"""Left, top, width, height in stored pixels."""

People = NDArray[np.bool_]
"""Where somebody is: (steps, height, width)."""


def near(cut: Cut, rng: np.random.Generator) -> Cut:
    """The part of a cut that a camera close to its people sees; the cut itself where nobody is big enough for that.

    Where nobody falls, a part of one person's upper body: any posture is then right, as legs may not be seen, and an
    empty room once all have left the part. Where somebody falls or lies on the floor, a part that all people stay in.
    Raises ValueError for a cut that does not know where its people are.
    """
    if cut.people is None:
        raise ValueError("who is near must be known by a mask: rendered clips alone")
    alarming = bool(cut.allowed[:, ALARMING].any())
    content = cut.look.content
    box = _around(cut.people, content, rng) if alarming else _upper_body(cut.people, content, rng)
    if box is None:
        return cut
    part = replace(cut, look=Look(box, _within(cut.look.moved, box)))
    return part if alarming else _any_posture(part, cut.people)


def _around(people: People, content: Box, rng: np.random.Generator) -> Box | None:
    """All pixels that people pass through, with some room."""
    passed = _bounds(np.asarray(people.any(axis=0)))
    if passed is None:
        return None
    left, top, right, bottom = passed
    room = rng.uniform(*ROOM)
    width, height = (right - left) * room, (bottom - top) * room
    aspect = ASPECTS[rng.integers(len(ASPECTS))]
    height = max(height, width / aspect)
    return _placed((left + right) / 2, (top + bottom) / 2, height * aspect, height, content)


def _upper_body(people: People, content: Box, rng: np.random.Generator) -> Box | None:
    """From above a head downwards, as they are at one step."""
    there = _bounds(people[int(rng.integers(len(people)))])
    if there is None:
        return None
    left, top, right, bottom = there
    height = (bottom - top) * rng.uniform(*BODY)
    aspect = ASPECTS[rng.integers(len(ASPECTS))]
    above = height * rng.uniform(-0.05, 0.3)
    middle = (left + right) / 2 + height * aspect * rng.uniform(-0.2, 0.2)
    return _placed(middle, top - above + height / 2, height * aspect, height, content)


def _bounds(seen: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom (exclusive) of what is True; None for too few pixels."""
    if seen.sum() < FEWEST:
        return None
    columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _placed(middle_x: float, middle_y: float, width: float, height: float, content: Box) -> Box | None:
    """A box of about that size, moved into the picture; None for somebody far away, or all of the picture."""
    left, top, most_wide, most_high = content
    grown = max(1.0, SMALLEST / min(width, height))
    wide, high = min(round(width * grown), most_wide), min(round(height * grown), most_high)
    if grown > MOST_GROWN or (wide, high) == (most_wide, most_high):
        return None
    x = int(np.clip(round(middle_x - wide / 2), left, left + most_wide - wide))
    y = int(np.clip(round(middle_y - high / 2), top, top + most_high - high))
    return x, y, wide, high


def _within(moved: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    """Where it moves within a box, summing to 1 again."""
    x, y, width, height = box
    kept = np.zeros_like(moved)
    kept[y : y + height, x : x + width] = moved[y : y + height, x : x + width]
    total = float(kept.sum())
    return kept / np.float32(total) if total > 0 else kept


def _any_posture(cut: Cut, people: People) -> Cut:
    """Every everyday label but an empty room while somebody is in the part, an empty room when all are gone.

    Steps in between, with a sleeve in the picture, count for nothing.
    """
    x, y, width, height = cut.look.content
    pixels = people[:, y : y + height, x : x + width].sum(axis=(1, 2))
    allowed = np.ones_like(cut.allowed)
    allowed[:, ALARMING] = False
    allowed[:, INDEX[EMPTY]] = False
    allowed[pixels == 0] = False
    allowed[pixels == 0, INDEX[EMPTY]] = True
    doubtful = (pixels > 0) & (pixels < FEWEST)
    return replace(cut, allowed=allowed, weight=np.where(doubtful, 0, cut.weight).astype(np.float32))
