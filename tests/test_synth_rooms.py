"""Rooms, cameras, light and sensors of rendered clips: what they promise, by hand where it is arithmetic."""

from __future__ import annotations

import argparse
import base64
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.pieces import read_facts
from training.synth import cli, gl
from training.synth.builder import Decor
from training.synth.camera import WIDE, Camera, place_camera, sway
from training.synth.clip import FORMAT, Clip, clip_path, load_clip, save_clip
from training.synth.film import RASTER, Options, draw_look, make_clip, picture_size
from training.synth.furniture import PARTS, furnish
from training.synth.gltf import read_shape
from training.synth.light import Light, add_lights, light_plan, random_light, ray_to, screen_flicker
from training.synth.render import Canvas, Painter
from training.synth.room_model import RoomBuilder, walls_of
from training.synth.rooms import ROOM_KINDS, Item, Room, plan_room
from training.synth.scene import base_spec
from training.synth.sensor import Sensor, Stamp, degrade, gains, held_frames, random_sensor
from training.synth.shadows import LIFT_M, cast
from training.synth.sheet import statistics, write_sheet
from training.synth.textures import DataFileError
from training.synth.video import through_h264

CLEAN = Sensor(
    mean_level=100.0, gamma=1.0, contrast=1.0, lift=0.0, noise=0.0, shot=0.0, blur=0.0, shutter=0.0, vignette=0.0,
    gain_speed=0.0, gain_delay=0, interlace=False, jpeg=0, crf=0, ghost=0.0, stamp=-1, fps=30.0, jitter=0.0,
    drop_share=0.0, freeze=0, exposure_step=0.0, flicker=0.0, moving_shade=0.0,
)  # fmt: skip


def changed(**faults: object) -> Sensor:
    """A faultless camera but for these."""
    return Sensor(**{**vars(CLEAN), **faults})


def model_of(room: Room, seed: int = 0) -> Any:
    """A compiled room without people."""
    rng = np.random.default_rng(seed)
    spec = base_spec((256, 192), False, 8)
    RoomBuilder(spec, room, Decor(None, False, blanket=True, curtain=True, shine=0.2), rng).build()
    add_lights(spec, room.height, rng, False)
    return spec.compile()


def test_every_kind_of_room_comes_with_its_furniture_inside_its_walls() -> None:
    rng, kinds = np.random.default_rng(0), set()
    for _ in range(120):
        room = plan_room((), rng)
        kinds.add(room.kind)
        for item in room.items:
            corners = [item.world(x * item.half[0], y * item.half[1]) for x in (-1, 1) for y in (-1, 1)]
            if item.kind != "rug" and not 0.01 < item.yaw % (np.pi / 2) < np.pi / 2 - 0.01:
                assert all(abs(x) < room.half[0] + 0.01 and abs(y) < room.half[1] + 0.01 for x, y in corners), item
    assert kinds == set(ROOM_KINDS)


@pytest.mark.parametrize(
    ("need", "where"),
    [("bed", {"bedroom"}), ("toilet", {"bathroom"}), ("sofa", {"bedroom", "day_room"}), ("counter", {"kitchen"})],
)
def test_a_story_gets_the_furniture_it_needs_in_a_room_that_has_such(need: str, where: set[str]) -> None:
    rng, kinds = np.random.default_rng(1), set()
    for _ in range(30):
        room = plan_room((need,), rng)
        assert room.item(need).kind == need
        kinds.add(room.kind)
    assert kinds == where


def test_all_furniture_that_a_room_may_have_can_be_built() -> None:
    named = {kind for room in ROOM_KINDS.values() for kind in (*room.always, *room.holds, *(k for k, _ in room.extras))}
    assert named == set(PARTS)
    for index, kind in enumerate(sorted(PARTS)):
        item = Item(kind, (0.2, 0.1), (0.5, 0.6), 0.3, 1.3, 0.45)
        spec = base_spec((256, 192), False, 8)
        room = Room((2, 2), 2.6, (item,), kind="day_room")
        furnish(RoomBuilder(spec, room, Decor(None, False, blanket=True), np.random.default_rng(index)), item)
        model = spec.compile()
        assert model.ngeom, kind
        assert all(item.distance(tuple(place[:2])) < 0.3 for place in model.geom_pos), kind


