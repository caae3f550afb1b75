"""The camera as a thing that fails: it hangs, dies, refuses, comes back. Real processes, a real RTSP server."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.burner import Burner, spans
from device.camera import (
    PAUSE_LAST_S,
    PAUSE_PASSWORD_S,
    Camera,
    CameraError,
    CameraState,
    pause_s,
    probe,
)
from device.capture import LOOP_PAUSE_S, MAX_WIDTH, shrunk_size
from device.capture_process import CaptureProcess, order_for
from device.captures import Captures
from device.clip import Picture, make_clip, to_jpeg
from device.decode import pictures
from device.footage import read_footage
from device.frame_ring import SLOTS, FrameRing, make_memory
from device.grid import GAP_S, Grid
from device.live_source import Stream, without_password
from device.records import Frame
from device.sampler import Sampler
from device.settings import Camera as CameraSettings
from tests.conftest import REPO, eventually, free_port
from tests.footage_made import moving_square
from tests.rtsp_server import RtspServer, h264_clip

FPS = 20
SECONDS = 2


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of white with a black square that moves, 160x120, 20 pictures a second."""
    path = tmp_path_factory.mktemp("camera") / "clip.mp4"
    pictures = []
    for index in range(FPS * SECONDS):
        pixels = np.full((120, 160, 3), 230, np.uint8)
        pixels[90:110, 2 * index : 2 * index + 20] = 0
        pictures.append(Picture(index / FPS, index, to_jpeg(pixels, 160)))
    path.write_bytes(make_clip(pictures))
    return path


@pytest.fixture(scope="module")
def real_clip(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h264_clip(clips / "train" / "gmdcsa24" / "s2_Fall_12.mp4", tmp_path_factory.mktemp("rtsp"))


@contextmanager
def watching(source: str | Path, *, loop: bool = False, **more: object) -> Iterator[Camera]:
    camera = Camera(CameraSettings.model_validate({"source": str(source), **more}), loop=loop)
    camera.start()
    try:
        yield camera
    finally:
        camera.close()


def next_frame(camera: Camera, deadline_s: float = 20.0) -> Frame:
    frame = eventually(lambda: camera.read(0.2), deadline_s, every_s=0.0)
    assert frame is not None
    return frame


def read_until(camera: Camera, true: Callable[[], bool], deadline_s: float = 20.0) -> None:
    def turn() -> bool:
        camera.read(0.1)
        return true()

    eventually(turn, deadline_s, every_s=0.0)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_lost(camera: Camera) -> bool:
    return camera.state is CameraState.LOST


# A file as a camera


def test_a_file_plays_with_its_own_time_stamps_then_ends(footage: Path) -> None:
    frames = []
    with watching(footage) as camera:
        while camera.state is not CameraState.ENDED:
            if frame := camera.read(0.5):
                frames.append(frame)
        assert camera.read(0.05) is None
        assert camera.state is CameraState.ENDED
        assert camera.error == ""
    ids = [frame.id for frame in frames]
    assert ids == sorted(set(ids))
    assert ids[-1] == 10 * SECONDS  # of 20 pictures a second every other one is looked at
    start = frames[0].t - (ids[0] - 1) / 10
    assert [frame.t - start for frame in frames] == pytest.approx([(one - 1) / 10 for one in ids], abs=1e-3)
    assert len({frame.grid for frame in frames}) == 1
    for frame in frames:
        assert abs(frame.wall - time.time()) < 60.0


def test_a_looped_file_starts_again_after_a_gap_that_the_sampler_sees(footage: Path) -> None:
    assert LOOP_PAUSE_S > GAP_S
    with watching(footage, loop=True) as camera:
        last = next_frame(camera)
        while last.id <= 10 * SECONDS:
            earlier, last = last, next_frame(camera)
        assert last.t - earlier.t > GAP_S
        assert camera.restarts == 0


def test_who_reads_late_gets_the_newest_picture_and_a_count_of_the_rest(footage: Path) -> None:
    with watching(footage) as camera:
        first = next_frame(camera)
        eventually(lambda: time.monotonic() > first.t + 0.6)
        second = next_frame(camera)
        assert second.t - first.t > 0.4
        assert camera.drops >= second.id - first.id - 1 >= 3
        assert camera.whole()
        assert not second.pixels.flags.writeable


def test_the_mask_is_black_before_anybody_sees_the_picture(footage: Path) -> None:
    bed = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]
    with watching(footage, mask=[bed]) as camera:
        for _ in range(5):
            pixels = next_frame(camera).pixels
            assert pixels[:60, :80].max() == 0
            assert pixels[:50, 100:].min() > 200
    bare = next(read_footage(footage)).pixels
    assert bare[:60, :80].min() > 200


