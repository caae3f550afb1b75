"""Other rooms behind the same people: what a network learns from the background, it has to unlearn (MODEL.md II.5).

A room is that of a real clip, a photograph of an empty one, or that of a rendered clip, each kind as often as the
others as far as there are any: real rooms are few, and each is worth many.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.mask import cut_out
from training.paste import background_without, swap_background
from training.samples import Sample

Picture = NDArray[np.uint8]

PHOTOGRAPH: Final = (192, 144)
"""Width and height a photograph is kept at: a random part of it still has the detail of a clip's 128 x 96."""

LEAST_PART: Final = 2 / 3
"""Smallest part of a photograph that is shown, along each side: at it the part is 128 x 96."""

EVERY: Final = 6
"""Of a rendered clip's steps, those its empty room is worked out from."""


class Backdrops:
    """Empty rooms of all clips, and where the people of the real ones are, as far as that can be told."""

    def __init__(self) -> None:
        self._real: list[Picture] = []
        self._photographs: list[Picture] = []
        self._rendered: list[Sample] = []
        self._people: dict[str, NDArray[np.uint8]] = {}

    def add(self, sample: Sample) -> None:
        """Take a clip's room in, and the mask of its people. Slow for a real clip: seconds for a long one."""
        if sample.source == "rendered":
            self._rendered.append(sample)
        elif sample.source == "real":
            found = cut_out(sample.grey)
            if found is not None:
                background, people = found
                self._real.append(_within(background, sample.content))
                self._people[sample.name] = np.packbits(people, axis=-1)

    def add_photographs(self, folder: Path) -> None:
        """Take in a folder's .jpg of empty rooms. Raises ValueError when there is none that can be read."""
        read = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.jpg")))
        kept = [cv2.resize(one, PHOTOGRAPH, interpolation=cv2.INTER_AREA) for one in read if one is not None]
        if not kept:
            raise ValueError(f"{folder}: no photograph (.jpg) there; name another --backdrops, or '' for none")
        self._photographs += [np.asarray(one, np.uint8) for one in kept]

    def swap(self, sample: Sample, grey: Picture, order: NDArray[np.int64], rng: np.random.Generator) -> Picture:
        """The clip's steps `order`, uint8 (steps, 96, 128), before a random other room; as they are without a mask."""
        packed = sample.people if sample.people is not None else self._people.get(sample.name)
        rooms = [draw for draw, there in self._rooms() if there]
        if packed is None or not rooms:
            return grey
        room = rooms[int(rng.integers(len(rooms)))](rng)
        left, top, width, height = sample.content
        behind = np.zeros(grey.shape[1:], np.uint8)
        behind[top : top + height, left : left + width] = cv2.resize(room, (width, height))
        people = np.unpackbits(packed[order], axis=-1).astype(bool)
        return swap_background(grey, people, behind, rng)

    def _rooms(self) -> tuple[tuple[Callable[[np.random.Generator], Picture], bool], ...]:
        """The kinds of rooms: how to draw one, and whether there is any."""
        return (
            (self._of_real, bool(self._real)),
            (self._of_photograph, bool(self._photographs)),
            (self._of_rendered, bool(self._rendered)),
        )

    def _of_real(self, rng: np.random.Generator) -> Picture:
        return self._real[int(rng.integers(len(self._real)))]

    def _of_photograph(self, rng: np.random.Generator) -> Picture:
        """A part of one, mirrored half the time."""
        whole = self._photographs[int(rng.integers(len(self._photographs)))]
        width, height = (round(side * rng.uniform(LEAST_PART, 1)) for side in PHOTOGRAPH)
        x, y = int(rng.integers(PHOTOGRAPH[0] - width + 1)), int(rng.integers(PHOTOGRAPH[1] - height + 1))
        part = whole[y : y + height, x : x + width]
        return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)

    def _of_rendered(self, rng: np.random.Generator) -> Picture:
        sample = self._rendered[int(rng.integers(len(self._rendered)))]
        assert sample.people is not None, "a rendered clip knows its people"
        people = np.unpackbits(sample.people[::EVERY], axis=-1).astype(bool)
        return _within(background_without(sample.grey[::EVERY], people), sample.content)


def _within(picture: Picture, content: tuple[int, int, int, int]) -> Picture:
    left, top, width, height = content
    return np.ascontiguousarray(picture[top : top + height, left : left + width])
