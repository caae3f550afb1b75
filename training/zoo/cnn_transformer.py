"""`cnn_transformer`: a 2-D network on every frame and causal attention over its features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

from training.networks.config import NetworkConfig
from training.networks.layers import FrameEncoder, StateShape
from training.networks.streaming import FallNetwork
from training.zoo.attention import CausalTransformer

WIDTH: Final = 80
HEADS: Final = 4
LAYERS: Final = 2
SPAN: Final = 24
"""Steps that a layer hears: two layers look back 46 steps, as far as the default r2plus1d."""


class CnnTransformer(FallNetwork):
    """Frame features, two transformer layers over time."""

    READS = frozenset(("stem", "head", "dropout"))
    STATE = "the last keys and values of every layer"

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.frame = FrameEncoder.of(config)
        self.narrow = nn.Linear(config.head, WIDTH)
        self.time = CausalTransformer(WIDTH, HEADS, SPAN, LAYERS)
        self.out = nn.Linear(WIDTH, config.head)

    @staticmethod
    def look_back(config: NetworkConfig) -> int:
        """Each layer adds its own."""
        del config
        return LAYERS * (SPAN - 1)

    def features(self, x: Tensor) -> tuple[Tensor, None]:
        """Every frame by itself, then attention."""
        y = self.narrow(self.frame(x.flatten(0, 1)).flatten(1))
        y = self.out(self.time.window(y.reshape(x.shape[0], x.shape[1], -1)))
        return y.reshape(-1, self.config.head, 1, 1), None

    def step_features(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Keys and values of each layer."""
        y, following = self.time.step(self.narrow(self.frame(x).reshape(1, -1)), past)
        return self.out(y).reshape(1, self.config.head, 1, 1), following

    def state_shapes(self) -> list[StateShape]:
        """Keys and values of each layer."""
        return self.time.state_shapes()
