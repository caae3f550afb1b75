"""Footage by its own time, targets by hand, windows that keep their labels, and rendered clips that are whole."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from device.labels import EMPTY, FALLING, FLOOR, INDEX, LABELS, LYING, SEATED, UPRIGHT
from device.preprocess import Raster, stack
from training.augment import Augment, Look, moved
from training.footage import FootageError, load_clip, sample_footage
from training.index import Clip
from training.synth import clip as clip_file
from training.windows import STORED, Mix, Sample, Windows, real_sample, synthetic_sample, targets, walk_by

RASTER = Raster(32, 24)


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
    return Sample("s", grey, allowed, np.ones(len(labels), np.float32), (0, 0, 128, 96), real, moved(grey))


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
    one = clip(tmp_path / "a.mp4")
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
    parts = {
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
    plain = Augment(
        mirror=0, stretch=0, zoom=0, shrink=0, wide=0, portrait=0, roll_deg=0, shake=0, gamma=0, contrast=0,
        brightness=0, invert=0, exposure=0, vignette=0, noise=0, blur=0, occlude=0, slow_camera=0, drops=0,
        speeds=(1.0, 1.0),
    )  # fmt: skip
    grey = np.random.default_rng(2).integers(0, 255, (60, 96, 128), np.uint8)
    out = plain(grey, Look((0, 0, 128, 96), moved(grey)), STORED, np.random.default_rng(1))
    assert np.abs(out.astype(int) - grey).max() <= 1


def test_batches_have_the_shapes_the_network_takes_and_differences_of_what_is_seen() -> None:
    windows = Windows(Mix(shapes=((3, 20),)), Augment(), Raster(), seed=4)
    with pytest.raises(ValueError, match="no clips to train on"):
        windows.batch()
    windows.add([sample(INDEX[UPRIGHT]), sample([1] * 20 + [5] * 10 + [6] * 30)])
    batch = windows.batch()
    assert batch.inputs.shape == (3, 20, 72, 96, 3)
    assert batch.allowed.shape == (3, 20, len(LABELS))
    for window in batch.inputs:
        assert np.array_equal(stack(window[..., 0], Raster()), window)


def test_batches_come_in_every_shape_of_the_mix() -> None:
    windows = Windows(Mix(shapes=((2, 5), (1, 10))), Augment(), Raster(), seed=4)
    windows.add([sample(INDEX[UPRIGHT])])
    assert {windows.batch().weight.shape for _ in range(12)} == {(2, 5), (1, 10)}


def test_a_clip_goes_by_its_rarest_lasting_posture() -> None:
    assert sample([INDEX[UPRIGHT]] * 50 + [INDEX[SEATED]] * 10).posture == SEATED
    assert sample([INDEX[UPRIGHT]] * 51 + [INDEX[SEATED]] * 9).posture == UPRIGHT
    assert sample([INDEX[EMPTY]] * 30 + [INDEX[UPRIGHT]] * 30).posture == EMPTY


def test_the_same_seed_draws_the_same_windows() -> None:
    drawn = []
    for _ in range(2):
        windows = Windows(Mix(shapes=((4, 40),)), Augment(), Raster(), seed=9)
        windows.add([sample(INDEX[SEATED]), sample([1] * 20 + [5] * 10 + [6] * 30)])
        drawn.append(windows.batch())
    assert np.array_equal(drawn[0].inputs, drawn[1].inputs)
    assert np.array_equal(drawn[0].allowed, drawn[1].allowed)


def test_labels_stay_with_their_pictures_through_time_augmentation() -> None:
    """Each picture's grey level is its label, so a window can be read back."""
    labels = [1] * 20 + [5] * 10 + [6] * 30
    grey = np.repeat(np.asarray(labels, np.uint8) * 30, 96 * 128).reshape(60, 96, 128)
    still = Augment(gamma=0, contrast=0, brightness=0, invert=0, exposure=0, vignette=0, noise=0, blur=0, occlude=0)
    windows = Windows(Mix(shapes=((30, 40),)), still, Raster(), seed=5)
    windows.add([sample(labels, grey)])
    batch = windows.batch()
    seen = np.round(batch.inputs[:, :, 36, 48, 0] / 30).astype(int)
    assert (np.take_along_axis(batch.allowed, seen[..., None], axis=2)).all()
    assert {5, 6} <= set(seen[:, 0].tolist()), "some windows start in the middle of a fall, and some after it"


def test_a_passer_by_changes_no_label_of_a_fall_and_widens_the_others() -> None:
    fall = sample([1] * 20 + [5] * 10 + [6] * 30)
    other = sample(INDEX[SEATED])
    _, allowed = walk_by(fall.grey, fall.allowed, other, np.random.default_rng(1))
    assert names(allowed[0]) == {UPRIGHT, SEATED}
    assert names(allowed[25]) == {FALLING}
    assert names(allowed[45]) == {FLOOR}
    nobody = sample(INDEX[EMPTY])
    _, allowed = walk_by(nobody.grey, nobody.allowed, other, np.random.default_rng(1))
    assert names(allowed[0]) <= {EMPTY, SEATED}