def test_a_place_on_a_wall_is_seen_from_inside() -> None:
    east, north, *_ = walls_of(Room((2.0, 1.0), 2.5))
    assert east.place(0.5, 1.2, 0.1) == pytest.approx([1.9, -0.5, 1.2])
    assert north.place(0.5, 1.2, 0.1) == pytest.approx([0.5, 0.9, 1.2])
    assert np.cross(east.axes[:3], east.axes[3:]).tolist() == [-1, 0, 0], "its picture faces the room"


def furniture(folder: Path) -> Path:
    """A glTF file with one square, 2 m wide along x and 1 m high along y, at z = 3."""
    points = np.array([[-1, 0, 3], [1, 0, 3], [1, 1, 3], [-1, 1, 3]], "<f4")
    places, faces = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], "<f4"), np.array([0, 1, 2, 0, 2, 3], "<u2")
    (folder / "box.bin").write_bytes(points.tobytes() + places.tobytes() + faces.tobytes())
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
    (folder / "box.png").write_bytes(base64.b64decode(pixel))
    document = {
        "buffers": [{"uri": "box.bin"}],
        "bufferViews": [{"buffer": 0, "byteOffset": 0}, {"buffer": 0, "byteOffset": 48}, {"byteOffset": 80}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 4},
            {"bufferView": 1, "componentType": 5126, "type": "VEC2", "count": 4},
            {"bufferView": 2, "componentType": 5123, "type": "SCALAR", "count": 6},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2}]}],
        "nodes": [{"mesh": 0, "scale": [1, 2, 1]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [{"uri": "box.png"}],
    }
    path = folder / "box.gltf"
    path.write_text(json.dumps(document))
    return path


def test_modelled_furniture_stands_on_the_floor_around_the_origin(tmp_path: Path) -> None:
    shape = read_shape(furniture(tmp_path))
    # glTF's y is up and its z is the front: here z up and x the front; the node doubles the height.
    assert shape.vertices.tolist() == [[0, -1, 0], [0, 1, 0], [0, 1, 2], [0, -1, 2]]
    assert shape.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert shape.picture.shape == (128, 128, 3)


def test_a_broken_furniture_model_is_refused_by_name(tmp_path: Path) -> None:
    path = furniture(tmp_path)
    (tmp_path / "box.bin").write_bytes(b"short")
    with pytest.raises(DataFileError, match=r"box\.gltf is not a furniture model"):
        read_shape(path)


def test_cameras_hang_as_security_cameras_do() -> None:
    rng, cameras = np.random.default_rng(2), []
    points = np.array([[0.1, 0.2, 0.9], [0.4, 0.1, 1.5]])
    for _ in range(150):
        room = Room((2.4, 2.1), 2.7, kind="bedroom")
        cameras.append(place_camera(room, points, "actor", rng))
    heights = np.array([camera.place[2] for camera in cameras])
    assert (heights >= 0.7).all()
    assert (heights <= 2.6).all()
    assert (heights >= 1.5).mean() > 0.7
    assert all(50 <= camera.fov_deg <= 120 and abs(camera.roll_deg) <= 6 for camera in cameras)
    assert 0.2 < np.mean([camera.ratio == WIDE for camera in cameras]) < 0.5
    assert any(camera.barrel > 0.3 for camera in cameras)
    assert any(camera.barrel == 0 for camera in cameras)


def test_a_camera_on_a_stand_is_before_somebody_who_stays_and_not_before_one_who_walks() -> None:
    rng = np.random.default_rng(4)
    there = np.tile([[0.2, 0.1, 0.9], [0.2, 0.1, 1.6]], (20, 1))
    walks = there + np.linspace(0, 1.2, 40)[:, None] * [1, 0, 0]
    low = []
    for _ in range(400):
        room = Room((2.5, 2.5), 2.6)
        camera = place_camera(room, there, "actor", rng)
        if camera.place[2] < 0.9 or np.hypot(camera.place[0] - 0.2, camera.place[1] - 0.1) < 1.2:
            low.append(camera)
        assert place_camera(room, walks, "actor", rng).place[2] >= 0.9
    assert 5 <= len(low) <= 0.12 * 400 * 1.5
    for camera in low:
        x, y, z = camera.place
        assert 0.7 <= z <= 1.6
        assert 0.5 <= np.hypot(x - 0.2, y - 0.1) <= 2.2
        assert max(abs(x), abs(y)) < 2.4
        assert 0.9 <= camera.aim[2] <= 1.6


def test_a_wide_picture_sees_as_wide_and_less_high_and_a_turned_camera_turns() -> None:
    classic = Camera((2.0, 0.0, 1.0), (0.0, 0.0, 1.0), 90.0, 0.0, 0.0)
    wide = Camera((2.0, 0.0, 1.0), (0.0, 0.0, 1.0), 90.0, 0.0, 0.0, WIDE)
    assert classic.fovy_deg == pytest.approx(2 * np.degrees(np.arctan(0.75)))
    assert wide.fovy_deg == pytest.approx(2 * np.degrees(np.arctan(9 / 16)))
    assert (picture_size(classic), picture_size(wide)) == ((256, 192), (256, 144))
    ahead = np.array([-1.0, 0.0, 0.0])
    assert (ahead @ classic.axes(pan_deg=10))[0] < 0, "panned right, what was ahead is left"
    assert (ahead @ classic.axes(tilt_deg=10))[1] < 0, "tilted up, what was ahead is low"
    turned = classic.axes(7, -4, 12)
    assert np.allclose(turned @ turned.T, np.eye(3))


def test_most_cameras_hang_still_and_the_others_move_a_little() -> None:
    rng = np.random.default_rng(3)
    moves = [sway(rng, 60) for _ in range(300)]
    shaken = [move for move in moves if move is not None]
    assert 0.08 < len(shaken) / len(moves) < 0.25
    assert all(move.shape == (60, 3) for move in shaken)
    assert np.median([np.abs(move).max() for move in shaken]) < 3


def test_a_shadow_falls_where_the_light_throws_it() -> None:
    part = np.array([0.5, -0.2, 1.0])
    below = cast(part, np.array([0.0, 0.0, -1.0]), (2.0, 1.5))
    assert below is not None
    assert below.place == pytest.approx([0.5, -0.2, LIFT_M])
    assert below.way_m == pytest.approx(1.0)
    beside = cast(part, np.array([1.0, 0.0, 0.0]), (2.0, 1.5))
    assert beside is not None
    assert beside.place == pytest.approx([2.0 - LIFT_M, -0.2, 1.0])
    assert abs(beside.axes[:, 2] @ [1, 0, 0]) == pytest.approx(1)
    slanted = cast(part, np.array([0.6, 0.0, -0.8]), (2.0, 1.5))
    assert slanted is not None
    assert slanted.place == pytest.approx([0.5 + 0.75, -0.2, LIFT_M])
    assert slanted.half[0] > slanted.half[1], "a slanting light draws it out"
    assert cast(part, np.array([0.0, 0.0, 1.0]), (2.0, 1.5)) is None


def test_light_has_its_moments_in_order_and_night_no_lamp() -> None:
    rng = np.random.default_rng(4)
    kinds: set[str] = set()
    for _ in range(200):
        plan = light_plan(rng, 60)
        starts = [start for start, _ in plan]
        assert starts[0] == 0
        assert starts == sorted(starts)
        assert starts[-1] < 60
        kinds.update(light.kind for _, light in plan)
    assert kinds == {"day", "lamp", "screen", "night"}
    nights = [light for light in (random_light(rng) for _ in range(100)) if light.kind == "night"]
    assert all(light.lamp == light.window == light.screen == 0 for light in nights)
    flicker = screen_flicker(rng, 200)
    assert flicker.shape == (200,)
    assert (flicker >= 0.2).all()
    assert (flicker <= 1.6).all()
    assert np.abs(np.diff(flicker)).max() > 0.3, "scenes are cut"


def test_shadows_point_away_from_the_strongest_light() -> None:
    model = model_of(Room((2, 2), 2.6, kind="bedroom"))
    part = np.array([1.5, 1.0, 0.8])
    under_lamp = ray_to(model, Light("lamp", 0.9, 0.1, 0.0, 0.1), part)
    assert under_lamp is not None
    lamp = model.light("lamp").pos
    assert np.allclose(np.cross(under_lamp, part - lamp), 0, atol=1e-6)
    by_window = ray_to(model, Light("day", 0.1, 0.6, 0.0, 0.3), part)
    assert by_window is not None
    assert np.allclose(by_window, model.light("window").dir / np.linalg.norm(model.light("window").dir))
    assert ray_to(model, Light("night", 0.0, 0.0, 0.8, 0.05), part) is None


def test_the_gain_is_set_once_followed_or_hunts() -> None:
    means = np.r_[np.full(20, 50.0), np.full(60, 25.0)]
    fixed = gains(means, CLEAN)
    assert (fixed == 2.0).all()
    prompt = gains(means, changed(gain_speed=0.5))
    assert prompt[19] == 2.0
    assert prompt[-1] == pytest.approx(4.0, abs=0.01)
    assert prompt.max() <= 4.001
    hunting = gains(means, changed(gain_speed=0.5, gain_delay=3))
    assert hunting.max() > 4.3, "a late controller overshoots"
    assert gains(np.full(5, 1.0), CLEAN).max() == 7.0


def test_a_clean_camera_changes_nothing_but_exposure() -> None:
    rng = np.random.default_rng(5)
    pictures = [np.full((48, 64), 50, np.uint8), np.full((48, 64), 80, np.uint8)]
    out = degrade(pictures, CLEAN, rng)
    assert np.abs(out[0].astype(int) - 100).max() <= 1
    assert np.abs(out[1].astype(int) - 160).max() <= 1
    combed = degrade(pictures, changed(interlace=True), rng)
    assert np.abs(combed[1][::2].astype(int) - 160).max() <= 1
    assert np.abs(combed[1][1::2].astype(int) - 100).max() <= 1


def test_noise_grows_with_the_light_as_photons_do() -> None:
    half = np.hstack([np.full((96, 64), 10, np.uint8), np.full((96, 64), 220, np.uint8)])
    out = degrade([half], changed(mean_level=float(half.mean()), shot=4.0), np.random.default_rng(6))[0]
    assert out[:, 64:].std() > 2 * out[:, :64].std()


def test_held_pictures_never_show_the_future_and_a_dead_moment_is_short() -> None:
    rng = np.random.default_rng(7)
    for _ in range(60):
        sensor = random_sensor(rng, night=bool(rng.random() < 0.5))
        shown = held_frames(60, sensor, rng)
        assert (shown <= np.arange(60)).all()
        assert (np.diff(shown) >= 0).all()
    frozen = held_frames(60, changed(freeze=4), rng)
    assert (np.arange(60) - frozen).max() == 4
    jittery = held_frames(60, changed(fps=10.0, jitter=0.4), rng)
    assert len(set(np.diff(jittery))) > 1


def test_h264_keeps_count_and_shape_gives_the_same_bits_and_loses_detail() -> None:
    rng = np.random.default_rng(8)
    pictures = [rng.integers(0, 255, (144, 256), dtype=np.uint8) for _ in range(7)]
    good, bad = through_h264(pictures, 20, 30), through_h264(pictures, 40, 30)
    assert [picture.shape for picture in good] == [(144, 256)] * 7
    assert all(np.array_equal(a, b) for a, b in zip(bad, through_h264(pictures, 40, 30), strict=True))

    def loss(coded: list[np.ndarray]) -> float:
        return float(np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(coded, pictures, strict=True)]))

    assert loss(good) < loss(bad)


