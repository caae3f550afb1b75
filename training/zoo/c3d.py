"""`c3d`: a plain 3-D convolutional network (Tran et al. 2015, "Learning spatiotemporal features with 3D
convolutional networks"), small, causal, and dense in time: dilation in place of temporal strides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from device.preprocess import CHANNELS
from training.networks.config import NetworkConfig
from training.networks.layers import ConvNorm, Pixels, StateShape, halved, mean_and_max
from training.networks.streaming import FallNetwork

LAYERS: Final = ((8, 2, 1), (16, 2, 2), (32, 2, 4), (64, 2, 8), (64, 1, 8))
"""Channels, spatial stride and temporal dilation of each: full 3 x 3 x 3 kernels are dear, so widths begin small and
the picture is halved four times. Dilations: the look-back of the default r2plus1d, 46 steps."""

TAPS: Final = 3


class Causal3d(ConvNorm):
    """3 x 3 x 3 convolution that hears the present step and the ones `dilation` and 2 * `dilation` before it."""

    def __init__(self, inward: int, width: int, stride: int, dilation: int) -> None:
        conv = nn.Conv3d(
            inward, width, TAPS, (1, stride, stride), padding=(0, 1, 1), dilation=(dilation, 1, 1), bias=False
        )
        super().__init__(conv)
        self.inward, self.width, self.stride, self.dilation = inward, width, stride, dilation
        self.reach = (TAPS - 1) * dilation

    def window(self, x: Tensor) -> Tensor:
        """(batch, c, time, h, w) -> (batch, width, time, h', w'), each window with a past of zeros."""
        y = self.conv(F.pad(x, (0, 0, 0, 0, self.reach, 0)))
        # The norm knows two dimensions; time and height are one to it.
        return F.relu6(self.norm(y.flatten(2, 3))).reshape(y.shape)

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(1, c, h, w) and (1, reach, h * w, c) -> (1, width, h', w') and the next past.

        One 2-D convolution over the three frames side by side as channels: the same sum, in what int8 kernels have.
        """
        _, channels, height, width = x.shape
        now = x.permute(0, 2, 3, 1).reshape(1, 1, height * width, channels)
        timeline = torch.cat((past, now), dim=1)
        frames = [
            timeline[:, at : at + 1].reshape(1, height, width, channels)
            for at in range(0, self.reach + 1, self.dilation)
        ]
        kernel = self.conv.weight.transpose(1, 2).reshape(self.width, TAPS * channels, TAPS, TAPS)
        stacked = torch.cat(frames, dim=3).permute(0, 3, 1, 2)
        y = F.conv2d(stacked, kernel, self.conv.bias, self.stride, padding=1)
        return F.relu6(self.norm(y)), timeline[:, 1:]


class C3d(FallNetwork):
    """Five 3-D convolutions, pooled over space."""

    READS = frozenset(("head", "dropout"))
    STATE = "the last input frames of every 3-D convolution"

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        inward = (CHANNELS, *(width for width, _, _ in LAYERS))
        self.layers = nn.ModuleList(Causal3d(c, *layer) for c, layer in zip(inward, LAYERS, strict=False))
        self.embed = ConvNorm(nn.Conv2d(2 * inward[-1], config.head, 1, bias=False))

    @staticmethod
    def look_back(config: NetworkConfig) -> int:
        """Each convolution adds its own reach."""
        del config
        return (TAPS - 1) * sum(dilation for _, _, dilation in LAYERS)

    def features(self, x: Tensor) -> tuple[Tensor, None]:
        """Space and time at once."""
        y = x.transpose(1, 2)
        for layer in self.layers:
            y = layer.window(y)  # type: ignore[operator]
        return self.embed(mean_and_max(y.transpose(1, 2).flatten(0, 1))), None

    def step_features(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """A state a convolution."""
        following = []
        for layer, state in zip(self.layers, past, strict=True):
            x, state_after = layer.step(x, state)  # type: ignore[operator]
            following.append(state_after)
        return self.embed(mean_and_max(x)), following

    def state_shapes(self) -> list[StateShape]:
        """A state a convolution, at the size of its input."""
        shapes: list[StateShape] = []
        size: Pixels = (self.config.raster.height, self.config.raster.width)
        channels = CHANNELS
        for width, stride, dilation in LAYERS:
            shapes.append((1, (TAPS - 1) * dilation, math.prod(size), channels))
            channels, size = width, halved(size) if stride == 2 else size
        return shapes
