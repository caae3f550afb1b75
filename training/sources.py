"""The clips that the settings of a training name: rendered, real, and mined."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from training.distributed import World
from training.footage import CACHE, load_clips
from training.index import HoldOut, both_classes, hold_out, read_indexes, trainable
from training.options import TrainConfig
from training.rendered import ClipFolders
from training.samples import STORED, Sample, mined_sample, real_sample
from training.windows import Windows


@dataclass(frozen=True, slots=True)
class Sources:
    """Folders that may still be growing: of rendered clips, of mined pieces; either may be absent."""

    folders: tuple[ClipFolders, ...]

    @property
    def validation(self) -> list[Sample]:
        """Clips held back from training: what chooses the checkpoint."""
        return [sample for folder in self.folders for sample in folder.validation]

    def grow(self, windows: Windows, world: World) -> None:
        """Add what has come since the last time; the first process looks, so that all have the same."""
        for folder in self.folders:
            windows.add(folder.fresh(world.same(folder.paths())))


def gather(config: TrainConfig, windows: Windows, world: World) -> Sources:
    """Fill the windows with the clips that the settings name.

    Raises ValueError (any kind) with one sentence for a folder or table that is no good, and for an empty class.
    """
    if config.photographs:
        windows.backdrops.add_photographs(config.photographs)
    folders = []
    if config.synth:
        folders.append(ClipFolders(_paths(config.synth), most=config.max_clips or None))
    if config.negatives:
        folders.append(ClipFolders(_paths(config.negatives), mined_sample))
    if not folders and not config.clips:
        raise ValueError("nothing to train on; give --synth a folder of rendered clips or --clips a table of real ones")
    sources = Sources(tuple(folders))
    sources.grow(windows, world)
    for folder in folders:
        _check_some(folder)
    windows.add(_real(config))
    _check_classes(windows)
    if world.first and not sources.validation:
        print(
            "fallwatch train: too few rendered clips and mined pieces to hold some back (6 %, by their names): "
            "nothing measures the network, and its last step is kept instead of its best",
            file=sys.stderr,
        )
    return sources


def _real(config: TrainConfig) -> list[Sample]:
    if not config.clips:
        return []
    clips = trainable(read_indexes(_paths(config.clips)))
    if config.hold_out:
        clips, _ = hold_out(clips, [HoldOut.parse(text) for text in config.hold_out])
    if not config.synth:
        both_classes(clips)
    footage = load_clips(clips, STORED, CACHE)
    return [real_sample(clip, footage[clip.name]) for clip in clips]


def _paths(names: Iterable[str]) -> list[Path]:
    return [Path(name) for name in names]


def _check_some(folder: ClipFolders) -> None:
    if folder.found:
        return
    names = " and ".join(str(path) for path in folder.folders)
    if folder.refused:
        raise ValueError(f"{names}: no usable clip among {len(folder.refused)}; the first: {folder.refused[0]}")
    raise ValueError(f"{names}: no clip there yet; wait for fallwatch synth or mine to write some")


def _check_classes(windows: Windows) -> None:
    for calm, what in ((False, "fall, nor anybody on the floor,"), (True, "everyday clip")):
        if not windows.count(calm=calm):
            raise ValueError(
                f"no {what} among {len(windows)} clips to train on: a network learns nothing from one class"
            )
