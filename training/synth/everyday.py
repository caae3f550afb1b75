"""Everyday stories of one person that must never alarm, hard cases too: hard sits, squats, hands and knees, beds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from training.synth.acts import (
    SEATED_ACTS,
    STANDING_ACTS,
    SeatedAct,
    StandingAct,
    carry,
    choose,
    colour,
    pace,
    seat_pelvis,
)
from training.synth.acts_low import KNEELING_ACTS, LYING_ACTS, ON_PURPOSE_ACTS, LyingAct, lie
from training.synth.acts_low import lie_down as go_to_bed
from training.synth.acts_low import sit_up as leave_bed
from training.synth.blanket import Blanket
from training.synth.motion import Gait, heading_along, random_gait
from training.synth.poses import LYING_POSES, STANDING
from training.synth.rooms import Item, free_spot, way_to
from training.synth.script import Script, Spot, bed_spot, open_spot, seat_spot

if TYPE_CHECKING:
    from training.synth.stage import Stage, Story

BEFORE_S = (0.5, 3.0)
SEAT_KINDS = ("chair", "sofa", "armchair", "bed")
ACTS: dict[str, StandingAct] = {**STANDING_ACTS, **KNEELING_ACTS, **ON_PURPOSE_ACTS}


def pick(stage: Stage, names: tuple[str, ...]) -> str:
    """One of the names."""
    return str(stage.rng.choice(names))


def seat(stage: Stage, kinds: tuple[str, ...] = SEAT_KINDS) -> Item:
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


def doing(act: str, margin: float = 0.6, walks_in: float = 0.3) -> Story:
    """The story of somebody who stands (or walks up) and does one act of the table, and is standing afterwards."""

    def story(stage: Stage) -> list[Script]:
        script, spot = stage.script(), open_spot(stage.room, stage.rng, margin)
        if stage.rng.random() < walks_in:
            script.walk_in(spot, length=(0.8, 3.0))
        else:
            script.start("stand", spot, angle(stage.rng)).stay(0.2, 2.0)
        ACTS[act](stage, script)
        return [script.stay(0.5, 2)]

    return story


def seated(act: str, kinds: tuple[str, ...] = SEAT_KINDS) -> Story:
    """The story of somebody who sits and does one act of the table; sometimes sits down first or rises afterwards."""

    def story(stage: Stage) -> list[Script]:
        spot, do = seat_spot(seat(stage, kinds), stage.room, stage.rng), _seated_act(act)
        script = stage.script()
        if stage.rng.random() < 0.3:
            script.start("stand", spot.before, spot.yaw).stay(0.2, 1).sit(spot, pace(script, 0.9, 2.0))
        else:
            script.seated(spot).stay(0.2, 2)
        do(stage, script, spot)
        if stage.rng.random() < 0.2:
            script.rise(spot, pace(script, 0.8, 2.5))
        return [script.stay(0.5, 2)]

    return story


def _seated_act(name: str) -> SeatedAct:
    return SEATED_ACTS[name]


def in_bed(act: str, cover: float = 0.5) -> Story:
    """The story of somebody who lies on a bed or sofa and does one act of the table; `cover`: share under a blanket."""
    do: LyingAct = LYING_ACTS[act]

    def story(stage: Stage) -> list[Script]:
        item = seat(stage, ("bed", "sofa"))
        spot, script = bed_spot(item, stage.rng), stage.script()
        lie(script, spot, pick(stage, LYING_POSES), 0.0).stay(0.5, 3, sway=0.3)
        if stage.rng.random() < cover:
            cover_up(stage, script, item, spot)
        do(stage, script, spot)
        return [script.stay(1, 3, sway=0.3)]

    return story


def cover_up(stage: Stage, script: Script, item: Item, spot: Spot) -> None:
    """Lay a blanket over the person of a script."""
    up_to = pick(stage, ("chest", "chest", "pelvis"))
    half = item.half if item.kind == "bed" else (item.half[1], item.half[0])
    tint = colour(stage.rng)
    stage.props.append(Blanket(stage.prefix(script), tint, item.centre, spot.yaw, half, item.seat_m, up_to))


def walk(stage: Stage) -> list[Script]:
    """Across the room, towards or away from the camera, sometimes back again."""
    script = _walked(stage)
    return [script.stay(1, 4)]


def _walked(stage: Stage, speed: tuple[float, float] = (0.35, 1.4)) -> Script:
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.4), stage.rng, (1.5, 8.0))
    gait = random_gait(stage.rng, float(stage.rng.uniform(*speed)))
    script = stage.script().start("stand", path[0], heading_along(path)).walk(path, gait)
    if stage.rng.random() < 0.7:
        back = path[::-1]
        script.go("stand", 0.8, yaw=heading_along(back)).walk(back, gait)
    return script


def hurry(stage: Stage) -> list[Script]:
    """Hurries, jogs or runs through the room, stops short, perhaps turns and hurries back: staff, grandchildren."""
    rng = stage.rng
    path = way_to(stage.room, free_spot(stage.room, rng, 0.4), rng, (2.0, 8.0))
    gait = Gait(float(rng.uniform(1.4, 2.6)), float(rng.uniform(0.85, 1.1)), 0.0, float(rng.uniform(0.6, 1.2)))
    script = stage.script().start("stand", path[0], heading_along(path)).stay(0.3, 2.0)
    for way in (path, path[::-1], path)[: int(rng.integers(1, 4))]:
        script.go("stand", pace(script, 0.4, 0.9), yaw=heading_along(way)).walk(way, gait)
        script.go("stand", pace(script, 0.3, 0.6)).stay(0.2, 2.0)
    return [script.stay(1, 3)]


def carrying(stage: Stage) -> list[Script]:
    """Walks with a tray, a box or a basket, sets it down with a bend."""
    script = _walked(stage, (0.5, 1.2)).stay(0.3, 1.5)
    carry(stage, script, 0)
    script.go(pick(stage, ("lean_over", "bend")), pace(script, 0.6, 1.3)).stay(0.1, 0.8)
    return [script.go("stand", pace(script, 0.6, 1.3)).stay(0.5, 2)]


def walk_out(stage: Stage) -> list[Script]:
    """Stands where the camera looks and walks off."""
    path = way_to(stage.room, free_spot(stage.room, stage.rng, 0.4), stage.rng, (1.5, 8.0))
    return [stage.script().start("stand", path[0], heading_along(path)).stay(0.5, 2.0).walk(path).stay(3, 6)]


def _to_seat(stage: Stage, spot: Spot) -> Script:
    """A story that comes to stand before a seat."""
    script = stage.script()
    if stage.rng.random() < 0.5:
        return script.walk_in(spot.before, length=(0.8, 3.5))
    return script.start("stand", spot.before, spot.yaw + float(stage.rng.normal(0, 0.5))).stay(0.5, 2)


def sit_down(stage: Stage) -> list[Script]:
    """Sits down at an ordinary or slow pace."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script = _to_seat(stage, spot)
    script.sit(spot, pace(script, 1.0, 2.8), choose(script, "sit", "sit", "sit_bow", "sit_back", "sit_lean"))
    return [script.stay(2, 5)]


