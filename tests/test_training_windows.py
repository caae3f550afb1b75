"""Footage by its own time, targets by hand, windows that keep their labels, and rendered clips that are whole."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from device.labels import EMPTY, FALLING, FLOOR, INDEX, LABELS, LYING, SEATED, UPRIGHT
from device.preprocess import NO_CHANGE, Raster, stack
from tests.clips_made import bar_clip, mine, render
from training.augment import Augment, Look, moved
from training.backdrops import Backdrops
from training.cuts import Cut, bounced, cut_of, frozen, walk_by
from training.footage import FootageError, load_clip, sample_footage
from training.index import Clip
from training.options import TrainConfig
from training.pieces import Piece, write_piece
from training.samples import (
    STORED,
    Sample,
    Source,
    ease_onset,
    mined_sample,
    real_sample,
    synthetic_sample,
    targets,
)
from training.synth import clip as clip_file
from training.windows import Batch, Inputs, Mix, Windows

RASTER = Raster(32, 24)

PLAIN = Augment(
    mirror=0, stretch=0, zoom=0, shrink=0, wide=0, portrait=0, roll_deg=0, shake=0, gamma=0, contrast=0,
    brightness=0, invert=0, exposure=0, vignette=0, noise=0, blur=0, occlude=0, slow_camera=0, drops=0,
    speeds=(1.0, 1.0),
)  # fmt: skip


def clip(path: Path = Path("a.mp4"), *, fall: bool = True, **changes: object) -> Clip:
    values: dict[str, object] = {
        "row": 2, "split": "train", "dataset": "home", "path": path, "fall": fall,
        "fall_start_s": 1.0 if fall else None, "fall_end_s": 2.0 if fall else None, "on_floor": False,
        "subject": "P", "room": "R", "licence": "MIT",
    }  # fmt: skip
    return Clip(**(values | changes))  # type: ignore[arg-type]


def film(path: Path, stamps: list[float]) -> None:
    """A video whose picture at time t has the grey level 20 + 200 t."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for t in stamps:
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + 200 * t, np.uint8), format="bgr24")
            picture.pts, picture.time_base = round(1000 * t), Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def sample(label: int | list[int], grey: np.ndarray | None = None, real: bool = False) -> Sample:
    labels = np.full(60, label) if isinstance(label, int) else np.asarray(label)
    grey = np.random.default_rng(1).integers(0, 255, (len(labels), 96, 128), np.uint8) if grey is None else grey
    allowed = np.eye(len(LABELS), dtype=bool)[labels]
    source: Source = "real" if real else "rendered"
    people = None if real else np.packbits(np.zeros(grey.shape, bool), axis=-1)
    return Sample("s", grey, allowed, np.ones(len(labels), np.float32), (0, 0, 128, 96), source, moved(grey), people)


def whole(one: Sample) -> Cut:
    """All of a clip, its fall as abrupt as its labels."""
    return cut_of(one, np.arange(len(one.grey)), 0.0)


def test_footage_follows_the_files_own_time_stamps(tmp_path: Path) -> None:
    stamps = [0.0, 0.05, 0.1, 0.2, 0.7, 0.8, 0.9]  # fast, then half a second without a picture
    film(tmp_path / "a.mp4", stamps)
    footage = sample_footage(tmp_path / "a.mp4", RASTER)
    assert footage.t == pytest.approx(np.arange(10) / 10, abs=1e-6)
    shown = (footage.grey.mean(axis=(1, 2)) - 20) / 200
    assert shown == pytest.approx([0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.7, 0.8, 0.9], abs=0.03)
    assert footage.size == (64, 48)


def test_footage_is_decoded_once_and_again_when_the_file_changes(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [0.0, 0.1, 0.2])
    one = clip(tmp_path / "a.mp4", fall=False)
    assert len(load_clip(one, RASTER, tmp_path / "cache")) == 3
    (kept,) = (tmp_path / "cache").glob("*.npz")
    before = kept.stat().st_mtime_ns
    assert len(load_clip(one, RASTER, tmp_path / "cache")) == 3
    assert kept.stat().st_mtime_ns == before
    kept.write_bytes(b"half a file")
    assert len(load_clip(one, RASTER, tmp_path / "cache")) == 3
    film(tmp_path / "a.mp4", [0.0, 0.1, 0.2, 0.3])
    assert len(load_clip(one, RASTER, tmp_path / "cache")) == 4


