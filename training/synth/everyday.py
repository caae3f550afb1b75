"""Everyday behaviour that must never alarm, hard cases too: sitting down hard, squats, hands and knees, passing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.synth.motion import Xy, random_gait
from training.synth.poses import LYING_POSES, STANDING
from training.synth.rooms import Item, free_spot, way_to
from training.synth.script import Script, bed_spot, open_spot, seat_spot

if TYPE_CHECKING:
    from training.synth.stage import Stage

BEFORE_S = (0.5, 3.0)


def pick(stage: Stage, names: tuple[str, ...]) -> str:
    """One of the names."""
    return str(stage.rng.choice(names))


def seat(stage: Stage, kinds: tuple[str, ...] = ("chair", "sofa", "armchair", "bed")) -> Item:
    """A seat of the room of one of these kinds. Raises LookupError when there is none."""
    seats = [item for item in stage.room.seats if item.kind in kinds]
    if not seats:
        raise LookupError(f"no {' or '.join(kinds)} in the room")
    return seats[int(stage.rng.integers(len(seats)))]


def angle(rng: np.random.Generator) -> float:
    """Any heading."""
    return float(rng.uniform(-np.pi, np.pi))


def standing(stage: Stage, person: int = 0, margin: float = 0.6) -> Script:
    """A story that begins standing at a free place, or walks there."""
    script = stage.script(person)
    spot = open_spot(stage.room, stage.rng, margin)
    if stage.rng.random() < 0.5:
        return script.walk_in(spot)
    return script.start(pick(stage, STANDING), spot, angle(stage.rng)).stay(*BEFORE_S)


def stand(stage: Stage) -> list[Script]:
    """Standing, small changes of posture, turning round."""
    script = stage.script().start("stand", open_spot(stage.room, stage.rng, 0.45), angle(stage.rng))
    for _ in range(5):
        script.go(pick(stage, STANDING), float(stage.rng.uniform(0.6, 1.5)), yaw=angle(stage.rng)).stay(0.2, 3.0)
    return [script]


def walk(stage: Stage) -> list[Script]:
    """Across the room, towards or away from the camera, sometimes back again."""
    gait = random_gait(stage.rng)
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.4), stage.rng, (1.5, 8.0))
    script = stage.script().start("stand", path[0], _heading(path))
    script.walk(path, gait)
    if stage.rng.random() < 0.7:
        back = path[::-1]
        script.go("stand", 0.8, yaw=_heading(back)).walk(back, gait)
    return [script.stay(1, 4)]


def _heading(path: list[Xy]) -> float:
    return float(np.arctan2(path[1][1] - path[0][1], path[1][0] - path[0][0]))


def walk_out(stage: Stage) -> list[Script]:
    """Stands where the camera looks and walks off."""
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.4), stage.rng, (1.5, 8.0))
    return [stage.script().start("stand", path[0], _heading(path)).stay(0.5, 2.0).walk(path).stay(3, 6)]


def _sit(stage: Stage, duration_s: float, poses: tuple[str, ...]) -> list[Script]:
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script = stage.script()
    if stage.rng.random() < 0.6:
        script.walk_in(spot.before)
    else:
        script.start("stand", spot.before, spot.yaw + float(stage.rng.normal(0, 0.5))).stay(0.5, 2)
    return [script.sit(spot, duration_s, pick(stage, poses)).stay(2, 5)]


def sit_down(stage: Stage) -> list[Script]:
    """Sits down at an ordinary or slow pace."""
    return _sit(stage, float(stage.rng.uniform(1.0, 2.8)), ("sit", "sit", "sit_bow", "sit_back"))


def sit_hard(stage: Stage) -> list[Script]:
    """Drops into the seat and leans back: a classic false alarm."""
    script = _sit(stage, float(stage.rng.uniform(0.45, 0.9)), ("sit", "sit_back"))[0]
    spot_z = script.segments[-2].pelvis_m  # type: ignore[attr-defined]
    return [script.go("sit_back", float(stage.rng.uniform(0.4, 1.0)), pelvis_m=spot_z).stay(2, 5)]


def seated(stage: Stage) -> list[Script]:
    """Sits, turns, leans forward and back, moves the arms."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script = stage.script().seated(spot)
    pelvis = spot.top_m + script.figure.seat_m
    for _ in range(4):
        script.stay(0.5, 4.0).go(
            pick(stage, ("sit", "sit_back", "sit_bow", "sit")), float(stage.rng.uniform(0.5, 2)), pelvis_m=pelvis
        )
    return [script.stay(3, 6)]


