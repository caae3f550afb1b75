"""Train the network: `fallwatch train`, or `torchrun -m training.train` for several processes. Read `train` first.

Clips are rendered ones (folders of .npz), the trainable rows of tables like data/clips.csv, and mined pieces. The
checkpoint kept is chosen on clips that were held back: false alarms first, recall second. Real clips choose nothing:
there are too few of them, and those not trained on are for the table alone.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from device.errors import FallwatchError
from training import checkpoint as store
from training.batches import stream
from training.checkpoint import Checkpoint
from training.distributed import World, joined
from training.loop import Training
from training.options import TrainConfig, add_options, given, resumed
from training.record import CHOSEN, LAST, Record, Silence
from training.sources import gather
from training.windows import Inputs, Windows

__all__ = ["CHOSEN", "LAST", "TrainConfig", "add_arguments", "run", "train"]

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "34359738368",
    "MALLOC_TOP_PAD_": "268435456",
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "0",
}
"""glibc keeps freed activations instead of giving them back: 2.1-2.3 times the speed on two cores (MODEL.md I.6).
OpenMP threads that wait do not spin: on cores shared with other work 1.5 s a step instead of 4-5 s (measured here)."""


def train(config: TrainConfig, world: World = World(), kept: Checkpoint | None = None) -> Path:  # noqa: B008 - frozen
    """Run one training, or go on with the `kept` one; returns the path of the chosen checkpoint.

    Raises ValueError (any kind) or FallwatchError with one sentence; what is on disk then is whole and can be resumed.
    """
    out = Path(config.out)
    training = Training(config, world, kept)
    network = training.network
    mask_size = network.mask_size if "mask" in config.aux else None
    windows = Windows(config.mix(), Inputs(network.config.raster, network.dropped, mask_size), config.seed)
    sources = gather(config, windows, world)
    with Record(training, out, kept) if world.first else Silence() as record:
        for steps in stretches(training.step, config):
            for batch, waited_s in stream(windows, world, steps, config.workers):
                figures = training.learn(batch)
                record.step(figures, waited_s)
                if training.step % config.save == 0 and training.step != steps.stop:
                    record.keep()
            sources.grow(windows, world)
            record.judge(sources.validation)
    return out / CHOSEN


def stretches(first: int, config: TrainConfig) -> Iterator[range]:
    """The steps from `first` to the last, cut at every validation."""
    cuts = [first, *range((first // config.every + 1) * config.every, config.steps, config.every), config.steps]
    return (range(start, stop) for start, stop in pairwise(cuts) if start < stop)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings of TrainConfig as options, and --resume."""
    parser.epilog = (
        "example: fallwatch train --synth synth --clips data/clips.csv --hold-out gmdcsa24:G1 --out runs/G1\n"
        "several processes: torchrun --nproc-per-node 2 -m training.train --synth synth --batch 16 --out runs/two"
    )
    add_options(parser)
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own settings")


def settled(args: argparse.Namespace) -> tuple[TrainConfig, Checkpoint | None]:
    """The settings of the command line, and the run to go on with. Raises ValueError where they don't go together."""
    asked = given(args)
    last = Path(asked.get("out", TrainConfig().out)) / LAST
    if args.resume:
        kept = store.load(last)
        return resumed(TrainConfig.from_plain({**kept.train, "out": str(last.parent)}), asked), kept
    if last.exists():
        raise ValueError(f"{last.parent} already holds a run; go on with it by --resume, or name another --out")
    return TrainConfig(**asked), None


def run(args: argparse.Namespace) -> int:
    """Train by the command line's settings. 0: a checkpoint was written; 1: the clips or the checkpoint are no good."""
    if any(name not in os.environ for name in ENVIRONMENT):
        # Read by the allocator before the program starts, so it must be started again.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **ENVIRONMENT})
    try:
        config, kept = settled(args)
        with joined() as world:
            chosen = train(config, world, kept)
            if world.first:
                print(chosen)
    except (FallwatchError, ValueError, OSError) as error:
        print(f"fallwatch train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        out = given(args).get("out", TrainConfig().out)
        print(f"stopped; go on with: fallwatch train --resume --out {out}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="fallwatch train",
        description="Train the network.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
