"""The settings of a training, their command line, and which of them a resumed run may change."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.channels import CHANNEL_NAMES
from training.losses import SMOOTHING
from training.networks import AUXILIARY
from training.windows import Mix

ROOMS: Final = "../shared/data/rooms"
"""Photographs of empty rooms, beside the checkout; left out where they are not."""

STEPS_IN_A_BATCH: Final = 640
"""Windows times steps of a batch when only one of --batch and --window is given: what the usual shapes have."""

SHORTEST_WINDOW: Final = 10
"""Steps: a second, the reach of the long difference."""

AMP: Final = ("auto", "off", "bf16", "fp16")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Everything a run depends on.

    steps: optimizer steps. batch, window: windows of a batch and steps of a window, 0 for the usual mix of shapes.
    lr: peak, after `warmup` steps, falling to a fiftieth on a cosine. ema: decay of the averaged weights. every, save:
    steps between validations, and between checkpoints to go on from. max_clips: 0 for all.
    """

    out: str = "runs/train"
    network: str = "r2plus1d"
    aux: tuple[str, ...] = ()
    init: str = ""
    synth: tuple[str, ...] = ()
    clips: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    hold_out: tuple[str, ...] = ()
    max_clips: int = 0
    drop_channel: tuple[str, ...] = ()
    steps: int = 700
    batch: int = 0
    window: int = 0
    lr: float = 3e-3
    warmup: int = 40
    weight_decay: float = 0.03
    smoothing: float = SMOOTHING
    ema: float = 0.99
    real: float = 0.15
    mined: float = 0.1
    swap: float = 0.0
    near: float = 0.0
    backdrops: str = ROOMS
    every: int = 100
    save: int = 20
    seed: int = 1
    amp: str = "auto"
    threads: int = 2
    workers: int = -1

    def __post_init__(self) -> None:
        for name in ("real", "mined", "swap", "near", "smoothing", "ema"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{_flag(name)} {getattr(self, name)} is outside 0..1")
        for name in ("steps", "every", "save", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{_flag(name)} {getattr(self, name)} is less than 1")
        for name in ("max_clips", "batch", "window", "warmup", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{_flag(name)} {getattr(self, name)} is less than 0")
        if 0 < self.window < SHORTEST_WINDOW:
            raise ValueError(
                f"--window {self.window} is less than {SHORTEST_WINDOW} steps, in which nothing can be seen"
            )
        wrong = [name for name in self.drop_channel if name not in CHANNEL_NAMES]
        if wrong or len(set(self.drop_channel)) == len(CHANNEL_NAMES):
            raise ValueError(f"--drop-channel {' '.join(self.drop_channel)}: one or two of {', '.join(CHANNEL_NAMES)}")

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        along = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, along))))

    @property
    def photographs(self) -> Path | None:
        """Folder of photographs for --swap, if any. Raises ValueError for one that was asked for and is not there."""
        if not self.swap or not self.backdrops:
            return None
        folder = Path(self.backdrops)
        if not folder.is_dir() and self.backdrops != ROOMS:
            raise ValueError(f"--backdrops {folder}: no such folder; name one of photographs of empty rooms")
        return folder if folder.is_dir() else None

    def mix(self) -> Mix:
        """How batches are made up."""
        usual = Mix(real=self.real, mined=self.mined, swap=self.swap, near=self.near)
        if not self.batch and not self.window:
            return usual
        window = self.window or STEPS_IN_A_BATCH // 16
        return dataclasses.replace(usual, shapes=((self.batch or max(1, STEPS_IN_A_BATCH // window), window),))

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> TrainConfig:
        """From what a checkpoint keeps; what an older one does not name has its default."""
        lists = {field.name for field in dataclasses.fields(cls) if isinstance(field.default, tuple)}
        known = {field.name for field in dataclasses.fields(cls)}
        read: dict[str, Any] = {n: _listed(v) if n in lists else v for n, v in values.items() if n in known}
        return cls(**read)


MAY_CHANGE: Final = frozenset({"out", "threads", "workers", "save"})
"""Where a run lies and how it is computed, not what it computes: a resumed run may be given others."""

HELP: Final = {
    "out": "folder of checkpoints and curves",
    "network": "family[:key=value,...], e.g. r2plus1d:head_dilations=1-2-4-8-16,dropout=0.1",
    "aux": f"heads that only training has, of {','.join(AUXILIARY)}",
    "init": "checkpoint to start from (fine-tuning)",
    "synth": "folder of rendered clips; may still be growing; may be repeated",
    "clips": "table of real clips, in the form of data/clips.csv; rows of dev are never used; may be repeated",
    "negatives": "folder of mined everyday pieces (fallwatch mine); may be repeated",
    "hold_out": "real clips to keep away: DATASET or DATASET:SUBJECT,SUBJECT; may be repeated",
    "max_clips": "rendered clips to train on, the first by name; 0: all",
    "drop_channel": f"input channel left at zero, {', '.join(CHANNEL_NAMES)}; may be repeated",
    "steps": "optimizer steps",
    "batch": "windows in a batch, over all processes; 0: as --window says",
    "window": "steps of a window, 0.1 s each; 0: 20, 40 or 64 by turns",
    "lr": "peak learning rate",
    "warmup": "steps of rising learning rate",
    "weight_decay": "AdamW weight decay",
    "smoothing": "share of the target that is every label alike",
    "ema": "decay of the averaged weights",
    "real": "share of real windows in a batch",
    "mined": "share of windows from --negatives in a batch",
    "swap": "share of windows put before another background: of real or rendered clips, or of --backdrops",
    "near": "share of rendered windows seen as by a camera close to the people",
    "backdrops": "folder of photographs of empty rooms, for --swap; '' for none",
    "every": "steps between validations",
    "save": "steps between checkpoints to resume from",
    "seed": "seed of everything random",
    "amp": "mixed precision: auto is off on a CPU, bf16 or else fp16 on a GPU",
    "threads": "CPU threads that compute",
    "workers": "processes that make windows beside the training; -1: none on a CPU, the spare cores with a GPU",
}

REPEATED: Final = ("synth", "clips", "negatives", "hold_out", "drop_channel")
CHOICES: Final[dict[str, tuple[str, ...]]] = {"amp": AMP, "drop_channel": CHANNEL_NAMES}


def add_options(parser: argparse.ArgumentParser) -> None:
    """An option a setting; what is not given is absent from the namespace, so that a resumed run can tell."""
    for field in dataclasses.fields(TrainConfig):
        name, default = field.name, field.default
        how: dict[str, Any] = {"default": argparse.SUPPRESS, "help": HELP[name] + _shown(default)}
        if name in CHOICES:
            how["choices"] = CHOICES[name]
        if name in REPEATED:
            how["action"] = "append"
        else:
            how["type"] = _comma if isinstance(default, tuple) else type(default)
        parser.add_argument(_flag(name), **how)


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that the command line names."""
    found = {f.name: getattr(args, f.name) for f in dataclasses.fields(TrainConfig) if hasattr(args, f.name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def resumed(kept: TrainConfig, asked: Mapping[str, Any]) -> TrainConfig:
    """The settings to go on with. Raises ValueError naming each that is asked for and is another in the kept run."""
    other = [name for name, value in asked.items() if name not in MAY_CHANGE and value != getattr(kept, name)]
    if other:
        said = "; ".join(
            f"{_flag(name)} is {_said(getattr(kept, name))} there, not {_said(asked[name])}" for name in other
        )
        raise ValueError(f"{kept.out} was begun with other settings: {said}; leave them out, or name another --out")
    return dataclasses.replace(kept, **{name: value for name, value in asked.items() if name in MAY_CHANGE})


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _comma(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _listed(value: Any) -> tuple[str, ...]:
    """Checkpoints of one table or folder keep it as a text."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(value)


def _said(value: Any) -> str:
    return (" ".join(value) or "none") if isinstance(value, tuple) else repr(value)


def _shown(default: object) -> str:
    return "" if default in ((), "") else f" (default {default})"
