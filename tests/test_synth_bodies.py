"""Skinned people: the shape against its files by hand, the skins against the physics, folders that are not whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from tests.conftest import SHARED
from training.synth import cli
from training.synth.bodies import files
from training.synth.bodies.body import Body, Outfit, dress
from training.synth.bodies.files import BASE_VERTICES, BodyFileError, Fit, Mesh
from training.synth.bodies.garments import fitted, fitted_weights, shells, thinned
from training.synth.bodies.rig import PART_INDEX, PARTS, RIG_BONES, part_weights, rest_pose, shortest_turn, to_room
from training.synth.bodies.shape import Bodies, Shape, open_bodies
from training.synth.bodies.tailored import CUTS
from training.synth.bodies.wardrobe import random_body, random_outfit, random_shape
from training.synth.build import average_build
from training.synth.camera import Camera
from training.synth.film import Options
from training.synth.light import Light, add_lights
from training.synth.people import HIDDEN_GROUP, JOINTS, Figure, add_person, random_figure
from training.synth.poses import named_pose, turn_quaternion
from training.synth.render import Look, Painter
from training.synth.scene import base_spec
from training.synth.simulate import Person

WOMAN = Shape(female=True, races=(0.0, 0.0, 1.0), age=0.5, weight=0.5, height_m=1.60)


@pytest.fixture(scope="module")
def bodies() -> Bodies:
    """The CC0 people; skips, loudly, where they are absent."""
    found = open_bodies(SHARED / "data" / "bodies")
    if found is None:
        pytest.skip(f"CC0 BODIES ABSENT: {SHARED}/data/bodies not found; this test checked nothing")
    return found


@pytest.fixture(scope="module")
def dressed(bodies: Bodies) -> Body:
    """A woman in a suit of two pieces, with shoes and hair."""
    suit = "female_casualsuit01"
    return dress(
        bodies,
        WOMAN,
        Outfit(
            "female1605",
            (
                ("trousers", "clothes", suit, "bottom"),
                ("shirt", "clothes", suit, "top"),
                ("shoes", "clothes", "shoes01", "whole"),
                ("hair", "hair", "bob02", "whole"),
            ),
        ),
    )


def figure_of(body: Body) -> Figure:
    plain = random_figure(np.random.default_rng(0))
    return Figure(body.height_m, 60.0, 1.0, 5.0, plain.look, body)


def model_of(figure: Figure) -> Any:
    spec = base_spec((256, 192), False, 10)
    add_lights(spec, 2.5, np.random.default_rng(0), False)
    add_person(spec, "a_", figure)
    return spec.compile()


def test_a_target_moves_a_vertex_by_its_share(bodies: Bodies) -> None:
    line = next(
        words
        for words in map(
            str.split, (bodies.folder / "targets" / "asian-male-old.target").read_text("utf-8").splitlines()
        )
        if words and words[0] == "5000"
    )
    base = bodies.blend({})[5000]
    by_hand = [base[axis] + 0.25 * float(line[axis + 1]) for axis in range(3)]
    assert bodies.blend({"asian-male-old": 0.25})[5000] == pytest.approx(by_hand, abs=1e-12)
    place = [line for line in (bodies.folder / "base.obj").read_text("utf-8").splitlines() if line[:2] == "v "][5000]
    assert base.tolist() == [float(word) for word in place.split()[1:]]


def test_a_persons_target_shares_sum_to_one_a_kind() -> None:
    mix = Shape(False, (0.2, 0.3, 0.5), age=0.25, weight=-0.4, height_m=1.7).targets()
    assert sum(share for name, share in mix.items() if "universal" not in name) == pytest.approx(1.0)
    assert mix["asian-male-old"] == pytest.approx(0.3 * 0.25)
    assert mix["universal-male-young-averagemuscle-minweight"] == pytest.approx(0.75 * 0.4)
    assert not any("maxweight" in name or "female" in name for name in mix)


@pytest.mark.parametrize("height", [1.50, 1.62, 1.80])
def test_a_body_is_as_tall_as_asked_for(bodies: Bodies, height: float) -> None:
    up = to_room(bodies.vertices(Shape(True, (0.3, 0.3, 0.4), 0.8, 0.2, height)))[bodies.skin, 2]
    assert up.max() - up.min() == pytest.approx(height, abs=1e-6)


def test_part_weights_share_the_trunk_and_sum_to_one() -> None:
    table = part_weights(
        {
            "spine04": (np.array([0, 1]), np.array([0.5, 1.0])),
            "upperleg01.R": (np.array([0]), np.array([0.5])),
            "finger2-1.L": (np.array([2]), np.array([0.3])),
        }
    )
    assert table[0, PART_INDEX["pelvis"]] == pytest.approx(0.3)
    assert table[0, PART_INDEX["chest"]] == pytest.approx(0.2)
    assert table[0, PART_INDEX["r_thigh"]] == pytest.approx(0.5)
    assert table[1, PART_INDEX["pelvis"]] == pytest.approx(0.6)
    assert table[2, PART_INDEX["l_forearm"]] == 1.0
    assert table[3:].sum() == 0


def test_every_drawn_vertex_has_weights_that_sum_to_one(bodies: Bodies, dressed: Body) -> None:
    assert bodies.weights[bodies.skin].sum(axis=1) == pytest.approx(1.0)
    for layer in dressed.layers:
        assert layer.weights.sum(axis=1) == pytest.approx(1.0)
        assert layer.weights.min() >= 0


def test_a_garment_follows_its_triangle_and_its_scale() -> None:
    base = np.array([[0.0, 0, 0], [4.0, 0, 0], [0, 8.0, 0], [0, 0, 2.0]])
    scale = ((0, 1, 2.0), (0, 2, 4.0), (0, 3, 1.0))
    fit = Fit(
        np.array([[1, 2, 3]]), np.array([[0.5, 0.25, 0.25]]), np.array([[0.1, 0.2, -0.3]]), scale, np.zeros(0, int)
    )
    # 0.5 * (4,0,0) + 0.25 * (0,8,0) + 0.25 * (0,0,2) + (0.1, 0.2, -0.3) * (4/2, 8/4, 2/1)
    assert fitted(fit, base)[0] == pytest.approx([2.2, 2.4, -0.1])


def test_a_garments_weights_follow_from_its_triangle() -> None:
    base = np.zeros((3, len(PARTS)))
    base[0, 0], base[1, 1], base[2, 1] = 1.0, 1.0, 1.0
    scale = ((0, 1, 1.0),) * 3
    fit = Fit(np.array([[0, 1, 2]]), np.array([[0.25, 0.85, -0.1]]), np.zeros((1, 3)), scale, np.zeros(0, int))
    # The negative share pulls nothing: 0.25 and 0.85 of 1.10.
    assert fitted_weights(fit, base)[0, :2] == pytest.approx([0.25 / 1.10, 0.85 / 1.10])


def test_shells_come_apart_and_thin_apart() -> None:
    square = np.array([[0, 0, 0], [0.3, 0, 0], [0.3, 0.1, 0], [0, 0.1, 0], [0.6, 0, 0], [0.6, 0.1, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]])
    places = np.concatenate([square, square[:4] + np.array([0, 0, 0.01])])
    triangles = np.concatenate([faces, faces[:2] + 6])
    mesh = Mesh(places, np.zeros((10, 2)), triangles, triangles, np.array(["cloth"] * 6))
    assert [len(shell) for shell in shells(mesh)] == [4, 2]
    fit = Fit(
        np.zeros((10, 3), int), np.ones((10, 3)), np.arange(30.0).reshape(10, 3), ((0, 1, 1.0),) * 3, np.zeros(0, int)
    )
    small, rows = thinned(mesh, fit, 0.2)
    # Cells of 0.2 merge the pairs at x 0, 0.3 and 0.6, each shell for itself; no triangle keeps three corners.
    assert len(small.vertices) == len(rows.vertex) == 5
    assert len(small.triangles) == 0
    same, _ = thinned(mesh, fit, 0.05)
    assert len(same.triangles) == 6


def test_the_shortest_turn_turns_and_nothing_else() -> None:
    turn = shortest_turn(np.array([0.0, 0, -1]), np.array([0.0, 1, -1]))
    assert turn @ [0, 0, -1] == pytest.approx(np.array([0, 1, -1]) / np.sqrt(2))
    assert turn @ [1, 0, 0] == pytest.approx([1, 0, 0])


def test_a_hanging_figure_rests_in_frames_that_are_ours() -> None:
    heads: dict[str, tuple[float, float, float]] = {"spine03": (0, 0, 1.1), "neck01": (0, 0, 1.45)}
    for letter, y in (("L", 1.0), ("R", -1.0)):
        limb = {"upperarm01": (0, 0.2 * y, 1.4), "lowerarm01": (0, 0.2 * y, 1.1), "wrist": (0.25, 0.2 * y, 1.1)}
        limb |= {"upperleg01": (0, 0.1 * y, 0.9), "lowerleg01": (0, 0.1 * y, 0.5), "foot": (0, 0.1 * y, 0.1)}
        heads |= {f"{bone}.{letter}": place for bone, place in limb.items()}
    head = {bone: np.array(heads[bone], float) for bone in RIG_BONES}
    tail = {bone: place + np.array([0.1, 0, -0.05]) for bone, place in head.items()}
    rest = rest_pose(head, tail)
    # Upper arm and leg hang as in our zero pose, the forearm points ahead: an elbow bent by 90 degrees about -y.
    for part in ("l_upper_arm", "r_upper_arm", "l_thigh", "r_shin", "l_foot"):
        assert rest.of(part)[1] == pytest.approx(np.eye(3), abs=1e-9)
    assert rest.of("l_forearm")[1] @ [0, 0, -1] == pytest.approx([1, 0, 0])
    assert rest.of("l_forearm")[1] @ [0, 1, 0] == pytest.approx([0, 1, 0])
    assert rest.of("pelvis")[0] == pytest.approx([0, 0, 0.9])


def test_the_rest_pose_reproduces_the_mesh(dressed: Body) -> None:
    model = model_of(figure_of(dressed))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    for part, place, turn in zip(PARTS, dressed.rest.place, dressed.rest.turn, strict=True):
        body = model.body(f"a_{part}").id
        data.xpos[body] = place
        data.xmat[body] = turn.ravel()
        mujoco.mju_mat2Quat(data.xquat[body], turn.ravel())
    scene = mujoco.MjvScene(model, 100)
    camera, every = mujoco.MjvCamera(), mujoco.mjtCatBit.mjCAT_ALL.value
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, every, scene)
    drawn = np.array(scene.skinvert).reshape(-1, 3)
    given = np.concatenate([layer.vertices for layer in dressed.layers])
    assert np.abs(drawn - given).max() < 1e-4


def test_clothes_hide_the_skin_below(bodies: Bodies, dressed: Body) -> None:
    bare = dress(bodies, WOMAN, Outfit("female1605", ()))
    skin = dressed.layers[0]
    assert skin.cloth == bare.layers[0].cloth == "skin"
    thighs = [PART_INDEX["l_thigh"], PART_INDEX["r_thigh"]]
    assert skin.weights[:, thighs].sum() < 0.02 * bare.layers[0].weights[:, thighs].sum()
    assert skin.weights[:, PART_INDEX["head"]].sum() > 0.9 * bare.layers[0].weights[:, PART_INDEX["head"]].sum()


def test_the_build_is_that_of_the_body(dressed: Body) -> None:
    build, average = dressed.build, average_build(1.0)
    assert build.hip_height == pytest.approx(average.hip_height, abs=0.05)
    for name in ("thigh", "shin", "pelvis_r", "chest_r", "head_r", "thigh_r", "upper_arm_r"):
        assert 0.7 < getattr(build, name) / getattr(average, name) < 1.5, name
    hip, knee = dressed.rest.of("l_thigh")[0], dressed.rest.of("l_shin")[0]
    assert build.thigh * dressed.height_m == pytest.approx(float(np.linalg.norm(hip - knee)))


def lowest_skin(figure: Figure, pose_name: str) -> float:
    """Lowest drawn point in m of trunk, head and legs when the solid body rests on a floor at 0."""
    assert figure.body is not None
    model = model_of(figure)
    person, data, pose = Person(model, "a_", figure, []), mujoco.MjData(model), named_pose(pose_name)
    turn = turn_quaternion(0.0, pose)
    data.qpos[:7] = [0, 0, person.ground(pose.joints, turn, 0.0), *turn]
    data.qpos[[model.joint(f"a_{joint.name}").qposadr[0] for joint in JOINTS]] = pose.joints
    mujoco.mj_kinematics(model, data)
    scene = mujoco.MjvScene(model, 100)
    every = mujoco.mjtCatBit.mjCAT_ALL.value
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, mujoco.MjvCamera(), every, scene)
    drawn = np.array(scene.skinvert).reshape(-1, 3)
    weights = np.concatenate([layer.weights for layer in figure.body.layers])
    arms = [index for index, part in enumerate(PARTS) if part.endswith("arm")]
    return float(drawn[weights[:, arms].sum(axis=1) < 0.3, 2].min())


@pytest.mark.parametrize("pose", ["stand", "sit", "on_back", "on_side", "on_front", "kneel", "floor_sit"])
def test_the_skin_lies_where_the_solid_body_lies(bodies: Bodies, pose: str) -> None:
    shapes = [
        Shape(female, (0.2, 0.2, 0.6), age, weight, 1.65)
        for female, age, weight in ((True, 0.9, 0.8), (False, 0.2, -0.5), (True, 0.3, 0.0), (False, 0.8, 0.9))
    ]
    for shape in shapes:
        gap = lowest_skin(figure_of(dress(bodies, shape, Outfit("male1591", ()))), pose)
        assert -0.03 < gap < 0.035, (shape, gap)


def test_the_same_seed_gives_the_same_person(bodies: Bodies) -> None:
    first = random_body(np.random.default_rng(3), bodies, WOMAN, bald=False)
    fresh = Bodies(bodies.folder)
    random_body(np.random.default_rng(9), fresh, WOMAN, bald=False)
    again = random_body(np.random.default_rng(3), fresh, WOMAN, bald=False)
    assert first.outfit == again.outfit
    for one, other in zip(first.layers, again.layers, strict=True):
        assert np.array_equal(one.vertices, other.vertices)
        assert np.array_equal(one.triangles, other.triangles)


def test_every_garment_of_the_wardrobe_fits(bodies: Bodies) -> None:
    rng, seen = np.random.default_rng(0), set()
    for _ in range(300):
        for cloth, kind, name, part in random_outfit(rng, bool(rng.random() < 0.5), bald=False).worn:
            if (kind, name, part) in seen:
                continue
            seen.add((kind, name, part))
            body = dress(bodies, WOMAN, Outfit("female1605", ((cloth, kind, name, part),)))
            spread = np.ptp(np.concatenate([layer.vertices for layer in body.layers]), axis=0)
            assert spread[2] < 1.75, (kind, name)  # nothing stands off the body
            assert spread[0] < 0.6, (kind, name)
    assert {name for kind, name, _ in seen if kind == "tailored"} == set(CUTS)


def test_a_child_is_the_same_body_smaller(dressed: Body) -> None:
    child = dressed.scaled(0.7)
    assert child.height_m == pytest.approx(0.7 * dressed.height_m)
    assert child.layers[1].vertices == pytest.approx(0.7 * dressed.layers[1].vertices)
    assert child.rest.place == pytest.approx(0.7 * dressed.rest.place)


def test_most_people_have_a_body_and_the_old_are_as_common_as_the_young(bodies: Bodies) -> None:
    figures = [random_figure(np.random.default_rng(seed), bodies) for seed in range(60)]
    shapes = [figure.body.shape for figure in figures if figure.body]
    assert 45 <= len(shapes) <= 57
    assert 0.25 < np.mean([shape.age >= 0.6 for shape in shapes]) < 0.75
    assert 0.3 < np.mean([shape.female for shape in shapes]) < 0.8
    for figure in figures:
        assert 1.4 < figure.height_m < 2.05
        assert 17 < figure.mass_kg / figure.height_m**2 < 36


def test_shapes_stay_in_their_ranges() -> None:
    for seed in range(50):
        shape = random_shape(np.random.default_rng(seed), seed % 2 == 0, 1.7, 1.1)
        assert sum(shape.races) == pytest.approx(1.0)
        assert (0.6 <= shape.age <= 1.0) == (seed % 2 == 0)
        assert -0.8 <= shape.weight <= 1.0


def painted(figure: Figure) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The picture and the map of who is where of a person who stands at the origin."""
    model = model_of(figure)
    camera = Camera((3.0, 0.0, 1.4), (0.0, 0.0, 0.9), 70.0, 0.0, 0.0)
    painter = Painter(model, ("a_",), Look(camera, [(0, Light("day", 0.3, 0.5, 0.4, 0.4))], blob_shadow=0.0))
    try:
        data = mujoco.MjData(model)
        painter.pose(data.qpos, 0)
        return painter.picture(), painter.people()
    finally:
        painter.close()


