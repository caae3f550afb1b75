"""The table of families: `NetworkConfig.family` -> the class that is built. The unit's are the first two."""

from __future__ import annotations

from typing import Final

import torch

from training.networks.config import NetworkConfig
from training.networks.r2plus1d import R2Plus1d
from training.networks.streaming import FallNetwork
from training.networks.tpool import TPool
from training.zoo.c3d import C3d
from training.zoo.cnn_gru import CnnGru
from training.zoo.cnn_transformer import CnnTransformer
from training.zoo.tubelet import TubeletTransformer
from training.zoo.two_stream import TwoStream

PRODUCT: Final = ("r2plus1d", "tpool")
"""Families that may go on a wall; the others are the zoo, there to be compared with."""

FAMILIES: Final[dict[str, type[FallNetwork]]] = {
    "r2plus1d": R2Plus1d,
    "tpool": TPool,
    "c3d": C3d,
    "cnn_gru": CnnGru,
    "two_stream": TwoStream,
    "tubelet": TubeletTransformer,
    "cnn_transformer": CnnTransformer,
}


def build(config: NetworkConfig) -> FallNetwork:
    """A fresh network of the configured family and shape, in the memory layout that trains fastest (MODEL.md I.6)."""
    network = FAMILIES[config.family](config)
    for weight in network.parameters():
        # By hand: Module.to would try 5-D weights too, which have another layout.
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return network
