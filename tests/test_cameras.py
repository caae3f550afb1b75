"""Several cameras on one unit: each has its room, its past and its faults; one journal and one way to the broker."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device import payloads
from device.alerts import alert_for
from device.card import shipped_bundle
from device.cli import main
from device.clock import SystemClock
from device.incidents.policy import latched
from device.journal import Journal
from device.loop import Turn
from device.outbox import Outbox, active_alert
from device.records import Incident, Receipt
from device.settings import Blind, Mqtt, RoomCamera, Settings, Store
from device.settings import Unit as UnitSettings
from device.unit import Unit
from tests.conftest import eventually
from tests.footage_made import moving_square, write_video
from tests.mosquitto import Listener, Mosquitto

GONE = "/dev/video97"


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("rooms")
    small = write_video(folder / "small.mp4", moving_square(60), fps=10)
    wide = write_video(folder / "wide.mp4", moving_square(30, (320, 180), seed=1), fps=5)
    return str(small), str(wide)


def settings_of(folder: Path, sources: tuple[str, ...], **sections: Any) -> Settings:
    cameras = [RoomCamera(id=f"cam-{n}", room=f"room-{n}", source=source) for n, source in enumerate(sources)]
    told = {"mqtt": Mqtt(enabled=False), **sections}
    return Settings(
        unit=UnitSettings(id="u", room="corridor"), cameras=cameras, store=Store(folder=str(folder)), **told
    )


def fall(identity: str, camera: str, room: str, stage: str = "confirmed", wall: float = 100.0) -> Incident:
    return Incident(identity, "fall", stage, 5.0, wall, 1.0, wall - 4, 5.0, wall, camera=camera, room=room)


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """A unit in a thread of its own, where its journal must be opened too."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: Unit(settings, shipped_bundle(), SystemClock()).run(stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def incidents(folder: Path) -> list[dict[str, Any]]:
    journal = Journal(folder, readonly=True)
    try:
        return [json.loads(row["body"]) for row in journal.entries() if row["what"] == "incident"]
    finally:
        journal.close()


def test_one_process_watches_both_rooms_to_the_end_each_at_its_own_pace(
    tmp_path: Path, videos: tuple[str, str]
) -> None:
    sizes: dict[tuple[int, ...], list[Turn]] = {}

    def told(turn: Turn, _alerts: object) -> None:
        assert turn.frame is not None
        sizes.setdefault(turn.frame.pixels.shape, []).append(turn)

    unit = Unit(settings_of(tmp_path, videos), shipped_bundle(), SystemClock(), told)
    unit.run(threading.Event())
    small, wide = sizes[120, 160, 3], sizes[180, 320, 3]
    assert len(small) >= 20
    assert len(wide) >= 20
    assert max(turn.scores.gap_share for turn in small[10:]) < 0.4 < max(turn.scores.gap_share for turn in wide[10:])
    assert [eye.id for eye in unit.eyes] == ["cam-0", "cam-1"]


def test_two_rooms_in_turn_get_the_scores_that_each_gets_alone(tmp_path: Path, videos: tuple[str, str]) -> None:
    """The states of one network must not leak into the other's, to the last bit."""
    unit = Unit(settings_of(tmp_path, videos), shipped_bundle(), SystemClock())
    rng = np.random.default_rng(3)
    greys = rng.integers(0, 255, (2, 20, unit.eyes[0].watch.raster.height, unit.eyes[0].watch.raster.width), np.uint8)

    def scores(which: int, step: int) -> Any:
        watch = unit.eyes[which].watch
        image = np.repeat(greys[which][step][:, :, None], 3, axis=2)
        return watch.network.step(image)

    mixed = [[scores(which, step) for which in (0, 1)] for step in range(20)]
    for which in (0, 1):
        unit.eyes[which].watch.network.reset()
        alone = [scores(which, step) for step in range(20)]
        assert np.array_equal(alone, [pair[which] for pair in mixed])
    assert not np.array_equal(mixed[-1][0], mixed[-1][1])


def test_a_lost_camera_is_the_fault_of_its_own_room_and_the_other_is_watched_on(
    tmp_path: Path, videos: tuple[str, str]
) -> None:
    settings = settings_of(tmp_path, (GONE, videos[0]), blind=Blind(no_frames_s=1.0, clear_s=0.5))
    stop = threading.Event()
    threading.Timer(30.0, stop.set).start()
    turns: list[Turn] = []
    health: list[dict[str, Any]] = []

    def told(turn: Turn, _alerts: object) -> None:
        turns.append(turn)
        # The other may be slow to open and be called blind until then; once it is seen the first one still is.
        if unit.eyes[0].blind() and not unit.eyes[1].blind() and len(turns) >= 10 and not stop.is_set():
            health.extend(eye.health(turn.scores.t) for eye in unit.eyes)
            assert unit._state() == "blind"
            stop.set()

    unit = Unit(settings, shipped_bundle(), SystemClock(), told)
    unit.run(stop)
    assert [(one["id"], one["room"], one["state"]) for one in health] == [
        ("cam-0", "room-0", "blind"),
        ("cam-1", "room-1", "streaming"),
    ]
    told_of = [one for one in incidents(tmp_path) if one["kind"] == "blind" and one["camera"] == "cam-0"]
    assert [(one["stage"], one["room"], one["detail"]["cause"]) for one in told_of] == [
        ("latched", "room-0", "no_frames")
    ]


