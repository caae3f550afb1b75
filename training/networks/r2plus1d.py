"""`r2plus1d`: spatial and temporal convolutions factorized inside every block (MODEL.md I.8).

The time half is a k x 1 convolution over a (time, pixels) view, which int8 kernels on small boards have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from device.preprocess import CHANNELS
from training.networks.auxiliary import MAP_AFTER_BLOCKS
from training.networks.config import NetworkConfig
from training.networks.layers import Block, ConvNorm, Pixels, StateShape, TemporalLayer, map_sizes, mean_and_max, stem
from training.networks.streaming import FallNetwork


class R2Plus1d(FallNetwork):
    """Blocks with a causal convolution over time each, pooled over space, then dilated temporal layers."""

    READS = frozenset(("stem", "temporal", "head", "head_dilations", "dropout"))
    HAS_AUXILIARY = True
    STATE = "the last inputs of every temporal convolution"

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.stem = stem(CHANNELS, config.stem)
        widths = [config.stem[1], *(block.width for block in config.blocks)]
        self.blocks = nn.ModuleList(
            Block(inward, block, config.temporal) for inward, block in zip(widths, config.blocks, strict=False)
        )
        self.embed = ConvNorm(nn.Conv2d(2 * widths[-1], config.head, 1, bias=False))
        self.head = nn.ModuleList(
            TemporalLayer(config.head, config.temporal, dilation) for dilation in config.head_dilations
        )
        self._map_after = min(MAP_AFTER_BLOCKS, len(config.blocks))
        self._add_auxiliary(widths[self._map_after])

    @staticmethod
    def look_back(config: NetworkConfig) -> int:
        """Each temporal convolution adds its own reach."""
        dilations = [block.dilation for block in config.blocks] + list(config.head_dilations)
        return (config.temporal - 1) * sum(dilations)

    @property
    def layers(self) -> list[Block | TemporalLayer]:
        """Every layer with a past, in the order of the states."""
        return [layer for group in (self.blocks, self.head) for layer in group]  # type: ignore[misc]

    @property
    def mask_size(self) -> Pixels:
        """Of the map after `MAP_AFTER_BLOCKS` blocks."""
        return map_sizes(self.config)[self._map_after]

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Blocks in space and time, then time alone."""
        batch = x.shape[0]
        y = self.stem(x.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        feature_map = y
        for index, block in enumerate(self.blocks, start=1):
            y = block.window(y, batch)  # type: ignore[operator]
            feature_map = y if index == self._map_after else feature_map
        y = self.embed(mean_and_max(y))
        for layer in self.head:
            y = layer.window(y, batch)  # type: ignore[operator]
        return y, feature_map

    def step_features(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """A state a layer."""
        following = []
        y = self.stem(x)
        for index, (layer, state) in enumerate(zip(self.layers, past, strict=True)):
            if index == len(self.blocks):
                y = self.embed(mean_and_max(y))
            y, state_after = layer.step(y, state)
            following.append(state_after)
        return y, following

    def state_shapes(self) -> list[StateShape]:
        """A state a layer, at the size of its map."""
        sizes = [math.prod(size) for size in map_sizes(self.config)[1:]] + [1] * len(self.head)
        return [
            (1, layer.time.reach, pixels, layer.time.conv.out_channels)
            for layer, pixels in zip(self.layers, sizes, strict=True)
        ]
