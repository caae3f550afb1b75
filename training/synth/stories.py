"""Stories around a fall: what happens before, how balance is lost, what comes afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from training.synth import falls
from training.synth.everyday import angle, pick, seat
from training.synth.motion import Lose, Walk, random_gait
from training.synth.people import Figure
from training.synth.poses import STANDING
from training.synth.rooms import free_spot
from training.synth.script import Script, bed_spot, open_spot, seat_spot

if TYPE_CHECKING:
    from training.synth.stage import Stage

Kind = Callable[[Figure, np.random.Generator, float], Lose]

STANDING_FALLS: tuple[Kind, ...] = (
    falls.trip, falls.sideways, falls.backward, falls.slip, falls.faint, falls.sink,
)  # fmt: skip


def _standing_fall(stage: Stage, kind: Kind, walking: float) -> Script:
    """Walks (with that probability) or stands at an open place, and falls."""
    rng = stage.rng
    script, spot = stage.script(), open_spot(stage.room, rng, 1.0)
    if rng.random() < walking:
        script.walk_in(spot, random_gait(rng, float(rng.uniform(0.4, 1.4))), (0.8, 5.0))
        walk = script.segments[-1]
        assert isinstance(walk, Walk)
        (x0, y0), (x1, y1) = walk.path[-2:]
        heading = float(np.arctan2(y1 - y0, x1 - x0))
        walk.duration_s *= float(rng.uniform(0.7, 0.97))
        if rng.random() < 0.35:
            heading = angle(rng)
            script.go(pick(stage, STANDING), float(rng.uniform(0.6, 1.2)), yaw=heading).stay(0.2, 1.5)
    else:
        heading = angle(rng)
        script.start(pick(stage, STANDING), spot, heading).stay(1.0, 5.0)
    if rng.random() < 0.12:
        script.go(pick(stage, ("bend", "reach_down", "reach_up")), float(rng.uniform(0.5, 1.2))).stay(0.0, 0.5)
    return script.lose(kind(script.figure, rng, heading))


def trip(stage: Stage) -> list[Script]:
    """Forward while walking."""
    return [_standing_fall(stage, falls.trip, 0.85)]


def sideways(stage: Stage) -> list[Script]:
    """To the side, walking, turning or standing."""
    return [_standing_fall(stage, falls.sideways, 0.6)]


def backward(stage: Stage) -> list[Script]:
    """Backward, mostly standing."""
    return [_standing_fall(stage, falls.backward, 0.35)]


def slip(stage: Stage) -> list[Script]:
    """Feet run away."""
    return [_standing_fall(stage, falls.slip, 0.85)]


def faint(stage: Stage) -> list[Script]:
    """Collapse."""
    return [_standing_fall(stage, falls.faint, 0.4)]


def sink(stage: Stage) -> list[Script]:
    """Slow collapse."""
    return [_standing_fall(stage, falls.sink, 0.3)]


def from_seat(stage: Stage) -> list[Script]:
    """Sits, then topples or slides off; sometimes in the middle of rising."""
    rng = stage.rng
    spot = seat_spot(seat(stage), stage.room, rng)
    script = stage.script().seated(spot).stay(1.5, 5)
    if rng.random() < 0.4:
        half = ((spot.before[0] + spot.xy[0]) / 2, (spot.before[1] + spot.xy[1]) / 2)
        script.go("rise", float(rng.uniform(0.5, 1.2)), xy=half, yaw=spot.yaw, ease="in")
    return [script.lose(falls.off_seat(script.figure, rng, spot.yaw))]


def sitting_down(stage: Stage) -> list[Script]:
    """Misses the seat while sitting down."""
    rng = stage.rng
    spot = seat_spot(seat(stage, ("chair", "armchair", "bed")), stage.room, rng)
    aside = float(rng.choice([-1, 1])) * float(rng.uniform(0.1, 0.45))
    place = (spot.before[0] - np.sin(spot.yaw) * aside, spot.before[1] + np.cos(spot.yaw) * aside)
    script = stage.script()
    if rng.random() < 0.5:
        script.walk_in(place)
    else:
        script.start("stand", place, spot.yaw).stay(1, 4)
    script.go("stand", 0.8, yaw=spot.yaw).go("rise", float(rng.uniform(0.4, 0.9)), ease="in")
    return [script.lose(falls.missed_seat(script.figure, rng, spot.yaw))]


def out_of_bed(stage: Stage) -> list[Script]:
    """Turns over near the edge and rolls out."""
    rng, item = stage.rng, seat(stage, ("bed",))
    free = [side for side in (-1.0, 1.0) if stage.room.free(item.world(0, side * (item.half[1] + 0.4)), 0.3)]
    if not free:
        raise LookupError("the bed stands against things on both sides")
    side = float(rng.choice(free))
    at = item.world(-0.05, side * (item.half[1] - 0.22))
    script = (
        stage.script().start("on_back", bed_spot(item, rng).xy, item.yaw, support_m=item.seat_m).stay(1, 4, sway=0.5)
    )
    script.go(
        pick(stage, ("on_side", "on_back", "on_front")), float(rng.uniform(0.7, 1.6)), xy=at, support_m=item.seat_m
    )
    return [script.stay(0.2, 1.5).lose(falls.out_of_bed(script.figure, rng, item.yaw + side * np.pi / 2))]


def _any_fall(stage: Stage) -> Script:
    kind = STANDING_FALLS[int(stage.rng.integers(len(STANDING_FALLS)))]
    return _standing_fall(stage, kind, 0.5)


def beside_another(stage: Stage) -> list[Script]:
    """One falls while a second person stands, walks by, or hurries to them."""
    faller, other = _any_fall(stage), stage.script(1)
    loss = sum(segment.duration_s for segment in faller.segments[:-1])
    other.start("stand", free_spot(stage.room, stage.rng, 0.4), angle(stage.rng)).stay(loss, loss + 2)
    if stage.rng.random() < 0.5:
        start = other.segments[0].xy  # type: ignore[attr-defined]
        goal = free_spot(stage.room, stage.rng, 0.4)
        if stage.room.clear_way(start, goal):
            heading = float(np.arctan2(goal[1] - start[1], goal[0] - start[0]))
            other.go("stand", 0.6, yaw=heading).walk([start, goal], random_gait(stage.rng, 1.1))
            other.go(pick(stage, ("stand", "bend", "half_kneel")), 0.9)
    return [faller, other.stay(10, 12)]


def lying_after(stage: Stage) -> list[Script]:
    """Lies on the floor long after the fall."""
    return [_any_fall(stage)]


def visited(stage: Stage) -> list[Script]:
    """Lies on the floor, somebody stands, walks or kneels beside them."""
    scripts = beside_another(stage)
    scripts[1].go(pick(stage, ("half_kneel", "bend", "stand")), 1.2).stay(3, 6)
    return scripts


def getting_up(stage: Stage) -> list[Script]:
    """Falls, lies for some seconds, comes to hands and knees and stands up."""
    script, rng = _any_fall(stage), stage.rng
    script.segments[-1].duration_s = float(rng.uniform(4.0, 6.0))
    for pose in ("all_fours", "half_kneel", "stand"):
        script.go(pose, float(rng.uniform(1.2, 2.6))).stay(0.1, 1.0)
    return [script.stay(2, 5)]


def on_purpose(stage: Stage) -> list[Script]:
    """Lies down on the floor slowly and with control, and stays."""
    rng = stage.rng
    script = stage.script().start("stand", open_spot(stage.room, rng, 1.0), angle(rng)).stay(0.5, 2)
    for pose in (
        "half_kneel",
        pick(stage, ("all_fours", "floor_sit_back")),
        pick(stage, ("on_back", "on_side", "on_back_knees")),
    ):
        script.go(pose, float(rng.uniform(0.9, 2.2)))
    return [script.stay(5, 9)]
