"""What is measured of a trained variant: accuracy and delay over real clips, and what the network costs."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from training.judged import Scored
from training.metrics import AFTER_FALL_S, BEFORE_FALL_S, level_at, nearest_rank, smooth
from training.networks import FallNetwork, NetworkConfig, build, parse_network
from training.scoring import WindowFigures, evidence, window_figures
from training.table import SMOOTHING_S
from training.zoo.sheet import facts

FALSE_SHARE: Final = 0.05
"""Of the everyday windows: the level at which delays are taken (MODEL.md I.8)."""

WINDOW_STEPS: Final = 40
ROUNDS: Final = 9
"""Of timing; variant and baseline take turns, and the median of the rounds' ratios is said."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Over all real clips that have nobody on the floor on purpose, with the score smoothed over some seconds.

    delay_s: from balance lost to the first step above the level that 5 % of everyday windows exceed, for the falls
    that ever are (`reached` of them): median and 90th percentile.
    """

    smoothing_s: float
    windows: WindowFigures
    reached: int
    delay_median_s: float
    delay_p90_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a network costs. time_ratio: CPU time of a window of 40 steps, in the baseline's."""

    parameters: int
    macs: int
    look_back: str
    state: str
    int8: str
    time_ratio: float


@dataclass(frozen=True, slots=True)
class Figures:
    """One finished variant. step: at which the chosen checkpoint was taken. clips: rendered clips it could draw on."""

    name: str
    accuracy: tuple[Accuracy, ...]
    cost: Cost
    step: int
    clips: int

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> Figures:
        """The reverse of `plain`. Raises KeyError or TypeError for anything else."""
        accuracy = tuple(Accuracy(**{**a, "windows": WindowFigures(**a["windows"])}) for a in values["accuracy"])
        return cls(**{**values, "accuracy": accuracy, "cost": Cost(**values["cost"])})


def accuracies(scored: Sequence[Scored]) -> tuple[Accuracy, ...]:
    """Raw and smoothed."""
    counted = [one for one in scored if not one.clip.on_floor]
    return tuple(_accuracy(counted, over_s) for over_s in SMOOTHING_S)


def _accuracy(scored: Sequence[Scored], over_s: float) -> Accuracy:
    windows = [one.windows(over_s) for one in scored]
    everyday = [score for clip in windows for score in clip.everyday]
    if not everyday:
        raise ValueError("no everyday window among the real clips, so no alarm level; name a table that has some")
    level = level_at(everyday, FALSE_SHARE)
    found = (delay_s(one.t, _score(one, over_s), one.fall, level) for one in scored)
    delays = [delay for delay in found if delay is not None]
    return Accuracy(over_s, window_figures(windows), len(delays), nearest_rank(delays, 0.5), nearest_rank(delays, 0.9))


def _score(one: Scored, over_s: float) -> NDArray[np.float64]:
    score = evidence(one.probabilities)
    return smooth(one.t, score, over_s) if over_s else score


def delay_s(
    t: NDArray[np.float64], score: NDArray[np.float64], fall: tuple[float, float] | None, level: float
) -> float | None:
    """Seconds from the start of the fall to the first score above the level within the fall's window, None if never.

    Negative, by at most 0.5 s, where the score rises before the marked start.
    """
    if fall is None:
        return None
    above = (score > level) & (t >= fall[0] - BEFORE_FALL_S) & (t <= fall[1] + AFTER_FALL_S)
    return float(t[above][0] - fall[0]) if above.any() else None


@cache
def cost(text: str) -> Cost:
    """Of a network as a command line names it; no figure depends on what it learned. Tries int8 for real, 10-30 s."""
    known = facts(text)
    ratio = time_ratio(build(parse_network(text)))
    return Cost(known.parameters, known.macs, known.look_back, known.state, known.int8, ratio)


@torch.no_grad()
def time_ratio(network: FallNetwork) -> float:
    """How much longer a window takes on one core of this CPU than the baseline's shape takes, both in torch, float."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    raster = network.config.raster
    window = torch.rand(1, WINDOW_STEPS, 3, raster.height, raster.width)
    baseline = build(NetworkConfig(raster=raster)).eval()
    ratios = []
    for _ in range(ROUNDS + 1):
        ratios.append(_seconds(network.eval(), window) / _seconds(baseline, window))
    torch.set_num_threads(threads)
    return statistics.median(ratios[1:])


def _seconds(network: FallNetwork, window: torch.Tensor) -> float:
    start = time.process_time()
    network.window(window)
    return time.process_time() - start
