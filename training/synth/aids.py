"""Walking frames, rollators, sticks, brooms, things carried, wheelchairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from device.labels import LOW, SEATED
from training.synth.poses import Vector, multiply
from training.synth.props import (
    ALWAYS,
    STEP_S,
    UNSEEN_M,
    Places,
    Prop,
    Rgb,
    Shape,
    Span,
    ahead,
    chase,
    floating,
    within,
    write,
    yaw_turn,
)
from training.synth.simulate import Track

FRAME: Final = tuple(
    Shape("rod", (dx, side * 0.26, 0.0), (0.014,), (0.8 * dx, side * 0.24, 0.84))
    for side in (-1, 1) for dx in (-0.18, 0.20)
) + tuple(
    Shape("rod", (-0.15, side * 0.24, 0.85), (0.017,), (0.17, side * 0.24, 0.85)) for side in (-1, 1)
) + (
    Shape("rod", (0.17, -0.24, 0.80), (0.014,), (0.17, 0.24, 0.80)),
    Shape("rod", (0.18, -0.25, 0.45), (0.012,), (0.18, 0.25, 0.45)),
)  # fmt: skip
"""A walking frame: four legs, two grips, two bars."""

ROLLATOR: Final = (
    *(Shape("ellipsoid", (dx, side * 0.27, 0.10), (0.10, 0.02, 0.10), shade=0.3)
      for side in (-1, 1) for dx in (-0.2, 0.28)),
    *(Shape("rod", (0.25, side * 0.25, 0.12), (0.016,), (-0.12, side * 0.25, 0.88)) for side in (-1, 1)),
    *(Shape("rod", (-0.2, side * 0.25, 0.12), (0.016,), (0.05, side * 0.25, 0.60)) for side in (-1, 1)),
    *(Shape("rod", (-0.12, side * 0.25, 0.88), (0.019,), (-0.27, side * 0.25, 0.88), 0.4) for side in (-1, 1)),
    Shape("box", (0.05, 0.0, 0.58), (0.14, 0.23, 0.02), shade=0.5),
    Shape("box", (0.17, 0.0, 0.45), (0.10, 0.18, 0.10), shade=0.7),
)  # fmt: skip
"""A wheeled walker with seat and basket."""

BROOM: Final = (
    Shape("rod", (0.0, 0.0, 0.05), (0.013,), (-0.45, 0.0, 1.20)),
    Shape("box", (0.02, 0.0, 0.04), (0.05, 0.18, 0.04), shade=0.6),
)


@dataclass(frozen=True)
class Aid:
    """A walking frame, rollator or broom that its user moves along on the floor; it stays where they let it go."""

    shapes: tuple[Shape, ...]
    user: str
    colour: Rgb
    forward_m: float = 0.42
    aside_m: float = 0.0
    sweep_m: float = 0.0
    span: Span = ALWAYS

    def add(self, spec: Any, name: str) -> None:
        """One floating body."""
        floating(spec, name, self.shapes, self.colour)

    def drive(self, model: Any, qpos: Vector, places: Places, name: str) -> None:
        """In front of the user while they stand; a broom goes to and fro."""
        pelvis, yaw = places.part(self.user, "pelvis"), places.headings[self.user]
        stroke = self.sweep_m * np.sin(2 * np.pi * 0.55 * STEP_S * np.arange(len(yaw)))
        goal = ahead(pelvis, yaw, self.forward_m, self.aside_m)
        goal += np.stack([stroke * np.cos(yaw), stroke * np.sin(yaw), 0 * yaw], axis=1)
        tall = float(np.quantile(pelvis[:, 2], 0.95))
        held = (pelvis[:, 2] > 0.85 * tall) & within(self.span, len(yaw))
        if not held.any():
            held[-1] = True
        goal[: int(held.argmax())] = goal[int(held.argmax())]
        place = chase(goal, held, 1.6)
        last = np.maximum.accumulate(np.where(held, np.arange(len(yaw)), int(held.argmax())))
        write(model, qpos, name, place, yaw_turn(yaw[last]))


@dataclass(frozen=True)
class InHand:
    """A thing between both hands (a box, a tray, a plate) or in one.

    forward_m, up_m: from the middle between the hands; hand: "" for both, else l or r; nobody sees it outside its span.
    """

    shapes: tuple[Shape, ...]
    user: str
    colour: Rgb
    forward_m: float = 0.05
    up_m: float = 0.02
    hand: str = ""
    span: Span = ALWAYS

    def add(self, spec: Any, name: str) -> None:
        """One floating body."""
        floating(spec, name, self.shapes, self.colour)

    def drive(self, model: Any, qpos: Vector, places: Places, name: str) -> None:
        """With the hands, level, turned as the person is."""
        yaw = places.headings[self.user]
        hands = [places.part(self.user, f"{side}_hand") for side in (self.hand or "lr")]
        place = sum(hands, np.zeros_like(hands[0])) / len(hands)
        place = place + np.stack([self.forward_m * np.cos(yaw), self.forward_m * np.sin(yaw), 0 * yaw], axis=1)
        place[:, 2] += self.up_m
        place[~within(self.span, len(yaw)), 2] = UNSEEN_M
        write(model, qpos, name, place, yaw_turn(yaw))


@dataclass(frozen=True)
class Stick:
    """A walking stick in one hand: grip in the hand, tip on the floor, set forward with every second step."""

    user: str
    colour: Rgb
    hand: str = "r"

    def add(self, spec: Any, name: str) -> None:
        """A rod 0.86 m long with a grip, origin at the grip."""
        shapes = (Shape("rod", (0, 0, 0), (0.013,), (0, 0, -0.86)), Shape("rod", (-0.03, 0, 0), (0.016,), (0.07, 0, 0)))
        floating(spec, name, shapes, self.colour)

    def drive(self, model: Any, qpos: Vector, places: Places, name: str) -> None:
        """From the hand towards a tip a little ahead."""
        hand, yaw = places.part(self.user, f"{self.hand}_hand"), places.headings[self.user]
        speed = np.linalg.norm(np.gradient(places.part(self.user, "pelvis")[:, :2], axis=0), axis=1) / STEP_S
        swing = np.where(speed > 0.1, 0.22 * np.sin(2 * np.pi * np.cumsum(speed) * STEP_S / 1.1), 0.0)
        turn = np.array([multiply(q, np.array([np.cos(a / 2), 0, np.sin(a / 2), 0]))
                         for q, a in zip(yaw_turn(yaw), swing - 0.12, strict=True)])  # fmt: skip
        write(model, qpos, name, hand, turn)


TRAY: Final = (
    Shape("box", (0.0, 0.0, 0.0), (0.15, 0.22, 0.012)),
    Shape("rod", (0, 0.08, 0.01), (0.035,), (0, 0.08, 0.09), 1.2),
)
BOX: Final = (Shape("box", (0.10, 0.0, 0.08), (0.15, 0.20, 0.13)),)
BASKET: Final = (
    Shape("box", (0.10, 0.0, 0.0), (0.19, 0.28, 0.12)),
    Shape("ellipsoid", (0.1, 0, 0.11), (0.15, 0.22, 0.09), shade=1.3),
)
BOOK: Final = (Shape("box", (0.02, 0.0, 0.06), (0.012, 0.11, 0.13)),)
PLATE: Final = (Shape("ellipsoid", (0.05, 0.0, 0.0), (0.11, 0.11, 0.012), shade=1.2),)

WHEELCHAIR: Final = (
    *(Shape("ellipsoid", (-0.08, side * 0.30, 0.30), (0.30, 0.02, 0.30), shade=0.35) for side in (-1, 1)),
    *(Shape("ellipsoid", (0.38, side * 0.24, 0.09), (0.09, 0.02, 0.09), shade=0.3) for side in (-1, 1)),
    Shape("box", (0.02, 0.0, 0.44), (0.22, 0.22, 0.025)),
    Shape("box", (-0.22, 0.0, 0.70), (0.02, 0.22, 0.24)),
    *(Shape("box", (0.0, side * 0.25, 0.66), (0.18, 0.025, 0.02), shade=0.5) for side in (-1, 1)),
    *(Shape("rod", (-0.22, side * 0.22, 0.93), (0.016,), (-0.36, side * 0.22, 0.95), 0.4) for side in (-1, 1)),
    *(Shape("rod", (0.22, side * 0.20, 0.42), (0.014,), (0.42, side * 0.18, 0.12), 0.6) for side in (-1, 1)),
    Shape("box", (0.46, 0.0, 0.10), (0.08, 0.18, 0.01), shade=0.4),
)  # fmt: skip
"""Wheels, castors, seat, back, arms, handles, foot rests; the origin is the floor below the sitter's hips."""

