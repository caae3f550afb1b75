"""Synthetic clips: the labels against the physics, one seed one film, nothing half-written is read."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.labels import EMPTY, FALLING, FLOOR, INDEX, LABELS, LOW, LYING, SEATED, UPRIGHT
from training.pieces import Piece, write_piece
from training.synth import cli
from training.synth.behaviours import CATALOGUE, draw_behaviour
from training.synth.camera import Camera
from training.synth.clip import FORMAT, Clip, boxes, clip_path, load_clip, save_clip
from training.synth.film import Options, make_clip
from training.synth.labels_truth import (
    FLOOR_HEAD_M,
    REST_M_S,
    Moment,
    ends_down,
    find_fall,
    posture,
    scene_labels,
)
from training.synth.people import Figure, Look, random_figure
from training.synth.pose_table import POSES
from training.synth.poses import LYING_POSES, between, mirrored, named_pose, turn_quaternion
from training.synth.render import Canvas
from training.synth.rooms import Item, plan_room
from training.synth.scene import Scene, SceneRefusedError, make_scene
from training.synth.sensor import held_frames, random_sensor
from training.synth.simulate import Track

GREY = (0.5, 0.5, 0.5)
ANNA = Figure(1.70, 65.0, 1.0, 5.0, Look(GREY, GREY, GREY, GREY, GREY))
BED = Item("bed", (0.0, 0.0), (1.0, 0.5), 0.0, 0.9, 0.50)


def moment(
    xyz: tuple[float, float, float],
    head_m: float,
    tilt_deg: float,
    chest_m: float,
    feet_m: tuple[float, float] = (0.06, 0.06),
) -> Moment:
    """A moment of a body whose head is above the pelvis."""
    return Moment(np.array(xyz), np.array([xyz[0], xyz[1], head_m]), chest_m, *feet_m, float(np.radians(tilt_deg)))


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (moment((2, 2, 0.90), 1.60, 5, 1.2), UPRIGHT),
        (moment((2, 2, 0.88), 1.05, 75, 1.0), LOW),
        (moment((2, 2, 0.45), 0.60, 80, 0.5), LOW),
        (moment((2, 2, 0.10), 0.75, 15, 0.4), LOW),
        (moment((2, 2, 0.10), 0.58, 60, 0.40), LOW),
        (moment((2, 2, 0.12), 0.12, 88, 0.13), FLOOR),
        (moment((0, 0.3, 0.60), 1.25, 10, 0.9), SEATED),
        (moment((0, 0.3, 0.60), 0.85, 65, 0.8), SEATED),
        (moment((0, 0.7, 0.70), 1.20, 40, 1.0), SEATED),
        (moment((0, 0.0, 0.60), 0.62, 89, 0.61, feet_m=(0.6, 0.6)), LYING),
        (moment((0, 0.0, 0.60), 0.62, 89, 0.61, feet_m=(0.1, 0.6)), LYING),
        (moment((0, 0.3, 0.60), 0.75, 60, 0.80, feet_m=(0.1, 0.6)), SEATED),
        (moment((0, 0.3, 0.60), 0.65, 85, 0.61), SEATED),
    ],
    ids=["stands", "bends", "hands and knees", "sits on the floor", "sits bowed on the floor", "lies on the floor",
         "sits on the bed", "ties shoes on the bed edge", "half way to the bed", "lies in bed",
         "lies with a foot off the bed", "ties a shoe with the foot on the bed", "lies back, both feet on the floor"],
)  # fmt: skip
def test_posture_is_read_off_heights_tilt_and_support(body: Moment, label: str) -> None:
    assert posture(body, ANNA, (BED,)) == label


def track(head: list[float], speed: list[float], lost_from: int) -> Track:
    """A body seen only by its head's height and its speed."""
    steps = len(head)
    place = np.zeros((steps, 3))
    return Track(
        place,
        np.column_stack([np.zeros((steps, 2)), head]),
        place + 0.1,
        place[:, :2],
        np.array(speed),
        np.arange(steps) >= lost_from,
    )


