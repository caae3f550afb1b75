"""Falls that end on a bed or a sofa, falls out of a wheelchair, and how people let themselves drop on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from training.synth import falls
from training.synth.acts import pace
from training.synth.acts_low import lie, sit_up
from training.synth.aftermath import ending
from training.synth.everyday import pick, seat
from training.synth.motion import Lose, Xy
from training.synth.poses import LYING_POSES
from training.synth.rooms import Item
from training.synth.script import Script, Spot, bed_spot, seat_spot
from training.synth.stories import approach, stumble

if TYPE_CHECKING:
    from training.synth.stage import Stage


def _between(a: Xy, b: Xy, share: float) -> Xy:
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


def _beside(stage: Stage, item: Item) -> tuple[Xy, float]:
    """A free place 0.24-0.4 m before a bed's long side or a sofa's front, and the way from there onto it."""
    spot, gap = seat_spot(item, stage.room, stage.rng), float(stage.rng.uniform(0.24, 0.4))
    further = gap - item.distance(spot.before)
    x, y = spot.before
    place = (x + further * float(np.cos(spot.yaw)), y + further * float(np.sin(spot.yaw)))
    if not stage.room.free(place, 0.22):
        raise LookupError(f"no place beside the {item.kind}")
    return place, spot.yaw + np.pi


def onto_bed(stage: Stage) -> list[Script]:
    """Walks along or stands beside a bed or a sofa, loses balance and goes down onto it; stays there or sits up."""
    rng, item = stage.rng, seat(stage, ("bed", "sofa"))
    stage.landing = (item,)
    place, toward = _beside(stage, item)
    script, _, speed = approach(stage, place, 0.5)
    if speed == 0 and rng.random() < 0.8:
        facing = toward + float(rng.choice([0.0, np.pi, np.pi, np.pi / 2, -np.pi / 2])) + float(rng.normal(0, 0.3))
        script.go("stand", 0.9, yaw=facing).stay(0.1, 1.5)
    toward += float(rng.normal(0, 0.25))
    if rng.random() < 0.25:
        stumble(stage, script, toward, 0.3)
    script.lose(falls.onto(script.figure, rng, toward))
    if rng.random() < 0.3:
        _sits_up(stage, script, item)
    return [script]


def _sits_up(stage: Stage, script: Script, item: Item) -> None:
    """Some seconds after the landing turns on the back, comes to the edge and sits."""
    lose, edge = script.segments[-1], seat_spot(item, stage.room, stage.rng)
    assert isinstance(lose, Lose)
    script.segments[-1] = replace(lose, duration_s=float(stage.rng.uniform(4.5, 7.0)), wriggle=None)
    sit_up(script, bed_spot(item, stage.rng), edge, pace(script, 1.5, 3.0)).stay(3, 6)


def drops_onto_bed(stage: Stage) -> list[Script]:
    """Drops onto a bed or sofa on purpose: onto the edge, then flat on the back or lengthwise at once."""
    rng, item = stage.rng, seat(stage, ("bed", "sofa"))
    edge, script = seat_spot(item, stage.room, stage.rng), stage.script()
    if rng.random() < 0.5:
        script.walk_in(edge.before, length=(0.8, 3.5))
    else:
        script.start("stand", edge.before, edge.yaw + float(rng.normal(0, 0.5))).stay(0.5, 2)
    script.sit(edge, float(rng.uniform(0.4, 0.8)), "sit_back")
    hips = edge.top_m + script.figure.seat_m
    if item.kind == "sofa" or rng.random() < 0.5:
        script.go("legs_over", float(rng.uniform(0.25, 0.5)), pelvis_m=hips + 0.06, ease="in")
        lie(script, bed_spot(item, rng), pick(stage, LYING_POSES), float(rng.uniform(0.5, 0.9)), "out")
    else:
        script.go("flat_from_edge", float(rng.uniform(0.35, 0.8)), pelvis_m=hips + 0.02, ease="in")
    return [script.stay(2, 5, sway=0.5)]


def _wheelchair(stage: Stage) -> tuple[Spot, Script]:
    """The seat of the parked wheelchair and an empty story."""
    return seat_spot(seat(stage, ("wheelchair",)), stage.room, stage.rng), stage.script()


def out_of_wheelchair(stage: Stage) -> list[Script]:
    """Reaches forward or nods off in a wheelchair and topples out of it."""
    rng = stage.rng
    spot, script = _wheelchair(stage)
    hips = spot.top_m + script.figure.seat_m
    at = _between(spot.xy, spot.before, float(rng.uniform(0.15, 0.45)))
    script.seated(replace(spot, xy=at)).stay(1.0, 4.0)
    if rng.random() < 0.7:
        script.go("sit_bow", float(rng.uniform(0.5, 1.6)), pelvis_m=hips).stay(0.0, 1.2)
    else:
        script.go(pick(stage, ("nod", "slump")), float(rng.uniform(0.8, 2.5)), pelvis_m=hips).stay(0.5, 3.0)
    script.lose(falls.off_seat(script.figure, rng, spot.yaw))
    ending(stage, script)
    return [script]


def slides_out_of_wheelchair(stage: Stage) -> list[Script]:
    """Slides slowly over the front edge of a wheelchair."""
    spot, script = _wheelchair(stage)
    edge = replace(spot, xy=_between(spot.xy, spot.before, 0.45))
    script.seated(edge, pick(stage, ("sit", "sit_back"))).stay(1.5, 5.0)
    script.lose(falls.seat_slide(script.figure, stage.rng, spot.yaw))
    ending(stage, script)
    return [script]
