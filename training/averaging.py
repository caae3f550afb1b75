"""The mean of the weights of the last steps: steadier than any one step's, and what every checkpoint is."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of weights and batch-norm statistics; short memory at first, so that it warms up."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {name: value.clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take the network's present weights in."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Go on from these, on the device where the average lives."""
        for name, value in weights.items():
            self.weights[name].copy_(value)
