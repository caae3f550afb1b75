"""Attention in the two forms of training.networks: over the last steps of a window, and over a cache of keys.

Before the window there are steps whose keys and values are zero, as a convolution's past is; they take their share of
the softmax, so that a short past reads as little evidence, and both forms are the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.layers import StateShape

EXPANSION: Final = 2
"""Hidden width of a transformer layer's perceptron, in widths of the layer."""


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    """(..., queries, c), (..., keys, c), (..., keys, c) and what is added to the scores -> (..., queries, c)."""
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + bias
    answer: Tensor = scores.softmax(-1) @ value
    return answer


class FeedForward(nn.Sequential):
    """Norm, widen, GELU, narrow: (..., width) -> (..., width)."""

    def __init__(self, width: int) -> None:
        wide = EXPANSION * width
        super().__init__(nn.LayerNorm(width), nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width))


class SpatialLayer(nn.Module):
    """Transformer layer among the tokens of one frame: (n, tokens, width) -> the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.perceptron = FeedForward(width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        answer = attend(self._split(self.query(y)), self._split(self.key(y)), self._split(self.value(y)))
        x = x + self.out(answer.transpose(1, 2).reshape(x.shape))
        return x + self.perceptron(x)  # type: ignore[no-any-return]

    def _split(self, x: Tensor) -> Tensor:
        """(n, tokens, width) -> (n, heads, tokens, width / heads)."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class CausalLayer(nn.Module):
    """Transformer layer over time: every step hears itself and the `span` - 1 steps before it.

    Keys and values have no bias, so that a frame of zeros has zero for both. How far back a step lies is told by one
    learned number a head and distance, added to the score.
    """

    def __init__(self, width: int, heads: int, span: int) -> None:
        super().__init__()
        self.width, self.heads, self.span = width, heads, span
        self.norm = nn.LayerNorm(width)
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key, self.value = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.distance = nn.Parameter(torch.zeros(heads, 1, span))
        self.perceptron = FeedForward(width)

    def window(self, x: Tensor) -> Tensor:
        """(batch, time, width) -> the same, each window with a past of zeros."""
        batch, time, width = x.shape
        y = self.norm(x)
        query = self.query(y).reshape(batch, time, self.heads, 1, -1)
        key, value = self._spans(self.key(y)), self._spans(self.value(y))
        x = x + self.out(attend(query, key, value, self.distance).reshape(batch, time, width))
        return x + self.perceptron(x)  # type: ignore[no-any-return]

    def _spans(self, x: Tensor) -> Tensor:
        """(batch, time, width) -> what each step looks back on: (batch, time, heads, span, width / heads)."""
        padded = F.pad(x, (0, 0, self.span - 1, 0)).unfold(1, self.span, 1)
        return padded.reshape(*x.shape[:2], self.heads, -1, self.span).transpose(-1, -2)

    def step(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(1, width) now and past keys and values (1, span - 1, 1, width) -> (1, width) and those of the next step."""
        y = self.norm(x)
        keys = torch.cat((keys, self.key(y).reshape(1, 1, 1, self.width)), dim=1)
        values = torch.cat((values, self.value(y).reshape(1, 1, 1, self.width)), dim=1)
        query = self.query(y).reshape(self.heads, 1, -1)
        answer = attend(query, self._by_head(keys), self._by_head(values), self.distance)
        x = x + self.out(answer.reshape(1, self.width))
        return x + self.perceptron(x), keys[:, 1:], values[:, 1:]

    def _by_head(self, x: Tensor) -> Tensor:
        """(1, span, 1, width) -> (heads, span, width / heads)."""
        return x.reshape(self.span, self.heads, -1).transpose(0, 1)


class CausalTransformer(nn.Module):
    """Layers over time on one feature vector a step; looks back layers * (span - 1) steps."""

    def __init__(self, width: int, heads: int, span: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CausalLayer(width, heads, span) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.span, self.width = span, width

    def window(self, x: Tensor) -> Tensor:
        """(batch, time, width) -> the same."""
        for layer in self.layers:
            x = layer.window(x)  # type: ignore[operator]
        return self.norm(x)  # type: ignore[no-any-return]

    def step(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(1, width) and the keys and values of each layer in turn -> the same, for the next step."""
        following: list[Tensor] = []
        for layer, keys, values in zip(self.layers, past[::2], past[1::2], strict=True):
            x, keys_after, values_after = layer.step(x, keys, values)  # type: ignore[operator]
            following += [keys_after, values_after]
        return self.norm(x), following

    def state_shapes(self) -> list[StateShape]:
        """Keys and values of each layer in turn."""
        return [(1, self.span - 1, 1, self.width)] * (2 * len(self.layers))
