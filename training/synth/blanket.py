"""A blanket over a lying person: bumps that move with the limbs below, and a flat part on the bed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

from training.synth.poses import Vector
from training.synth.props import ALWAYS, Places, Rgb, Shape, Span, floating, within, write, yaw_turn

BUMPS: Final = (
    ("chest", (0.30, 0.34, 0.17)),
    ("pelvis", (0.34, 0.38, 0.19)),
    ("l_thigh", (0.30, 0.20, 0.16)),
    ("r_thigh", (0.30, 0.20, 0.16)),
    ("l_shin", (0.34, 0.17, 0.13)),
    ("r_shin", (0.34, 0.17, 0.13)),
    ("l_foot", (0.18, 0.16, 0.15)),
    ("r_foot", (0.18, 0.16, 0.15)),
)
"""Part below and half axes in m, along and across the bed and up: cloth spans 5-8 cm beyond the limb."""

BELOW: Final = {
    "chest": "chest", "pelvis": "pelvis", "l_thigh": "l_shin", "r_thigh": "r_shin", "l_shin": "l_foot",
    "r_shin": "r_foot", "l_foot": "l_foot", "r_foot": "r_foot",
}  # fmt: skip
"""The next joint along the limb; a bump lies half way to it."""
SINK_M: Final = 0.13
"""How far a bump sinks when nobody is below it: what is left looks like cloth thrown back."""
SINK_STEPS: Final = 12


@dataclass(frozen=True)
class Blanket:
    """Over the sleeper up to `up_to`: chest or pelvis. xy, yaw, half: the bed's middle, heading and half sizes in m."""

    user: str
    colour: Rgb
    xy: tuple[float, float]
    yaw: float
    half: tuple[float, float]
    top_m: float
    up_to: str = "chest"
    span: Span = ALWAYS

    def _bumps(self) -> list[tuple[str, tuple[float, float, float]]]:
        return [bump for bump in BUMPS if bump[0] != "chest" or self.up_to == "chest"]

    def add(self, spec: Any, name: str) -> None:
        """One floating bump a part, one flat cloth."""
        sheet = spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.62 * self.half[0], self.half[1] + 0.02, 0.02], contype=0,
            conaffinity=0, rgba=[*self.colour, 1], quat=[np.cos(self.yaw / 2), 0, 0, np.sin(self.yaw / 2)],
        )  # fmt: skip
        shift = 0.36 * self.half[0]
        sheet.pos = [self.xy[0] + shift * np.cos(self.yaw), self.xy[1] + shift * np.sin(self.yaw), self.top_m + 0.03]
        for part, half in self._bumps():
            floating(spec, f"{name}_{part}", (Shape("ellipsoid", (0, 0, 0), half),), self.colour)

    def drive(self, model: Any, qpos: Vector, places: Places, name: str) -> None:
        """Each bump over the middle of its part; outside the span it lies, sunk, where it was last or will be first."""
        turn, steps = yaw_turn(np.full(places.steps, self.yaw)), np.arange(places.steps)
        used = within(self.span, places.steps)
        if not used.any():
            return
        first, last = int(used.argmax()), int(places.steps - 1 - used[::-1].argmax())
        nearest = np.clip(steps, first, last)
        apart = np.clip(np.abs(steps - nearest) / SINK_STEPS, 0, 1)
        for part, _ in self._bumps():
            place = ((places.part(self.user, part) + places.part(self.user, BELOW[part])) / 2)[nearest]
            place[:, 2] += 0.01 - SINK_M * apart
            write(model, qpos, f"{name}_{part}", place, turn)
