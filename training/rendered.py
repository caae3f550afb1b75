"""Rendered clips from a folder that may still be growing, and what a network makes of those held back from training."""

from __future__ import annotations

import dataclasses
import math
import sys
import zlib
from pathlib import Path

import numpy as np
from tqdm import tqdm

from device.labels import FALLING, FLOOR, INDEX
from device.preprocess import to_grey
from training.footage import STEP_S, Footage
from training.metrics import ClipWindows, clip_windows, false_share_at, smooth
from training.networks import FallNetwork
from training.scoring import evidence, probabilities, window_figures
from training.windows import STORED, Sample, synthetic_sample

VALIDATION_SHARE = 0.06
VALIDATION_CLIPS = 240
"""Rendered clips held back, chosen by name, so that a clip stays on its side while more are being rendered."""


class RenderedClips:
    """A folder of rendered clips that may still be growing; splits off the validation clips by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.validation: list[Sample] = []
        self._seen: set[Path] = set()

    def fresh(self) -> list[Sample]:
        """Training clips that came since the last call; validation clips are put aside."""
        found = []
        paths = sorted(path for path in self.folder.glob("*.npz") if path not in self._seen and path.name[0] != ".")
        for path in tqdm(paths, desc="rendered clips", unit="clip", disable=len(paths) < 200):
            try:
                sample = synthetic_sample(path)
            except ValueError as error:
                tqdm.write(str(error), file=sys.stderr)
                self._seen.add(path)
                continue
            self._seen.add(path)
            if zlib.crc32(path.stem.encode()) % 1000 >= 1000 * VALIDATION_SHARE:
                found.append(sample)
            elif len(self.validation) < VALIDATION_CLIPS:
                self.validation.append(sample)
        return found


def validate(network: FallNetwork, samples: list[Sample]) -> dict[str, float]:
    """Figures on held-back rendered clips: false_share at the level that finds 95 % of falls, AUC, recalls."""
    clips = []
    for sample in samples:
        raster = network.config.raster
        t = np.arange(len(sample.grey), dtype=np.float64) * STEP_S
        grey = np.stack([to_grey(picture, raster) for picture in sample.grey])
        reset = np.arange(len(t)) == 0
        score = smooth(t, evidence(probabilities(network, Footage(t, grey, reset, (STORED.width, STORED.height)))), 0.5)
        falling = np.flatnonzero(sample.allowed[:, INDEX[FALLING]])
        if falling.size:
            clips.append(clip_windows(t, score, (float(t[falling[0]]), float(t[falling[-1]]))))
        elif not sample.allowed[:, INDEX[FLOOR]].any():
            clips.append(clip_windows(t, score, None))
    return {**dataclasses.asdict(window_figures(clips)), "false_share": _false_share(clips)}


def _false_share(clips: list[ClipWindows]) -> float:
    falls = [clip.fall for clip in clips if clip.fall is not None]
    return false_share_at(falls, [score for clip in clips for score in clip.everyday], 0.95)


def better(new: dict[str, float], old: dict[str, float]) -> bool:
    """False alarms first, to the percent, recall without any false alarm second."""
    if not old or any(math.isnan(old[name]) for name in ("false_share", "recall_at_0")):
        return True
    return (round(new["false_share"], 2), -new["recall_at_0"]) <= (round(old["false_share"], 2), -old["recall_at_0"])
