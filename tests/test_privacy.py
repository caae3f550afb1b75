"""While it is private in the room nothing that shows it is kept, and the watch goes on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from device.recorder import PRIVATE
from tests.conftest import eventually
from tests.test_recorder import Room, settings_in


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(settings_in(tmp_path))
    yield made
    made.close()


def files(folder: Path) -> list[str]:
    eventually((folder / "event.json").exists, 60.0)
    return sorted(path.name for path in folder.iterdir())


def test_a_fall_in_private_has_its_scores_and_no_picture_and_says_why(room: Room) -> None:
    room.live(8.0)
    room.recorder.set_private(True)
    room.live(1.0)
    folder = room.event(room.fall())
    assert files(folder) == ["event.json", "scores.csv"]
    assert json.loads((folder / "event.json").read_text())["no_pictures"] == PRIVATE
    times = [float(row["t"]) for row in csv.DictReader((folder / "scores.csv").open())]
    assert times[-1] - times[0] > 6.0, "the seconds before it are told in numbers"


def test_privacy_that_begins_in_the_middle_of_a_recording_ends_it_there(room: Room) -> None:
    room.live(8.0)
    incident = room.begin()
    room.live(1.0)
    private_from = room.t
    room.recorder.set_private(True)
    room.live(0.5)
    room.move(incident, "confirmed", t_confirmed=room.t, wall_confirmed=room.t)
    room.live(5.0)
    folder = room.event(incident)
    assert "clip.mp4" in files(folder)
    steps = np.load(folder / "steps.npz")
    assert len(steps["t"]) > 20
    assert steps["t"].max() <= private_from
    eventually(lambda: len(json.loads((folder / "event.json").read_text())["transitions"]) == 2, 60.0)


def test_nothing_seen_in_private_gets_into_an_event_after_it(room: Room) -> None:
    room.live(8.0)
    room.recorder.set_private(True)
    room.live(3.0)
    assert room.recorder.fault is None
    room.recorder.set_private(False)
    open_from = room.t
    room.live(1.0)
    folder = room.event(room.fall())
    assert "clip.mp4" in files(folder)
    assert np.load(folder / "steps.npz")["t"].min() >= open_from
    note = json.loads((folder / "event.json").read_text())
    assert note["transitions"][0]["t_clip"] == pytest.approx(1.0, abs=0.2), "the clip begins where privacy ended"


def test_saying_it_again_changes_nothing(room: Room) -> None:
    room.live(8.0)
    incident = room.begin()
    for _ in range(3):
        room.recorder.set_private(False)
        room.live(1.0)
    room.move(incident, "confirmed", t_confirmed=room.t, wall_confirmed=room.t)
    room.live(3.5)
    assert "clip.mp4" in files(room.event(incident))
    assert room.recorder.bytes_held > 0
