"""What a cheap camera does to a picture: exposure, noise, blur, vignette, barrel, flicker, compression, held frames."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.simulate import STEPS_PER_S
from training.synth.video import through_h264

Grey = NDArray[np.uint8]
Gain = NDArray[np.float32]

FRAME_RATES: Final = (5.0, 6.0, 7.5, 8.0, 10.0, 15.0, 25.0, 30.0)
"""Frames per second of the pretended camera; below 10 pictures are held, above nothing is lost at 10 steps a second."""


MAX_GAIN: Final = 7.0
"""A dark room is amplified at most so much: a cheap camera gives up there, and the noise shows."""


@dataclass(frozen=True)
class Sensor:
    """One camera's faults. Automatic exposure brings the first picture to mean_level.

    Noise in grey levels (1 sd): `noise` in the dark, growing by `shot` with the light. blur in pixels. shutter: share
    of a step during which the shutter is open (0: no motion blur). gain_speed: how much of an exposure error is put
    right each step (0: fixed), gain_delay: how many steps late the error is seen, so that the gain hunts. interlace:
    odd rows are one step older. jpeg: quality 1-100 of single pictures, crf: H.264 quality (0: none of either).
    stamp: corner of a time overlay, 0-3 (-1: none). jitter: of the camera's clock, in frames. freeze: steps of one
    dead moment. Shares 0..1.
    """

    mean_level: float
    gamma: float
    contrast: float
    lift: float
    noise: float
    shot: float
    blur: float
    shutter: float
    vignette: float
    gain_speed: float
    gain_delay: int
    interlace: bool
    jpeg: int
    crf: int
    ghost: float
    stamp: int
    fps: float
    jitter: float
    drop_share: float
    freeze: int
    exposure_step: float
    flicker: float
    moving_shade: float


def random_sensor(rng: np.random.Generator, night: bool) -> Sensor:
    """A random camera; night infrared is noisier, softer, darker at the rim and slower."""

    def sometimes(chance: float, low: float, high: float) -> float:
        return float(rng.uniform(low, high)) if rng.random() < chance else 0.0

    slow = rng.random() < (0.4 if night else 0.2)
    coded = rng.random()
    return Sensor(
        mean_level=float(rng.uniform(40, 120) if night else rng.uniform(60, 150)),
        gamma=float(rng.uniform(0.75, 1.2)),
        contrast=float(rng.uniform(0.65, 1.3)),
        lift=float(rng.uniform(-10, 20)),
        noise=float(rng.uniform(2, 9) if night else rng.exponential(1.8)),
        shot=float(rng.uniform(0, 5) if night else rng.exponential(1.5)),
        blur=float(rng.choice([0.0, 0.0, 0.0, 0.6, 0.9, 1.4])),
        shutter=sometimes(0.25 if night else 0.12, 0.3, 1.0),
        vignette=float(rng.uniform(0.2, 0.75) if night else rng.uniform(0, 0.3)),
        gain_speed=sometimes(0.4, 0.05, 0.6),
        gain_delay=int(rng.integers(0, 4)),
        interlace=bool(rng.random() < 0.06),
        jpeg=int(rng.choice([20, 35, 50, 70])) if coded < 0.35 else 0,
        crf=int(rng.integers(24, 39)) if coded > 0.55 else 0,
        ghost=sometimes(0.4 if night else 0.1, 0.2, 0.55),
        stamp=int(rng.integers(0, 4)) if rng.random() < 0.25 else -1,
        fps=float(rng.choice(FRAME_RATES[:4])) if slow else float(rng.choice(FRAME_RATES[4:])),
        jitter=sometimes(0.3, 0.05, 0.5),
        drop_share=sometimes(0.12, 0.02, 0.12),
        freeze=int(rng.integers(2, 5)) if rng.random() < 0.08 else 0,
        exposure_step=float(rng.normal(0, 0.25)) if rng.random() < 0.12 else 0.0,
        flicker=sometimes(0.06, 0.1, 0.5),
        moving_shade=sometimes(0.14, 0.1, 0.45),
    )


def held_frames(steps: int, sensor: Sensor, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which step's picture is shown at each step: int64 (steps,), never ahead of the step itself."""
    shown = np.arange(steps)
    if sensor.fps < STEPS_PER_S or sensor.jitter:
        count = int(steps / STEPS_PER_S * sensor.fps) + 3
        late = np.abs(rng.normal(0, sensor.jitter, count)) if sensor.jitter else np.zeros(count)
        # When each camera frame arrives, in steps; a late one holds up those behind it.
        arrives = np.maximum.accumulate((np.arange(count) - 1 + rng.uniform(0, 1) + late) / sensor.fps * STEPS_PER_S)
        newest = np.searchsorted(arrives, shown + 1e-6, side="right") - 1
        # At 10 frames a second or more the newest frame counts as taken at the step unless it is a whole step old.
        taken = np.ceil if sensor.fps < STEPS_PER_S else np.round
        shown = np.clip(taken(arrives[np.maximum(newest, 0)] - 1e-6), 0, np.arange(steps)).astype(np.int64)
        shown = np.maximum.accumulate(shown)
    for step in range(1, steps):
        if rng.random() < sensor.drop_share:
            shown[step : step + int(rng.integers(1, 4))] = shown[step - 1]
    if sensor.freeze:
        start = int(rng.integers(1, max(2, steps - sensor.freeze)))
        shown[start : start + sensor.freeze] = shown[start - 1]
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


