"""One training in several processes (`torchrun`), with the loss curve of one.

Each process takes its share of every batch. What one process would have taken over the whole batch is taken over all
of them here too: batch-norm statistics, the divisor of the loss, the gradient, and the places where dropout strikes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from training.batchnorm import GlobalBatchNorm

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class World:
    """Which of how many processes this is, and the device it computes on."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - immutable

    @property
    def first(self) -> bool:
        """The process that speaks, measures and writes."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """This process's places in a batch. Raises ValueError when it does not split evenly."""
        if batch % self.size:
            raise ValueError(
                f"a batch of {batch} windows does not split evenly over {self.size} processes; set --batch and --window"
            )
        each = batch // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def total(self, values: Tensor) -> Tensor:
        """Sum over the processes, without a gradient. A new tensor."""
        summed = values.detach().clone()
        if self.size > 1:
            dist.all_reduce(summed)
        return summed

    def same(self, value: Value) -> Value:
        """What the first process has, for all of them: folders may grow between two looks."""
        box = [value]
        if self.size > 1:
            dist.broadcast_object_list(box)
        return box[0]


@contextmanager
def joined() -> Iterator[World]:
    """The world that torchrun describes in the environment, left in order; a world of one without torchrun."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        yield World(device=device)
        return
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield World(dist.get_rank(), size, device)
    finally:
        dist.destroy_process_group()


class SharedDropout(nn.Dropout):
    """Dropout that strikes the same places of the whole batch, whoever computes which share of it.

    Every process draws for the whole batch, from the same seed, and uses its own part. The first axis of what comes
    in is a multiple of the windows in this share, in their order.
    """

    def __init__(self, p: float, world: World) -> None:
        super().__init__(p)
        self.world = world

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        if not self.training or self.p == 0:
            return x
        n = len(x)
        whole = torch.rand((n * self.world.size, *x.shape[1:]), device=x.device)
        kept = whole[self.world.rank * n : (self.world.rank + 1) * n] >= self.p
        return x * kept / (1 - self.p)


def _twin(part: nn.Module, world: World) -> nn.Module | None:
    """The layer that does over all processes what `part` does over one; None where that is `part` itself."""
    if type(part) is nn.Dropout:
        return SharedDropout(part.p, world)
    if not isinstance(part, _BatchNorm) or not part.affine:
        return None
    if world.device.type == "cuda":
        if world.size == 1:
            return None
        synced: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(part)  # type: ignore[no-untyped-call]
        return synced
    twin = GlobalBatchNorm(part.num_features, part.eps, part.momentum)
    twin.load_state_dict(part.state_dict())
    return twin


def share_layers(network: nn.Module, world: World) -> None:
    """Replace, in place, every layer that looks at the whole batch. Weights and their names stay as they are."""
    for parent in list(network.modules()):
        for name, part in list(parent.named_children()):
            twin = _twin(part, world)
            if twin is not None:
                setattr(parent, name, twin.train(part.training))


def wrapped(module: nn.Module, world: World) -> nn.Module:
    """The module as DistributedDataParallel, or as it is in a world of one.

    DDP takes the mean of the gradients: hand it a loss that is multiplied by the number of processes.
    """
    if world.size == 1:
        return module
    devices: Sequence[Any] | None = [world.device] if world.device.type == "cuda" else None
    # Running statistics are equal by construction, so there is nothing to send around before each step.
    return DistributedDataParallel(module, device_ids=devices, broadcast_buffers=False)
