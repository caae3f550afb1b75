"""A room as a plan: walls, furniture with footprints, and the places where somebody can sit, lie, stand or walk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    """Half sizes of the floor and the height in m; furniture; `window` names the wall that has one (-1: none).

    kind is a key of ROOM_KINDS.
    """

    half: Xy
    height: float
    items: tuple[Item, ...] = ()
    window: int = -1
    kind: str = "bedroom"
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


_Range = tuple[float, float]

_SIZES: Final[dict[str, tuple[_Range, _Range, _Range, _Range]]] = {
    # kind: half depth, half width, height, seat height (ranges in m; typical catalogue sizes)
    "bed": ((0.98, 1.05), (0.45, 0.75), (0.75, 1.1), (0.42, 0.62)),
    "sofa": ((0.40, 0.46), (0.65, 1.05), (0.72, 0.95), (0.36, 0.48)),
    "armchair": ((0.38, 0.44), (0.38, 0.46), (0.8, 1.1), (0.38, 0.50)),
    "chair": ((0.21, 0.24), (0.20, 0.24), (0.82, 1.0), (0.42, 0.50)),
    "wheelchair": ((0.24, 0.24), (0.25, 0.25), (0.95, 0.95), (0.465, 0.465)),
    "toilet": ((0.33, 0.36), (0.18, 0.20), (0.78, 0.85), (0.42, 0.50)),
    "table": ((0.35, 0.5), (0.4, 0.8), (0.68, 0.78), (0, 0)),
    "wardrobe": ((0.27, 0.33), (0.4, 0.9), (1.6, 2.1), (0, 0)),
    "chest": ((0.2, 0.28), (0.25, 0.6), (0.45, 1.0), (0, 0)),
    "nightstand": ((0.18, 0.22), (0.2, 0.26), (0.5, 0.68), (0, 0)),
    "stool": ((0.16, 0.2), (0.16, 0.2), (0.42, 0.55), (0, 0)),
    "shelf": ((0.14, 0.2), (0.3, 0.6), (0.9, 2.0), (0, 0)),
    "tv": ((0.18, 0.24), (0.45, 0.75), (1.0, 1.2), (0, 0)),
    "counter": ((0.29, 0.31), (0.6, 1.2), (0.88, 0.94), (0, 0)),
    "fridge": ((0.29, 0.33), (0.27, 0.33), (1.3, 1.9), (0, 0)),
    "basin": ((0.2, 0.25), (0.24, 0.32), (0.82, 0.9), (0, 0)),
    "bath": ((0.35, 0.4), (0.75, 0.85), (0.5, 0.6), (0, 0)),
    "shower": ((0.4, 0.45), (0.4, 0.5), (1.9, 2.0), (0, 0)),
    "plant": ((0.14, 0.2), (0.14, 0.2), (0.7, 1.5), (0, 0)),
    "lamp": ((0.14, 0.18), (0.14, 0.18), (1.3, 1.7), (0, 0)),
    "rug": ((0.5, 1.0), (0.7, 1.4), (0.012, 0.016), (0, 0)),
}
_FREE_STANDING: Final = ("chair", "table", "rug", "armchair", "stool", "wheelchair")


@dataclass(frozen=True)
class RoomKind:
    """How often a kind of room comes, its half sizes in m, what it always has, and what it may have with which chance.

    holds: furniture it can take beyond that when a story needs it.
    """

    share: float
    half_x: _Range
    half_y: _Range
    always: tuple[str, ...]
    extras: tuple[tuple[str, float], ...]
    holds: tuple[str, ...] = ()

    def takes(self, needs: tuple[str, ...]) -> bool:
        """Whether a story that needs this furniture can play here."""
        usual = {*self.always, *self.holds, *(kind for kind, _ in self.extras)}
        return usual.issuperset(needs)


ROOM_KINDS: Final[dict[str, RoomKind]] = {
    "bedroom": RoomKind(
        0.36, (1.7, 2.9), (1.6, 2.5), ("bed",),
        (("nightstand", 0.7), ("wardrobe", 0.5), ("chest", 0.35), ("armchair", 0.35), ("chair", 0.45), ("tv", 0.3),
         ("table", 0.2), ("bed", 0.15), ("rug", 0.25), ("lamp", 0.25), ("plant", 0.15), ("shelf", 0.2)),
        ("sofa", "stool", "wheelchair"),
    ),
    "day_room": RoomKind(
        0.30, (1.9, 3.5), (1.7, 2.9), (),
        (("armchair", 0.7), ("armchair", 0.45), ("armchair", 0.3), ("sofa", 0.5), ("chair", 0.6), ("chair", 0.5),
         ("table", 0.6), ("tv", 0.6), ("shelf", 0.4), ("chest", 0.3), ("rug", 0.35), ("plant", 0.4), ("lamp", 0.3)),
        ("wheelchair",),
    ),
    "corridor": RoomKind(
        0.12, (2.4, 4.4), (0.85, 1.3), (), (("chair", 0.3), ("chest", 0.25), ("plant", 0.25), ("armchair", 0.12)),
        ("wheelchair",),
    ),
    "bathroom": RoomKind(
        0.11, (1.25, 1.8), (1.15, 1.7), ("toilet", "basin"),
        (("bath", 0.4), ("shower", 0.45), ("chest", 0.2), ("stool", 0.3), ("chair", 0.2), ("rug", 0.2)),
    ),
    "kitchen": RoomKind(
        0.11, (1.6, 2.6), (1.5, 2.3), ("counter",),
        (("fridge", 0.7), ("table", 0.6), ("chair", 0.7), ("chair", 0.6), ("counter", 0.4), ("stool", 0.2),
         ("shelf", 0.25), ("rug", 0.1)),
    ),
}  # fmt: skip


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
        if kind in _FREE_STANDING and room.kind != "corridor" and rng.random() < 0.6:
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


def _draw_kind(needs: tuple[str, ...], rng: np.random.Generator) -> str:
    """A kind of room by its share, among those that take what is needed; a day room takes anything."""
    names = [name for name, kind in ROOM_KINDS.items() if kind.takes(needs)] or ["day_room"]
    shares = np.array([ROOM_KINDS[name].share for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]


def plan_room(needs: tuple[str, ...], rng: np.random.Generator) -> Room:
    """A random room that holds everything in `needs` and some more. Raises LookupError when it does not fit."""
    name = _draw_kind(needs, rng)
    kind = ROOM_KINDS[name]
    half = (float(rng.uniform(*kind.half_x)), float(rng.uniform(*kind.half_y)))
    room = Room(half, float(rng.uniform(2.4, 3.2)), window=int(rng.integers(-1, 4)), kind=name)
    missing = [wanted for wanted in kind.always if wanted not in needs]
    extras = [wanted for wanted, chance in kind.extras if rng.random() < chance]
    rng.shuffle(extras)
    for place, wanted in enumerate((*needs, *missing, *extras)):
        item = _place_item(room, wanted, rng)
        if item is None and place < len(needs):
            raise LookupError(f"no place for a {wanted}")
        if item is not None:
            room = replace(room, items=(*room.items, item))
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
