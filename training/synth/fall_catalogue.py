"""The rows of the catalogue that falls own: falls, what is filmed long after one, and balance caught in time."""

from __future__ import annotations

from typing import Final

from training.synth import companions, furniture_falls, near_falls, stories
from training.synth.aftermath import gets_up
from training.synth.script import Script
from training.synth.stage import SEATS, Behaviour, Stage


def _lying_after(stage: Stage) -> list[Script]:
    """Lies on the floor for 10 to 60 s."""
    script = stories.any_fall(stage)
    script.segments[-1].duration_s = float(stage.rng.uniform(10.0, 60.0))
    return [script]


def _getting_up(stage: Stage) -> list[Script]:
    """Falls, lies for some seconds and gets up."""
    script = stories.any_fall(stage)
    gets_up(stage, script)
    return [script]


FALLS: Final[dict[str, Behaviour]] = {
    "fall_trip": Behaviour(stories.trip, "fall", 5.5, window="fall"),
    "fall_sideways": Behaviour(stories.sideways, "fall", 3.5, window="fall"),
    "fall_backward": Behaviour(stories.backward, "fall", 3.5, window="fall"),
    "fall_slip": Behaviour(stories.slip, "fall", 3.0, window="fall"),
    "fall_faint": Behaviour(stories.faint, "fall", 3.5, window="fall"),
    "fall_sink": Behaviour(stories.sink, "fall", 2.5, window="fall"),
    "fall_turning": Behaviour(stories.turning, "fall", 2.5, window="fall"),
    "fall_from_seat": Behaviour(stories.from_seat, "fall", 2.5, SEATS, window="fall"),
    "fall_rising": Behaviour(stories.rising, "fall", 2.0, SEATS, window="fall"),
    "fall_out_of_bed": Behaviour(stories.out_of_bed, "fall", 2.0, ("bed",), window="fall"),
    "fall_sitting_down": Behaviour(stories.sitting_down, "fall", 1.8, ("chair", "armchair", "bed"), window="fall"),
    "fall_against": Behaviour(
        stories.against, "fall", 2.0, ("table", "sofa", "chest", "bed", "armchair"), window="fall"
    ),
    "fall_wall_slide": Behaviour(stories.wall_slide, "fall", 1.0, window="fall"),
    "fall_seat_slide": Behaviour(stories.seat_slide, "fall", 1.0, SEATS, window="fall"),
    "fall_onto_bed": Behaviour(furniture_falls.onto_bed, "fall", 1.5, ("bed", "bed", "sofa"), window="fall"),
    "fall_wheelchair": Behaviour(furniture_falls.out_of_wheelchair, "fall", 0.6, ("wheelchair",), window="fall"),
    "fall_wheelchair_slide": Behaviour(
        furniture_falls.slides_out_of_wheelchair, "fall", 0.4, ("wheelchair",), window="fall"
    ),
    "fall_beside_another": Behaviour(companions.beside_another, "fall", 2.0, people=2, window="fall"),
    "fall_walked_along": Behaviour(companions.walked_along, "fall", 1.2, people=2, window="fall"),
}
NEAR_FALLS: Final[dict[str, Behaviour]] = {
    "near_fall": Behaviour(near_falls.stumble, "everyday", 1.5),
    "near_fall_held": Behaviour(near_falls.caught_by_hand, "everyday", 0.8),
    "near_fall_seat": Behaviour(near_falls.sways_back_into_seat, "everyday", 0.7, SEATS),
}
AFTER_FALLS: Final[dict[str, Behaviour]] = {
    "floor_still": Behaviour(_lying_after, "still", 3.0, window="after"),
    "floor_visited": Behaviour(companions.visited, "still", 1.2, people=2, window="after"),
    "floor_getting_up": Behaviour(_getting_up, "still", 1.2, window="after"),
    "floor_helped_up": Behaviour(companions.helped_up, "still", 1.0, people=2, window="after"),
}
