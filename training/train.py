"""Train the network: `fallwatch train`. One page, top to bottom: settings, clips, loop, validation, checkpoint.

Clips are rendered ones (a folder of .npz) and the trainable rows of a table like data/clips.csv. The checkpoint kept is
chosen on rendered clips that were held back: false alarms first, recall second. Real clips choose nothing: there are
too few of them, and those not trained on are for the table alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from device.errors import FallwatchError
from training import checkpoint as store
from training.augment import Augment
from training.checkpoint import Checkpoint
from training.curves import draw_curves
from training.footage import load_clips
from training.index import HoldOut, hold_out, read_index, trainable
from training.networks import FallNetwork, NetworkConfig, build
from training.rendered import RenderedClips, better, validate
from training.windows import STORED, Batch, Mix, Sample, Windows, real_sample

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "34359738368",
    "MALLOC_TOP_PAD_": "268435456",
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "0",
}
"""glibc keeps freed activations instead of giving them back: 2.1-2.3 times the speed on two cores (MODEL.md I.6).
OpenMP threads that wait do not spin: on cores shared with other work 1.5 s a step instead of 4-5 s (measured here)."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything a run depends on besides the network's shape. steps: optimizer steps. lr: peak, after `warmup` steps,
    falling to a fiftieth on a cosine. ema: decay of the averaged weights. every: steps between validations."""

    out: str = "runs/train"
    clips: str = ""
    synth: str = ""
    hold_out: tuple[str, ...] = ()
    init: str = ""
    steps: int = 700
    lr: float = 3e-3
    warmup: int = 40
    weight_decay: float = 0.03
    ema: float = 0.99
    real: float = 0.15
    every: int = 100
    seed: int = 1
    threads: int = 2

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        along = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, along))))


def set_loss(logits: Tensor, allowed: Tensor, weight: Tensor) -> Tensor:
    """Minus the log of the probability of all allowed labels together, mean over the steps that count."""
    log = logits.log_softmax(-1).masked_fill(~allowed, -torch.inf).logsumexp(-1)
    return -(log * weight).sum() / weight.sum().clamp(min=1.0)


class Average:
    """Exponential moving average of weights and batch-norm statistics; short memory at first, so that it warms up."""

    def __init__(self, network: FallNetwork, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: FallNetwork, step: int) -> None:
        """Take the network's present weights in."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)


def gather(config: TrainConfig, windows: Windows) -> RenderedClips | None:
    """Fill the windows with the clips that the settings name. Raises ValueError (any kind) with one sentence."""
    if config.clips:
        clips = trainable(read_index(Path(config.clips)))
        if config.hold_out:
            clips, _ = hold_out(clips, [HoldOut.parse(text) for text in config.hold_out])
        footage = load_clips(clips, STORED, Path("runs/cache"))
        windows.add([real_sample(clip, footage[clip.name]) for clip in clips])
    rendered = None
    if config.synth:
        if not Path(config.synth).is_dir():
            raise ValueError(f"{config.synth}: no such folder; render first: fallwatch synth --out {config.synth}")
        rendered = RenderedClips(Path(config.synth))
        windows.add(rendered.fresh())
    if not len(windows):
        raise ValueError("nothing to train on; give --synth a folder of rendered clips or --clips a table of real ones")
    return rendered


