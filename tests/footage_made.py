"""Small videos made on the spot, for tests that need pictures and not people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def moving_square(frames: int, size: tuple[int, int] = (160, 120), seed: int = 0) -> list[NDArray[np.uint8]]:
    """A bright square that wanders over a noisy grey room: frames x (height, width, 3) BGR."""
    rng = np.random.default_rng(seed)
    width, height = size
    pictures = []
    for n in range(frames):
        picture = rng.normal(90, 4, (height, width, 3)).clip(0, 255).astype(np.uint8)
        x, y = 10 + (3 * n) % (width - 40), 20 + (2 * n) % (height - 60)
        picture[y : y + 40, x : x + 20] = 220
        pictures.append(picture)
    return pictures


def write_video(path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int = 10) -> Path:
    """An H.264 mp4 of these pictures at a steady rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        for n, picture in enumerate(pictures):
            if n == 0:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path
