"""What a behaviour is: a story written for a stage of room, people, things and chance, and how it is filmed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from training.synth.mocap import Motions
from training.synth.people import Figure
from training.synth.props import Prop
from training.synth.rooms import Item, Room
from training.synth.script import Script

PREFIXES: Final = ("a_", "b_")
"""What the names of a person's bodies begin with, first person first."""


@dataclass
class Stage:
    """What a behaviour writes for: the room, the chance, the people. It may put things of its own into `props`.

    landing: furniture on which the first person's fall may come to rest; without any it is the floor.
    """

    room: Room
    rng: np.random.Generator
    figures: tuple[Figure, ...]
    props: list[Prop] = field(default_factory=list)
    motions: Motions | None = None
    landing: tuple[Item, ...] = ()

    def script(self, person: int = 0) -> Script:
        """An empty story for one of the people."""
        return Script(self.figures[person], self.rng, self.room, self.motions)

    def prefix(self, script: Script) -> str:
        """What the body names of a script's person begin with."""
        return next(p for p, figure in zip(PREFIXES, self.figures, strict=False) if figure is script.figure)


Story = Callable[[Stage], list[Script]]


@dataclass(frozen=True)
class Behaviour:
    """One entry of the catalogue.

    group: fall, everyday or still; share: of all clips, in percent; needs: one of these is in the room; window: which
    part of the story is filmed (any, fall, after, start); aim: what the camera looks at (actor, end, near, room).
    child: the first person is of a child's size. on_purpose: somebody may lie on the floor without a fall.
    shows: labels without which the physics has not made the story true.
    """

    story: Story
    group: str
    share: float
    needs: tuple[str, ...] = ()
    people: int = 1
    window: str = "any"
    aim: str = "actor"
    blanket: float = 0.0
    child: bool = False
    on_purpose: bool = False
    shows: tuple[str, ...] = ()


SEATS: Final = ("chair", "sofa", "armchair", "bed")


def child_of(figure: Figure, rng: np.random.Generator) -> Figure:
    """The same clothes on a child of 4 to 10 years: 1.02 to 1.40 m, body mass index 15 to 18 (WHO growth reference)."""
    height = float(rng.uniform(1.02, 1.40))
    mass = float(rng.uniform(15, 18)) * height**2
    girth = float(rng.uniform(0.9, 1.1))
    body = figure.body.scaled(height / figure.body.height_m) if figure.body else None
    return replace(figure, height_m=height, mass_kg=mass, girth=girth, stoop_deg=0.0, body=body)
