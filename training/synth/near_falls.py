"""Balance lost and won back: a stumble caught by steps, or by furniture and walls. Everyday life, never an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from training.synth import falls
from training.synth.everyday import angle, pick, seat
from training.synth.script import Script, open_spot, seat_spot
from training.synth.stories import approach, edge_spot, wall_spot
from training.synth.stumble import Stumble

if TYPE_CHECKING:
    from training.synth.stage import Stage

HAND_M: Final = (0.6, 1.4)
"""Heights of furniture that a falling hand finds."""


def _catch(stage: Stage, script: Script, toward: float, speed: float) -> None:
    """A jolt and steps that save the body, then up again."""
    rng = stage.rng
    script.lose(falls.jolt(script.figure, rng, toward, pick(stage, ("brace", "throw_arms"))))
    seconds, step_s = float(rng.uniform(0.5, 1.0)), float(rng.uniform(0.26, 0.42))
    script.segments.append(Stumble(seconds, toward, 0.5 * speed + 0.3, 0.2, float(rng.uniform(0.15, 0.75)), step_s))


def stumble(stage: Stage) -> list[Script]:
    """Trips, slips or sways, makes one to three hurried steps and stands again or walks on."""
    rng = stage.rng
    spot = open_spot(stage.room, rng, 1.0)
    script, heading, speed = approach(stage, spot, 0.75)
    toward = heading + float(rng.choice([0.0, 0.0, np.pi / 2, -np.pi / 2, np.pi])) + float(rng.normal(0, 0.3))
    ahead = (spot[0] + 0.8 * float(np.cos(toward)), spot[1] + 0.8 * float(np.sin(toward)))
    if not stage.room.clear_way(spot, ahead):
        raise LookupError("no room to stumble")
    _catch(stage, script, toward, speed)
    script.go(pick(stage, ("stand", "bend", "brace")), float(rng.uniform(0.4, 0.9))).stay(0.1, 1.0)
    script.go("stand", float(rng.uniform(0.7, 1.4))).stay(1, 3)
    script.go("stand", 0.9, yaw=angle(rng))
    return [script.stay(2, 5)]


def caught_by_hand(stage: Stage) -> list[Script]:
    """Sways towards a wall or a piece of furniture, leans there for a while with the hands on it, stands up again."""
    rng = stage.rng
    things = [item for item in stage.room.items if HAND_M[0] < item.height < HAND_M[1]]
    if things and rng.random() < 0.5:
        spot, toward = edge_spot(stage, things[int(rng.integers(len(things)))])
    else:
        spot, away = wall_spot(stage, float(rng.uniform(0.55, 0.8)))
        toward = away + np.pi
    script, _, speed = approach(stage, spot, 0.6)
    toward += float(rng.normal(0, 0.3))
    script.go("stand", float(rng.uniform(0.5, 1.0)), yaw=toward)
    script.lose(falls.jolt(script.figure, rng, toward, "brace"))
    script.segments.append(
        Stumble(float(rng.uniform(0.4, 0.7)), toward, 0.3 * speed + 0.2, 0.1, float(rng.uniform(0.1, 0.4)))
    )
    script.go("brace", float(rng.uniform(0.4, 0.9))).stay(0.5, 3.0)
    return [script.go("stand", float(rng.uniform(0.8, 1.6))).stay(2, 5)]


def sways_back_into_seat(stage: Stage) -> list[Script]:
    """Rises, loses balance half way and drops back into the seat."""
    rng = stage.rng
    spot = seat_spot(seat(stage), stage.room, rng)
    script = stage.script().seated(spot).stay(0.8, 3)
    sits = spot.top_m + script.figure.seat_m
    for _ in range(int(rng.integers(1, 3))):
        script.go("rise", float(rng.uniform(0.5, 1.0)), pelvis_m=sits + float(rng.uniform(0.08, 0.25)))
        back = pick(stage, ("sit", "sit_back"))
        script.go(back, float(rng.uniform(0.35, 0.7)), pelvis_m=sits, ease="in").stay(0.5, 2)
    return [script.stay(2, 5)]
