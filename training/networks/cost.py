"""What a network costs: weights and multiply-accumulates of one step."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from device.preprocess import CHANNELS
from training.networks.streaming import FallNetwork, Step, fold_batchnorm


def count_parameters(network: nn.Module) -> int:
    """Number of weights that a unit needs, batch norm's two per channel included while they are not folded.

    Training-only heads do not count.
    """
    return sum(p.numel() for name, p in network.named_parameters() if "aux" not in name.split("."))


def count_macs(network: FallNetwork) -> int:
    """Multiply-accumulates of one step, counted on the step form itself: convolutions (2-D and 3-D) and products of
    matrices, so linear layers and attention too. Sums, norms and activations are left out, as is usual."""
    step = Step(fold_batchnorm(network))
    raster = network.config.raster
    frame = torch.zeros(1, raster.height, raster.width, CHANNELS)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        step(frame, **step.initial_states())
    # The counter says floating-point operations: a multiplication and an addition each.
    return int(counter.get_total_flops()) // 2