def test_a_file_that_is_no_video_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video at all" * 50)
    with pytest.raises(FootageError, match=r"a\.mp4") as caught:
        sample_footage(tmp_path / "a.mp4", RASTER)
    assert "\n" not in str(caught.value)


def names(row: np.ndarray) -> set[str]:
    return {LABELS[index] for index in np.flatnonzero(row)}


def test_targets_of_a_fall_worked_out_by_hand() -> None:
    t = np.array([0.0, 0.7, 0.8, 1.0, 1.2, 1.3, 2.0, 2.1])
    allowed, weight = targets(clip(), t)
    assert FALLING not in names(allowed[1])
    assert FLOOR not in names(allowed[1])
    assert len(names(allowed[1])) == 5
    assert names(allowed[3]) == names(allowed[6]) == {FALLING}
    assert names(allowed[7]) == {FLOOR}
    assert weight.tolist() == [1, 1, 0, 0, 0, 1, 1, 1]  # a quarter of a second around the start counts for nothing


def test_targets_of_everyday_clips_and_of_falls_onto_a_bed() -> None:
    t = np.array([0.0, 3.0])
    everyday, weight = targets(clip(fall=False), t)
    assert names(everyday[0]) == set(LABELS) - {FALLING, FLOOR}
    assert weight.all()
    on_purpose, _ = targets(clip(fall=False, on_floor=True), t)
    assert names(on_purpose[0]) == set(LABELS) - {FALLING}
    onto_a_bed, _ = targets(clip(Path("s4_Fall_01.mp4"), dataset="gmdcsa24"), t)
    assert names(onto_a_bed[1]) == {LYING, FLOOR}


def test_dev_footage_never_becomes_a_sample(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [0.0, 0.1])
    with pytest.raises(PermissionError, match="evaluation only"):
        real_sample(clip(split="dev"), sample_footage(tmp_path / "a.mp4", STORED))


def stored_clip(path: Path, steps: int = 12, **changes: np.ndarray) -> None:
    parts: dict[str, Any] = {
        "grey": np.zeros((steps, 96, 128), np.uint8),
        "label": np.full(steps, INDEX[UPRIGHT], np.uint8),
        "owner": np.ones((steps, 96, 128), np.uint8),
        "height": np.full((steps, 2), np.nan, np.float32),
    }
    clip_file.save_clip(
        clip_file.Clip(**(parts | changes), meta={"format": clip_file.FORMAT, "content": [0, 0, 128, 96]}), path
    )


def test_a_rendered_clip_that_is_not_whole_is_refused_by_name(tmp_path: Path) -> None:
    stored_clip(tmp_path / "good.npz")
    assert synthetic_sample(tmp_path / "good.npz").calm
    whole = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    stored_clip(tmp_path / "label.npz", label=np.full(12, len(LABELS), np.uint8))
    stored_clip(tmp_path / "short.npz", label=np.zeros(11, np.uint8))
    for name in ("half", "label", "short"):
        with pytest.raises(ValueError, match=f"{name}.npz"):
            synthetic_sample(tmp_path / f"{name}.npz")


def test_windows_without_augmentation_are_the_clip_itself() -> None:
    grey = np.random.default_rng(2).integers(0, 255, (60, 96, 128), np.uint8)
    out = PLAIN(grey, Look((0, 0, 128, 96), moved(grey)), STORED, np.random.default_rng(1))
    assert np.abs(out.astype(int) - grey).max() <= 1