def test_a_time_stamp_stays_in_its_corner_and_ticks_every_second() -> None:
    stamp = Stamp(3, (192, 256), np.random.default_rng(9))
    grey = np.full((192, 256), 128, np.uint8)
    shown = [stamp.write(grey.copy(), step) for step in (0, 9, 10)]
    assert np.array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[0], shown[2])
    rows, columns = np.nonzero(shown[0] != 128)
    assert rows.min() > 160
    assert columns.min() > 60
    assert np.array_equal(Stamp(-1, (192, 256), np.random.default_rng(9)).write(grey, 0), grey)


def test_the_environment_chooses_the_renderer_and_no_gpu_means_osmesa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert gl.choose_gl() == "egl"
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr(gl, "NODES", ("/nowhere/nvidia*",))
    assert gl.choose_gl() == "osmesa"


@pytest.fixture(scope="module")
def canvas() -> None:
    """Off-screen OpenGL; skips, loudly, where there is none."""
    try:
        Canvas.shared(256, 192)
    except RuntimeError as error:
        pytest.skip(f"NO OFF-SCREEN OPENGL, no picture was checked: {error}")


def test_one_scene_gives_one_picture_whatever_lay_in_memory(canvas: None) -> None:
    rng = np.random.default_rng(10)
    room = plan_room((), rng)
    model = model_of(room)
    camera = Camera((room.half[0] - 0.2, room.half[1] - 0.2, 2.2), (0.0, 0.0, 0.6), 90.0, 0.0, 0.0)
    look = draw_look(room, camera, 20, rng)
    pictures = []
    for size in (1000, 70_000, 300):
        litter = np.random.default_rng(size).bytes(size * 100)
        painter = Painter(model, (), look)
        painter.pose(np.zeros(model.nq), 3)
        pictures.append(painter.picture().copy())
        painter.close()
        del litter
    assert pictures[0].std() > 3
    assert all(np.array_equal(pictures[0], picture) for picture in pictures[1:])


