"""People cut out of one room and put into another, and rooms that stand still while their light changes.

What a network learns from the background it has to unlearn (MODEL.md II.5: background swap, copy-paste by mask, and the
attack with one frozen picture). Everything is uint8 (steps, height, width) grey with bool masks of the same shape; it
changes nothing it is given, and does the same for the same rng. Masks of real clips come from training/mask.py.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.mask import RING, Grey, Mask

MEAN_OF_DIFFERENCE: Final = 1.13
"""Mean of |a - b| for two normal values of deviation 1."""


def background_without(grey: Grey, mask: Mask) -> Grey:
    """The room behind people whose mask is known (rendered clips): uint8 (height, width), the mean without them.

    The mask is widened by two pixels, for soft edges and masks that come a step late. Pixels that are always covered
    are filled in from around them.
    """
    free = np.stack([cv2.dilate(one.astype(np.uint8), RING, iterations=2) for one in mask]) == 0
    count = free.sum(axis=0)
    mean = np.where(free, grey, 0).sum(axis=0, dtype=np.float32) / np.maximum(count, 1)
    covered = (count == 0).astype(np.uint8)
    room = np.asarray(mean + 0.5, np.uint8)
    return np.asarray(cv2.inpaint(room, covered, 3, cv2.INPAINT_TELEA), np.uint8) if covered.any() else room


def swap_background(grey: Grey, mask: Mask, background: Grey, rng: np.random.Generator) -> Grey:
    """The same people before another room: uint8, the shape of grey.

    background: uint8 (height, width). It is given the clip's own noise and changes of light, so that neither tells the
    two apart, and a brightness of its own. Rows and columns that are black in it (a letterbox) stay black.
    """
    room = background.astype(np.float32) * np.float32(rng.uniform(0.8, 1.2))
    free = ~mask
    shown = np.ones(len(grey), bool)
    shown[1:] = (grey[1:] != grey[:-1]).any(axis=(1, 2))
    noise = _field(background.shape, _noise(grey, free, shown), shown, rng)
    return _over(grey, mask, room * _light(grey, free)[:, None, None] + noise * _lit_part(background))


def paste_person(grey: Grey, mask: Mask, onto: Grey) -> Grey:
    """The people of one clip in front of another clip as it moves: uint8, the shape of grey.

    onto: uint8 (steps, height, width). People keep their place, since their size is right only there.
    """
    return _over(grey, mask, onto.astype(np.float32))


def stand_still(picture: Grey, steps: int, rng: np.random.Generator) -> Grey:
    """One picture (height, width) for `steps` steps in changing light: uint8 (steps, height, width).

    Nothing happens in it, whatever it shows: lamps are switched, the sun drifts, a screen flickers, sensors are noisy.
    """
    t = np.arange(steps)
    light = np.ones(steps)
    for kind in rng.integers(3, size=int(rng.integers(1, 4))):
        if kind == 0:
            light *= np.where(t < rng.integers(steps), 1.0, np.exp(rng.uniform(-0.5, 0.5)))
        elif kind == 1:
            light *= np.linspace(1.0, np.exp(rng.uniform(-0.4, 0.4)), steps)
        else:
            light *= 1 + rng.uniform(0.01, 0.06) * rng.standard_normal(steps)
    noise = _field(picture.shape, float(rng.uniform(0, 3)), np.ones(steps, bool), rng)
    lit = picture.astype(np.float32) * light.astype(np.float32)[:, None, None] + noise * _lit_part(picture)
    return np.asarray(np.clip(lit + 0.5, 0, 255), np.uint8)


def _over(grey: Grey, mask: Mask, behind: NDArray[np.float32]) -> Grey:
    """What the mask shows, over what is behind; the edge is soft by a pixel, as an area-averaged picture's is."""
    out = np.empty_like(grey)
    for step, (picture, people, room) in enumerate(zip(grey, mask, behind, strict=True)):
        edge = cv2.GaussianBlur(people.astype(np.float32), (3, 3), 0.8)
        out[step] = np.clip(room + edge * (picture - room) + 0.5, 0, 255)
    return out


def _light(grey: Grey, free: Mask) -> NDArray[np.float32]:
    """How bright each step is against the others where nobody stands: float32 (steps,) around 1."""
    level = np.where(free, grey, 0).sum(axis=(1, 2)) / np.maximum(free.sum(axis=(1, 2)), 1)
    return np.asarray(np.clip(level / max(1.0, float(np.median(level))), 0.3, 3.0), np.float32)


def _noise(grey: Grey, free: Mask, shown: Mask) -> float:
    """Deviation of the clip's own noise: of the change to a new picture where nobody stands, a few pictures' worth."""
    fresh = np.flatnonzero(shown)[1:]
    change = [
        np.abs(grey[step].astype(np.int16) - grey[step - 1])[free[step] & free[step - 1]]
        for step in fresh[:: max(1, len(fresh) // 6)]
    ]
    return float(np.mean(np.concatenate(change).clip(0, 12))) / MEAN_OF_DIFFERENCE if change else 0.0


def _field(shape: tuple[int, ...], sigma: float, shown: Mask, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise (steps, *shape): one field, shifted by a random amount at each new picture: a sixth of the time."""
    height, width = shape
    field = rng.normal(0, max(sigma, 1e-6), (2 * height, 2 * width)).astype(np.float32)
    shifts = rng.integers((height, width), size=(len(shown), 2))
    shifts = shifts[np.maximum.accumulate(np.where(shown, np.arange(len(shown)), 0))]
    return np.stack([field[dy : dy + height, dx : dx + width] for dy, dx in shifts])


def _lit_part(picture: Grey) -> NDArray[np.bool_]:
    """The rows and columns that are not all black."""
    return np.outer(picture.any(axis=1), picture.any(axis=0))