def test_the_map_of_people_sees_the_skin(dressed: Body) -> None:
    picture, owner = painted(figure_of(dressed))
    capsules = Figure(dressed.height_m, 60.0, 1.0, 5.0, random_figure(np.random.default_rng(0)).look)
    _, of_capsules = painted(capsules)
    assert set(np.unique(owner)) == {0, 1}
    both = (owner == 1) & (of_capsules == 1)
    assert both.sum() > 0.6 * (of_capsules == 1).sum()
    large = np.repeat(np.repeat(owner, 2, axis=0), 2, axis=1)
    assert picture[large == 1].std() > 10  # a shaded person, not a hole


def test_the_solid_body_inside_a_skin_is_not_drawn(dressed: Body) -> None:
    model = model_of(figure_of(dressed))
    assert set(model.geom_group.tolist()) == {HIDDEN_GROUP}
    assert model.nskin == len(dressed.layers)


def test_without_bodies_people_are_capsules(tmp_path: Path) -> None:
    assert open_bodies(tmp_path / "bodies") is None
    figure = random_figure(np.random.default_rng(1), None)
    assert figure.body is None
    model = model_of(figure)
    assert model.nskin == 0
    assert set(model.geom_group.tolist()) == {0}
    assert figure.hip_m == pytest.approx(0.530 * figure.height_m)


