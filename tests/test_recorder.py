"""Events on disk: the last seconds before, the seconds after, the exact steps, and a disk that fills up."""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from device import recording, store
from device.card import Card
from device.clip import Picture, clip_size, make_clip, to_jpeg, to_pixels
from device.event_writer import OFF
from device.incidents import Incidents, new_ulid, policy_of
from device.journal import Journal
from device.labels import LABELS
from device.loop import Watch
from device.recorder import AFTER_END_S, REACH_LIMIT_S, UNCONFIRMED_S, Recorder, past_steps, recording_end
from device.recording import RecordingError, read_recording
from device.records import Frame, Incident
from device.retention import MB, folder_bytes, make_room
from device.sampler import GreyStep
from device.score_table import HEADER
from device.settings import Settings
from tests.conftest import eventually

WIDTH, HEIGHT = 161, 121
"""Odd on purpose: H.264 wants even sides."""

LOOK_BACK = 35
STEP = 0.1
EPOCH = 1_790_000_000.0

CARD = Card.model_validate(
    {
        "schema": 1,
        "name": "window-mean",
        "version": "1.0.0",
        "created": "2026-11-24T00:00:00Z",
        "family": "test",
        "licence": "Apache-2.0",
        "summary": "a mean over a window, for tests",
        "parameters": 1,
        "mmac_per_step": 0.1,
        "look_back_s": LOOK_BACK * STEP,
        "warm_steps": 10,
        "labels": LABELS,
        "input": {"width": 32, "height": 24, "short_steps": 2, "long_steps": 10, "step_s": STEP},
        "thresholds": {"fall_on": 0.6, "fall_off": 0.3, "down_on": 0.6, "down_off": 0.3},
        "quantization": {},
        "states": (),
        "limits": (),
        "data": (),
        "results": (),
        "files": {"model.tflite": "0123456789abcdef"},
    }
)


class WindowMean:
    """A network with a past of exactly LOOK_BACK steps: what a causal network is, in four lines."""

    card = CARD
    model_id = CARD.model_id
    warm = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._past = np.zeros((LOOK_BACK, len(LABELS)), np.float32)

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen = np.array([image[..., index % 3].mean() * (index + 1) for index in range(len(LABELS))], np.float32)
        self._past = np.concatenate([self._past[1:], seen[None]])
        scores = np.exp(self._past.mean(axis=0) / 400)
        return np.asarray(scores / scores.sum(), np.float32)


def settings_in(folder: Path, **sections: dict[str, Any]) -> Settings:
    told = {"recorder": {"pre_s": 4.0, "post_s": 3.0}, "floor": {"confirm_s": 2.0}, **sections}
    told["store"] = {"folder": str(folder), "reserve_mb": 1, **sections.get("store", {})}
    return Settings.model_validate(told)


def camera(seconds: float, start: float = 100.0) -> Iterator[Frame]:
    """15 pictures a second of a square that wanders over noise."""
    noise = np.random.default_rng(7).integers(0, 60, (17, HEIGHT, WIDTH, 3), np.uint8)
    for index in range(int(seconds * 15)):
        pixels = noise[index % len(noise)].copy()
        pixels[50:100, index % 100 : index % 100 + 40] = 200
        yield Frame(index + 1, start + index / 15, EPOCH + index / 15, pixels)


