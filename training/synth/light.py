"""Light in a room: daylight, lamps, night infrared, a television, and what changes while the camera looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.synth.camera import Camera
from training.synth.rooms import Room

LAMP: Final = "lamp"
WINDOW: Final = "window"
INFRARED: Final = "infrared"
SCREEN: Final = "screen"

SCREEN_HOLD_STEPS: Final = 12
"""A television scene lasts at most so long before its light jumps."""


@dataclass(frozen=True)
class Light:
    """Strengths 0..1 of the lamp, the window, a soft light at the camera, the ambient light, and two special ones.

    infrared: the camera's own lamp, bright in the middle and near; screen: a television, before it flickers.
    """

    kind: str
    lamp: float
    window: float
    at_camera: float
    ambient: float
    infrared: float = 0.0
    screen: float = 0.0

    def apply(self, model: Any, flicker: float = 1.0) -> None:
        """Write the strengths into a model built with `add_lights`; flicker: factor on the screen's light."""
        strengths = {LAMP: self.lamp, WINDOW: self.window, INFRARED: self.infrared, SCREEN: self.screen * flicker}
        for name, strength in strengths.items():
            light = model.light(name).id
            model.light_diffuse[light] = strength
            model.light_active[light] = strength > 0
        model.vis.headlight.diffuse[:] = self.at_camera
        model.vis.headlight.ambient[:] = self.ambient


def add_lights(spec: Any, room_height: float, rng: np.random.Generator, shadows: bool) -> None:
    """A lamp (at the ceiling or standing), slanting light as through a window, an infrared lamp and a screen.

    Only the window's light casts real shadows. `aim_lights` puts the last two where they belong.
    """
    x, y = (float(v) for v in rng.uniform(-0.8, 0.8, 2))
    standing = rng.random() < 0.2
    lamp = spec.worldbody.add_light(
        name=LAMP, pos=[x, y, 1.6 if standing else room_height - 0.15], dir=[0, 0, -1], castshadow=False
    )
    lamp.type = mujoco.mjtLightType.mjLIGHT_SPOT
    lamp.cutoff, lamp.exponent, lamp.attenuation = 88.0, 1.0, [0.8, 0.05, 0.03]
    lamp.specular = [0.1] * 3
    slant = [float(v) for v in rng.uniform(-0.8, 0.8, 2)]
    window = spec.worldbody.add_light(
        name=WINDOW, pos=[-2 * slant[0], -2 * slant[1], 2.5], dir=[*slant, -1.0], castshadow=shadows
    )
    window.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    window.specular = [0.1] * 3
    for name, cutoff, exponent in ((INFRARED, 80.0, float(rng.uniform(1.5, 9.0))), (SCREEN, 85.0, 1.0)):
        light = spec.worldbody.add_light(name=name, pos=[0, 0, 2], dir=[0, 0, -1], castshadow=False, diffuse=[0] * 3)
        light.type = mujoco.mjtLightType.mjLIGHT_SPOT
        light.cutoff, light.exponent, light.attenuation = cutoff, exponent, [0.35, 0.1, 0.12]
        light.specular = [0.05] * 3


def aim_lights(model: Any, camera: Camera, room: Room | None) -> None:
    """The infrared lamp to the camera, the screen's light to the television (without one: to a wall's middle)."""
    infrared, screen = model.light(INFRARED).id, model.light(SCREEN).id
    model.light_pos[infrared], model.light_dir[infrared] = camera.place, -camera.axes()[:, 2]
    if room is None:
        return
    place, into = (room.half[0] - 0.1, 0.0), np.array([-1.0, 0.0, -0.2])
    for item in room.items:
        if item.kind == "tv":
            front = item.world(item.half[0] + 0.1, 0.0)
            place, into = front, np.array([np.cos(item.yaw), np.sin(item.yaw), -0.2])
    model.light_pos[screen], model.light_dir[screen] = [*place, 0.9], into / np.linalg.norm(into)


def random_light(rng: np.random.Generator) -> Light:
    """Day 42 %, lamp 28 %, television in the dark 5 %, night infrared 25 %."""
    draw = rng.random()
    if draw < 0.42:
        return Light("day", float(rng.uniform(0, 0.3)), float(rng.uniform(0.3, 0.7)), float(rng.uniform(0, 0.25)),
                     float(rng.uniform(0.25, 0.5)))  # fmt: skip
    if draw < 0.70:
        return Light("lamp", float(rng.uniform(0.4, 1.0)), float(rng.uniform(0, 0.15)), float(rng.uniform(0, 0.2)),
                     float(rng.uniform(0.08, 0.3)), screen=float(rng.choice([0, 0, 0.3])))  # fmt: skip
    if draw < 0.75:
        return Light("screen", float(rng.uniform(0, 0.15)), 0.0, float(rng.uniform(0, 0.1)),
                     float(rng.uniform(0.08, 0.2)), screen=float(rng.uniform(0.5, 1.0)))  # fmt: skip
    # A single lamp beside the lens: a bright middle, dark distance; some units light the whole room evenly.
    spot = float(rng.uniform(0.6, 1.5)) if rng.random() < 0.7 else 0.0
    return Light("night", 0.0, 0.0, float(rng.uniform(0.5, 1.0)) * (0.25 if spot else 1.0),
                 float(rng.uniform(0.02, 0.12)), infrared=spot)  # fmt: skip


def light_plan(rng: np.random.Generator, steps: int) -> list[tuple[int, Light]]:
    """(step from which, light): usually one for all; in 10 % of clips switched in the middle, half of those back."""
    plan = [(0, random_light(rng))]
    if rng.random() < 0.10:
        first = int(rng.integers(5, max(6, steps - 5)))
        plan.append((first, random_light(rng)))
        if rng.random() < 0.5 and first + 6 < steps:
            plan.append((int(rng.integers(first + 5, steps)), plan[0][1]))
    return plan


def ray_to(model: Any, light: Light, part: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The unit vector along which the strongest light falls on a place; None where light has no one direction."""
    if max(light.lamp, light.window, light.screen) < 0.25:
        return None
    if light.window >= max(light.lamp, light.screen):
        ray = model.light_dir[model.light(WINDOW).id].copy()
    else:
        ray = part - model.light_pos[model.light(LAMP if light.lamp >= light.screen else SCREEN).id]
    return np.asarray(ray / max(float(np.linalg.norm(ray)), 1e-6))


def screen_flicker(rng: np.random.Generator, steps: int) -> NDArray[np.float64]:
    """A television's light over time as a factor 0.2..1.6: scenes with cuts between them, and some noise in each."""
    out = np.empty(steps)
    step = 0
    while step < steps:
        length = int(rng.integers(2, SCREEN_HOLD_STEPS + 1))
        out[step : step + length] = rng.uniform(0.3, 1.5)
        step += length
    return np.clip(out * (1 + 0.08 * rng.standard_normal(steps)), 0.2, 1.6)
