"""Folders of clips that may still be growing, and what a network makes of those held back from training."""

from __future__ import annotations

import dataclasses
import math
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from device.labels import FALLING, FLOOR, INDEX
from training.metrics import ClipWindows, clip_windows, false_share_at, smooth
from training.networks import FallNetwork
from training.pieces import film_of
from training.samples import Sample, synthetic_sample
from training.scoring import evidence, probabilities, window_figures

VALIDATION_SHARE = 0.06
VALIDATION_CLIPS = 240
"""Clips held back, chosen by name, so that a clip stays on its side while more are being rendered."""


Mark = tuple[int, int] | None


class ClipFolders:
    """Folders of .npz clips that may still be growing; splits off the validation clips by name.

    read: file -> Sample, ValueError for one that is no good. most: no more training clips than these, the first by
    name, evenly over the folders. found, refused: clips that could be read, and why the others could not.
    """

    def __init__(
        self, folders: Sequence[Path], read: Callable[[Path], Sample] = synthetic_sample, most: int | None = None
    ) -> None:
        for folder in folders:
            if not folder.is_dir():
                raise ValueError(
                    f"{folder}: no such folder; render clips into it first: fallwatch synth --out {folder}"
                )
        self.folders = folders
        self.validation: list[Sample] = []
        self.refused: list[str] = []
        self.found = 0
        self._read = read
        self._left = math.inf if most is None else most
        self._seen: set[Path] = set()
        self._torn: dict[Path, Mark] = {}

    def paths(self) -> list[Path]:
        """Clips that came since the last call, by name; also one that was refused and is another file by now.

        Whoever copies clips into a folder writes them piece by piece: what was half a clip may be whole the next time.
        """
        there = [path for folder in self.folders for path in folder.glob("*.npz") if path.name[0] != "."]
        fresh = (path for path in there if path not in self._seen or self._whole_now(path))
        return sorted(fresh, key=lambda path: (path.name, path.parent))

    def _whole_now(self, path: Path) -> bool:
        """Whether a clip that was refused has been written again since."""
        return path in self._torn and self._torn[path] != _mark(path)

    def fresh(self, paths: Sequence[Path] | None = None) -> list[Sample]:
        """Training clips that came since the last call, or those of `paths`; validation clips are put aside.

        A clip that cannot be read is named on stderr, noted in `refused` and passed over.
        """
        found: list[Sample] = []
        paths = self.paths() if paths is None else paths
        for path in tqdm(paths, desc="clips", unit="clip", disable=len(paths) < 200):
            self._seen.add(path)
            held_back = _held_back(path)
            if (len(self.validation) >= VALIDATION_CLIPS) if held_back else (self._left <= 0):
                continue
            mark = _mark(path)
            try:
                sample = self._read(path)
            except ValueError as error:
                tqdm.write(str(error), file=sys.stderr)
                self.refused.append(str(error))
                self._torn[path] = mark
                continue
            self._torn.pop(path, None)
            self.found += 1
            if held_back:
                self.validation.append(sample)
            else:
                self._left -= 1
                found.append(sample)
        return found


def _mark(path: Path) -> Mark:
    """Size and time of a file, to see that it was written again; None where it is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _held_back(path: Path) -> bool:
    return zlib.crc32(path.stem.encode()) % 1000 < 1000 * VALIDATION_SHARE


def validate(network: FallNetwork, samples: Sequence[Sample]) -> dict[str, float]:
    """Figures on held-back clips: false_share at the level that finds 95 % of falls, AUC, recalls.

    A clip with somebody on the floor but no fall counts for nothing.
    """
    clips = []
    for sample in samples:
        film = film_of(sample.grey, network.config.raster)
        t, score = film.t, smooth(film.t, evidence(probabilities(network, film)), 0.5)
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
