"""Heads that only training has: where people are, whether anybody is, how high a head is over the floor.

They make the features know what the labels alone say only in a roundabout way. The unit never runs them: they are in
no step, in no export, and folding drops them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

MASK: Final = "mask"
HEIGHT: Final = "height"

MAP_AFTER_BLOCKS: Final = 3
"""The mask is read off the map after this many blocks: the second spatial scale, 9 x 12 for a picture of 72 x 96."""

HEIGHT_UNIT_M: Final = 2.0
"""A height of 1 means this many metres: a standing head stays within 0..1."""


class AuxiliaryHeads(nn.ModuleDict):
    """One 1 x 1 convolution a head: `mask` on the feature map, `presence` and `height` on the feature vector."""

    def __init__(self, names: Sequence[str], map_channels: int, features: int) -> None:
        super().__init__({name: nn.Conv2d(map_channels if name == MASK else features, 1, 1) for name in names})

    def answers(self, features: Tensor, feature_map: Tensor, batch: int) -> dict[str, Tensor]:
        """features (batch * time, c, 1, 1) and map (batch * time, c, h, w) -> what each head says.

        mask: logits (batch, time, 1, h, w). presence: logit (batch, time). height: 0..1 in units of 2 m (batch, time).
        """
        said: dict[str, Tensor] = {}
        for name, head in self.items():
            y = head(feature_map if name == MASK else features)
            shape = (batch, -1, *y.shape[1:]) if name == MASK else (batch, -1)
            said[name] = (y.sigmoid() if name == HEIGHT else y).reshape(shape)
        return said
