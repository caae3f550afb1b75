"""`two_stream`: one network sees the grey level, another the differences; their scores are added at the end
(Simonyan and Zisserman 2014, "Two-stream convolutional networks for action recognition in videos").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from training.networks.config import BlockConfig, NetworkConfig
from training.networks.layers import FrameEncoder, StateShape, TemporalLayer
from training.networks.streaming import FallNetwork

STEM: Final = (12, 16)
BLOCKS: Final = (
    BlockConfig(16, 2),
    BlockConfig(24, 3, stride=2),
    BlockConfig(32, 4),
    BlockConfig(48, 4, stride=2),
    BlockConfig(48, 4),
    BlockConfig(64, 4),
)
"""Narrower than the default network's, because there are two of them."""


class Stream(nn.Module):
    """Some of the channels, a 2-D network on every frame, dilated temporal layers."""

    def __init__(self, channels: Sequence[int], features: int, config: NetworkConfig) -> None:
        super().__init__()
        self.first, self.last = channels[0], channels[-1] + 1
        self.frame = FrameEncoder(STEM, BLOCKS, features, len(channels))
        self.time = nn.ModuleList(TemporalLayer(features, config.temporal, d) for d in config.head_dilations)

    def window(self, x: Tensor, batch: int) -> Tensor:
        """(batch * time, 3, h, w) -> (batch * time, features, 1, 1)."""
        y: Tensor = self.frame(x[:, self.first : self.last])
        for layer in self.time:
            y = layer.window(y, batch)  # type: ignore[operator]
        return y

    def step(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(1, 3, h, w) and a state a temporal layer."""
        following = []
        y = self.frame(x[:, self.first : self.last])
        for layer, state in zip(self.time, past, strict=True):
            y, state_after = layer.step(y, state)  # type: ignore[operator]
            following.append(state_after)
        return y, following

    def state_shapes(self) -> list[StateShape]:
        """A state a temporal layer."""
        return [layer.state_shape() for layer in self.time]  # type: ignore[operator]


class TwoStream(FallNetwork):
    """Appearance and motion. The labels are linear in both streams' features: the sum of each stream's own scores."""

    READS = frozenset(("temporal", "head", "head_dilations", "dropout"))
    STATE = "the last inputs of every temporal convolution of both streams"

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        half = config.head // 2
        self.appearance = Stream((0,), config.head - half, config)
        self.motion = Stream((1, 2), half, config)

    @staticmethod
    def look_back(config: NetworkConfig) -> int:
        """That of each stream."""
        return (config.temporal - 1) * sum(config.head_dilations)

    def features(self, x: Tensor) -> tuple[Tensor, None]:
        """Side by side."""
        frames, batch = x.flatten(0, 1), x.shape[0]
        return torch.cat((self.appearance.window(frames, batch), self.motion.window(frames, batch)), dim=1), None

    def step_features(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The states of the appearance stream, then those of the motion stream."""
        count = len(self.appearance.time)
        seen, of_appearance = self.appearance.step(x, past[:count])
        moved, of_motion = self.motion.step(x, past[count:])
        return torch.cat((seen, moved), dim=1), of_appearance + of_motion

    def state_shapes(self) -> list[StateShape]:
        """Appearance, then motion."""
        return self.appearance.state_shapes() + self.motion.state_shapes()