def test_a_mask_of_any_shape_covers_its_corners() -> None:
    pixels = np.full((100, 200, 3), 255, np.uint8)
    mask = [[[0.5, 0.1], [0.9, 0.9], [0.1, 0.9]], [[0.9, 0.0], [1.0, 0.0], [1.0, 0.1]]]
    Burner(mask).burn(pixels.reshape(-1).data, 200, 100)
    for x, y in ((100, 10), (180, 90), (20, 90), (100, 50), (199, 0)):
        assert pixels[y, x].max() == 0, (x, y)
    assert pixels[20, 20].min() == 255


# A camera that fails


def test_a_camera_that_hangs_is_replaced_after_its_deadline(footage: Path) -> None:
    with watching(footage, loop=True, deadline_s=2.0) as camera:
        first = next_frame(camera)
        hung = camera.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)  # like a read that blocks in the kernel: no line of its code runs any more
        read_until(camera, lambda: camera.state is CameraState.LOST)
        assert "no picture for 2 s" in camera.error
        assert not is_running(hung)
        again = next_frame(camera)
        assert camera.state is CameraState.STREAMING
        assert camera.error == ""
        assert camera.pid != hung
        assert camera.restarts == 1
        assert again.id > first.id
        assert again.t > first.t


def test_a_killed_capture_process_comes_back_every_time_and_leaves_nothing_open(footage: Path) -> None:
    with watching(footage, loop=True) as camera:
        open_files = 0
        for times in range(3):
            next_frame(camera)
            open_files = open_files or len(os.listdir("/proc/self/fd"))
            assert camera.pid is not None
            os.kill(camera.pid, signal.SIGKILL)
            read_until(camera, lambda: camera.state is CameraState.LOST)
            next_frame(camera)
            assert camera.restarts == times + 1
        assert len(os.listdir("/proc/self/fd")) == open_files


def test_all_processes_go_when_the_unit_is_killed(footage: Path) -> None:
    unit = (
        "import sys; from device.camera import Camera; from device.captures import Captures\n"
        "from device.settings import Camera as S\n"
        "captures = Captures(); cameras = [Camera(S(source=sys.argv[1]), loop=True, captures=captures) for _ in '12']\n"
        "for camera in cameras: camera.start()\n"
        "for camera in cameras:\n"
        "    while camera.read(1) is None: pass\n"
        "print(captures.pid, *(camera.pid for camera in cameras), flush=True)\n"
        "while True: cameras[0].read(1)\n"
    )
    command = [sys.executable, "-c", unit, str(footage)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPO) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 3
        assert all(is_running(pid) for pid in pids)
        process.kill()
        eventually(lambda: not any(is_running(pid) for pid in pids))


# Several cameras, one server


@contextmanager
def two_watching(footage: Path) -> Iterator[tuple[Captures, Camera, Camera]]:
    captures = Captures()
    asked = CameraSettings(source=str(footage))
    one, other = (Camera(asked, loop=True, captures=captures) for _ in range(2))
    try:
        for camera in (one, other):
            camera.start()
        for camera in (one, other):
            next_frame(camera)
        yield captures, one, other
    finally:
        for camera in (one, other):
            camera.close()
        captures.end()


