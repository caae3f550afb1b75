"""Footage by its own time stamps: real clips, uneven ones, turned ones, broken ones."""

from __future__ import annotations

import csv
import hashlib
import itertools
import logging
import wave
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from device.clip import Picture, make_clip, to_jpeg
from device.footage import FootageError, describe, is_stream, read_footage, source_kind

WIDTH, HEIGHT = 160, 120
TKHD_MATRIX = 44
"""Bytes from the letters tkhd (version 0) to the display matrix, ISO 14496-12."""


def pictures(times: list[float]) -> list[Picture]:
    """Grey pictures that brighten with time, a white block in their top left corner."""
    made = []
    for index, t in enumerate(times):
        pixels = np.full((HEIGHT, WIDTH, 3), 40 + 5 * (index % 30), np.uint8)
        pixels[:30, :40] = 255
        made.append(Picture(t, index, to_jpeg(pixels, WIDTH)))
    return made


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(make_clip(pictures([index / 20 for index in range(60)])))
    return path


def test_uneven_time_stamps_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.4, 1.9, 1.95, 3.0]
    path = tmp_path / "uneven.mp4"
    path.write_bytes(make_clip(pictures(times)))
    frames = list(read_footage(path, epoch=1000.0))
    assert [frame.t for frame in frames] == pytest.approx(times, abs=1e-4)
    assert [frame.wall for frame in frames] == pytest.approx([1000.0 + t for t in times], abs=1e-4)
    assert [frame.id for frame in frames] == list(range(len(times)))
    assert frames[0].pixels.shape == (HEIGHT, WIDTH, 3)
    assert frames[0].pixels.dtype == np.uint8


def test_a_stream_without_time_stamps_goes_by_its_rate(tmp_path: Path, clip: Path) -> None:
    bare = tmp_path / "bare.h264"
    with av.open(str(clip)) as source, av.open(str(bare), "w", format="h264") as out:
        into: Any = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = into
                out.mux(packet)
    times = [frame.t for frame in read_footage(bare)]
    assert len(times) == 60
    gaps = np.diff(times)
    assert gaps.min() > 0
    assert gaps.max() == pytest.approx(gaps.min(), abs=1e-6)


@pytest.mark.parametrize(
    ("display", "corner"),
    [
        ((0, 1, -1, 0), (0, -1)),  # a telephone held upright: a quarter turn clockwise
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, -1, 1, 0), (-1, 0)),
    ],
)
def test_a_turned_video_is_shown_upright(clip: Path, display: tuple[int, ...], corner: tuple[int, int]) -> None:
    """The white block of the stored picture's top left must come out in the corner that the display matrix says."""
    a, b, c, d = display
    content = bytearray(clip.read_bytes())
    matrix = (np.array([a, b, 0, c, d, 0, 0, 0, 0]) * 65536).astype(">i4")
    matrix[8] = 1 << 30
    at = content.index(b"tkhd") + TKHD_MATRIX
    content[at : at + 36] = matrix.tobytes()
    clip.write_bytes(content)
    first = next(read_footage(clip)).pixels
    turned = b != 0
    assert first.shape == ((WIDTH, HEIGHT, 3) if turned else (HEIGHT, WIDTH, 3))
    assert first[corner].min() > 200
    assert sum(int(first[y, x].min() > 200) for y in (0, -1) for x in (0, -1)) == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.mp4", None, "no such file"),
        ("empty.mp4", b"", "not a video"),
        ("noise.mp4", bytes(range(256)) * 40, "not a video"),
        ("letter.txt", b"Dear ward, this is no video.\n" * 50, "no picture"),
    ],
)
def test_what_is_no_video_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FootageError, match=says) as refusal:
        next(read_footage(path))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_and_a_sound_are_no_footage(tmp_path: Path) -> None:
    with pytest.raises(FootageError, match="not a file"):
        next(read_footage(tmp_path))
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(16000))
    with pytest.raises(FootageError, match="no picture"):
        next(read_footage(sound))


def test_a_clip_cut_short_is_used_up_to_the_cut(clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = clip.read_bytes()
    half = whole.index(b"mdat") + (len(whole) - whole.index(b"mdat")) // 2
    clip.write_bytes(whole[:half])
    with caplog.at_level(logging.WARNING):
        count = len(list(read_footage(clip)))
    assert 5 < count < 60
    (message,) = caplog.messages
    assert "damaged at" in message
    assert f"{count} frames were read" in message


def test_a_clip_with_nothing_left_of_its_pictures_is_refused(clip: Path) -> None:
    whole = bytearray(clip.read_bytes())
    start = whole.index(b"mdat") + 4
    whole[start:] = bytes(len(whole) - start)
    clip.write_bytes(whole)
    with pytest.raises(FootageError, match="no picture in it can be decoded"):
        list(read_footage(clip))


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("rtsp://10.0.0.7/stream", "rtsp"),
        ("RTSPS://cam/1", "rtsp"),
        ("/dev/video0", "v4l2"),
        ("/dev/v4l/by-id/usb-cam", "v4l2"),
        ("0", "v4l2"),
        ("/home/me/fall.mp4", "file"),
        ("2.mp4", "file"),
        ("/dev/videos/fall.mp4", "file"),
    ],
)
def test_sources_are_told_apart(source: str, kind: str) -> None:
    assert source_kind(source) == kind
    assert is_stream(source) == (kind != "file")


def test_every_real_clip_opens_with_rising_time(clips: Path) -> None:
    with (clips / "clips.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert rows
    for row in rows:
        path = clips / row["clip"]
        info = describe(path)
        frames = list(itertools.islice(read_footage(path), 12))
        assert len(frames) == min(12, info.frames), path
        assert frames[0].t == 0.0
        assert all(earlier.t < later.t for earlier, later in itertools.pairwise(frames)), path
        assert frames[0].pixels.shape == (info.height, info.width, 3), path


def test_a_real_clip_reads_to_the_same_bits_and_lasts_as_long_as_it_says(clips: Path) -> None:
    path = clips / "train" / "gmdcsa24" / "s1_Fall_13.mp4"
    info = describe(path)
    kept = list(read_footage(path))
    again = [hashlib.sha256(frame.pixels.tobytes()).digest() for frame in read_footage(path)]
    assert [hashlib.sha256(frame.pixels.tobytes()).digest() for frame in kept] == again
    assert len(kept) == info.frames
    assert kept[-1].t + 1 / info.fps == pytest.approx(info.duration_s, abs=0.05)
    assert cv2.meanStdDev(kept[0].pixels)[1].max() > 10  # a picture, not a blank