def tensors(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """A batch as the network takes it: float (batch, steps, 3, h, w) in 0..1, allowed, weight."""
    inputs = torch.from_numpy(batch.inputs).permute(0, 1, 4, 2, 3).float() / 255
    return inputs, torch.from_numpy(batch.allowed), torch.from_numpy(batch.weight)


class Run:
    """One training under way: network, optimizer, averaged weights, and what has been measured so far."""

    def __init__(self, config: TrainConfig, shape: NetworkConfig, resume: bool) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.out = Path(config.out)
        kept = store.load(self.out / "last.pt") if resume else None
        started = store.load(Path(config.init)) if config.init and not kept else kept
        self.network = build(started.network if started else shape)
        if started:
            self.network.load_state_dict(started.progress.get("weights") or started.weights)
        self.optimizer = torch.optim.AdamW(_groups(self.network, config), lr=config.lr)
        self.average = Average(self.network, config.ema)
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] = {}
        if kept:
            self.optimizer.load_state_dict(kept.progress["optimizer"])
            self.average.weights = kept.weights
            self.step, self.history, self.best = kept.step, kept.progress["history"], kept.progress["best"]

    def learn(self, batch: Batch) -> float:
        """One optimizer step; returns the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(self.step)
        inputs, allowed, weight = tensors(batch)
        loss = set_loss(self.network.train().window(inputs), allowed, weight)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.network, self.step)
        self.step += 1
        self.history.append({"step": self.step, "loss": float(loss.detach())})
        return float(np.mean([point["loss"] for point in self.history[-20:]]))

    def keep(self, held_back: list[Sample]) -> dict[str, float]:
        """Measure the averaged weights, write last.pt and the curves, and checkpoint.pt if they are the best so far."""
        averaged = build(self.network.config)
        averaged.load_state_dict(self.average.weights)
        figures = validate(averaged.eval(), held_back)
        self.history[-1].update({name: value for name, value in figures.items() if not math.isnan(value)})
        settings = dataclasses.asdict(self.config)
        settings["hold_out"] = list(self.config.hold_out)
        now = Checkpoint(self.network.config, self.average.weights, settings, self.step, figures)
        if better(figures, self.best):
            self.best = figures
            store.save(now, self.out / "checkpoint.pt")
        progress: dict[str, Any] = {"weights": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        progress |= {"history": self.history, "best": self.best}
        store.save(dataclasses.replace(now, progress=progress), self.out / "last.pt")
        draw_curves(self.history, self.out / "curves.png")
        return figures


def train(config: TrainConfig, shape: NetworkConfig | None = None, resume: bool = False) -> Path:
    """Run one training, or go on with the one in config.out; returns the path of the chosen checkpoint."""
    run = Run(config, shape or NetworkConfig(), resume)
    windows = Windows(Mix(real=config.real), Augment(), run.network.config.raster, config.seed + 1000 * run.step)
    rendered = gather(config, windows)
    bar = tqdm(range(run.step, config.steps), initial=run.step, total=config.steps, desc="train", unit="step")
    for _ in bar:
        loss = run.learn(windows.batch())
        bar.set_postfix(loss=f"{loss:.3f}", clips=len(windows))
        if run.step % config.every == 0 or run.step == config.steps:
            if rendered:
                windows.add(rendered.fresh())
            figures = run.keep(rendered.validation if rendered else [])
            bar.write(f"step {run.step}: " + " ".join(f"{name} {value:.3g}" for name, value in figures.items()))
    return run.out / "checkpoint.pt"


def _groups(network: FallNetwork, config: TrainConfig) -> list[dict[str, Any]]:
    """No decay on vectors (norms, biases) nor on depthwise kernels, which start as the identity in time."""
    decayed = [p for p in network.parameters() if p.ndim > 1 and p.shape[1] > 1]
    others = [p for p in network.parameters() if p.ndim <= 1 or p.shape[1] <= 1]
    return [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]


HELP = {
    "out": "folder of checkpoints and curves",
    "clips": "table of real clips, in the form of data/clips.csv; rows of dev are never used",
    "synth": "folder of rendered clips; may still be growing",
    "hold_out": "real clips to keep away: DATASET or DATASET:SUBJECT,SUBJECT; may be repeated",
    "init": "checkpoint to start from (fine-tuning)",
    "steps": "optimizer steps",
    "lr": "peak learning rate",
    "warmup": "steps of rising learning rate",
    "weight_decay": "AdamW weight decay",
    "ema": "decay of the averaged weights",
    "real": "share of real windows in a batch",
    "every": "steps between validations",
    "seed": "seed of everything random",
    "threads": "CPU threads",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings of TrainConfig as options, and --resume."""
    parser.epilog = "example: fallwatch train --synth synth --clips data/clips.csv --hold-out gmdcsa24:G1 --out runs/G1"
    for option in dataclasses.fields(TrainConfig):
        flag = "--" + option.name.replace("_", "-")
        if option.name == "hold_out":
            parser.add_argument(flag, action="append", default=None, metavar="WHAT", help=HELP[option.name])
        else:
            kind = type(option.default)
            parser.add_argument(
                flag, type=kind, default=option.default, help=f"{HELP[option.name]} (default {option.default!r})"
            )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own settings")


def run(args: argparse.Namespace) -> int:
    """Train by the command line's settings. 0: a checkpoint was written; 1: the clips or the checkpoint are no good."""
    if any(name not in os.environ for name in ENVIRONMENT):
        # Read by the allocator before the program starts, so it must be started again.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **ENVIRONMENT})
    try:
        if args.resume:
            values = {**store.load(Path(args.out) / "last.pt").train, "out": args.out}
            config = TrainConfig(**{**values, "hold_out": tuple(values["hold_out"])})
        else:
            values = {f.name: getattr(args, f.name) for f in dataclasses.fields(TrainConfig)}
            config = TrainConfig(**{**values, "hold_out": tuple(args.hold_out or ())})
        print(train(config, resume=args.resume))
    except (FallwatchError, ValueError) as error:
        print(f"fallwatch train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"stopped; go on with: fallwatch train --resume --out {args.out}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="fallwatch train", description="Train the network.")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
