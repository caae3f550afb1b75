"""Where a camera hangs in a room, what it looks at, and how it shakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.synth.motion import Xy
from training.synth.poses import Vector
from training.synth.rooms import Room

CLASSIC: Final = 4 / 3
WIDE: Final = 16 / 9


@dataclass(frozen=True)
class Camera:
    """Place in m, point looked at, horizontal field of view and roll in degrees, barrel distortion (0: none).

    ratio: width over height of the picture.
    """

    place: tuple[float, float, float]
    aim: tuple[float, float, float]
    fov_deg: float
    roll_deg: float
    barrel: float
    ratio: float = CLASSIC

    @property
    def fovy_deg(self) -> float:
        """Vertical field of view."""
        return float(np.degrees(2 * np.arctan(np.tan(np.radians(self.fov_deg) / 2) / self.ratio)))

    def axes(self, pan_deg: float = 0.0, tilt_deg: float = 0.0, roll_deg: float = 0.0) -> Vector:
        """Rotation camera -> world, (3, 3), columns right, up, backward (the OpenGL camera looks along -z).

        pan, tilt and roll turn the camera from its rest: right, up, clockwise picture.
        """
        back = np.array(self.place) - np.array(self.aim)
        back /= np.linalg.norm(back)
        right = np.cross([0.0, 0.0, 1.0], back)
        right /= np.linalg.norm(right)
        up = np.cross(back, right)
        pan, tilt = np.radians(pan_deg), np.radians(tilt_deg)
        right, back = np.cos(pan) * right + np.sin(pan) * back, np.cos(pan) * back - np.sin(pan) * right
        up, back = np.cos(tilt) * up + np.sin(tilt) * back, np.cos(tilt) * back - np.sin(tilt) * up
        roll = np.radians(self.roll_deg + roll_deg)
        c, s = np.cos(roll), np.sin(roll)
        return np.stack([c * right + s * up, -s * right + c * up, back], axis=1)

    def sees(self, points: Vector) -> NDArray[np.bool_]:
        """Which of the points (n, 3) fall inside the picture, furniture not considered."""
        local = (points - np.array(self.place)) @ self.axes()
        depth = np.maximum(-local[:, 2], 1e-6)
        half = np.tan(np.radians(self.fov_deg) / 2)
        inside = (np.abs(local[:, 0]) < half * depth) & (np.abs(local[:, 1]) < half / self.ratio * depth)
        return np.asarray(inside & (local[:, 2] < -0.1))


def sway(rng: np.random.Generator, steps: int) -> NDArray[np.float64] | None:
    """Pan, tilt and roll in degrees at each step, (steps, 3), or None for the 84 % of cameras that hang still.

    Vibration (a door, a washing machine), a knock that rings out, or a slow drift of a loose joint.
    """
    draw = rng.random()
    if draw < 0.84:
        return None
    weights = np.array([1.0, 1.0, 0.5])
    t = np.arange(steps)[:, None]
    if draw < 0.90:
        noise = rng.standard_normal((steps + 2, 3)) * rng.uniform(0.05, 0.5) * weights
        return np.asarray((noise[:-2] + noise[1:-1] + noise[2:]) / 1.7)
    if draw < 0.95:
        since = np.maximum(t - int(rng.integers(0, steps)), 0)
        swing = np.exp(-since / rng.uniform(2, 8)) * np.sin(since * rng.uniform(0.8, 2.5))
        return np.asarray(swing * rng.normal(0, 1.5, 3) * weights)
    return np.asarray(t / steps * rng.normal(0, 1.5, 3) * weights)


def _clear(room: Room, place: tuple[float, float, float]) -> bool:
    """No tall furniture right before the lens."""
    return all(item.distance(place[:2]) > 0.45 or item.height < place[2] - 0.35 for item in room.items)


def _hang(room: Room, rng: np.random.Generator) -> Xy:
    """A corner three times in five, else along a wall, rarely at the ceiling anywhere."""
    (hx, hy), inset, draw = room.half, float(rng.uniform(0.06, 0.3)), rng.random()
    x, y = float(rng.choice([-1, 1])) * (hx - inset), float(rng.choice([-1, 1])) * (hy - inset)
    if draw < 0.6:
        return x, y
    if draw < 0.77:
        return x, float(rng.uniform(-0.6, 0.6)) * hy
    if draw < 0.94:
        return float(rng.uniform(-0.6, 0.6)) * hx, y
    return float(rng.uniform(-0.8, 0.8)) * hx, float(rng.uniform(-0.8, 0.8)) * hy


def _height(room: Room, rng: np.random.Generator) -> float:
    """1.5 to 3 m, below the ceiling; one camera in ten stands lower, on a chest or a shelf."""
    low, high = (0.9, 1.5) if rng.random() < 0.1 else (1.5, 3.0)
    return float(min(rng.uniform(low, high), room.height - 0.1))


def _field_of_view(distance: float, aim: str, rng: np.random.Generator) -> float:
    """Degrees, so that a standing person fills a sixth of the picture's height or all of it, if the lens can.

    A share of cameras is simply wide, as wall units are; those that show a way in or out of the picture are narrow.
    """
    if aim in ("start", "end"):
        return float(rng.uniform(50, 68))
    if rng.random() < 0.3:
        return float(rng.uniform(70, 120))
    half_height = 1.7 / float(rng.uniform(0.16, 1.0)) / 2
    return float(np.clip(np.degrees(2 * np.arctan(CLASSIC * half_height / max(distance, 0.5))), 50, 120))


def _barrel(fov_deg: float, rng: np.random.Generator) -> float:
    """Distortion of the lens: three in ten mild, of the very wide ones half strong as a fisheye's middle."""
    if fov_deg > 90 and rng.random() < 0.5:
        return float(rng.uniform(0.2, 0.6))
    return float(rng.uniform(0.05, 0.25)) if rng.random() < 0.3 else 0.0


