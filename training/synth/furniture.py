"""What each kind of furniture looks like: boxes, cushions, legs, and modelled pieces where the data folder has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from training.synth.aids import WHEELCHAIR
from training.synth.builder import Builder
from training.synth.gltf import read_shape
from training.synth.rooms import Item
from training.synth.textures import room_photo

SHAPES: Final[dict[str, tuple[str, ...]]] = {
    "wardrobe": ("painted_wooden_cabinet_02_1k",),
    "chest": ("painted_wooden_cabinet_1k",),
    "stool": ("painted_wooden_stool_1k",),
    "table": ("wooden_table_02_1k",),
}
"""Modelled pieces with at most 2,227 triangles. The sofa (8,004) and the bookshelf (10,106) are too dear."""
SHAPE_SHARE: Final = 0.5


def furnish(builder: Builder, item: Item) -> None:
    """Build one item, as a modelled piece now and then."""
    names, data = SHAPES.get(item.kind, ()), builder.decor.data
    if names and data and builder.rng.random() < SHAPE_SHARE:
        path = data / "furniture" / f"{names[int(builder.rng.integers(len(names)))]}.gltf"
        if path.exists():
            builder.shape(item, read_shape(path), item.height)
            builder.hull(item, item.height)
            return
    PARTS[item.kind](builder, item)


def bed(builder: Builder, item: Item) -> None:
    """Frame, mattress, headboard, perhaps a footboard or side rails, pillow, and a cover flat or over the sleeper."""
    (hx, hy), top, rng = item.half, item.seat_m, builder.rng
    wood, sheet, cover = builder.hard(), builder.shade(0.55, 0.95), builder.soft()
    if rng.random() < 0.5:
        builder.part(item, (0, 0, (top - 0.18) / 2 + 0.04), (hx, hy, (top - 0.18) / 2 - 0.04), wood)
    else:
        builder.part(item, (0, 0, top - 0.23), (hx, hy, 0.05), wood)
        _legs(builder, item, top - 0.28, wood)
    builder.part(item, (0, 0, top - 0.09), (hx - 0.02, hy - 0.02, 0.09), sheet)
    builder.part(item, (-hx, 0, item.height / 2), (0.03, hy, item.height / 2), wood)
    if rng.random() < 0.4:
        foot = float(rng.uniform(top + 0.05, top + 0.25))
        builder.part(item, (hx, 0, foot / 2), (0.025, hy, foot / 2), wood)
    builder.bulge(item, (-hx + 0.28, 0, top + 0.03), (0.2, min(0.35, 0.8 * hy), 0.08), sheet)
    if builder.decor.blanket:
        builder.bulge(item, (0.32, 0, top), (0.75, hy + 0.05, 0.27), cover)
    elif rng.random() < 0.6:
        share = float(rng.uniform(0.25, 0.62))
        builder.part(item, ((0.97 - share) * hx, 0, top + 0.005), (share * hx, hy + 0.01, 0.012), cover)


def sofa(builder: Builder, item: Item) -> None:
    """Base, back, arms, seat and back cushions, feet."""
    (hx, hy), seat, rng = item.half, item.seat_m, builder.rng
    cloth = builder.soft()
    cushion = cloth if rng.random() < 0.6 else builder.soft()
    foot = float(rng.choice([0.0, 0.08, 0.14]))
    builder.part(item, (0, 0, (seat + foot) / 2 - 0.05), (hx, hy, (seat - foot) / 2 - 0.05), cloth)
    builder.part(item, (-hx + 0.11, 0, (item.height + foot) / 2), (0.11, hy, (item.height - foot) / 2), cloth)
    arm = float(rng.uniform(0.14, 0.24))
    for side in (-1, 1):
        builder.part(item, (0, side * (hy - 0.08), (seat + foot + arm) / 2), (hx, 0.08, (seat - foot + arm) / 2), cloth)
        builder.part(item, (0.08, side * (hy - 0.16) / 2, seat - 0.06), (hx - 0.1, (hy - 0.18) / 2, 0.06), cushion)
        place = (-hx + 0.22, side * (hy - 0.16) / 2, (seat + item.height) / 2)
        builder.bulge(item, place, (0.07, (hy - 0.16) / 2, (item.height - seat) / 2), cushion)
    if foot:
        _legs(builder, item, foot, builder.hard())
    if rng.random() < 0.3:
        builder.bulge(item, (-0.05, 0.5 * hy, seat + 0.15), (0.1, 0.16, 0.16), builder.soft())


def chair(builder: Builder, item: Item) -> None:
    """Seat, closed or slatted back, four legs, sometimes arms."""
    (hx, hy), seat, rng, wood = item.half, item.seat_m, builder.rng, builder.hard()
    builder.part(item, (0, 0, seat - 0.025), (hx, hy, 0.025), builder.soft() if rng.random() < 0.4 else wood)
    middle, half = (item.height + seat) / 2, (item.height - seat) / 2
    if rng.random() < 0.5:
        builder.part(item, (-hx + 0.015, 0, middle), (0.015, hy, half), wood)
    else:
        builder.part(item, (-hx + 0.015, 0, item.height - 0.05), (0.015, hy, 0.05), wood)
        for y in np.linspace(-hy + 0.02, hy - 0.02, 4):
            builder.part(item, (-hx + 0.015, float(y), middle), (0.012, 0.014, half), wood)
    if rng.random() < 0.35:
        for side in (-1, 1):
            builder.part(item, (0, side * (hy - 0.02), seat + 0.2), (hx, 0.02, 0.015), wood)
            builder.part(item, (hx - 0.03, side * (hy - 0.02), seat + 0.1), (0.018, 0.018, 0.1), wood)
    _legs(builder, item, seat - 0.05, wood)


def table(builder: Builder, item: Item) -> None:
    """Top, four legs or one, sometimes a cloth that hangs down and hides them, things on it."""
    (hx, hy), h, rng, wood = item.half, item.height, builder.rng, builder.hard()
    builder.part(item, (0, 0, h - 0.02), (hx, hy, 0.02), wood)
    if rng.random() < 0.25:
        drop = float(rng.uniform(0.08, 0.3))
        builder.part(item, (0, 0, h - drop), (hx + 0.01, hy + 0.01, drop + 0.005), builder.soft())
    _legs(builder, item, h - 0.04, wood)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(-0.7, 0.7, 2) * item.half
        size = (float(rng.uniform(0.03, 0.06)), float(rng.uniform(0.04, 0.12)))
        builder.post(item, (float(x), float(y), h + size[1]), size, builder.material(None))


def _legs(builder: Builder, item: Item, height: float, wood: str) -> None:
    for sx in (-1, 1):
        for sy in (-1, 1):
            place = (sx * (item.half[0] - 0.025), sy * (item.half[1] - 0.025), height / 2)
            builder.part(item, place, (0.022, 0.022, height / 2), wood)


def stool(builder: Builder, item: Item) -> None:
    """A seat without a back."""
    wood = builder.hard()
    builder.part(item, (0, 0, item.height - 0.02), (*item.half, 0.02), wood)
    _legs(builder, item, item.height - 0.04, wood)


def cupboard(builder: Builder, item: Item) -> None:
    """A closed box with doors or drawers, handles, and something on its top where that is low."""
    (hx, hy), h, rng, wood = item.half, item.height, builder.rng, builder.hard()
    builder.part(item, (0, 0, h / 2), (hx, hy, h / 2), wood)
    dark = builder.shade(0.03, 0.35)
    if rng.random() < 0.5 and h < 1.2:
        for z in np.arange(0.22, h - 0.05, 0.22):
            builder.part(item, (hx, 0, float(z)), (0.004, hy - 0.02, 0.006), dark)
            builder.part(item, (hx, 0, float(z) - 0.1), (0.015, 0.05, 0.01), dark)
    else:
        builder.part(item, (hx, 0, h / 2), (0.006, 0.01, h / 2 - 0.05), dark)
        for side in (-1, 1):
            builder.part(item, (hx, side * 0.07, 0.55 * h), (0.015, 0.01, 0.05), dark)
    if h < 1.2 and rng.random() < 0.6:
        size = (float(rng.uniform(0.05, 0.1)), float(rng.uniform(0.06, 0.2)))
        y = float(rng.uniform(-0.6, 0.6)) * hy
        builder.post(item, (0, y, h + size[1]), size, builder.material(None, glow=float(rng.choice([0, 0, 0.8]))))


def shelf(builder: Builder, item: Item) -> None:
    """An open shelf with a few things on its boards."""
    (hx, hy), h, rng, wood = item.half, item.height, builder.rng, builder.hard()
    builder.part(item, (-hx + 0.01, 0, h / 2), (0.01, hy, h / 2), wood)
    for side in (-1, 1):
        builder.part(item, (0, side * hy, h / 2), (hx, 0.012, h / 2), wood)
    for z in np.arange(0.05, h, 0.38):
        builder.part(item, (0, 0, float(z)), (hx, hy, 0.012), wood)
        w = float(rng.uniform(0.1, 0.8) * hy)
        builder.part(item, (0, (hy - w) * 0.8, float(z) + 0.12), (hx * 0.7, w, 0.11), builder.material(None))


def tv(builder: Builder, item: Item) -> None:
    """A low board with a screen on it: dark, or lit by a picture."""
    (hx, hy), h, rng = item.half, item.height, builder.rng
    builder.part(item, (0, 0, 0.25), (hx, hy, 0.25), builder.hard())
    middle, half = (h + 0.55) / 2, (h - 0.55) / 2
    builder.part(item, (0, 0, middle), (0.02, hy * 0.85, half), builder.shade(0.02, 0.08))
    picture = room_photo(builder.decor.data, rng) if rng.random() < 0.5 else None
    if picture is not None:
        front = (*item.world(0.025, 0), middle)
        across, size = (-np.sin(item.yaw), np.cos(item.yaw), 0), (hy * 0.8, half * 0.9)
        lit = builder.material(picture, glow=float(rng.uniform(0.3, 0.9)))
        builder.surface(front, size, (*across, 0, 0, 1), lit, solid=False)


def rug(builder: Builder, item: Item) -> None:
    """A flat cloth on the floor; nobody trips over its edge by contact."""
    thin = item.height / 2
    builder.box([*item.centre, thin], [*item.half, thin], builder.soft(), item.yaw, solid=False)


def toilet(builder: Builder, item: Item) -> None:
    """Bowl, seat, cistern."""
    (hx, hy), seat, white = item.half, item.seat_m, builder.shade(0.75, 0.98)
    builder.part(item, (0.05, 0, seat / 2 - 0.02), (hx - 0.1, hy - 0.06, seat / 2 - 0.02), white)
    builder.part(item, (0.08, 0, seat - 0.02), (hx - 0.08, hy, 0.02), white)
    builder.part(item, (-hx + 0.09, 0, (seat + item.height) / 2), (0.09, hy, (item.height - seat) / 2), white)


def basin(builder: Builder, item: Item) -> None:
    """A bowl on a pedestal with a tap."""
    (hx, hy), h, white = item.half, item.height, builder.shade(0.75, 0.98)
    builder.part(item, (-0.05, 0, (h - 0.15) / 2), (0.08, 0.09, (h - 0.15) / 2), white)
    builder.part(item, (0, 0, h - 0.08), (hx, hy, 0.08), white)
    builder.bulge(item, (0.02, 0, h), (0.75 * hx, 0.75 * hy, 0.015), builder.shade(0.3, 0.6))
    builder.post(item, (-hx + 0.05, 0, h + 0.06), (0.015, 0.07), builder.shade(0.4, 0.9))


def bath(builder: Builder, item: Item) -> None:
    """A tub: four sides around a low bottom."""
    (hx, hy), h, white = item.half, item.height, builder.shade(0.7, 0.98)
    builder.part(item, (0, 0, 0.12), (hx, hy, 0.12), white)
    for side in (-1, 1):
        builder.part(item, (side * (hx - 0.04), 0, h / 2), (0.04, hy, h / 2), white)
        builder.part(item, (0, side * (hy - 0.06), h / 2), (hx, 0.06, h / 2), white)


def shower(builder: Builder, item: Item) -> None:
    """A tray with a glass side or a curtain."""
    (hx, hy), h, rng = item.half, item.height, builder.rng
    builder.part(item, (0, 0, 0.05), (hx, hy, 0.05), builder.shade(0.7, 0.98))
    side = float(rng.choice([-1, 1])) * hy
    if rng.random() < 0.5:
        glass = builder.shade(0.6, 0.95)
        builder.spec.material(glass).rgba[3] = float(rng.uniform(0.15, 0.4))
        builder.part(item, (0, side, h / 2 + 0.1), (hx, 0.006, h / 2 - 0.1), glass)
    else:
        cloth = builder.soft()
        for x in np.linspace(-hx, hx, 7):
            builder.post(item, (float(x), side + 0.03 * float(rng.normal()), h / 2 + 0.1), (0.05, h / 2 - 0.1), cloth)


def counter(builder: Builder, item: Item) -> None:
    """Cupboards under a worktop, sink or hob, and things on it."""
    (hx, hy), h, rng, front = item.half, item.height, builder.rng, builder.hard()
    builder.part(item, (-0.02, 0, h / 2 - 0.02), (hx - 0.02, hy, h / 2 - 0.02), front)
    builder.part(item, (0, 0, h - 0.02), (hx, hy, 0.02), builder.material(None))
    dark = builder.shade(0.03, 0.5)
    for y in np.arange(-hy + 0.5, hy - 0.1, 0.5):
        builder.part(item, (hx - 0.04, float(y), h / 2 - 0.02), (0.004, 0.006, h / 2 - 0.08), dark)
    builder.part(item, (0, float(rng.uniform(-0.4, 0.4)) * hy, h + 0.002), (0.2, 0.25, 0.004), dark)
    for _ in range(int(rng.integers(1, 5))):
        size = (float(rng.uniform(0.04, 0.1)), float(rng.uniform(0.06, 0.18)))
        builder.post(item, (-0.1, float(rng.uniform(-0.9, 0.9)) * hy, h + size[1]), size, builder.material(None))
    if rng.random() < 0.6:
        builder.part(item, (-hx + 0.17, 0, 1.75), (0.17, hy, 0.3), front)


def fridge(builder: Builder, item: Item) -> None:
    """A tall plain box with two doors and a handle."""
    (hx, hy), h, steel = item.half, item.height, builder.shade(0.5, 0.95)
    builder.part(item, (0, 0, h / 2), (hx, hy, h / 2), steel)
    builder.part(item, (hx, 0, 0.62 * h), (0.004, hy, 0.006), builder.shade(0.05, 0.3))
    builder.part(item, (hx + 0.015, hy - 0.06, 0.5 * h), (0.012, 0.012, 0.2), builder.shade(0.2, 0.7))


def plant(builder: Builder, item: Item) -> None:
    """A pot with leaves."""
    r, h, rng = item.half[0], item.height, builder.rng
    builder.hull(item, 0.3)
    builder.post(item, (0, 0, 0.15), (0.8 * r, 0.15), builder.material(None))
    leaf = builder.shade(0.08, 0.35)
    for _ in range(int(rng.integers(4, 9))):
        x, y = rng.normal(0, 0.6 * r, 2)
        z = float(rng.uniform(0.4, h))
        builder.bulge(item, (float(x), float(y), z), [float(v) for v in rng.uniform(0.04, 0.16, 3)], leaf)


def lamp(builder: Builder, item: Item) -> None:
    """A floor lamp."""
    h, rng = item.height, builder.rng
    builder.hull(item, 0.3)
    dark = builder.shade(0.05, 0.5)
    builder.post(item, (0, 0, 0.01), (0.13, 0.01), dark)
    builder.post(item, (0, 0, h / 2), (0.015, h / 2), dark)
    builder.post(item, (0, 0, h), (0.16, 0.13), builder.material(None, glow=float(rng.choice([0.0, 0.9]))))


def wheelchair(builder: Builder, item: Item) -> None:
    """Parked, its brakes on: seat and back bear a body, the rest is only seen."""
    turn = [float(np.cos(item.yaw / 2)), 0.0, 0.0, float(np.sin(item.yaw / 2))]
    frame = builder.spec.worldbody.add_body(pos=[*item.centre, 0.0], quat=turn)
    red, green, blue = (float(v) for v in builder.rng.uniform(0.05, 0.7, 3))
    for shape in WHEELCHAIR:
        shape.add(frame, (red, green, blue))
    cloth = builder.soft()
    builder.part(item, (0.02, 0, 0.44), (0.22, 0.22, 0.026), cloth)
    builder.part(item, (-0.22, 0, 0.70), (0.021, 0.22, 0.24), cloth)


PARTS: Final[dict[str, Callable[[Builder, Item], None]]] = {
    "bed": bed,
    "sofa": sofa,
    "armchair": sofa,
    "chair": chair,
    "toilet": toilet,
    "wheelchair": wheelchair,
    "table": table,
    "wardrobe": cupboard,
    "chest": cupboard,
    "nightstand": cupboard,
    "stool": stool,
    "shelf": shelf,
    "tv": tv,
    "counter": counter,
    "fridge": fridge,
    "basin": basin,
    "bath": bath,
    "shower": shower,
    "plant": plant,
    "lamp": lamp,
    "rug": rug,
}
