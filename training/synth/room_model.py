"""A room plan as MuJoCo geoms: floor, walls with windows, doors, pictures, rails, the furniture, clutter, a curtain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

from training.synth.builder import Builder, Decor
from training.synth.furniture import furnish
from training.synth.rooms import Room
from training.synth.textures import floor_picture, room_photo, wall_picture

__all__ = ["Decor", "RoomBuilder"]


@dataclass(frozen=True)
class WallDecor:
    """How many things hang on the walls of a kind of room: upper bounds, and the chance of a handrail along a wall."""

    doors: int
    pictures: int
    radiators: int
    rail: float


WALL_DECOR: Final = {
    "bedroom": WallDecor(2, 4, 1, 0.15),
    "day_room": WallDecor(2, 6, 2, 0.1),
    "corridor": WallDecor(6, 4, 1, 0.7),
    "bathroom": WallDecor(1, 1, 1, 0.5),
    "kitchen": WallDecor(2, 3, 1, 0.05),
}
CLUTTER: Final = {"bedroom": 7, "day_room": 7, "corridor": 3, "bathroom": 3, "kitchen": 5}
"""At most so many things lie about."""


@dataclass(frozen=True)
class Wall:
    """One wall: the middle of its foot, its direction to the right as seen from inside, its half length in m."""

    foot: tuple[float, float]
    along: tuple[float, float]
    half: float

    def place(self, x: float, z: float, off: float = 0.0) -> list[float]:
        """A place on the wall: x to the right of its middle, z up, `off` into the room."""
        inward = (self.along[1], -self.along[0])
        return [
            self.foot[0] + self.along[0] * x + inward[0] * off,
            self.foot[1] + self.along[1] * x + inward[1] * off,
            z,
        ]

    @property
    def axes(self) -> list[float]:
        """x along the wall and y up, so that a plane shows its picture to the room."""
        return [*self.along, 0, 0, 0, 1]

    def slab(self, half_width: float, half_height: float, thick: float) -> list[float]:
        """Half sizes of a box against the wall."""
        return [max(abs(self.along[0]) * half_width, thick), max(abs(self.along[1]) * half_width, thick), half_height]


def walls_of(room: Room) -> tuple[Wall, ...]:
    """The four walls, in the order that Room.window counts them."""
    hx, hy = room.half
    return (
        Wall((hx, 0), (0, -1), hy), Wall((0, hy), (1, 0), hx), Wall((-hx, 0), (0, 1), hy), Wall((0, -hy), (-1, 0), hx)
    )  # fmt: skip


class RoomBuilder(Builder):
    """Adds one room to a model specification."""

    def build(self) -> None:
        """Floor, ceiling, walls, furniture, clutter."""
        self.shell()
        for item in self.room.items:
            furnish(self, item)
        self.clutter()
        if self.decor.curtain:
            self.curtain()

    def shell(self) -> None:
        """Floor, ceiling and walls with what hangs on them."""
        rng, (hx, hy), h = self.rng, self.room.half, self.room.height
        repeat, tiled = float(rng.uniform(1, 3)), self.room.kind == "bathroom"
        floor = self.material(floor_picture(self.decor.data, rng, tiled), (repeat * hx / 2, repeat * hy / 2))
        self.spec.material(floor).reflectance = self.decor.shine
        self.surface([0, 0, 0], [hx, hy], [1, 0, 0, 0, 1, 0], floor)
        self.surface([0, 0, h], [hx, hy], [1, 0, 0, 0, -1, 0], self.shade(0.5, 0.95))
        same = self.material(wall_picture(self.decor.data, rng, False, tiled))
        photos = self.decor.photo_walls and not tiled
        for index, wall in enumerate(walls_of(self.room)):
            backdrop = photos and rng.random() < 0.75
            paper = self.material(wall_picture(self.decor.data, rng, True)) if backdrop else same
            self.surface(wall.place(0, h / 2), [wall.half, h / 2], wall.axes, paper)
            if not backdrop:
                self._dress_wall(wall, index == self.room.window)

    def _dress_wall(self, wall: Wall, window: bool) -> None:
        """Window, skirting board, doors, pictures, radiators, handrail."""
        rng, decor = self.rng, WALL_DECOR[self.room.kind]
        if window:
            self._window(wall)
        self.box(wall.place(0, 0.05), wall.slab(wall.half, 0.05, 0.012), self.shade(0.1, 0.95), solid=False)
        for _ in range(int(rng.integers(0, decor.doors + 1)) // 2):
            self._door(wall)
        for _ in range(int(rng.integers(0, decor.pictures + 1)) // 2):
            self._picture(wall)
        if rng.random() < 0.2 * decor.radiators:
            self._radiator(wall)
        if rng.random() < decor.rail:
            self._rail(wall)

    def _spot(self, wall: Wall, half: float) -> float:
        """A random place along a wall for something of that half width."""
        return float(self.rng.uniform(-1, 1)) * max(0.0, wall.half - half - 0.05)

    def _window(self, wall: Wall) -> None:
        """A frame around a bright or dark pane or a view, half the time between hanging curtains."""
        rng = self.rng
        w, z = float(rng.uniform(0.4, max(0.45, min(1.1, 0.8 * wall.half)))), float(rng.uniform(1.4, 1.6))
        x = self._spot(wall, w + 0.06)
        frame = self.shade(0.2, 0.98)
        self.box(wall.place(x, z), wall.slab(w + 0.06, 0.61, 0.015), frame, solid=False)
        view = room_photo(self.decor.data, rng) if rng.random() < 0.5 else None
        pane = self.material(view, glow=float(rng.uniform(0.0, 0.9)))
        self.surface(wall.place(x, z, 0.02), [w, 0.55], wall.axes, pane, solid=False)
        self.box(wall.place(x, z), wall.slab(0.025, 0.55, 0.03), frame, solid=False)
        if rng.random() < 0.5:
            cloth = self.soft()
            for side in (-1, 1):
                hung = wall.place(x + side * (w + 0.1), z - 0.2, 0.05)
                self.box(hung, wall.slab(0.18, 0.95, 0.03), cloth, solid=False)

    def _door(self, wall: Wall) -> None:
        """A closed door with its frame and handle."""
        x = self._spot(wall, 0.5)
        self.box(wall.place(x, 1.03), wall.slab(0.5, 1.05, 0.02), self.shade(0.2, 0.95), solid=False)
        leaf = self.hard() if self.rng.random() < 0.5 else self.shade(0.15, 0.95)
        self.box(wall.place(x, 1.0), wall.slab(0.43, 1.0, 0.03), leaf, solid=False)
        side = float(self.rng.choice([-1, 1]))
        handle = wall.place(x + side * 0.36, 1.02, 0.05)
        self.box(handle, wall.slab(0.06, 0.015, 0.02), self.shade(0.2, 0.8), solid=False)

    def _picture(self, wall: Wall) -> None:
        """A frame with a photograph or a plain poster."""
        rng = self.rng
        w, h = float(rng.uniform(0.12, 0.5)), float(rng.uniform(0.12, 0.4))
        x, z = self._spot(wall, w), float(rng.uniform(1.3, 1.9))
        self.box(wall.place(x, z), wall.slab(w + 0.03, h + 0.03, 0.012), self.shade(0.03, 0.9), solid=False)
        shown = room_photo(self.decor.data, rng) if rng.random() < 0.6 else None
        self.surface(wall.place(x, z, 0.016), [w, h], wall.axes, self.material(shown), solid=False)

    def _radiator(self, wall: Wall) -> None:
        w = float(self.rng.uniform(0.3, 0.7))
        x, white = self._spot(wall, w), self.shade(0.6, 0.98)
        for rib in np.linspace(-w, w, 9):
            self.box(wall.place(x + float(rib), 0.45, 0.04), wall.slab(0.03, 0.28, 0.04), white, solid=False)

    def _rail(self, wall: Wall) -> None:
        """A handrail; in a corridor along the whole wall, else a short one."""
        whole = self.room.kind == "corridor"
        w = wall.half - 0.1 if whole else float(self.rng.uniform(0.25, 0.5))
        x = 0.0 if whole else self._spot(wall, w)
        z = float(self.rng.uniform(0.8, 0.95))
        self.box(wall.place(x, z, 0.06), wall.slab(w, 0.025, 0.02), self.hard(), solid=False)

    def clutter(self) -> None:
        """Small things on the floor along the walls: boxes, bags, balls, shoes, a basket."""
        rng, walls = self.rng, walls_of(self.room)
        for _ in range(int(rng.integers(0, CLUTTER[self.room.kind] + 1))):
            wall = walls[int(rng.integers(4))]
            size = [float(v) for v in rng.uniform(0.05, 0.2, 3)]
            place = wall.place(self._spot(wall, 0.2), size[2], float(rng.uniform(0.1, 0.35)))
            if rng.random() < 0.6:
                self.box(place, size, self.material(None), float(rng.uniform(0, 3)), solid=False)
            else:
                self._round(place, size)

    def _round(self, place: Sequence[float], size: Sequence[float]) -> None:
        self.spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=list(place), size=list(size), material=self.material(None),
            contype=0, conaffinity=0,
        )  # fmt: skip

    def curtain(self) -> None:
        """Slats that hang beside a wall and swing as one mocap body."""
        body: Any = self.spec.worldbody.add_body(name="curtain", mocap=True)
        (hx, hy), cloth = self.room.half, self.soft()
        y = float(self.rng.choice([-1, 1])) * (hy - 0.08)
        x0 = float(self.rng.uniform(-0.7, 0.2) * hx)
        for index in range(8):
            geom = body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.045, 0.7, 0], material=cloth, contype=0, conaffinity=0
            )
            geom.pos = [x0 + 0.08 * index, y + 0.03 * (index % 2), 1.25]
