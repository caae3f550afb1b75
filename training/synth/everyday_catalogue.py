"""The everyday and the still rows of the catalogue."""

from __future__ import annotations

from typing import Final

from training.synth import everyday, stories
from training.synth.stage import SEATS, Behaviour

EVERYDAY: Final[dict[str, Behaviour]] = {
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
}

STILL: Final[dict[str, Behaviour]] = {
    "floor_still": Behaviour(stories.lying_after, "still", 3.5, window="after"),
    "floor_visited": Behaviour(stories.visited, "still", 1.5, people=2, window="after"),
    "floor_getting_up": Behaviour(stories.getting_up, "still", 1.5, window="after"),
    "floor_on_purpose": Behaviour(stories.on_purpose, "still", 1.5, on_purpose=True),
    "empty": Behaviour(everyday.empty, "still", 2.5, people=0),
}
