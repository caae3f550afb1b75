"""Clips, models and scores made on the spot, for tests of evaluation: probabilities are written down, not computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from device.labels import FALLING, FLOOR, INDEX, LABELS, UPRIGHT
from device.preprocess import Raster
from training.footage import Footage
from training.index import Clip
from training.judged import UNSEEN, USUAL_THRESHOLDS, Model, Scored
from training.networks import BlockConfig, NetworkConfig

TINY = NetworkConfig(
    raster=Raster(32, 24), stem=(8, 8), blocks=(BlockConfig(8, 2),), head=16, head_dilations=(1, 2), dropout=0.0
)
NEVER = slice(0, 0)


def footage(steps: int, *, gap: int | None = None) -> Footage:
    """Noise on TINY's raster."""
    reset = np.arange(steps) == 0
    if gap:
        reset[gap] = True
    grey = np.random.default_rng(4).integers(0, 255, (steps, 24, 32), np.uint8)
    return Footage(np.arange(steps) / 10, grey, reset, (32, 24))


def clip(stem: str, split: str = "train", *, fall: bool = False, on_floor: bool = False, subject: str = "P1") -> Clip:
    """A clip of the dataset `home`; a fall is from 2 s to 3 s."""
    start, end = (2.0, 3.0) if fall else (None, None)
    return Clip(2, split, "home", Path(f"{stem}.mp4"), fall, start, end, on_floor, subject, "R", "MIT")


def model(trained: bool, digest: str = "") -> Model:
    """A network that knows nothing: every label is as likely."""
    flat = np.full(len(LABELS), 1 / len(LABELS))
    score = lambda film: np.tile(flat, (len(film), 1))  # noqa: E731 - one line says it all
    return Model("m", TINY.raster, score, USUAL_THRESHOLDS, 10, lambda c: trained, digest=digest)


def chances(falling: slice, floor: slice, steps: int = 150) -> np.ndarray:
    """Sure of standing, but for two slices of steps that are surely something else."""
    sure = np.zeros((steps, len(LABELS)))
    sure[:, INDEX[UPRIGHT]] = 1.0
    for label, where in ((FALLING, falling), (FLOOR, floor)):
        sure[where] = 0
        sure[where, INDEX[label]] = 1.0
    return sure


def scored(one: Clip, falling: slice, floor: slice, protocol: str = UNSEEN, steps: int = 150) -> Scored:
    """A clip scored as written down."""
    film = footage(steps)
    return Scored(one, protocol, model(False), film.t, film.reset, chances(falling, floor, steps), film)
