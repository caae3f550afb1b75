"""Stories with walking aids, wheelchairs and animals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.synth.acts import STANDING_ACTS, choose, colour, pace
from training.synth.aids import FRAME, ROLLATOR, WHEELCHAIR_SEAT_M, Aid, Stick, Wheelchair
from training.synth.everyday import angle, seat
from training.synth.holding import GRIPS, STICK, hold
from training.synth.motion import Gait, Walk, Xy, heading_along, random_gait
from training.synth.pets import Pet
from training.synth.rooms import free_spot, way_to
from training.synth.script import Script, Spot, seat_spot

if TYPE_CHECKING:
    from training.synth.stage import Stage


def _take_aid(stage: Stage, script: Script) -> None:
    """Give the person of a script a frame, a rollator or a stick, and arms that hold it."""
    user, tint = stage.prefix(script), colour(stage.rng)
    kind = str(stage.rng.choice(["frame", "rollator", "stick"]))
    if kind == "stick":
        stage.props.append(Stick(user, tint))
    else:
        shapes, forward = (FRAME, 0.45) if kind == "frame" else (ROLLATOR, 0.40)
        stage.props.append(Aid(shapes, user, tint, forward + float(stage.rng.uniform(-0.05, 0.05))))
    hold(script, STICK if kind == "stick" else GRIPS)


def frail_gait(rng: np.random.Generator) -> Gait:
    """0.2-0.7 m/s, shuffling and unsteady: what walking aids are for."""
    return Gait(float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.8, 1.0)), float(rng.uniform(0.3, 1.0)), 0.1,
                float(rng.uniform(0.0, 0.04)))  # fmt: skip


def walk_aided(stage: Stage) -> list[Script]:
    """Walks with a frame, a rollator or a stick, turns, stands and rests on it."""
    gait = frail_gait(stage.rng)
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.5), stage.rng, (0.8, 4.0))
    script = stage.script().start("stand", path[0], heading_along(path)).walk(path, gait).stay(0.3, 2)
    script.go("stand", pace(script, 1.2, 2.5), yaw=angle(stage.rng)).stay(0.5, 2)
    _take_aid(stage, script)
    return [script]


def sit_aided(stage: Stage) -> list[Script]:
    """Comes with a walking aid to a seat, turns and sits down, or rises and takes it along."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script, gait = stage.script(), frail_gait(stage.rng)
    if stage.rng.random() < 0.6:
        script.walk_in(spot.before, gait, (0.6, 2.0))
        _take_aid(stage, script)
        return [script.sit(spot, pace(script, 1.4, 3.0)).stay(1, 4)]
    script.seated(spot).stay(0.3, 2).rise(spot, pace(script, 1.4, 3.0))
    _take_aid(stage, script)
    return [script.stay(0.5, 2)]


def chair_spot(stage: Stage, xy: Xy, yaw: float) -> Spot:
    """The seat of a wheelchair standing at a place; its user stands up half a metre before it."""
    del stage
    before = (xy[0] + 0.52 * float(np.cos(yaw)), xy[1] + 0.52 * float(np.sin(yaw)))
    return Spot(xy, yaw, WHEELCHAIR_SEAT_M, before)


def _roll(script: Script, goal: Xy, hips: float, speed: float) -> None:
    """Pushes the wheels towards a goal in strokes of about half a metre."""
    start = np.array(script.segments[-1].xy)  # type: ignore[attr-defined]
    way = np.array(goal) - start
    count = max(1, round(float(np.linalg.norm(way)) / 0.45))
    for index in range(1, count + 1):
        x, y = start + way * index / count
        pose = "push_wheels_far" if index % 2 else "push_wheels"
        script.go(pose, 0.45 / speed, xy=(float(x), float(y)), pelvis_m=hips, ease="through")