def test_batches_have_the_shapes_the_network_takes_and_differences_of_what_is_seen() -> None:
    windows = Windows(Mix(shapes=((3, 20),)), Inputs(), seed=4)
    with pytest.raises(ValueError, match="no clips to train on"):
        windows.batch(0)
    windows.add([sample(INDEX[UPRIGHT]), sample([1] * 20 + [5] * 10 + [6] * 30)])
    batch = windows.batch(0)
    assert batch.inputs.shape == (3, 20, 72, 96, 3)
    assert batch.allowed.shape == (3, 20, len(LABELS))
    for window in batch.inputs:
        assert np.array_equal(stack(window[..., 0], Raster()), window)


def test_batches_come_in_every_shape_of_the_mix() -> None:
    windows = Windows(Mix(shapes=((2, 5), (1, 10))), Inputs(), seed=4)
    windows.add([sample(INDEX[UPRIGHT])])
    assert {windows.batch(step).weight.shape for step in range(12)} == {(2, 5), (1, 10)}


def test_a_clip_goes_by_its_rarest_lasting_posture() -> None:
    assert sample([INDEX[UPRIGHT]] * 50 + [INDEX[SEATED]] * 10).posture == SEATED
    assert sample([INDEX[UPRIGHT]] * 51 + [INDEX[SEATED]] * 9).posture == UPRIGHT
    assert sample([INDEX[EMPTY]] * 30 + [INDEX[UPRIGHT]] * 30).posture == EMPTY


def test_the_same_seed_draws_the_same_windows() -> None:
    drawn = []
    for _ in range(2):
        windows = Windows(Mix(shapes=((4, 40),)), Inputs(), seed=9)
        windows.add([sample(INDEX[SEATED]), sample([1] * 20 + [5] * 10 + [6] * 30)])
        drawn.append(windows.batch(0))
    assert np.array_equal(drawn[0].inputs, drawn[1].inputs)
    assert np.array_equal(drawn[0].allowed, drawn[1].allowed)


def test_labels_stay_with_their_pictures_through_time_augmentation() -> None:
    """Each picture's grey level is its label, so a window can be read back."""
    labels = [1] * 20 + [5] * 10 + [6] * 30
    grey = np.repeat(np.asarray(labels, np.uint8) * 30, 96 * 128).reshape(60, 96, 128)
    still = Augment(gamma=0, contrast=0, brightness=0, invert=0, exposure=0, vignette=0, noise=0, blur=0, occlude=0)
    windows = Windows(Mix(shapes=((30, 40),), ramp_s=0), Inputs(), 5, still)
    windows.add([sample(labels, grey)])
    batch = windows.batch(0)
    seen = np.round(batch.inputs[:, :, 36, 48, 0] / 30).astype(int)
    assert (np.take_along_axis(batch.allowed, seen[..., None], axis=2)).all()
    assert {5, 6} <= set(seen[:, 0].tolist()), "some windows start in the middle of a fall, and some after it"


def test_a_passer_by_changes_no_label_of_a_fall_and_widens_the_others() -> None:
    fall = whole(sample([1] * 20 + [5] * 10 + [6] * 30))
    other, nobody = whole(sample(INDEX[SEATED])), whole(sample(INDEX[EMPTY]))
    allowed = walk_by(fall, other, np.random.default_rng(1)).allowed
    assert names(allowed[0]) == {UPRIGHT, SEATED}
    assert names(allowed[25]) == {FALLING}
    assert names(allowed[45]) == {FLOOR}
    for first, second in ((nobody, other), (other, nobody)):
        assert names(walk_by(first, second, np.random.default_rng(1)).allowed[0]) == {SEATED}
    assert names(walk_by(nobody, nobody, np.random.default_rng(1)).allowed[0]) == {EMPTY}
    assert names(walk_by(fall, nobody, np.random.default_rng(1)).allowed[25]) == {FALLING}


