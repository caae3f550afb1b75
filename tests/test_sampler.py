"""Irregular camera time becomes a steady step."""

from __future__ import annotations

import numpy as np
import pytest

from device.records import Frame
from device.sampler import Sampler, Step

PIXELS = np.zeros((4, 4, 3), np.uint8)


def steps_of(times: list[float], step_s: float = 0.1) -> list[Step]:
    sampler = Sampler(step_s)
    return [step for n, t in enumerate(times) for step in sampler.push(Frame(n, t, 1000.0 + t, PIXELS))]


@pytest.mark.parametrize("fps", [5, 6, 10, 15, 18, 20, 24, 25, 29.97, 30, 50, 60])
def test_any_frame_rate_gives_ten_steps_a_second(fps: float) -> None:
    steps = steps_of([n / fps for n in range(round(fps * 6))])
    assert [step.t for step in steps] == pytest.approx([n / 10 for n in range(len(steps))])
    assert len(steps) == pytest.approx(60, abs=2)
    assert [step.reset for step in steps] == [True] + [False] * (len(steps) - 1)


def test_slow_footage_is_held_and_says_so() -> None:
    steps = steps_of([0.0, 0.2, 0.4])
    assert [(step.frame.id, step.held) for step in steps] == [(0, False), (0, True), (1, False), (1, True), (2, False)]


def test_fast_footage_is_thinned_to_the_first_frame_at_or_after_each_due_time() -> None:
    steps = steps_of([0.0, 0.04, 0.08, 0.12, 0.16, 0.20, 0.24])
    assert [step.frame.id for step in steps] == [0, 3, 5]
    assert not any(step.held for step in steps)


def test_a_time_stamp_rounded_down_by_a_millisecond_still_takes_its_step() -> None:
    assert [step.frame.id for step in steps_of([0.0, 0.033, 0.066, 0.099, 0.133])] == [0, 3]


def test_a_gap_starts_the_network_again_instead_of_holding_a_picture() -> None:
    steps = steps_of([0.0, 0.1, 5.03, 5.13])
    assert [(round(step.t, 2), step.reset, step.held) for step in steps] == [
        (0.0, True, False),
        (0.1, False, False),
        (5.03, True, False),
        (5.13, False, False),
    ]


def test_time_that_runs_backward_is_a_gap() -> None:
    assert [step.reset for step in steps_of([10.0, 10.1, 3.0, 3.1])] == [True, False, True, False]


def test_wall_time_follows_the_grid() -> None:
    assert [step.wall for step in steps_of([0.0, 0.25])] == pytest.approx([1000.0, 1000.1, 1000.2])
