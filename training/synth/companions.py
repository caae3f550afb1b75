"""Falls with somebody else in the room: passing by, walking along, hurrying to help, lifting up."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from training.synth.aftermath import ending, place_of_fall, rise_by_knees
from training.synth.everyday import angle, pick
from training.synth.motion import Walk, Xy, heading_along, random_gait
from training.synth.rooms import free_spot
from training.synth.script import Script
from training.synth.stories import STANDING_FALLS, any_fall, standing_fall

if TYPE_CHECKING:
    from training.synth.stage import Stage


def _beside(stage: Stage, place: Xy, distance: float) -> tuple[Xy, float]:
    """A free place about `distance` m from a person on the floor, and the heading that faces them."""
    for _ in range(24):
        way = angle(stage.rng)
        spot = (place[0] + distance * float(np.cos(way)), place[1] + distance * float(np.sin(way)))
        if stage.room.free(spot, 0.25):
            return spot, way + np.pi
    raise LookupError("no place beside the fall")


def _comes(stage: Stage, faller: Script, other: Script) -> None:
    """The other stands somewhere until the fall and then hurries over."""
    rng, start = stage.rng, free_spot(stage.room, stage.rng, 0.4)
    spot, facing = _beside(stage, place_of_fall(faller), float(rng.uniform(0.75, 1.1)))
    if not stage.room.clear_way(start, spot, 0.24):
        raise LookupError("no way to the fall")
    reaction = float(rng.uniform(0.3, 2.0))
    other.start("stand", start, angle(rng)).stay(faller.fall_s + reaction, faller.fall_s + reaction)
    heading = heading_along([start, spot])
    other.go("stand", 0.5, yaw=heading).walk([start, spot], random_gait(rng, float(rng.uniform(1.0, 1.5))))
    other.go(pick(stage, ("bend", "half_kneel", "half_kneel", "squat")), float(rng.uniform(0.7, 1.3)), yaw=facing)


def beside_another(stage: Stage) -> list[Script]:
    """One falls while a second person stands about, or hurries to them and bends or kneels."""
    faller, other = any_fall(stage), stage.script(1)
    if stage.rng.random() < 0.5:
        _comes(stage, faller, other)
    else:
        other.start("stand", free_spot(stage.room, stage.rng, 0.4), angle(stage.rng))
        for _ in range(4):
            other.stay(0.5, 3.0).go(pick(stage, ("stand", "think", "wave", "bend")), 1.0, yaw=angle(stage.rng))
    ending(stage, faller)
    return [faller, other.stay(10, 12)]


def walked_along(stage: Stage) -> list[Script]:
    """Two walk side by side, close; one goes down, the other stops, turns and bends over them."""
    rng = stage.rng
    kind, _, rescue = STANDING_FALLS[int(rng.integers(len(STANDING_FALLS)))]
    faller, other = standing_fall(stage, kind, 1.0, rescue), stage.script(1)
    walk = next(segment for segment in faller.segments if isinstance(segment, Walk))
    side = float(rng.choice([-1, 1])) * float(rng.uniform(0.42, 0.65))
    (x0, y0), (x1, y1) = walk.path[0], walk.path[-1]
    length = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-6)
    aside = np.array([-(y1 - y0), x1 - x0]) / length * side
    path = [(float(x + aside[0]), float(y + aside[1])) for x, y in walk.path]
    if not all(stage.room.clear_way(a, b, 0.2) for a, b in pairwise(path)):
        raise LookupError("no room beside the walk")
    heading = heading_along(path)
    other.start("stand", path[0], heading).walk(path, walk.gait)
    other.segments[-1].duration_s = walk.duration_s
    other.stay(0.1, 0.6).go("bend", float(rng.uniform(0.5, 1.0)), yaw=float(np.arctan2(-aside[1], -aside[0])))
    if rng.random() < 0.5:
        other.stay(0.2, 1.0).go("half_kneel", float(rng.uniform(0.8, 1.4)))
    ending(stage, faller)
    return [faller, other.stay(10, 12)]


def helped_up(stage: Stage) -> list[Script]:
    """Somebody comes, bends over the fallen, lifts them by way of kneeling, both stand."""
    rng = stage.rng
    faller, other = any_fall(stage), stage.script(1)
    _comes(stage, faller, other)
    lose = faller.segments[-1]
    lose.duration_s = max(4.5, other.now_s - faller.fall_s + float(rng.uniform(0.5, 2.0)))
    rise_by_knees(stage, faller)
    lifted = faller.now_s - other.now_s
    other.stay(0.1, 0.3).go("reach_down", 0.8).stay(max(0.0, lifted - 3.0), max(0.0, lifted - 2.5)).go("stand", 1.6)
    return [faller.stay(3, 6), other.stay(6, 9)]


def visited(stage: Stage) -> list[Script]:
    """Lies on the floor for long, somebody has come and stands, bends or kneels beside them."""
    faller, other = any_fall(stage), stage.script(1)
    _comes(stage, faller, other)
    for _ in range(4):
        other.stay(1.0, 4.0).go(
            pick(stage, ("half_kneel", "bend", "stand", "squat")), float(stage.rng.uniform(0.8, 1.5))
        )
    return [faller, other.stay(4, 8)]
