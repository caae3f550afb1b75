"""What a cheap camera does to a picture: exposure, noise, blur, vignette, barrel, flicker, compression, held frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.simulate import STEPS_PER_S

Grey = NDArray[np.uint8]
Gain = NDArray[np.float32]

FRAME_RATES: Final = (5.0, 6.0, 7.5, 8.0, 10.0, 15.0, 25.0, 30.0)
"""Frames per second of the pretended camera; below 10 pictures are held, above nothing is lost at 10 steps a second."""


@dataclass(frozen=True)
class Sensor:
    """One camera's faults. Automatic exposure brings the first picture to mean_level.

    Noise in grey levels (1 sd), blur in pixels, jpeg quality 1-100 (0: none), shares 0..1.
    """

    mean_level: float
    gamma: float
    contrast: float
    lift: float
    noise: float
    blur: float
    vignette: float
    jpeg: int
    ghost: float
    fps: float
    drop_share: float
    exposure_step: float
    flicker: float
    moving_shade: float


def random_sensor(rng: np.random.Generator, night: bool) -> Sensor:
    """A random camera; night infrared is noisier, softer, darker at the rim and slower."""
    slow = rng.random() < (0.4 if night else 0.2)
    return Sensor(
        mean_level=float(rng.uniform(40, 120) if night else rng.uniform(60, 150)),
        gamma=float(rng.uniform(0.75, 1.2)),
        contrast=float(rng.uniform(0.65, 1.3)),
        lift=float(rng.uniform(-10, 20)),
        noise=float(rng.uniform(2, 11) if night else rng.exponential(2.5)),
        blur=float(rng.choice([0.0, 0.0, 0.0, 0.6, 0.9, 1.4])),
        vignette=float(rng.uniform(0.2, 0.75) if night else rng.uniform(0, 0.3)),
        jpeg=int(rng.choice([0, 20, 35, 50, 70])),
        ghost=float(rng.uniform(0.2, 0.55)) if rng.random() < (0.5 if night else 0.12) else 0.0,
        fps=float(rng.choice(FRAME_RATES[:4])) if slow else float(rng.choice(FRAME_RATES[4:])),
        drop_share=float(rng.uniform(0.02, 0.12)) if rng.random() < 0.12 else 0.0,
        exposure_step=float(rng.normal(0, 0.25)) if rng.random() < 0.12 else 0.0,
        flicker=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.1 else 0.0,
        moving_shade=float(rng.uniform(0.1, 0.45)) if rng.random() < 0.12 else 0.0,
    )


def held_frames(steps: int, sensor: Sensor, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which step's picture is shown at each step: int64 (steps,), never ahead of the step itself."""
    t = np.arange(steps) / STEPS_PER_S
    shown = np.arange(steps)
    if sensor.fps < STEPS_PER_S:
        phase = float(rng.uniform(0, 1))
        # The newest camera frame at or before t, rounded up to the step at which it was taken.
        grabbed = (np.floor(t * sensor.fps + phase) - phase) / sensor.fps
        shown = np.clip(np.ceil(grabbed * STEPS_PER_S - 1e-6), 0, np.arange(steps)).astype(np.int64)
    for step in range(1, steps):
        if rng.random() < sensor.drop_share:
            shown[step : step + int(rng.integers(1, 4))] = shown[step - 1]
    return np.minimum(shown, np.arange(steps))


def barrel_maps(width: int, height: int, barrel: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each pixel of the distorted picture comes from (one radial term); the corners stay filled."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = (x - width / 2) / (width / 2), (y - height / 2) / (width / 2)
    corner = 1 + (height / width) ** 2
    scale = (1 + barrel * (u * u + v * v)) / (1 + barrel * corner)
    return u * scale * width / 2 + width / 2, v * scale * width / 2 + height / 2


def distort(picture: Grey, maps: tuple[NDArray[np.float32], NDArray[np.float32]], nearest: bool = False) -> Grey:
    """The picture through the lens."""
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(picture, *maps, interpolation=how, borderMode=cv2.BORDER_REPLICATE), np.uint8)


