"""What a camera, a room and a lens do to a window, drawn once per window and the same for all its steps."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.preprocess import Raster, letterbox

Grey = NDArray[np.uint8]

KEPT_MOTION = 0.85
"""Share of a clip's motion a crop must keep: a person cut out of the picture would make the label a lie."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a clip's picture: where its content lies in the stored raster, where things move."""

    content: tuple[int, int, int, int]
    moved: NDArray[np.float32]


def moved(grey: Grey) -> NDArray[np.float32]:
    """Where a clip moves: float32 (height, width) summing to 1, from differences of half a second."""
    change = np.abs(grey[5:].astype(np.int16) - grey[:-5].astype(np.int16)) if len(grey) > 5 else np.zeros_like(grey)
    mass = np.where(change > 15, change, 0).sum(axis=0, dtype=np.float64)
    total = mass.sum()
    return np.asarray(mass / total if total > 0 else mass, np.float32)


@dataclass(frozen=True, slots=True)
class Augment:
    """Strengths and chances. Chances are per window; levels are grey levels of 255; sizes are shares of the picture."""

    mirror: float = 0.5
    stretch: float = 0.15
    zoom: float = 0.25
    shrink: float = 0.2
    wide: float = 0.35
    portrait: float = 0.08
    roll_deg: float = 4.0
    shake: float = 0.12
    gamma: float = 0.45
    contrast: float = 0.4
    brightness: float = 35.0
    invert: float = 0.04
    exposure: float = 0.12
    vignette: float = 0.25
    noise: float = 4.0
    blur: float = 0.25
    occlude: float = 0.3
    slow_camera: float = 0.15
    drops: float = 0.2
    speeds: tuple[float, float] = (0.7, 1.5)

    def speed(self, rng: np.random.Generator) -> float:
        """How fast time passes, log-uniform in `speeds` for half the windows, else 1."""
        low, high = np.log(self.speeds)
        return float(np.exp(rng.uniform(low, high))) if rng.random() < 0.5 else 1.0

    def held(self, order: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Pictures held as a slow camera (5 a second) or a busy one (random drops) holds them."""
        index = np.arange(len(order))
        if rng.random() < self.slow_camera:
            index = np.maximum(0, index - (index + int(rng.integers(2))) % 2)
        if rng.random() < self.drops:
            fresh = rng.random(len(order)) >= rng.uniform(0.05, 0.25)
            fresh[0] = True
            index = index[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]
        return order[index]

    def __call__(self, grey: Grey, look: Look, raster: Raster, rng: np.random.Generator) -> Grey:
        """uint8 (steps, h, w) as stored -> uint8 (steps, raster height, raster width)."""
        return self.with_people(grey, None, look, raster, rng)[0]

    def with_people(
        self, grey: Grey, people: Grey | None, look: Look, raster: Raster, rng: np.random.Generator
    ) -> tuple[Grey, Grey | None]:
        """The same for the picture and for where its people are: uint8 (steps, h, w), 255 on a person, 0 elsewhere.

        People go through the same crop, turn, shake and boxes as the picture; light and noise leave them alone.
        """
        crop = self._crop(look, rng)
        target = self._target(crop[2] / crop[3], raster, rng)
        picture, people = self._geometry((grey, people), crop, target, rng)
        if rng.random() < self.occlude:
            self._occlude(picture, people, rng)
        picture = self._light(picture, rng)
        return _placed(picture, target, raster), None if people is None else _placed(people, target, raster)

    def _crop(self, look: Look, rng: np.random.Generator) -> tuple[float, float, float, float]:
        """Left, top, width, height in stored pixels: a part of the content that keeps what moves."""
        left, top, width, height = look.content
        for _ in range(4):
            aspect = width / height
            kind = rng.random()
            if kind < self.wide:
                aspect = 16 / 9
            elif kind < self.wide + self.portrait:
                aspect = 9 / 16
            w, h = min(width, height * aspect), min(height, width / aspect)
            zoom = 1 - rng.uniform(0, self.zoom)
            w, h = w * zoom, h * zoom
            x, y = left + rng.uniform(0, width - w), top + rng.uniform(0, height - h)
            kept = look.moved[int(y) : int(np.ceil(y + h)), int(x) : int(np.ceil(x + w))].sum()
            if kept >= KEPT_MOTION or look.moved.sum() == 0:
                return x, y, w, h
        return left, top, width, height

    def _target(self, aspect: float, raster: Raster, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Where the crop lands: as the unit would letterbox a camera of about that shape."""
        stretched = aspect * np.exp(rng.uniform(-self.stretch, self.stretch))
        return letterbox(round(1000 * stretched), 1000, raster)

    def _geometry(
        self,
        pictures: tuple[Grey, Grey | None],
        crop: tuple[float, ...],
        target: tuple[int, ...],
        rng: np.random.Generator,
    ) -> tuple[Grey, Grey | None]:
        grey, people = pictures
        x, y, w, h = crop
        _, _, width, height = target
        shrink = 1 - rng.uniform(0, self.shrink) if rng.random() < 0.4 else 1.0
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, self.roll_deg / 2), shrink)
        scale = np.array([[width / w, 0, -x * width / w], [0, height / h, -y * height / h], [0, 0, 1]])
        if rng.random() < self.mirror:
            scale[0] = np.array([0, 0, width - 1.0]) - scale[0]
        matrix = matrix @ scale
        shake = np.zeros((len(grey), 2))
        if rng.random() < self.shake:
            shake = _smooth(rng.normal(0, rng.uniform(0.3, 1.5), (len(grey), 2)))
        matrices = np.repeat(matrix[None], len(grey), axis=0)
        matrices[:, :, 2] += shake
        warped = _warped(grey, matrices, (width, height), cv2.BORDER_REPLICATE)
        return warped, None if people is None else _warped(people, matrices, (width, height), cv2.BORDER_CONSTANT)

    def _light(self, picture: Grey, rng: np.random.Generator) -> Grey:
        """Gamma, contrast, brightness, inversion, vignette, exposure changes, blur and noise."""
        steps, height, width = picture.shape
        level = np.arange(256) / 255
        curve = level ** np.exp(rng.uniform(-self.gamma, self.gamma))
        curve = (curve - 0.5) * (1 + rng.uniform(-self.contrast, self.contrast)) + 0.5
        if rng.random() < self.invert:
            curve = 1 - curve
        curve = (curve * 255 + rng.uniform(-self.brightness, self.brightness)).astype(np.float32)
        out = curve[picture]
        if rng.random() < self.vignette:
            out *= _vignette(height, width, rng)
        if rng.random() < self.exposure:
            out *= _exposure(steps, rng)[:, None, None]
        if rng.random() < self.blur:
            sigma = float(rng.uniform(0.3, 0.9))
            out = np.stack([cv2.GaussianBlur(one, (0, 0), sigma) for one in out])
        sigma = rng.uniform(0, self.noise) * (rng.random() < 0.7)
        if sigma > 0.2:
            # One field of noise, shifted by a random amount each step: a sixth of the time of fresh noise.
            field = rng.normal(0, sigma, (2 * height, 2 * width)).astype(np.float32)
            for step, (dy, dx) in enumerate(rng.integers((height, width), size=(steps, 2))):
                out[step] += field[dy : dy + height, dx : dx + width]
        return np.asarray(np.clip(out + 0.5, 0, 255), np.uint8)

    def _occlude(self, picture: Grey, people: Grey | None, rng: np.random.Generator) -> None:
        """Up to three still boxes in front of everything, in place; mostly at the lower edge, as furniture is."""
        _, height, width = picture.shape
        for _ in range(int(rng.integers(1, 4))):
            w, h = int(width * rng.uniform(0.05, 0.25)) + 1, int(height * rng.uniform(0.05, 0.3)) + 1
            x = int(rng.integers(width - w + 1))
            y = height - h if rng.random() < 0.5 else int(rng.integers(height - h + 1))
            near, far = rng.uniform(0, 255, 2)
            shade = np.linspace(near, far, w)[None, :] + rng.normal(0, 4, (h, w))
            picture[:, y : y + h, x : x + w] = np.clip(shade, 0, 255).astype(np.uint8)
            if people is not None:
                people[:, y : y + h, x : x + w] = 0


def _warped(pictures: Grey, matrices: NDArray[np.float64], size: tuple[int, int], border: int) -> Grey:
    """Each picture by its own 2 x 3 matrix: uint8 (steps, h, w) -> uint8 (steps, *size[::-1])."""
    out = np.empty((len(pictures), size[1], size[0]), np.uint8)
    for step, (picture, matrix) in enumerate(zip(pictures, matrices, strict=True)):
        cv2.warpAffine(picture, matrix, size, dst=out[step], borderMode=border)
    return out


def _placed(pictures: Grey, target: tuple[int, ...], raster: Raster) -> Grey:
    """Laid into an otherwise black raster."""
    x, y, w, h = target
    out = np.zeros((len(pictures), raster.height, raster.width), np.uint8)
    out[:, y : y + h, x : x + w] = pictures
    return out


def _smooth(walk: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = np.array([0.25, 0.5, 0.25])
    return np.stack([np.convolve(axis, kernel, mode="same") for axis in walk.T], axis=1)


def _vignette(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Darker corners, or light from one side."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle, side, round_ = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35), rng.uniform(0, 0.3)
    shade = 1 + side * (np.cos(angle) * x + np.sin(angle) * y) - round_ * (x**2 + y**2)
    return np.asarray(shade, np.float32)


def _exposure(steps: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light that changes: a switch at one moment, or a slow drift of the camera's gain."""
    gain = float(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.5:
        change = np.where(np.arange(steps) < rng.integers(1, steps), 1.0, gain)
    else:
        change = np.linspace(1.0, gain, steps)
    return np.asarray(change, np.float32)