def rise(stage: Stage) -> list[Script]:
    """Rises from a seat, stands, perhaps walks away."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script = stage.script().seated(spot).stay(*BEFORE_S).rise(spot, float(stage.rng.uniform(0.8, 3.0))).stay(0.3, 2)
    goal = free_spot(stage.room, stage.rng, 0.35)
    if stage.room.clear_way(spot.before, goal):
        script.go("stand", 0.7, yaw=_heading([spot.before, goal])).walk([spot.before, goal])
    return [script.stay(1, 3)]


def pick_up(stage: Stage) -> list[Script]:
    """Bends or crouches for something on the floor and straightens up."""
    script = standing(stage, margin=0.5)
    down, up = (float(v) for v in stage.rng.uniform(0.5, 1.8, 2))
    script.go(pick(stage, ("bend", "bend", "reach_down", "squat")), down).stay(0.1, 1.5)
    return [script.go("stand", up).stay(1, 4)]


def pick_up_seated(stage: Stage) -> list[Script]:
    """Bends forward on the seat to reach the floor (shoes) and sits up again."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script = stage.script().seated(spot).stay(*BEFORE_S)
    pelvis = spot.top_m + script.figure.seat_m
    script.go("sit_bow", float(stage.rng.uniform(0.5, 1.5)), pelvis_m=pelvis).stay(0.3, 3)
    return [script.go("sit", float(stage.rng.uniform(0.6, 1.5)), pelvis_m=pelvis).stay(1, 4)]


def _down_and_up(stage: Stage, ways: tuple[str, ...], poses: tuple[str, ...], quick: float) -> list[Script]:
    """From standing through `ways` to one of `poses` on the floor, later up again."""
    script = standing(stage)
    for way in ways:
        script.go(way, float(stage.rng.uniform(0.4, 1.2)) / quick, ease="through")
    script.go(pick(stage, poses), float(stage.rng.uniform(0.5, 1.4)) / quick).stay(0.5, 4.0)
    if stage.rng.random() < 0.6:
        for way in ways[::-1]:
            script.go(way, float(stage.rng.uniform(0.6, 1.4)))
        script.go("stand", float(stage.rng.uniform(0.6, 1.4)))
    return [script.stay(1, 4)]


def kneel(stage: Stage) -> list[Script]:
    """On one or both knees."""
    return _down_and_up(stage, (), ("kneel", "half_kneel", "kneel_sit"), 1.0)


def squat(stage: Stage) -> list[Script]:
    """A fast crouch, sometimes several."""
    script = standing(stage)
    for _ in range(int(stage.rng.integers(1, 4))):
        script.go("squat", float(stage.rng.uniform(0.35, 0.9))).stay(0.1, 1.5)
        script.go("stand", float(stage.rng.uniform(0.4, 1.0))).stay(0.2, 1.0)
    return [script.stay(1, 3)]


def all_fours(stage: Stage) -> list[Script]:
    """On hands and knees, swaying as when wiping the floor."""
    script = standing(stage, margin=0.8).go("half_kneel", 0.9).go("all_fours", float(stage.rng.uniform(0.6, 1.5)))
    for _ in range(5):
        script.go("all_fours", float(stage.rng.uniform(0.4, 1.0)))
    if stage.rng.random() < 0.5:
        script.go("half_kneel", 1.0).go("stand", 1.2)
    return [script.stay(1, 3)]


def floor_sit(stage: Stage) -> list[Script]:
    """Sits down on the floor and stays, or rises again."""
    return _down_and_up(stage, ("squat",), ("floor_sit", "floor_sit_back", "cross_legged"), 1.0)


def _beds(stage: Stage) -> Item:
    return seat(stage, ("bed", "sofa"))


def lie_down(stage: Stage) -> list[Script]:
    """Sits on the edge, lies down slowly or lets themselves drop back."""
    item = _beds(stage)
    edge, spot = seat_spot(item, stage.room, stage.rng), bed_spot(item, stage.rng)
    script = stage.script()
    if stage.rng.random() < 0.4:
        script.start("stand", edge.before, edge.yaw).stay(0.3, 1.5).sit(edge, float(stage.rng.uniform(0.9, 2.0)))
    else:
        script.seated(edge)
    script.stay(0.3, 2.5)
    pace = float(stage.rng.uniform(0.35, 1.6))
    pelvis = spot.top_m + script.figure.seat_m
    script.go("half_lying", pace, xy=spot.xy, yaw=spot.yaw, pelvis_m=pelvis + 0.04, ease="in")
    script.go(pick(stage, LYING_POSES[:3]), pace, xy=spot.xy, yaw=spot.yaw, support_m=spot.top_m, ease="out")
    return [script.stay(2, 6)]


