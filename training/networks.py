"""The network: a causal (2+1)D convolutional network with one step a frame, in two forms that share their weights.

`FallNetwork.window` sees whole windows and is what training runs; `Step` sees one frame and the past it was handed,
and is what the unit runs. Only Conv2d, no tensor above four dimensions, no hidden state (MODEL.md I.1: a buffer that
is written to converts without an error into a network that has forgotten it).

The recipe is MODEL.md I.8's: spatial and temporal convolutions factorized inside every block, so that the time half is
a k x 1 convolution over a (time, pixels) view, which int8 kernels on small boards have.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from device.labels import LABELS
from device.preprocess import CHANNELS, Raster

FAMILIES: Final = ("r2plus1d",)

Pixels = tuple[int, int]
"""Height and width of a feature map."""


@dataclass(frozen=True, slots=True)
class BlockConfig:
    """One inverted-residual block: channels out, expansion, spatial stride, temporal dilation in steps."""

    width: int
    expansion: int
    stride: int = 1
    dilation: int = 1


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Everything the shape of the network depends on. The defaults are 219 k parameters and 8.0 MMAC a step.

    temporal: kernel of every temporal convolution, in steps. head_dilations: temporal layers after spatial pooling.
    dropout: on the pooled features before the labels, training only.
    """

    family: str = "r2plus1d"
    raster: Raster = Raster()  # noqa: RUF009 - frozen, so sharing one default is safe
    stem: tuple[int, int] = (16, 24)
    blocks: tuple[BlockConfig, ...] = (
        BlockConfig(24, 2),
        BlockConfig(32, 3, stride=2),
        BlockConfig(40, 4),
        BlockConfig(64, 4, stride=2),
        BlockConfig(64, 4, dilation=2),
        BlockConfig(96, 4, dilation=2),
    )
    temporal: int = 3
    head: int = 128
    head_dilations: tuple[int, ...] = (1, 2, 4, 8)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"network family {self.family!r} is none of {', '.join(FAMILIES)}")
        if self.temporal < 2 or not self.blocks or not self.head_dilations:
            raise ValueError("a network wants a temporal kernel of 2 or more, a block and a temporal head layer")

    @property
    def look_back_steps(self) -> int:
        """How many steps before the present one can still change its scores (the input's own differences apart)."""
        dilations = [block.dilation for block in self.blocks] + list(self.head_dilations)
        return (self.temporal - 1) * sum(dilations)


