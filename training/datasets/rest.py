"""When a body comes to rest, for datasets whose label of a fall runs on while the person lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.footage import FootageError
from device.preprocess import Raster
from training.footage import STEP_S, sample_footage

LOOK: Final = Raster(128, 96)
STIRRED: Final = 8
"""Grey levels between two steps below which a pixel did not move: above the sensor noise area averaging leaves."""
PEAK_WITHIN_S: Final = 2.5
"""The strongest motion of a fall comes this soon after its start: the longest of the 16 falls of GMDCSA24 and CAUCAFall
in data/clips.csv takes 2.4 s in all."""
AT_REST: Final = 0.4
"""Share of the fall's peak motion below which the body is at rest, for two steps. Against the ends of those 16 falls
(estimated by eye themselves): off by 0.2 s in the median and 1.1 s at most, later as often as earlier (measured)."""
TIMES: Final = "start annotated; end estimated (motion energy, 0.2 s in the median)"


def rest_after(path: Path, start_s: float) -> float:
    """Seconds from the start of the footage at which the fall that starts at start_s has come to rest.

    Raises FootageError where the footage cannot be read, or ends before that.
    """
    footage = sample_footage(path, LOOK)
    if start_s >= footage.t[-1]:
        raise FootageError(f"{path}: ends at {footage.t[-1]:.1f} s, its fall starts at {start_s:g} s; fetch it again")
    return _rest(_energy(footage.grey), round(start_s / STEP_S)) * STEP_S


def _energy(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Motion at each step, smoothed over three."""
    change = np.abs(np.diff(grey.astype(np.int16), axis=0, prepend=grey[:1]))
    energy = np.where(change > STIRRED, change, 0).mean(axis=(1, 2))
    return np.convolve(np.pad(energy, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")


def _rest(energy: NDArray[np.float64], start: int) -> int:
    """First step of the rest that follows the peak after `start`; at least one step after it, at most the last step."""
    start = min(start, len(energy) - 2)
    peak = start + int(energy[start : start + round(PEAK_WITHIN_S / STEP_S)].argmax())
    still = np.percentile(energy, 10)
    calm = energy < still + AT_REST * (energy[peak] - still)
    for step in range(peak + 1, len(energy) - 1):
        if calm[step] and calm[step + 1]:
            return max(step, start + 1)
    return len(energy) - 1
