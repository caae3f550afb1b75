"""Batches made beside the training: by worker processes, ahead of time, in the order of the steps."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.distributed import World
from training.windows import Batch, Windows

Tensors = dict[str, Tensor]
"""The fields of a Batch by name."""

AHEAD = 2
"""Batches that each worker keeps ready."""

MOST_WORKERS = 12
"""Beside a GPU: a batch of 16 x 40 takes 0.06 s of a core to make (measured), a GPU's step less."""


def workers_for(asked: int, world: World) -> int:
    """Processes that make windows: as asked, or for -1 none on a CPU, where windows are 4 % of the work (measured)."""
    if asked >= 0:
        return asked
    if world.device.type == "cpu":
        return 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST_WORKERS, (os.cpu_count() or 1) // here - 1))


class StepBatches(Dataset[Tensors]):
    """This process's share of the batch of each step from `first` on."""

    def __init__(self, windows: Windows, world: World, steps: range) -> None:
        self.windows = windows
        self.world = world
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Tensors:
        step = self.steps[index]
        batch = self.windows.batch(step, self.world.share(self.windows.shape(step)[0]))
        return {field.name: torch.from_numpy(getattr(batch, field.name)) for field in dataclasses.fields(Batch)}


def stream(windows: Windows, world: World, steps: range, workers: int) -> Iterator[tuple[Tensors, float]]:
    """Each step's batch, and the seconds that were spent waiting for it. workers: as of `workers_for`."""
    workers = workers_for(workers, world)
    # Workers are forked anew for each stretch of steps: they share the clips of that moment without a copy.
    batches = DataLoader(
        StepBatches(windows, world, steps),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        worker_init_fn=_alone if workers else None,
        multiprocessing_context="fork" if workers else None,
    )
    ready = iter(batches)
    while True:
        asked = time.perf_counter()
        batch = next(ready, None)
        if batch is None:
            return
        yield batch, time.perf_counter() - asked


def _alone(_: int) -> None:
    """One thread a worker; OpenCV's own threads would not survive the fork."""
    cv2.setNumThreads(0)
