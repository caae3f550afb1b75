"""A camera's film made on the spot: 640x480 H.264 as a network camera sends it, somebody walking about a room.

Ten seconds are encoded and then joined to any length without encoding again, so that a small board makes it too.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 640, 480, 25
ENCODED_S = 10
BITS_A_S = 1_500_000
"""What cameras of this size are usually set to; with the noise below the encoder makes use of it."""

NOISE_LEVELS = 2.5
"""Standard deviation of the sensor's noise, grey levels: a quiet indoor camera."""

X264 = {"preset": "veryfast", "tune": "zerolatency", "g": str(2 * FPS)}
"""No picture waits for a later one, and a key frame every 2 s: how cameras send."""


def make_source(path: Path, seconds: int) -> Path:
    """Write an mp4 of at least `seconds`; the same pictures on every call."""
    path.write_bytes(b"")
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=FPS, options=X264)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", BITS_A_S
        stream.codec_context.thread_count = 1
        packets = []
        for picture in _pictures(ENCODED_S * FPS):
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24"))
        packets += stream.encode(None)
        kept = [(bytes(packet), packet.is_keyframe) for packet in packets]
        for time in range(math.ceil(seconds / ENCODED_S)):
            for n, (content, key) in enumerate(kept):
                packet = av.Packet(content)
                packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, FPS), key
                packet.pts = packet.dts = time * len(kept) + n
                packet.duration = 1
                out.mux(packet)
    return path


def _pictures(count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(20261128)
    room = _room(rng)
    noise = [rng.normal(0, NOISE_LEVELS, (HEIGHT, WIDTH, 1)) for _ in range(7)]
    pictures = []
    for n in range(count):
        picture = np.clip(room + noise[n % len(noise)], 0, 255).astype(np.uint8)
        phase = 2 * math.pi * n / count  # the last picture leads to the first
        x, y = round(320 + 230 * math.sin(phase)), round(260 + 20 * math.sin(9 * phase))
        cv2.ellipse(picture, (x, y), (34, 110), 8 * math.sin(9 * phase), 0, 360, (60, 70, 110), -1)
        cv2.circle(picture, (x, y - 130), 27, (140, 160, 200), -1)
        pictures.append(picture)
    return pictures


def _room(rng: np.random.Generator) -> NDArray[np.float64]:
    """Walls, furniture and their texture: soft blotches under sharp edges."""
    soft = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8), (0, 0), 9)
    blocks = rng.integers(40, 200, (12, 16, 3)).astype(np.uint8)
    sharp = cv2.resize(blocks, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.addWeighted(soft, 0.5, sharp, 0.5, 0), np.float64)