WHEELCHAIR_SEAT_M: Final = 0.465


@dataclass(frozen=True)
class Wheelchair:
    """Goes where its sitter goes and stays where they rise."""

    user: str
    colour: Rgb
    at: tuple[float, float]
    yaw: float

    def add(self, spec: Any, name: str) -> None:
        """One floating body."""
        floating(spec, name, WHEELCHAIR, self.colour)

    def drive(self, model: Any, qpos: Vector, places: Places, name: str) -> None:
        """Below the hips of whoever sits in it."""
        place, yaw = self.path(places)
        write(model, qpos, name, place, yaw_turn(yaw))

    def path(self, places: Places) -> tuple[Vector, Vector]:
        """Floor place (steps, 3) in m and heading (steps,) in rad of the chair."""
        pelvis, heading = places.part(self.user, "pelvis"), places.headings[self.user]
        place, yaw = np.zeros((places.steps, 3)), np.zeros(places.steps)
        xy, turn = np.array(self.at), self.yaw
        for step in range(places.steps):
            low = pelvis[step, 2] < WHEELCHAIR_SEAT_M + 0.25
            if low and float(np.linalg.norm(pelvis[step, :2] - xy)) < 0.20:
                xy, turn = pelvis[step, :2], float(heading[step])
            place[step, :2], yaw[step] = xy, turn
        return place, yaw


def wheelchair_paths(model: Any, qpos: Vector, props: Sequence[Prop]) -> list[Vector]:
    """Floor place (steps, 3) of each wheelchair of a driven trace."""
    names = [f"prop{index}" for index, prop in enumerate(props) if isinstance(prop, Wheelchair)]
    return [qpos[:, at : at + 3] for at in (int(model.joint(name).qposadr[0]) for name in names)]


def seated_labels(
    labels: tuple[list[str], ...], tracks: Sequence[Track], chairs: Sequence[Vector]
) -> tuple[list[str], ...]:
    """Labels of the people, `low` made `seated` where a wheelchair is below the hips or half a step behind them."""
    out = tuple(list(person) for person in labels)
    for person, track in zip(out, tracks, strict=True):
        for chair in chairs:
            near = np.linalg.norm(track.pelvis[:, :2] - chair[:, :2], axis=1) < 0.5
            above = track.pelvis[:, 2] > WHEELCHAIR_SEAT_M - 0.05
            for step in np.flatnonzero(near & above):
                if person[step] == LOW:
                    person[step] = SEATED
    return out
