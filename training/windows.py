"""Clips -> augmented windows -> batches, with a set of allowed labels for every step.

Everything random about a window is drawn once and holds for all its steps, as it would for one camera. The network's
input is made last, by device.preprocess, so that differences are differences of what the camera would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.labels import EMPTY, FALLING, FLOOR, INDEX, LABELS, LOW, LYING, SEATED, UPRIGHT
from device.preprocess import Raster, letterbox, stack
from training.augment import Augment, Look, moved
from training.footage import Footage
from training.index import Clip
from training.synth.clip import load_clip

SOFT_ONSET_S = 0.25
"""Steps this close to the start of a real fall count for nothing: times are good to about 0.15 s (data/README.md)."""

STORED = Raster(128, 96)
"""Clips are kept a little larger than the network's raster, so that crops and zooms still have detail."""


POSTURES: Final = {UPRIGHT: 0.32, SEATED: 0.2, LOW: 0.2, LYING: 0.16, EMPTY: 0.12}
"""Share of rendered everyday windows by the rarest posture in their clip."""

RAREST_FIRST: Final = (LYING, LOW, EMPTY, SEATED, UPRIGHT)


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip ready to draw windows from.

    grey: uint8 (steps, 96, 128). allowed: bool (steps, labels), the labels that are right at each step.
    weight: float32 (steps,), 0 where nothing is known. content: left, top, width, height of the picture in the raster.
    moved: float32 (96, 128) summing to 1 or 0, where the people are (rendered) or where things move (real).
    """

    name: str
    grey: NDArray[np.uint8]
    allowed: NDArray[np.bool_]
    weight: NDArray[np.float32]
    content: tuple[int, int, int, int]
    real: bool
    moved: NDArray[np.float32] = field(repr=False)

    @property
    def onset(self) -> int | None:
        """First step of a fall, or None."""
        falling = np.flatnonzero(self.allowed[:, INDEX[FALLING]] & (self.allowed.sum(axis=1) == 1))
        return int(falling[0]) if falling.size else None

    @property
    def posture(self) -> str:
        """Of the postures in it that last a second, the one drawn most often for its rarity; the commonest if none."""
        steps = self.allowed.sum(axis=0)
        lasting = [label for label in RAREST_FIRST if steps[INDEX[label]] >= 10]
        return lasting[0] if lasting else max(POSTURES, key=lambda label: int(steps[INDEX[label]]))

    @property
    def calm(self) -> bool:
        """Nobody falls or lies on the floor anywhere in it."""
        return not self.allowed[:, [INDEX[FALLING], INDEX[FLOOR]]].any()


def targets(clip: Clip, t: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Allowed labels and weights of a real clip at times t, from what the index knows: no postures, only the fall."""
    allowed = np.ones((len(t), len(LABELS)), bool)
    weight = np.ones(len(t), np.float32)
    allowed[:, INDEX[FALLING]] = False
    if not clip.on_floor:
        allowed[:, INDEX[FLOOR]] = False
    if clip.fall_start_s is None or clip.fall_end_s is None:
        return allowed, weight
    during = (t >= clip.fall_start_s) & (t <= clip.fall_end_s)
    after = t > clip.fall_end_s
    allowed[during | after] = False
    allowed[during, INDEX[FALLING]] = True
    allowed[after, INDEX[FLOOR]] = True
    allowed[after, INDEX[LYING]] = clip.ends_on_bed
    weight[np.abs(t - clip.fall_start_s) < SOFT_ONSET_S] = 0.0
    return allowed, weight


def real_sample(clip: Clip, footage: Footage) -> Sample:
    """A clip of the index as a sample; raises PermissionError for footage that may only be evaluated on."""
    if clip.split != "train":
        raise PermissionError(f"{clip.name} is {clip.split} footage: evaluation only, never a training sample")
    allowed, weight = targets(clip, footage.t)
    content = letterbox(*footage.size, STORED)
    return Sample(clip.name, footage.grey, allowed, weight, content, True, moved(footage.grey))


def synthetic_sample(path: Path) -> Sample:
    """A rendered clip: grey, label per step, people's mask. Raises ValueError naming the file when it is not one."""
    clip = load_clip(path)
    if clip.grey.shape[1:] != (STORED.height, STORED.width):
        raise ValueError(f"{path}: pictures of {clip.grey.shape[1:]}; delete it and render it again")
    allowed = np.eye(len(LABELS), dtype=bool)[clip.label]
    weight = np.ones(len(clip.label), np.float32)
    people = clip.mask.sum(axis=0, dtype=np.float32)
    people /= max(1.0, float(people.sum()))
    left, top, width, height = clip.meta["content"]
    return Sample(path.stem, clip.grey, allowed, weight, (left, top, width, height), False, people)


@dataclass(frozen=True, slots=True)
class Mix:
    """How a batch is made up, as shares of its windows.

    real: from real clips (MODEL.md I.8: 10-20 %). falls: from clips with a fall or somebody on the floor. passer: of
    the rendered ones, with somebody else walking by. at_onset, after: of the falls, that start at the loss of balance,
    or anywhere up to their last second. shapes: windows and steps of a batch, one of these each time for the same work:
    short ones show more scenes, long ones a person who lies for longer than the network remembers the fall.
    """

    shapes: tuple[tuple[int, int], ...] = ((32, 20), (16, 40), (10, 64))
    real: float = 0.15
    falls: float = 0.4
    passer: float = 0.12
    at_onset: float = 0.15
    after: float = 0.25