def test_what_capture_processes_are_made_of_lies_in_memory_once(footage: Path) -> None:
    with two_watching(footage) as (captures, one, other):
        assert len(os.listdir(f"/proc/{captures.pid}/task")) == 1  # a fork takes no other thread along, nor its locks
        for camera in (one, other):
            rows = dict(row.split(":") for row in Path(f"/proc/{camera.pid}/smaps_rollup").read_text().splitlines()[1:])
            # Written to before the fork and shared since: what a process of its own would have to itself, 8 MB here.
            assert int(rows["Shared_Dirty"].split()[0]) > 4000


def test_a_camera_that_dies_takes_nothing_of_the_others_and_holds_nothing_of_theirs(footage: Path) -> None:
    with two_watching(footage) as (_, one, other):
        held = [len(os.listdir(f"/proc/{camera.pid}/fd")) for camera in (one, other)]
        assert held[0] == held[1]
        for dies, stays in ((one, other), (other, one)):
            killed, kept = dies.pid, stays.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            read_until(dies, partial(is_lost, dies), 3.0)  # told by its words, long before its silence is judged
            assert "the capture process died" in dies.error
            next_frame(stays)
            assert stays.pid == kept
            next_frame(dies)
            assert dies.pid not in (killed, kept)
        assert (one.restarts, other.restarts) == (1, 1)


def test_no_camera_notices_that_the_server_died_and_the_next_start_brings_another(footage: Path) -> None:
    with two_watching(footage) as (captures, one, other):
        server, before = captures.pid, (one.pid, other.pid)
        assert server is not None
        os.kill(server, signal.SIGKILL)
        eventually(lambda: not is_running(server))
        assert next_frame(one).id < next_frame(one).id
        assert next_frame(other).id < next_frame(other).id
        assert (one.pid, other.pid) == before
        os.kill(one.pid or 0, signal.SIGKILL)
        read_until(one, lambda: one.state is CameraState.LOST)
        next_frame(one)
        assert captures.pid not in (None, server)
        assert (one.restarts, other.restarts) == (1, 0)


def test_a_server_that_hangs_is_not_asked_again(footage: Path) -> None:
    captures, order = Captures(), order_for(CameraSettings(source=str(footage)), 0.1, True)
    first = CaptureProcess(captures, order)
    eventually(lambda: list(first.lines()) and first.pid)
    hung = captures.pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    never = CaptureProcess(captures, order)
    assert list(never.lines()) == []
    assert never.pid is None
    never.kill()
    assert not is_running(hung)
    assert is_running(first.pid or 0)
    again = CaptureProcess(captures, order)
    eventually(lambda: list(again.lines()) and again.pid)
    pids = [first.pid, again.pid]
    for process in (first, again):
        process.kill()
    captures.end()
    assert not any(is_running(pid or 0) for pid in pids)


def test_opencv_is_loaded_once_and_only_where_a_device_needs_it(footage: Path) -> None:
    with two_watching(footage) as (captures, one, other):
        maps = Path(f"/proc/{captures.pid}/maps")
        assert "cv2" not in maps.read_text()
        device = Camera(CameraSettings(source="/dev/video97"), captures=captures)
        try:
            device.start()
            read_until(device, lambda: device.state is CameraState.REFUSED)
            assert "no such camera" in device.error
        finally:
            device.close()
        assert "cv2" in maps.read_text()
        assert len(os.listdir(f"/proc/{captures.pid}/task")) == 1
        os.kill(one.pid or 0, signal.SIGKILL)
        read_until(one, partial(is_lost, one))
        next_frame(one)
        next_frame(other)