def test_a_fall_lasts_from_lost_balance_to_rest() -> None:
    head = [1.6] * 5 + [1.5, 1.2, 0.7, 0.2, 0.15] + [0.12] * 10
    speed = [0.1] * 5 + [0.8, 2.0, 3.0, 2.0, 0.3] + [0.05] * 10
    fall = find_fall(track(head, speed, 5))
    assert fall is not None
    assert (fall.start, fall.end) == (5, 10)
    assert fall.drop_m == pytest.approx(1.5 - 0.12)


def test_who_never_loses_balance_never_falls_and_who_never_rests_has_no_end() -> None:
    assert find_fall(track([1.6] * 20, [0.1] * 20, 99)) is None
    restless = track([0.1] * 20, [2.0] * 20, 3)
    fall = find_fall(restless)
    assert fall is not None
    assert fall.end == 20
    assert not ends_down(restless, [FALLING] * 20, 0.0)


def test_two_people_carry_the_label_that_matters_and_the_unseen_do_not_count() -> None:
    people = [[UPRIGHT, FALLING, FLOOR, FLOOR], [SEATED, UPRIGHT, UPRIGHT, UPRIGHT]]
    seen = np.array([[True, True, True, False], [True, True, True, False]])
    assert [LABELS[i] for i in scene_labels(people, seen)] == [UPRIGHT, FALLING, FLOOR, EMPTY]
    assert list(scene_labels([], np.zeros((0, 2), bool))) == [INDEX[EMPTY]] * 2


def test_every_key_pose_is_whole_and_mirrors_back() -> None:
    for name in POSES:
        pose = named_pose(name)
        assert np.allclose(mirrored(mirrored(pose)).joints, pose.joints), name
        assert np.linalg.norm(turn_quaternion(1.1, pose)) == pytest.approx(1.0), name
    assert set(LYING_POSES) <= set(POSES)
    a, b = turn_quaternion(0.2, named_pose("stand")), turn_quaternion(2.0, named_pose("on_back"))
    assert np.allclose(between(a, b, 0.0), a)
    assert np.allclose(abs(between(a, b, 1.0) @ b), 1.0)


def test_the_mix_is_two_fifths_falls_half_everyday_a_tenth_lying_or_empty() -> None:
    total = sum(entry.share for entry in CATALOGUE.values())
    share = {g: sum(e.share for e in CATALOGUE.values() if e.group == g) / total for g in ("fall", "everyday", "still")}
    assert share["fall"] == pytest.approx(0.40, abs=0.03)
    assert share["everyday"] == pytest.approx(0.50, abs=0.03)
    assert share["still"] == pytest.approx(0.10, abs=0.03)
    assert {draw_behaviour(np.random.default_rng([1, i])) for i in range(600)} >= {
        n for n, e in CATALOGUE.items() if e.share >= 2
    }


def test_the_page_counts_the_behaviours_that_there_are() -> None:
    page = (Path(__file__).parent.parent / "docs" / "synth.md").read_text(encoding="utf-8")
    total = sum(behaviour.share for behaviour in CATALOGUE.values())
    for group, word in (("fall", "falls"), ("everyday", "everyday"), ("still", "lying or empty")):
        shares = [behaviour.share for behaviour in CATALOGUE.values() if behaviour.group == group]
        assert f"| {word}, {100 * sum(shares) / total:.0f} % ({len(shares)} kinds) |" in page


def test_a_slow_camera_holds_pictures_and_never_shows_the_future() -> None:
    rng = np.random.default_rng(4)
    for _ in range(40):
        sensor = random_sensor(rng, night=True)
        shown = held_frames(60, sensor, rng)
        assert (shown <= np.arange(60)).all()
        assert (np.diff(shown) >= 0).all()
        steady = sensor.drop_share == sensor.jitter == sensor.freeze == 0
        # Without faults a picture is at most one camera frame old, rounded up to steps.
        if steady:
            assert (np.arange(60) - shown).max() <= np.ceil(10 / sensor.fps)
        if sensor.fps >= 10 and steady:
            assert (shown == np.arange(60)).all()


