"""Light in a room: daylight, lamps, night infrared, and what changes while the camera looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

LAMP: Final = "lamp"
WINDOW: Final = "window"


@dataclass(frozen=True)
class Light:
    """Strengths 0..1 of the lamp at the ceiling, the window, the light at the camera and the ambient light."""

    kind: str
    lamp: float
    window: float
    at_camera: float
    ambient: float

    def apply(self, model: Any) -> None:
        """Write the strengths into a model built with `add_lights`."""
        model.light_diffuse[model.light(LAMP).id] = self.lamp
        model.light_diffuse[model.light(WINDOW).id] = self.window
        model.vis.headlight.diffuse[:] = self.at_camera
        model.vis.headlight.ambient[:] = self.ambient


def add_lights(spec: Any, room_height: float, rng: np.random.Generator, shadows: bool) -> None:
    """A lamp below the ceiling and slanting light as through a window; only the latter casts real shadows."""
    x, y = (float(v) for v in rng.uniform(-0.8, 0.8, 2))
    lamp = spec.worldbody.add_light(name=LAMP, pos=[x, y, room_height - 0.15], dir=[0, 0, -1], castshadow=False)
    lamp.type = mujoco.mjtLightType.mjLIGHT_SPOT
    lamp.cutoff, lamp.exponent, lamp.attenuation = 88.0, 1.0, [0.8, 0.05, 0.03]
    lamp.specular = [0.1] * 3
    slant = [float(v) for v in rng.uniform(-0.8, 0.8, 2)]
    window = spec.worldbody.add_light(
        name=WINDOW, pos=[-2 * slant[0], -2 * slant[1], 2.5], dir=[*slant, -1.0], castshadow=shadows
    )
    window.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    window.specular = [0.1] * 3


def random_light(rng: np.random.Generator) -> Light:
    """Day 45 %, lamp 30 %, night infrared 25 %."""
    draw = rng.random()
    if draw < 0.45:
        return Light("day", float(rng.uniform(0, 0.3)), float(rng.uniform(0.3, 0.7)), float(rng.uniform(0, 0.25)),
                     float(rng.uniform(0.25, 0.5)))  # fmt: skip
    if draw < 0.75:
        return Light("lamp", float(rng.uniform(0.4, 1.0)), float(rng.uniform(0, 0.15)), float(rng.uniform(0, 0.2)),
                     float(rng.uniform(0.08, 0.3)))  # fmt: skip
    return Light("night", 0.0, 0.0, float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.02, 0.12)))


def light_plan(rng: np.random.Generator, steps: int) -> list[tuple[int, Light]]:
    """(step from which, light): usually one for all, in 8 % of clips switched once in the middle."""
    plan = [(0, random_light(rng))]
    if rng.random() < 0.08:
        plan.append((int(rng.integers(5, max(6, steps - 5))), random_light(rng)))
    return plan
