"""A picture sequence through a real H.264 encoder and back: blocks, smears and the pulse of key pictures."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

PRESET = "ultrafast"
"""Without a deblocking filter, as cheap camera chips are; 0.02 CPU-s for 60 pictures of 256 x 192 (one core)."""


def through_h264(pictures: list[Grey], crf: int, key_every: int, fps: int = 10) -> list[Grey]:
    """The sequence as a viewer of the stream sees it: same count, order and shape. Same input, same output.

    pictures: uint8 (height, width), even sizes. crf: x264's quality, 18 (clean) to 45 (mush).
    """
    height, width = pictures[0].shape
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.framerate = Fraction(fps)
    # One thread: more would make the bits depend on the machine.
    encoder.options = {
        "crf": str(crf), "preset": PRESET, "tune": "zerolatency", "g": str(key_every), "threads": "1",
    }  # fmt: skip
    encoder.thread_count = 1
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = [packet for picture in pictures for packet in encoder.encode(_frame(picture))]
    packets += encoder.encode(None)
    shown = [_grey(frame) for packet in [*packets, None] for frame in decoder.decode(packet)]
    if len(shown) != len(pictures):
        raise RuntimeError(f"H.264 gave {len(shown)} pictures back for {len(pictures)}; reinstall av")
    return shown


def _frame(picture: Grey) -> av.VideoFrame:
    height, width = picture.shape
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = picture
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def _grey(frame: av.VideoFrame) -> Grey:
    return np.ascontiguousarray(frame.to_ndarray()[: frame.height])
