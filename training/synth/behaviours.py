"""The catalogue: what happens in a clip, how often, which furniture it needs and where the camera looks."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.synth import stories
from training.synth.everyday_catalogue import EVERYDAY, STILL
from training.synth.stage import SEATS, Behaviour, Stage, Story

__all__ = ["CATALOGUE", "SEATS", "Behaviour", "Stage", "Story", "draw_behaviour"]

FALLS: Final[dict[str, Behaviour]] = {
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
}

CATALOGUE: Final[dict[str, Behaviour]] = {**FALLS, **EVERYDAY, **STILL}


def draw_behaviour(rng: np.random.Generator) -> str:
    """A behaviour by its share."""
    names = list(CATALOGUE)
    shares = np.array([CATALOGUE[name].share for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]