@pytest.mark.parametrize(
    ("name", "text", "read"),
    [
        ("x.target", "12 0.1 0.2", files.read_target),
        ("x.target", "12 0.1 0.2 zero", files.read_target),
        ("x.target", f"{BASE_VERTICES} 0.1 0.2 0.3", files.read_target),
        ("x.obj", "v 0 0 0\nvt 0 0\n", files.read_mesh),
        ("x.obj", "v 0 0 0\nvt 0 0\nf 1/1 2/1 3/1\n", files.read_mesh),
        ("x.obj", "v 0 0 zero\n", files.read_mesh),
        ("x.mhw", '{"weights": ', files.read_weights),
        ("x.mhw", json.dumps({"weights": {"root": [[1, 0.5, 3]]}}), files.read_weights),
        ("x.mhskel", json.dumps({"bones": {}, "joints": {}}), lambda path: files.read_joints(path, RIG_BONES)),
        ("x.mhclo", "verts 0\n1 2 3 0.5 0.5", files.read_fit),
        ("x.mhclo", "verts 0\n1 2 3 0.3 0.3 0.4 0 0 0\n", files.read_fit),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path: Path, name: str, text: str, read: Any) -> None:
    path = tmp_path / name
    with pytest.raises(BodyFileError, match=name):
        read(path)  # absent
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BodyFileError, match=name):
        read(path)


