"""The three channels of the network's input by name, and leaving some of them out: what is each of them worth?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

CHANNEL_NAMES: Final = ("grey", "short", "long")
"""Grey level, difference to a short and to a long while ago, in the order of device.preprocess.stack."""


def drop_channels(inputs: NDArray[np.uint8], dropped: Sequence[str]) -> NDArray[np.uint8]:
    """Network inputs (..., 3) with the named channels at zero; the same array where none is named."""
    if not dropped:
        return inputs
    return inputs * np.array([name not in dropped for name in CHANNEL_NAMES], np.uint8)