def test_a_camera_that_is_alone_keeps_no_server_and_leaves_no_dead_behind(footage: Path) -> None:
    """Nor where what is orphaned falls to the unit itself, as in a container that has no other process."""
    unit = (
        "import ctypes, os, signal, sys; from pathlib import Path; from device.camera import Camera, CameraState\n"
        "from device.settings import Camera as S\n"
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER\n"
        "camera = Camera(S(source=sys.argv[1]), loop=True); camera.start()\n"
        "def children():\n"
        "    return Path('/proc/self/task', str(os.getpid()), 'children').read_text().split()\n"
        "def seen():\n"
        "    while camera.read(1) is None: pass\n"
        "    return children() == [str(camera.pid)]\n"
        "found = [seen()]\n"
        "os.kill(camera.pid, signal.SIGKILL)\n"
        "while camera.state is not CameraState.LOST: camera.read(0.1)\n"
        "found += [children() == [], seen()]\n"
        "camera.close(); print(*found, children() == [])\n"
    )
    command = [sys.executable, "-c", unit, str(footage)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=REPO, check=True, timeout=60)
    assert found.stdout.split() == ["True"] * 4


def test_where_no_process_can_be_started_the_camera_says_so_and_tries_again(
    footage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/nowhere/python")
        camera = Camera(CameraSettings(source=str(footage)), loop=True)
        open_files = len(os.listdir("/proc/self/fd"))
        camera.start()
        assert camera.state is CameraState.REFUSED
        assert "no capture process can be started (No such file or directory)" in camera.error
        assert len(os.listdir("/proc/self/fd")) == open_files
    try:
        next_frame(camera)
        assert camera.restarts == 1
    finally:
        camera.close()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("rtsp://127.0.0.1:{port}/room", "connection refused; check address, port and password"),
        ("/dev/video97", "no such camera"),
        ("98", "no such camera"),
        ("/nowhere/fall.mp4", "no such file"),
        (str(Path(__file__)), "not a video"),
    ],
)
def test_a_source_that_does_not_open_is_refused_in_one_sentence(source: str, says: str) -> None:
    source = source.format(port=free_port())
    with pytest.raises(CameraError, match=says) as refusal:
        probe(CameraSettings(source=source))
    assert str(refusal.value).startswith(source)
    assert "\n" not in str(refusal.value)


def test_a_refused_camera_is_tried_again_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    source = f"rtsp://nurse:geheim@127.0.0.1:{free_port()}/room?password=geheim"
    with caplog.at_level(logging.DEBUG), watching(source) as camera:
        read_until(camera, lambda: camera.restarts == 2 and camera.state is CameraState.REFUSED)
        assert camera.pid is None or "geheim" not in Path(f"/proc/{camera.pid}/cmdline").read_text()
        read_until(camera, lambda: len(caplog.records) == 3)
        levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING, logging.DEBUG, logging.DEBUG]
    assert "connection refused" in camera.error
    for text in (camera.error, caplog.text):
        assert "geheim" not in text
        assert "nurse" not in text


# A camera on the network


def test_a_network_camera_gives_a_real_clip_and_comes_back_after_a_power_cut(real_clip: Path) -> None:
    with RtspServer(real_clip) as server, watching(server.url, deadline_s=2.0) as camera:
        first = next_frame(camera)
        assert first.pixels.shape == next(read_footage(real_clip)).pixels.shape
        assert first.pixels.std() > 10
        later = [next_frame(camera) for _ in range(8)]
        times = [first.t, *(frame.t for frame in later)]
        assert times == sorted(set(times))
        server.kill()
        read_until(camera, lambda: camera.state is CameraState.LOST)
        assert camera.error.startswith(server.url)
        read_until(camera, lambda: "connection refused" in camera.error)
        server.start()
        again = next_frame(camera)
        assert camera.state is CameraState.STREAMING
        assert again.id > later[-1].id


