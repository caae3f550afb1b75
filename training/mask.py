"""Where the people are in a real clip of a fixed camera: the difference to its median background, cleaned.

Free of cost and of a teacher, and often wrong: somebody who stays in one place for half a short clip is in its median.
So `cut_out` tries several backgrounds, asks of each whether its mask looks like a person, and gives none otherwise.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

RING: Final = np.ones((3, 3), np.uint8)

SAMPLED: Final = 60
"""Pictures at most that a median is taken from: its cost is in proportion."""
STRETCHES: Final = 6
"""Stretches a clip is cut into to tell who stays where: before and after a fall are two in clips of 3 to 12 s."""

LEAST_LEVELS: Final = 10.0
SEED: Final = 1.8
"""Grey levels by which a person differs at least from what is behind, and how many times as much some part of them
does: shadows and compression are fainter all over. Set by eye on sheets of data/train."""
SOFT_LIGHT: Final = 30
WIDE: Final = 10.0
"""Grey levels up to which, and pixels over which (deviation), a change is taken for one of the light: the shade that a
person throws on a floor, the camera's gain when somebody comes close."""
SMALLEST: Final = 0.002
"""Share of the picture below which a patch is no person: about 5 x 5 pixels of 128 x 96."""
PLACES: Final = (12.0, 20.0)
"""Grey levels by which two stretches must differ for somebody to be in one of them: neither finds all."""

LEAST_PERSON: Final = 0.008
MOST_PERSON: Final = 0.45
"""Share of the picture that people cover: at the far end of a room, and close to the camera."""
LIKE_A_PERSON: Final = 1.3
"""Edges along the outline of a mask against those of the background in its place, at the worst tenth of the steps.
Of the 47 clips of data/train the 5 above it have masks and empty rooms that look right on the sheet; below it lie a few
as good, and many with somebody in the background."""
BLURRED: Final = 1.25
"""Sharpest edges of a picture where nobody stands, against those of the background: more, and the camera moves.
0.99-1.06 on the fixed cameras of data/train, 1.36-1.58 on two of its three hand-held clips (measured)."""


def median_background(grey: Grey) -> Grey:
    """What stands still in a clip of a fixed camera: uint8 (height, width), the median over time.

    Somebody who stays in one place for half the clip is in it: see cut_out.
    """
    picked = np.linspace(0, len(grey) - 1, min(len(grey), SAMPLED)).round().astype(int)
    return np.asarray(np.median(grey[picked], axis=0), np.uint8)


def person_mask(grey: Grey, background: Grey) -> Mask:
    """Where each picture differs from the background, cleaned: bool (steps, height, width).

    Changes of light are taken out first, patches smaller than a person are dropped, holes are filled.
    """
    difference = np.stack([_difference(picture, background) for picture in _levelled(grey, background)])
    least = max(LEAST_LEVELS, 4 * 1.4826 * float(np.median(difference)))
    return np.stack([_patches(one, least) for one in difference])


