"""How balance is lost: each kind is a first push, a reflex and how fast muscles give up. Physics does the rest."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.synth.motion import Lose, Push
from training.synth.people import Figure
from training.synth.poses import varied

LOSE_S: Final = 14.0
"""Long enough for every window after the fall."""


def _toward(angle: float, newton: float, up: float = 0.0) -> tuple[float, float, float]:
    return float(np.cos(angle) * newton), float(np.sin(angle) * newton), up


def _kick(part: str, angle: float, speed: float, figure: Figure, when: tuple[float, float]) -> Push:
    """A push that would give the whole body `speed` m/s along `angle`."""
    newton = figure.mass_kg * speed / (when[1] - when[0])
    return Push(part, _toward(angle, newton), *when)


def _wriggle(rng: np.random.Generator) -> float:
    """Three in five lie still afterwards, the others move their limbs by up to 0.35 rad."""
    return 0.0 if rng.random() < 0.6 else float(rng.uniform(0.06, 0.35))


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
    """The floor is slippery, the feet run away forward."""
    when = (0.0, float(rng.uniform(0.15, 0.3)))
    pushes = (
        _kick("l_shin", heading, float(rng.uniform(0.15, 0.35)), figure, when),
        _kick("r_shin", heading, float(rng.uniform(0.10, 0.35)), figure, when),
        _kick("chest", heading + np.pi, float(rng.uniform(0.2, 0.6)), figure, when),
    )
    return Lose(
        LOSE_S, varied("throw_arms", rng, spread_deg=15), float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.5, 1.3)),
        pushes, slippery=True, wriggle=_wriggle(rng),
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
        pushes, carried=float(rng.uniform(0.5, 0.85)), wriggle=_wriggle(rng),
    )  # fmt: skip


def off_seat(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """From a seat: topple to one side or forward, or slide off the front edge."""
    angle = heading + float(rng.choice([-1.1, -0.5, 0.0, 0.5, 1.1]))
    when = (0.0, float(rng.uniform(0.3, 0.5)))
    pushes = (
        _kick("chest", angle, float(rng.uniform(0.7, 1.3)), figure, when),
        _kick("pelvis", heading, float(rng.uniform(0.7, 1.3)), figure, when),
    )
    return Lose(
        LOSE_S, varied(str(rng.choice(["slack", "curl", "brace"])), rng, spread_deg=12), float(rng.uniform(0.01, 0.08)),
        float(rng.uniform(0.3, 0.9)), pushes, wriggle=_wriggle(rng),
    )  # fmt: skip


def out_of_bed(figure: Figure, rng: np.random.Generator, angle: float) -> Lose:
    """Rolled over the edge of the bed towards `angle`."""
    when = (0.0, float(rng.uniform(0.35, 0.6)))
    speed = float(rng.uniform(0.55, 0.9))
    pushes = tuple(_kick(part, angle, speed * share, figure, when) for part, share in
                   (("pelvis", 0.6), ("chest", 0.7), ("l_thigh", 0.25), ("r_thigh", 0.25)))  # fmt: skip
    return Lose(
        LOSE_S, varied(str(rng.choice(["curl", "slack", "sprawl"])), rng, spread_deg=12),
        float(rng.uniform(0.02, 0.15)), float(rng.uniform(0.2, 0.6)), pushes, wriggle=_wriggle(rng),
    )  # fmt: skip


def missed_seat(figure: Figure, rng: np.random.Generator, heading: float) -> Lose:
    """Half way down the seat is not where it should be: backward onto the floor."""
    when = (0.0, 0.25)
    pushes = (_kick("chest", heading + np.pi + float(rng.normal(0, 0.5)), float(rng.uniform(0.4, 0.9)), figure, when),)
    return Lose(
        LOSE_S, varied("throw_arms", rng, spread_deg=12), float(rng.uniform(0.03, 0.2)), float(rng.uniform(0.3, 0.8)),
        pushes, wriggle=_wriggle(rng),
    )  # fmt: skip
