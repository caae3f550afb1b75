"""`cnn_gru`: a 2-D network on every frame and a gated recurrent unit over its features (Cho et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.config import NetworkConfig
from training.networks.layers import FrameEncoder, StateShape
from training.networks.streaming import FallNetwork

LOOK_BACK_STEPS: Final = 128
"""A recurrent state has no end. Footage scored in pieces starts each this far back: twice the longest training window,
beyond which nothing was ever learned."""


class CnnGru(FallNetwork):
    """Frame features, one recurrent layer."""

    READS = frozenset(("stem", "head", "dropout"))
    STATE = "the hidden vector; its past never ends"

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.frame = FrameEncoder.of(config)
        self.gru = nn.GRU(config.head, config.head, batch_first=True)

    @staticmethod
    def look_back(config: NetworkConfig) -> int:
        """Taken to be `LOOK_BACK_STEPS`."""
        del config
        return LOOK_BACK_STEPS

    def features(self, x: Tensor) -> tuple[Tensor, None]:
        """Every frame by itself, then the recurrence from a hidden vector of zeros."""
        y = self.frame(x.flatten(0, 1))
        hidden, _ = self.gru(y.reshape(x.shape[0], x.shape[1], -1))
        return hidden.reshape(len(y), -1, 1, 1), None

    def step_features(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """One state: the hidden vector. The gates are written out: exporters know no GRU."""
        width = self.config.head
        before = past[0].reshape(1, width)
        of_input, of_past, bias_of_input, bias_of_past = self.gru.parameters()
        inward = F.linear(self.frame(x).reshape(1, width), of_input, bias_of_input)
        back = F.linear(before, of_past, bias_of_past)
        reset, keep = ((inward + back)[:, at : at + width].sigmoid() for at in (0, width))
        fresh = (inward[:, 2 * width :] + reset * back[:, 2 * width :]).tanh()
        hidden = fresh + keep * (before - fresh)
        return hidden.reshape(1, width, 1, 1), [hidden.reshape(1, 1, 1, width)]

    def state_shapes(self) -> list[StateShape]:
        """One state: the hidden vector."""
        return [(1, 1, 1, self.config.head)]
