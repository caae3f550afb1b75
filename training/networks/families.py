"""The table of families: `NetworkConfig.family` -> the class that is built. The unit's are the first two."""

from __future__ import annotations

from typing import Final

import torch

from training.networks.config import NetworkConfig
from training.networks.r2plus1d import R2Plus1d
from training.networks.streaming import FallNetwork
from training.networks.tpool import TPool

PRODUCT: Final = ("r2plus1d", "tpool")
"""Families that may go on a wall; the others are the zoo, there to be compared with."""

FAMILIES: Final[dict[str, type[FallNetwork]]] = {
    "r2plus1d": R2Plus1d,
    "tpool": TPool,
}


def build(config: NetworkConfig) -> FallNetwork:
    """A fresh network of the configured family and shape, in the memory layout that trains fastest (MODEL.md I.6)."""
    network = FAMILIES[config.family](config)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
