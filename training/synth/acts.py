"""What people do standing or seated at a place, written onto a script; each act ends in the posture it began in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from training.synth.aids import BASKET, BOOK, BOX, BROOM, PLATE, TRAY, Aid, InHand
from training.synth.holding import CARRY, hold
from training.synth.motion import heading_along
from training.synth.poses import STANDING
from training.synth.props import Rgb
from training.synth.script import Script, Spot

if TYPE_CHECKING:
    from training.synth.stage import Stage

StandingAct = Callable[["Stage", Script], None]
SeatedAct = Callable[["Stage", Script, Spot], None]


def pace(script: Script, quick_s: float, slow_s: float) -> float:
    """A duration between quick and slow, longer the more stooped (old) the person is."""
    frail = min(1.0, script.figure.stoop_deg / 26.0)
    return float(script.rng.uniform(quick_s, slow_s)) * (1.0 + 0.6 * frail * float(script.rng.random()))


def times(script: Script, low: int, high: int) -> range:
    """A random number of repetitions, both ends included."""
    return range(int(script.rng.integers(low, high + 1)))


def choose(script: Script, *names: str) -> str:
    """One of the names."""
    return str(script.rng.choice(names))


def colour(rng: np.random.Generator) -> Rgb:
    """The colour of a thing: any lightness, little saturation."""
    value = float(rng.uniform(0.08, 0.95))
    r, g, b = np.clip(value * (1 + rng.normal(0, 0.2, 3)), 0.03, 1.0)
    return float(r), float(g), float(b)


def turn(script: Script) -> float:
    """Any heading."""
    return float(script.rng.uniform(-np.pi, np.pi))


def idle(stage: Stage, script: Script) -> None:
    """Stands, turns, gestures."""
    del stage
    for _ in times(script, 1, 4):
        script.go(choose(script, *STANDING, "arms_side"), pace(script, 0.5, 1.4), yaw=turn(script)).stay(0.2, 3.0)
    script.go("stand", pace(script, 0.5, 1.2))


def pick_up(stage: Stage, script: Script) -> None:
    """Bends or crouches for something on the floor, and straightens up."""
    del stage
    script.go(choose(script, "bend", "bend", "reach_down", "squat"), pace(script, 0.45, 1.6)).stay(0.1, 1.5)
    script.go("stand", pace(script, 0.5, 1.8)).stay(0.2, 1.5)


def squats(stage: Stage, script: Script) -> None:
    """Crouches in quick turn, or once for longer."""
    del stage
    quick = float(script.rng.uniform(0.3, 1.0))
    for _ in times(script, 1, 5):
        script.go("squat", quick * float(script.rng.uniform(0.9, 1.4))).stay(0.0, 1.0 if quick < 0.6 else 4.0)
        script.go("stand", quick * float(script.rng.uniform(0.9, 1.6))).stay(0.1, 0.8)


def reach_up(stage: Stage, script: Script) -> None:
    """Takes something from a high shelf, or both arms to a lamp or a curtain rail."""
    del stage
    for _ in times(script, 1, 3):
        script.go(choose(script, "reach_up", "arms_up", "curtain_near"), pace(script, 0.5, 1.3)).stay(0.2, 2.0)
        script.go("stand", pace(script, 0.5, 1.2)).stay(0.1, 1.0)


def curtains(stage: Stage, script: Script) -> None:
    """Draws curtains: arms high, apart and together."""
    del stage
    for _ in times(script, 1, 3):
        script.go("curtain_near", pace(script, 0.5, 1.0)).go("curtain_far", pace(script, 0.5, 1.2))
    script.go("stand", pace(script, 0.5, 1.0)).stay(0.2, 1.5)


def sweep(stage: Stage, script: Script) -> None:
    """Sweeps or mops, moving along."""
    start, began = len(script.segments), script.now_s
    stroke = pace(script, 0.5, 1.0)
    for index in times(script, 6, 12):
        pose = "sweep_left" if index % 2 else "sweep_right"
        script.go(pose, stroke, yaw=heading(script, start) + float(script.rng.normal(0, 0.15)), ease="smooth")
    span = (began, script.now_s)
    stage.props.append(Aid(BROOM, stage.prefix(script), colour(script.rng), 0.75, sweep_m=0.25, span=span))
    script.go("stand", pace(script, 0.5, 1.0)).stay(0.2, 1.0)


def heading(script: Script, index: int) -> float:
    """Which way the person faces before a piece of the script; 0 where no piece says so."""
    for segment in reversed(script.segments[:index]):
        yaw = getattr(segment, "yaw", None)
        if yaw is not None:
            return float(yaw)
        path = getattr(getattr(segment, "inner", segment), "path", None)
        if path is not None:
            return heading_along(path[-2:])
    return 0.0


def gymnastics(stage: Stage, script: Script) -> None:
    """Standing exercise: arms up and out, bends, lunges, side stretches."""
    del stage
    beat = float(script.rng.uniform(0.45, 1.4))
    moves = ("arms_up", "arms_side", "side_stretch", "lunge", "bend", "squat", "wave")
    chosen = script.rng.choice(moves, 2, replace=False)
    for index in times(script, 4, 9):
        script.go(str(chosen[index % 2]), beat).go("stand", 0.9 * beat)


def dress(stage: Stage, script: Script) -> None:
    """Pulls a jumper over the head, steps into trousers, pulls them up."""
    del stage
    for _ in times(script, 1, 2):
        script.go("sleeve", pace(script, 0.6, 1.4)).stay(0.1, 1.0)
        script.go("shirt_over_head", pace(script, 0.6, 1.3)).stay(0.2, 1.2)
    for _ in times(script, 0, 2):
        script.go("one_leg", pace(script, 0.7, 1.5)).stay(0.1, 0.8).go("pull_up", pace(script, 0.5, 1.2)).stay(0.1, 0.6)
    script.go("stand", pace(script, 0.6, 1.2)).stay(0.2, 1.5)


def talk(stage: Stage, script: Script) -> None:
    """Telephones or talks with the hands."""
    del stage
    for _ in times(script, 2, 5):
        script.go(choose(script, "think", "wave", "stand", "lean_over"), pace(script, 0.5, 1.5)).stay(0.3, 3.0)
    script.go("stand", pace(script, 0.5, 1.0))


STANDING_ACTS: Final[dict[str, StandingAct]] = {
    "idle": idle, "pick_up": pick_up, "squats": squats, "reach_up": reach_up, "curtains": curtains, "sweep": sweep,
    "gymnastics": gymnastics, "dress": dress, "talk": talk,
}  # fmt: skip


def seat_pelvis(script: Script, spot: Spot) -> float:
    """Height of the hips of this person on this seat."""
    return spot.top_m + script.figure.seat_m


def _on_seat(script: Script, spot: Spot, poses: tuple[str, ...], duration_s: float) -> Script:
    return script.go(choose(script, *poses), duration_s, xy=spot.xy, yaw=spot.yaw, pelvis_m=seat_pelvis(script, spot))


def fidget(stage: Stage, script: Script, spot: Spot) -> None:
    """Turns, leans forward, back and to the side."""
    del stage
    for _ in times(script, 2, 5):
        _on_seat(script, spot, ("sit", "sit_back", "sit_bow", "sit_lean", "sit_twist"), pace(script, 0.5, 2)).stay(
            0.3, 4
        )
    _on_seat(script, spot, ("sit",), pace(script, 0.5, 1.2))


def watch(stage: Stage, script: Script, spot: Spot) -> None:
    """Watches television: leans back, hardly moves."""
    del stage
    _on_seat(script, spot, ("sit_back", "sit"), pace(script, 0.6, 1.5)).stay(4, 12, sway=0.6)


def doze(stage: Stage, script: Script, spot: Spot) -> None:
    """Falls asleep sitting: head drops, slumps back or to one side, stays so."""
    del stage
    _on_seat(script, spot, ("sit_back", "nod"), pace(script, 0.8, 2.0)).stay(0.5, 2)
    _on_seat(script, spot, ("slump", "slump_side", "nod"), pace(script, 0.7, 3.5)).stay(4, 12, sway=0.4)
    _on_seat(script, spot, ("sit",), pace(script, 0.8, 2.0))


def seated_exercise(stage: Stage, script: Script, spot: Spot) -> None:
    """Arm raises, leg lifts, marching, twists on the chair."""
    del stage
    beat = float(script.rng.uniform(0.45, 1.5))
    move = choose(script, "sit_arms_up", "sit_arms_side", "sit_leg_out", "sit_march", "sit_twist")
    for _ in times(script, 3, 7):
        _on_seat(script, spot, (move,), beat).stay(0.0, 0.6)
        _on_seat(script, spot, ("sit",), 0.9 * beat)


def tie_shoes(stage: Stage, script: Script, spot: Spot) -> None:
    """Bows to the feet on the seat, to tie shoes or pick up something, and comes up again."""
    del stage
    for _ in times(script, 1, 2):
        _on_seat(script, spot, ("sit_bow",), pace(script, 0.45, 1.6)).stay(0.3, 4)
        _on_seat(script, spot, ("sit",), pace(script, 0.5, 1.6)).stay(0.3, 2)


def eat(stage: Stage, script: Script, spot: Spot) -> None:
    """Eats or drinks: one hand to the mouth and back."""
    began = script.now_s
    for _ in times(script, 2, 6):
        _on_seat(script, spot, ("hand_to_plate",), pace(script, 0.5, 1.2)).stay(0.1, 1.5)
        _on_seat(script, spot, ("hand_to_mouth",), pace(script, 0.5, 1.0)).stay(0.1, 0.8)
    span = (began + 0.5, script.now_s)
    stage.props.append(InHand(PLATE, stage.prefix(script), colour(script.rng), 0.06, 0.02, "l", span))
    _on_seat(script, spot, ("sit",), pace(script, 0.5, 1.2))


def read(stage: Stage, script: Script, spot: Spot) -> None:
    """Holds a book or a tablet."""
    began = script.now_s
    _on_seat(script, spot, ("read",), pace(script, 0.6, 1.5)).stay(4, 12, sway=0.8)
    span = (began + 0.5, script.now_s)
    stage.props.append(InHand(BOOK, stage.prefix(script), colour(script.rng), 0.03, 0.05, span=span))
    _on_seat(script, spot, ("sit",), pace(script, 0.5, 1.2))


SEATED_ACTS: Final[dict[str, SeatedAct]] = {
    "fidget": fidget, "watch": watch, "doze": doze, "seated_exercise": seated_exercise, "tie_shoes": tie_shoes,
    "eat": eat, "read": read,
}  # fmt: skip


def carry(stage: Stage, script: Script, start: int) -> None:
    """From piece `start` of the script up to now both hands carry a tray, a box or a laundry basket."""
    shapes = (TRAY, BOX, BASKET)[int(script.rng.integers(3))]
    span = (sum(segment.duration_s for segment in script.segments[:start]), script.now_s)
    stage.props.append(InHand(shapes, stage.prefix(script), colour(script.rng), span=span))
    hold(script, CARRY, start)
