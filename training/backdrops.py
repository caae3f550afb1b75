"""Other rooms behind the same people: what a network learns from the background, it has to unlearn (MODEL.md II.5)."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.mask import cut_out
from training.paste import background_without, swap_background
from training.samples import Sample

Picture = NDArray[np.uint8]

REAL_ROOMS: Final = 0.5
"""Share of swaps that take the room of a real clip, where there is one: few are known, and each is worth many."""

EVERY: Final = 6
"""Of a rendered clip's steps, those its empty room is worked out from."""


class Backdrops:
    """Empty rooms of all clips, and where the people of the real ones are, as far as that can be told."""

    def __init__(self) -> None:
        self._real: list[Picture] = []
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

    def swap(self, sample: Sample, grey: Picture, order: NDArray[np.int64], rng: np.random.Generator) -> Picture:
        """The clip's steps `order`, uint8 (steps, 96, 128), before a random other room; as they are without a mask."""
        packed = sample.people if sample.people is not None else self._people.get(sample.name)
        if packed is None or not (self._real or self._rendered):
            return grey
        left, top, width, height = sample.content
        behind = np.zeros(grey.shape[1:], np.uint8)
        behind[top : top + height, left : left + width] = cv2.resize(self._room(rng), (width, height))
        people = np.unpackbits(packed[order], axis=-1).astype(bool)
        return swap_background(grey, people, behind, rng)

    def _room(self, rng: np.random.Generator) -> Picture:
        real = rng.random() < REAL_ROOMS
        if self._real and (real or not self._rendered):
            return self._real[int(rng.integers(len(self._real)))]
        sample = self._rendered[int(rng.integers(len(self._rendered)))]
        assert sample.people is not None, "a rendered clip knows its people"
        people = np.unpackbits(sample.people[::EVERY], axis=-1).astype(bool)
        return _within(background_without(sample.grey[::EVERY], people), sample.content)


def _within(picture: Picture, content: tuple[int, int, int, int]) -> Picture:
    left, top, width, height = content
    return np.ascontiguousarray(picture[top : top + height, left : left + width])
