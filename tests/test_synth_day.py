"""Hours of everyday life: nobody falls, one seed one day, a torn or foreign folder is never read as a day."""

from __future__ import annotations

import argparse
import dataclasses
import errno
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import cv2
import numpy as np
import pytest
from tqdm import tqdm

from device.labels import FALLING, FLOOR, INDEX, LABELS, UPRIGHT
from training.pieces import Piece, read_piece
from training.synth import cli, day, day_run
from training.synth.day import DayOptions, Played, day_lights, make_piece, needs_drawing, play_piece
from training.synth.day_run import DayRun, missing_pieces, piece_path, render_day, statistics
from training.synth.day_story import APART_M, MARKED, Episode, live_together, nearest_m, planned, route
from training.synth.layers import LayeredPainter
from training.synth.motion import Gait, Stay, Walk
from training.synth.people import random_figure
from training.synth.render import Canvas, Painter
from training.synth.rooms import Item, Room, plan_room
from training.synth.scene import SceneRefusedError
from training.synth.script import Script
from training.synth.simulate import Trace, Track
from training.synth.stage import Stage
from training.synth.workers import Outcome, run_jobs

SHORT = DayOptions(piece_s=8.0)


def played(options: DayOptions, first: int) -> Played:
    """The first piece of a generator that the physics makes true."""
    for attempt in range(first, first + 30):
        try:
            return play_piece(options, np.random.default_rng([21, attempt]))
        except (LookupError, FloatingPointError, SceneRefusedError):
            continue
    pytest.fail("no piece in 30 draws")


@pytest.mark.parametrize("first", [0, 100, 200])
def test_a_day_has_no_fall_and_nobody_on_the_floor_but_on_purpose(first: int) -> None:
    piece = played(DayOptions(piece_s=60.0), first)
    for labels in piece.labels:
        assert len(labels) == 600
        assert FALLING not in labels
        for step in (step for step, label in enumerate(labels) if label == FLOOR):
            assert any(start - 1 <= step / 10 <= end + 1 for start, end in piece.on_purpose)
    marked = [episode for episode in piece.episodes if episode.name in MARKED]
    assert piece.on_purpose == [(episode.from_s, episode.to_s) for episode in marked]
    for person in range(len(piece.labels)):
        times = [(e.from_s, e.to_s) for e in piece.episodes if e.person == person]
        assert len(times) >= 2, "one act after another"
        assert times == sorted(times)
        assert all(before[1] <= after[0] + 1e-6 for before, after in pairwise(times))


def test_a_label_that_contradicts_the_physics_refuses_the_piece() -> None:
    still = np.tile([0.0, 0.0, 0.9], (20, 1))
    head, chest = still + np.array([0, 0, 0.7]), still + np.array([0, 0, 0.3])
    track = Track(still, head, chest, np.zeros((20, 2)), np.zeros(20), np.zeros(20, bool))
    purpose = [Episode(0, MARKED[0], 0.0, 2.0)]
    stage = SimpleNamespace(room=Room((3.0, 3.0), 2.5))
    for label, refused in ((UPRIGHT, False), (FLOOR, True)):
        played = Played(cast(Stage, stage), None, Trace(np.zeros((20, 7)), (track,)), ([label] * 20,), purpose)
        with pytest.raises(SceneRefusedError, match="called floor but the body is high") if refused else nullcontext():
            day._check(played)


def test_a_way_goes_round_the_furniture_or_is_refused() -> None:
    table = Item("table", (0.0, 0.0), (0.4, 1.0), 0.0, 0.75)
    room = Room((2.0, 2.0), 2.5, (table,))
    rng = np.random.default_rng(1)
    assert route(room, (-1.5, -1.7), (1.5, -1.7), rng) == [(-1.5, -1.7), (1.5, -1.7)]
    path = route(room, (-1.0, 0.0), (1.0, 0.0), rng)
    assert path[0] == (-1.0, 0.0)
    assert path[-1] == (1.0, 0.0)
    assert len(path) in (3, 4)
    assert all(room.clear_way(a, b, 0.22) for a, b in pairwise(path))
    wall = Item("wardrobe", (0.0, 0.0), (0.4, 2.0), 0.0, 2.0)
    with pytest.raises(LookupError, match="no way"):
        route(Room((2.0, 2.0), 2.5, (wall,)), (-1.0, 0.0), (1.0, 0.0), rng)


def test_planned_ways_tell_how_near_two_people_come() -> None:
    figure = random_figure(np.random.default_rng(0), None)
    first, second = (Script(figure, np.random.default_rng(1), Room((3.0, 3.0), 2.5)) for _ in range(2))
    first.start("stand", (-1.0, 0.0), 0.0)
    first.segments.append(Walk([(-1.0, 0.0), (1.0, 0.0)], Gait(0.5), figure))
    second.start("stand", (0.0, -1.0), 0.0)
    second.segments.append(Stay(2.0))
    way, waits = planned(first), planned(second)
    assert way.shape == (40, 2)
    assert np.allclose(way[20], [0.0, 0.0])
    assert np.allclose(waits, [0.0, -1.0])
    assert nearest_m(way, waits, 0.0) == pytest.approx(1.0), "hold on where the shorter story ends"
    assert nearest_m(way, waits, 3.0) == pytest.approx(np.hypot(0.5, 1.0))


