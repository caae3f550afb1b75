"""What comes after a fall: lying still or moving, trying to sit up, crawling, getting up alone or with help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from training.synth.crawling import crawl_on
from training.synth.motion import Lose, Move
from training.synth.poses import varied
from training.synth.replayed import get_up as get_up_segment
from training.synth.script import Script

if TYPE_CHECKING:
    from training.synth.stage import Stage

YOUNG_STOOP_DEG: Final = 8.0
"""Backs of people.random_figure are rounder than this in the old only."""

End = Callable[["Stage", Script], None]


def _shorten(script: Script, seconds: float) -> None:
    """The loss of balance ends after so long: control comes back."""
    lose = script.segments[-1]
    assert isinstance(lose, Lose)
    lose.duration_s = seconds
    if seconds < 7:
        script.segments[-1] = replace(lose, wriggle=None)


def _down_s(stage: Stage, script: Script) -> float:
    """Seconds until somebody who falls so has come to rest and lain a moment."""
    lose = script.segments[-1]
    assert isinstance(lose, Lose)
    rolls = max((push.end_s for push in lose.pushes), default=0.0)
    return max(rolls, lose.carry_s * (lose.carried > 0)) + float(stage.rng.uniform(3.6, 6.0))


def still(stage: Stage, script: Script) -> None:
    """Lies as the fall left them, still or moving, until the end."""
    del stage, script


def sit_up(stage: Stage, script: Script) -> None:
    """Tries once or twice to sit up and sinks back; or stays sitting."""
    rng = stage.rng
    _shorten(script, _down_s(stage, script))
    for _ in range(int(rng.integers(1, 3))):
        script.go(str(rng.choice(["half_lying", "floor_sit_back"])), float(rng.uniform(1.5, 3.5))).stay(0.2, 2.5)
        script.lose(
            Lose(float(rng.uniform(2.5, 5.0)), varied("on_back_knees", rng), 0.05, float(rng.uniform(0.4, 1.2)))
        )
    if rng.random() < 0.3:
        script.go("floor_sit_back", float(rng.uniform(1.5, 3.5))).stay(4, 10)
    else:
        script.segments[-1].duration_s += 12.0


def crawl(stage: Stage, script: Script) -> None:
    """Comes to hands and knees and crawls some way."""
    rng = stage.rng
    _shorten(script, _down_s(stage, script))
    crawl_on(stage, script, float(rng.uniform(1.5, 3.0)))
    if rng.random() < 0.5:
        script.lose(Lose(12.0, varied("on_front", rng), 0.05, 0.8))
    else:
        script.stay(4, 10)


def gets_up(stage: Stage, script: Script) -> None:
    """Gets up as recorded (only the young rock up like that), or through sitting and kneeling, and stands."""
    rng = stage.rng
    _shorten(script, _down_s(stage, script))
    if stage.motions is not None and script.figure.stoop_deg < YOUNG_STOOP_DEG and rng.random() < 0.7:
        script.segments.append(get_up_segment(stage.motions, script.figure, rng))
        script.go("stand", float(rng.uniform(0.6, 1.2)))
    else:
        rise_by_knees(stage, script)
    script.stay(2, 5)


def rise_by_knees(stage: Stage, script: Script) -> None:
    """From the floor to standing by way of hands and knees or sitting, each piece 1-2.6 s."""
    rng = stage.rng
    first = ("all_fours",) if rng.random() < 0.6 else ("floor_sit_back", "floor_sit", "kneel_sit")
    for pose in (*first, "half_kneel", "stand"):
        script.go(pose, float(rng.uniform(1.0, 2.6))).stay(0.1, 1.0)


ENDS: Final[tuple[tuple[End, float], ...]] = ((still, 0.62), (sit_up, 0.12), (crawl, 0.1), (gets_up, 0.16))
"""How often each is drawn; half of those who stay down move limbs (falls.py)."""


def ending(stage: Stage, script: Script) -> None:
    """Add one of the endings to a story that stops at the loss of balance."""
    shares = np.array([share for _, share in ENDS])
    ENDS[int(stage.rng.choice(len(ENDS), p=shares / shares.sum()))][0](stage, script)


def place_of_fall(script: Script) -> tuple[float, float]:
    """Where a story stands when it loses balance, m."""
    for segment in reversed(script.segments):
        path = getattr(segment, "path", None)
        if path:
            return float(path[-1][0]), float(path[-1][1])
        if isinstance(segment, Move) and segment.xy is not None:
            return segment.xy
    raise LookupError("the story has no place")
