"""Geoms and materials of a room: textured surfaces, boxes, rounded things. All looks come from one generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mujoco
import numpy as np

from training.synth.gltf import Shape
from training.synth.people import BODY_BIT, ROOM_BIT
from training.synth.rooms import Item, Room
from training.synth.textures import Picture, furniture_picture

BOX: Final = mujoco.mjtGeom.mjGEOM_BOX
PLANE: Final = mujoco.mjtGeom.mjGEOM_PLANE
HIDDEN_GROUP: Final = 4
"""Geoms of this group touch bodies and are not drawn (MuJoCo draws groups 0 to 2)."""

Place = Sequence[float]


@dataclass(frozen=True)
class Decor:
    """How a room looks: where the CC0 data are, whether walls show photographs, whether a blanket lies on the bed.

    shine: share 0..1 of the light that the floor mirrors.
    """

    data: Path | None
    photo_walls: bool
    blanket: bool = False
    curtain: bool = False
    shine: float = 0.0


def turned(yaw: float) -> list[float]:
    """The quaternion of a turn about the vertical."""
    return [float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2))]


class Builder:
    """Adds materials and geoms to a model specification."""

    def __init__(self, spec: Any, room: Room, decor: Decor, rng: np.random.Generator) -> None:
        self.spec, self.room, self.decor, self.rng = spec, room, decor, rng
        self._count = 0

    def material(self, picture: Picture | None, repeat: tuple[float, float] = (1, 1), glow: float = 0.0) -> str:
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

    def shade(self, low: float, high: float) -> str:
        """A plain material of a lightness in that range: white enamel, black plastic."""
        name = self.material(None)
        self.spec.material(name).rgba = [*[float(self.rng.uniform(low, high))] * 3, 1.0]
        return name

    def soft(self) -> str:
        """Cloth."""
        return self.material(furniture_picture(self.decor.data, self.rng, True))

    def hard(self) -> str:
        """Wood."""
        return self.material(furniture_picture(self.decor.data, self.rng, False))

    def surface(self, place: Place, size: Place, axes: Place, material: str, solid: bool = True) -> None:
        """A rectangle with half sizes `size`; axes: its x and y in the room. It is seen from the side of x cross y."""
        x, y = np.array(axes[:3], float), np.array(axes[3:], float)
        turn = np.zeros(4)
        mujoco.mju_mat2Quat(turn, np.stack([x, y, np.cross(x, y)], axis=1).ravel())
        self.spec.worldbody.add_geom(
            type=PLANE, pos=list(place), size=[*size, 0.1], material=material, quat=turn,
            contype=ROOM_BIT if solid else 0, conaffinity=BODY_BIT if solid else 0,
        )  # fmt: skip

    def box(self, place: Place, size: Place, material: str, yaw: float = 0.0, solid: bool = True) -> None:
        """A box with half sizes `size`."""
        self.spec.worldbody.add_geom(
            type=BOX, pos=list(place), size=list(size), material=material, quat=turned(yaw),
            contype=ROOM_BIT if solid else 0, conaffinity=BODY_BIT if solid else 0, solref=[0.02, 1.0],
        )  # fmt: skip

    def part(self, item: Item, place: Place, size: Place, material: str) -> None:
        """A solid box in the item's own axes."""
        x, y = item.world(place[0], place[1])
        self.box([x, y, place[2]], [max(v, 0.004) for v in size], material, item.yaw)

    def bulge(self, item: Item, place: Place, size: Place, material: str) -> None:
        """An ellipsoid in the item's own axes that touches nobody: cushions, pillows, leaves."""
        x, y = item.world(place[0], place[1])
        self.spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_ELLIPSOID, pos=[x, y, place[2]], size=list(size), material=material,
            quat=turned(item.yaw), contype=0, conaffinity=0,
        )  # fmt: skip

    def post(self, item: Item, place: Place, size: tuple[float, float], material: str) -> None:
        """An upright cylinder in the item's own axes, radius and half height in `size`, that touches nobody."""
        x, y = item.world(place[0], place[1])
        self.spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER, pos=[x, y, place[2]], size=[*size, 0], material=material,
            contype=0, conaffinity=0,
        )  # fmt: skip

    def shape(self, item: Item, shape: Shape, height: float) -> None:
        """A modelled piece of furniture scaled to the item's footprint and `height`; touches nobody by itself."""
        self._count += 1
        name = f"shape{self._count}"
        scale = np.array([2 * item.half[0], 2 * item.half[1], height]) / shape.size
        mesh = self.spec.add_mesh(name=name)
        mesh.uservert, mesh.userface = (shape.vertices * scale).ravel(), shape.faces.ravel()
        mesh.usertexcoord = shape.texture_places.ravel()
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
        self.spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, pos=[*item.centre, 0], quat=turned(item.yaw),
            material=self.material(shape.picture), contype=0, conaffinity=0,
        )  # fmt: skip

    def hull(self, item: Item, height: float) -> None:
        """An undrawn solid box over the item's footprint: what a modelled piece of furniture is to a body."""
        self.spec.worldbody.add_geom(
            type=BOX, pos=[*item.centre, height / 2], size=[*item.half, height / 2], quat=turned(item.yaw),
            group=HIDDEN_GROUP, contype=ROOM_BIT, conaffinity=BODY_BIT, solref=[0.02, 1.0],
        )  # fmt: skip