def test_after_a_restart_each_open_fall_goes_on_in_the_room_it_began_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path)
    with journal.writing():
        for one in (
            fall("01A", "cam-1", "room-1"),
            fall("01B", "renamed", "room-0"),
            fall("01C", "sold", "room-9"),
        ):
            journal.put_incident(one, "m")
    unit = Unit(settings_of(tmp_path, (GONE, GONE)), shipped_bundle(), SystemClock())
    unit._restore(journal.open_incidents(), 10.0, 110.0)
    journal.close()
    opened = [eye.watch.incidents.down.open for eye in unit.eyes]
    assert [one.id if one else None for one in opened] == ["01B", "01A"]
    assert "room-9: a fall is open and no camera watches there (sold)" in caplog.text
    unit._closed(Receipt("01A", "human", "nina", 111.0, "close"))
    assert unit.eyes[1].watch.incidents.down.open is None
    assert unit.eyes[0].watch.incidents.down.open is not None


def test_the_message_names_the_room_and_the_camera_and_never_the_units_own_place(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, (GONE, GONE))
    outbox = Outbox(Journal(tmp_path, room="corridor"), settings)
    first, second = fall("01A", "cam-0", "room-0"), fall("01B", "cam-1", "room-1", "still_down", 101.0)
    for incident in (first, second):
        outbox.put(incident, alert_for(incident, incident.room), "m")
    own = latched("unit", "broker", 1.0, 1.0, "01U")
    outbox.put(own, alert_for(own, "corridor"), "m")
    outbox.answer(Receipt("01A", "human", "nina", 102.0, "claim"), "nonce-123", 102.0, 7.0)
    letters = [payloads.stamped(one.payload, one.seq, 1, 103.0) for one in outbox.pending()]
    for letter in letters:
        payloads.validate("alert-event", letter)
    told = [(letter["room"], letter["camera"], letter["text"].split(":")[0]) for letter in letters]
    assert told == [
        ("room-0", "cam-0", "room-0"),
        ("room-1", "cam-1", "room-1"),
        ("corridor", None, "corridor"),
        ("room-0", "cam-0", "room-0"),
    ]
    assert [row["room"] for row in outbox.journal.events()] == ["room-1", "room-0"]


def test_alert_active_tells_the_worst_of_all_rooms_and_how_many_are_open(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, (GONE, GONE))
    outbox = Outbox(Journal(tmp_path), settings)
    for incident in (fall("01A", "cam-0", "room-0"), fall("01B", "cam-1", "room-1", "still_down", 101.0)):
        outbox.put(incident, alert_for(incident, incident.room), "m")
    payload = payloads.active_payload(settings.unit, *active_alert(outbox))
    payloads.validate("alert-active", {**payload, "published_at": "2026-11-28T00:00:00.000Z"})
    assert (payload["room"], payload["camera"], payload["alert_id"], payload["open"]) == ("room-1", "cam-1", "01B", 2)
    over = replace(fall("01B", "cam-1", "room-1", "recovered", 102.0), ended=True)
    outbox.put(over, alert_for(over, over.room), "m")
    payload = payloads.active_payload(settings.unit, *active_alert(outbox))
    assert (payload["room"], payload["open"]) == ("room-0", 1)


def test_two_dark_rooms_are_two_faults_on_the_broker_and_each_camera_stands_in_health(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, Listener(broker.port) as nurse:
        settings = settings_of(
            tmp_path / "state",
            (GONE, GONE),
            blind=Blind(no_frames_s=1.0),
            mqtt=Mqtt(host="127.0.0.1", port=broker.port),
        )
        with running(settings):
            eventually(lambda: [one for one in nurse.on("fault/active") if len(one.body["faults"]) == 2], 20)
            eventually(lambda: nurse.on("/health"), 10)
        faults = next(one.body for one in nurse.on("fault/active") if len(one.body["faults"]) == 2)
        payloads.validate("fault-active", faults)
        assert faults["room"] == "corridor"
        told = faults["faults"]
        assert [(one["cause"], one["camera"], one["room"]) for one in told] == [
            ("no_frames", "cam-0", "room-0"),
            ("no_frames", "cam-1", "room-1"),
        ]
        health = nurse.on("/health")[-1].body
        payloads.validate("health", health)
        assert [(one["id"], one["room"]) for one in health["cameras"]] == [("cam-0", "room-0"), ("cam-1", "room-1")]


def test_check_looks_at_every_camera_and_names_the_one_that_fails(
    tmp_path: Path, videos: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "unit.toml"
    cameras = "".join(
        f"[[cameras]]\nid = '{name}'\nroom = 'r'\nsource = '{source}'\n"
        for name, source in (("door", videos[0]), ("bed", GONE))
    )
    config.write_text(f"{cameras}[mqtt]\nenabled = false\n[store]\nfolder = '{tmp_path}'\ncap_mb = 20\n")
    assert main(["check", "--config", str(config), "--json"]) == 1
    found = {row["what"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert (found["door"]["ok"], found["bed"]["ok"]) == (True, False)
    assert "160x120" in found["door"]["said"]
    assert GONE in found["bed"]["said"]
    assert main(["check", "--config", str(config), "--source", videos[0]]) == 2
    assert "change the source there" in capsys.readouterr().err