def cut_out(grey: Grey) -> tuple[Grey, Mask] | None:
    """(background without people, their mask) of a clip of a fixed camera, or None where the mask can't be trusted.

    uint8 (height, width), bool (steps, height, width). Not cheap: once per clip, not once per window.
    """
    some = grey[np.linspace(0, len(grey) - 1, min(len(grey), SAMPLED // 2)).astype(int)]
    backgrounds = [median_background(grey), *(emptied_background(grey, levels) for levels in PLACES)]
    like = [likeness(some, background, person_mask(some, background)) for background in backgrounds]
    if max(like) < LIKE_A_PERSON:
        return None
    background = backgrounds[int(np.argmax(like))]
    return background, person_mask(grey, background)


def emptied_background(grey: Grey, levels: float) -> Grey:
    """The medians of the clip's stretches put together: uint8 (height, width).

    Where two of them differ by `levels`, somebody stands or lies in one; the one with less of an edge all around the
    place is taken (which tells a person from the ghost they leave in a background).
    """
    stretches = [median_background(part) for part in np.array_split(grey, min(STRETCHES, len(grey)))]
    room = stretches[0]
    for stretch in stretches[1:]:
        room = _emptier(room, stretch, levels)
    return room


def likeness(grey: Grey, background: Grey, mask: Mask) -> float:
    """How much a mask looks like people in front of a background: see LIKE_A_PERSON; 0 where it can't be at all."""
    area = mask.mean(axis=(1, 2))
    usual = float(np.median(area))
    if not LEAST_PERSON <= usual <= MOST_PERSON:
        return 0.0
    behind = _edges(background)
    along, beside = [], []
    for picture, people, share in zip(grey, mask, area, strict=True):
        edges, outline = _edges(picture), _outline(people)
        free = ~cv2.dilate(people.astype(np.uint8), RING, iterations=2).astype(bool)
        ratio = (edges[outline].mean() + 4) / (behind[outline].mean() + 4) if outline.any() else 0.0
        along.append(ratio * min(1.0, 2 * share / usual))
        sharp = free & (edges >= np.quantile(edges[free], 0.9)) if free.any() else free
        beside.append((edges[sharp].mean() + 4) / (behind[sharp].mean() + 4) if sharp.any() else np.inf)
    return float(np.quantile(along, 0.1)) if np.median(beside) <= BLURRED else 0.0


def _emptier(first: Grey, second: Grey, levels: float) -> Grey:
    """The first picture, but the second in the places where it seems to have nobody and the first somebody."""
    differs = (_difference(second, first) > levels).astype(np.uint8)
    count, labels = cv2.connectedComponents(cv2.morphologyEx(differs, cv2.MORPH_CLOSE, RING), connectivity=8)
    edges = _edges(first), _edges(second)
    lit = np.asarray(np.clip(second / _gain(second, first), 0, 255), np.uint8)
    room = first.copy()
    for label in range(1, count):
        place = labels == label
        around = _outline(place)
        if edges[1][around].mean() < edges[0][around].mean():
            wide = cv2.dilate(place.astype(np.uint8), RING, iterations=2).astype(bool)
            room[wide] = lit[wide]
    return room


def _difference(picture: NDArray[np.uint8] | NDArray[np.float32], background: Grey) -> NDArray[np.float32]:
    """How far a picture is from the background, less the light that falls differently over wide parts of the room."""
    change = np.abs(picture - _gain(picture, background) * background)
    return np.asarray(cv2.GaussianBlur(change, (3, 3), 0), np.float32)


def _gain(picture: NDArray[np.uint8] | NDArray[np.float32], background: Grey) -> NDArray[np.float32]:
    """How much brighter a picture is than the background, over wide parts; people, who differ more, have no say."""
    now, before = picture.astype(np.float32), background.astype(np.float32)
    faint = (np.abs(now - before) < SOFT_LIGHT).astype(np.float32)
    above, below = (cv2.GaussianBlur((one + 4) * faint + 1e-3, (0, 0), WIDE) for one in (now, before))
    return np.asarray(np.clip(above / below, 0.5, 2.0), np.float32)


def _levelled(grey: Grey, background: Grey) -> NDArray[np.float32]:
    """Each picture with the brightness and contrast of the background, by their quartiles: a person covers less."""
    low, high = np.percentile(grey, (25, 75), axis=(1, 2)).astype(np.float32)
    wanted_low, wanted_high = np.percentile(background, (25, 75)).astype(np.float32)
    gain = np.clip((wanted_high - wanted_low) / np.maximum(high - low, 8.0), 0.5, 2.0)[:, None, None]
    middle = ((low + high) / 2)[:, None, None]
    return np.asarray((grey - middle) * gain + (wanted_low + wanted_high) / 2, np.float32)


def _patches(difference: NDArray[np.float32], least: float) -> Mask:
    """Patches of a difference that are large and strong enough, closed and filled."""
    near = cv2.morphologyEx((difference > least).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    strong = np.unique(labels[difference > SEED * least])
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= SMALLEST * difference.size)
    kept = np.isin(labels, np.intersect1d(strong, large[large > 0])).astype(np.uint8)
    outlines, _ = cv2.findContours(kept, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(kept, outlines, -1, 1, cv2.FILLED), bool)


def _outline(place: Mask) -> Mask:
    """Pixels along the edge of a place, inside and outside, but not where the picture ends."""
    filled = place.astype(np.uint8)
    line = cv2.dilate(filled, RING) > cv2.erode(filled, RING)
    line[[0, -1]] = line[:, [0, -1]] = False
    return np.asarray(line, bool)


def _edges(picture: Grey) -> NDArray[np.float32]:
    dx, dy = (cv2.Sobel(picture, cv2.CV_32F, x, 1 - x) for x in (1, 0))
    return np.asarray(cv2.magnitude(dx, dy), np.float32)
