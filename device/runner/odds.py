"""Picture in, probabilities out: the two ends that every runtime's step has in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from device.labels import LABELS


class Softmax:
    """Logits to probabilities, in float64, in memory of its own: write `logits`, then call.

    The graph ends in logits because an int8 softmax has steps of 1/256: every quiet score would be exactly 0 and no
    two of them could be told apart.
    """

    def __init__(self) -> None:
        self.logits = np.zeros(len(LABELS), np.float64)

    def __call__(self) -> NDArray[np.float32]:
        """float32 (7,), sum 1, in the order of LABELS; the caller's own."""
        odds = self.logits
        np.subtract(odds, odds.max(), out=odds)
        np.exp(odds, out=odds)
        np.divide(odds, odds.sum(), out=odds)
        return odds.astype(np.float32)


def check_picture(image: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the picture is uint8 of this shape (height, width, 3)."""
    if image.dtype != np.uint8 or image.shape != shape:
        raise ValueError(f"the model wants uint8 {shape}, got {image.dtype} {image.shape}")
