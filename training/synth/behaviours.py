"""The catalogue: what happens in a clip, how often, which furniture it needs and where the camera looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synth import everyday, stories
from training.synth.people import Figure
from training.synth.rooms import Room
from training.synth.script import Script


@dataclass
class Stage:
    """What a behaviour writes for: the room, the chance, the people."""

    room: Room
    rng: np.random.Generator
    figures: tuple[Figure, ...]

    def script(self, person: int = 0) -> Script:
        """An empty story for one of the people."""
        return Script(self.figures[person], self.rng, self.room)


Story = Callable[[Stage], list[Script]]


@dataclass(frozen=True)
class Behaviour:
    """One entry of the catalogue.

    group: fall, everyday or still; share: of all clips, in percent; needs: one of these is in the room; window: which
    part of the story is filmed (any, fall, after, start); aim: what the camera looks at (actor, end, near, room).
    """

    story: Story
    group: str
    share: float
    needs: tuple[str, ...] = ()
    people: int = 1
    window: str = "any"
    aim: str = "actor"
    blanket: float = 0.0


SEATS: Final = ("chair", "sofa", "armchair", "bed")

CATALOGUE: Final[dict[str, Behaviour]] = {
    "fall_trip": Behaviour(stories.trip, "fall", 6.5, window="fall"),
    "fall_sideways": Behaviour(stories.sideways, "fall", 5.0, window="fall"),
    "fall_backward": Behaviour(stories.backward, "fall", 5.0, window="fall"),
    "fall_slip": Behaviour(stories.slip, "fall", 3.5, window="fall"),
    "fall_faint": Behaviour(stories.faint, "fall", 5.0, window="fall"),
    "fall_sink": Behaviour(stories.sink, "fall", 3.0, window="fall"),
    "fall_from_seat": Behaviour(stories.from_seat, "fall", 3.5, ("chair", "armchair", "sofa", "bed"), window="fall"),
    "fall_out_of_bed": Behaviour(stories.out_of_bed, "fall", 2.5, ("bed",), window="fall"),
    "fall_sitting_down": Behaviour(stories.sitting_down, "fall", 2.5, ("chair", "armchair", "bed"), window="fall"),
    "fall_beside_another": Behaviour(stories.beside_another, "fall", 3.5, people=2, window="fall"),
    "stand": Behaviour(everyday.stand, "everyday", 3.0),
    "walk": Behaviour(everyday.walk, "everyday", 5.0),
    "walk_in": Behaviour(everyday.walk, "everyday", 2.5, aim="end"),
    "walk_out": Behaviour(everyday.walk_out, "everyday", 2.5, aim="start"),
    "sit_down": Behaviour(everyday.sit_down, "everyday", 3.5, SEATS),
    "sit_hard": Behaviour(everyday.sit_hard, "everyday", 3.0, SEATS),
    "seated": Behaviour(everyday.seated, "everyday", 3.0, SEATS),
    "rise": Behaviour(everyday.rise, "everyday", 2.5, SEATS),
    "pick_up": Behaviour(everyday.pick_up, "everyday", 3.5),
    "pick_up_seated": Behaviour(everyday.pick_up_seated, "everyday", 1.5, SEATS),
    "kneel": Behaviour(everyday.kneel, "everyday", 2.0),
    "squat": Behaviour(everyday.squat, "everyday", 2.5),
    "all_fours": Behaviour(everyday.all_fours, "everyday", 2.0),
    "floor_sit": Behaviour(everyday.floor_sit, "everyday", 2.0),
    "lie_down": Behaviour(everyday.lie_down, "everyday", 3.0, ("bed", "sofa"), blanket=0.15),
    "get_up": Behaviour(everyday.get_up, "everyday", 2.0, ("bed", "sofa"), blanket=0.15),
    "sleep": Behaviour(everyday.sleep, "everyday", 2.5, ("bed", "bed", "sofa"), blanket=0.6),
    "passing": Behaviour(everyday.passing, "everyday", 4.5, people=2, aim="room"),
    "visitor": Behaviour(everyday.visitor, "everyday", 2.0, SEATS, people=2),
    "near": Behaviour(everyday.near, "everyday", 3.0, aim="near"),
    "exercise": Behaviour(everyday.exercise, "everyday", 1.0),
    "floor_still": Behaviour(stories.lying_after, "still", 3.5, window="after"),
    "floor_visited": Behaviour(stories.visited, "still", 1.5, people=2, window="after"),
    "floor_getting_up": Behaviour(stories.getting_up, "still", 1.5, window="after"),
    "floor_on_purpose": Behaviour(stories.on_purpose, "still", 1.5),
    "empty": Behaviour(everyday.empty, "still", 2.5, people=0),
}


def draw_behaviour(rng: np.random.Generator) -> str:
    """A behaviour by its share."""
    names = list(CATALOGUE)
    shares = np.array([CATALOGUE[name].share for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]
