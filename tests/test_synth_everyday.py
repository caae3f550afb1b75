"""Everyday behaviour: every row of the catalogue makes a scene with the labels it must have; props follow people."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
import pytest

from device.labels import FALLING, FLOOR, LOW, LYING, SEATED, UPRIGHT
from training.synth.acts import SEATED_ACTS, STANDING_ACTS
from training.synth.acts_low import KNEELING_ACTS, LYING_ACTS, ON_PURPOSE_ACTS, lying_hips
from training.synth.aids import FRAME, WHEELCHAIR_SEAT_M, Aid, Wheelchair, seated_labels
from training.synth.behaviours import CATALOGUE
from training.synth.blanket import Blanket
from training.synth.everyday_catalogue import EVERYDAY, STILL
from training.synth.holding import CARRY, Holding, hold
from training.synth.motion import Gait, Move, Stay, Target, Walk
from training.synth.people import JOINT_INDEX, Figure, Look
from training.synth.pets import Pet
from training.synth.props import ALWAYS, Places, Prop, chase, within
from training.synth.rooms import Room
from training.synth.scene import Scene, SceneRefusedError, make_scene
from training.synth.script import Script
from training.synth.simulate import Track
from training.synth.stage import Stage, child_of

GREY = (0.5, 0.5, 0.5)
ANNA = Figure(1.70, 65.0, 1.0, 5.0, Look(GREY, GREY, GREY, GREY, GREY))

STANDS = {UPRIGHT}
SITS = {SEATED}
IN_BED = {LYING}
MUST_HAVE: dict[str, set[str]] = {
    "stand": STANDS, "walk": STANDS, "walk_in": STANDS, "walk_out": STANDS, "walk_aided": STANDS, "carrying": STANDS,
    "sit_aided": {UPRIGHT, SEATED}, "wheelchair": SITS, "wheelchair_pushed": {SEATED, UPRIGHT}, "sit_down": SITS,
    "sit_hard": SITS, "sit_slump": SITS, "sit_edge": SITS, "rise": {SEATED, UPRIGHT}, "seated": SITS, "watch_tv": SITS,
    "doze": SITS, "seated_exercise": SITS, "tie_shoes": SITS, "eat": SITS, "read": SITS, "shoe_on_seat": STANDS,
    "pick_from_seat": STANDS, "pick_up": {UPRIGHT, LOW}, "squat": {UPRIGHT, LOW}, "reach_up": STANDS,
    "curtains": STANDS, "sweep": STANDS, "gymnastics": STANDS, "dress": STANDS, "near": set(), "kneel": {LOW},
    "scrub": {LOW}, "floor_sit": {LOW}, "lie_down": {SEATED, LYING}, "get_up": {SEATED, LYING}, "sleep": IN_BED,
    "restless": IN_BED, "sit_in_bed": IN_BED, "passing": STANDS, "overtaking": STANDS, "crossing": STANDS,
    "group": STANDS, "visitor": {SEATED, UPRIGHT}, "help_rise": {SEATED, UPRIGHT}, "carer_at_bed": {LYING, UPRIGHT},
    "crawl": {LOW}, "drop_onto_bed": {UPRIGHT, SEATED}, "hurry": STANDS,
    "wheelchair_bow": SITS, "wheelchair_doze": SITS,
    "pet": STANDS, "play": set(), "floor_on_purpose": {FLOOR, LOW}, "mat_exercise": {FLOOR, LOW}, "empty": set(),
    "empty_pet": set(),
}  # fmt: skip
"""Labels that every scene of a behaviour shows at some time, whatever its chance."""


def scene_of(name: str, first: int = 0) -> Scene:
    """The first scene of a behaviour that the physics makes true."""
    for attempt in range(first, first + 40):
        try:
            return make_scene(name, 60, np.random.default_rng([8, attempt]), None, (256, 192))
        except (LookupError, FloatingPointError, SceneRefusedError):
            continue
    pytest.fail(f"no scene of {name} in 40 draws")


@pytest.mark.parametrize("name", [*EVERYDAY, *STILL])
def test_every_behaviour_makes_a_scene_with_its_labels(name: str) -> None:
    for first in (0, 100):
        scene = scene_of(name, first)
        seen = {label for person in scene.labels for label in person}
        assert seen >= MUST_HAVE[name], first
        assert FALLING not in seen
        assert CATALOGUE[name].on_purpose or FLOOR not in seen
        assert len(scene.labels) == CATALOGUE[name].people
        for track in scene.trace.tracks:
            assert not track.lost.any(), "nobody loses balance in everyday life"
            assert np.abs(track.pelvis[:, :2]).max() < max(scene.room.half) + 0.1


def test_the_table_of_labels_covers_the_catalogue() -> None:
    assert set(MUST_HAVE) == {*EVERYDAY, *STILL}


def test_who_lies_in_bed_is_lying_and_never_on_the_floor() -> None:
    for name in ("sleep", "restless", "sit_in_bed"):
        for first in (200, 300):
            labels = scene_of(name, first).labels[0]
            assert set(labels) <= {LYING, SEATED}, f"{name} {first}"
            assert labels.count(LYING) >= 0.4 * len(labels)


def test_a_sleeper_rests_on_the_bed() -> None:
    scene = scene_of("sleep", 500)
    top = [item.seat_m for item in scene.room.seats if item.kind in ("bed", "sofa")]
    pelvis = scene.trace.tracks[0].pelvis[:, 2]
    assert any((np.abs(pelvis - height - 0.12) < 0.12).all() for height in top)
    script = Script(ANNA, np.random.default_rng(0), Room((2, 2), 2.5))
    assert lying_hips(script, "on_back", 0.5) == pytest.approx(0.5 + 0.056 * 1.70)
    assert lying_hips(script, "on_side", 0.5) == pytest.approx(0.5 + 0.098 * 1.70)


def test_two_people_pass_each_other_closely() -> None:
    first, second = scene_of("passing").trace.tracks
    assert np.linalg.norm(first.pelvis[:, :2] - second.pelvis[:, :2], axis=1).min() < 1.0


def test_a_child_is_small_and_plays_low() -> None:
    scene = scene_of("play")
    child = scene.figures[0]
    assert 1.0 < child.height_m < 1.45
    assert 14.5 < child.mass_kg / child.height_m**2 < 18.5
    assert scene.trace.tracks[0].head[:, 2].max() < 1.45
    assert child_of(ANNA, np.random.default_rng(1)).look == ANNA.look


def test_all_tables_of_acts_are_told_apart() -> None:
    tables = (STANDING_ACTS, SEATED_ACTS, LYING_ACTS, KNEELING_ACTS, ON_PURPOSE_ACTS)
    names = [name for table in tables for name in table]
    assert len(names) == len(set(names))


def test_hands_that_hold_stay_where_they_hold_and_the_legs_walk() -> None:
    script = Script(ANNA, np.random.default_rng(0), Room((3, 3), 2.5))
    script.start("stand", (0.0, 0.0), 0.0).stay(1, 1)
    script.segments.append(Walk([(0.0, 0.0), (2.0, 0.0)], Gait(1.0), ANNA))
    hold(script, CARRY, 1)
    assert isinstance(script.segments[0], Move)
    assert isinstance(script.segments[1], Stay)
    walk = script.segments[2]
    assert isinstance(walk, Holding)
    assert walk.duration_s == pytest.approx(2.0)
    rest = Target(np.zeros(3), np.array([1.0, 0, 0, 0]), np.zeros(len(JOINT_INDEX)))
    walk.begin(rest, lambda *_: 0.9)
    poses = np.array([walk.target(t).joints for t in np.arange(0.5, 1.9, 0.05)])
    elbow, hip = JOINT_INDEX["l_elbow"], JOINT_INDEX["l_hip"]
    assert np.allclose(poses[:, elbow], np.radians(CARRY["l_elbow"]))
    assert np.ptp(poses[:, hip]) > 0.2


def test_a_chased_goal_is_followed_at_its_speed_and_left_when_let_go() -> None:
    goal = np.zeros((6, 3))
    goal[1:, 0] = 1.0
    held = np.array([True, True, True, False, False, True])
    # 2 m/s and steps of 0.1 s: 0.2 m a step.
    assert np.allclose(chase(goal, held, 2.0)[:, 0], [0.0, 0.2, 0.4, 0.4, 0.4, 0.6])
    assert list(within((0.1, 0.3), 5)) == [False, True, True, True, False]
    assert within(ALWAYS, 5).all()


def moved(model: mujoco.MjModel, prop: Prop, places: Places) -> np.ndarray:
    """The columns of a trace that a prop writes."""
    qpos = np.tile(model.qpos0, (places.steps, 1))
    prop.drive(model, qpos, places, "prop0")
    return qpos


def model_of(prop: Prop) -> mujoco.MjModel:
    """A model with nothing but one prop."""
    spec = mujoco.MjSpec()
    prop.add(spec, "prop0")
    return spec.compile()


def somebody(pelvis: Sequence[tuple[float, float, float]], yaw: float = 0.0) -> Places:
    """Places of a person of whom only the hips matter."""
    path = np.array(pelvis, float)
    parts = ("pelvis", "chest", "l_thigh", "r_thigh", "l_shin", "r_shin", "l_foot", "r_foot", "l_hand", "r_hand")
    return Places({"a_" + part: path for part in parts}, {"a_": np.full(len(path), yaw)}, len(path))


def test_a_wheelchair_goes_with_its_sitter_and_stays_when_they_rise() -> None:
    sitting, standing = WHEELCHAIR_SEAT_M + 0.1, 0.9
    chair = Wheelchair("a_", GREY, (0.0, 0.0), 0.0)
    path = [(0, 0, sitting), (0.1, 0, sitting), (0.2, 0, sitting), (0.5, 0, standing), (0.9, 0, standing)]
    place, yaw = chair.path(somebody(path))
    assert np.allclose(place[:, 0], [0, 0.1, 0.2, 0.2, 0.2])
    assert np.allclose(yaw, 0)
    columns = moved(model_of(chair), chair, somebody(path))
    assert np.allclose(columns[:, 0], [0, 0.1, 0.2, 0.2, 0.2])
    assert np.allclose(columns[:, 2], 0), "its wheels stand on the floor"


def test_low_over_a_wheelchair_is_seated_and_elsewhere_low() -> None:
    hips = np.array([[0, 0, 0.56], [0.3, 0, 0.7], [2, 0, 0.56]], float)
    track = Track(hips, hips, hips, hips[:, :2], np.zeros(3), np.zeros(3, bool))
    assert seated_labels(([LOW, LOW, LOW],), [track], [np.zeros((3, 3))]) == ([SEATED, SEATED, LOW],)


def test_a_walking_frame_is_ahead_while_its_user_stands() -> None:
    path = [(0.1 * i, 0, 0.9) for i in range(5)] + [(0.4, 0, 0.5)] * 3
    frame = Aid(FRAME, "a_", GREY, forward_m=0.4)
    columns = moved(model_of(frame), frame, somebody(path))
    assert np.allclose(columns[:5, 0], 0.4 + 0.1 * np.arange(5))
    assert np.allclose(columns[5:, 0], 0.8), "it stays where it was let go"
    assert np.allclose(columns[:, 2], 0)


def test_a_blanket_lies_on_the_sleeper_and_sinks_when_they_leave() -> None:
    blanket = Blanket("a_", GREY, (0.0, 0.0), 0.0, (1.0, 0.5), 0.5, "pelvis", (0.0, 0.4))
    path = [(0.0, 0.0, 0.6)] * 5 + [(1.5, 0.0, 0.9)] * 15
    model = model_of(blanket)
    at = int(model.joint("prop0_pelvis").qposadr[0])
    columns = moved(model, blanket, somebody(path))[:, at : at + 3]
    assert np.allclose(columns[:5], [0, 0, 0.61])
    assert np.allclose(columns[:, 0], 0), "it does not walk away with the sleeper"
    assert columns[-1, 2] == pytest.approx(0.61 - 0.13)


def test_a_pet_walks_its_path_on_the_floor_and_lies_down() -> None:
    pet = Pet(((0.0, 0.0), (1.0, 0.0)), 0.5, 1.0, 3.0, "lie", GREY)
    columns = moved(model_of(pet), pet, somebody([(0, 0, 0.9)] * 40))
    assert columns[:, 0].max() == pytest.approx(1.0, abs=0.03)
    assert np.diff(columns[:, 0]).max() <= 0.1 + 1e-9, "at most 1 m/s"
    assert columns[0, 2] == pytest.approx(0.25)
    assert columns[:, 2].min() < 0.12, "it lies"
    assert columns[:, 2].min() > 0.05


def test_props_are_nobody_and_push_nobody() -> None:
    scene = scene_of("wheelchair")
    model = scene.model
    names = [model.body(i).name for i in range(model.nbody) if model.body(i).name.startswith("prop")]
    assert names
    for index in range(model.ngeom):
        if model.body(int(model.geom_bodyid[index])).name in names:
            assert model.geom_contype[index] == 0
            assert model.geom_conaffinity[index] == 0


def test_a_stage_knows_whose_script_is_whose() -> None:
    other = child_of(ANNA, np.random.default_rng(0))
    stage = Stage(Room((2, 2), 2.5), np.random.default_rng(0), (ANNA, other))
    assert [stage.prefix(stage.script(person)) for person in (0, 1)] == ["a_", "b_"]


def test_one_seed_one_scene() -> None:
    for name in ("wheelchair_pushed", "pet"):
        for attempt in range(40):
            try:
                a, b = (make_scene(name, 60, np.random.default_rng([8, attempt]), None, (256, 192)) for _ in range(2))
            except (LookupError, FloatingPointError, SceneRefusedError):
                continue
            assert np.array_equal(a.trace.qpos, b.trace.qpos)
            assert a.labels == b.labels
            break
        else:
            pytest.fail(f"no scene of {name}")
