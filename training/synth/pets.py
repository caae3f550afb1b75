"""Cats and dogs: small, four-legged, walking about, sitting, lying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

from training.synth.motion import Xy
from training.synth.poses import Vector
from training.synth.props import STEP_S, Places, Rgb, Shape, write, yaw_turn

LEGS: Final = (("fl", 0.28, 0.09), ("fr", 0.28, -0.09), ("hl", -0.26, 0.09), ("hr", -0.26, -0.09))
"""Place of each hip along and across the trunk, in trunk lengths of 1."""


@dataclass(frozen=True)
class Pet:
    """An animal of trunk length size_m (cat 0.3, dog up to 0.7) on a path of points; it waits `wait_s` at each.

    rest: stand or lie, what it does while it waits.
    """

    path: tuple[Xy, ...]
    size_m: float
    speed: float
    wait_s: float
    rest: str
    colour: Rgb

    def add(self, spec: Any, name: str) -> None:
        """A trunk with head and tail on a floating joint, four legs on hinges."""
        s = self.size_m
        trunk = spec.worldbody.add_body(name=name, pos=[0, 0, -5], gravcomp=1)
        trunk.add_freejoint(name=name)
        for shape in (
            Shape("rod", (-0.28 * s, 0, 0), (0.15 * s,), (0.26 * s, 0, 0.02 * s)),
            Shape("rod", (0.30 * s, 0, 0.08 * s), (0.09 * s,), (0.46 * s, 0, 0.26 * s)),
            Shape("ellipsoid", (0.54 * s, 0, 0.29 * s), (0.15 * s, 0.11 * s, 0.11 * s), shade=0.9),
            Shape("ellipsoid", (0.68 * s, 0, 0.26 * s), (0.08 * s, 0.05 * s, 0.05 * s), shade=0.7),
            Shape("rod", (-0.38 * s, 0, 0.08 * s), (0.035 * s,), (-0.72 * s, 0, 0.28 * s)),
        ):
            shape.add(trunk, self.colour)
        for leg, along, aside in LEGS:
            limb = trunk.add_body(name=f"{name}_{leg}", pos=[along * s, aside * s, -0.05 * s], gravcomp=1)
            limb.add_joint(name=f"{name}_{leg}", type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, -1, 0], damping=[0.1, 0, 0])
            Shape("rod", (0, 0, 0), (0.05 * s,), (0, 0, -0.42 * s), shade=0.85).add(limb, self.colour)

    def drive(self, model: Any, qpos: Vector, places: Places, name: str) -> None:
        """Along the path, legs swinging in trot (diagonal pairs together); lying down sinks the trunk."""
        place, yaw, moved, down = self._journey(places.steps)
        place[:, 2] = 0.5 * self.size_m * (1 - 0.62 * down)
        write(model, qpos, name, place, yaw_turn(yaw))
        phase = 2 * np.pi * moved / (0.9 * self.size_m)
        walking = np.gradient(moved) > 1e-4
        for leg, _, _ in LEGS:
            swing = np.where(walking, 0.5 * np.sin(phase + (0 if leg in ("fl", "hr") else np.pi)), 0.0)
            folded = 1.45 * down
            qpos[:, int(model.joint(f"{name}_{leg}").qposadr[0])] = swing * (1 - down) + folded

    def _journey(self, steps: int) -> tuple[Vector, Vector, Vector, Vector]:
        """Place, heading, metres walked and how far it lies (0..1) in every step."""
        points = [np.array(p) for p in self.path]
        place, yaw, moved, down = np.zeros((steps, 3)), np.zeros(steps), np.zeros(steps), np.zeros(steps)
        xy, goal, waited, gone = points[0].copy(), 1 % len(points), 0.0, 0.0
        heading = 0.0
        for step in range(steps):
            way = points[goal] - xy
            distance = float(np.linalg.norm(way))
            if distance > 0.02 and waited <= 0:
                aim = float(np.arctan2(way[1], way[0]))
                heading += float(np.clip((aim - heading + np.pi) % (2 * np.pi) - np.pi, -0.5, 0.5))
                stride = min(distance, self.speed * STEP_S)
                xy, gone = xy + way / distance * stride, gone + stride
                waited = self.wait_s if distance - stride < 0.02 else 0.0
            else:
                waited -= STEP_S
                goal = (goal + 1) % len(points) if waited <= 0 else goal
            lying = self.rest == "lie" and waited > 0.6
            before = down[step - 1] if step else float(lying)
            place[step, :2], yaw[step], moved[step] = xy, heading, gone
            down[step] = np.clip(before + (0.15 if lying else -0.2), 0, 1)
        return place, yaw, moved, down
