"""Metrics against numbers worked out by hand, and against measure/score.py itself where it is at hand."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

from tests.conftest import SHARED
from training.metrics import (
    Confirmed,
    Events,
    FallTime,
    clip_windows,
    false_share_at,
    level_at,
    match_events,
    nearest_rank,
    poisson_upper,
    rate_point,
    recall_at,
    smooth,
    window_auc,
    window_roc,
)


def seconds(length_s: float) -> np.ndarray:
    return np.round(np.arange(round(length_s * 10)) / 10, 1)


def test_auc_counts_pairs_and_halves_ties() -> None:
    # 0.9 beats 0.5 and 0.2; 0.5 ties 0.5 (half) and beats 0.2: 3.5 of 4 pairs.
    assert window_auc([0.9, 0.5], [0.5, 0.2]) == pytest.approx(3.5 / 4)
    assert math.isnan(window_auc([], [0.2]))


def test_level_and_recall_at_a_share_of_windows() -> None:
    everyday = [0.1 * k for k in range(10)]  # 0.0 .. 0.9
    assert level_at(everyday, 0.0) == pytest.approx(0.9)
    assert level_at(everyday, 0.1) == pytest.approx(0.8)
    falls = [0.95, 0.9, 0.85, 0.3]
    assert recall_at(falls, everyday, 0.0) == pytest.approx(1 / 4)  # a tie with the level is not above it
    assert recall_at(falls, everyday, 0.1) == pytest.approx(3 / 4)


def test_false_share_at_the_level_that_finds_enough_falls() -> None:
    falls = [0.9, 0.8, 0.7, 0.1]
    assert false_share_at(falls, [0.75, 0.7, 0.6, 0.0], 0.75) == pytest.approx(2 / 4)  # level 0.7, ties alarm
    assert false_share_at(falls, [0.75, 0.7, 0.6, 0.0], 1.0) == pytest.approx(3 / 4)  # level 0.1


def test_windows_of_an_everyday_clip_of_ten_seconds() -> None:
    t = seconds(10.0)
    score = t / 10
    windows = clip_windows(t, score, None)
    assert windows.fall is None
    assert windows.everyday == pytest.approx([0.39, 0.79, 0.99])  # [0, 4), [4, 8), [8, 10): 2 s is long enough


def test_a_rest_too_short_to_be_a_window_is_left_out() -> None:
    t = seconds(9.4)
    assert len(clip_windows(t, t, None).everyday) == 2


def test_windows_around_a_fall() -> None:
    t = seconds(12.0)
    score = np.where(np.isclose(t, 6.5), 0.4, np.where(np.isclose(t, 11.1), 0.9, np.where(np.isclose(t, 11.0), 0.8, 0)))
    windows = clip_windows(t, score, (7.0, 8.0))
    assert windows.fall == pytest.approx(0.8)  # 6.5 .. 11.0 s, both ends in; 11.1 s is too late
    assert windows.everyday == [0.0, 0.0]  # [0, 4) and [4, 6.5)


def test_a_fall_at_the_very_start_has_no_everyday_before_it() -> None:
    assert clip_windows(seconds(5), seconds(5), (0.4, 1.3)).everyday == []


def test_smoothing_over_half_a_second_is_a_mean_of_five_steps_of_the_past() -> None:
    t = seconds(1.0)
    score = np.array([1, 0, 0, 0, 0, 0, 5, 0, 0, 0], float)
    assert smooth(t, score, 0.5) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 0, 1, 1, 1, 1])


def test_events_match_the_first_incident_and_count_the_rest() -> None:
    falls = [FallTime(10.0, 11.0), FallTime(100.0, 102.0)]
    incidents = [
        Confirmed(9.0, 15.0),  # one second early is still in reach: detects the first fall, 4 s after rest
        Confirmed(29.9, 40.0),  # in reach of the first fall, which is answered: duplicate
        Confirmed(50.0, 55.0),  # nothing there: false alarm
        Confirmed(120.1, 121.0),  # 20.1 s after the second fall: too late, false alarm
    ]
    events = match_events(falls, incidents, hours=2.0)
    assert events == Events(2, 1, 1, 2, (4.0,), 2.0, (5.0,))  # confirmed at 15: 4 s after rest, 5 s after the start
    assert events.recall == pytest.approx(1 / 2)
    assert events.precision == pytest.approx(1 / 3)
    assert events.f1 == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert events.false_per_hour == pytest.approx(1.0)


def test_two_falls_close_together_are_answered_by_two_incidents() -> None:
    events = match_events([FallTime(0, 1), FallTime(5, 6)], [Confirmed(0.5, 6), Confirmed(5.5, 11)], 1.0)
    assert (events.detected, events.duplicates, events.delays_s) == (2, 0, (5.0, 5.0))


def test_delays_are_nearest_ranks_and_recordings_add_up() -> None:
    total = Events(1, 1, delays_s=(3.0,), hours=0.5) + Events(3, 3, 1, 2, (1.0, 2.0, 9.0), 1.5, (2.0, 4.0))
    assert total == Events(4, 4, 1, 2, (3.0, 1.0, 2.0, 9.0), 2.0, (2.0, 4.0))
    assert total.delay(0.5) == 2.0
    assert total.delay(0.9) == 9.0
    assert total.delay_from_start(0.5) == 2.0
    assert total.delay_from_start(0.9) == 4.0
    assert math.isnan(Events().delay(0.5))


def test_nearest_rank_of_ten_values() -> None:
    values = [float(v) for v in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)]
    assert [nearest_rank(values, share) for share in (0.0, 0.1, 0.5, 0.9, 0.91, 1.0)] == [1, 1, 5, 9, 10, 10]


def test_an_incident_is_early_or_late_by_seconds_at_both_ends_of_its_reach() -> None:
    fall = [FallTime(10.0, 11.0)]
    starts = {8.9: 0, 9.0: 1, 30.0: 1, 30.1: 0}  # [10 - 1, 10 + 20]
    for start, detected in starts.items():
        found = match_events(fall, [Confirmed(start, start + 5)], 1.0)
        assert (found.detected, found.false_alarms) == (detected, 1 - detected)


def test_roc_points_by_hand_and_their_area_is_the_auc() -> None:
    # Levels 0.9, 0.5, 0.2: everyday windows (0.5, 0.2) at or above: 0, 1/2, 1; falls (0.9, 0.5): 1/2, 1, 1.
    false, found = window_roc([0.9, 0.5], [0.5, 0.2])
    assert false.tolist() == [0, 0, 0.5, 1]
    assert found.tolist() == [0, 0.5, 1, 1]
    area = float(np.sum(np.diff(false) * (found[1:] + found[:-1]) / 2))
    assert area == pytest.approx(window_auc([0.9, 0.5], [0.5, 0.2]))
    rng = np.random.default_rng(1)
    falls, everyday = np.round(rng.random(17) ** 0.3, 1).tolist(), np.round(rng.random(40), 1).tolist()
    false, found = window_roc(falls, everyday)
    assert float(np.sum(np.diff(false) * (found[1:] + found[:-1]) / 2)) == pytest.approx(window_auc(falls, everyday))
    with pytest.raises(ValueError, match="at least one fall"):
        window_roc([], [0.1])


def test_a_rate_a_day_comes_with_its_bound() -> None:
    point = rate_point(0.4, Events(falls=10, detected=9), Events(hours=12.0, false_alarms=1))
    assert (point.level, point.recall, point.per_day, point.hours) == (0.4, 0.9, 2.0, 12.0)
    assert point.per_day_bound == pytest.approx(2 * 4.7439, abs=1e-3)  # one in half a day: 4.74 half-days at 95 %
    clean = rate_point(0.4, Events(), Events(hours=72.0))
    assert clean.per_day == 0
    assert clean.per_day_bound == pytest.approx(0.99857, abs=1e-4)  # three clean days: less than one a day


def test_no_false_alarm_in_three_hours_proves_less_than_one_an_hour() -> None:
    assert poisson_upper(0) == pytest.approx(-math.log(0.05))  # 2.9957: the rule of three
    assert poisson_upper(1) == pytest.approx(4.7439, abs=1e-4)  # tables of the Poisson distribution
    assert poisson_upper(10) == pytest.approx(16.9622, abs=1e-4)
    assert Events(hours=3.0).false_per_hour_bound == pytest.approx(0.99857, abs=1e-4)


def test_same_answers_as_the_projects_yardstick() -> None:
    path = SHARED / "measure" / "score.py"
    if not path.exists():
        pytest.skip(f"YARDSTICK ABSENT: {path} not found; this test compared nothing")
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None
    assert spec.loader is not None
    yardstick = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(yardstick)
    rng = np.random.default_rng(3)
    for fall in (None, (0.2, 1.2), (3.3, 4.1), (7.9, 9.0)):
        t, score = seconds(rng.uniform(4, 30)), np.empty(0)
        score = np.round(rng.random(len(t)), 2)
        row = {"fall": "1" if fall else "0", "fall_start_s": fall and fall[0], "fall_end_s": fall and fall[1]}
        theirs = yardstick.windows(row, list(zip(t.tolist(), score.tolist(), strict=True)))
        ours = clip_windows(t, score, fall)
        assert (ours.fall, ours.everyday) == theirs
    falls, everyday = np.round(rng.random(20) ** 0.5, 2).tolist(), np.round(rng.random(50), 2).tolist()
    assert window_auc(falls, everyday) == pytest.approx(yardstick.auc(falls, everyday))
    for share in (0, 0.05, 0.1):
        assert recall_at(falls, everyday, share) == yardstick.recall_at(falls, everyday, share)