def get_up(stage: Stage) -> list[Script]:
    """From lying to the edge of the bed, perhaps to standing."""
    item = _beds(stage)
    edge, spot = seat_spot(item, stage.room, stage.rng), bed_spot(item, stage.rng)
    script = stage.script().start("on_back", spot.xy, spot.yaw, support_m=spot.top_m).stay(0.5, 3, sway=0.5)
    pelvis = spot.top_m + script.figure.seat_m
    script.go("half_lying", float(stage.rng.uniform(0.6, 1.5)), yaw=spot.yaw, pelvis_m=pelvis + 0.04, ease="in")
    script.go("sit", float(stage.rng.uniform(0.7, 1.6)), xy=edge.xy, yaw=edge.yaw, pelvis_m=pelvis, ease="out").stay(
        0.5, 3
    )
    if stage.rng.random() < 0.6:
        script.rise(edge, float(stage.rng.uniform(0.9, 2.5)))
    return [script.stay(2, 4)]


def sleep(stage: Stage) -> list[Script]:
    """Lies still, now and then turns over."""
    spot = bed_spot(_beds(stage), stage.rng)
    script = (
        stage.script().start(pick(stage, LYING_POSES), spot.xy, spot.yaw, support_m=spot.top_m).stay(4, 12, sway=0.3)
    )
    if stage.rng.random() < 0.5:
        script.go(
            pick(stage, LYING_POSES), float(stage.rng.uniform(0.8, 2.5)), xy=spot.xy, yaw=spot.yaw, support_m=spot.top_m
        )
    return [script.stay(5, 10, sway=0.3)]


def passing(stage: Stage) -> list[Script]:
    """Two people cross the view and pass each other: the worst false alarm that was measured."""
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.4), stage.rng, (2.0, 8.0))
    scripts = []
    for person, way in enumerate((path, path[::-1])):
        aside = stage.rng.normal(0, 0.12, 2) + (0.22 if person else -0.22)
        moved = [(x + float(aside[0]), y + float(aside[1])) for x, y in way]
        script = stage.script(person).start("stand", moved[0], _heading(moved)).stay(0.0, 1.0)
        script.walk(moved, random_gait(stage.rng, float(stage.rng.uniform(0.6, 1.4)))).stay(0.5, 2)
        scripts.append(script.go("stand", 0.8, yaw=_heading(moved[::-1])).walk(moved[::-1]).stay(3, 5))
    return scripts


def visitor(stage: Stage) -> list[Script]:
    """One sits, a second person walks up, bends to them or stays, and leaves."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    resident = stage.script(0).seated(spot).stay(8, 12)
    guest = stage.script(1)
    beside = (spot.before[0] + float(stage.rng.normal(0, 0.4)), spot.before[1] + float(stage.rng.normal(0, 0.4)))
    goal = beside if stage.room.free(beside, 0.25) else free_spot(stage.room, stage.rng, 0.4)
    guest.walk_in(goal).go(pick(stage, ("bend", "stand", "squat", "half_kneel")), 1.0).stay(1, 4).go("stand", 1.0)
    return [resident, guest.stay(2, 4)]


def near(stage: Stage) -> list[Script]:
    """Moves close under the camera, cut by the frame: walking past, bending, turning."""
    script = standing(stage, margin=0.4)
    for _ in range(3):
        script.go(
            pick(stage, (*STANDING, "bend", "reach_down")), float(stage.rng.uniform(0.5, 1.2)), yaw=angle(stage.rng)
        ).stay(0, 1)
    return [script.stay(2, 4)]


def exercise(stage: Stage) -> list[Script]:
    """Gymnastics: arms up, bends and crouches in quick turn."""
    script = standing(stage)
    for _ in range(7):
        script.go(pick(stage, ("reach_up", "wave", "bend", "squat", "stand")), float(stage.rng.uniform(0.4, 0.9)))
    return [script.stay(1, 2)]


def empty(stage: Stage) -> list[Script]:
    """Nobody."""
    del stage
    return []
