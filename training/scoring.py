"""A network over footage: probabilities per step, and the window figures of a set of scored clips."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from device.labels import FALLING, FLOOR, INDEX, LABELS
from device.preprocess import Raster, stack
from training.channels import drop_channels
from training.footage import Footage
from training.metrics import ClipWindows, recall_at, window_auc
from training.networks import FallNetwork

CHUNK_STEPS: Final = 256
"""Steps scored at once, besides the look-back: bounds memory on footage of any length."""

EVIDENCE = [INDEX[FALLING], INDEX[FLOOR]]


def evidence(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(falling) + P(floor): the score every table of this project is made from. (steps, labels) -> (steps,)."""
    return np.asarray(probabilities[:, EVIDENCE].sum(axis=1), np.float64)


@torch.no_grad()
def probabilities(network: FallNetwork, footage: Footage) -> NDArray[np.float64]:
    """What the unit's network says at each step of footage on the network's own raster: (steps, labels).

    Starts from nothing at every reset, as the unit does; chunked without changing a value.
    """
    raster = network.config.raster
    if footage.grey.shape[1:] != (raster.height, raster.width):
        raise ValueError(f"footage on {footage.grey.shape[1:]}, the network wants {(raster.height, raster.width)}")
    out = np.zeros((len(footage), len(LABELS)))
    starts = [*np.flatnonzero(footage.reset).tolist(), len(footage)]
    for start, end in pairwise(starts):
        out[start:end] = _stretch(network, footage.grey[start:end], raster)
    return out


def _stretch(network: FallNetwork, grey: NDArray[np.uint8], raster: Raster) -> NDArray[np.float64]:
    inputs = drop_channels(stack(grey, raster), network.dropped)
    parts = []
    for first in range(0, len(grey), CHUNK_STEPS):
        before = max(0, first - network.config.look_back_steps)
        window = torch.from_numpy(inputs[before : first + CHUNK_STEPS]).permute(0, 3, 1, 2)[None].float() / 255
        parts.append(network.eval().window(window)[0, first - before :].double().softmax(-1).numpy())
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """One row of a table: how many falls and everyday windows, AUC, recall at 0, 5 and 10 % of windows."""

    falls: int
    windows: int
    auc: float
    recall_at_0: float
    recall_at_5: float
    recall_at_10: float


def window_figures(clips: Iterable[ClipWindows]) -> WindowFigures:
    """Figures over clips taken together."""
    clips = list(clips)
    falls = [clip.fall for clip in clips if clip.fall is not None]
    everyday = [score for clip in clips for score in clip.everyday]
    at = (recall_at(falls, everyday, share) for share in (0.0, 0.05, 0.10))
    return WindowFigures(len(falls), len(everyday), window_auc(falls, everyday), *at)
