"""Footage as training reads it: by the clip's name when it is broken, upright, and anew when the file has changed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np
import pytest

from device.preprocess import Raster
from tests.footage_made import moving_square, write_video
from tests.test_footage import TKHD_MATRIX
from training.clip import Clip
from training.footage import FootageError, load_clip, sample_footage
from training.pictures import moment, picture_names, stamps

RASTER = Raster(32, 24)


def clip(path: Path, **changes: Any) -> Clip:
    values: dict[str, Any] = {
        "row": 2, "split": "train", "dataset": "home", "path": path, "fall": False, "fall_start_s": None,
        "fall_end_s": None, "on_floor": False, "subject": "P", "room": "R", "licence": "MIT",
    }  # fmt: skip
    return Clip(**values | changes)


def harmed(path: Path, kind: str) -> Path:
    whole = path.read_bytes()
    start = whole.index(b"mdat") + 4
    path.write_bytes({"empty": b"", "noise": bytes(5000), "gutted": whole[:start] + bytes(len(whole) - start)}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [("empty", "not a video"), ("noise", "not a video"), ("gutted", "not a video")],
)
def test_a_corrupt_video_is_named_by_its_clip_and_its_path(tmp_path: Path, kind: str, said: str) -> None:
    path = harmed(write_video(tmp_path / "a.mp4", moving_square(20)), kind)
    with pytest.raises(FootageError, match=said) as refusal:
        load_clip(clip(path), RASTER, tmp_path / "cache")
    assert str(refusal.value).startswith(f"home__a: {path}")
    assert not list((tmp_path / "cache").glob("*"))


def test_a_video_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(FootageError, match=r"home__a: .*a\.mp4"):
        load_clip(clip(tmp_path / "a.mp4"), RASTER, tmp_path / "cache")


def test_a_video_that_ends_before_its_fall_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_square(20))
    falls = clip(path, fall=True, fall_start_s=1.0, fall_end_s=3.2)
    with pytest.raises(FootageError, match=r"home__a: .*ends at 1.9 s, its fall at 3.2 s"):
        load_clip(falls, RASTER, tmp_path / "cache")
    assert len(load_clip(clip(path, fall=True, fall_start_s=1.0, fall_end_s=2.2), RASTER, tmp_path / "cache")) == 20


def test_the_cache_serves_until_the_file_changes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_square(20))
    first = load_clip(clip(path), RASTER, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").glob("*.npz")
    made = kept.stat().st_mtime_ns
    again = load_clip(clip(path), RASTER, tmp_path / "cache")
    assert (first.grey == again.grey).all()
    assert kept.stat().st_mtime_ns == made
    write_video(path, moving_square(30, seed=4))
    assert len(load_clip(clip(path), RASTER, tmp_path / "cache")) == 30
    before = path.stat()
    path.write_bytes(path.read_bytes())  # the same size, another moment
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    load_clip(clip(path), RASTER, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 3


def test_one_changed_picture_of_a_folder_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    for number in range(12):
        cv2.imwrite(str(folder / f"p-{number:03}.png"), np.full((48, 64, 3), 100, np.uint8))
    first = load_clip(clip(folder, fps=10.0), RASTER, tmp_path / "cache")
    cv2.imwrite(str(folder / "p-005.png"), np.full((48, 64, 3), 200, np.uint8))
    second = load_clip(clip(folder, fps=10.0), RASTER, tmp_path / "cache")
    assert first.grey[5].mean() == pytest.approx(100, abs=1)
    assert second.grey[5].mean() == pytest.approx(200, abs=1)


def test_half_a_file_in_the_cache_is_not_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_square(20))
    load_clip(clip(path), RASTER, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    assert len(load_clip(clip(path), RASTER, tmp_path / "cache")) == 20


def test_a_full_disk_is_said_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", moving_square(20))

    def full(file: BinaryIO, **_parts: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("training.footage.np.savez_compressed", full)
    with pytest.raises(FootageError, match="make room on the disk"):
        load_clip(clip(path), RASTER, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_turned_video_is_sampled_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_square(12, (160, 96)))
    content = bytearray(path.read_bytes())
    matrix = (np.array([0, 1, 0, -1, 0, 0, 0, 0, 0]) * 65536).astype(">i4")  # a telephone held upright
    matrix[8] = 1 << 30
    at = content.index(b"tkhd") + TKHD_MATRIX
    content[at : at + 36] = matrix.tobytes()
    path.write_bytes(content)
    footage = sample_footage(path, RASTER)
    assert footage.size == (96, 160)
    assert not footage.grey[:, :, :5].any()  # bars left and right, as the unit letterboxes a portrait
    assert footage.grey[:, 12, 16].min() > 30


def test_pictures_of_several_sizes_are_each_letterboxed(tmp_path: Path) -> None:
    for number, size in enumerate(((48, 64), (64, 48))):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((*size, 3), 150, np.uint8))
    footage = sample_footage(tmp_path, RASTER, fps=10.0)
    assert footage.grey[0].min() > 140
    assert footage.grey[1][:, 0].max() == 0


def test_pictures_go_by_the_number_or_the_moment_in_their_names(tmp_path: Path) -> None:
    for name in ("rgb-10.png", "rgb-9.png", "rgb-1.png", ".rgb-2.png", "notes.txt"):
        (tmp_path / name).touch()
    names = picture_names(tmp_path)
    assert names == ["rgb-1.png", "rgb-9.png", "rgb-10.png"]
    assert stamps(names, 4.0, tmp_path) == [0.0, 0.25, 0.5]
    with pytest.raises(FootageError, match="column fps"):
        stamps(names, None, tmp_path)
    told = ["2018-07-04T12_04_17.738369.png", "2018-07-04T12_04_17.790509.png", "2018-07-04T12_04_19.png"]
    assert stamps(told, None, tmp_path) == pytest.approx([0.0, 0.05214, 1.261631])
    with pytest.raises(FootageError, match="not later than the picture before it"):
        stamps([told[1], told[0]], None, tmp_path)
    assert moment("2018-07-04T12_04_17.5") is not None
    assert moment("rgb-10") is None
