"""Everyday stories of two people: passing, overtaking, standing together, carers at a chair or a bed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.synth.acts import SEATED_ACTS, STANDING_ACTS, choose, pace
from training.synth.acts_low import lie, restless, sleep
from training.synth.everyday import angle, cover_up, pick, seat
from training.synth.motion import Gait, Xy, heading_along, random_gait
from training.synth.rooms import free_spot, way_to
from training.synth.script import Script, Spot, bed_spot, seat_spot

if TYPE_CHECKING:
    from training.synth.stage import Stage


def _shifted(path: list[Xy], aside_m: float) -> list[Xy]:
    """A path moved to its left."""
    yaw = heading_along(path)
    return [(x - aside_m * float(np.sin(yaw)), y + aside_m * float(np.cos(yaw))) for x, y in path]


def _pass(stage: Stage, person: int, path: list[Xy], gait: Gait, wait: tuple[float, float]) -> Script:
    """Waits, walks the path, turns, walks back."""
    script = stage.script(person).start("stand", path[0], heading_along(path)).stay(*wait).walk(path, gait)
    back = path[::-1]
    script.stay(0.2, 1.5).go("stand", pace(script, 0.6, 1.2), yaw=heading_along(back)).walk(back, gait)
    return script.stay(2, 4)


def passing(stage: Stage) -> list[Script]:
    """Two people meet and pass each other shoulder to shoulder: the worst false alarm that was measured."""
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.45), stage.rng, (1.6, 8.0))
    half = float(stage.rng.uniform(0.16, 0.35))
    first = _pass(stage, 0, _shifted(path, half), random_gait(stage.rng), (0.0, 1.0))
    second = _pass(stage, 1, _shifted(path[::-1], half), random_gait(stage.rng), (0.0, 1.5))
    return [first, second]


def overtaking(stage: Stage) -> list[Script]:
    """One walks faster than the other along the same way, or both side by side."""
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.45), stage.rng, (1.6, 8.0))
    half, slow = float(stage.rng.uniform(0.2, 0.35)), float(stage.rng.uniform(0.35, 0.9))
    fast = slow * float(stage.rng.choice([1.0, 1.0, 1.5, 2.0]))
    first = _pass(stage, 0, _shifted(path, half), random_gait(stage.rng, slow), (0.0, 0.3))
    return [first, _pass(stage, 1, _shifted(path, -half), random_gait(stage.rng, min(fast, 1.5)), (0.0, 1.5))]


def crossing(stage: Stage) -> list[Script]:
    """Two ways that cross near the middle of the room at any angle."""
    rng, room = stage.rng, stage.room
    middle = free_spot(room, rng, 0.4)
    paths = []
    for _ in range(80):
        a, b = free_spot(room, rng, 0.35), free_spot(room, rng, 0.35)
        if room.clear_way(a, middle) and room.clear_way(middle, b) and np.hypot(b[0] - a[0], b[1] - a[1]) > 1.2:
            paths.append([a, middle, b])
        if len(paths) == 2:
            break
    else:
        raise LookupError("no ways that cross")
    return [_pass(stage, person, path, random_gait(rng), (0.0, 1.0)) for person, path in enumerate(paths)]


def group(stage: Stage) -> list[Script]:
    """Two people stand together and talk, one before the other as often as not; one leaves or hands something down."""
    rng = stage.rng
    a = free_spot(stage.room, rng, 0.6)
    yaw, apart = angle(rng), float(rng.uniform(0.45, 1.0))
    b = (a[0] + apart * float(np.cos(yaw)), a[1] + apart * float(np.sin(yaw)))
    if not stage.room.free(b, 0.3):
        raise LookupError("no place for two")
    first = stage.script(0).start("stand", a, yaw).stay(0.5, 2)
    second = stage.script(1).start("stand", b, yaw + np.pi).stay(0.2, 2)
    for script in (first, second):
        for _ in range(2):
            STANDING_ACTS[choose(script, "talk", "talk", "pick_up", "reach_up", "squats")](stage, script)
    return [first, second]


def _beside(stage: Stage, spot: Spot) -> Xy:
    """A free place for a carer at the side of somebody on a seat. Raises LookupError when there is none."""
    for side in stage.rng.permutation([-1.0, 1.0]):
        x = spot.before[0] - 0.5 * side * float(np.sin(spot.yaw)) + 0.05 * float(np.cos(spot.yaw))
        y = spot.before[1] + 0.5 * side * float(np.cos(spot.yaw)) + 0.05 * float(np.sin(spot.yaw))
        if stage.room.free((x, y), 0.25):
            return x, y
    raise LookupError("no place beside the seat")


def _come_to(stage: Stage, place: Xy, target: Xy) -> Script:
    """A second person who walks up to a place, or stands there, and faces the target."""
    yaw = heading_along([place, target])
    if stage.rng.random() < 0.6:
        return stage.script(1).walk_in(place, length=(0.8, 4.0)).go("stand", 0.7, yaw=yaw)
    return stage.script(1).start("stand", place, yaw).stay(0.3, 1.5)


def visitor(stage: Stage) -> list[Script]:
    """One sits, a second person walks up, bends, crouches or kneels beside them, stays, rises."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    resident = stage.script(0).seated(spot)
    SEATED_ACTS[choose(resident, "fidget", "watch", "doze", "eat")](stage, resident, spot)
    carer = _come_to(stage, _beside(stage, spot), spot.xy)
    for _ in range(int(stage.rng.integers(1, 3))):
        pose = pick(stage, ("lean_over", "half_kneel", "kneel", "squat", "bend"))
        carer.go(pose, pace(carer, 0.6, 1.5)).stay(1, 5)
    return [resident.stay(2, 6), carer.go("stand", pace(carer, 0.8, 1.5)).stay(1, 3)]


def help_rise(stage: Stage) -> list[Script]:
    """A carer bends to somebody on a seat; both come up together, or the resident is let down into the seat."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    resident, place = stage.script(0), _beside(stage, spot)
    yaw = heading_along([place, spot.xy])
    carer, wait, slow = stage.script(1).start("stand", place, yaw), float(stage.rng.uniform(0.5, 2)), 0.0
    slow = pace(resident, 1.5, 3.5)
    resident.seated(spot).stay(wait + 1.0, wait + 1.0).rise(spot, slow).stay(1, 2.5)
    carer.stay(wait, wait).go("lean_over", 1.0).go("stand", slow).stay(0.8, 2)
    if stage.rng.random() < 0.5:
        resident.sit(spot, slow, "sit_back")
        carer.go("lean_over", slow).stay(0.5, 1).go("stand", 1.0)
    return [resident.stay(1, 4), carer.stay(1, 4)]


def carer_at_bed(stage: Stage) -> list[Script]:
    """Somebody lies in bed; a carer stands, bends over or kneels beside."""
    item = seat(stage, ("bed",))
    spot, edge = bed_spot(item, stage.rng), seat_spot(item, stage.room, stage.rng)
    resident = lie(stage.script(0), spot, pick(stage, ("on_back", "on_side", "propped")), 0.0)
    if stage.rng.random() < 0.5:
        cover_up(stage, resident, item, spot)
    (sleep if stage.rng.random() < 0.5 else restless)(stage, resident, spot)
    carer = _come_to(stage, edge.before, edge.xy)
    for _ in range(int(stage.rng.integers(1, 4))):
        carer.go(pick(stage, ("lean_over", "bend", "kneel", "stand", "half_kneel")), pace(carer, 0.6, 1.5)).stay(0.5, 4)
    return [resident, carer.go("stand", pace(carer, 0.8, 1.5)).stay(1, 3)]
