"""The parts that networks are put together from; each with a past has a window form and a step form.

Window form: (batch * time, c, h, w), every window with a past of zeros. Step form: one frame, and the past as a state
of at most four dimensions, channels last, handed in and handed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from device.preprocess import CHANNELS
from training.networks.config import BlockConfig, NetworkConfig

Pixels = tuple[int, int]
"""Height and width of a feature map."""

StateShape = tuple[int, int, int, int]
"""(1, steps of the past, pixels, channels) of a state."""

STEM_HALVINGS: Final = 2


class ConvNorm(nn.Module):
    """Convolution, batch norm (until it is folded) and, unless linear, ReLU6: (n, in, h, w) -> (n, out, h', w').

    ReLU6 rather than ReLU: a known range of 0..6 keeps int8 scales from being set by outliers (MODEL.md I.1).
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d, linear: bool = False) -> None:
        super().__init__()
        self.conv = conv
        self.norm: nn.Module = nn.BatchNorm2d(conv.out_channels)
        self.linear = linear
        nn.init.kaiming_normal_(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.conv(x))

    def after(self, x: Tensor) -> Tensor:
        """What follows the convolution."""
        y: Tensor = self.norm(x)
        return y if self.linear else F.relu6(y)

    def fold(self) -> None:
        """Put the norm's running statistics into the convolution. Only for a network in eval mode."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class CausalConv(ConvNorm):
    """Depthwise convolution over time: the output at a step hears that step and `reach` steps before it."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, (kernel, 1), dilation=(dilation, 1), groups=channels, bias=False)
        )
        self.reach = (kernel - 1) * dilation
        with torch.no_grad():
            # Starts as "now, with a little of the past", so that a fresh network is a fresh 2-D network.
            self.conv.weight.mul_(0.2)
            self.conv.weight[:, :, -1] += 1.0

    def window(self, x: Tensor, batch: int) -> Tensor:
        """(batch * time, c, h, w) -> the same, each window with a past of zeros."""
        _, channels, height, width = x.shape
        # Channels-last memory makes every view free of a copy. Steps that are a dilation apart become neighbours, and
        # the convolution an undilated one: its gradient takes a quarter of the time (oneDNN, 256 channels, 16 windows).
        dilation = self.conv.dilation[0]
        pixels = height * width
        extra = -(x.shape[0] // batch) % dilation
        timeline = F.pad(
            x.permute(0, 2, 3, 1).reshape(batch, -1, pixels, channels), (0, 0, 0, 0, self.reach + extra, 0)
        )
        apart = timeline.reshape(batch, -1, dilation * pixels, channels).permute(0, 3, 1, 2)
        y = F.conv2d(apart, self.conv.weight, self.conv.bias, groups=channels)
        y = self.after(y.permute(0, 2, 3, 1).reshape(batch, -1, pixels, channels)[:, extra:].permute(0, 3, 1, 2))
        return y.permute(0, 2, 3, 1).reshape(-1, height, width, channels).permute(0, 3, 1, 2)

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(1, c, h, w) now and (1, reach, h * w, c) past -> (1, c, h, w) and the past of the next step."""
        _, channels, height, width = x.shape
        # Through explicit channels-last permutes: the exporter then needs no TRANSPOSE (MODEL.md I.1).
        now = x.permute(0, 2, 3, 1).reshape(1, 1, height * width, channels)
        timeline = torch.cat((past, now), dim=1)
        y: Tensor = self(timeline.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).reshape(1, height, width, channels)
        return y.permute(0, 3, 1, 2), timeline[:, 1:]


class FrameBlock(nn.Module):
    """Inverted residual without time: widen, 3 x 3 depthwise in space, narrow; added to its input if alike."""

    def __init__(self, inward: int, config: BlockConfig) -> None:
        super().__init__()
        wide = inward * config.expansion
        self.widen = ConvNorm(nn.Conv2d(inward, wide, 1, bias=False))
        self.space = ConvNorm(nn.Conv2d(wide, wide, 3, config.stride, padding=1, groups=wide, bias=False))
        self.narrow = ConvNorm(nn.Conv2d(wide, config.width, 1, bias=False), linear=True)
        self.alike = inward == config.width and config.stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.narrow(self.space(self.widen(x)))
        return x + y if self.alike else y


class Block(nn.Module):
    """Inverted residual: widen, 3 x 3 depthwise in space, k x 1 in time, narrow; added to its input if alike."""

    def __init__(self, inward: int, config: BlockConfig, kernel: int) -> None:
        super().__init__()
        wide = inward * config.expansion
        self.widen = ConvNorm(nn.Conv2d(inward, wide, 1, bias=False))
        self.space = ConvNorm(nn.Conv2d(wide, wide, 3, config.stride, padding=1, groups=wide, bias=False))
        self.time = CausalConv(wide, kernel, config.dilation)
        self.narrow = ConvNorm(nn.Conv2d(wide, config.width, 1, bias=False), linear=True)
        self.alike = inward == config.width and config.stride == 1

    def window(self, x: Tensor, batch: int) -> Tensor:
        """(batch * time, c, h, w) -> (batch * time, width, h', w')."""
        y: Tensor = self.narrow(self.time.window(self.space(self.widen(x)), batch))
        return x + y if self.alike else y

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(1, c, h, w) and the past -> (1, width, h', w') and the next past."""
        y, past = self.time.step(self.space(self.widen(x)), past)
        y = self.narrow(y)
        return (x + y if self.alike else y), past


class TemporalLayer(nn.Module):
    """Residual layer over time alone, on one feature vector a step: (n, c, 1, 1) -> (n, c, 1, 1)."""

    def __init__(self, channels: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.time = CausalConv(channels, kernel, dilation)
        self.mix = ConvNorm(nn.Conv2d(channels, channels, 1, bias=False), linear=True)

    def window(self, x: Tensor, batch: int) -> Tensor:
        """(batch * time, c, 1, 1) -> the same."""
        return F.relu6(x + self.mix(self.time.window(x, batch)))

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(1, c, 1, 1) and the past -> the same and the next past."""
        y, past = self.time.step(x, past)
        return F.relu6(x + self.mix(y)), past

    def state_shape(self) -> StateShape:
        """Of the one state."""
        return (1, self.time.reach, 1, self.time.conv.out_channels)


def stem(channels: int, widths: tuple[int, int]) -> nn.Sequential:
    """(n, channels, h, w) -> (n, widths[1], h / 4, w / 4): most of the picture's redundancy goes first."""
    first, second = widths
    return nn.Sequential(
        ConvNorm(nn.Conv2d(channels, first, 3, 2, padding=1, bias=False)),
        ConvNorm(nn.Conv2d(first, first, 3, 2, padding=1, groups=first, bias=False)),
        ConvNorm(nn.Conv2d(first, second, 1, bias=False), linear=True),
    )


def mean_and_max(x: Tensor) -> Tensor:
    """Mean and maximum over space, side by side: (n, c, h, w) -> (n, 2 * c, 1, 1)."""
    size = (x.shape[2], x.shape[3])
    return torch.cat((F.avg_pool2d(x, size), F.max_pool2d(x, size)), dim=1)


class FrameEncoder(nn.Module):
    """A 2-D network on one frame: (n, channels, h, w) -> a feature vector (n, features, 1, 1). It knows no time."""

    def __init__(self, widths: tuple[int, int], blocks: Sequence[BlockConfig], features: int, channels: int) -> None:
        super().__init__()
        self.stem = stem(channels, widths)
        inward = [widths[1], *(block.width for block in blocks)]
        self.blocks = nn.ModuleList(FrameBlock(c, block) for c, block in zip(inward, blocks, strict=False))
        self.embed = ConvNorm(nn.Conv2d(2 * inward[-1], features, 1, bias=False))

    @classmethod
    def of(cls, config: NetworkConfig) -> FrameEncoder:
        """The one of a config: its stem, blocks and head, on all channels."""
        return cls(config.stem, config.blocks, config.head, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        return self.with_map(x, len(self.blocks))[0]

    def with_map(self, x: Tensor, after: int) -> tuple[Tensor, Tensor]:
        """The feature vector, and the feature map after that many blocks."""
        y = self.stem(x)
        maps = [y]
        for block in self.blocks:
            y = block(y)
            maps.append(y)
        return self.embed(mean_and_max(y)), maps[after]


def halved(pixels: Pixels, times: int = 1) -> Pixels:
    """Size after that many 3 x 3 convolutions of stride 2 with one pixel of padding."""
    for _ in range(times):
        pixels = (pixels[0] + 1) // 2, (pixels[1] + 1) // 2
    return pixels


def map_sizes(config: NetworkConfig) -> list[Pixels]:
    """Size of the feature map after the stem, then after each block."""
    sizes = [halved((config.raster.height, config.raster.width), STEM_HALVINGS)]
    for block in config.blocks:
        sizes.append(halved(sizes[-1]) if block.stride == 2 else sizes[-1])
    return sizes
