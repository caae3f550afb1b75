"""A room as a plan: walls, furniture with footprints, and the places where somebody can sit, lie, stand or walk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from training.synth.motion import Xy


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of furniture: half sizes along its own axes (x is its front), heading, height, all in m.

    seat_m is the height of what one sits or lies on, 0 for none. A bed's front is its foot end.
    """

    kind: str
    centre: Xy
    half: Xy
    yaw: float
    height: float
    seat_m: float = 0.0

    def local(self, xy: Xy) -> Xy:
        """A room place in the item's own axes."""
        dx, dy = xy[0] - self.centre[0], xy[1] - self.centre[1]
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return float(c * dx + s * dy), float(-s * dx + c * dy)

    def world(self, x: float, y: float) -> Xy:
        """A place in the item's own axes in the room."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return float(self.centre[0] + c * x - s * y), float(self.centre[1] + s * x + c * y)

    def distance(self, xy: Xy) -> float:
        """How far a place is outside the footprint in m; 0 inside."""
        x, y = self.local(xy)
        return float(np.hypot(max(0.0, abs(x) - self.half[0]), max(0.0, abs(y) - self.half[1])))


@dataclass(frozen=True)
class Room:
    """Half sizes of the floor and the height in m; furniture; `window` names the wall that has one (-1: none)."""

    half: Xy
    height: float
    items: tuple[Item, ...] = ()
    window: int = -1
    seats: tuple[Item, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seats", tuple(item for item in self.items if item.seat_m > 0))

    def item(self, kind: str) -> Item:
        """The first item of a kind. Raises KeyError when the room has none."""
        for item in self.items:
            if item.kind == kind:
                return item
        raise KeyError(f"the room has no {kind}")

    def free(self, xy: Xy, margin: float = 0.35) -> bool:
        """Whether a body of radius `margin` has room there."""
        inside = abs(xy[0]) <= self.half[0] - margin and abs(xy[1]) <= self.half[1] - margin
        return inside and all(item.distance(xy) >= margin for item in self.items if item.kind != "rug")

    def clear_way(self, a: Xy, b: Xy, margin: float = 0.28) -> bool:
        """Whether one can walk straight from a to b."""
        count = max(2, int(np.hypot(b[0] - a[0], b[1] - a[1]) / 0.15))
        shares = np.linspace(0, 1, count)
        return all(self.free((a[0] + s * (b[0] - a[0]), a[1] + s * (b[1] - a[1])), margin) for s in shares)


_SIZES: Final[dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]]] = {
    # kind: half depth, half width, height, seat height (ranges in m; typical catalogue sizes)
    "bed": ((0.98, 1.05), (0.45, 0.75), (0.75, 1.1), (0.42, 0.62)),
    "sofa": ((0.40, 0.46), (0.65, 1.05), (0.72, 0.95), (0.36, 0.48)),
    "armchair": ((0.38, 0.44), (0.38, 0.46), (0.8, 1.1), (0.38, 0.50)),
    "chair": ((0.21, 0.24), (0.20, 0.24), (0.82, 1.0), (0.42, 0.50)),
    "table": ((0.35, 0.5), (0.4, 0.8), (0.68, 0.78), (0, 0)),
    "wardrobe": ((0.27, 0.33), (0.4, 0.9), (1.6, 2.1), (0, 0)),
    "chest": ((0.2, 0.28), (0.25, 0.6), (0.45, 1.0), (0, 0)),
    "shelf": ((0.14, 0.2), (0.3, 0.6), (0.9, 2.0), (0, 0)),
    "tv": ((0.18, 0.24), (0.45, 0.75), (1.0, 1.2), (0, 0)),
    "rug": ((0.5, 1.0), (0.7, 1.4), (0.012, 0.016), (0, 0)),
}
_FREE_STANDING: Final = ("chair", "table", "rug", "armchair")


def _wall_place(room: Room, half: Xy, rng: np.random.Generator) -> tuple[Xy, float]:
    """A place with the back to a random wall: centre and heading."""
    wall = int(rng.integers(4))
    yaw = (np.pi, -np.pi / 2, 0.0, np.pi / 2)[wall]
    along_x = wall in (1, 3)
    reach = (room.half[0] if along_x else room.half[1]) - half[1] - 0.05
    offset = float(rng.uniform(-reach, reach)) if reach > 0 else 0.0
    depth = (room.half[1] if along_x else room.half[0]) - half[0] - 0.03
    sign = (1, 1, -1, -1)[wall]
    return ((offset, sign * depth) if along_x else (sign * depth, offset)), float(yaw)


def _place_item(room: Room, kind: str, rng: np.random.Generator) -> Item | None:
    """A random item of a kind that touches nothing, or None when 30 tries found no place."""
    depth, width, height, seat = _SIZES[kind]
    for _ in range(30):
        half = (float(rng.uniform(*depth)), float(rng.uniform(*width)))
        if kind in _FREE_STANDING and rng.random() < 0.6:
            centre = (float(rng.uniform(-0.6, 0.6) * room.half[0]), float(rng.uniform(-0.6, 0.6) * room.half[1]))
            yaw = float(rng.uniform(-np.pi, np.pi))
        else:
            centre, yaw = _wall_place(room, half, rng)
        item = Item(kind, centre, half, yaw, float(rng.uniform(*height)), float(rng.uniform(*seat)))
        if kind == "rug" or all(_apart(item, other) for other in room.items if other.kind != "rug"):
            return item
    return None


def _apart(a: Item, b: Item, gap: float = 0.12) -> bool:
    """No point of a's outline lies within `gap` of b, nor the reverse."""
    for one, other in ((a, b), (b, a)):
        for x in np.linspace(-one.half[0], one.half[0], 5):
            for y in np.linspace(-one.half[1], one.half[1], 5):
                if other.distance(one.world(float(x), float(y))) < gap:
                    return False
    return True