ON_A_STAND: Final = 0.12
"""Share of the cameras that stand right before somebody, on a table or a shelf, instead of hanging for the room. A
judgement: installers do it in small rooms, and most recordings of exercise are made so."""

STAYS_M: Final = 1.0
"""Whoever moves no farther than this, across the floor, stays before a camera on a stand."""


def _on_a_stand(room: Room, points: Vector, rng: np.random.Generator) -> Camera | None:
    """0.7-1.6 m high, 0.8-2.2 m before somebody who stays there, who is cut by the frame more often than not.

    None where the person moves about or nothing has room.
    """
    middle = points.mean(axis=0)
    if float(np.ptp(points[:, :2], axis=0).max()) > STAYS_M:
        return None
    for _ in range(20):
        way, far = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.8, 2.2))
        x, y = middle[0] + far * np.cos(way), middle[1] + far * np.sin(way)
        place = (float(x), float(y), float(rng.uniform(0.7, 1.6)))
        inside = abs(x) < room.half[0] - 0.1 and abs(y) < room.half[1] - 0.1
        if not inside or not _clear(room, place) or np.linalg.norm(points[:, :2] - (x, y), axis=1).min() < 0.5:
            continue
        height = float(rng.uniform(points[:, 2].min(), points[:, 2].max()))
        look = (float(middle[0] + rng.normal(0, 0.1)), float(middle[1] + rng.normal(0, 0.1)), height)
        fov = float(rng.uniform(50, 80))
        ratio = WIDE if rng.random() < 0.5 else CLASSIC
        return Camera(place, look, fov, float(np.clip(rng.normal(0, 2.0), -6, 6)), _barrel(fov, rng), ratio)
    return None


def place_camera(room: Room, points: Vector, aim: str, rng: np.random.Generator) -> Camera:
    """A camera 0.9-3 m high (on a stand from 0.7), 50-120 degrees wide, rolled by up to 6, that looks at the action.

    points: places of pelvis and head over the filmed time, (n, 3). aim: actor, start, end, near or room.
    Raises LookupError when no corner has a free view.
    """
    if aim == "actor" and rng.random() < ON_A_STAND:
        stand = _on_a_stand(room, points, rng)
        if stand:
            return stand
    first, last = points[0], points[-1]
    target = {"start": first, "end": last, "room": np.array([0.0, 0.0, 0.7])}.get(aim, points.mean(axis=0))
    # Most cameras are hung for the bed or the whole room, not for where something happens: people are often cut.
    spread = float(rng.choice([0.25, 0.25, 0.6]))
    for _ in range(40):
        x, y = _hang(room, rng)
        place = (x, y, _height(room, rng))
        distance = np.linalg.norm(points[:, :2] - np.array([x, y]), axis=1)
        if not _clear(room, place):
            continue
        steep = place[2] > 2.2 and rng.random() < 0.3
        if (aim == "near" and not 0.5 < distance.min() < 1.5) or (
            aim != "near" and distance.min() < (0.6 if steep else 1.2)
        ):
            continue
        off = rng.normal(0, spread, 3) * np.array([1, 1, 0.6])
        look = np.array([target[0], target[1], 0.75]) + off
        far = float(np.hypot(look[0] - x, look[1] - y))
        if far < (0.3 if steep else 0.5):
            continue
        fov = _field_of_view(float(np.hypot(far, place[2] - look[2])), aim, rng)
        return Camera(
            place, (float(look[0]), float(look[1]), float(look[2])), fov,
            float(np.clip(rng.normal(0, 2.0), -6, 6)), _barrel(fov, rng), WIDE if rng.random() < 0.35 else CLASSIC,
        )  # fmt: skip
    raise LookupError("no corner of the room sees the action")