def wheelchair(stage: Stage) -> list[Script]:
    """Sits in a wheelchair, rolls across the room, perhaps stands up from it."""
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.6), stage.rng, (0.8, 5.0))
    script, spot = stage.script(), chair_spot(stage, path[0], heading_along(path))
    hips = spot.top_m + script.figure.seat_m
    stage.props.append(Wheelchair(stage.prefix(script), colour(stage.rng), path[0], spot.yaw))
    script.seated(spot).stay(0.5, 2)
    speed = float(stage.rng.uniform(0.3, 1.0))
    for goal in path[1:]:
        here = script.segments[0].xy if len(script.segments) == 2 else path[1]  # type: ignore[attr-defined]
        script.go("push_wheels", pace(script, 0.8, 1.8), xy=here, yaw=heading_along([here, goal]), pelvis_m=hips)
        _roll(script, goal, hips, speed)
    script.go("sit", 0.8, pelvis_m=hips).stay(0.3, 2)
    yaw = heading_along(path[-2:])
    last = chair_spot(stage, path[-1], yaw)
    if stage.rng.random() < 0.5 and stage.room.free(last.before, 0.3):
        script.rise(last, pace(script, 1.2, 3.0)).stay(0.5, 3)
        if stage.rng.random() < 0.6:
            script.sit(last, pace(script, 1.0, 2.5)).stay(0.5, 2)
    return [script]


def wheelchair_pushed(stage: Stage) -> list[Script]:
    """A carer pushes somebody in a wheelchair across the room, bends to them, stays."""
    rng = stage.rng
    for _ in range(60):
        a, b = free_spot(stage.room, rng, 0.6), free_spot(stage.room, rng, 0.6)
        length = float(np.hypot(b[0] - a[0], b[1] - a[1]))
        behind = tuple(p - 0.72 * (q - p) / max(length, 1e-6) for p, q in zip(a, b, strict=True))
        if length > 1.0 and stage.room.clear_way((behind[0], behind[1]), b):
            break
    else:
        raise LookupError("no straight way for a wheelchair")
    yaw, speed, wait = heading_along([a, b]), float(rng.uniform(0.35, 0.9)), float(rng.uniform(0.3, 2.0))
    resident, spot = stage.script(0), chair_spot(stage, a, yaw)
    hips = spot.top_m + resident.figure.seat_m
    stage.props.append(Wheelchair(stage.prefix(resident), colour(rng), a, yaw))
    resident.seated(spot).stay(wait, wait)
    resident.go(choose(resident, "sit", "sit_back", "nod"), length / speed, xy=b, pelvis_m=hips, ease="through")
    carer = stage.script(1).start("handles", (behind[0], behind[1]), yaw).stay(wait, wait)
    stop = tuple(q - 0.72 * (q - p) / length for p, q in zip(a, b, strict=True))
    carer.segments.append(Walk([(behind[0], behind[1]), (stop[0], stop[1])], Gait(speed, arms=0.1), carer.figure))
    hold(carer, GRIPS)
    carer.go(choose(carer, "stand", "lean_over", "handles"), pace(carer, 0.6, 1.5)).stay(2, 6)
    return [resident.stay(3, 8), carer]


def pet_on_way(stage: Stage) -> Pet:
    """A cat or a dog that goes about the room."""
    rng, points = stage.rng, [free_spot(stage.room, stage.rng, 0.25)]
    for _ in range(40):
        goal = free_spot(stage.room, rng, 0.25)
        if stage.room.clear_way(points[-1], goal, 0.15):
            points.append(goal)
        if len(points) == 4:
            break
    size = float(rng.choice([rng.uniform(0.26, 0.36), rng.uniform(0.4, 0.75)]))
    return Pet(tuple(points), size, float(rng.uniform(0.3, 1.6)), float(rng.uniform(0.0, 5.0)),
               str(rng.choice(["lie", "stand"])), colour(rng))  # fmt: skip


def with_pet(stage: Stage) -> list[Script]:
    """Somebody stands, walks, bends to an animal that runs about."""
    stage.props.append(pet_on_way(stage))
    script = stage.script()
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.4), stage.rng, (0.8, 4.0))
    script.start("stand", path[0], heading_along(path)).walk(path, random_gait(stage.rng))
    STANDING_ACTS[choose(script, "pick_up", "idle", "squats", "sweep")](stage, script)
    return [script.stay(1, 3)]


def empty_with_pet(stage: Stage) -> list[Script]:
    """Nobody but an animal."""
    stage.props.append(pet_on_way(stage))
    return []