def plan_room(needs: tuple[str, ...], rng: np.random.Generator) -> Room:
    """A random room that holds everything in `needs` and some more. Raises LookupError when it does not fit."""
    room = Room(
        (float(rng.uniform(1.7, 3.3)), float(rng.uniform(1.6, 2.8))),
        float(rng.uniform(2.4, 3.2)),
        window=int(rng.integers(-1, 4)),
    )
    extras = [str(kind) for kind in rng.permutation(list(_SIZES)) if kind not in needs][: int(rng.integers(0, 5))]
    for kind in (*needs, *extras):
        item = _place_item(room, kind, rng)
        if item is None:
            if kind in needs:
                raise LookupError(f"no place for a {kind}")
            continue
        room = Room(room.half, room.height, (*room.items, item), room.window)
    return room


def free_spot(room: Room, rng: np.random.Generator, margin: float = 0.45) -> Xy:
    """A random free place to stand. Raises LookupError when the room is full."""
    for _ in range(60):
        xy = (float(rng.uniform(-1, 1) * room.half[0]), float(rng.uniform(-1, 1) * room.half[1]))
        if room.free(xy, margin):
            return xy
    raise LookupError("no free place in the room")


def way_to(room: Room, goal: Xy, rng: np.random.Generator, length: tuple[float, float] = (1.0, 6.0)) -> list[Xy]:
    """A straight or once bent way of that length to a goal. Raises LookupError when there is none."""
    for _ in range(80):
        start = free_spot(room, rng, 0.4)
        distance = float(np.hypot(goal[0] - start[0], goal[1] - start[1]))
        if not length[0] <= distance <= length[1]:
            continue
        if room.clear_way(start, goal):
            return [start, goal]
        bend = free_spot(room, rng, 0.4)
        if room.clear_way(start, bend) and room.clear_way(bend, goal):
            return [start, bend, goal]
    raise LookupError("no way through the furniture")
