"""Stories up to a fall: what somebody did, how balance was lost. What comes afterwards is written by aftermath."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from training.synth import falls
from training.synth.aftermath import ending
from training.synth.aids import FRAME, ROLLATOR, Aid, Stick
from training.synth.everyday import angle, pick, seat
from training.synth.motion import Lose, Walk, Xy, heading_along, random_gait
from training.synth.people import Figure
from training.synth.poses import STANDING
from training.synth.rooms import Item
from training.synth.script import Script, bed_spot, open_spot, seat_spot
from training.synth.stumble import Stumble

if TYPE_CHECKING:
    from training.synth.stage import Stage

Kind = Callable[[Figure, np.random.Generator, float], Lose]

STANDING_FALLS: Final[tuple[tuple[Kind, float, float], ...]] = (
    # kind, how often walking before, how often with a rescue step
    (falls.trip, 0.85, 0.4),
    (falls.sideways, 0.6, 0.25),
    (falls.backward, 0.35, 0.35),
    (falls.slip, 0.85, 0.1),
    (falls.faint, 0.4, 0.0),
    (falls.sink, 0.3, 0.0),
)
AID_SHARE: Final = 0.12
RAGS: Final = ((0.55, 0.55, 0.6), (0.3, 0.3, 0.35), (0.7, 0.2, 0.2), (0.75, 0.7, 0.6))
"""Colours of walking aids: aluminium, dark, red, wood."""


def _with_aid(stage: Stage) -> bool:
    """Sometimes give the first person a frame, a rollator or a stick."""
    rng = stage.rng
    if rng.random() >= AID_SHARE:
        return False
    colour = RAGS[int(rng.integers(len(RAGS)))]
    kind = int(rng.integers(3))
    stage.props.append(Stick("a_", colour) if kind == 2 else Aid((FRAME, ROLLATOR)[kind], "a_", colour))
    return True


def heading_at_end(script: Script) -> float:
    """Which way the walk that ends the story goes."""
    walk = script.segments[-1]
    assert isinstance(walk, Walk)
    return heading_along(walk.path[-2:])


def approach(stage: Stage, spot: Xy, walking: float) -> tuple[Script, float, float]:
    """Walks to an open place (with that probability) or stands there: script, heading in rad, speed in m/s."""
    rng, script = stage.rng, stage.script()
    aided = _with_aid(stage)
    if rng.random() >= walking:
        heading = angle(rng)
        script.start("stand" if aided else pick(stage, STANDING), spot, heading).stay(1.0, 5.0)
        return script, heading, 0.0
    speed = float(rng.uniform(0.3, 0.7) if aided else rng.uniform(0.35, 1.4))
    script.walk_in(spot, random_gait(rng, speed), (0.8, 5.0))
    heading = heading_at_end(script)
    script.segments[-1].duration_s *= float(rng.uniform(0.7, 0.97))
    if rng.random() < 0.2:
        heading, speed = angle(rng), 0.0
        script.go(pick(stage, STANDING), float(rng.uniform(0.6, 1.2)), yaw=heading).stay(0.2, 1.5)
    return script, heading, speed


def stumble(stage: Stage, script: Script, toward: float, speed: float) -> None:
    """A jolt and one or two hurried steps along `toward`."""
    rng, seconds = stage.rng, float(stage.rng.uniform(0.3, 0.7))
    after = max(speed, float(rng.uniform(0.6, 1.4)))
    script.lose(falls.jolt(script.figure, rng, toward, "brace"))
    script.segments.append(
        Stumble(seconds, toward, 0.5 * speed + 0.3, after, float(rng.uniform(0.25, 0.6)), float(rng.uniform(0.26, 0.4)))
    )


def standing_fall(stage: Stage, kind: Kind, walking: float, rescue: float) -> Script:
    """Walks or stands at an open place and falls, perhaps after a rescue step. Ends with the loss of balance."""
    rng = stage.rng
    script, heading, speed = approach(stage, open_spot(stage.room, rng, 1.0), walking)
    if rng.random() < 0.12:
        script.go(pick(stage, ("bend", "reach_down", "reach_up")), float(rng.uniform(0.5, 1.2))).stay(0.0, 0.5)
        speed = 0.0
    lose = kind(script.figure, rng, heading)
    if rng.random() < rescue:
        stumble(stage, script, falls.direction(lose), speed)
    return script.lose(lose)


def any_fall(stage: Stage) -> Script:
    """One of the falls from standing, up to the loss of balance."""
    return standing_fall(stage, *STANDING_FALLS[int(stage.rng.integers(len(STANDING_FALLS)))])


def _then(stage: Stage, script: Script) -> list[Script]:
    ending(stage, script)
    return [script]


def trip(stage: Stage) -> list[Script]:
    """Forward while walking."""
    return _then(stage, standing_fall(stage, *STANDING_FALLS[0]))


def sideways(stage: Stage) -> list[Script]:
    """To the side, walking or standing."""
    return _then(stage, standing_fall(stage, *STANDING_FALLS[1]))


def backward(stage: Stage) -> list[Script]:
    """Backward, mostly standing."""
    return _then(stage, standing_fall(stage, *STANDING_FALLS[2]))


def slip(stage: Stage) -> list[Script]:
    """Feet run away."""
    return _then(stage, standing_fall(stage, *STANDING_FALLS[3]))


def faint(stage: Stage) -> list[Script]:
    """Collapse."""
    return _then(stage, standing_fall(stage, *STANDING_FALLS[4]))


def sink(stage: Stage) -> list[Script]:
    """Slow collapse."""
    return _then(stage, standing_fall(stage, *STANDING_FALLS[5]))


def turning(stage: Stage) -> list[Script]:
    """Turns round fast and loses balance on the way, to the outside or backward."""
    rng = stage.rng
    script, heading, _ = approach(stage, open_spot(stage.room, rng, 1.0), 0.6)
    side = float(rng.choice([-1, 1]))
    turned = heading + side * float(rng.uniform(1.2, 3.0))
    script.go("stand", float(rng.uniform(0.5, 1.0)), yaw=turned, ease="in")
    toward = turned - side * np.pi / 2 if rng.random() < 0.6 else turned + np.pi
    reflex = str(rng.choice(["throw_arms", "curl", "slack"]))
    lose = falls.topple(script.figure, rng, toward + float(rng.normal(0, 0.3)), reflex)
    if rng.random() < 0.35:
        stumble(stage, script, toward, 0.0)
    return _then(stage, script.lose(lose))


def from_seat(stage: Stage) -> list[Script]:
    """Sits, mostly near the front edge, then topples off."""
    spot = seat_spot(seat(stage), stage.room, stage.rng)
    share = float(stage.rng.uniform(0.0, 0.45))
    at = (spot.xy[0] + share * (spot.before[0] - spot.xy[0]), spot.xy[1] + share * (spot.before[1] - spot.xy[1]))
    script = stage.script().seated(replace(spot, xy=at)).stay(1.5, 5)
    return _then(stage, script.lose(falls.off_seat(script.figure, stage.rng, spot.yaw)))


def rising(stage: Stage) -> list[Script]:
    """Rises from a seat and goes down half way, or after a first try falls back."""
    rng = stage.rng
    spot = seat_spot(seat(stage), stage.room, rng)
    script = stage.script().seated(spot).stay(0.8, 4)
    if rng.random() < 0.3:
        script.go("rise", float(rng.uniform(0.5, 1.0)), ease="smooth", pelvis_m=spot.top_m + 1.6 * script.figure.seat_m)
        script.go("sit", float(rng.uniform(0.4, 0.8)), pelvis_m=spot.top_m + script.figure.seat_m).stay(0.2, 1.0)
    share = float(rng.uniform(0.5, 1.1))
    way = (
        spot.xy[0] + share * (spot.before[0] - spot.xy[0]),
        spot.xy[1] + share * (spot.before[1] - spot.xy[1]),
    )
    script.go("rise", float(rng.uniform(0.5, 1.4)), xy=way, yaw=spot.yaw, ease="in")
    if share > 0.9 and rng.random() < 0.6:
        script.go("stand", float(rng.uniform(0.5, 1.2)), yaw=spot.yaw)
    kind = (falls.trip, falls.sideways, falls.faint, falls.off_seat)[int(rng.integers(4))]
    return _then(stage, script.lose(kind(script.figure, rng, spot.yaw)))


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
    return _then(stage, script.lose(falls.missed_seat(script.figure, rng, spot.yaw)))


def seat_slide(stage: Stage) -> list[Script]:
    """Slides slowly off the front edge of a seat."""
    rng = stage.rng
    item = seat(stage)
    spot = seat_spot(item, stage.room, rng)
    edge = (0.55 * spot.xy[0] + 0.45 * spot.before[0], 0.55 * spot.xy[1] + 0.45 * spot.before[1])
    script = stage.script()
    script.start(pick(stage, ("sit", "sit_back")), edge, spot.yaw, pelvis_m=spot.top_m + script.figure.seat_m)
    return _then(stage, script.stay(1.5, 5).lose(falls.seat_slide(script.figure, rng, spot.yaw)))


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
    script.stay(0.2, 1.5).lose(falls.out_of_bed(script.figure, rng, item.yaw + side * np.pi / 2))
    return _then(stage, script)


def wall_spot(stage: Stage, from_wall_m: float) -> tuple[Xy, float]:
    """A place before a bare stretch of wall and the way from the wall into the room. Raises LookupError without one."""
    room, rng = stage.room, stage.rng
    for _ in range(40):
        away = float(rng.integers(4)) * np.pi / 2
        along = float(rng.uniform(-0.9, 0.9))
        x, y = np.cos(away), np.sin(away)
        half = room.half[0] if abs(x) > 0.5 else room.half[1]
        width = room.half[1] if abs(x) > 0.5 else room.half[0]
        depth = half - from_wall_m
        spot = (float(-x * depth - y * along * width), float(-y * depth + x * along * width))
        before = (float(spot[0] + 0.4 * x), float(spot[1] + 0.4 * y))
        if room.free(before, 0.38):
            return spot, float(away)
    raise LookupError("no bare wall")


def wall_slide(stage: Stage) -> list[Script]:
    """Leans with the back against a wall and slides down it slowly."""
    script = stage.script()
    spot, away = wall_spot(stage, 0.085 * script.figure.height_m * script.figure.girth)
    script.start("stand", spot, away).stay(1.0, 4.0, sway=0.3)
    return _then(stage, script.lose(falls.wall_slide(script.figure, stage.rng, away)))


def edge_spot(stage: Stage, item: Item) -> tuple[Xy, float]:
    """A free place 0.35-0.6 m outside a side of a piece of furniture, and the way from there to it."""
    rng = stage.rng
    for _ in range(24):
        side, shift = int(rng.integers(4)), float(rng.uniform(-0.8, 0.8))
        gap = float(rng.uniform(0.35, 0.6))
        x, y = np.cos(side * np.pi / 2), np.sin(side * np.pi / 2)
        place = item.world(
            float(x * (item.half[0] + gap) + abs(y) * shift * item.half[0]),
            float(y * (item.half[1] + gap) + abs(x) * shift * item.half[1]),
        )
        if stage.room.free(place, 0.3):
            return place, float(item.yaw + side * np.pi / 2 + np.pi)
    raise LookupError(f"the {item.kind} stands free on no side")


def against(stage: Stage) -> list[Script]:
    """Falls into or along a table, a seat, a cupboard or a wall and then to the floor."""
    rng = stage.rng
    things = [item for item in stage.room.items if item.kind != "rug"]
    if rng.random() < 0.25 or not things:
        spot, away = wall_spot(stage, float(rng.uniform(0.45, 0.9)))
        toward = away + np.pi
    else:
        spot, toward = edge_spot(stage, things[int(rng.integers(len(things)))])
    toward += float(rng.choice([-1, 1])) * float(rng.uniform(0.2, 1.0))
    script, _, speed = approach(stage, spot, 0.5)
    if speed == 0 and rng.random() < 0.5:
        script.go("stand", 0.9, yaw=toward + float(rng.normal(0, 0.8)))
    return _then(stage, script.lose(falls.against(script.figure, rng, toward)))


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