def sit_hard(stage: Stage) -> list[Script]:
    """Drops into the seat and leans back: a classic false alarm."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script = _to_seat(stage, spot)
    script.sit(spot, float(stage.rng.uniform(0.4, 0.9)), pick(stage, ("sit", "sit_back")))
    script.go("sit_back", float(stage.rng.uniform(0.35, 1.0)), pelvis_m=seat_pelvis(script, spot)).stay(1, 4)
    return [script.rise(spot, pace(script, 0.8, 2.0)).stay(0.5, 1.5) if stage.rng.random() < 0.3 else script]


def sit_slump(stage: Stage) -> list[Script]:
    """Sits down and stays slumped, head down or to one side."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script = _to_seat(stage, spot).sit(spot, float(stage.rng.uniform(0.6, 2.0)))
    script.go(pick(stage, ("slump", "slump_side", "nod")), pace(script, 0.5, 3.0), pelvis_m=seat_pelvis(script, spot))
    return [script.stay(4, 9, sway=0.5)]


def sit_edge(stage: Stage) -> list[Script]:
    """Nearly misses the chair: sinks slowly, catches the front edge, shuffles back and is seated."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script, hips = _to_seat(stage, spot), 0.0
    hips = seat_pelvis(script, spot)
    edge = tuple(0.55 * a + 0.45 * b for a, b in zip(spot.xy, spot.before, strict=True))
    script.go("stand", 0.9, xy=spot.before, yaw=spot.yaw)
    script.go("rise", pace(script, 0.8, 2.2), xy=edge, yaw=spot.yaw, ease="in")
    script.go("sit_lean", pace(script, 0.5, 1.2), xy=edge, pelvis_m=hips - 0.02).stay(0.2, 1.0)
    script.go("rise", pace(script, 0.5, 1.0), xy=spot.xy, pelvis_m=hips + 0.03)
    return [script.go("sit_back", pace(script, 0.5, 1.2), xy=spot.xy, pelvis_m=hips).stay(1, 4)]


def rise(stage: Stage) -> list[Script]:
    """Rises from a seat at the first or the second try, stands, perhaps walks away."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    script = stage.script().seated(spot).stay(*BEFORE_S)
    if stage.rng.random() < 0.3:
        script.go("rise", pace(script, 0.5, 1.0), pelvis_m=seat_pelvis(script, spot) + 0.12)
        script.go("sit", pace(script, 0.35, 0.9), pelvis_m=seat_pelvis(script, spot)).stay(0.3, 1.5)
    script.rise(spot, pace(script, 0.8, 2.5)).stay(0.3, 2)
    goal = free_spot(stage.room, stage.rng, 0.35)
    if stage.room.clear_way(spot.before, goal):
        script.go("stand", 0.7, yaw=heading_along([spot.before, goal])).walk([spot.before, goal])
    return [script.stay(1, 3)]


