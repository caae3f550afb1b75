"""Mix the weights of a network with those of its fine-tuned child: `python -m training.blend`.

A child fine-tuned on a few real clips does better in rooms like theirs and worse in others; a mix of the two keeps most
of both (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). The share is chosen on rooms held out.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from training.checkpoint import Checkpoint, CheckpointError, load, save
from training.lineage import KEY, ancestors_of, lineage_of


def blend(parent: Checkpoint, child: Checkpoint, share: float) -> Checkpoint:
    """(1 - share) parent + share child, batch statistics too; the rest is the child's. share: 0..1.

    Raises CheckpointError where the two are not the same network.
    """
    if not 0.0 <= share <= 1.0:
        raise CheckpointError(f"share {share} is outside 0..1")
    if parent.network != child.network:
        raise CheckpointError("parent and child are different networks; name a checkpoint and the one it began from")
    weights = {name: _mix(parent.weights[name], tensor, share) for name, tensor in child.weights.items()}
    lineage = child.train.get(KEY) or lineage_of(child.train, ancestors_of(child.train))
    lineage = lineage | {"ancestors": [*lineage["ancestors"], parent.train]}
    train = {**child.train, "blended": share, "parent": parent.train.get("out", ""), KEY: lineage}
    return dataclasses.replace(child, weights=weights, train=train, metrics={}, progress={})


def _mix(parent: Tensor, child: Tensor, share: float) -> Tensor:
    """Counters, such as the number of batches seen, are the child's."""
    return (1.0 - share) * parent + share * child if child.is_floating_point() else child


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the mix; 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m training.blend", description="Mix two checkpoints.")
    parser.add_argument("parent", type=Path)
    parser.add_argument("child", type=Path, help="fine-tuned from the parent")
    parser.add_argument("--share", type=float, required=True, help="of the child, 0..1")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    try:
        save(blend(load(args.parent), load(args.child), args.share), args.out)
    except (CheckpointError, OSError) as error:
        print(f"training.blend: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