def test_a_passer_by_is_whole_stands_behind_and_is_known(tmp_path: Path) -> None:
    fall, calm = (whole(synthetic_sample(render(tmp_path / "clips", 2) / f"clip_00000{one}.npz")) for one in (1, 0))
    assert fall.people is not None
    assert calm.people is not None
    darker = dataclasses.replace(calm, grey=np.where(calm.people, np.uint8(60), calm.grey))
    both = walk_by(fall, darker, np.random.default_rng(1))
    assert both.people is not None
    theirs = both.people & ~fall.people
    assert theirs.any()
    assert (both.grey[fall.people] <= 40).all(), "20, and a soft edge: nobody stands before the one who falls"
    assert np.abs(both.grey[theirs].astype(int) - 60).mean() < 20
    far = np.asarray(cv2.dilate(np.asarray(both.people.any(axis=0), np.uint8), np.ones((5, 5)))) == 0
    assert (both.grey[:, far] == fall.grey[:, far]).all(), "their room stays behind"
    assert both.look.moved.sum() == pytest.approx(1, abs=1e-5)
    assert (both.height == np.fmin(fall.height, calm.height)).all()
    with pytest.raises(ValueError, match="rendered clips alone"):
        walk_by(whole(sample(INDEX[SEATED], real=True)), calm, np.random.default_rng(1))


def test_a_frozen_picture_keeps_its_label_whatever_the_light_does() -> None:
    calm = whole(sample([INDEX[SEATED]] * 30 + [INDEX[UPRIGHT]] * 30))
    still = frozen(calm, np.random.default_rng(3))
    assert {label for row in still.allowed for label in names(row)} == {SEATED}
    assert len({picture.tobytes() for picture in still.grey}) > 1
    for picture in still.grey:
        assert np.corrcoef(picture.ravel(), calm.grey[0].ravel())[0, 1] > 0.9
    windows = Windows(Mix(shapes=((200, 3),), passer=0, still=0.5), Inputs(RASTER), 1, PLAIN)
    windows.add([sample(INDEX[SEATED]), sample([1] * 20 + [5] * 10 + [6] * 30)])
    grey = windows.batch(0).inputs[..., 0].reshape(200, 3, -1)
    alike = np.array([np.corrcoef(one[0], one[2])[0, 1] > 0.5 for one in grey])  # the clips are noise, anew each step
    assert alike.mean() == pytest.approx(0.6 * 0.5, abs=0.1), "half of those in which nobody falls"


def test_a_window_is_the_same_whoever_draws_it() -> None:
    windows = Windows(Mix(shapes=((4, 12), (6, 8))), Inputs(RASTER), seed=9)
    windows.add([sample(INDEX[SEATED]), sample([1] * 20 + [5] * 10 + [6] * 30)])
    batch, _ = windows.shape(7)
    whole = windows.batch(7)
    parts = [windows.batch(7, range(start, start + batch // 2)) for start in (0, batch // 2)]
    for name in ("inputs", "allowed", "begun", "weight"):
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts]))
    assert not np.array_equal(windows.batch(8, range(1)).inputs[0, :8], whole.inputs[0, :8])


def test_a_rendered_fall_begins_by_degrees_worked_out_by_hand() -> None:
    fall = np.eye(len(LABELS), dtype=bool)[[INDEX[SEATED]] * 5 + [INDEX[FALLING]] * 4 + [INDEX[FLOOR]] * 3]
    allowed, begun = ease_onset(fall, 0.3)
    assert begun == pytest.approx([0, 0, 1 / 12, 3 / 12, 5 / 12, 7 / 12, 9 / 12, 11 / 12, 0, 0, 0, 0])
    assert [names(row) for row in allowed[2:8]] == [{SEATED}] * 6
    assert np.array_equal(allowed[8:], fall[8:])
    assert np.array_equal(fall[5], np.eye(len(LABELS), dtype=bool)[INDEX[FALLING]]), "the clip itself stays as it is"
    short = np.eye(len(LABELS), dtype=bool)[[INDEX[SEATED]] + [INDEX[FALLING]] + [INDEX[FLOOR]] * 4]
    assert ease_onset(short, 0.3)[1] == pytest.approx([5 / 12, 7 / 12, 0, 0, 0, 0])
    floor_at_once = np.eye(len(LABELS), dtype=bool)[[INDEX[FALLING]] * 3 + [INDEX[FLOOR]] * 3]
    assert not ease_onset(floor_at_once, 0.3)[1].any(), "what begins in mid-fall has no beginning to soften"


