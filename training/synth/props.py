"""Things people use and animals: walking aids, wheelchairs, trays, brooms, blankets, pets.

A prop follows the people and never pushes them: its bodies float in the physics without weight or contact, and its
place in every step is written into the trace afterwards. It is nobody in the map of who is where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.synth.motion import heading_of
from training.synth.people import Figure
from training.synth.poses import Vector
from training.synth.simulate import STEPS_PER_S

Rgb = tuple[float, float, float]
Span = tuple[float, float]
"""From and to in seconds of the story."""
ALWAYS: Final[Span] = (0.0, float("inf"))
STEP_S: Final = 1.0 / STEPS_PER_S
UNSEEN_M: Final = -5.0
"""Below the floor: where a thing is while nobody uses it."""


@dataclass(frozen=True)
class Shape:
    """One geom in a prop's own axes (x ahead, y left, z up), m: a rod between two points, a box or an ellipsoid."""

    kind: str
    place: tuple[float, float, float]
    size: tuple[float, ...]
    end: tuple[float, float, float] | None = None
    shade: float = 1.0

    def add(self, body: Any, colour: Rgb) -> None:
        """Put the geom on a body, without weight in any contact."""
        kinds = {"rod": mujoco.mjtGeom.mjGEOM_CAPSULE, "box": mujoco.mjtGeom.mjGEOM_BOX,
                 "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID}  # fmt: skip
        where: dict[str, Any] = {"pos": list(self.place), "size": list(self.size)}
        if self.end is not None:
            where = {"fromto": [*self.place, *self.end], "size": [self.size[0], 0, 0]}
        rgba = [*(min(1.0, c * self.shade) for c in colour), 1.0]
        body.add_geom(type=kinds[self.kind], mass=0.02, contype=0, conaffinity=0, rgba=rgba, **where)


@dataclass(frozen=True)
class Places:
    """Where everything was in every step of a trace: part -> (steps, 3) in m, and the heading of each pelvis, rad."""

    parts: dict[str, Vector]
    headings: dict[str, Vector]
    steps: int

    def part(self, prefix: str, name: str) -> Vector:
        """The path of one part of one person."""
        return self.parts[prefix + name]


class Prop(Protocol):
    """A thing that follows the people of a scene."""

    def add(self, spec: Any, name: str) -> None:
        """Put the bodies into the model; every body name begins with `name`."""

    def drive(self, model: Any, qpos: Vector, places: Places, name: str) -> None:
        """Write the prop's own columns of the trace."""


def floating(spec: Any, name: str, shapes: Sequence[Shape], colour: Rgb) -> None:
    """A weightless free body made of shapes."""
    body = spec.worldbody.add_body(name=name, pos=[0, 0, UNSEEN_M], gravcomp=1)
    body.add_freejoint(name=name)
    for shape in shapes:
        shape.add(body, colour)


def yaw_turn(yaw: Vector) -> Vector:
    """Headings in rad -> quaternions (n, 4), w first."""
    zero = np.zeros_like(yaw)
    return np.stack([np.cos(yaw / 2), zero, zero, np.sin(yaw / 2)], axis=1)


def write(model: Any, qpos: Vector, name: str, place: Vector, turn: Vector) -> None:
    """Put a floating body somewhere in every step."""
    at = int(model.joint(name).qposadr[0])
    qpos[:, at : at + 3], qpos[:, at + 3 : at + 7] = place, turn


def within(span: Span, steps: int) -> NDArray[np.bool_]:
    """Which steps lie in a span of the story."""
    t = np.arange(steps) * STEP_S
    return np.asarray((t >= span[0] - 1e-6) & (t <= span[1] + 1e-6))


def ahead(place: Vector, yaw: Vector, forward: float, aside: float = 0.0) -> Vector:
    """The floor point so far in front of and to the left of a path."""
    x = place[:, 0] + forward * np.cos(yaw) - aside * np.sin(yaw)
    y = place[:, 1] + forward * np.sin(yaw) + aside * np.cos(yaw)
    return np.stack([x, y, np.zeros(len(yaw))], axis=1)


def chase(goal: Vector, held: NDArray[np.bool_], speed: float) -> Vector:
    """Follow a path while it is held, at most at this speed in m/s; rest where it was let go."""
    out = goal.copy()
    for step in range(1, len(goal)):
        way = goal[step] - out[step - 1] if held[step] else np.zeros(3)
        reach = float(np.linalg.norm(way))
        out[step] = out[step - 1] + way * min(1.0, speed * STEP_S / max(reach, 1e-9))
    return out


PARTS: Final = ("pelvis", "chest", "head", "l_thigh", "r_thigh", "l_shin", "r_shin", "l_foot", "r_foot")


def places_of(model: Any, qpos: Vector, figures: dict[str, Figure]) -> Places:
    """Where the parts, hands and headings of the people were in every step. figures: prefix -> person."""
    data = mujoco.MjData(model)
    parts: dict[str, list[Vector]] = {p + part: [] for p in figures for part in (*PARTS, "l_hand", "r_hand")}
    headings: dict[str, list[float]] = {p: [] for p in figures}
    for row in qpos:
        data.qpos[:] = row
        mujoco.mj_kinematics(model, data)
        for prefix, figure in figures.items():
            for part in PARTS:
                parts[prefix + part].append(data.body(prefix + part).xpos.copy())
            reach = np.array([0.008, 0.0, -figure.build.forearm - 0.035]) * figure.height_m
            for side in "lr":
                arm = data.body(f"{prefix}{side}_forearm")
                parts[f"{prefix}{side}_hand"].append(arm.xpos + arm.xmat.reshape(3, 3) @ reach)
            headings[prefix].append(heading_of(data.body(prefix + "pelvis").xquat))
    turned = {prefix: np.unwrap(np.array(angles)) for prefix, angles in headings.items()}
    return Places({part: np.array(path) for part, path in parts.items()}, turned, len(qpos))


def add_props(spec: Any, props: Sequence[Prop]) -> None:
    """Put all props into the model. Their names begin with no person's prefix."""
    for index, prop in enumerate(props):
        prop.add(spec, f"prop{index}")


def drive_props(model: Any, qpos: Vector, props: Sequence[Prop], figures: dict[str, Figure]) -> Vector:
    """The trace with every prop where it belongs; the given trace is left as it is."""
    if not props:
        return qpos
    out, places = qpos.copy(), places_of(model, qpos, figures)
    for index, prop in enumerate(props):
        prop.drive(model, out, places, f"prop{index}")
    return out
