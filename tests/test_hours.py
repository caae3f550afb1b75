"""Hours of everyday life: what rings for nothing is counted by the unit's own policy, and what is on purpose apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.card import shipped_bundle
from device.incidents import Incidents, policy_of
from device.labels import FALLING, INDEX, LYING, UPRIGHT
from device.loop import Watch
from device.runner import open_runner
from device.sampler import GreyStep
from device.settings import Settings
from tests.clips_made import render
from tests.judged_made import TINY, chances, clip, model, scored
from training import checkpoint as store
from training.aims import day_quiet
from training.card_rows import day_results, striped_results
from training.checkpoint import Checkpoint
from training.failures import day_moments
from training.footage import Footage
from training.hours import days_text, score_days, score_piece
from training.judged import Model, open_model
from training.networks import build
from training.pieces import Piece, film_of, read_piece, write_piece
from training.rates import LEVELS, rate_curves
from training.striped_test import PLAIN, STRIPED, striped_rows
from training.timeline import draw_rates
from training.unit_policy import KINDS, down_transitions, records, transitions, view_of

HOUR_STEPS = 36_000


def day(folder: Path, steps: int, label: str = LYING, **meta: object) -> Path:
    folder.mkdir(exist_ok=True)
    grey = np.random.default_rng(5).integers(40, 200, (steps, 96, 128), np.uint8)
    path = folder / f"day_{len(list(folder.glob('*.npz'))):06d}.npz"
    write_piece(Piece(grey, np.full(steps, INDEX[label], np.uint8), dict(meta)), path)
    return path


def sees(falling: slice, floor: slice) -> Model:
    return replace(model(False), score=lambda film: chances(falling, floor, len(film)))


def test_a_false_alarm_an_hour_is_counted_with_its_truth(tmp_path: Path) -> None:
    for _ in range(2):
        day(tmp_path, 600)
    days = score_days(tmp_path, sees(slice(100, 110), slice(110, 200)))
    assert days.hours == pytest.approx(2 / 60)
    assert days.events("confirmed").false_alarms == 2
    assert days.events("confirmed").false_per_hour == pytest.approx(60.0)
    assert {alarm.truth for alarm in days.alarms("confirmed")} == {LYING}
    assert "(2 as fall, 2 while lying)" in days_text(days, "confirmed")
    assert day_quiet(days).met is False
    assert len(day_moments(days, "confirmed")) == 2
    suspected, confirmed = day_results(days, "int8")
    assert (suspected.false_alarms, confirmed.false_alarms, confirmed.hours) == (2, 2, 0.03)


def test_an_alarm_says_whether_a_fall_was_said_to_be_seen(tmp_path: Path) -> None:
    day(tmp_path, 600)
    days = score_days(tmp_path, sees(slice(0, 0), slice(100, 400)))  # on the floor for half a minute, and no fall
    assert [(alarm.kind, alarm.start) for alarm in days.alarms("confirmed")] == [
        ("floor", pytest.approx(10.0, abs=1.0))
    ]
    assert "(1 as floor, 1 while lying)" in days_text(days, "confirmed")


def test_what_happens_on_purpose_is_counted_apart_and_so_are_its_hours(tmp_path: Path) -> None:
    day(tmp_path, 600, on_purpose=[[9.0, 24.0]])
    days = score_days(tmp_path, sees(slice(100, 110), slice(110, 200)))
    assert days.events("confirmed").false_alarms == 0
    assert sum(alarm.on_purpose for alarm in days.alarms("confirmed")) == 1
    assert days.hours == pytest.approx(45 / 3600)
    assert days.hours_on_purpose == pytest.approx(15 / 3600)
    assert day_moments(days, "confirmed") == []
    assert day_quiet(days).met is None  # a minute proves nothing about ten hours


def test_a_piece_in_which_somebody_falls_is_no_everyday_life(tmp_path: Path) -> None:
    day(tmp_path, 100, FALLING)
    with pytest.raises(ValueError, match=r"day_000000\.npz: somebody falls in it"):
        score_days(tmp_path, model(False))
    with pytest.raises(ValueError, match=r"no day_\*.npz in it"):
        score_days(tmp_path / "absent", model(False))


def test_days_that_were_mined_and_clips_that_were_trained_on_prove_nothing(tmp_path: Path) -> None:
    path = day(tmp_path / "days", 100)
    (tmp_path / "mined").mkdir()
    (tmp_path / "mined" / "mined.json").write_text(json.dumps({"sources": {str(path): {"kept": 1}}}))
    render(tmp_path / "clips", 2)
    weights = build(TINY).state_dict()
    parent = {"synth": str(tmp_path / "clips")}
    store.save(Checkpoint(TINY, weights, parent, 1), tmp_path / "parent.pt")
    child = {"synth": (), "negatives": (str(tmp_path / "mined"),), "init": str(tmp_path / "parent.pt")}
    store.save(Checkpoint(TINY, weights, child, 1), tmp_path / "child.pt")
    asked = open_model(tmp_path / "child.pt")
    with pytest.raises(ValueError, match=r"day_000000\.npz: .*child\.pt was trained on it"):
        score_days(tmp_path / "days", asked)
    with pytest.raises(ValueError, match=r"clip_000000\.npz: .*child\.pt was trained on it"):
        striped_rows(tmp_path / "clips", asked, (0.0,))


def test_a_broken_piece_is_named(tmp_path: Path) -> None:
    path = day(tmp_path, 100)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"day_000000\.npz: no whole piece of footage"):
        read_piece(path)
    write_piece(Piece(np.zeros((3, 96, 128), np.uint8), np.full(3, 9, np.uint8), {}), path)
    with pytest.raises(ValueError, match=r"labels up to 9 for 3 steps"):
        read_piece(path)


def test_a_day_goes_the_units_own_road_to_the_last_bit(tmp_path: Path) -> None:
    """The loop itself, step by step, against what is counted here: int8, every kind of incident."""
    path = day(tmp_path, 500)
    runner = open_runner(shipped_bundle())
    tried = runner.card.thresholds.model_copy(update={"fall_on": 0.01, "fall_off": 0.005, "down_on": 0.02})
    tried = tried.model_copy(update={"down_off": 0.01})
    watch = Watch(runner, Incidents(policy_of(Settings(), tried)))
    film = film_of(read_piece(path).grey, runner.card.input.raster())
    said = []
    probabilities = []
    for n, grey in enumerate(film.grey):
        turn = watch.look(GreyStep(float(film.t[n]), float(film.t[n]), n, grey, held=False, reset=n == 0))
        said += [(one.kind, one.stage, one.t, one.score) for one in turn.incidents]
        probabilities.append(turn.scores.probabilities)
    here = score_piece(path, replace(open_model(shipped_bundle()), thresholds=tried))
    assert np.array_equal(here.answers.probabilities, np.asarray(probabilities))
    assert [(one.kind, one.stage, one.t, one.score) for one in here.said] == said
    assert said  # noise at thresholds this low is enough for an incident


def test_thresholds_are_tried_out_by_the_same_policy_at_half_the_cost(tmp_path: Path) -> None:
    film = scored(clip("wrong"), slice(40, 50), slice(50, 150))
    whole = transitions(records(film.answers), film.model.thresholds)
    half = down_transitions(records(film.answers), film.model.thresholds)
    assert [one.stage for one in half] == [one.stage for one in whole if one.kind in KINDS]


def test_a_frozen_and_a_dark_picture_are_seen_as_the_loop_sees_them() -> None:
    raster = model(False).raster
    grey = np.random.default_rng(1).integers(0, 200, (6, raster.height, raster.width), np.uint8)
    grey[3] = grey[2]
    view = view_of(grey, raster)
    assert view.still.tolist() == [False, False, False, True, False, False]
    assert view.light[0] == pytest.approx(grey[0].mean() / 255)
    assert view.motion[0] == 0.0
    assert view.motion[5] > 0.5


def test_recall_falls_with_the_false_alarms_as_the_level_rises(tmp_path: Path) -> None:
    def half_sure(one_sure: float, falling: slice, floor: slice) -> np.ndarray:
        sure = chances(falling, floor)
        sure[falling, INDEX[FALLING]], sure[falling, INDEX[UPRIGHT]] = one_sure, 1 - one_sure
        return sure

    clear = scored(clip("clear", fall=True), slice(20, 30), slice(30, 150))
    faint = replace(
        scored(clip("faint", fall=True), slice(20, 30), slice(30, 150)),
        probabilities=half_sure(0.5, slice(20, 30), slice(30, 150)),
    )
    calm = replace(
        scored(clip("calm"), slice(0, 0), slice(0, 0)), probabilities=half_sure(0.3, slice(40, 50), slice(0))
    )
    own = model(False).thresholds
    points = rate_curves([clear, faint, calm], None, own)["suspected"]
    assert [point.level for point in points] == list(LEVELS)
    by_level = {point.level: point for point in points}
    assert (by_level[0.2].recall, by_level[0.4].recall, by_level[0.7].recall) == (1.0, 1.0, 0.5)
    assert by_level[0.2].per_day == pytest.approx(24 * 3600 / 15)  # one in the fifteen seconds of the calm clip
    assert by_level[0.4].per_day == 0.0
    assert by_level[0.4].per_day_bound == pytest.approx(2.9957 * 24 * 3600 / 15, rel=1e-3)
    draw_rates({"suspected": points}, tmp_path / "rates.png")
    assert (tmp_path / "rates.png").stat().st_size > 1000
    day(tmp_path, 600)
    days = score_days(tmp_path, sees(slice(100, 110), slice(110, 200)))
    over_days = rate_curves([clear], days, own)["confirmed"]
    assert {round(point.per_day) for point in over_days} == {24 * 60}
    assert rate_curves([calm], None, own)["suspected"] == []


def test_stripes_lose_a_network_that_watches_the_room(tmp_path: Path) -> None:
    folder = render(tmp_path / "clips", 8)

    def watches_the_room(film: Footage) -> np.ndarray:
        """Takes the brightness of the top row, where nobody ever is, for a fall."""
        answer = chances(slice(0, 0), slice(0, 0), len(film))
        answer[:, INDEX[FALLING]] = film.grey[:, 0].mean(axis=1) / 255
        return answer

    def watches_the_person(film: Footage) -> np.ndarray:
        """Takes a dark bottom row in the middle that was not dark at first for a fall."""
        dark = (film.grey[:, 20] < 60).mean(axis=1)
        answer = chances(slice(0, 0), slice(0, 0), len(film))
        answer[:, INDEX[FALLING]] = np.maximum(0, dark - dark[0])
        return answer

    room = {
        row.footage: row.figures for row in striped_rows(folder, replace(model(False), score=watches_the_room), (0.0,))
    }
    person = striped_rows(folder, replace(model(False), score=watches_the_person), (0.0, 0.5))
    assert (room[PLAIN].falls, room[PLAIN].auc) != (room[STRIPED].falls, room[STRIPED].auc)
    assert {row.figures.auc for row in person if row.smoothing_s == 0.0} == {1.0}
    again = striped_rows(folder, replace(model(False), score=watches_the_person), (0.0, 0.5))
    assert again == person  # the same stripes every time
    assert [row.footage for row in striped_results(person, "float")] == [PLAIN, PLAIN, STRIPED, STRIPED]


def test_stripes_behind_nobody_who_falls_prove_nothing(tmp_path: Path) -> None:
    render(tmp_path / "clips", 1)
    with pytest.raises(ValueError, match="no fall or no everyday clip in it"):
        striped_rows(tmp_path / "clips", model(False), (0.0,))