class Exposure:
    """Gain over place and time, drawn once a clip: vignette, exposure steps, television flicker, a moving shade."""

    def __init__(self, sensor: Sensor, shape: tuple[int, int], steps: int, rng: np.random.Generator) -> None:
        self._sensor = sensor
        height, width = shape
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        self._u, self._v = x / width, y / height
        cx, cy = rng.normal(0.5, 0.06, 2)
        self._rim: Gain = np.float32(1) - np.float32(sensor.vignette * 1.6) * (
            (self._u - np.float32(cx)) ** 2 + (self._v - np.float32(cy)) ** 2
        )
        step_at = int(rng.integers(0, steps))
        exposure = np.where(np.arange(steps) >= step_at, 1 + sensor.exposure_step, 1.0)
        # Automatic exposure takes about half a second to settle.
        self._gain = np.convolve(np.pad(exposure, (4, 0), "edge"), np.ones(5) / 5, "valid")
        self._flicker = np.convolve(rng.standard_normal(steps + 2), np.ones(3) / 3, "valid") * sensor.flicker
        tv_x, tv_y = rng.uniform(0, 1, 2)
        self._tv = np.exp(-(((self._u - np.float32(tv_x)) ** 2 + (self._v - np.float32(tv_y)) ** 2) / np.float32(0.12)))
        self._shade_from, self._shade_speed = rng.uniform(-0.2, 1.2), rng.normal(0, 0.035)
        self._shade_slope = rng.normal(0, 0.6)

    def at(self, step: int) -> Gain:
        """The factor on the light at this step, float32 (height, width)."""
        gain = self._rim * np.float32(self._gain[step])
        if self._sensor.flicker:
            gain = gain * (1 + self._tv * np.float32(self._flicker[step]))
        if self._sensor.moving_shade:
            line = self._shade_from + self._shade_speed * step + self._shade_slope * (self._v - 0.5)
            gain = gain * (1 - np.float32(self._sensor.moving_shade) * np.exp(-(((self._u - line) / 0.16) ** 2)))
        return np.asarray(gain, np.float32)


def degrade(pictures: list[Grey], sensor: Sensor, rng: np.random.Generator) -> list[Grey]:
    """The sequence as the camera delivers it, one picture a step, before frames are held: uint8, same shapes."""
    exposure = Exposure(sensor, (pictures[0].shape[0], pictures[0].shape[1]), len(pictures), rng)
    # A dark room is amplified at most sevenfold: a cheap camera gives up there, and the noise shows.
    gain = float(np.clip(sensor.mean_level / max(float(pictures[0].mean()), 1.0), 0.4, 7.0))
    levels = np.minimum(np.arange(256) / 255 * gain, 1.3)
    curve = (255 * levels**sensor.gamma).astype(np.float32)
    middle = sensor.mean_level
    out: list[Grey] = []
    before: Gain | None = None
    for step, picture in enumerate(pictures):
        light = curve[picture] * exposure.at(step)
        light = (light - middle) * np.float32(sensor.contrast) + np.float32(middle + sensor.lift)
        if sensor.blur:
            light = np.asarray(cv2.GaussianBlur(light, (0, 0), sensor.blur), np.float32)
        if sensor.noise:
            light = light + np.float32(sensor.noise) * rng.standard_normal(light.shape, dtype=np.float32)
        if before is not None and sensor.ghost:
            light = light * np.float32(1 - sensor.ghost) + before * np.float32(sensor.ghost)
        before = np.asarray(light, np.float32)
        out.append(_compress(np.clip(light, 0, 255).astype(np.uint8), sensor.jpeg))
    return out


def _compress(picture: Grey, quality: int) -> Grey:
    if not quality:
        return picture
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
