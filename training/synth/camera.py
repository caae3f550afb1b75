"""Where a camera hangs in a room and what it looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synth.poses import Vector
from training.synth.rooms import Room

RATIO = 4 / 3


@dataclass(frozen=True)
class Camera:
    """Place in m, point looked at, horizontal field of view and roll in degrees, barrel distortion (0: none)."""

    place: tuple[float, float, float]
    aim: tuple[float, float, float]
    fov_deg: float
    roll_deg: float
    barrel: float

    @property
    def fovy_deg(self) -> float:
        """Vertical field of view of the 4:3 picture."""
        return float(np.degrees(2 * np.arctan(np.tan(np.radians(self.fov_deg) / 2) / RATIO)))

    def axes(self) -> Vector:
        """Rotation camera -> world, (3, 3), columns right, up, backward (the OpenGL camera looks along -z)."""
        back = np.array(self.place) - np.array(self.aim)
        back /= np.linalg.norm(back)
        right = np.cross([0.0, 0.0, 1.0], back)
        right /= np.linalg.norm(right)
        up = np.cross(back, right)
        c, s = np.cos(np.radians(self.roll_deg)), np.sin(np.radians(self.roll_deg))
        return np.stack([c * right + s * up, -s * right + c * up, back], axis=1)

    def sees(self, points: Vector) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Which of the points (n, 3) fall inside the picture, furniture not considered."""
        local = (points - np.array(self.place)) @ self.axes()
        depth = np.maximum(-local[:, 2], 1e-6)
        half = np.tan(np.radians(self.fov_deg) / 2)
        inside = (np.abs(local[:, 0]) < half * depth) & (np.abs(local[:, 1]) < half / RATIO * depth)
        return np.asarray(inside & (local[:, 2] < -0.1))


def _clear(room: Room, place: tuple[float, float, float]) -> bool:
    """No tall furniture right before the lens."""
    return all(item.distance(place[:2]) > 0.45 or item.height < place[2] - 0.35 for item in room.items)


def _corner(room: Room, rng: np.random.Generator) -> tuple[float, float]:
    """A corner two times in three, else somewhere along a wall."""
    (hx, hy), inset = room.half, float(rng.uniform(0.06, 0.3))
    x, y = float(rng.choice([-1, 1])) * (hx - inset), float(rng.choice([-1, 1])) * (hy - inset)
    if rng.random() < 0.33:
        return (
            (x, float(rng.uniform(-0.6, 0.6) * hy)) if rng.random() < 0.5 else (float(rng.uniform(-0.6, 0.6) * hx), y)
        )
    return x, y


def _field_of_view(distance: float, aim: str, rng: np.random.Generator) -> float:
    """Degrees, so that a standing person fills a quarter to nine tenths of the picture's height if the lens can.

    A share of cameras is simply wide, as wall units are; those that show a way in or out of the picture are narrow.
    """
    if aim in ("start", "end"):
        return float(rng.uniform(50, 68))
    if rng.random() < 0.3:
        return float(rng.uniform(70, 110))
    half_height = 1.7 / float(rng.uniform(0.25, 0.9)) / 2
    return float(np.clip(np.degrees(2 * np.arctan(RATIO * half_height / max(distance, 0.5))), 50, 110))


def place_camera(room: Room, points: Vector, aim: str, rng: np.random.Generator) -> Camera:
    """A camera 1.4-3 m high, 50-110 degrees wide, rolled by up to 5 degrees, that looks at the action.

    points: places of pelvis and head over the filmed time, (n, 3). aim: actor, start, end, near or room.
    Raises LookupError when no corner has a free view.
    """
    first, last = points[0], points[-1]
    target = {"start": first, "end": last, "room": np.array([0.0, 0.0, 0.7])}.get(aim, points.mean(axis=0))
    for _ in range(40):
        x, y = _corner(room, rng)
        place = (x, y, float(min(rng.uniform(1.4, 3.0), room.height - 0.1)))
        distance = np.linalg.norm(points[:, :2] - np.array([x, y]), axis=1)
        if not _clear(room, place):
            continue
        if (aim == "near" and not 0.5 < distance.min() < 1.5) or (aim != "near" and distance.min() < 1.2):
            continue
        off = rng.normal(0, 0.3, 3) * np.array([1, 1, 0.6])
        look = np.array([target[0], target[1], 0.75]) + off
        far = float(np.hypot(look[0] - x, look[1] - y))
        if far < 0.5:
            continue
        fov = _field_of_view(float(np.hypot(far, place[2] - look[2])), aim, rng)
        barrel = float(rng.uniform(0.05, 0.25)) if rng.random() < 0.3 else 0.0
        return Camera(
            place, (float(look[0]), float(look[1]), float(look[2])), fov,
            float(np.clip(rng.normal(0, 1.8), -5, 5)), barrel,
        )  # fmt: skip
    raise LookupError("no corner of the room sees the action")
