"""A room plan as MuJoCo geoms: textured walls, boxes with seats, legs, cushions, a window, clutter, a curtain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mujoco
import numpy as np

from training.synth.people import BODY_BIT, ROOM_BIT
from training.synth.rooms import Item, Room
from training.synth.textures import Picture, floor_picture, furniture_picture, wall_picture

BOX: Final = mujoco.mjtGeom.mjGEOM_BOX
PLANE: Final = mujoco.mjtGeom.mjGEOM_PLANE


@dataclass(frozen=True)
class Decor:
    """How a room looks: where the photographs are, whether walls show them, whether a blanket lies on the bed."""

    data: Path | None
    photo_walls: bool
    blanket: bool = False
    curtain: bool = False


class RoomBuilder:
    """Adds one room to a model specification; all looks come from the generator it is given."""

    def __init__(self, spec: Any, room: Room, decor: Decor, rng: np.random.Generator) -> None:
        self.spec, self.room, self.decor, self.rng = spec, room, decor, rng
        self._count = 0

    def build(self) -> None:
        """Floor, ceiling, walls, furniture, clutter."""
        self._shell()
        for item in self.room.items:
            _PARTS[item.kind](self, item)
        self._clutter()
        if self.decor.curtain:
            self._curtain()

    def _material(self, picture: Picture | None, repeat: tuple[float, float] = (1, 1), glow: float = 0.0) -> str:
        """A material from a picture (cube for square 64 px pictures, flat otherwise) or a plain random colour."""
        self._count += 1
        name = f"room{self._count}"
        material = self.spec.add_material(
            name=name, specular=float(self.rng.uniform(0, 0.25)), shininess=0.3, emission=glow
        )
        if picture is None:
            value = self.rng.uniform(0.08, 0.95)
            material.rgba = [*np.clip(value * (1 + self.rng.normal(0, 0.15, 3)), 0.02, 1), 1.0]
            return name
        cube = picture.shape[0] == picture.shape[1] == 64
        kind = mujoco.mjtTexture.mjTEXTURE_CUBE if cube else mujoco.mjtTexture.mjTEXTURE_2D
        height = picture.shape[0] * (6 if cube else 1)
        texture = self.spec.add_texture(name=name, type=kind, width=picture.shape[1], height=height, nchannel=3)
        texture.data = (np.tile(picture, (6, 1, 1)) if cube else picture).tobytes()
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
        material.texrepeat = list(repeat)
        return name

    def _surface(self, place: list[float], size: list[float], axes: list[float], material: str) -> None:
        x, y = np.array(axes[:3], float), np.array(axes[3:], float)
        turn = np.zeros(4)
        mujoco.mju_mat2Quat(turn, np.stack([x, y, np.cross(x, y)], axis=1).ravel())
        self.spec.worldbody.add_geom(
            type=PLANE,
            pos=place,
            size=[*size, 0.1],
            material=material,
            contype=ROOM_BIT,
            conaffinity=BODY_BIT,
            quat=turn,
        )

    def _shell(self) -> None:
        rng, (hx, hy), h = self.rng, self.room.half, self.room.height
        repeat = float(rng.uniform(1, 3))
        floor = self._material(floor_picture(self.decor.data, rng), (repeat * hx / 2, repeat * hy / 2))
        self._surface([0, 0, 0], [hx, hy], [1, 0, 0, 0, 1, 0], floor)
        self._surface([0, 0, h], [hx, hy], [1, 0, 0, 0, -1, 0], self._material(None))
        same = wall_picture(self.decor.data, rng, False)
        walls = (([hx, 0], [0, -1, 0]), ([0, hy], [1, 0, 0]), ([-hx, 0], [0, 1, 0]), ([0, -hy], [-1, 0, 0]))
        for index, ((x, y), along) in enumerate(walls):
            picture = wall_picture(self.decor.data, rng, True) if self.decor.photo_walls else same
            half = hy if x else hx
            # MuJoCo planes show their texture on the side of the normal: x along the wall, y up.
            self._surface([x, y, h / 2], [half, h / 2], [*along, 0, 0, 1], self._material(picture))
            if index == self.room.window and not self.decor.photo_walls:
                self._window([x, y], along, half)

    def _window(self, foot: Sequence[float], along: Sequence[float], half: float) -> None:
        rng = self.rng
        w, z = float(rng.uniform(0.4, min(1.0, 0.8 * half))), float(rng.uniform(1.4, 1.6))
        shift = float(rng.uniform(-1, 1) * (half - w) * 0.8)
        place = [foot[0] + along[0] * shift, foot[1] + along[1] * shift, z]
        size = [max(abs(along[0]) * w, 0.02), max(abs(along[1]) * w, 0.02), 0.55]
        frame = [max(abs(along[0]) * (w + 0.06), 0.015), max(abs(along[1]) * (w + 0.06), 0.015), 0.61]
        self._geom(place, frame, self._material(None), solid=False)
        self._geom(place, size, self._material(None, glow=float(rng.uniform(0.0, 0.9))), solid=False)

    def _geom(self, place: list[float], size: list[float], material: str, yaw: float = 0.0, solid: bool = True) -> None:
        self.spec.worldbody.add_geom(
            type=BOX, pos=place, size=size, material=material, quat=[np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)],
            contype=ROOM_BIT if solid else 0, conaffinity=BODY_BIT if solid else 0, solref=[0.02, 1.0],
        )  # fmt: skip

    def _part(
        self, item: Item, place: tuple[float, float, float], size: tuple[float, float, float], material: str
    ) -> None:
        """A box in the item's own axes."""
        x, y = item.world(place[0], place[1])
        self._geom([x, y, place[2]], [max(v, 0.004) for v in size], material, item.yaw)

    def _soft(self) -> str:
        return self._material(furniture_picture(self.decor.data, self.rng, True))

    def _hard(self) -> str:
        return self._material(furniture_picture(self.decor.data, self.rng, False))

    def bed(self, item: Item) -> None:
        """Frame, mattress, headboard, pillow, and a blanket that may lie flat or over the sleeper."""
        (hx, hy), top = item.half, item.seat_m
        wood, sheet, cover = self._hard(), self._material(None), self._soft()
        self._part(item, (0, 0, (top - 0.18) / 2 + 0.04), (hx, hy, (top - 0.18) / 2 - 0.04), wood)
        self._part(item, (0, 0, top - 0.09), (hx - 0.02, hy - 0.02, 0.09), sheet)
        self._part(item, (-hx, 0, item.height / 2), (0.03, hy, item.height / 2), wood)
        pillow = self.spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, size=[0.2, min(0.35, 0.8 * hy), 0.08], material=sheet, contype=0,
            conaffinity=0, quat=[np.cos(item.yaw / 2), 0, 0, np.sin(item.yaw / 2)],
        )  # fmt: skip
        pillow.pos = [*item.world(-hx + 0.28, 0), top + 0.03]
        if self.decor.blanket:
            mound = self.spec.worldbody.add_geom(
                type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, size=[0.75, hy + 0.05, 0.27], material=cover, contype=0,
                conaffinity=0, quat=[np.cos(item.yaw / 2), 0, 0, np.sin(item.yaw / 2)],
            )  # fmt: skip
            mound.pos = [*item.world(0.32, 0), top]
        elif self.rng.random() < 0.5:
            self._part(item, (0.35 * hx, 0, top + 0.005), (0.62 * hx, hy + 0.01, 0.012), cover)

    def sofa(self, item: Item) -> None:
        """Base, back, arms, seat cushions."""
        (hx, hy), seat, cloth = item.half, item.seat_m, self._soft()
        cushion = cloth if self.rng.random() < 0.6 else self._soft()
        self._part(item, (0, 0, seat / 2 - 0.05), (hx, hy, seat / 2 - 0.05), cloth)
        self._part(item, (-hx + 0.11, 0, item.height / 2), (0.11, hy, item.height / 2), cloth)
        for side in (-1, 1):
            self._part(item, (0, side * (hy - 0.08), seat / 2 + 0.1), (hx, 0.08, seat / 2 + 0.1), cloth)
            self._part(item, (0.08, side * (hy - 0.16) / 2, seat - 0.06), (hx - 0.1, (hy - 0.18) / 2, 0.06), cushion)

    def chair(self, item: Item) -> None:
        """Seat, back, four legs."""
        (hx, hy), seat, wood = item.half, item.seat_m, self._hard()
        self._part(item, (0, 0, seat - 0.025), (hx, hy, 0.025), self._soft() if self.rng.random() < 0.4 else wood)
        self._part(item, (-hx + 0.015, 0, (item.height + seat) / 2), (0.015, hy, (item.height - seat) / 2), wood)
        self._legs(item, seat - 0.05, wood)

    def table(self, item: Item) -> None:
        """Top and four legs."""
        wood = self._hard()
        self._part(item, (0, 0, item.height - 0.02), (item.half[0], item.half[1], 0.02), wood)
        self._legs(item, item.height - 0.04, wood)

    def _legs(self, item: Item, height: float, wood: str) -> None:
        for sx in (-1, 1):
            for sy in (-1, 1):
                place = (sx * (item.half[0] - 0.025), sy * (item.half[1] - 0.025), height / 2)
                self._part(item, place, (0.022, 0.022, height / 2), wood)

    def cupboard(self, item: Item) -> None:
        """A closed box with a door line and handles."""
        (hx, hy), h, wood = item.half, item.height, self._hard()
        self._part(item, (0, 0, h / 2), (hx, hy, h / 2), wood)
        self._part(item, (hx, 0, h / 2), (0.006, 0.01, h / 2 - 0.05), self._material(None))
        for side in (-1, 1):
            self._part(item, (hx, side * 0.07, 0.55 * h), (0.015, 0.01, 0.05), self._material(None))

    def shelf(self, item: Item) -> None:
        """An open shelf with a few things on its boards."""
        (hx, hy), h, wood = item.half, item.height, self._hard()
        self._part(item, (-hx + 0.01, 0, h / 2), (0.01, hy, h / 2), wood)
        for side in (-1, 1):
            self._part(item, (0, side * hy, h / 2), (hx, 0.012, h / 2), wood)
        for z in np.arange(0.05, h, 0.38):
            self._part(item, (0, 0, float(z)), (hx, hy, 0.012), wood)
            w = float(self.rng.uniform(0.1, 0.8) * hy)
            self._part(item, (0, (hy - w) * 0.8, float(z) + 0.12), (hx * 0.7, w, 0.11), self._material(None))

    def tv(self, item: Item) -> None:
        """A low board with a screen on it."""
        (hx, hy), h = item.half, item.height
        self._part(item, (0, 0, 0.25), (hx, hy, 0.25), self._hard())
        self._part(item, (0, 0, (h + 0.55) / 2), (0.02, hy * 0.85, (h - 0.55) / 2), self._material(None))

    def rug(self, item: Item) -> None:
        """A flat cloth on the floor; nobody trips over its edge by contact."""
        self._geom(
            [*item.centre, item.height / 2],
            [item.half[0], item.half[1], item.height / 2],
            self._soft(),
            item.yaw,
            solid=False,
        )

    def _clutter(self) -> None:
        """Small things on the floor along the walls and on the walls."""
        rng, (hx, hy) = self.rng, self.room.half
        for _ in range(int(rng.integers(0, 5))):
            size = [float(v) for v in rng.uniform(0.06, 0.2, 3)]
            x, y = float(rng.uniform(-hx, hx)), float(rng.choice([-1, 1]) * (hy - 0.2))
            self._geom([x, y, size[2]], size, self._material(None), float(rng.uniform(0, 3)), solid=False)
        if not self.decor.photo_walls:
            for _ in range(int(rng.integers(0, 4))):
                x, z = float(rng.uniform(-hx, hx)), float(rng.uniform(1.2, 1.9))
                size = [float(rng.uniform(0.1, 0.4)), 0.012, float(rng.uniform(0.1, 0.35))]
                self._geom([x, float(rng.choice([-1, 1])) * hy, z], size, self._material(None), solid=False)

    def _curtain(self) -> None:
        """Slats that hang beside a wall and swing as one mocap body."""
        body = self.spec.worldbody.add_body(name="curtain", mocap=True)
        (hx, hy), cloth = self.room.half, self._soft()
        y = float(self.rng.choice([-1, 1])) * (hy - 0.08)
        x0 = float(self.rng.uniform(-0.7, 0.2) * hx)
        for index in range(8):
            geom = body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[0.045, 0.7, 0], material=cloth, contype=0, conaffinity=0
            )
            geom.pos = [x0 + 0.08 * index, y + 0.03 * (index % 2), 1.25]


_PARTS: Final[dict[str, Callable[[RoomBuilder, Item], None]]] = {
    "bed": RoomBuilder.bed,
    "sofa": RoomBuilder.sofa,
    "armchair": RoomBuilder.sofa,
    "chair": RoomBuilder.chair,
    "table": RoomBuilder.table,
    "wardrobe": RoomBuilder.cupboard,
    "chest": RoomBuilder.cupboard,
    "shelf": RoomBuilder.shelf,
    "tv": RoomBuilder.tv,
    "rug": RoomBuilder.rug,
}
