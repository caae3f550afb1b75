"""What people do lying in bed, kneeling, or on the floor on purpose, written onto a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from training.synth.acts import StandingAct, choose, heading, pace, times
from training.synth.poses import LYING_POSES
from training.synth.script import Script, Spot

if TYPE_CHECKING:
    from training.synth.stage import Stage

LyingAct = Callable[["Stage", Script, Spot], None]


SIDE_HIPS: Final = 0.098
"""Half the breadth of the hips as a share of height: how high they are over the bed of somebody on their side."""


def lying_hips(script: Script, pose: str, top_m: float = 0.0) -> float:
    """Height of the hips of this person lying in a pose on a surface: they rest on it, wherever the heels are."""
    on_side = pose.startswith("on_side")
    return top_m + (SIDE_HIPS * script.figure.height_m if on_side else script.figure.seat_m)


def lie(script: Script, spot: Spot, pose: str, duration_s: float, ease: str = "smooth") -> Script:
    """To a lying pose on a bed; with no duration, begin there."""
    hips = lying_hips(script, pose, spot.top_m)
    return script.go(pose, duration_s, xy=spot.xy, yaw=spot.yaw, pelvis_m=hips, ease=ease)


def _on_floor(script: Script, pose: str, duration_s: float) -> Script:
    """To a lying or sitting pose with the hips on the floor."""
    return script.go(pose, duration_s, pelvis_m=lying_hips(script, pose))


def lie_down(script: Script, spot: Spot, duration_s: float, pose: str) -> Script:
    """From sitting on the edge, legs swung onto the bed, by way of half lying, to a lying pose."""
    hips = spot.top_m + script.figure.seat_m + 0.04
    script.go("legs_over", 0.3 * duration_s, pelvis_m=hips + 0.03, ease="in")
    script.go("half_lying", 0.3 * duration_s, xy=spot.xy, yaw=spot.yaw, pelvis_m=hips, ease="through")
    return lie(script, spot, pose, 0.4 * duration_s, "out")


def sit_up(script: Script, spot: Spot, edge: Spot, duration_s: float) -> Script:
    """From lying, by the back, to sitting on the edge; straight legs swing over it, bent ones would catch."""
    hips = spot.top_m + script.figure.seat_m
    lie(script, spot, "on_back", pace(script, 0.8, 1.6))
    script.go("half_lying", 0.4 * duration_s, xy=spot.xy, yaw=spot.yaw, pelvis_m=hips + 0.04, ease="in")
    script.go("legs_over", 0.3 * duration_s, xy=edge.xy, yaw=edge.yaw, pelvis_m=hips + 0.07, ease="through")
    return script.go("sit", 0.3 * duration_s, xy=edge.xy, yaw=edge.yaw, pelvis_m=hips, ease="out")


def sleep(stage: Stage, script: Script, spot: Spot) -> None:
    """Lies still, now and then turns over."""
    del stage
    for _ in times(script, 1, 3):
        script.stay(3, 10, sway=0.3)
        lie(script, spot, choose(script, *LYING_POSES), pace(script, 0.7, 2.5))
    script.stay(3, 8, sway=0.3)


def restless(stage: Stage, script: Script, spot: Spot) -> None:
    """Tosses and turns, moves arms and legs, lifts the head."""
    del stage
    for _ in times(script, 3, 7):
        pose = choose(script, *LYING_POSES, "leg_up", "on_back_knees", "propped")
        lie(script, spot, pose, pace(script, 0.5, 1.5)).stay(0.1, 2)
    lie(script, spot, "on_back", pace(script, 0.6, 1.5))


def sit_in_bed(stage: Stage, script: Script, spot: Spot) -> None:
    """Props the trunk up to read or drink, and lies back."""
    del stage
    hips = spot.top_m + script.figure.seat_m
    script.go("propped", pace(script, 0.8, 2.0), xy=spot.xy, yaw=spot.yaw, pelvis_m=hips).stay(1, 6)
    lie(script, spot, "on_back", pace(script, 0.6, 2.0))


LYING_ACTS: Final[dict[str, LyingAct]] = {"sleep": sleep, "restless": restless, "sit_in_bed": sit_in_bed}


def kneel(stage: Stage, script: Script) -> None:
    """Goes down on one or both knees, does something there, rises."""
    del stage
    script.go(choose(script, "kneel", "half_kneel", "kneel_sit"), pace(script, 0.6, 1.6)).stay(0.5, 3)
    for _ in times(script, 0, 3):
        script.go(choose(script, "kneel", "play_low", "kneel_sit"), pace(script, 0.6, 1.5)).stay(0.2, 2)
    script.go("half_kneel", pace(script, 0.6, 1.4)).go("stand", pace(script, 0.7, 1.6)).stay(0.2, 1)


def scrub(stage: Stage, script: Script) -> None:
    """Cleans the floor on hands and knees, moving along."""
    way = heading(script, len(script.segments))
    script.go("half_kneel", pace(script, 0.7, 1.4)).go("all_fours", pace(script, 0.6, 1.5))
    x, y = _place(script)
    stroke = pace(script, 0.35, 0.8)
    for index in times(script, 6, 12):
        step = 0.05 if stage.room.free((x + 0.35 * np.cos(way), y + 0.35 * np.sin(way)), 0.3) else 0.0
        x, y = x + step * float(np.cos(way)), y + step * float(np.sin(way))
        script.go("scrub_far" if index % 2 else "scrub_near", stroke, xy=(x, y))
    script.go("half_kneel", pace(script, 0.8, 1.6)).go("stand", pace(script, 0.8, 1.8)).stay(0.2, 1)


def _place(script: Script) -> tuple[float, float]:
    """Where the script has brought the person. Raises LookupError when it has not said."""
    for segment in reversed(script.segments):
        inner: Any = getattr(segment, "inner", segment)
        place = getattr(inner, "xy", None) or (inner.path[-1] if hasattr(inner, "path") else None)
        if place is not None:
            return float(place[0]), float(place[1])
    raise LookupError("the story has no place yet")


def floor_sit(stage: Stage, script: Script) -> None:
    """Sits down on the floor, stays, bends to the toes, rises."""
    del stage
    script.go("squat", pace(script, 0.5, 1.2), ease="in")
    script.go(choose(script, "floor_sit", "floor_sit_back", "cross_legged"), pace(script, 0.5, 1.3), ease="out")
    for _ in times(script, 1, 3):
        pose = choose(script, "floor_sit", "floor_reach", "cross_legged", "floor_sit_back", "play_low")
        script.stay(0.3, 4).go(pose, pace(script, 0.6, 1.6))
    _rise(script)


def _down(script: Script) -> None:
    """To the back on the floor, slowly and in control, by the knees or by sitting."""
    if script.rng.random() < 0.5:
        script.go("half_kneel", pace(script, 0.9, 1.8)).go("all_fours", pace(script, 0.8, 1.6))
        script.go("floor_sit_back", pace(script, 1.0, 2.0))
    else:
        script.go("squat", pace(script, 0.8, 1.6)).go("floor_sit_back", pace(script, 0.8, 1.6))
    _on_floor(script, "on_back_knees", pace(script, 0.9, 2.0)).stay(0.2, 1.5)


def _rise(script: Script) -> None:
    """From sitting or lying on the floor to standing."""
    script.go("floor_sit_back", pace(script, 0.8, 1.8)).go("all_fours", pace(script, 0.9, 1.8))
    script.go("half_kneel", pace(script, 0.8, 1.6)).go("stand", pace(script, 0.8, 1.8)).stay(0.3, 1.5)


def mat_exercise(stage: Stage, script: Script) -> None:
    """Leg raises, sit-ups, bridges, planks on the floor."""
    del stage
    _down(script)
    beat = float(script.rng.uniform(0.6, 1.6))
    for _ in times(script, 1, 2):
        move = choose(script, "legs_up", "leg_up", "sit_up", "bridge", "floor_reach")
        for _ in times(script, 2, 5):
            if move == "bridge":
                script.go(move, beat).stay(0, 0.5)
            else:
                _on_floor(script, move, beat).stay(0, 0.5)
            _on_floor(script, "on_back_knees", beat)
    if script.rng.random() < 0.3:
        script.go("all_fours", pace(script, 1.2, 2.0)).go("plank", 1.0).stay(1, 5).go("all_fours", 1.0)
    _rise(script)


def lie_on_floor(stage: Stage, script: Script) -> None:
    """Lies down on the floor on purpose, rests there, gets up."""
    del stage
    _down(script)
    for _ in times(script, 1, 2):
        pose = choose(script, "on_back", "on_side", "on_back_knees", "on_back_arms")
        _on_floor(script, pose, pace(script, 0.8, 2.0)).stay(2, 8, sway=0.7)
    _rise(script)


KNEELING_ACTS: Final[dict[str, StandingAct]] = {"kneel": kneel, "scrub": scrub, "floor_sit": floor_sit}
ON_PURPOSE_ACTS: Final[dict[str, StandingAct]] = {"mat_exercise": mat_exercise, "lie_on_floor": lie_on_floor}
"""The only acts in which somebody lies on the floor without a fall."""