def arguments(out: Path, *more: str) -> argparse.Namespace:
    """Options of `fallwatch synth` for a tiny run."""
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    given = ["--clips", "2", "--seed", "1", "--out", str(out), "--steps", "20", "--data", str(out / "none"), *more]
    return parser.parse_args(given)


def test_a_clip_does_not_depend_on_how_many_processes_render(canvas: None, tmp_path: Path) -> None:
    assert cli.run(arguments(tmp_path / "clips", "--workers", "2")) == 0
    for index in range(2):
        stored, here = load_clip(clip_path(tmp_path / "clips", index)), make_clip(1, index, Options(20))
        assert np.array_equal(stored.grey, here.grey), index
        assert np.array_equal(stored.owner, here.owner)
        assert np.array_equal(stored.label, here.label)
        assert stored.meta == here.meta
        left, top, width, height = stored.meta["content"]
        bars = np.ones((RASTER.height, RASTER.width), bool)
        bars[top : top + height, left : left + width] = False
        assert not stored.grey[:, bars].any(), "nothing in the bars"


def test_a_broken_picture_in_the_data_folder_is_named(
    canvas: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "textures").mkdir(parents=True)
    (tmp_path / "data" / "textures" / "rosewood_veneer_torn.jpg").write_bytes(b"no picture")
    given = arguments(tmp_path / "clips", "--workers", "1")
    given.data = tmp_path / "data"
    assert cli.run(given) == 1
    assert "rosewood_veneer_torn.jpg is not a picture that OpenCV can read" in capsys.readouterr().err


