"""Three networks of the literature, written from their papers' tables: what others watch with.

R(2+1)D-18 (Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions", table 1 and section 3.5), MobileNetV2
(Sandler et al. 2018, table 2), MobileNetV3-Large (Howard et al. 2019, table 1).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 7


class Factored(nn.Sequential):
    """A 3x3x3 convolution as 1x3x3 and 3x1x1, with `middle` channels between them."""

    def __init__(self, inside: int, middle: int, outside: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv3d(inside, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            nn.BatchNorm3d(middle),
            nn.ReLU(inplace=True),
            nn.Conv3d(middle, outside, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
        )


class Residual3d(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        # As many as keep the number of weights of the whole 3-D convolution; as torchvision, the same in both halves.
        middle = (inside * outside * 27) // (inside * 9 + 3 * outside)
        first, second = Factored(inside, middle, outside, stride), Factored(outside, middle, outside)
        self.one = nn.Sequential(first, nn.BatchNorm3d(outside), nn.ReLU(inplace=True))
        self.two = nn.Sequential(second, nn.BatchNorm3d(outside))
        self.past: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.past = nn.Sequential(nn.Conv3d(inside, outside, 1, stride, bias=False), nn.BatchNorm3d(outside))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.two(self.one(x)) + self.past(x))


class R2Plus1D18(nn.Module):
    """(n, 3, frames, height, width) -> (n, CLASSES): a stem, four stages of two residual blocks, a mean."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            nn.BatchNorm3d(45),
            nn.ReLU(inplace=True),
            nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(inplace=True),
        )
        blocks: list[nn.Module] = [stem]
        for inside, outside, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
            blocks += [Residual3d(inside, outside, stride), Residual3d(outside, outside, 1)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(512, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self.head(self.blocks(x).mean((2, 3, 4)))
        return seen


class Gate(nn.Module):
    """Squeeze and excitation with a hard sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = _eighths(channels / 4)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, few, 1),
            nn.ReLU(),
            nn.Conv2d(few, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = x * self.gate(x)
        return seen


class Inverted(nn.Module):
    """Wide, depthwise, narrow; the past is added where the shape allows. act: of the wide part."""

    def __init__(
        self, channels: tuple[int, int, int], kernel: int, stride: int, act: type[nn.Module], gated: bool = False
    ) -> None:
        super().__init__()
        inside, wide, outside = channels
        layers: list[nn.Module] = []
        if wide != inside:
            layers += [nn.Conv2d(inside, wide, 1, bias=False), nn.BatchNorm2d(wide), act()]
        layers += [
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            act(),
        ]
        layers += [Gate(wide)] if gated else []
        layers += [nn.Conv2d(wide, outside, 1, bias=False), nn.BatchNorm2d(outside)]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and inside == outside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self.layers(x)
        return x + seen if self.adds else seen


def _eighths(value: float) -> int:
    """The nearest multiple of 8, never more than a tenth below."""
    near = max(8, int(value + 4) // 8 * 8)
    return near if near >= 0.9 * value else near + 8


def _entry(outside: int, act: type[nn.Module]) -> list[nn.Module]:
    return [nn.Conv2d(3, outside, 3, 2, 1, bias=False), nn.BatchNorm2d(outside), act()]


V2_ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels out, repeats, first stride."""


class MobileNetV2(nn.Sequential):
    """(n, 3, 224, 224) -> (n, CLASSES)."""

    def __init__(self) -> None:
        layers, inside = _entry(32, nn.ReLU6), 32
        for expansion, outside, repeats, stride in V2_ROWS:
            for n in range(repeats):
                channels = (inside, inside * expansion, outside)
                layers.append(Inverted(channels, 3, stride if n == 0 else 1, nn.ReLU6))
                inside = outside
        layers += [nn.Conv2d(inside, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, CLASSES))


RE, HS = nn.ReLU, nn.Hardswish
V3_ROWS: tuple[tuple[int, int, int, bool, type[nn.Module], int], ...] = (
    (3, 16, 16, False, RE, 1),
    (3, 64, 24, False, RE, 2),
    (3, 72, 24, False, RE, 1),
    (5, 72, 40, True, RE, 2),
    (5, 120, 40, True, RE, 1),
    (5, 120, 40, True, RE, 1),
    (3, 240, 80, False, HS, 2),
    (3, 200, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 184, 80, False, HS, 1),
    (3, 480, 112, True, HS, 1),
    (3, 672, 112, True, HS, 1),
    (5, 672, 160, True, HS, 2),
    (5, 960, 160, True, HS, 1),
    (5, 960, 160, True, HS, 1),
)
"""Kernel, wide, channels out, gated, activation, stride."""


class MobileNetV3Large(nn.Sequential):
    """(n, 3, 224, 224) -> (n, CLASSES)."""

    def __init__(self) -> None:
        layers, inside = _entry(16, HS), 16
        for kernel, wide, outside, gated, act, stride in V3_ROWS:
            layers.append(Inverted((inside, wide, outside), kernel, stride, act, gated))
            inside = outside
        layers += [nn.Conv2d(160, 960, 1, bias=False), nn.BatchNorm2d(960), HS(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*layers, nn.Linear(960, 1280), HS(), nn.Linear(1280, CLASSES))
