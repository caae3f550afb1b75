"""Clips as training sees them: pictures, the set of labels that are right at each step, and where the people are.

Three sources: rendered clips know every label, mask and height; real clips know the fall and nothing else; mined
pieces of everyday footage know that nobody falls in them, and every label where they were mined from simulated days.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from device.labels import EMPTY, FALLING, FLOOR, INDEX, LABELS, LOW, LYING, SEATED, UPRIGHT
from device.preprocess import Raster, letterbox
from training.augment import moved
from training.clip import Clip, narrow
from training.footage import STEP_S, Footage
from training.pieces import content_of, read_piece
from training.synth.clip import load_clip

Source = Literal["rendered", "real", "mined"]

SOFT_ONSET_S: Final = 0.25
"""Steps this close to the start of a real fall count for nothing: times are good to about 0.15 s (data/README.md)."""

STORED: Final = Raster(128, 96)
"""Clips are kept a little larger than the network's raster, so that crops and zooms still have detail."""

RAREST_FIRST: Final = (LYING, LOW, EMPTY, SEATED, UPRIGHT)

ALARMING: Final = [INDEX[FALLING], INDEX[FLOOR]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip ready to draw windows from.

    grey: uint8 (steps, 96, 128). allowed: bool (steps, labels), the labels that are right at each step.
    weight: float32 (steps,), 0 where nothing is known. content: left, top, width, height of the picture in the raster.
    moved: float32 (96, 128) summing to 1 or 0, where the people are (rendered) or where things move (others).
    people: uint8 (steps, 96, 16), np.packbits of the pixels that show a person, or None where nobody knows.
    height: float32 (steps,), m, of the lowest head over the floor, nan where not known.
    """

    name: str
    grey: NDArray[np.uint8]
    allowed: NDArray[np.bool_]
    weight: NDArray[np.float32]
    content: tuple[int, int, int, int]
    source: Source
    moved: NDArray[np.float32] = field(repr=False)
    people: NDArray[np.uint8] | None = field(default=None, repr=False)
    height: NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def onset(self) -> int | None:
        """First step of a fall, or None."""
        falling = np.flatnonzero(only_falling(self.allowed))
        return int(falling[0]) if falling.size else None

    @property
    def posture(self) -> str:
        """Of the postures in it that last a second, the one drawn most often for its rarity; the commonest if none."""
        steps = self.allowed.sum(axis=0)
        lasting = [label for label in RAREST_FIRST if steps[INDEX[label]] >= 10]
        return lasting[0] if lasting else max(RAREST_FIRST, key=lambda label: int(steps[INDEX[label]]))

    @property
    def calm(self) -> bool:
        """Nobody falls or lies on the floor anywhere in it."""
        return not self.allowed[:, ALARMING].any()

    @property
    def replayed(self) -> tuple[int, int]:
        """First and last of the steps that go back and forth once the clip is over and the window is not.

        All of them where nobody falls. A fall is no fall backwards: there the person goes on as in the last stretch of
        one label, lying and moving as they do, or is held in mid-fall.
        """
        last = len(self.grey) - 1
        if self.calm:
            return 0, last
        other = np.flatnonzero((self.allowed != self.allowed[last]).any(axis=1))
        first = int(other[-1]) + 1 if other.size else 0
        return (last, last) if only_falling(self.allowed)[last] else (first, last)


def only_falling(allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Steps whose one right label is `falling`: bool (steps, labels) -> bool (steps,)."""
    return np.asarray(allowed[:, INDEX[FALLING]] & (allowed.sum(axis=1) == 1), np.bool_)


def ease_onset(allowed: NDArray[np.bool_], half_s: float) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Let a fall begin gradually: (labels allowed, chance 0..1 that it has begun) for each step.

    Nobody can tell within a few tenths of a second when balance is lost (MODEL.md II.5: a linear ramp of +-0.3 s). In
    the ramp the labels are those just before the fall, and the chance says how much of the target is `falling`.
    """
    eased, begun = allowed.copy(), np.zeros(len(allowed), np.float32)
    half = round(half_s / STEP_S)
    falling, calm = only_falling(allowed), np.logical_not(allowed[:, ALARMING].any(axis=1)).astype(np.bool_)
    for onset in (np.flatnonzero(falling[1:] & calm[:-1]) + 1).tolist():
        for step in range(max(0, onset - half), min(len(allowed), onset + half)):
            if calm[step] if step < onset else falling[step]:
                eased[step] = allowed[onset - 1]
                begun[step] = (step - (onset - half) + 0.5) / (2 * half)
    return eased, begun


def targets(clip: Clip, t: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Allowed labels and weights of a real clip at times t, from the index: the fall, and spans if any."""
    allowed = np.ones((len(t), len(LABELS)), bool)
    weight = np.ones(len(t), np.float32)
    allowed[:, INDEX[FALLING]] = False
    if not clip.on_floor:
        allowed[:, INDEX[FLOOR]] = False
    if clip.fall_start_s is None or clip.fall_end_s is None:
        return narrow(allowed, clip.spans, t), weight
    during = (t >= clip.fall_start_s) & (t <= clip.fall_end_s)
    after = t > clip.fall_end_s
    allowed[during | after] = False
    allowed[during, INDEX[FALLING]] = True
    allowed[after, INDEX[FLOOR]] = True
    allowed[after, INDEX[LYING]] = clip.ends_on_bed
    weight[np.abs(t - clip.fall_start_s) < SOFT_ONSET_S] = 0.0
    return narrow(allowed, clip.spans, t), weight


def real_sample(clip: Clip, footage: Footage) -> Sample:
    """A clip of the index as a sample; raises PermissionError for footage that may only be evaluated on."""
    if clip.split != "train":
        raise PermissionError(f"{clip.name} is {clip.split} footage: evaluation only, never a training sample")
    allowed, weight = targets(clip, footage.t)
    content = letterbox(*footage.size, STORED)
    return Sample(clip.name, footage.grey, allowed, weight, content, "real", moved(footage.grey))


def synthetic_sample(path: Path) -> Sample:
    """A rendered clip as a sample. Raises ValueError naming the file when it is not a whole one of this format."""
    clip = load_clip(path)
    if clip.grey.shape[1:] != (STORED.height, STORED.width):
        raise ValueError(
            f"{path}: pictures of {clip.grey.shape[1:]}, not {STORED.height} x {STORED.width}; render again"
        )
    seen = clip.mask
    where = seen.sum(axis=0, dtype=np.float32)
    where /= max(1.0, float(where.sum()))
    left, top, width, height = clip.meta["content"]
    return Sample(
        path.stem,
        clip.grey,
        np.eye(len(LABELS), dtype=bool)[clip.label],
        np.ones(len(clip.label), np.float32),
        (left, top, width, height),
        "rendered",
        where,
        np.packbits(seen, axis=-1),
        # The lowest head decides what is seen to happen; nan only where no head is known.
        np.fmin(clip.height[:, 0], clip.height[:, 1]).astype(np.float32),
    )


def mined_sample(path: Path) -> Sample:
    """A piece of everyday footage that fooled a network (`fallwatch mine`).

    Its own labels where it has some (simulated days), else any but `falling` and `floor`. Raises ValueError naming the
    file when it is not one, or when its own labels say that somebody falls in it.
    """
    piece = read_piece(path)
    if piece.label is not None and np.isin(piece.label, ALARMING).any():
        raise ValueError(
            f"{path}: somebody falls or lies on the floor in it, which is no false alarm; leave it out "
            "(rendered clips go to --synth)"
        )
    allowed = np.ones((len(piece), len(LABELS)), bool)
    allowed[:, ALARMING] = False
    if piece.label is not None:
        allowed = np.eye(len(LABELS), dtype=bool)[piece.label]
    try:
        content = content_of(piece)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}; mine it again") from None
    weight = np.ones(len(piece), np.float32)
    return Sample(path.stem, piece.grey, allowed, weight, content, "mined", moved(piece.grey))