def described(behaviour: str, label: int, **changes: object) -> Clip:
    """Two seconds of one label."""
    meta = {
        "format": FORMAT, "content": [0, 0, 128, 96], "index": 0, "behaviour": behaviour, "group": "everyday",
        "room": "kitchen", "light": ["day"], "bodies": [True, False], "shadows": False, "shaken": False,
    }  # fmt: skip
    black = np.zeros((20, 96, 128), np.uint8)
    height = np.full((20, 2), np.nan, np.float32)
    return Clip(black, black, np.full(20, label, np.uint8), height, meta | changes)


def test_statistics_count_clips_seconds_light_rooms_and_people() -> None:
    wide = [0, 12, 128, 72]
    text = statistics([described("walk", 1), described("sit", 2, light=["day", "night"], content=wide)])
    assert text.splitlines()[0] == "2 clips: everyday 100 %"
    for line in ("upright 2.0, seated 2.0", "kitchen 100 %", "day 50 %, day switched 50 %", "body 50 %, capsules 50 %",
                 "4:3 50 %, 16:9 50 %"):  # fmt: skip
        assert line in text


def test_statistics_read_no_picture(tmp_path: Path) -> None:
    clips = [described("walk", 1), described("sit", 2, content=[0, 12, 128, 72])]
    for number, clip in enumerate(clips):
        save_clip(clip, tmp_path / f"{number}.npz")
        with zipfile.ZipFile(tmp_path / f"{number}.npz") as whole:
            parts = {name: whole.read(name) for name in ("meta.npy", "label.npy")}
        with zipfile.ZipFile(tmp_path / f"{number}.npz", "w") as bare:
            for name, content in parts.items():
                bare.writestr(name, content)
    assert statistics(read_facts(tmp_path / f"{number}.npz") for number in range(2)) == statistics(clips)
    (tmp_path / "0.npz").write_bytes(b"half")
    with pytest.raises(ValueError, match=r"0\.npz: no whole piece"):
        read_facts(tmp_path / "0.npz")


def test_a_contact_sheet_needs_clips_and_a_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no clip to draw"):
        write_sheet([], tmp_path / "sheet.png")
    with pytest.raises(OSError, match="cannot write the contact sheet"):
        write_sheet([described("walk", 1)], tmp_path / "nowhere" / "sheet.png")
