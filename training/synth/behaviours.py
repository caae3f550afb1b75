"""The catalogue: what happens in a clip, how often, which furniture it needs and where the camera looks."""

from __future__ import annotations

from typing import Final

import numpy as np

from training.synth.everyday_catalogue import EVERYDAY, STILL
from training.synth.fall_catalogue import AFTER_FALLS, FALLS, NEAR_FALLS
from training.synth.stage import SEATS, Behaviour, Stage, Story

__all__ = ["CATALOGUE", "SEATS", "Behaviour", "Stage", "Story", "draw_behaviour"]

CATALOGUE: Final[dict[str, Behaviour]] = {**FALLS, **NEAR_FALLS, **EVERYDAY, **AFTER_FALLS, **STILL}


def draw_behaviour(rng: np.random.Generator) -> str:
    """A behaviour by its share."""
    names = list(CATALOGUE)
    shares = np.array([CATALOGUE[name].share for name in names])
    return names[int(rng.choice(len(names), p=shares / shares.sum()))]