def test_a_network_camera_that_wants_a_password(real_clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RtspServer(real_clip, "nurse", "geheim") as server:
        sight = probe(CameraSettings(source=server.url_for("nurse", "geheim")))
        assert (sight.width, sight.height) == (640, 480)
        assert sight.fps == pytest.approx(15.0, rel=0.3)
        with caplog.at_level(logging.DEBUG), pytest.raises(CameraError, match="user or password refused") as refusal:
            probe(CameraSettings(source=server.url_for("nurse", "falsch")))
        assert f"again in {PAUSE_PASSWORD_S:g} s" in caplog.text
        assert "falsch" not in caplog.text + str(refusal.value)
        with pytest.raises(CameraError, match="no stream of that name"):
            probe(CameraSettings(source=server.url_for("nurse", "geheim") + "/attic"))


# The small decisions


def test_the_pause_grows_and_is_bounded() -> None:
    pauses = [pause_s(failures) for failures in range(1, 2000)]
    assert pauses[:4] == [1.0, 2.0, 4.0, PAUSE_LAST_S]
    assert set(pauses[3:]) == {PAUSE_LAST_S}


POINTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)).map(list), min_size=3, max_size=7)


@given(POINTS, st.integers(2, 90), st.integers(2, 70))
@settings(max_examples=150, deadline=None)
def test_no_pixel_that_opencv_fills_is_left_to_be_seen(polygon: list[list[float]], width: int, height: int) -> None:
    """The mask is drawn without OpenCV; its own filling, of corners rounded down, is the judge of the inside."""
    mine, theirs = np.full((height, width, 3), 255, np.uint8), np.full((height, width, 3), 255, np.uint8)
    Burner([polygon]).burn(mine.reshape(-1).data, width, height)
    corners = (np.array(polygon) * (width, height) * 256 - 128).round().astype(np.int32)
    cv2.fillPoly(theirs, [corners], (0, 0, 0), shift=8)
    missed = (theirs == 0) & (mine != 0)
    assert not cv2.erode(missed.astype(np.uint8)[..., 0], np.ones((3, 3), np.uint8)).any()
    assert missed.sum() <= 3 * (width + height)  # OpenCV draws its edges a pixel thicker
    for start, end in spans([polygon], width, height):
        assert 0 <= start < end <= 3 * width * height


def test_a_mask_over_everything_leaves_nothing() -> None:
    pixels = np.full((48, 64, 3), 255, np.uint8)
    Burner([[[0, 0], [1, 0], [1, 1], [0, 1]]]).burn(pixels.reshape(-1).data, 64, 48)
    assert pixels.max() == 0


@pytest.mark.parametrize("fps", [5, 10, 14.7, 15, 18, 20, 22, 25, 29.97, 30, 50, 60])
def test_thinning_at_the_source_takes_the_very_steps_that_all_pictures_would(fps: float) -> None:
    rng = np.random.default_rng(round(fps * 100))
    times = np.cumsum(rng.uniform(0.6, 1.4, round(12 * fps)) / fps) + 1234.5
    times[times > 1240.0] += 3.0  # a gap
    blank = np.zeros((2, 2, 3), np.uint8)
    whole, thinned, grid = Sampler(), Sampler(), Grid(0.1)
    expected = [step for n, t in enumerate(times) for step in whole.push(Frame(n, t, t, blank))]
    sent = [(n, t, grid.start) for n, t in enumerate(times) if grid.takes(t)]
    found = [step for n, t, start in sent for step in thinned.push(Frame(n, t, t, blank, start))]
    assert [(s.t, s.held, s.reset) for s in found] == [(s.t, s.held, s.reset) for s in expected]
    assert [s.frame.id for s in found if not s.held] == [s.frame.id for s in expected if not s.held]
    assert len(sent) <= 10 * 13 + 2


