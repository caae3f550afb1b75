"""Footage for making and judging a bundle: real clips that may be trained on, and rendered ones.

Calibration sees two clips of three, the third is held out to choose the method by; each from its own beginning, so
that states start from zero as they do on the unit.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.preprocess import Raster, stack, to_grey
from quantize.bundle import Pictures
from training.footage import Footage, load_clips
from training.index import read_index, trainable
from training.samples import synthetic_sample

LONGEST_STEPS: Final = 120
"""Steps of one clip that calibration streams: past the look-back, and no long clip outweighs the falls."""

RENDERED_CLIPS: Final = 30
"""Rendered clips used beside the real ones; spread over the folder by name."""

HELD_OUT_EVERY: Final = 3

Window = NDArray[np.uint8]


def gather(clips: Path | None, rendered: Path | None, raster: Raster, cache: Path) -> Pictures:
    """Windows from a table of clips (its trainable rows) and a folder of rendered clips; either may be None.

    Raises ClipTableError, FootageError or ValueError with one sentence.
    """
    windows: list[Window] = []
    if clips is not None:
        for footage in load_clips(trainable(read_index(clips)), raster, cache).values():
            windows.extend(real_windows(footage, raster))
    if rendered is not None:
        windows.extend(rendered_windows(rendered, raster))
    held_out = windows[::HELD_OUT_EVERY]
    calibration = [window for index, window in enumerate(windows) if index % HELD_OUT_EVERY]
    if not calibration:
        raise ValueError("too little footage to calibrate on; give --clips a table of clips or --synth rendered ones")
    return Pictures([window[:LONGEST_STEPS] for window in calibration], held_out)


def real_windows(footage: Footage, raster: Raster) -> list[Window]:
    """Uninterrupted stretches of a clip as model inputs; those shorter than the long difference say nothing."""
    starts = [*np.flatnonzero(footage.reset).tolist(), len(footage)]
    stretches = [footage.grey[start:end] for start, end in itertools.pairwise(starts)]
    return [stack(grey, raster) for grey in stretches if len(grey) > raster.long_steps]


def rendered_windows(folder: Path, raster: Raster) -> list[Window]:
    """Some of a folder's rendered clips as model inputs."""
    paths = sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder}: no rendered clips there; render some with `fallwatch synth --out {folder}`")
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, RENDERED_CLIPS).astype(int))]
    return [
        stack(np.stack([to_grey(picture, raster) for picture in synthetic_sample(path).grey]), raster)
        for path in chosen
    ]


def one_stream(windows: list[Window]) -> Window:
    """All windows joined without a reset between them, cuts and all: shows drift where there is any."""
    return np.concatenate(windows)
