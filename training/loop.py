"""One optimizer step after another: the network, its optimizer, its averaged weights, and all that a resume needs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from training.averaging import Average
from training.checkpoint import Checkpoint, load
from training.distributed import World, share_layers, wrapped
from training.lineage import KEY, lineage_of
from training.losses import WEIGHTS, loss_parts
from training.networks import FallNetwork, NetworkConfig, build, parse_network
from training.options import TrainConfig

LONGEST_GRADIENT: Final = 1.0
"""Gradients are cut to this norm: one odd window then moves the weights no further than others do."""

SEED_STRIDE: Final = 1_000_003
"""Between the random numbers of one run and those of the next seed; steps in between are each step's own."""


class Training:
    """A network being trained, from the settings, or from where a checkpoint left it.

    Everything random about a step comes from (seed, step): a resumed run draws what the uninterrupted one would have.
    """

    def __init__(self, config: TrainConfig, world: World, kept: Checkpoint | None) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config, self.world = config, world
        self.lineage = _lineage(config, kept)
        self.network = _started(config, kept).to(world.device)
        share_layers(self.network, world)
        self.learner = wrapped(_WithHeads(self.network), world)
        self.optimizer = torch.optim.AdamW(_groups(self.network, config), lr=config.lr)
        self.precision = precision(config.amp, world.device)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=self.precision is torch.float16)
        self.average = Average(self.network, config.ema)
        self.step = 0
        if kept:
            self.optimizer.load_state_dict(kept.progress["optimizer"])
            self.scaler.load_state_dict(kept.progress["scaler"])
            self.average.load(kept.weights)
            self.step = kept.step

    def learn(self, batch: Mapping[str, Tensor]) -> dict[str, float]:
        """One optimizer step over this process's share of a batch. Returns the parts of the loss over all of it.

        Raises ValueError when the loss is no number any more.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(self.step)
        torch.manual_seed(self.config.seed * SEED_STRIDE + self.step)
        there = {name: value.to(self.world.device, non_blocking=True) for name, value in batch.items()}
        inputs = there["inputs"].permute(0, 1, 4, 2, 3).float() / 255
        with self._autocast():
            logits, said = self.learner.train()(inputs)
        parts = loss_parts(logits, said, there, self.config.smoothing)
        counts = self.world.total(torch.stack([count for _, count in parts.values()])).clamp(min=1.0)
        means = torch.stack([total for total, _ in parts.values()]) / counts
        weights = means.new_tensor([WEIGHTS[name] for name in parts])
        self._descend((means * weights).sum() * self.world.size)
        self.average.update(self.network, self.step)
        self.step += 1
        figures = dict(zip(parts, self.world.total(means).tolist(), strict=True))
        return self._checked({"loss": sum(WEIGHTS[name] * value for name, value in figures.items()), **figures})

    def _descend(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _checked(self, figures: dict[str, float]) -> dict[str, float]:
        if not math.isfinite(figures["loss"]):
            raise ValueError(
                f"the loss at step {self.step} is {figures['loss']}; train again with a lower --lr, "
                f"or go on from {self.config.out}/last.pt with --init"
            )
        return figures

    def _autocast(self) -> AbstractContextManager[Any]:
        device, dtype = self.world.device.type, self.precision
        return torch.autocast(device, dtype=dtype, enabled=dtype is not torch.float32)

    def averaged(self) -> FallNetwork:
        """A copy with the averaged weights, on the CPU, in eval mode: what a checkpoint of now would build."""
        return self.checkpoint({}).build()

    def checkpoint(self, metrics: dict[str, float]) -> Checkpoint:
        """The averaged weights as they stand, to be used; with what was measured of them."""
        weights = {name: value.cpu() for name, value in self.average.weights.items()}
        train = dataclasses.asdict(self.config) | {KEY: self.lineage}
        return Checkpoint(self.network.config, weights, train, self.step, metrics)

    def to_resume(self, record: dict[str, Any]) -> Checkpoint:
        """The same, with all that going on needs; record: what has been measured so far."""
        progress = {
            "weights": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        return dataclasses.replace(self.checkpoint({}), progress=progress | record)


class _WithHeads(nn.Module):
    """The network as a module whose call answers labels and auxiliary heads, for DistributedDataParallel to wrap."""

    def __init__(self, network: FallNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.network.window_with_aux(x)


def precision(amp: str, device: torch.device) -> torch.dtype:
    """What a step computes in. auto: float32 on a CPU, where it beats bf16 (MODEL.md I.6)."""
    if amp == "auto" and device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(amp, torch.float32)


def shape_of(config: TrainConfig) -> NetworkConfig:
    """The network that the settings ask for: --init's own where there is one, with the auxiliary heads of --aux.

    Raises ValueError where --network asks for another than --init has.
    """
    asked = parse_network(config.network, config.aux)
    if not config.init:
        return asked
    started = dataclasses.replace(load(Path(config.init)).network, aux=config.aux)
    if config.network != TrainConfig().network and asked != started:
        raise ValueError(f"{config.init} is not a network {config.network}; leave --network out, or --init")
    return started


def _lineage(config: TrainConfig, kept: Checkpoint | None) -> dict[str, Any]:
    """What the run and those it began as have seen: as the kept run remembers it, and what has been mined since."""
    settings = dataclasses.asdict(config)
    if kept and KEY in kept.train:
        known: dict[str, Any] = kept.train[KEY]
        mined = lineage_of(settings | {"negatives": known["negatives"]})["mined_from"]
        return known | {"mined_from": sorted({*known["mined_from"], *mined})}
    return lineage_of(settings, [load(Path(config.init)).train] if config.init else [])


def _started(config: TrainConfig, kept: Checkpoint | None) -> FallNetwork:
    """A fresh network, one with --init's weights, or the kept one as it stood."""
    network = build(kept.network if kept else shape_of(config))
    network.dropped = config.drop_channel
    if kept:
        network.load_state_dict(kept.progress["weights"])
    elif config.init:
        started = load(Path(config.init))
        weights = started.progress.get("weights") or started.weights
        # Training-only heads come fresh where the other run had none, and go where this one has none.
        fresh = {name: value for name, value in network.state_dict().items() if name.startswith("aux.")}
        kept_weights = {name: value for name, value in weights.items() if not name.startswith("aux.") or name in fresh}
        network.load_state_dict(fresh | kept_weights)
    return network


def _groups(network: FallNetwork, config: TrainConfig) -> list[dict[str, Any]]:
    """No decay on vectors (norms, biases) nor on depthwise kernels, which start as the identity in time."""
    decayed = [p for p in network.parameters() if p.ndim > 1 and p.shape[1] > 1]
    others = [p for p in network.parameters() if p.ndim <= 1 or p.shape[1] <= 1]
    return [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
