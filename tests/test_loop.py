"""One loop for camera, file and recorded event."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from device.card import shipped_bundle
from device.incidents import Incidents, policy_of
from device.loop import Turn, Watch
from device.records import Frame
from device.runner import Runner, open_runner
from device.sampler import GreyStep
from device.settings import Settings
from tests.footage_made import moving_square


@pytest.fixture(scope="module")
def runner() -> Runner:
    return open_runner(shipped_bundle())


def watch_with(runner: Runner) -> Watch:
    runner.reset()
    return Watch(runner, Incidents(policy_of(Settings(), runner.card.thresholds)))


def frames(fps: float, count: int) -> list[Frame]:
    return [Frame(n, n / fps, 1000.0 + n / fps, picture) for n, picture in enumerate(moving_square(count))]


def turns_of(watch: Watch, given: list[Frame]) -> list[Turn]:
    return [turn for frame in given for turn in watch.feed(frame)]


def table(turns: list[Turn]) -> NDArray[np.float32]:
    return np.asarray([turn.scores.probabilities for turn in turns], np.float32)


def test_every_step_carries_what_is_needed_to_account_for_it(runner: Runner) -> None:
    turns = turns_of(watch_with(runner), frames(10, 30))
    assert len(turns) == 30
    last = turns[-1]
    assert sum(last.scores.probabilities) == pytest.approx(1.0, abs=1e-5)
    assert last.scores.model_id == runner.model_id
    assert last.scores.frame_id == last.step.frame_id == 29
    assert last.frame is not None
    assert last.frame.id == 29
    assert 0.2 < last.scores.light < 0.6
    assert 0.0 < last.scores.motion < 0.5
    assert last.scores.inference_ms > 0.0


def test_the_same_greys_give_the_same_bits_without_the_camera(runner: Runner) -> None:
    filmed = turns_of(watch_with(runner), frames(10, 40))
    watch = watch_with(runner)
    again = [watch.look(turn.step) for turn in filmed]
    assert np.array_equal(table(filmed), table(again))
    assert [turn.scores.motion for turn in filmed] == [turn.scores.motion for turn in again]


def test_scores_from_the_middle_are_the_same_bits_once_the_past_is_whole(runner: Runner) -> None:
    filmed = turns_of(watch_with(runner), frames(10, 120))
    start = 30
    past = round(runner.card.look_back_s / runner.card.input.step_s) + runner.card.input.long_steps
    watch = watch_with(runner)
    again = [watch.look(turn.step) for turn in filmed[start:]]
    assert np.array_equal(table(filmed)[start + past :], table(again)[past:])


def test_a_gap_starts_the_network_again(runner: Runner) -> None:
    watch = watch_with(runner)
    before = frames(10, 30)
    after = [Frame(30 + n, 10.0 + n / 10, 1010.0, picture) for n, picture in enumerate(moving_square(5, seed=1))]
    turns = turns_of(watch, before + after)
    assert [turn.scores.warm for turn in turns[-5:]] == [False] * 5
    assert watch.gaps == 2  # the start counts as one
    fresh = turns_of(watch_with(runner), after)
    assert np.array_equal(table(turns[-5:]), table(fresh))


def test_held_steps_are_counted_and_say_nothing_about_a_frozen_camera(runner: Runner) -> None:
    turns = turns_of(watch_with(runner), frames(5, 20))
    assert turns[-1].scores.gap_share == pytest.approx(0.5)
    assert not any(turn.scores.still for turn in turns)


def test_a_picture_that_never_changes_is_called_still(runner: Runner) -> None:
    watch = watch_with(runner)
    grey = np.full((runner.card.input.height, runner.card.input.width), 80, np.uint8)
    turns = [watch.look(GreyStep(n / 10, n / 10, n, grey, False, n == 0)) for n in range(5)]
    assert [turn.scores.still for turn in turns] == [False, True, True, True, True]
