"""What each family is, beside what it scores: `python -m training.zoo.sheet` prints the table of docs/networks.md.

Whether a family goes to int8 is not looked up but tried: exported, calibrated, quantized and checked by the code that
makes a unit's bundle.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from device.errors import FallwatchError
from device.preprocess import Raster, stack
from training.footage import STEP_S
from training.networks import FAMILIES, FallNetwork, build, count_macs, count_parameters, fold_batchnorm, parse_network

WINDOWS, STEPS = 4, 30
"""Of the made-up footage on which the ranges are taken. They decide accuracy, which is not looked at here, and not
which operators there are."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One family at one shape. parameters: after folding. macs: multiply-accumulates of one step. states: shapes.
    int8: what came of the attempt, in words."""

    network: str
    parameters: int
    macs: int
    look_back_steps: int
    state: str
    states: tuple[tuple[int, ...], ...]
    int8: str

    @property
    def look_back(self) -> str:
        """In seconds; a recurrent state has no end."""
        return "no end" if "never ends" in self.state else f"{self.look_back_steps * STEP_S:.1f} s"


def facts(text: str, network: FallNetwork | None = None) -> Facts:
    """Of a network as a command line names it; with a trained one, of that. Raises ValueError for an unknown one."""
    if network is None:
        network = settled(build(parse_network(text)))
    config = network.config
    return Facts(
        text,
        count_parameters(fold_batchnorm(network)),
        count_macs(network),
        config.look_back_steps,
        FAMILIES[config.family].STATE,
        tuple(network.state_shapes()),
        int8_outcome(network),
    )


def pictures(raster: Raster, count: int = WINDOWS) -> list[NDArray[np.uint8]]:
    """Soft blobs that drift, as the network sees them: uint8 (STEPS, height, width, 3) each, the same every time."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        coarse = rng.random((STEPS, 4, 5)).cumsum(axis=0)
        fine = np.kron(coarse, np.ones((1, -(-raster.height // 4), -(-raster.width // 5))))
        grey = np.asarray(255 * fine / fine.max(), np.uint8)[:, : raster.height, : raster.width]
        made.append(stack(np.ascontiguousarray(grey), raster))
    return made


@torch.no_grad()
def settled(network: FallNetwork) -> FallNetwork:
    """A fresh network with norms that have seen something, so that its activations have the size of a trained one's."""
    windows = torch.from_numpy(np.stack(pictures(network.config.raster))).permute(0, 1, 4, 2, 3).float() / 255
    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None
    network.train().window(windows)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    return network.eval()


def int8_outcome(network: FallNetwork) -> str:
    """Export and quantize for real: `full int8, N kB`, or what stands in the way. About 10-30 s on one core."""
    # Only here does training look at quantize, which otherwise looks at training.
    from device.runner import Int8Step
    from quantize import int8
    from quantize.export import step_of, to_tflite
    from quantize.quiet import quiet

    try:
        with quiet():
            model = to_tflite(step_of(network))
            seen = int8.calibrate(model, pictures(network.config.raster, 2))
            quantized = int8.quantize(model, int8.ranges(seen, int8.tie_groups(model), "min-max"))
            Int8Step(quantized)
        int8.check_full_int8(quantized)
    except (int8.QuantizationError, FallwatchError, RuntimeError, ValueError, NotImplementedError, KeyError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"no: {first.partition(';')[0][:120]}"
    return f"full int8, {len(quantized) / 1e3:.0f} kB"


def table(rows: Sequence[Facts]) -> str:
    """As markdown."""
    lines = ["| family | parameters | MMAC a step | look-back | streams by | int8 by our chain |", "| --- " * 6 + "|"]
    lines += [
        f"| `{row.network}` | {row.parameters / 1e3:.0f} k | {row.macs / 1e6:.2f} | {row.look_back} "
        f"| {row.state} ({sum(map(_size, row.states)) / 1e3:.1f} k numbers) | {row.int8} |"
        for row in rows
    ]
    return "\n".join(lines)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0, or 1 with one sentence for a network that there is not."""
    parser = argparse.ArgumentParser(prog="python -m training.zoo.sheet", description="What each family of network is.")
    parser.add_argument("networks", nargs="*", default=list(FAMILIES), help="family[:key=value,...] (default: all)")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        for text in args.networks:
            parse_network(text)
    except ValueError as error:
        print(f"training.zoo.sheet: {error}", file=sys.stderr)
        return 1
    print(table([facts(text) for text in tqdm(args.networks, desc="export", unit="network")]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
