"""Rendered clips made on the spot, for tests of training: a dark bar in a blurred room instead of a person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from device.labels import FALLING, FLOOR, INDEX, UPRIGHT
from training.pieces import Piece, write_piece
from training.synth.clip import FORMAT, Clip, clip_path, save_clip

STEPS = 60


def bar_clip(rng: np.random.Generator, *, falls: bool) -> Clip:
    """A bar that stands for six seconds, or falls over in 0.6 s and lies."""
    room = np.asarray(cv2.resize(rng.integers(90, 250, (4, 5), np.uint8), (128, 96)), np.uint8)
    grey = np.repeat(room[None], STEPS, axis=0)
    owner, label = np.zeros((STEPS, 96, 128), np.uint8), np.full(STEPS, INDEX[UPRIGHT], np.uint8)
    height = np.full((STEPS, 2), np.nan, np.float32)
    onset, x = (int(rng.integers(10, 40)), int(rng.integers(45, 80))) if falls else (99, 60)
    for step in range(STEPS):
        down = float(np.clip((step - onset) / 6, 0, 1))
        w, h = int(10 + 34 * down), int(44 - 34 * down)
        owner[step, 85 - h : 85, x - w // 2 : x + w // 2] = 1
        height[step, 0] = 1.6 - 1.3 * down
        label[step] = INDEX[FLOOR] if step >= onset + 6 else INDEX[FALLING] if step >= onset else INDEX[UPRIGHT]
    grey[owner > 0] = 20
    return Clip(grey, owner, label, height, {"format": FORMAT, "content": [0, 0, 128, 96]})


def render(folder: Path, count: int) -> Path:
    """A folder of such clips; every second one falls."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        clip = bar_clip(rng, falls=bool(number % 2))
        if not clip_path(folder, number).exists():
            save_clip(clip, clip_path(folder, number))
    return folder


def mine(folder: Path, count: int) -> Path:
    """A folder of pieces of everyday footage: the bar stands."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for number in range(count):
        clip = bar_clip(rng, falls=False)
        write_piece(Piece(clip.grey, None, {"source": "day"}), folder / f"mined_{number:06d}.npz")
    return folder