class ConvNorm(nn.Module):
    """Convolution, batch norm (until it is folded) and, unless linear, ReLU6: (n, in, h, w) -> (n, out, h', w').

    ReLU6 rather than ReLU: a known range of 0..6 keeps int8 scales from being set by outliers (MODEL.md I.1).
    """

    def __init__(self, conv: nn.Conv2d, linear: bool = False) -> None:
        super().__init__()
        self.conv = conv
        self.norm: nn.Module = nn.BatchNorm2d(conv.out_channels)
        self.linear = linear
        nn.init.kaiming_normal_(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
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
        # Channels-last memory makes both views free of a copy.
        view = x.permute(0, 2, 3, 1).reshape(batch, -1, height * width, channels).permute(0, 3, 1, 2)
        y: Tensor = self(F.pad(view, (0, 0, self.reach, 0)))
        return y.permute(0, 2, 3, 1).reshape(-1, height, width, channels).permute(0, 3, 1, 2)

    def step(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(1, c, h, w) now and (1, reach, h * w, c) past -> (1, c, h, w) and the past of the next step."""
        _, channels, height, width = x.shape
        # Through explicit channels-last permutes: the exporter then needs no TRANSPOSE (MODEL.md I.1).
        now = x.permute(0, 2, 3, 1).reshape(1, 1, height * width, channels)
        timeline = torch.cat((past, now), dim=1)
        y: Tensor = self(timeline.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).reshape(1, height, width, channels)
        return y.permute(0, 3, 1, 2), timeline[:, 1:]


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


class FallNetwork(nn.Module):
    """Seven logits a step from grey level and differences; the order is device.labels.LABELS."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        first, second = config.stem
        self.stem = nn.Sequential(
            ConvNorm(nn.Conv2d(CHANNELS, first, 3, 2, padding=1, bias=False)),
            ConvNorm(nn.Conv2d(first, first, 3, 2, padding=1, groups=first, bias=False)),
            ConvNorm(nn.Conv2d(first, second, 1, bias=False), linear=True),
        )
        widths = [second, *(block.width for block in config.blocks)]
        self.blocks = nn.ModuleList(
            Block(inward, block, config.temporal) for inward, block in zip(widths, config.blocks, strict=False)
        )
        self.embed = ConvNorm(nn.Conv2d(2 * widths[-1], config.head, 1, bias=False))
        self.head = nn.ModuleList(
            TemporalLayer(config.head, config.temporal, dilation) for dilation in config.head_dilations
        )
        self.dropout = nn.Dropout(config.dropout)
        self.labels = nn.Conv2d(config.head, len(LABELS), 1)

    @property
    def layers(self) -> list[Block | TemporalLayer]:
        """Every layer with a past, in the order of the states."""
        return [layer for group in (self.blocks, self.head) for layer in group]  # type: ignore[misc]

    def pool(self, x: Tensor) -> Tensor:
        """Mean and maximum over space, side by side: (n, c, h, w) -> (n, head, 1, 1)."""
        size = (x.shape[2], x.shape[3])
        return self.embed(torch.cat((F.avg_pool2d(x, size), F.max_pool2d(x, size)), dim=1))  # type: ignore[no-any-return]

    def window(self, x: Tensor) -> Tensor:
        """Float (batch, time, 3, height, width) in 0..1 -> logits (batch, time, labels); before the window, zeros."""
        batch, time = x.shape[:2]
        y = self.stem(x.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            y = block.window(y, batch)  # type: ignore[operator]
        y = self.pool(y)
        for layer in self.head:
            y = layer.window(y, batch)  # type: ignore[operator]
        return self.labels(self.dropout(y)).reshape(batch, time, len(LABELS))  # type: ignore[no-any-return]

    forward = window

    def state_shapes(self) -> list[tuple[int, int, int, int]]:
        """(1, steps of the past, pixels, channels) of each state, channels last, in the order of `layers`."""
        pixels = _halved(_halved((self.config.raster.height, self.config.raster.width)))
        shapes = []
        for layer in self.layers:
            if isinstance(layer, Block):
                pixels = _halved(pixels) if layer.space.conv.stride[0] == 2 else pixels
            else:
                pixels = (1, 1)
            shapes.append((1, layer.time.reach, math.prod(pixels), layer.time.conv.out_channels))
        return shapes


class Step(nn.Module):
    """One frame through a network whose past is handed in and handed back: what the unit's graph is made from.

    Input `frame` float (1, height, width, 3) in 0..1 and `state_00`, `state_01`, ...; output a dict of `logits`
    (1, labels) and `next_00`, `next_01`, ..., each of the shape of its state. Fold the batch norms first.
    """

    def __init__(self, network: FallNetwork) -> None:
        super().__init__()
        self.network = network.eval()

    @property
    def state_names(self) -> list[str]:
        """state_00, state_01, ... in the order of the layers; two digits, so that sorting keeps the order."""
        return [f"state_{index:02d}" for index in range(len(self.network.layers))]

    def initial_states(self) -> dict[str, Tensor]:
        """Zeros: what every state is before the first frame, and after a gap."""
        return {name: torch.zeros(s) for name, s in zip(self.state_names, self.network.state_shapes(), strict=True)}

    def forward(self, frame: Tensor, **states: Tensor) -> dict[str, Tensor]:
        network = self.network
        following = {}
        x = network.stem(frame.permute(0, 3, 1, 2))
        for index, layer in enumerate(network.layers):
            if index == len(network.blocks):
                x = network.pool(x)
            x, following[f"next_{index:02d}"] = layer.step(x, states[f"state_{index:02d}"])
        return {"logits": network.labels(x).permute(0, 2, 3, 1).reshape(1, len(LABELS)), **following}

    def follow(self, answer: dict[str, Tensor]) -> dict[str, Tensor]:
        """The states of the next step, taken from the answer of this one."""
        return {name: answer[name.replace("state", "next")] for name in self.state_names}


def build(config: NetworkConfig) -> FallNetwork:
    """A fresh network of the configured shape, in the memory layout that trains fastest (MODEL.md I.6)."""
    return FallNetwork(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fold_batchnorm(network: FallNetwork) -> FallNetwork:
    """A copy in eval mode with every batch norm folded into its convolution; gives the same logits."""
    folded = copy.deepcopy(network).eval()
    for part in folded.modules():
        if isinstance(part, ConvNorm):
            part.fold()
    return folded


def count_parameters(network: nn.Module) -> int:
    """Number of weights, batch norm's two per channel included while they are not folded."""
    return sum(p.numel() for p in network.parameters())


def count_macs(network: FallNetwork) -> int:
    """Multiply-accumulates of one step, convolutions only, counted on the step form itself."""
    total = 0

    def add(conv: nn.Conv2d, _: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        per_output = conv.in_channels // conv.groups * math.prod(conv.kernel_size)
        total += out.numel() * per_output

    step = Step(fold_batchnorm(network))
    hooks = [part.register_forward_hook(add) for part in step.modules() if isinstance(part, nn.Conv2d)]
    raster = network.config.raster
    with torch.no_grad():
        step(torch.zeros(1, raster.height, raster.width, CHANNELS), **step.initial_states())
    for hook in hooks:
        hook.remove()
    return total


def _halved(pixels: Pixels) -> Pixels:
    """Size after a 3 x 3 convolution of stride 2 with one pixel of padding."""
    return (pixels[0] + 1) // 2, (pixels[1] + 1) // 2