def test_a_missing_target_is_named(bodies: Bodies, tmp_path: Path) -> None:
    for entry in bodies.folder.iterdir():
        if entry.name != "targets":
            (tmp_path / entry.name).symlink_to(entry)
    with pytest.raises(BodyFileError, match=r"caucasian-female-.*\.target"):
        Bodies(tmp_path).vertices(WOMAN)


def test_ranges_of_hidden_vertices(tmp_path: Path) -> None:
    path = tmp_path / "x.mhclo"
    scales = "".join(f"{axis}_scale 1 2 1.5\n" for axis in "xyz")
    path.write_text(f"# comment\nname x\n{scales}verts 0\n7\nmaterial y\ndelete_verts\n3 - 5 9\n12\n", encoding="utf-8")
    fit = files.read_fit(path)
    assert fit.hides.tolist() == [3, 4, 5, 9, 12]
    assert fit.vertex.tolist() == [[7, 7, 7]]
    assert fit.share.tolist() == [[1, 0, 0]]


def test_a_clip_of_a_broken_folder_fails_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bodies").mkdir()
    outcome = cli._render((1, 0, Options(20, tmp_path), tmp_path))
    assert outcome.hopeless
    assert "base.obj" in str(outcome.reason)
    assert "\n" not in str(outcome.reason)
    assert not list(tmp_path.glob("*.npz"))
