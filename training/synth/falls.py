"""How balance is lost: each kind is a first push, a reflex and how fast muscles give up. Physics does the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from training.synth.motion import Lose, Push, Wriggle
from training.synth.people import JOINT_INDEX, Figure
from training.synth.poses import varied

LOSE_S: Final = 20.0
"""Long enough for every window after the fall."""

_LIMBS: Final = {
    "arms": [JOINT_INDEX[f"{side}_{name}"] for side in "lr" for name in ("shoulder", "arm_out", "elbow")],
    "one arm": [JOINT_INDEX[f"l_{name}"] for name in ("shoulder", "arm_out", "elbow")],
    "legs": [JOINT_INDEX[f"{side}_{name}"] for side in "lr" for name in ("hip", "knee")],
    "one leg": [JOINT_INDEX[f"r_{name}"] for name in ("hip", "knee", "leg_out")],
    "head": [JOINT_INDEX["neck"], JOINT_INDEX["neck_twist"]],
    "all": list(range(len(JOINT_INDEX))),
}
"""What moves when somebody who has fallen does not lie still."""


def _toward(angle: float, newton: float, up: float = 0.0) -> tuple[float, float, float]:
    return float(np.cos(angle) * newton), float(np.sin(angle) * newton), up


def _kick(part: str, angle: float, speed: float, figure: Figure, when: tuple[float, float]) -> Push:
    """A push that would give the whole body `speed` m/s along `angle`."""
    newton = figure.mass_kg * speed / (when[1] - when[0])
    return Push(part, _toward(angle, newton), *when)


def _wriggle(rng: np.random.Generator) -> Wriggle | None:
    """Half lie still afterwards, the others move some of their limbs by up to 0.5 rad, slowly or in a hurry."""
    if rng.random() < 0.5:
        return None
    moved = np.zeros(len(JOINT_INDEX))
    moved[_LIMBS[str(rng.choice(list(_LIMBS)))]] = float(rng.uniform(0.1, 0.5))
    return Wriggle(moved, float(rng.uniform(0.8, 4.0)))


def direction(lose: Lose) -> float:
    """Where the first push on the trunk sends it, rad in the world."""
    x, y, _ = next(push.force for push in lose.pushes if push.part in ("chest", "pelvis"))
    return float(np.arctan2(y, x))


def jolt(figure: Figure, rng: np.random.Generator, angle: float, reflex: str) -> Lose:
    """A moment without balance that hurried steps may still catch."""
    when = (0.0, 0.2)
    return Lose(
        0.25, varied(reflex, rng), 0.6, 1.0, (_kick("chest", angle, float(rng.uniform(0.3, 0.6)), figure, when),)
    )


def topple(figure: Figure, rng: np.random.Generator, angle: float, reflex: str) -> Lose:
    """Trip, stumble or be pushed: the trunk goes towards `angle` (world), the feet stay behind."""
    when = (0.0, float(rng.uniform(0.12, 0.25)))
    foot = str(rng.choice(["l_shin", "r_shin"]))
    pushes = (
        _kick("chest", angle, float(rng.uniform(0.45, 1.0)), figure, when),
        _kick(foot, angle + np.pi, float(rng.uniform(0.08, 0.22)), figure, when),
    )
    return Lose(
        LOSE_S, varied(reflex, rng, spread_deg=15), float(rng.uniform(0.06, 0.4)), float(rng.uniform(0.4, 1.3)),
        pushes, wriggle=_wriggle(rng),
    )  # fmt: skip


def trip(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """Forward over something, arms out or too late."""
    return topple(figure, rng, heading + float(rng.normal(0, 0.3)), str(rng.choice(["brace", "sprawl", "slack"])))


def sideways(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """To one side."""
    side = float(rng.choice([-1, 1])) * np.pi / 2
    return topple(
        figure, rng, heading + side + float(rng.normal(0, 0.3)), str(rng.choice(["throw_arms", "curl", "slack"]))
    )


def backward(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """Backward, stiff or sitting down on the way."""
    return topple(
        figure, rng, heading + np.pi + float(rng.normal(0, 0.3)), str(rng.choice(["throw_arms", "slack", "curl"]))
    )


def slip(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """The floor is slippery under one foot or both, which run away forward."""
    feet = str(rng.choice(["l", "r", "lr"]))
    when = (0.0, float(rng.uniform(0.15, 0.3)))
    pushes = (
        *(_kick(f"{foot}_shin", heading, float(rng.uniform(0.12, 0.35)), figure, when) for foot in feet),
        _kick("chest", heading + np.pi, float(rng.uniform(0.2, 0.6)), figure, when),
    )
    return Lose(
        LOSE_S, varied("throw_arms", rng, spread_deg=15), float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.5, 1.3)),
        pushes, slippery=feet, slip_s=float(rng.uniform(0.4, 1.5)), wriggle=_wriggle(rng),
    )  # fmt: skip


def faint(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """All muscles let go and the knees give way; the direction is chance."""
    angle = heading + float(rng.uniform(-np.pi, np.pi))
    pushes = (_kick("chest", angle, float(rng.uniform(0.15, 0.5)), figure, (0.0, 0.3)),)
    return Lose(
        LOSE_S,
        varied("slack", rng, spread_deg=12),
        float(rng.uniform(0.01, 0.04)),
        float(rng.uniform(0.25, 0.8)),
        pushes,
    )


def sink(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """A slow collapse: part of the weight is still held for two seconds (a hand on furniture, a wall)."""
    angle = heading + float(rng.uniform(-np.pi, np.pi))
    pushes = (_kick("chest", angle, float(rng.uniform(0.2, 0.5)), figure, (0.8, 1.3)),)
    return Lose(
        LOSE_S, varied("slack", rng, spread_deg=12), float(rng.uniform(0.01, 0.05)), float(rng.uniform(0.8, 1.6)),
        pushes, carried=float(rng.uniform(0.5, 0.85)), carry_s=float(rng.uniform(1.5, 3.0)),
        sinks_m_s=float(rng.uniform(0.6, 2.0)), wriggle=_wriggle(rng),
    )  # fmt: skip


def off_seat(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """From a seat: topple to one side or forward, or slide off the front edge; a second push frees who hangs on it."""
    angle = heading + float(rng.choice([-1.1, -0.5, 0.0, 0.5, 1.1]))
    when = (0.0, float(rng.uniform(0.3, 0.5)))
    pushes = (
        _kick("chest", angle, float(rng.uniform(0.7, 1.3)), figure, when),
        _kick("pelvis", heading, float(rng.uniform(0.7, 1.3)), figure, when),
        _kick("pelvis", angle, float(rng.uniform(0.5, 1.0)), figure, (1.0, 1.4)),
    )
    return Lose(
        LOSE_S, varied(str(rng.choice(["slack", "curl", "brace"])), rng, spread_deg=12), float(rng.uniform(0.01, 0.08)),
        float(rng.uniform(0.3, 0.9)), pushes, wriggle=_wriggle(rng),
    )  # fmt: skip


def out_of_bed(figure: Figure, rng: np.random.Generator, angle: float) -> Lose:
    """Rolled over the edge of the bed towards `angle`, in two turns where one is not enough."""
    when = (0.0, float(rng.uniform(0.35, 0.6)))
    speed = float(rng.uniform(0.55, 0.9))
    again = when[1] + float(rng.uniform(0.3, 0.6))
    pushes = tuple(
        _kick(part, angle, speed * share, figure, at)
        for at in (when, (again, again + 0.4))
        for part, share in (("pelvis", 0.6), ("chest", 0.7), ("l_thigh", 0.25), ("r_thigh", 0.25))
    )
    return Lose(
        LOSE_S, varied(str(rng.choice(["curl", "slack", "sprawl"])), rng, spread_deg=12),
        float(rng.uniform(0.02, 0.15)), float(rng.uniform(0.2, 0.6)), pushes, wriggle=_wriggle(rng),
    )  # fmt: skip


def onto(figure: Figure, rng: np.random.Generator, angle: float) -> Lose:
    """Over the edge of a bed or a sofa towards `angle`: hips and trunk go together, the knees give way or not."""
    when = (0.0, float(rng.uniform(0.15, 0.4)))
    speed = float(rng.uniform(0.8, 1.4))
    pushes = (_kick("chest", angle, 0.6 * speed, figure, when), _kick("pelvis", angle, 0.5 * speed, figure, when))
    reflex = str(rng.choice(["sprawl", "slack", "throw_arms", "brace"]))
    return Lose(
        LOSE_S, varied(reflex, rng, spread_deg=15), float(rng.uniform(0.02, 0.2)), float(rng.uniform(0.4, 1.2)),
        pushes, wriggle=_wriggle(rng),
    )  # fmt: skip


def missed_seat(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """Half way down the seat is not where it should be: backward onto the floor."""
    when = (0.0, 0.25)
    pushes = (_kick("chest", heading + np.pi + float(rng.normal(0, 0.5)), float(rng.uniform(0.4, 0.9)), figure, when),)
    return Lose(
        LOSE_S, varied("throw_arms", rng, spread_deg=12), float(rng.uniform(0.03, 0.2)), float(rng.uniform(0.3, 0.8)),
        pushes, wriggle=_wriggle(rng),
    )  # fmt: skip


def wall_slide(figure: Figure, rng: np.random.Generator, away: float) -> Lose:
    """The back slides down a wall, the feet give way along the floor; `away` points from the wall into the room.

    Three in five stay sitting, leaned back; the others tip over to one side.
    """
    carry_s = float(rng.uniform(3.0, 5.0))
    sits = rng.random() < 0.6
    weight = figure.mass_kg * 9.81
    lean = Push("chest", _toward(away + np.pi, 0.22 * weight), 0.0, LOSE_S if sits else carry_s + 1.0)
    tone = (Push("chest", (0.0, 0.0, 0.3 * weight), 0.6 * carry_s, LOSE_S),) if sits else ()
    aside = away + float(rng.choice([-1, 1])) * np.pi / 2
    topples = () if sits else (_kick("chest", aside, 0.9, figure, (carry_s + 0.5, carry_s + 1.0)),)
    return Lose(
        LOSE_S, varied("floor_sit_back", rng, spread_deg=8), float(rng.uniform(0.05, 0.12)),
        float(rng.uniform(0.4, 1.0)), (lean, *tone, *topples), slippery="lr", slip_s=carry_s + 1.5,
        carried=float(rng.uniform(0.3, 0.5)), carry_s=carry_s,
        sinks_m_s=float(rng.uniform(0.5, 1.1)), wriggle=_wriggle(rng),
    )  # fmt: skip


def seat_slide(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """Hips slide slowly over the front edge of a seat, the back along it."""
    carry_s = float(rng.uniform(1.5, 3.5))
    pushes = (
        Push("pelvis", _toward(heading, float(rng.uniform(0.4, 0.6)) * figure.mass_kg * 9.81), 0.0, 0.8 * carry_s),
        Push("chest", _toward(heading + np.pi, 0.08 * figure.mass_kg * 9.81), 0.0, carry_s),
    )
    return Lose(
        LOSE_S, varied("floor_sit", rng, spread_deg=10), float(rng.uniform(0.04, 0.12)), float(rng.uniform(0.3, 0.8)),
        pushes, slippery="lr", slip_s=carry_s, carried=float(rng.uniform(0.4, 0.55)), carry_s=carry_s,
        sinks_m_s=float(rng.uniform(0.3, 0.8)), wriggle=_wriggle(rng),
    )  # fmt: skip


def against(figure: Figure, rng: np.random.Generator, angle: float) -> Lose:
    """Into a wall or a piece of furniture towards `angle`, then off it to the floor."""
    lose = topple(figure, rng, angle, str(rng.choice(["brace", "slack", "throw_arms"])))
    off = angle + np.pi + float(rng.choice([-1, 1])) * float(rng.uniform(0.3, 1.2))
    begins = float(rng.uniform(0.8, 1.5))
    speed = float(rng.uniform(0.5, 0.9))
    rolls = tuple(_kick(part, off, speed * share, figure, (begins, begins + 0.4)) for part, share in
                  (("pelvis", 0.6), ("chest", 0.5)))  # fmt: skip
    return replace(lose, left=min(lose.left, 0.15), pushes=(*lose.pushes, *rolls))