def at_seat(pose: str, facing: str) -> Callable[[Stage], list[Script]]:
    """Stands before a seat and takes a pose there (a foot on it, bowed to it); facing: to or from the seat."""

    def story(stage: Stage) -> list[Script]:
        spot = seat_spot(seat(stage, ("chair", "armchair", "sofa")), stage.room, stage.rng)
        yaw = spot.yaw + (np.pi if facing == "to" else 0.0)
        script = _to_seat(stage, spot).go("stand", 0.9, yaw=yaw)
        for _ in range(int(stage.rng.integers(1, 3))):
            script.go(pose, pace(script, 0.5, 1.6)).stay(0.2, 3).go("stand", pace(script, 0.5, 1.5)).stay(0.2, 1)
        return [script.stay(0.5, 2)]

    return story


def lie_down(stage: Stage) -> list[Script]:
    """Sits on the edge, lies down slowly or lets themselves drop back."""
    item = seat(stage, ("bed", "sofa"))
    edge, spot = seat_spot(item, stage.room, stage.rng), bed_spot(item, stage.rng)
    script = stage.script()
    if stage.rng.random() < 0.5:
        script.start("stand", edge.before, edge.yaw).stay(0.3, 1.0).sit(edge, float(stage.rng.uniform(0.7, 2.0)))
    else:
        script.seated(edge)
    script.stay(0.2, 2.0)
    go_to_bed(script, spot, float(stage.rng.uniform(0.6, 3.2)), pick(stage, LYING_POSES))
    return [script.stay(2, 5)]


def get_up(stage: Stage) -> list[Script]:
    """From lying to the edge of the bed, perhaps to standing."""
    item = seat(stage, ("bed", "sofa"))
    edge, spot = seat_spot(item, stage.room, stage.rng), bed_spot(item, stage.rng)
    script = lie(stage.script(), spot, pick(stage, LYING_POSES), 0.0)
    leave_bed(script.stay(0.5, 3, sway=0.5), spot, edge, pace(script, 1.0, 3.0)).stay(0.5, 3)
    if stage.rng.random() < 0.6:
        script.rise(edge, pace(script, 0.9, 2.5))
    return [script.stay(1, 3)]


def near(stage: Stage) -> list[Script]:
    """Moves close under the camera, cut by the frame: walking past, arms raised, bending, turning."""
    script = standing(stage, margin=0.4)
    poses = (*STANDING, "bend", "reach_down", "arms_up", "arms_side", "shirt_over_head", "squat", "lean_over")
    for _ in range(4):
        script.go(pick(stage, poses), float(stage.rng.uniform(0.4, 1.2)), yaw=angle(stage.rng)).stay(0, 1)
    return [script.stay(1, 3)]


def play(stage: Stage) -> list[Script]:
    """A child plays on the floor or on a bed: crouching, kneeling, crawling, hopping about."""
    script = standing(stage, margin=0.7)
    for _ in range(6):
        pose = pick(stage, ("play_low", "squat", "kneel_sit", "cross_legged", "all_fours", "stand", "arms_up", "kneel"))
        script.go(pose, float(stage.rng.uniform(0.35, 1.0)), yaw=angle(stage.rng)).stay(0.1, 2.0)
    return [script.go("stand", 0.6).stay(0.5, 2)]


def empty(stage: Stage) -> list[Script]:
    """Nobody."""
    del stage
    return []