def test_people_have_human_sizes_and_furniture_does_not_overlap() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        figure = random_figure(rng)
        assert 1.4 < figure.height_m < 2.0
        assert 17 < figure.mass_kg / figure.height_m**2 < 36
    for _ in range(20):
        try:
            room = plan_room(("bed",), rng)
        except LookupError:
            continue
        assert room.item("bed").seat_m > 0.4
        solid = [item for item in room.items if item.kind != "rug"]
        assert all(a.distance(b.centre) > 0 for a in solid for b in solid if a is not b)


def test_the_camera_sees_what_it_looks_at_and_not_what_is_behind_it() -> None:
    camera = Camera((2.0, 2.0, 2.2), (0.0, 0.0, 0.7), 70.0, 3.0, 0.0)
    assert list(camera.sees(np.array([[0.0, 0.0, 0.7], [4.0, 4.0, 3.0], [2.0, -2.0, 0.5]]))) == [True, False, False]
    assert np.allclose(camera.axes() @ camera.axes().T, np.eye(3))


def scene_of(name: str, first_try: int = 0) -> Scene:
    """The first scene of a behaviour that the physics makes true."""
    for attempt in range(first_try, first_try + 60):
        try:
            return make_scene(name, 60, np.random.default_rng([5, attempt]), None, (256, 192))
        except (LookupError, FloatingPointError, SceneRefusedError):
            continue
    pytest.fail(f"no scene of {name} in 60 draws")


@pytest.mark.parametrize("name", ["fall_trip", "fall_slip", "fall_faint", "fall_out_of_bed", "fall_sitting_down"])
def test_falls_come_out_of_the_physics_as_labelled(name: str) -> None:
    scene = scene_of(name)
    body, labels, fall = scene.trace.tracks[0], scene.labels[0], scene.fall
    assert fall is not None
    assert set(labels[fall.start : fall.end]) == {FALLING}
    assert FALLING not in labels[: fall.start]
    assert FALLING not in labels[fall.end :]
    assert body.head[fall.start, 2] - body.head[fall.end, 2] > 0.2, "the fall contains the drop of the head"
    assert body.speed[fall.start : fall.end].max() > 1.0, "a body that falls is fast"
    on_floor = np.array([label == FLOOR for label in labels])
    assert on_floor.any()
    assert (body.head[on_floor, 2] < FLOOR_HEAD_M).all()
    assert (body.pelvis[on_floor, 2] < 0.34).all()
    assert body.speed[fall.end] < REST_M_S
    assert scene.filmed.start <= fall.start < scene.filmed.stop, "the fall begins in front of the camera"


@pytest.mark.parametrize("name", ["walk", "sit_hard", "squat", "scrub", "lie_down", "passing"])
def test_everyday_life_never_carries_a_fall_label(name: str) -> None:
    scene = scene_of(name)
    for body, labels in zip(scene.trace.tracks, scene.labels, strict=True):
        assert not {FALLING, FLOOR} & set(labels)
        assert not body.lost.any()
        upright = np.array([label == UPRIGHT for label in labels])
        assert (body.head[upright, 2] > 0.9).all(), "who stands has the head up"
        assert (body.pelvis[:, 2] > 0.05).all(), "nobody sinks into the floor"
        assert (body.feet[upright, 0] < 0.25).all(), "who stands has a foot near the floor"


def test_a_hard_sit_ends_seated_and_a_sleeper_lies() -> None:
    assert scene_of("sit_hard").labels[0][-1] == SEATED
    assert set(scene_of("sleep").labels[0]) == {LYING}


@pytest.fixture(scope="module")
def gl() -> None:
    """Off-screen OpenGL; skips, loudly, where there is none."""
    try:
        Canvas.shared(256, 192)
    except RuntimeError as error:
        pytest.skip(f"NO OFF-SCREEN OPENGL, no picture was checked: {error}")


SHORT = Options(steps=20)


@pytest.fixture(scope="module")
def clip(gl: None) -> Clip:
    """Clip 3 of seed 1: short, no photographs."""
    return make_clip(1, 3, SHORT)


def equal(a: Clip, b: Clip) -> bool:
    """Same pictures, masks, labels and description, bit for bit."""
    return all(np.array_equal(getattr(a, k), getattr(b, k)) for k in ("grey", "owner", "label")) and (
        a.meta == b.meta and np.array_equal(a.height, b.height, equal_nan=True)
    )