def test_two_residents_never_walk_through_each_other() -> None:
    met = 0
    for seed in range(40):
        rng = np.random.default_rng([5, seed])
        try:
            room = plan_room(("bed",), rng)
            stage = Stage(room, rng, tuple(random_figure(rng, None) for _ in range(2)))
            scripts, _ = live_together(stage, 60.0)
        except LookupError:
            continue
        met += 1
        assert nearest_m(planned(scripts[1]), planned(scripts[0]), 0.0) >= APART_M
    assert met >= 5, "rooms with a place for two"


def test_the_light_changes_over_a_piece() -> None:
    for seed in range(5):
        plan = day_lights(np.random.default_rng(seed), 3000)
        starts = [start for start, _ in plan]
        assert starts[0] == 0
        assert 3 <= len(plan) <= 15
        assert all(200 <= later - earlier <= 900 for earlier, later in pairwise(starts))


def test_only_what_moved_visibly_is_drawn_again() -> None:
    pose = np.zeros(4)
    assert not needs_drawing(pose, pose + 0.011)
    assert needs_drawing(pose, pose - 0.013)


@pytest.fixture(scope="module")
def gl() -> None:
    """Off-screen OpenGL; skips, loudly, where there is none."""
    try:
        Canvas.shared(256, 256)
    except RuntimeError as error:
        pytest.skip(f"NO OFF-SCREEN OPENGL, no picture was checked: {error}")


@pytest.fixture(scope="module")
def piece(gl: None) -> Piece:
    """Piece 2 of seed 1: short, no CC0 data."""
    return make_piece(1, 2, SHORT)


def test_layers_show_what_a_whole_picture_shows(gl: None) -> None:
    from training.synth.camera import place_camera
    from training.synth.film import draw_look
    from training.synth.stage import PREFIXES

    scene, rng = played(SHORT, 300), np.random.default_rng(2)
    points = np.concatenate([track.pelvis for track in scene.trace.tracks])
    look = draw_look(scene.stage.room, place_camera(scene.stage.room, points, "room", rng), SHORT.steps, rng)
    look.sway, look.curtain_m, look.room = None, 0.0, None
    scene.model.mat_reflectance[:] = 0
    pictures = []
    for kind in (Painter, LayeredPainter):
        painter = kind(scene.model, PREFIXES[: len(scene.labels)], look, (192, 144))
        drawn = []
        for step in (0, 30, 60):
            painter.pose(scene.trace.qpos[step], step)
            drawn.append(painter.picture().astype(int))
        painter.close()
        pictures.append(np.array(drawn))
    difference = np.abs(pictures[0] - pictures[1]).max(axis=-1)
    assert pictures[0].std() > 3, "a picture of something"
    assert (difference > 16).mean() < 0.02
    assert difference.mean() < 1.0


def test_a_piece_has_the_promised_form_and_depends_on_seed_and_index_only(piece: Piece) -> None:
    assert piece.grey.shape == (80, 96, 128)
    assert piece.grey.dtype == np.uint8
    assert piece.label is not None
    assert piece.label.shape == (80,)
    assert not (piece.label == INDEX[FALLING]).any()
    assert piece.grey.std() > 3
    assert (np.diff(piece.grey.astype(int), axis=0) != 0).any()
    assert piece.meta["labels"] == list(LABELS)
    assert piece.meta["kind"] == "day"
    again = make_piece(1, 2, SHORT)
    assert np.array_equal(piece.grey, again.grey)
    assert again.label is not None
    assert np.array_equal(piece.label, again.label)
    assert piece.meta == again.meta
    assert not np.array_equal(make_piece(1, 3, SHORT).grey, piece.grey)


def test_a_run_resumes_replaces_the_torn_and_refuses_a_foreign_folder(
    gl: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = DayRun(2 * 8 / 3600, seed=1, out=tmp_path / "day", workers=1, sheet=tmp_path / "sheet.png")
    assert run.pieces(SHORT) == 2
    assert render_day(run, SHORT) == 0
    said = capsys.readouterr().out
    assert "2 pieces" in said
    assert "minutes by label" in said
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.shape[0] == 2 * 120
    whole, torn = piece_path(run.out, 0), piece_path(run.out, 1)
    untouched, wanted = whole.stat().st_mtime_ns, read_piece(torn)
    torn.write_bytes(torn.read_bytes()[:500])
    (run.out / ".day_000001.npz.99.tmp").write_bytes(b"half")
    assert missing_pieces(run, SHORT) == [1]
    assert render_day(run, SHORT) == 0
    assert whole.stat().st_mtime_ns == untouched, "a whole piece is not made again"
    assert np.array_equal(read_piece(torn).grey, wanted.grey)
    assert not list(run.out.glob(".*.tmp"))
    assert render_day(dataclasses.replace(run, seed=2), SHORT) == 2
    assert "use another --out folder" in capsys.readouterr().err


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), 5000.0])
def test_wrong_hours_are_one_sentence_and_exit_code_2(
    hours: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render_day(DayRun(hours, 1, tmp_path / "day"), SHORT) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "day").exists()


