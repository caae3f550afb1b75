"""Rendered people before static stripes: does the network watch the person, or the room? (SCUBA, arXiv 2211.12883;
MODEL.md II.5 keeps it as a permanent evaluation.)"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def striped(grey: NDArray[np.uint8], mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Everything but the person replaced by stripes that stand still: uint8, the shape of grey (steps, height, width).

    mask: bool, the same shape, the person. Their width, angle, sharpness, contrast and brightness come from rng, drawn
    once for the clip. The mask is widened by one pixel: a rendered mask is of every second step.
    """
    behind = _stripes(grey.shape[1:], rng)
    ring = np.ones((3, 3), np.uint8)
    people = np.stack([cv2.dilate(one.astype(np.uint8), ring) for one in mask]).astype(bool)
    return np.where(people, grey, behind)


def _stripes(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A grating: period 4 to 32 pixels, any angle, square or sine."""
    height, width = shape
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    period = float(np.exp(rng.uniform(np.log(4), np.log(32))))
    y, x = np.mgrid[:height, :width]
    wave = np.sin(2 * np.pi / period * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    if rng.random() < 0.5:
        wave = np.sign(wave)
    middle, swing = rng.uniform(70, 185), rng.uniform(20, 70)
    return np.asarray(np.clip(middle + swing * wave + 0.5, 0, 255), np.uint8)