def test_a_clip_depends_on_seed_and_index_only(clip: Clip) -> None:
    other = make_clip(1, 4, SHORT)
    again = make_clip(1, 3, SHORT)
    assert equal(clip, again)
    assert not np.array_equal(clip.grey, other.grey)


def test_a_clip_has_the_promised_form(clip: Clip) -> None:
    assert clip.grey.shape == clip.owner.shape == clip.mask.shape == (20, 96, 128)
    assert clip.grey.dtype == clip.owner.dtype == np.uint8
    assert clip.height.shape == (20, 2)
    assert clip.meta["format"] == FORMAT
    assert clip.label.shape == (20,)
    assert int(clip.label.max()) < len(LABELS)
    assert clip.grey.std() > 3, "a picture of something"
    assert clip.mask.any(), "somebody is in it"
    assert json.loads(json.dumps(clip.meta)) == clip.meta
    assert clip.meta["behaviour"] in CATALOGUE
    assert clip.meta["camera"]["fov_deg"] >= 50


def test_a_clip_survives_the_disk_and_a_torn_one_is_refused(clip: Clip, tmp_path: Path) -> None:
    path = clip_path(tmp_path, 3)
    save_clip(clip, path)
    assert equal(load_clip(path), clip)
    assert [p.name for p in tmp_path.iterdir()] == ["clip_000003.npz"], "no temporary file stays"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"clip_000003\.npz is not a whole synthetic clip"):
        load_clip(path)


def hand_made(owner: np.ndarray, **meta: object) -> Clip:
    """A clip of black pictures with this owner map."""
    steps = len(owner)
    height = np.full((steps, 2), np.nan, np.float32)
    labels = np.full(steps, INDEX[EMPTY], np.uint8)
    return Clip(np.zeros_like(owner), owner, labels, height, {"format": FORMAT, "content": [0, 0, 128, 96], **meta})


def test_boxes_hold_each_person_and_nobody_who_has_hardly_a_pixel() -> None:
    owner = np.zeros((3, 96, 128), np.uint8)
    owner[0, 10:20, 30:36] = 1
    owner[0, 50:60, 100:128] = 2
    owner[1, 5, 5] = 1
    found = boxes(hand_made(owner))
    assert found.dtype == np.float32
    assert found[0].tolist() == [[30, 10, 36, 20], [100, 50, 128, 60]]
    assert np.isnan(found[1:]).all()


def test_head_heights_are_known_exactly_where_the_person_is_seen(clip: Clip) -> None:
    seen = ~np.isnan(boxes(clip)[:, :, 0])
    assert (~np.isnan(clip.height) == seen).all()
    assert seen.any()
    assert ((clip.height[seen] > 0) & (clip.height[seen] < 2.1)).all()


@pytest.mark.parametrize("meta", [{"format": 1}, {"content": [0, 0, 129, 96]}, {"content": None}])
def test_another_format_is_refused_by_name(meta: dict[str, object], tmp_path: Path) -> None:
    save_clip(hand_made(np.zeros((2, 96, 128), np.uint8), **meta), tmp_path / "old.npz")
    with pytest.raises(ValueError, match=r"old\.npz is not a whole synthetic clip .*(format|content)"):
        load_clip(tmp_path / "old.npz")


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"kind": "day", "format": 1}, "a simulated day: for `fallwatch mine`"),
        ({"truth": "everyday"}, "kept by `fallwatch mine`"),
        ({"format": 1}, "training.synth.upgrade"),
        ({"format": 99}, "delete it"),
    ],
)
def test_what_is_whole_and_no_clip_is_not_told_to_be_deleted(
    meta: dict[str, object], said: str, tmp_path: Path
) -> None:
    grey = np.zeros((20, 96, 128), np.uint8)
    write_piece(Piece(grey, np.zeros(20, np.uint8), meta), tmp_path / "other.npz")
    with pytest.raises(ValueError, match=r"other\.npz is not a whole synthetic clip") as caught:
        load_clip(tmp_path / "other.npz")
    assert said in str(caught.value)
    assert ("delete" in str(caught.value)) == (said == "delete it")