def test_jobs_are_counted_and_a_hopeless_one_ends_the_run() -> None:
    told: list[int] = []
    outcomes = iter([Outcome(), Outcome("no place"), Outcome(), Outcome("disk full", hopeless=True), Outcome()])
    done = run_jobs(outcomes, tqdm(total=5, disable=True), told.append)
    assert (done.made, done.failed, done.interrupted) == (2, ["no place", "disk full"], False)
    assert told == [1, 1, 2]
    assert list(outcomes) == [Outcome()], "what comes after the hopeless one is not asked for"


def test_ctrl_c_keeps_what_was_made() -> None:
    def interrupted() -> Iterator[Outcome]:
        yield Outcome()
        raise KeyboardInterrupt

    done = run_jobs(interrupted(), tqdm(total=5, disable=True))
    assert (done.made, done.interrupted) == (1, True)


def test_statistics_count_minutes() -> None:
    episodes = [{"name": "walk", "from_s": 0.0, "to_s": 60.0}, {"name": "doze", "from_s": 60.0, "to_s": 500.0}]
    meta = {"room": "kitchen", "piece_s": 120.0, "on_purpose": [[30.0, 60.0]], "episodes": episodes}
    label = np.repeat([LABELS.index("upright"), LABELS.index("seated")], 600).astype(np.uint8)
    text = statistics([Piece(np.zeros((1200, 96, 128), np.uint8), label, meta)])
    assert "0.03 h of everyday life in 1 pieces: kitchen 1" in text
    assert "minutes by label: upright 1.0, seated 1.0" in text
    assert "walk                   1.0 min" in text
    assert "doze                   1.0 min" in text
    assert "minutes on the floor on purpose: 0.5" in text


def test_a_piece_of_a_broken_data_folder_fails_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bodies").mkdir()
    out = tmp_path / "day"
    out.mkdir()
    outcome = day_run._render((1, 0, DayOptions(data=tmp_path), out))
    assert outcome.hopeless
    assert "base.obj" in outcome.reason
    assert "\n" not in outcome.reason
    assert not list(out.iterdir())


def test_a_torn_piece_that_cannot_be_made_again_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(seed: int, index: int, options: DayOptions) -> Piece:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(day_run, "make_piece", full)
    run = DayRun(8 / 3600, 1, tmp_path / "day", workers=1, sheet=tmp_path / "sheet.png")
    run.out.mkdir()
    piece_path(run.out, 0).write_bytes(b"PK half a piece")
    assert render_day(run, SHORT) == 1
    said = capsys.readouterr()
    assert "0.00 h of everyday life in 0 pieces" in said.out
    assert "No space left on device; make room" in said.err


def test_a_sheet_that_cannot_be_written_is_a_sentence_and_the_pieces_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(seed: int, index: int, options: DayOptions) -> Piece:
        meta = {"seed": seed, "format": 1, "index": index, "room": "bedroom", "piece_s": 8.0, "episodes": []}
        shape = (options.steps, 96, 128)
        return Piece(np.zeros(shape, np.uint8), np.zeros(options.steps, np.uint8), {**meta, "on_purpose": []})

    monkeypatch.setattr(day_run, "make_piece", made)
    run = DayRun(8 / 3600, 1, tmp_path / "day", workers=1, sheet=tmp_path / "absent" / "sheet.png")
    assert render_day(run, SHORT) == 1
    assert "cannot write the contact sheet" in capsys.readouterr().err
    assert piece_path(run.out, 0).exists()


def asked(*more: str) -> argparse.Namespace:
    """Options of `fallwatch synth` as the command line gives them."""
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args([*more, "--seed", "3", "--workers", "1", "--data", "/nowhere"])


def test_short_pieces_are_asked_for_and_a_folder_of_others_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hours = ["--hours", str(6 / 3600), "--out", str(tmp_path)]
    assert cli.run(asked(*hours, "--piece", "6")) == 0
    assert len(read_piece(piece_path(tmp_path, 0))) == 60
    assert cli.run(asked(*hours)) == 2
    assert "another --seed or --piece" in capsys.readouterr().err


@pytest.mark.parametrize("piece", ["4", "-60", "nan", "3600"])
def test_a_piece_too_short_or_too_long_is_one_sentence(
    piece: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(asked("--hours", "1", "--out", str(tmp_path), "--piece", piece)) == 2
    assert "is outside 5 to 1800 s" in capsys.readouterr().err
