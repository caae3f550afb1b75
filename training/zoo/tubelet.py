"""`tubelet`: a video transformer on tubelets, small cuboids of picture and time (Arnab et al. 2021, "ViViT", model 2:
a spatial encoder within a step, then a temporal one), with causal attention over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from device.preprocess import CHANNELS
from training.networks.config import NetworkConfig
from training.networks.layers import StateShape
from training.networks.streaming import FallNetwork
from training.zoo.attention import CausalTransformer, SpatialLayer

PATCH: Final = 12
"""Side of a tubelet in pixels: 6 x 8 = 48 of them a step, so that one is about as large as a head and shoulders."""

WIDTH: Final = 64
HEADS: Final = 4
SPATIAL_LAYERS: Final = 2
TEMPORAL_WIDTH: Final = 96
TEMPORAL_LAYERS: Final = 2
SPAN: Final = 24
"""Steps that a temporal layer hears: two layers look back 46 steps, as far as the default r2plus1d."""


class TubeletTransformer(FallNetwork):
    """Tubelets of two steps, attention within the step, mean over the tokens, causal attention over time."""

    READS = frozenset(("head", "dropout"))
    STATE = "the last picture, and the last keys and values of every temporal layer"

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        raster = config.raster
        tokens = (raster.height // PATCH) * (raster.width // PATCH)
        self.embed = nn.Conv2d(2 * CHANNELS, WIDTH, PATCH, PATCH)
        self.place = nn.Parameter(0.02 * torch.randn(1, tokens, WIDTH))
        self.space = nn.Sequential(*(SpatialLayer(WIDTH, HEADS) for _ in range(SPATIAL_LAYERS)), nn.LayerNorm(WIDTH))
        self.widen = nn.Linear(WIDTH, TEMPORAL_WIDTH)
        self.time = CausalTransformer(TEMPORAL_WIDTH, HEADS, SPAN, TEMPORAL_LAYERS)
        self.out = nn.Linear(TEMPORAL_WIDTH, config.head)

    @staticmethod
    def look_back(config: NetworkConfig) -> int:
        """The temporal layers', and the other step of a tubelet."""
        del config
        return TEMPORAL_LAYERS * (SPAN - 1) + 1

    def features(self, x: Tensor) -> tuple[Tensor, None]:
        """Every step beside the one before it."""
        before = F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0))[:, :-1]
        y = self._spatial(torch.cat((before, x), dim=2).flatten(0, 1))
        y = self.out(self.time.window(y.reshape(x.shape[0], x.shape[1], -1)))
        return y.reshape(-1, self.config.head, 1, 1), None

    def _spatial(self, pairs: Tensor) -> Tensor:
        """Two frames as channels (n, 6, h, w) -> a vector (n, TEMPORAL_WIDTH)."""
        tokens = self.embed(pairs).flatten(2).transpose(1, 2) + self.place
        return self.widen(self.space(tokens).mean(dim=1))  # type: ignore[no-any-return]

    def step_features(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The picture before, then keys and values."""
        _, channels, height, width = x.shape
        now = x.permute(0, 2, 3, 1)
        pair = torch.cat((past[0].reshape(1, height, width, channels), now), dim=3)
        y, following = self.time.step(self._spatial(pair.permute(0, 3, 1, 2)), past[1:])
        return self.out(y).reshape(1, self.config.head, 1, 1), [now.reshape(past[0].shape), *following]

    def state_shapes(self) -> list[StateShape]:
        """The picture before, then keys and values."""
        raster = self.config.raster
        return [(1, 1, raster.height * raster.width, CHANNELS), *self.time.state_shapes()]
