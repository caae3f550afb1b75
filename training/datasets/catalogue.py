"""The datasets that can be read, and what each licence allows. Where each was read: docs/data.md."""

from __future__ import annotations

from typing import Final

from training.datasets import caucafall, gmdcsa24, le2i, omnifall, upfall, urfall
from training.datasets.rows import Dataset

RESEARCH: Final = "research; no licence stated"

DATASETS: Final = {
    one.name: one
    for one in (
        Dataset("gmdcsa24", "train", "MIT (E. Alam et al., GMDCSA24)", "github.com/ekramalam", gmdcsa24.read),
        Dataset("caucafall", "train", "CC BY 4.0 (Eraso Guerrero et al. 2022)", "CAUCAFall, Mendeley", caucafall.read),
        Dataset("urfd", "dev", "CC BY-NC-SA 4.0 (Kwolek and Kepski 2014)", "UR Fall Detection Dataset", urfall.read),
        Dataset("le2i", "dev", "CC BY-NC-SA 3.0 (Charfi et al. 2013)", "ImViA Fall Detection Dataset", le2i.read),
        Dataset("upfall", "dev", f"{RESEARCH} (Martinez-Villasenor et al. 2019)", "HAR-UP", upfall.read),
        Dataset("omnifall", "dev", "annotations CC BY-NC 4.0; videos: each its own", "OmniFall", omnifall.read),
    )
}
"""dev: the licence does not let weights trained on it be shipped."""