class Room:
    """One watched room: a loop, a journal and a recorder. Transitions are told by the test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.store.path()
        self.watch = Watch(WindowMean(), Incidents(policy_of(settings, CARD.thresholds)))
        self.journal = Journal(self.folder)
        self.recorder = Recorder(settings, CARD, "ab" * 32)
        self.scores: dict[float, tuple[float, ...]] = {}
        self.t = 0.0
        self._frames = camera(300.0)

    def live(self, seconds: float) -> None:
        until = self.t + seconds if self.t else 100.0 + seconds
        while self.t < until:
            frame = next(self._frames)
            for turn in self.watch.feed(frame):
                self.recorder.keep(turn.step, turn.scores, frame.pixels)
                self.scores[turn.scores.t] = turn.scores.probabilities
            self.t = frame.t

    def begin(self, kind: str = "fall", stage: str = "suspected", **more: Any) -> Incident:
        wall = EPOCH + self.t - 100.0
        made = {"id": new_ulid(wall), "kind": kind, "stage": stage, "t": self.t, "wall": wall, "t_start": self.t}
        return self.tell(Incident(**{**made, "wall_start": wall, "score": 0.7, "peak": 0.7, **more}))

    def move(self, incident: Incident, stage: str, **more: Any) -> Incident:
        return self.tell(replace(incident, stage=stage, t=self.t, wall=EPOCH + self.t - 100.0, **more))

    def tell(self, incident: Incident) -> Incident:
        with self.journal.writing():
            self.journal.put_incident(incident, CARD.model_id)
        self.recorder.on_incident(incident)
        return incident

    def event(self, incident: Incident) -> Path:
        return store.event_folder(self.folder, incident.id)

    def fall(self) -> Incident:
        """A fall, confirmed after 2 s, recorded to its end."""
        incident = self.begin()
        self.live(2.0)
        incident = self.move(incident, "confirmed", t_confirmed=self.t, wall_confirmed=self.t)
        self.live(3.5)
        return incident

    def close(self) -> None:
        assert self.recorder.close(60.0)
        self.journal.close()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(settings_in(tmp_path))
    yield made
    made.close()


def test_a_fall_becomes_an_event_with_the_seconds_before_and_after(room: Room) -> None:
    room.live(12.0)
    incident = room.fall()
    folder = room.event(incident)
    eventually(lambda: (room.journal.event(incident.id) or {"clip": None})["clip"])
    names = ("clip.mp4", "event.json", "scores.csv", "steps.npz", "thumb.jpg")
    assert tuple(sorted(path.name for path in folder.iterdir())) == names

    row = room.journal.event(incident.id)
    assert row is not None
    assert row["clip_sha256"] == hashlib.sha256((folder / "clip.mp4").read_bytes()).hexdigest()
    note = json.loads((folder / "event.json").read_text())
    assert note["files"]["clip.mp4"] == row["clip_sha256"]
    assert [one["stage"] for one in note["transitions"]] == ["suspected", "confirmed"]
    assert note["transitions"][0]["t_clip"] == pytest.approx(4.0, abs=0.15)
    assert note["origin"]["bundle_sha256"] == "ab" * 32
    assert note["thresholds"]["fall_on"] == 0.6

    rows = [line.split(",") for line in (folder / "scores.csv").read_text().splitlines()]
    assert tuple(rows[0]) == HEADER
    times = [float(cells[0]) for cells in rows[1:]]
    assert times[0] == pytest.approx(0.0, abs=0.05)
    assert times[-1] == pytest.approx(4.0 + 2.0 + 3.0, abs=0.25)


def test_the_clip_plays_in_a_browser_and_keeps_time(room: Room) -> None:
    room.live(12.0)
    folder = room.event(room.fall())
    eventually((folder / "clip.mp4").is_file)
    content = (folder / "clip.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # faststart: plays before it is all there
    with av.open(io.BytesIO(content), "r") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (160, 120)
        times = [float(frame.time or 0.0) for frame in container.decode(stream)]
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(9.0, abs=0.25)
    assert np.diff(times) == pytest.approx(STEP, abs=0.001)
    thumb = to_pixels((folder / "thumb.jpg").read_bytes())
    assert thumb.shape == (120, 160, 3)
    assert thumb.std() > 10


def test_an_event_replays_to_the_last_bit_from_where_its_past_is_whole(room: Room) -> None:
    room.live(20.0)
    folder = room.event(room.fall())
    eventually((folder / "event.json").is_file)
    event = read_recording(folder)
    assert event.warm_up == past_steps(CARD) == LOOK_BACK + 10
    assert event.span.first == event.warm_up  # the clip's first step is the first that can be reproduced
    assert event.model_id == CARD.model_id
    assert event.incident.stage == "confirmed"
    again = Watch(WindowMean(), Incidents(policy_of(room.settings, CARD.thresholds)))
    turns = [again.look(step).scores for step in event.steps]
    replayed = np.array([one.probabilities for one in turns], np.float32)
    assert np.array_equal(replayed[event.warm_up :], event.probabilities[event.warm_up :])
    assert not np.array_equal(replayed[: event.warm_up], event.probabilities[: event.warm_up])
    for one, known in itertools.islice(zip(turns, event.scores, strict=True), event.warm_up, None):
        assert room.scores[known.t] == known.probabilities
        assert replace(one, inference_ms=0.0) == replace(known, inference_ms=0.0)


def test_an_event_right_after_the_start_replays_from_its_first_step(room: Room) -> None:
    room.live(1.0)
    folder = room.event(room.fall())
    eventually((folder / "event.json").is_file)
    event = read_recording(folder)
    assert event.warm_up == 0
    assert event.steps[0].reset
    again = Watch(WindowMean(), Incidents(policy_of(room.settings, CARD.thresholds)))
    assert [again.look(step).scores.probabilities for step in event.steps] == [
        one.probabilities for one in event.scores
    ]


def test_a_suspected_fall_that_is_dismissed_is_kept_and_short(room: Room) -> None:
    room.live(8.0)
    incident = room.begin()
    room.live(2.0)
    room.move(incident, "dismissed", ended=True)
    room.live(AFTER_END_S + 0.5)
    eventually((room.event(incident) / "event.json").is_file)
    event = read_recording(room.event(incident))
    assert event.incident.ended
    assert event.steps[-1].t - event.incident.t == pytest.approx(AFTER_END_S, abs=0.15)


def test_what_happens_later_is_added_to_the_event(room: Room) -> None:
    room.live(6.0)
    incident = room.fall()
    note = room.event(incident) / "event.json"
    eventually(note.is_file)
    steps = (note.parent / "steps.npz").read_bytes()
    room.move(incident, "still_down")
    room.move(incident, "recovered", ended=True, detail={"lain_s": 70.0})
    eventually(lambda: "recovered" in note.read_text())
    event = read_recording(note.parent)
    assert [one.stage for one in event.transitions] == ["suspected", "confirmed", "still_down", "recovered"]
    assert event.incident.detail == {"lain_s": 70.0}
    assert (note.parent / "steps.npz").read_bytes() == steps


def test_lying_on_the_floor_shows_how_they_got_there(room: Room) -> None:
    room.live(12.0)
    incident = room.begin("floor", "confirmed", t_start=room.t - 2.0, t_confirmed=room.t)
    room.live(3.5)
    eventually((room.event(incident) / "event.json").is_file)
    event = read_recording(room.event(incident))
    assert event.incident.t_start - event.span.t0 == pytest.approx(4.0, abs=0.15)


def test_only_what_happens_to_a_person_is_recorded(room: Room) -> None:
    room.live(3.0)
    fault = room.begin("blind", "latched")
    lie = room.begin("long_lie", "confirmed", t_confirmed=room.t)
    still = room.begin("inactivity", "noticed")
    room.live(UNCONFIRMED_S + 0.5)
    eventually((room.event(still) / "event.json").is_file)
    assert not room.event(fault).exists()
    assert not room.event(lie).exists()


def test_a_camera_that_stops_ends_the_event_all_the_same(room: Room) -> None:
    room.live(6.0)
    incident = room.begin(t_confirmed=100.0)
    room.recorder.pass_time(room.t + 1.0)
    assert not room.event(incident).exists()
    room.recorder.pass_time(room.t + 60.0)
    eventually((room.event(incident) / "clip.mp4").is_file)


def test_a_unit_that_is_stopped_writes_what_it_has(tmp_path: Path) -> None:
    room = Room(settings_in(tmp_path))
    room.live(5.0)
    incident = room.begin()
    room.live(0.5)
    room.close()
    assert read_recording(room.event(incident)).incident.stage == "suspected"


def test_a_switched_off_recorder_keeps_no_picture_of_any_kind(tmp_path: Path) -> None:
    room = Room(settings_in(tmp_path, recorder={"enabled": False, "post_s": 3.0}))
    room.live(6.0)
    incident = room.fall()
    room.close()
    assert sorted(path.name for path in room.event(incident).iterdir()) == ["event.json", "scores.csv"]
    assert len((room.event(incident) / "scores.csv").read_text().splitlines()) > 50
    with pytest.raises(RecordingError, match=OFF):
        read_recording(room.event(incident))


def test_memory_is_bounded_by_time(room: Room) -> None:
    room.live(15.0)
    held = room.recorder.bytes_held
    room.live(30.0)
    assert room.recorder.bytes_held == pytest.approx(held, rel=0.1)
    assert room.settings.floor.confirm_s < REACH_LIMIT_S


def test_a_picture_that_cannot_be_kept_never_stops_the_watch(room: Room) -> None:
    room.live(3.0)
    step = GreyStep(room.t, EPOCH, 1, np.zeros((24, 32), np.uint8), held=False, reset=False)
    scores = room.watch.look(step).scores
    room.recorder.keep(step, scores, np.zeros((10, 10, 5), np.uint8))
    assert "could not be kept" in (room.recorder.fault or "")
    room.live(6.0)
    incident = room.fall()
    eventually((room.event(incident) / "clip.mp4").is_file)


# The disk


def test_the_oldest_events_go_before_the_cap_is_passed(tmp_path: Path) -> None:
    room = Room(settings_in(tmp_path, store={"cap_mb": 20}))
    events = tmp_path / store.EVENTS
    old = [new_ulid(EPOCH - 1000 + number) for number in range(3)]
    eventually(events.is_dir)
    for name in old:
        (events / name).mkdir()
        (events / name / "clip.mp4").write_bytes(bytes(10_150_000 if name == old[0] else 5_400_000))
    room.live(6.0)
    incident = room.fall()
    room.close()
    assert not (events / old[0]).exists()
    assert (events / old[1]).exists()
    assert (events / old[2]).exists()
    assert (room.event(incident) / "clip.mp4").exists()
    assert folder_bytes(events) <= 20 * MB
    assert room.recorder.fault is None


def test_room_is_made_by_the_oldest_and_only_as_much_as_is_needed(tmp_path: Path) -> None:
    names = [f"{number:02d}" for number in range(5)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "clip.mp4").write_bytes(bytes(MB))
    gone: list[str] = []
    assert make_room(tmp_path, MB, 4, 0, gone.append) is None
    assert gone == ["00", "01"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names[2:]
    too_much = make_room(tmp_path, 5 * MB, 4, 0, gone.append)
    assert too_much is not None
    assert "store.cap_mb" in too_much
    assert gone == ["00", "01"]


def free_space(mb: float) -> Callable[[Any], Any]:
    return lambda _path: SimpleNamespace(free=int(mb * MB))


def test_the_reserve_is_left_to_alerts_and_the_scores_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(settings_in(tmp_path, store={"reserve_mb": 50}))
    room.live(6.0)
    monkeypatch.setattr(shutil, "disk_usage", free_space(50.2))
    first = room.fall()
    eventually((room.event(first) / "event.json").is_file)
    room.live(6.0)
    second = room.fall()
    eventually((room.event(second) / "event.json").is_file)
    fault = eventually(lambda: room.recorder.fault) or ""
    assert "50 MB are kept for alerts; free some disk" in fault
    assert caplog.text.count("free some disk") == 1
    assert not (room.event(first) / "clip.mp4").exists()
    assert (room.event(first) / "scores.csv").exists()
    with pytest.raises(RecordingError, match="free some disk"):
        read_recording(room.event(first))
    monkeypatch.setattr(shutil, "disk_usage", free_space(80))
    room.live(6.0)
    third = room.fall()
    room.close()
    assert (room.event(third) / "clip.mp4").exists()
    assert room.recorder.fault is None


def test_a_disk_that_fills_in_the_middle_costs_only_the_new_event(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.live(6.0)
    first = room.fall()
    eventually(lambda: (room.journal.event(first.id) or {"clip": None})["clip"])
    write = recording._write

    def full(path: Path, content: bytes) -> None:
        if path.name == "clip.mp4":
            write(path, content[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    monkeypatch.setattr(recording, "_write", full)
    room.live(6.0)
    second = room.fall()
    fault = eventually(lambda: room.recorder.fault) or ""
    assert "event not recorded (No space left on device); free or repair the disk" in fault
    assert not room.event(second).exists()
    assert [path.name for path in (room.folder / store.EVENTS).iterdir()] == [first.id]
    assert read_recording(room.event(first)).incident.id == first.id


def test_what_a_crash_left_is_put_in_order_at_the_next_start(tmp_path: Path) -> None:
    room = Room(settings_in(tmp_path))
    room.live(6.0)
    incident = room.fall()
    room.close()
    events = tmp_path / store.EVENTS
    half = events / f"{recording.TEMP}{new_ulid(EPOCH)}"
    half.mkdir()
    (half / "clip.mp4").write_bytes(b"half")
    journal = Journal(tmp_path)
    with journal.writing():  # killed between the folder's rename and the journal's entry
        journal.connection.execute("UPDATE event SET clip = NULL, clip_sha256 = NULL")
    again = Recorder(settings_in(tmp_path), CARD, "ab" * 32)
    assert again.close(60.0)
    assert [path.name for path in events.iterdir()] == [incident.id]
    row = journal.event(incident.id)
    assert row is not None
    assert row["clip"] == incident.id
    assert row["clip_sha256"] == hashlib.sha256((events / incident.id / "clip.mp4").read_bytes()).hexdigest()
    journal.close()


# Reading


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = Room(settings_in(tmp_path_factory.mktemp("recorded")))
    room.live(6.0)
    incident = room.fall()
    room.close()
    return room.event(incident)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def cut_steps_with_right_hash(folder: Path) -> None:
    steps = folder / "steps.npz"
    steps.write_bytes(steps.read_bytes()[:2000])
    note = json.loads((folder / "event.json").read_text())
    note["files"]["steps.npz"] = hashlib.sha256(steps.read_bytes()).hexdigest()
    (folder / "event.json").write_text(json.dumps(note))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: flip(folder / "steps.npz"), "steps.npz: wrong hash"),
        (lambda folder: flip(folder / "clip.mp4"), "clip.mp4: wrong hash"),
        (lambda folder: (folder / "steps.npz").unlink(), "steps.npz: missing"),
        (lambda folder: (folder / "event.json").unlink(), "no event.json there"),
        (lambda folder: (folder / "event.json").write_text("{"), "event.json: damaged"),
        (lambda folder: (folder / "event.json").write_text('{"schema": 1}'), "event.json: damaged"),
        (lambda folder: (folder / "event.json").write_text('{"schema": 7}'), "not of schema 1"),
        (cut_steps_with_right_hash, "steps.npz: damaged"),
    ],
)
def test_a_damaged_event_is_refused_in_one_sentence(
    recorded: Path, tmp_path: Path, damage: Callable[[Path], Any], says: str
) -> None:
    folder = tmp_path / recorded.name
    shutil.copytree(recorded, folder)
    read_recording(folder)
    damage(folder)
    with pytest.raises(RecordingError, match=says) as refusal:
        read_recording(folder)
    assert str(folder) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_event_whose_clip_was_erased_still_replays(recorded: Path, tmp_path: Path) -> None:
    folder = tmp_path / recorded.name
    shutil.copytree(recorded, folder)
    (folder / "clip.mp4").unlink()
    assert len(read_recording(folder).steps) > 50


# The small decisions


def incident_at(t: float, **more: Any) -> Incident:
    return Incident(
        **{"id": "X", "kind": "fall", "stage": "", "t": t, "wall": t, "t_start": t, "wall_start": t, **more}
    )


def test_when_a_recording_is_over() -> None:
    suspected = incident_at(10.0)
    confirmed = incident_at(15.0, t_confirmed=15.0)
    assert recording_end([suspected], 15.0) == 10.0 + UNCONFIRMED_S
    assert recording_end([suspected, confirmed], 15.0) == 30.0
    up = replace(confirmed, t=20.0, ended=True)
    assert recording_end([suspected, confirmed, up], 15.0) == 20.0 + AFTER_END_S
    late = replace(confirmed, t=90.0, ended=True)
    assert recording_end([suspected, confirmed, late], 15.0) == 30.0
    assert recording_end([suspected, incident_at(12.0, ended=True)], 15.0) == 12.0 + AFTER_END_S


@pytest.mark.parametrize(
    ("size", "most", "made"),
    [
        ((640, 480), 640, (640, 480)),
        ((1280, 720), 640, (640, 360)),
        ((321, 241), 640, (320, 240)),
        ((854, 480), 640, (640, 358)),
    ],
)
def test_a_clip_is_even_and_no_wider_than_asked(size: tuple[int, int], most: int, made: tuple[int, int]) -> None:
    assert clip_size(*size, most) == made
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    height, width = to_pixels(to_jpeg(pixels, most)).shape[:2]
    assert (width, height) == made


def test_a_picture_that_changes_its_size_stays_in_the_clip() -> None:
    big = to_jpeg(np.full((120, 160, 3), 80, np.uint8), 160)
    small = to_jpeg(np.full((60, 80, 3), 80, np.uint8), 160)
    clip = make_clip([Picture(0.0, 1, big), Picture(0.1, 2, small)])
    with av.open(io.BytesIO(clip), "r") as container:
        assert [(frame.width, frame.height) for frame in container.decode(video=0)] == [(160, 120), (160, 120)]
