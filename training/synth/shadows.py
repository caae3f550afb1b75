"""Where the shadow of a body part falls: the cheap half of shadows, a dark patch for a part on floor or wall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synth.poses import Vector

LIFT_M = 0.016
"""Patches lie this far before the surface, over rugs."""


@dataclass(frozen=True)
class Patch:
    """A flat ellipse: its middle, its axes as columns (along the slant, across, normal), half lengths in m.

    way_m: how far behind the part it lies; a shadow is softer the farther it falls.
    """

    place: Vector
    axes: Vector
    half: tuple[float, float]
    way_m: float


def cast(part: Vector, ray: Vector, half: tuple[float, float]) -> Patch | None:
    """The shadow of a small ball at `part` along the unit vector `ray` on the floor or the nearest wall of the room.

    half: half sizes of the floor. None when the ray leaves through the ceiling.
    """
    surfaces = [(part[2] / -ray[2], np.array([0.0, 0.0, 1.0]))] if ray[2] < -1e-6 else []
    for axis in (0, 1):
        if abs(ray[axis]) > 1e-6:
            side = float(np.sign(ray[axis]))
            surfaces.append(((side * half[axis] - part[axis]) / ray[axis], -side * np.eye(3)[axis]))
    ahead = [(way, normal) for way, normal in surfaces if way >= 0]
    if not ahead:
        return None
    way, normal = min(ahead, key=lambda surface: surface[0])
    across_m = 0.09 + 0.05 * way
    facing = abs(float(ray @ normal))
    along = ray - float(ray @ normal) * normal
    length = float(np.linalg.norm(along))
    first = along / length if length > 1e-3 else np.roll(normal, 1)
    axes = np.stack([first, np.cross(normal, first), normal], axis=1)
    return Patch(part + way * ray + LIFT_M * normal, axes, (across_m / max(facing, 0.35), across_m), float(way))
