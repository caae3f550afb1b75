"""The bedroom of the demo film: every place and shade chosen, as an infrared camera shows them."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.aids import FRAME
from training.synth.builder import turned
from training.synth.room_model import RoomBuilder, Wall, walls_of
from training.synth.rooms import Item, Room
from training.synth.textures import Picture, grained, planks

ROOM: Final = Room(
    (2.05, 1.75), 2.6,
    (
        Item("bed", (0.98, 1.20), (1.03, 0.50), np.pi, 0.98, 0.50),
        Item("nightstand", (1.83, 0.40), (0.20, 0.22), np.pi, 0.58),
        Item("wardrobe", (-0.62, 1.44), (0.29, 0.46), -np.pi / 2, 1.95),
        Item("armchair", (1.48, -1.12), (0.40, 0.42), 2.5, 0.98, 0.44),
        Item("rug", (-0.35, 0.0), (0.55, 0.85), 0.15, 0.012),
    ),
)  # fmt: skip
FRAME_AT: Final = (1.76, -0.30, 2.9)
"""Where the walking frame waits, out of the sleeper's reach: x and y in m, heading in rad."""

CLOTH: Final = (0.46, 0.60, 0.36, 0.30, 0.30)
WOOD: Final = 0.42


class NightRoom(RoomBuilder):
    """A room in chosen greys instead of random ones: bed, walking frame, drawn curtains, a door, a call panel."""

    _cloths = -1

    def _tinted(self, light: NDArray[np.float32], shade: float, side: int) -> Picture:
        picture = np.clip(255 * light[..., None] * np.full(3, shade), 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)

    def soft(self) -> str:
        """The next cloth of the row."""
        self._cloths += 1
        return self.material(self._tinted(grained(self.rng, 0.06, 0.8), CLOTH[self._cloths % len(CLOTH)], 64))

    def hard(self) -> str:
        """Veneer, all of one kind."""
        return self.material(self._tinted(planks(self.rng), WOOD, 64))

    def grey(self, shade: float) -> str:
        """A plain material of that shade 0..1."""
        name = self.material(None)
        self.spec.material(name).rgba = [shade, shade, shade, 1.0]
        return name

    def shell(self) -> None:
        """Boards, ceiling, painted walls with skirting boards."""
        (hx, hy), h = self.room.half, self.room.height
        floor = self.material(self._tinted(planks(self.rng), 0.42, 256), (2, 2))
        self.surface([0, 0, 0], [hx, hy], [1, 0, 0, 0, 1, 0], floor)
        self.surface([0, 0, h], [hx, hy], [1, 0, 0, 0, -1, 0], self.grey(0.7))
        paint = self.material(self._tinted(grained(self.rng, 0.012, 6), 0.62, 256))
        board = self.grey(0.36)
        for wall in walls_of(self.room):
            self.surface(wall.place(0, h / 2), [wall.half, h / 2], wall.axes, paint)
            self.box(wall.place(0, 0.05), wall.slab(wall.half, 0.05, 0.012), board, solid=False)

    def clutter(self) -> None:
        """What hangs on the walls and stands about."""
        right, back, _, _ = walls_of(self.room)
        self._curtains(right, 0.45, 0.85)
        self._closed_door(back, -1.62)
        self._framed(back, 0.25, 1.72)
        self._framed(back, 0.75, 1.66)
        self.box(back.place(1.45, 1.32), back.slab(0.36, 0.05, 0.03), self.grey(0.74), solid=False)
        stand, white = self.room.item("nightstand"), self.grey(0.85)
        self.post(stand, (0.02, 0.08, stand.height + 0.055), (0.035, 0.055), white)
        self.part(stand, (0.02, -0.08, stand.height + 0.012), (0.07, 0.09, 0.012), self.grey(0.25))
        frame = self.spec.worldbody.add_body(name="frame", pos=[*FRAME_AT[:2], 0.0], quat=turned(FRAME_AT[2]))
        for shape in FRAME:
            shape.add(frame, (0.8, 0.8, 0.8))

    def _curtains(self, wall: Wall, x: float, half: float) -> None:
        """Two drawn curtains in folds under a rod."""
        for fold in np.linspace(-half, half, 18):
            depth, shade = 0.07 + 0.02 * np.sin(25 * fold), 0.46 + 0.07 * np.sin(25 * fold)
            hung = wall.place(x + float(fold), 1.28, float(depth))
            self.box(hung, wall.slab(half / 17, 1.02, 0.02), self.grey(float(shade)), solid=False)
        self.box(wall.place(x, 2.34, 0.09), wall.slab(half + 0.1, 0.018, 0.018), self.grey(0.25), solid=False)

    def _closed_door(self, wall: Wall, x: float) -> None:
        self.box(wall.place(x, 1.03), wall.slab(0.5, 1.05, 0.02), self.grey(0.72), solid=False)
        self.box(wall.place(x, 1.0), wall.slab(0.43, 1.0, 0.03), self.grey(0.5), solid=False)
        self.box(wall.place(x + 0.35, 1.02, 0.05), wall.slab(0.06, 0.015, 0.02), self.grey(0.85), solid=False)

    def _framed(self, wall: Wall, x: float, z: float) -> None:
        self.box(wall.place(x, z), wall.slab(0.19, 0.15, 0.015), self.grey(0.2), solid=False)
        self.box(wall.place(x, z, 0.01), wall.slab(0.16, 0.12, 0.012), self.grey(0.7), solid=False)
