"""Falls out of the physics: every kind is one, its labels agree with heights and speeds, one seed is one fall."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from device.labels import FALLING, FLOOR, LOW, LYING, SEATED, UPRIGHT
from tests.conftest import SHARED
from training.synth.crawling import HandsAndKnees
from training.synth.fall_catalogue import AFTER_FALLS, FALLS, NEAR_FALLS
from training.synth.labels_truth import Fall, check_labels, ends_down, find_fall, person_labels
from training.synth.mocap import GAIT_FILES, MOTION_FILES, mirrored_motion, open_motions, read_motion
from training.synth.motion import Gait, Target
from training.synth.people import JOINT_INDEX, JOINTS, Figure, Look
from training.synth.poses import named_pose, turn_quaternion
from training.synth.replayed import MOST_CROUCH, RecordedWalk, get_up
from training.synth.rooms import Item
from training.synth.scene import SITS_AFTER, Scene, SceneRefusedError, _first, make_scene
from training.synth.simulate import Track

GREY = (0.5, 0.5, 0.5)
ANNA = Figure(1.70, 65.0, 1.0, 5.0, Look(GREY, GREY, GREY, GREY, GREY))
SEEDS = 3


@cache
def scene_of(name: str, seed: int, data: Path | None = None, steps: int = 80) -> Scene:
    """A scene of the behaviour: the first of 40 draws which the physics makes true."""
    for attempt in range(40):
        try:
            return make_scene(name, steps, np.random.default_rng([seed, attempt]), data, (256, 192))
        except (LookupError, FloatingPointError, SceneRefusedError):
            continue
    pytest.fail(f"no scene of {name} in 40 draws")


def track(head: list[float], speed: list[float], lost: list[bool], pelvis: list[float] | None = None) -> Track:
    """A body seen by heights of head and pelvis (m) and its speed (m/s)."""
    zero = np.zeros((len(head), 2))
    low = np.column_stack([zero, [0.55 * z for z in head] if pelvis is None else pelvis])
    return Track(low, np.column_stack([zero, head]), low + 0.1, zero, np.array(speed), np.array(lost))


@pytest.mark.parametrize("name", sorted(FALLS))
def test_every_kind_of_fall_ends_down_and_is_labelled_as_the_physics_says(name: str) -> None:
    for seed in range(SEEDS):
        scene = scene_of(name, seed)
        body, labels, fall = scene.trace.tracks[0], scene.labels[0], scene.fall
        assert fall is not None
        assert set(labels[fall.start : fall.end]) == {FALLING}
        assert FALLING not in labels[: fall.start] + labels[fall.end :]
        assert body.head[fall.start, 2] - body.head[fall.start : fall.end + 1, 2].min() > 0.2
        assert body.speed[fall.start : fall.end].max() > 0.35
        assert body.lost[fall.start : fall.end].all(), "nothing holds the body while it falls"
        landing = scene.room.seats if name == "fall_onto_bed" else ()
        assert labels[fall.end] in ((LYING, SEATED) if landing else (FLOOR, LOW) if name in SITS_AFTER else (FLOOR,))
        assert scene.filmed.start <= fall.start < scene.filmed.stop
        for person, words in zip(scene.trace.tracks, scene.labels, strict=True):
            assert check_labels(person, words, landing) == []


def test_slides_are_slow_and_falls_are_fast() -> None:
    def seconds(name: str) -> float:
        falls = [scene_of(name, seed).fall for seed in range(SEEDS)]
        return float(np.median([(fall.end - fall.start) / 10 for fall in falls if fall is not None]))

    assert seconds("fall_wall_slide") > 2.0 > seconds("fall_slip")


@pytest.mark.parametrize("name", sorted(NEAR_FALLS))
def test_a_balance_caught_in_time_is_no_fall(name: str) -> None:
    for seed in range(SEEDS):
        scene = scene_of(name, seed)
        assert scene.fall is None
        assert not {FALLING, FLOOR} & set(scene.labels[0])
        if name != "near_fall_seat":
            assert scene.trace.tracks[0].lost.any(), "balance was lost for a moment"
            assert scene.labels[0][-1] == UPRIGHT


@pytest.mark.parametrize("name", sorted(AFTER_FALLS))
def test_what_is_filmed_after_a_fall_shows_somebody_down(name: str) -> None:
    scene = scene_of(name, 1, steps=60)
    fall, labels = scene.fall, scene.labels[0]
    assert fall is not None
    assert scene.filmed.start >= fall.end - 5
    assert labels[fall.end] == FLOOR
    if name in ("floor_still", "floor_visited"):
        assert set(labels[fall.end :]) <= {FLOOR, LOW}
    else:
        assert labels[fall.end :].index(LOW) < labels[fall.end :].index(UPRIGHT), "by way of sitting or kneeling"


def test_what_lies_long_on_the_floor_is_filmed_at_any_moment_after_the_fall() -> None:
    rng = np.random.default_rng(0)
    starts = [_first(AFTER_FALLS["floor_still"], Fall(20, 40, 1.4), 600, 60, rng) for _ in range(200)]
    assert min(starts) >= 35, "half a second before rest at the earliest"
    assert max(starts) <= 540
    assert np.quantile(starts, 0.5) > 200, "half of them more than 16 s after the fall"


def test_hands_and_knees_go_ahead_at_their_pace_and_never_jump() -> None:
    crawl = HandsAndKnees(4.0, 0.3, named_pose("all_fours"))
    start = Target(
        np.array([1.0, 2.0, 0.4]), turn_quaternion(np.pi / 2, named_pose("all_fours")), np.zeros(len(JOINTS))
    )
    crawl.begin(start, lambda joints, turn, support: 0.4)
    path = [crawl.target(t) for t in np.arange(0, 4.01, 0.1)]
    assert np.allclose(path[0].place, start.place)
    assert np.allclose(path[-1].place, [1.0, 2.0 + 4.0 * 0.3, 0.4], atol=0.02)
    joints = np.array([target.joints for target in path])
    assert np.abs(np.diff(joints, axis=0)).max() < 0.3
    swings = joints[10:, [JOINT_INDEX["l_shoulder"], JOINT_INDEX["r_shoulder"]]]
    assert np.corrcoef(swings.T)[0, 1] < -0.9, "left and right take turns"


def test_one_seed_is_one_fall() -> None:
    a, b = (make_scene("fall_trip", 60, np.random.default_rng([3, 1]), None, (256, 192)) for _ in range(2))
    assert np.array_equal(a.trace.qpos, b.trace.qpos)
    assert a.labels == b.labels
    assert a.filmed == b.filmed


def test_a_stumble_is_passed_over_and_the_fall_after_it_found() -> None:
    head = [1.6] * 3 + [1.5, 1.5] + [1.5] * 5 + [1.2, 0.8, 0.4, 0.1, 0.1] + [0.1] * 8
    speed = [0.1] * 3 + [0.9, 0.9] + [0.6] * 5 + [1.0, 2.0, 2.0, 1.0, 0.1] + [0.0] * 8
    lost = [False] * 3 + [True] * 2 + [False] * 5 + [True] * 13
    fall = find_fall(track(head, speed, lost))
    assert fall is not None
    assert (fall.start, fall.end) == (10, 14)
    assert find_fall(track(head[:10], speed[:10], lost[:10])) is None


def test_a_slide_that_pauses_on_a_table_is_not_over() -> None:
    head = [1.6, 1.4, 1.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.6, 0.3, 0.1] + [0.1] * 5
    speed = [0.5, 1.0, 1.0, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 0.5] + [0.0] * 5
    fall = find_fall(track(head, speed, [True] * 18, [0.9] * 10 + [0.5, 0.2, 0.15] + [0.1] * 5))
    assert fall is not None
    assert (fall.start, fall.end) == (0, 13)


def test_sitting_against_a_wall_ends_a_slide_only_where_it_may() -> None:
    head = [1.6, 1.5, 1.3, 1.1, 0.9, 0.8] + [0.75] * 12
    slide = track(head, [0.5] * 6 + [0.0] * 12, [True] * 18, [0.8, 0.7, 0.5, 0.4, 0.3, 0.2] + [0.15] * 12)
    labels = [FALLING] * 6 + [LOW] * 12
    assert ends_down(slide, labels, 0.45, sits=True)
    assert not ends_down(slide, labels, 0.45)
    assert not ends_down(slide, labels, 0.95, sits=True), "the head sank by 0.85 m only"


def test_a_fall_onto_a_bed_ends_on_it_only_where_it_may() -> None:
    bed = Item("bed", (0.0, 0.0), (1.0, 0.5), 0.0, 0.9, seat_m=0.5)
    head = [1.6, 1.5, 1.3, 1.0, 0.8, 0.7] + [0.65] * 12
    drop = track(head, [0.5] * 6 + [0.0] * 12, [True] * 18, [0.9, 0.8, 0.7, 0.65, 0.62, 0.6] + [0.6] * 12)
    fall = find_fall(drop, (bed,))
    assert fall is not None
    assert (fall.start, fall.end) == (0, 6)
    labels = [FALLING] * 6 + [LYING] * 12
    assert ends_down(drop, labels, 0.45, landing=(bed,))
    assert not ends_down(drop, labels, 0.45), "without a bed that body never came to rest"
    assert not ends_down(drop, [FALLING] * 6 + [FLOOR] * 12, 0.45, landing=(bed,)), "off the bed again"
    assert check_labels(drop, labels, (bed,)) == []
    flat = replace(drop, chest=drop.pelvis + np.array([0.4, 0.0, 0.02]))
    assert person_labels(flat, ANNA, (bed,), (bed,)) == labels, "legs over the edge, the trunk flat"
    assert check_labels(drop, labels) == ["the fall before step 6 ends lying and not down"]


def test_labels_that_contradict_the_physics_are_named() -> None:
    still = track([1.6] * 6, [0.1] * 6, [False] * 6)
    assert check_labels(still, [UPRIGHT] * 6) == []
    sinks, slow, ends = check_labels(still, [UPRIGHT, FALLING, FALLING, UPRIGHT, UPRIGHT, UPRIGHT])
    assert "sinks only 0.00 m" in sinks
    assert "nothing moves faster" in slow
    assert "ends upright" in ends
    assert check_labels(still, [FLOOR] * 6) == ["a step is called floor but the body is high"]
    lying = track([0.1] * 6, [0.0] * 6, [False] * 6)
    assert check_labels(lying, [UPRIGHT] * 6) == ["a step is called upright but the body is low"]


def still_motion(folder: Path, name: str, knee: float, frames: int = 4) -> Path:
    """A file of somebody who stands straight, right knee bent by `knee` rad, walking 0.1 m a frame along x."""
    row = [0.1, 0.0, 0.87, 0.0, *[1.0, 0.0, 0.0, 0.0] * 4, -knee, 1, 0, 0, 0, 1, 0, 0, 0, 0.3]
    row += [1, 0, 0, 0, 0.0, 1, 0, 0, 0, 1, 0, 0, 0, 0.0]
    path = folder / f"humanoid3d_{name}.txt"
    path.write_text(json.dumps({"Frames": [[row[0], 0.1 * i, *row[2:]] for i in range(frames)]}))
    return path


def test_a_recording_is_read_in_our_axes_and_mirrors(tmp_path: Path) -> None:
    motion = read_motion(still_motion(tmp_path, "walk", 0.5))
    assert np.allclose(motion.times, [0.0, 0.1, 0.2, 0.3])
    assert np.allclose(motion.place[2], [0.2, 0.0, 0.87])
    assert np.allclose(motion.turn, [1.0, 0.0, 0.0, 0.0])
    assert motion.joints[0, JOINT_INDEX["r_knee"]] == pytest.approx(0.5)
    assert motion.joints[0, JOINT_INDEX["r_elbow"]] == pytest.approx(0.3)
    assert mirrored_motion(motion).joints[0, JOINT_INDEX["l_knee"]] == pytest.approx(0.5)
    assert motion.at(0.05)[2][0] == pytest.approx(0.05)
    assert motion.at(9.0)[2][0] == pytest.approx(0.3), "held at the end"


@pytest.mark.parametrize("text", ["", "{}", '{"Frames": [[1, 2]]}', '{"Frames": "no"}'])
def test_a_torn_recording_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "humanoid3d_walk.txt").write_text(text)
    with pytest.raises(ValueError, match=r"humanoid3d_walk\.txt .*fetch"):
        read_motion(tmp_path / "humanoid3d_walk.txt")


def test_a_folder_without_a_recording_names_the_missing_file(tmp_path: Path) -> None:
    assert open_motions(None) is None
    assert open_motions(tmp_path) is None
    (tmp_path / "mocap").mkdir()
    with pytest.raises(ValueError, match=r"humanoid3d_walk\.txt cannot be read"):
        open_motions(tmp_path)


@pytest.fixture
def recordings() -> Path:
    """The data folder with recorded motion; skips, loudly, without it."""
    data = SHARED / "data"
    if not (data / "mocap").is_dir():
        pytest.skip(f"NO RECORDED MOTION in {data}: gaits and getting up were not checked")
    return data


def test_recorded_gaits_walk_and_whole_motions_get_up(recordings: Path) -> None:
    motions = open_motions(recordings)
    assert motions is not None
    assert set(motions.gaits) == set(GAIT_FILES)
    assert set(motions.whole) == set(MOTION_FILES)
    for cycles in motions.gaits.values():
        for cycle in cycles:
            assert 0.3 < cycle.stride_m / cycle.seconds < 4.0, cycle.name
            # Closed within a sample: the pose moves no more over the seam than anywhere else.
            steps = np.abs(np.diff(cycle.joints, axis=0, append=cycle.joints[:1])).max(axis=1)
            assert steps[-1] <= 1.5 * steps[:-1].max(), cycle.name
    for name in ("getup_facedown", "getup_faceup"):
        assert motions.whole[name].place[0, 2] < 0.3, "begins on the floor"
        assert motions.whole[name].place[-1, 2] > 0.8, "ends standing"
    rising = get_up(motions, ANNA, np.random.default_rng(0))
    assert rising.duration_s > 2.0
    walk = RecordedWalk([(0.0, 0.0), (3.0, 0.0)], Gait(0.5), ANNA, cycle=motions.gaits["stealthy_walk"][0])
    hips = [walk._legs_and_arms(t)[[JOINT_INDEX["l_hip"], JOINT_INDEX["r_hip"]]].mean() for t in np.arange(0, 6, 0.1)]
    assert float(np.mean(hips)) < MOST_CROUCH + 0.05


def test_somebody_gets_up_as_recorded_and_stands(recordings: Path) -> None:
    scenes = [scene_of("floor_getting_up", seed, recordings) for seed in range(3)]
    assert all(FLOOR in scene.labels[0] for scene in scenes)
    tall = [scene.trace.tracks[0].head[-1, 2] / scene.figures[0].height_m for scene in scenes]
    assert max(tall) > 0.8