def arguments(out: Path, *more: str) -> argparse.Namespace:
    """Options of `fallwatch synth` for a tiny run in this process."""
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    base = [
        "--clips",
        "2",
        "--seed",
        "1",
        "--out",
        str(out),
        "--workers",
        "1",
        "--steps",
        "20",
        "--data",
        str(out / "none"),
    ]
    return parser.parse_args([*base, *more])


def test_a_run_resumes_replaces_the_torn_and_refuses_a_foreign_folder(
    gl: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, sheet = tmp_path / "clips", tmp_path / "sheet.png"
    assert cli.run(arguments(out, "--sheet", str(sheet))) == 0
    assert "2 clips" in capsys.readouterr().out
    assert (out / cli.PROGRESS).read_text() == "clips: 2 of 2\n"
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape[0] == 2 * 144
    whole, torn = clip_path(out, 0), clip_path(out, 1)
    untouched, wanted = whole.stat().st_mtime_ns, load_clip(torn)
    torn.write_bytes(torn.read_bytes()[:500])
    (out / ".clip_000001.npz.99.tmp").write_bytes(b"half")
    assert cli.run(arguments(out)) == 0
    assert whole.stat().st_mtime_ns == untouched, "a whole clip is not made again"
    assert equal(load_clip(torn), wanted)
    assert not list(out.glob(".*.tmp"))
    assert cli.run(arguments(out, "--seed", "2")) == 2
    assert "use another --out folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [["--clips", "0"], ["--steps", "5"], ["--workers", "0"], ["--seed", "-1"], ["--piece", "60"]]
)
def test_wrong_use_is_one_sentence_and_exit_code_2(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments(tmp_path / "out", *more)) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("name", "said"), [("sheet.txt", "end it in .png"), ("absent/sheet.png", "no folder")])
def test_a_sheet_that_cannot_be_written_is_said_before_anything_is_rendered(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = str(tmp_path / name)
    clips = arguments(tmp_path / "out", "--sheet", sheet)
    assert cli.run(clips) == 2
    assert cli.run(argparse.Namespace(**{**vars(clips), "hours": 0.1, "steps": cli.CLIP_STEPS})) == 2
    told = capsys.readouterr().err
    assert told.count(said) == told.count("\n") == 2
    assert not list(tmp_path.iterdir())


def test_the_out_folder_must_be_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert cli.run(arguments(tmp_path / "file")) == 2
    assert "is a file; name a folder" in capsys.readouterr().err


def test_a_full_disk_stops_the_run_with_one_sentence_and_leaves_nothing_half_written(gl: None, tmp_path: Path) -> None:
    out = tmp_path / "clips"
    command = [
        sys.executable,
        "-m",
        "training.synth",
        "--clips",
        "5",
        "--seed",
        "1",
        "--out",
        str(out),
        "--workers",
        "1",
    ]
    # No file may grow beyond 4 kB: for the writer that is a full disk.
    limit = (4096, resource.RLIM_INFINITY)
    run = subprocess.run(
        [*command, "--steps", "20", "--data", str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )  # fmt: skip
    assert run.returncode == 1
    assert "cannot write clip 0" in run.stderr
    assert "Traceback" not in run.stderr
    assert not list(out.glob("*.npz"))
    assert not list(out.glob(".*.tmp"))


FILM = Path(__file__).resolve().parent.parent / "device" / "footage" / "night_fall.mp4"


def test_the_demo_film_is_small_and_as_long_as_promised() -> None:
    film = cv2.VideoCapture(str(FILM))
    assert film.isOpened(), f"{FILM} does not open"
    size = [int(film.get(cv2.CAP_PROP_FRAME_WIDTH)), int(film.get(cv2.CAP_PROP_FRAME_HEIGHT))]
    seconds = film.get(cv2.CAP_PROP_FRAME_COUNT) / film.get(cv2.CAP_PROP_FPS)
    film.release()
    assert size == [640, 480]
    assert 30 <= seconds <= 35
    assert FILM.stat().st_size < 700_000
