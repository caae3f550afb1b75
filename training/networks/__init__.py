"""The networks: causal, one step a frame, in two forms that share their weights.

`FallNetwork.window` sees whole windows and is what training runs; `Step` sees one frame and the past it was handed,
and is what the unit runs. In the unit's families only Conv2d and pooling, no tensor above four dimensions, no hidden
state (MODEL.md I.1: a buffer that is written to converts without an error into a network that has forgotten it).
"""

from training.networks.config import AUXILIARY, BlockConfig, NetworkConfig, parse_network
from training.networks.cost import count_macs, count_parameters
from training.networks.families import FAMILIES, PRODUCT, build
from training.networks.streaming import FallNetwork, Step, fold_batchnorm

__all__ = [
    "AUXILIARY",
    "FAMILIES",
    "PRODUCT",
    "BlockConfig",
    "FallNetwork",
    "NetworkConfig",
    "Step",
    "build",
    "count_macs",
    "count_parameters",
    "fold_batchnorm",
    "parse_network",
]
