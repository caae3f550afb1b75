"""`tpool`: a 2-D network on every frame, then causal pooling of its features over several lengths of time.

No convolution hears time: what happened is read from how the mean and the maximum over the last second, two and four
differ from each other and from now, and from the difference channels of the input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.auxiliary import MAP_AFTER_BLOCKS
from training.networks.config import NetworkConfig
from training.networks.layers import ConvNorm, FrameEncoder, Pixels, StateShape, map_sizes
from training.networks.streaming import FallNetwork


class TemporalPools(nn.Module):
    """Now, and mean and maximum over the last L steps for each L: (n, c, 1, 1) -> (n, (1 + 2 * lengths) * c, 1, 1).

    One ring, of the longest L, serves all lengths: the shorter ones are its end.
    """

    def __init__(self, channels: int, lengths: Sequence[int]) -> None:
        super().__init__()
        self.channels = channels
        self.lengths = tuple(lengths)
        self.reach = max(lengths) - 1

    @property
    def channels_out(self) -> int:
        """Channels of the answer."""
        return (1 + 2 * len(self.lengths)) * self.channels

    def window(self, x: Tensor, batch: int) -> Tensor:
        """(batch * time, c, 1, 1) -> (batch * time, channels_out, 1, 1), each window with a past of zeros."""
        line = x.reshape(batch, -1, self.channels).permute(0, 2, 1)[..., None]
        timeline = F.pad(line, (0, 0, self.reach, 0))
        parts = [line]
        for length in self.lengths:
            tail = timeline[:, :, self.reach + 1 - length :]
            parts += [F.avg_pool2d(tail, (length, 1), 1), F.max_pool2d(tail, (length, 1), 1)]
        return torch.cat(parts, dim=1).permute(0, 2, 1, 3).reshape(-1, self.channels_out, 1, 1)

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(1, c, 1, 1) now and (1, reach, 1, c) past -> (1, channels_out, 1, 1) and the next past."""
        timeline = torch.cat((past, x.permute(0, 2, 3, 1)), dim=1)
        # Time as the width of a picture: with time as its height the exporter takes channels for it and transposes.
        wide, parts = timeline.reshape(1, 1, self.reach + 1, self.channels), [x]
        for length in self.lengths:
            tail = wide[:, :, self.reach + 1 - length :].permute(0, 3, 1, 2)
            parts += [F.avg_pool2d(tail, (1, length)), F.max_pool2d(tail, (1, length))]
        return torch.cat(parts, dim=1), timeline[:, 1:]


class TPool(FallNetwork):
    """Frame features, temporal pooling, one hidden layer."""

    READS = frozenset(("stem", "head", "pools", "dropout"))
    HAS_AUXILIARY = True
    STATE = "the feature vectors of the longest pooling length"

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.frame = FrameEncoder.of(config)
        self.pools = TemporalPools(config.head, config.pools)
        self.mix = ConvNorm(nn.Conv2d(self.pools.channels_out, config.head, 1, bias=False))
        self._map_after = min(MAP_AFTER_BLOCKS, len(config.blocks))
        self._add_auxiliary(config.blocks[self._map_after - 1].width)

    @staticmethod
    def look_back(config: NetworkConfig) -> int:
        """The longest length, the present step apart."""
        return max(config.pools) - 1

    @property
    def mask_size(self) -> Pixels:
        """Of the map after `MAP_AFTER_BLOCKS` blocks."""
        return map_sizes(self.config)[self._map_after]

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Every frame by itself, then time."""
        frames = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        y, feature_map = self.frame.with_map(frames, self._map_after)
        return self.mix(self.pools.window(y, x.shape[0])), feature_map

    def step_features(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """One state: the ring."""
        y, ring = self.pools.step(self.frame(x), past[0])
        return self.mix(y), [ring]

    def state_shapes(self) -> list[StateShape]:
        """One state: the ring."""
        return [(1, self.pools.reach, 1, self.pools.channels)]