def test_who_misses_the_first_pictures_keeps_to_the_grid_of_the_source() -> None:
    """Otherwise, a few milliseconds later, every second picture would come before its time and be passed over."""
    grid, sampler = Grid(0.1), Sampler()
    sent = [(t, grid.start) for t in (n / 25 for n in range(100)) if grid.takes(t)]
    blank = np.zeros((2, 2, 3), np.uint8)
    steps = [step for t, start in sent[1:] for step in sampler.push(Frame(0, t, t, blank, start))]
    assert not any(step.held for step in steps)
    assert steps[0].reset
    assert steps[0].t == pytest.approx(0.1)


def test_would_take_says_what_takes_does() -> None:
    grid = Grid(0.1)
    for n in range(60):
        said = grid.would_take(n / 30)
        assert grid.takes(n / 30) is said


def test_a_picture_that_was_overwritten_is_not_handed_on() -> None:
    memory = make_memory()
    writer, reader = FrameRing(memory, 48), FrameRing(memory, 48)
    for seq in range(1, SLOTS + 2):
        writer.begin(seq, 48)[:] = bytes([seq]) * 48
        writer.end(seq)
    assert not reader.whole(1)
    assert reader.whole(SLOTS + 1)
    assert set(reader.look(SLOTS + 1, 48)) == {SLOTS + 1}
    writer.begin(SLOTS + 1 + SLOTS, 48)  # half-way through writing into that very slot
    assert not reader.whole(SLOTS + 1)
    os.close(memory)


def test_the_capture_process_of_a_stream_or_a_file_carries_neither_numpy_nor_opencv() -> None:
    """They would double the memory that every further camera costs."""
    program = (
        "import sys, device.capture_server\n"
        "print([name for name in ('numpy', 'cv2', 'pydantic') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=REPO, check=True)
    assert found.stdout.strip() == "[]"


def test_hardware_that_is_not_there_is_named_with_what_to_do(real_clip: Path) -> None:
    with RtspServer(real_clip) as server:
        for decoder, says in [
            ("h264_tricorder", r'"h264_tricorder" is not in this FFmpeg, which has .*; correct camera.decoder'),
            ("h264_v4l2m2m", r'"h264_v4l2m2m" does not work on this machine .*; leave camera.decoder empty'),
        ]:
            with pytest.raises(CameraError, match=says):
                probe(CameraSettings(source=server.url, decoder=decoder))


def test_pictures_that_no_other_refers_to_are_not_decoded_where_nobody_looks(tmp_path: Path) -> None:
    """Skipping them must leave every other picture as it is, to the last bit."""
    path = tmp_path / "b-frames.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "2", "b-pyramid": "none", "g": "30"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for pixels in moving_square(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode(None))
    every = {picture.pts: picture.to_ndarray(format="bgr24") for _t, picture in pictures(path)}
    source = Stream(str(path), 5.0, "")
    looked_at = [picture for _t, _wall, picture in source.pictures(lambda t: False)]
    assert source.packets >= len(every)
    assert len(looked_at) < 0.6 * len(every)
    for picture in looked_at:
        assert np.array_equal(picture.to_ndarray(format="bgr24"), every[picture.pts])


def test_a_wide_picture_travels_shrunk() -> None:
    assert shrunk_size(640, 480) == (640, 480)
    assert shrunk_size(3840, 2160) == (MAX_WIDTH, 1080)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://10.0.0.7:554/a", "rtsp://10.0.0.7:554/a"),
        ("rtsp://nurse:geheim@10.0.0.7/a", "rtsp://10.0.0.7/a"),
        ("rtsp://nurse:ge@he/im@10.0.0.7/a", "rtsp://10.0.0.7/a"),
        ("rtsp://10.0.0.7/user=nurse&password=geheim&channel=1", "rtsp://10.0.0.7/user=…&password=…&channel=1"),
        ("rtsp://10.0.0.7/a?pwd=geheim", "rtsp://10.0.0.7/a?pwd=…"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_no_password_is_ever_shown(source: str, shown: str) -> None:
    assert without_password(source) == shown