def test_a_window_longer_than_its_clip_goes_on_with_the_person_lying() -> None:
    fall = sample([1] * 30 + [5] * 10 + [6] * 20)
    assert fall.replayed == (40, 59)
    assert sample(INDEX[SEATED]).replayed == (0, 59)
    assert sample([1] * 50 + [5] * 10).replayed == (59, 59), "nobody falls upwards"
    assert bounced(np.arange(8), 1, 3).tolist() == [0, 1, 2, 3, 2, 1, 2, 3]
    assert bounced(np.arange(5), 2, 2).tolist() == [0, 1, 2, 2, 2]
    windows = Windows(Mix(shapes=((6, 80),), falls=1, at_onset=1), Inputs(RASTER), seed=3)
    windows.add([fall])
    batch = windows.batch(0)
    assert batch.allowed[:, -30:, INDEX[FLOOR]].all()
    lying = batch.inputs[:, -30:, ..., 0].astype(int)
    assert (np.abs(np.diff(lying, axis=1)).max(axis=(2, 3)) > 20).mean() > 0.5, "they go on moving"


def rendered(tmp_path: Path) -> Sample:
    path = tmp_path / "clip.npz"
    owner = np.zeros((12, 96, 128), np.uint8)
    owner[:, :, 64:] = 1
    height = np.column_stack((np.full(12, 1.5), np.r_[np.full(6, 0.4), np.full(6, np.nan)])).astype(np.float32)
    stored_clip(path, owner=owner, height=height)
    return synthetic_sample(path)


def test_auxiliary_targets_follow_the_picture_through_the_augmentation(tmp_path: Path) -> None:
    one = rendered(tmp_path)
    assert one.height == pytest.approx([0.4] * 6 + [1.5] * 6)
    # White where the person is, so that the picture itself says what the mask must be.
    white = np.where(np.unpackbits(one.people, axis=-1), 255, 0).astype(np.uint8)  # type: ignore[arg-type]
    shown = dataclasses.replace(one, grey=white)
    plain = Augment(
        gamma=0, contrast=0, brightness=0, invert=0, exposure=0, vignette=0, noise=0, blur=0, occlude=0, shrink=0,
        roll_deg=0, shake=0,
    )  # fmt: skip
    windows = Windows(Mix(shapes=((8, 12),), passer=0), Inputs(Raster(64, 48), mask_size=(6, 8)), 4, plain)
    windows.add([shown])
    batch = windows.batch(0)
    assert batch.mask.shape == (8, 12, 1, 6, 8)
    assert batch.has_mask.all()
    assert batch.has_presence.all()
    assert batch.presence.all()
    cells = batch.inputs[..., 0].reshape(8, 12, 6, 8, 8, 8).mean(axis=(3, 5)) / 255
    assert np.abs(batch.mask[:, :, 0] - cells).max() < 0.05
    assert (batch.mask.min(), batch.mask.max()) == (0.0, 1.0)
    assert np.unique(batch.height) == pytest.approx([0.2, 0.75])


def test_what_nobody_knows_is_no_target(tmp_path: Path) -> None:
    windows = Windows(Mix(shapes=((6, 10),)), Inputs(RASTER, mask_size=(3, 4)), seed=4)
    windows.add([sample(INDEX[SEATED], real=True)])
    batch = windows.batch(0)
    assert not batch.has_mask.any()
    assert not batch.has_presence.any()
    assert np.isnan(batch.height).all()
    passed = Windows(Mix(shapes=((6, 10),), passer=1), Inputs(RASTER, mask_size=(3, 4)), seed=4)
    passed.add([rendered(tmp_path)])
    assert passed.batch(0).has_mask.all(), "who walks by is known, too"


def test_dropped_channels_are_zero_and_the_others_as_they_were() -> None:
    batches: list[Batch] = []
    for dropped in ((), ("grey",), ("short", "long")):
        windows = Windows(Mix(shapes=((2, 15),)), Inputs(RASTER, dropped), seed=4)
        windows.add([sample(INDEX[SEATED])])
        batches.append(windows.batch(0))
    whole, without_grey, grey_alone = (batch.inputs for batch in batches)
    assert (whole[:, 0, ..., 1:] == NO_CHANGE).all()
    assert not without_grey[..., 0].any()
    assert np.array_equal(without_grey[..., 1:], whole[..., 1:])
    assert not grey_alone[..., 1:].any()
    assert np.array_equal(grey_alone[..., 0], whole[..., 0])