@dataclass(frozen=True, slots=True)
class Batch:
    """inputs: uint8 (batch, steps, h, w, 3). allowed: bool (batch, steps, labels). weight: float32 (batch, steps)."""

    inputs: NDArray[np.uint8]
    allowed: NDArray[np.bool_]
    weight: NDArray[np.float32]


class Windows:
    """Draws batches from samples; `samples` may grow between draws."""

    def __init__(self, mix: Mix, augment: Augment, raster: Raster, seed: int) -> None:
        self.mix = mix
        self.augment = augment
        self.raster = raster
        self.rng = np.random.default_rng(seed)
        self._kinds: dict[tuple[bool, bool], list[Sample]] = {(r, c): [] for r in (True, False) for c in (True, False)}
        self._postures: dict[str, list[Sample]] = {label: [] for label in POSTURES}

    def add(self, samples: Sequence[Sample]) -> None:
        """More clips to draw from."""
        for sample in samples:
            self._kinds[sample.real, sample.calm].append(sample)
            if sample.calm and not sample.real:
                self._postures[sample.posture].append(sample)

    def __len__(self) -> int:
        return sum(len(kind) for kind in self._kinds.values())

    def batch(self) -> Batch:
        """One batch of fresh windows. Raises ValueError when there is nothing to draw from."""
        batch, steps = self.mix.shapes[int(self.rng.integers(len(self.mix.shapes)))]
        drawn = [self._window(steps) for _ in range(batch)]
        inputs, allowed, weight = (np.stack(part) for part in zip(*drawn, strict=True))
        return Batch(inputs, allowed, weight)

    def _pick(self) -> Sample:
        real, calm = self.rng.random() < self.mix.real, self.rng.random() >= self.mix.falls
        for kind in ((real, calm), (real, not calm), (not real, calm), (not real, not calm)):
            if self._kinds[kind]:
                return self._one_of(self._by_posture() if kind == (False, True) else self._kinds[kind])
        raise ValueError("no clips to train on; name a folder of rendered clips or a table of real ones")

    def _one_of(self, samples: Sequence[Sample]) -> Sample:
        return samples[int(self.rng.integers(len(samples)))]

    def _by_posture(self) -> list[Sample]:
        """Everyday clips of one posture: people mostly stand, so the others are drawn more often than they come."""
        there = [label for label in POSTURES if self._postures[label]]
        share = np.array([POSTURES[label] for label in there])
        return self._postures[there[self.rng.choice(len(there), p=share / share.sum())]]

    def _window(self, steps: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
        sample = self._pick()
        order = self._order(sample, steps)
        grey, allowed = sample.grey[order], sample.allowed[order]
        calm = self._kinds[False, True]
        if not sample.real and calm and self.rng.random() < self.mix.passer:
            grey, allowed = walk_by(grey, allowed, self._one_of(calm), self.rng)
        look = Look(sample.content, sample.moved)
        return stack(self.augment(grey, look, self.raster, self.rng), self.raster), allowed, sample.weight[order]

    def _order(self, sample: Sample, steps: int) -> NDArray[np.int64]:
        """Which step of the clip each step of the window shows: somewhere, at some speed, with held pictures."""
        length, rng = len(sample.grey), self.rng
        speed = self.augment.speed(rng)
        span = int(np.ceil((steps - 1) * speed)) + 1
        start = int(rng.integers(max(0, length - span) + 1))
        if sample.onset is not None:
            # The unit starts from nothing: the first it ever sees may be somebody losing balance, or lying there.
            kind = rng.random()
            if kind < self.mix.at_onset:
                start = max(0, sample.onset - int(rng.integers(4)))
            elif kind < self.mix.at_onset + self.mix.after:
                start = int(rng.integers(sample.onset, max(sample.onset + 1, length - 10)))
        order = start + np.floor(np.arange(steps) * speed).astype(np.int64)
        if sample.calm:
            # Too short: back and forth. A fall is no fall backwards; there the last picture stays.
            order = np.abs((order + length - 1) % max(1, 2 * length - 2) - (length - 1))
        order = np.minimum(order, length - 1)
        return self.augment.held(order, rng)


def walk_by(
    grey: NDArray[np.uint8], allowed: NDArray[np.bool_], other: Sample, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Lay the moving part of a calm clip over another: a second person. Where nobody falls, both postures are right.

    MODEL.md I.8 found two or more people to be the worst false alarms, and falls beside somebody the first misses.
    """
    steps = len(grey)
    start = int(rng.integers(max(1, len(other.grey) - steps + 1)))
    order = np.minimum(np.arange(start, start + steps), len(other.grey) - 1)
    theirs, theirs_allowed = other.grey[order].astype(np.int16), other.allowed[order]
    if rng.random() < 0.5:
        theirs = theirs[:, :, ::-1]
    moving = theirs - np.median(theirs[::4], axis=0).astype(np.int16)
    both = np.clip(grey + moving, 0, 255).astype(np.uint8)
    alone = ~allowed[:, [INDEX[FALLING], INDEX[FLOOR]]].any(axis=1)
    answer = allowed.copy()
    answer[alone] |= theirs_allowed[alone]
    somebody = answer[:, [INDEX[UPRIGHT], INDEX[SEATED]]].any(axis=1)
    answer[alone & somebody, INDEX[EMPTY]] = allowed[alone & somebody, INDEX[EMPTY]]
    return both, answer
