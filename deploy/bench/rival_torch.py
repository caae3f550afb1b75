"""Networks people take for falls, in float on torch with one thread: architecture only, weights as they are drawn.

    python -m deploy.bench.rival_torch {r2plus1d_18 | mobilenet_v2 | mobilenet_v3_large}

r2plus1d_18 sees a clip of 16 x 112 x 112; one item is one clip, which has to be seen again for every decision.
The MobileNets see one picture of 224 x 224; one item is one picture.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

from deploy.bench.architectures import MobileNetV2, MobileNetV3Large, R2Plus1D18
from deploy.bench.worker import serve

NETWORKS: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "r2plus1d_18": (R2Plus1D18, (1, 3, 16, 112, 112)),
    "mobilenet_v2": (MobileNetV2, (1, 3, 224, 224)),
    "mobilenet_v3_large": (MobileNetV3Large, (1, 3, 224, 224)),
}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kind, shape = NETWORKS[sys.argv[1]]
    network, seen = kind().eval(), torch.rand(shape)

    @torch.inference_mode()
    def work(count: int) -> None:
        for _ in range(count):
            network(seen)

    serve(work, 2)


if __name__ == "__main__":
    main()
