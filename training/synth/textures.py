"""Pictures for walls, floors and cloth: CC0 photographs where the data folder has them, procedural ones otherwise."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

SIDE: Final = 256
"""Textures are square and small: the camera raster is 256 x 192, more would only alias."""


TILEABLE: Final = ("rosewood_veneer", "wood_table_worn")
"""Plain pictures of wood; the others are atlases of one piece of furniture and look like rubble on a floor."""


@lru_cache(maxsize=4)
def _listed(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(p for p in folder.glob("*") if p.suffix in (".jpg", ".png"))) if folder.is_dir() else ()


class DataFileError(ValueError):
    """A file of the data folder that is there and cannot be read; the message names it and says what to do."""


@lru_cache(maxsize=320)
def _photo(path: Path, width: int, height: int) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise DataFileError(f"{path} is not a picture that OpenCV can read; remove it or fetch it again")
    shrunk = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(shrunk[..., ::-1])


def room_photo(data: Path | None, rng: np.random.Generator) -> Picture | None:
    """A photograph of a room for a wall, uint8 (192, 256, 3) RGB; None when the data folder has none."""
    paths = _listed(data / "rooms") if data else ()
    return _photo(paths[int(rng.integers(len(paths)))], SIDE, 192) if paths else None


def material_photo(data: Path | None, rng: np.random.Generator, names: tuple[str, ...] = ("",)) -> Picture | None:
    """A photograph of wood or cloth, uint8 (SIDE, SIDE, 3) RGB; None when the data folder has none.

    names: only pictures whose file name begins with one of these.
    """
    paths = [path for path in _listed(data / "textures") if path.name.startswith(names)] if data else []
    return _photo(paths[int(rng.integers(len(paths)))], SIDE, SIDE) if paths else None


def grained(rng: np.random.Generator, strength: float, smooth: float) -> NDArray[np.float32]:
    """Soft noise around 1, float32 (SIDE, SIDE)."""
    noise = rng.standard_normal((SIDE, SIDE), dtype=np.float32)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), smooth), np.float32)
    return np.asarray(1 + strength * noise / max(float(noise.std()), 1e-6), np.float32)


def _finish(light: NDArray[np.float32], colour: NDArray[np.float64]) -> Picture:
    return np.clip(255 * light[..., None] * colour, 0, 255).astype(np.uint8)


def planks(rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    width = int(rng.integers(20, 48))
    row = y // width
    tone = rng.uniform(0.8, 1.1, SIDE)[row] * rng.uniform(0.9, 1.05, 64)[(x + 37 * row) // 96]
    noise = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE), dtype=np.float32), (0, 0), sigmaX=12, sigmaY=0.8)
    light = tone + 0.6 * noise
    light[(y % width) < 2] *= 0.65
    return np.asarray(light, np.float32)


def _tiles(rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    side = int(rng.integers(28, 64))
    light = rng.uniform(0.9, 1.05, (16, 16))[(y // side) % 16, (x // side) % 16]
    light = np.where((y % side < 2) | (x % side < 2), rng.uniform(0.5, 0.9), light)
    return np.asarray(light * grained(rng, 0.03, 1.5), np.float32)


def _checker(rng: np.random.Generator) -> NDArray[np.float32]:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    side = int(rng.integers(24, 64))
    return np.asarray(
        np.where((y // side + x // side) % 2 == 0, 1.0, rng.uniform(0.4, 0.85)) * grained(rng, 0.03, 2), np.float32
    )


def _stripes(rng: np.random.Generator) -> NDArray[np.float32]:
    x = np.arange(SIDE)
    period = int(rng.integers(10, 50))
    light = np.where(x % period < period * rng.uniform(0.3, 0.7), 1.0, rng.uniform(0.7, 0.95))
    return np.asarray(np.broadcast_to(light, (SIDE, SIDE)) * grained(rng, 0.02, 2), np.float32)


def _plain(rng: np.random.Generator) -> NDArray[np.float32]:
    shade = np.linspace(1.0, rng.uniform(0.75, 1.0), SIDE, dtype=np.float32)[:, None]
    return np.asarray(shade * grained(rng, 0.03, rng.uniform(2, 20)), np.float32)


def _carpet(rng: np.random.Generator) -> NDArray[np.float32]:
    return np.asarray(grained(rng, 0.10, 0.8) * grained(rng, 0.06, 14), np.float32)


def _panels(rng: np.random.Generator) -> NDArray[np.float32]:
    """A wall with a lower panel, a rail, and perhaps two pictures, for rooms without photographs."""
    light = _plain(rng)
    rail = int(rng.uniform(0.5, 0.75) * SIDE)
    light[rail:] *= rng.uniform(0.6, 1.1)
    light[rail - 3 : rail + 3] *= 0.7
    for _ in range(int(rng.integers(0, 3))):
        x, y = int(rng.integers(10, SIDE - 70)), int(rng.integers(15, max(16, rail - 80)))
        w, h = int(rng.integers(20, 60)), int(rng.integers(20, 60))
        light[y : y + h, x : x + w] = rng.uniform(0.15, 0.5)
        light[y + 4 : y + h - 4, x + 4 : x + w - 4] = rng.uniform(0.3, 1.1)
    return light


FLOORS: Final = (planks, planks, _tiles, _checker, _carpet, _plain)
WALLS: Final = (_plain, _plain, _panels, _panels, _stripes, _tiles)
CLOTHS: Final = (_plain, _carpet, _stripes, _checker)


def _tint(rng: np.random.Generator, low: float, high: float) -> NDArray[np.float64]:
    value = rng.uniform(low, high)
    return np.asarray(np.clip(value * (1 + rng.normal(0, 0.12, 3)), 0.02, 1.0))


def floor_picture(data: Path | None, rng: np.random.Generator, tiled: bool = False) -> Picture:
    """A floor, uint8 RGB: planks, tiles, carpet, or a photograph of wood; tiles when `tiled`."""
    if tiled:
        return _finish((_tiles, _checker)[int(rng.integers(2))](rng), _tint(rng, 0.25, 0.9))
    photo = material_photo(data, rng, TILEABLE) if rng.random() < 0.2 else None
    return photo if photo is not None else _finish(FLOORS[int(rng.integers(len(FLOORS)))](rng), _tint(rng, 0.15, 0.85))


def wall_picture(data: Path | None, rng: np.random.Generator, photos: bool, tiled: bool = False) -> Picture:
    """A wall, uint8 RGB: a photograph of a room as backdrop when `photos`, else paint, paper, panels or tiles."""
    if tiled:
        return _finish(_tiles(rng), _tint(rng, 0.45, 0.98))
    photo = room_photo(data, rng) if photos else None
    return photo if photo is not None else _finish(WALLS[int(rng.integers(len(WALLS)))](rng), _tint(rng, 0.3, 0.95))


def furniture_picture(data: Path | None, rng: np.random.Generator, soft: bool) -> Picture:
    """Cloth for soft furniture, wood for hard, uint8 RGB, 64 px square."""
    photo = material_photo(data, rng) if rng.random() < 0.4 else None
    if photo is None:
        kinds = CLOTHS if soft else (planks, _plain)
        photo = _finish(kinds[int(rng.integers(len(kinds)))](rng), _tint(rng, 0.12, 0.9))
    return np.asarray(cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA), np.uint8)