def gains(means: NDArray[np.float64], sensor: Sensor) -> NDArray[np.float64]:
    """The camera's gain at each step for pictures of these mean levels: set once, then followed late and slowly."""
    wanted = np.clip(sensor.mean_level / np.maximum(means, 1.0), 0.4, MAX_GAIN)
    out = np.full(len(means), wanted[0])
    for step in range(1, len(means)):
        seen = max(0, step - 1 - sensor.gain_delay)
        # What the controller sees is the light of then through the gain of then.
        error = wanted[seen] - out[seen]
        out[step] = np.clip(out[step - 1] + sensor.gain_speed * error, 0.4, MAX_GAIN)
    return out


class Noise:
    """Fresh noise for every picture by shifting one field: a sixth of the time of drawing it anew."""

    def __init__(self, shape: tuple[int, int], rng: np.random.Generator) -> None:
        self._shape, self._rng = shape, rng
        self._field = rng.standard_normal((2 * shape[0], 2 * shape[1]), dtype=np.float32)

    def next(self) -> Gain:
        """Standard normal noise, float32 (height, width)."""
        y, x = (int(self._rng.integers(n)) for n in self._shape)
        return self._field[y : y + self._shape[0], x : x + self._shape[1]]


def degrade(pictures: list[Grey], sensor: Sensor, rng: np.random.Generator) -> list[Grey]:
    """The sequence as the camera delivers it, one picture a step, before frames are held: uint8, same shapes."""
    shape = (pictures[0].shape[0], pictures[0].shape[1])
    exposure, noise = Exposure(sensor, shape, len(pictures), rng), Noise(shape, rng)
    gain = gains(np.array([float(picture.mean()) for picture in pictures]), sensor)
    clock = Stamp(sensor.stamp, shape, rng)
    out: list[Grey] = []
    before: Gain | None = None
    for step, picture in enumerate(pictures):
        levels = np.minimum(np.arange(256) / 255 * gain[step], 1.3)
        curve = (255 * levels**sensor.gamma).astype(np.float32)
        light = (curve[picture] * exposure.at(step) - sensor.mean_level) * np.float32(sensor.contrast)
        light = light + np.float32(sensor.mean_level + sensor.lift)
        if sensor.blur:
            light = np.asarray(cv2.GaussianBlur(light, (0, 0), sensor.blur), np.float32)
        spread = np.float32(sensor.noise) + np.float32(sensor.shot) * np.sqrt(np.clip(light, 0, 255) / np.float32(128))
        light = light + spread * noise.next()
        fresh = light.copy() if sensor.interlace else light
        if before is not None:
            if sensor.ghost:
                light = light * np.float32(1 - sensor.ghost) + before * np.float32(sensor.ghost)
            if sensor.interlace:
                light[1::2] = before[1::2]
        before = np.asarray(fresh if sensor.interlace else light, np.float32)
        shown = clock.write(np.clip(light, 0, 255).astype(np.uint8), step)
        out.append(_compress(shown, sensor.jpeg))
    return through_h264(out, sensor.crf, int(rng.integers(10, 61))) if sensor.crf else out


class Stamp:
    """The time as many cameras write it into a corner, white with a dark rim or on a dark bar."""

    def __init__(self, corner: int, shape: tuple[int, int], rng: np.random.Generator) -> None:
        self._corner, self._shape = corner, shape
        self._start = dt.datetime(2020, 1, 1) + dt.timedelta(seconds=int(rng.integers(0, 5 * 365 * 86400)))
        self._scale, self._form = float(rng.uniform(0.5, 0.9)), str(rng.choice(["%Y-%m-%d %H:%M:%S", "%H:%M:%S"]))
        self._bar = bool(rng.random() < 0.4)

    def write(self, picture: Grey, step: int) -> Grey:
        """The picture with the time of this step on it; unchanged where the camera writes none."""
        if self._corner < 0:
            return picture
        text = (self._start + dt.timedelta(seconds=step // STEPS_PER_S)).strftime(self._form)
        (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_PLAIN, self._scale, 1)
        x = 4 if self._corner % 2 == 0 else self._shape[1] - w - 4
        y = h + 4 if self._corner < 2 else self._shape[0] - 5
        picture = np.ascontiguousarray(picture)
        if self._bar:
            cv2.rectangle(picture, (x - 2, y - h - 2), (x + w + 2, y + 3), 0, -1)
        else:
            cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_PLAIN, self._scale, 0, 3)
        cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_PLAIN, self._scale, 255, 1)
        return picture


def _compress(picture: Grey, quality: int) -> Grey:
    if not quality:
        return picture
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
