"""The blanket of the demo film: one cloth that lies over whoever is below it, and is thrown back to the wall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray

from training.synth.poses import Vector
from training.synth.rooms import Item

BLANKET: Final = "blanket"
ROWS: Final = 44
"""Vertices along the bed, from the foot end."""
COLUMNS: Final = 56
"""Vertices across it, from the near side to the wall."""
TAUT_ROUNDS: Final = 10
"""Cloth hangs between what holds it up: so often its height is the mean around, or what is below if that is more."""
CLEAR_M: Final = 0.06
"""How far cloth keeps from the solid body: skin and nightgown lie between."""
LIES_M: Final = 0.02
HANGS_M: Final = 0.24
"""How far the cloth hangs over the near edge."""
LENGTH: Final = 0.64
"""Share of the bed's length that the cloth covers while somebody sleeps under it."""
FALLS_M_S: Final = 0.5
"""How fast cloth that nobody holds up any more sinks."""


def _smooth(share: float) -> float:
    s = min(1.0, max(0.0, share))
    return s * s * (3 - 2 * s)


def add_blanket(spec: Any, material: str) -> None:
    """A skin of ROWS x COLUMNS vertices on a body that never moves; `Cloth` writes its vertices."""
    spec.worldbody.add_body(name=BLANKET)
    skin = spec.add_skin(name=BLANKET, material=material)
    corner = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    a, b, c, d = (part.ravel() for part in (corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]))
    skin.face = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).ravel().tolist()
    skin.vert = np.zeros(3 * ROWS * COLUMNS).tolist()
    v, u = np.meshgrid(np.linspace(0, 1, COLUMNS), np.linspace(0, 1, ROWS))
    skin.texcoord = np.stack([u, v], axis=-1).ravel().tolist()
    skin.bodyname, skin.bindpos, skin.bindquat = [BLANKET], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    skin.vertid, skin.vertweight = [list(range(ROWS * COLUMNS))], [[1.0] * (ROWS * COLUMNS)]


@dataclass
class Cloth:
    """Lays the blanket of a model over the person `prefix` on a bed, picture by picture.

    thrown_s: from and to in seconds when it is thrown back.
    """

    model: Any
    prefix: str
    bed: Item
    thrown_s: tuple[float, float]
    _height: NDArray[np.float32] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        model = self.model
        skin = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SKIN, BLANKET)
        start = int(model.skin_vertadr[skin])
        self._vertices = model.skin_vert[start : start + ROWS * COLUMNS]
        names = [model.body(int(model.geom_bodyid[geom])).name for geom in range(model.ngeom)]
        below = ("pelvis", "chest", "thigh", "shin", "foot")
        self._below = [geom for geom, name in enumerate(names) if name.startswith(self.prefix) and name.endswith(below)]
        self._data = mujoco.MjData(model)

    def _balls(self, qpos: Vector) -> Vector:
        """The body as balls, (n, 4): middle in the bed's own axes (x to the foot, y, z) and radius, m."""
        model, data = self.model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        rows = []
        for geom in self._below:
            size, axis = model.geom_size[geom], data.geom_xmat[geom].reshape(3, 3)[:, 2]
            half = size[1] if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
            for share in np.linspace(-1, 1, 7):
                place = data.geom_xpos[geom] + share * half * axis
                rows.append((*self.bed.local((place[0], place[1])), place[2], size[0]))
        return np.array(rows)

    def _surface(self, x: Vector, y: Vector, balls: Vector) -> NDArray[np.float32]:
        """Height of cloth at places of the bed, float32 (ROWS, COLUMNS) in m: over the balls, spanning the gaps."""
        top = np.full(x.shape, self.bed.seat_m + LIES_M)
        for bx, by, bz, radius in balls:
            left = (radius + CLEAR_M) ** 2 - (x - bx) ** 2 - (y - by) ** 2
            np.maximum(top, np.where(left > 0, bz + 0.02 + np.sqrt(np.maximum(left, 0)), 0), out=top)
        top = np.minimum(top, self.bed.seat_m + 0.34).astype(np.float32)
        taut = top
        for _ in range(TAUT_ROUNDS):
            taut = np.maximum(top, cv2.GaussianBlur(taut, (0, 0), 2.0))
        return np.asarray(cv2.GaussianBlur(taut, (0, 0), 1.2), np.float32)

    def _spread(self, thrown: float) -> tuple[Vector, Vector, Vector, Vector]:
        """Of each vertex: x and y in the bed's axes, how far over the near edge it hangs, how high its fold is, m."""
        (hx, hy) = self.bed.half
        v, u = np.meshgrid(np.linspace(0, 1, COLUMNS), np.linspace(0, 1, ROWS))
        # Measured from the wall, where thrown back cloth is gathered in folds.
        across = (1 - v) * (2 * hy + HANGS_M) * (1 - 0.62 * thrown * (0.75 + 0.25 * u))
        over = np.maximum(0.0, across - (2 * hy - 0.05))
        wave = 0.5 * (1 + np.sin(15 * v + 2 * u + 1.2 * np.sin(6 * u)))
        fold = (0.006 + thrown * (0.04 + 0.10 * np.sin(np.pi * v) ** 2)) * wave * (1 - np.minimum(1, over / 0.05))
        y = -hy + 0.03 + np.minimum(across, 2 * hy - 0.03)
        y += 0.025 * np.minimum(1.0, over / 0.06) + 0.012 * wave * (over > 0)
        return hx - 0.03 - u * LENGTH * 2 * hx * (1 - 0.25 * thrown), y, over, fold

    def lay(self, qpos: Vector, t: float, step_s: float) -> None:
        """Put the cloth where it is at t seconds, step_s after the last picture."""
        begins, ends = self.thrown_s
        x, y, over, fold = self._spread(_smooth((t - begins) / (ends - begins)))
        height = self._surface(x, y, self._balls(qpos)) + fold.astype(np.float32)
        if self._height is not None:
            height = np.maximum(height, self._height - np.float32(FALLS_M_S * step_s))
        self._height = np.asarray(height, np.float32)
        z = np.maximum(self._height - over, 0.08)
        c, s = np.cos(self.bed.yaw), np.sin(self.bed.yaw)
        place = np.stack([self.bed.centre[0] + c * x - s * y, self.bed.centre[1] + s * x + c * y, z], axis=-1)
        self._vertices[:] = place.reshape(-1, 3)