def test_mined_pieces_come_in_their_share_as_anything_but_a_fall(tmp_path: Path) -> None:
    pieces = [mined_sample(path) for path in sorted(mine(tmp_path / "mined", 2).glob("*.npz"))]
    assert names(pieces[0].allowed[0]) == set(LABELS) - {FALLING, FLOOR}
    windows = Windows(Mix(shapes=((200, 3),), mined=0.3, real=0.2), Inputs(RASTER), seed=1)
    windows.add([*pieces, sample(INDEX[SEATED]), sample([1] * 20 + [5] * 10 + [6] * 30, real=True)])
    allowed = windows.batch(0).allowed[:, 0]
    assert (allowed.sum(axis=1) == 5).mean() == pytest.approx(0.3, abs=0.1)
    fall = bar_clip(np.random.default_rng(0), falls=True)
    write_piece(Piece(fall.grey, fall.label, {}), tmp_path / "fall.npz")
    with pytest.raises(ValueError, match=r"fall\.npz: somebody falls"):
        mined_sample(tmp_path / "fall.npz")


def test_a_swapped_background_leaves_the_person_and_changes_the_room(tmp_path: Path) -> None:
    samples = [synthetic_sample(path) for path in sorted(render(tmp_path / "clips", 4).glob("*.npz"))]
    drawn = []
    for swap in (0.0, 1.0):
        windows = Windows(Mix(shapes=((8, 20),), passer=0, swap=swap), Inputs(STORED, (), (96, 128)), 1, PLAIN)
        windows.add(samples)
        drawn.append(windows.batch(0))
    before, after = (batch.inputs[..., 0].astype(int) for batch in drawn)
    person = cv2.erode(drawn[0].mask[:, :, 0].reshape(-1, 96, 128).transpose(1, 2, 0)[..., :3], np.ones((7, 7))) > 0.99
    changed = np.abs(before - after).reshape(-1, 96, 128).transpose(1, 2, 0)[..., :3]
    assert changed[person].max() <= 2
    assert np.abs(before - after).mean() > 5


def test_photographs_of_rooms_stand_behind_people_a_part_at_a_time(tmp_path: Path) -> None:
    clip = synthetic_sample(render(tmp_path / "clips", 1) / "clip_000000.npz")
    assert clip.people is not None
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    backdrops = Backdrops()
    with pytest.raises(ValueError, match="no photograph"):
        backdrops.add_photographs(rooms)
    cv2.imwrite(str(rooms / "white.jpg"), np.full((480, 640, 3), 200, np.uint8))
    backdrops.add_photographs(rooms)
    order = np.arange(10)
    swapped = backdrops.swap(clip, clip.grey[order], order, np.random.default_rng(1))
    people = np.unpackbits(clip.people[order], axis=-1).astype(bool)
    free = ~np.stack([cv2.dilate(one.astype(np.uint8), np.ones((5, 5))) for one in people]).astype(bool)
    assert swapped[free].std() < 5, "all of it white, in one light"
    assert 150 < swapped[free].mean() <= 245
    inside = np.stack([cv2.erode(one.astype(np.uint8), np.ones((5, 5))) for one in people]).astype(bool)
    assert (swapped[inside] == clip.grey[order][inside]).all()


def test_photographs_are_taken_where_they_are_and_asked_for_where_they_are_named(tmp_path: Path) -> None:
    assert TrainConfig(swap=0.0, backdrops=str(tmp_path)).photographs is None
    assert TrainConfig(swap=0.3, backdrops="").photographs is None
    assert TrainConfig(swap=0.3, backdrops=str(tmp_path)).photographs == tmp_path
    with pytest.raises(ValueError, match="no such folder"):
        _ = TrainConfig(swap=0.3, backdrops=str(tmp_path / "none")).photographs
