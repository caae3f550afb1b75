"""Clips -> augmented windows -> batches, with a set of allowed labels for every step.

Everything random about a window is drawn once and holds for all its steps, as it would for one camera. The network's
input is made last, by device.preprocess, so that differences are differences of what the camera would have seen.

A window depends on (seed, step, place in the whole batch) and on the clips alone: it is the same whoever draws it, one
process or one of many, in a run that was never stopped or in one that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.labels import EMPTY, INDEX, LOW, LYING, SEATED, UPRIGHT
from device.preprocess import Raster, stack
from training.augment import Augment
from training.backdrops import Backdrops
from training.channels import drop_channels
from training.cuts import Cut, bounced, cut_of, frozen, walk_by
from training.near import near
from training.networks.auxiliary import HEIGHT_UNIT_M
from training.samples import Sample

POSTURES: Final = {UPRIGHT: 0.32, SEATED: 0.2, LOW: 0.2, LYING: 0.16, EMPTY: 0.12}
"""Share of rendered everyday windows by the rarest posture in their clip."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How a batch is made up, as shares of its windows.

    real: from real clips (MODEL.md I.8: 10-20 %). mined: from pieces that fooled a network. falls: of the others, from
    clips with a fall or somebody on the floor. passer: of the rendered ones, with somebody else walking by. still: of
    those in which nobody falls, one picture in changing light. swap: before another background. near: of the rendered
    ones, as a camera close to the people sees them. at_onset, after: of the falls, that start at the loss of balance,
    or anywhere up to their last second. ramp_s: half the time in which a rendered fall begins. shapes: windows and
    steps of a batch, one of these each time for the same work: short ones show more scenes, long ones a person who
    lies for longer than the network remembers the fall.
    """

    shapes: tuple[tuple[int, int], ...] = ((32, 20), (16, 40), (10, 64))
    real: float = 0.15
    mined: float = 0.1
    falls: float = 0.4
    passer: float = 0.12
    still: float = 0.05
    swap: float = 0.0
    near: float = 0.0
    at_onset: float = 0.15
    after: float = 0.25
    ramp_s: float = 0.3


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the network takes: its raster, channels set to zero, height and width of its mask's cells, if any."""

    raster: Raster = Raster()  # noqa: RUF009 - frozen, so sharing one default is safe
    dropped: tuple[str, ...] = ()
    mask_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of one step: b of them (this process's share), t steps long.

    inputs: uint8 (b, t, h, w, 3). allowed: bool (b, t, labels). begun: float32 (b, t), how much of the target is
    `falling` instead. weight: float32 (b, t). mask: float32 (b, t, 1, h', w'), share of each cell that shows a person,
    where has_mask (b,). presence: float32 (b, t), 1 where somebody is seen, where has_presence (b, t).
    height: float32 (b, t), of the lowest head in units of 2 m, nan where unknown.
    """

    inputs: NDArray[np.uint8]
    allowed: NDArray[np.bool_]
    begun: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.float32]
    has_mask: NDArray[np.bool_]
    presence: NDArray[np.float32]
    has_presence: NDArray[np.bool_]
    height: NDArray[np.float32]


class Windows:
    """Draws batches from samples; there may come more between draws."""

    def __init__(
        self,
        mix: Mix,
        inputs: Inputs,
        seed: int,
        augment: Augment | None = None,
    ) -> None:
        self.mix = mix
        self.inputs = inputs
        self.seed = seed
        self.augment = augment or Augment()
        self.backdrops = Backdrops()
        self._kinds: dict[tuple[str, bool], list[Sample]] = {
            (source, calm): [] for source in ("rendered", "real", "mined") for calm in (True, False)
        }
        self._postures: dict[str, list[Sample]] = {label: [] for label in POSTURES}

    def add(self, samples: Sequence[Sample]) -> None:
        """More clips to draw from."""
        for sample in samples:
            self._kinds[sample.source, sample.calm].append(sample)
            if sample.calm and sample.source == "rendered":
                self._postures[sample.posture].append(sample)
            if self.mix.swap > 0:
                self.backdrops.add(sample)

    def __len__(self) -> int:
        return sum(len(kind) for kind in self._kinds.values())

    def count(self, *, calm: bool) -> int:
        """How many clips are calm, or are not."""
        return sum(len(kind) for (_, is_calm), kind in self._kinds.items() if is_calm is calm)

    def shape(self, step: int) -> tuple[int, int]:
        """Windows and steps of the whole batch of an optimizer step."""
        return self.mix.shapes[int(np.random.default_rng([self.seed, step]).integers(len(self.mix.shapes)))]

    def batch(self, step: int, share: range | None = None) -> Batch:
        """The windows of an optimizer step, or those of its places in `share`. Raises ValueError without any clip."""
        batch, steps = self.shape(step)
        places = range(batch) if share is None else share
        drawn = [self._window(steps, np.random.default_rng([self.seed, step, place])) for place in places]
        return Batch(*(np.stack(part) for part in zip(*drawn, strict=True)))

    def _pick(self, rng: np.random.Generator) -> Sample:
        chance, calm = rng.random(), bool(rng.random() >= self.mix.falls)
        if chance < self.mix.mined and self._kinds["mined", True]:
            return _one_of(self._kinds["mined", True], rng)
        first, second = ("real", "rendered") if 1 - chance <= self.mix.real else ("rendered", "real")
        for kind in ((first, calm), (first, not calm), (second, calm), (second, not calm), ("mined", True)):
            if self._kinds[kind]:
                return _one_of(self._by_posture(rng) if kind == ("rendered", True) else self._kinds[kind], rng)
        raise ValueError("no clips to train on; name a folder of rendered clips or a table of real ones")

    def _by_posture(self, rng: np.random.Generator) -> list[Sample]:
        """Everyday clips of one posture: people mostly stand, so the others are drawn more often than they come."""
        there = [label for label in POSTURES if self._postures[label]]
        share = np.array([POSTURES[label] for label in there])
        return self._postures[there[rng.choice(len(there), p=share / share.sum())]]

    def _window(self, steps: int, rng: np.random.Generator) -> tuple[NDArray[np.generic], ...]:
        """The fields of a Batch, for one window."""
        sample = self._pick(rng)
        order = self._order(sample, steps, rng)
        cut = cut_of(sample, order, self.mix.ramp_s)
        if self.mix.swap > 0 and rng.random() < self.mix.swap:
            cut = replace(cut, grey=self.backdrops.swap(sample, cut.grey, order, rng))
        calm = self._kinds["rendered", True]
        if sample.calm and rng.random() < self.mix.still:
            cut = frozen(cut, rng)
        elif sample.source == "rendered" and calm and rng.random() < self.mix.passer:
            cut = walk_by(cut, self._passer(_one_of(calm, rng), steps, rng), rng)
        if cut.known and rng.random() < self.mix.near:
            cut = near(cut, rng)
        return self._answer(cut, rng)

    def _passer(self, other: Sample, steps: int, rng: np.random.Generator) -> Cut:
        """Steps of a calm clip in a row, its last one held where it is too short."""
        start = int(rng.integers(max(1, len(other.grey) - steps + 1)))
        return cut_of(other, np.minimum(np.arange(start, start + steps), len(other.grey) - 1), self.mix.ramp_s)

    def _answer(self, cut: Cut, rng: np.random.Generator) -> tuple[NDArray[np.generic], ...]:
        """Send a cut through the augmentation and put its targets beside it."""
        people = cut.people if self.inputs.mask_size else None
        shown = None if people is None else people.astype(np.uint8) * np.uint8(255)
        grey, shown = self.augment.with_people(cut.grey, shown, cut.look, self.inputs.raster, rng)
        steps = len(grey)
        presence = (~cut.allowed[:, INDEX[EMPTY]]).astype(np.float32)
        height = cut.height / np.float32(HEIGHT_UNIT_M) if cut.known else np.full(steps, np.nan, np.float32)
        return (
            drop_channels(stack(grey, self.inputs.raster), self.inputs.dropped),
            cut.allowed,
            cut.begun,
            cut.weight,
            _cells(shown, steps, self.inputs.mask_size or (1, 1)),
            np.asarray(shown is not None),
            presence,
            np.full(steps, cut.known),
            np.clip(height, 0, 1),
        )

    def _order(self, sample: Sample, steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Which step of the clip each step of the window shows: somewhere, at some speed, with held pictures."""
        length = len(sample.grey)
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
        return self.augment.held(bounced(order, *sample.replayed), rng)


def _one_of(samples: Sequence[Sample], rng: np.random.Generator) -> Sample:
    return samples[int(rng.integers(len(samples)))]


def _cells(shown: NDArray[np.uint8] | None, steps: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Share of each cell that shows a person: uint8 (t, h, w), 255 on a person -> float32 (t, 1, h', w') in 0..1."""
    out = np.zeros((steps, 1, *size), np.float32)
    for step in range(steps if shown is not None else 0):
        assert shown is not None
        out[step, 0] = cv2.resize(shown[step], size[::-1], interpolation=cv2.INTER_AREA)
    return out / np.float32(255)
