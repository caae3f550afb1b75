"""The console's answers: a store filled as the unit fills it, asked as a browser asks."""

from __future__ import annotations

import json
import math
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient
from ulid import ULID

from device import alerts, store
from device.clip import Picture, make_clip, make_thumb, to_jpeg
from device.console import ConsoleError, create_app, serve, words
from device.console.footage import clip_absence, thresholds
from device.errors import MissingExtraError
from device.feature import Wish
from device.health import beat, last_beat
from device.journal import Journal, boot_id
from device.labels import LABELS
from device.outbox import Outbox
from device.recording import Origin, Span, make_note
from device.records import Alert, Incident, Receipt, Scores
from device.score_table import save_scores
from device.settings import Console, Recorder, Settings, Store, Unit
from tests.conftest import REPO, eventually, free_port

STATIC = REPO / "device" / "console" / "static"
MODEL = "r2plus1d-0.1.0-1a2b3c4d"
LIMITS = {"fall_on": 0.6, "fall_off": 0.3, "down_on": 0.5, "down_off": 0.35}
PRE_S, FALL_S, CLIP_S = 4.0, 1.2, 12.0
URL = "http://127.0.0.1:8710"


@dataclass
class House:
    """A unit's store, and what a test makes happen in it."""

    folder: Path
    settings: Settings

    def journal(self) -> Journal:
        return Journal(self.folder, room=self.settings.unit.room)

    def row(self, incident_id: str) -> sqlite3.Row:
        """The event as the store has it now."""
        with closing(self.journal()) as journal:
            row = journal.event(incident_id)
        assert row is not None
        return row

    def happens(self, *stages: tuple[str, float], wall: float, kind: str = "fall", ended: bool = False) -> str:
        """An incident that goes through stages, each at seconds after `wall`; the last one ends it or not."""
        incident = Incident(str(ULID.from_timestamp(wall)), kind, "", 0.0, 0.0, 100.0, wall)  # type: ignore[arg-type]
        journal = self.journal()
        for place, (stage, after) in enumerate(stages):
            last = place == len(stages) - 1
            incident = replace(incident, stage=stage, t=100 + after, wall=wall + after, score=0.9, peak=0.93)
            incident = replace(incident, ended=ended and last, detail={"down_s": 40.0} if stage == "recovered" else {})
            if stage == "confirmed":
                incident = replace(incident, t_confirmed=incident.t, wall_confirmed=incident.wall)
            with journal.writing():
                journal.put_incident(incident, MODEL)
        journal.close()
        return incident.id

    def rings(self, incident_id: str, text: str, wall: float) -> None:
        alert = Alert(incident_id, "fall", "confirmed", "alarm", text, 60.0, 100.0, wall, wall, 0.9, False)
        journal = self.journal()
        with journal.writing():
            journal.put_alert(alert, 100.0)
        journal.close()

    def answers(self, *receipts: Receipt) -> None:
        journal = self.journal()
        for receipt in receipts:
            with journal.writing():
                journal.put_receipt(receipt, receipt.at, 100.0)
        journal.close()

    def is_recorded(self, incident_id: str, wall: float) -> Path:
        """The event's folder as the recorder leaves it: clip, thumbnail, scores, note."""
        folder = store.event_folder(self.folder, incident_id)
        folder.mkdir(parents=True)
        clip, thumb = _clip()
        (folder / "clip.mp4").write_bytes(clip)
        (folder / "thumb.jpg").write_bytes(thumb)
        save_scores(folder / "scores.csv", fall_scores(wall - PRE_S), 0.0)
        stages = [("suspected", 0.3), ("confirmed", 6.0)]
        transitions = [Incident(incident_id, "fall", s, PRE_S + at, wall + at, PRE_S, wall) for s, at in stages]
        origin = Origin("rosehill", "unit-7", "room-12", MODEL, "", "", {}, 0.1, LIMITS)
        note = make_note(transitions, origin, Span(0.0, wall - PRE_S, 0, 0), {})
        (folder / "event.json").write_text(json.dumps(note))
        journal = self.journal()
        journal.put_clip(incident_id, incident_id, "ab" * 32)
        journal.close()
        return folder


@cache
def _clip() -> tuple[bytes, bytes]:
    pictures = [_picture(step / 10) for step in range(int(CLIP_S * 10))]
    return make_clip(pictures), make_thumb(pictures[50].jpeg)


def _picture(t: float) -> Picture:
    """A room with somebody, a bright bar, who stands, falls and lies."""
    pixels = np.full((120, 160, 3), 90, np.uint8)
    down = min(max((t - PRE_S) / FALL_S, 0.0), 1.0)
    tall, wide = round(60 - 48 * down), round(14 + 46 * down)
    pixels[110 - tall : 110, 60 : 60 + wide] = (200, 210, 230)
    return Picture(t, round(t * 10), to_jpeg(pixels, 640))


def fall_scores(wall: float) -> list[Scores]:
    """Ten a second over CLIP_S: upright, falling at PRE_S, on the floor."""
    made = []
    for step in range(int(CLIP_S * 10)):
        t = step / 10
        label = "upright" if t < PRE_S else "falling" if t < PRE_S + FALL_S else "floor"
        logits = [3.0 * (name == label) + 0.4 * math.sin(step * (place + 2)) for place, name in enumerate(LABELS)]
        total = sum(math.exp(logit) for logit in logits)
        shares = tuple(math.exp(logit) / total for logit in logits)
        motion = {"upright": 0.03, "falling": 0.12, "floor": 0.002}[label]
        made.append(Scores(t, wall + t, step, shares, motion, 0.4, 0.2, False, 0.0, True, MODEL, 1.0))
    return made


def settings_for(folder: Path, port: int = 8710, **recorder: Any) -> Settings:
    return Settings(
        unit=Unit(site="rosehill", id="unit-7", room="room-12"),
        store=Store(folder=str(folder)),
        console=Console(port=port),
        recorder=Recorder(**recorder),
    )


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "unit", settings_for(tmp_path / "unit"))


@pytest.fixture
def client(house: House) -> Iterator[TestClient]:
    with TestClient(create_app(house.folder, house.settings), base_url=URL) as client:
        yield client


@pytest.fixture
def fall(house: House) -> str:
    """One recorded, confirmed, claimed fall of ten minutes ago."""
    wall = time.time() - 600
    incident_id = house.happens(("suspected", 0.3), ("confirmed", 6.0), wall=wall)
    house.rings(incident_id, "room-12: somebody fell and is on the floor", wall + 6.0)
    house.answers(
        Receipt(incident_id, "broker", "", wall + 6.1),
        Receipt(incident_id, "consumer", "ward-desk", wall + 6.3),
        Receipt(incident_id, "human", "Anna", wall + 15.0, "claim"),
    )
    house.is_recorded(incident_id, wall)
    return incident_id


# What a nurse and a reviewer are told


def test_list_is_newest_first_and_says_what_is_open(client: TestClient, house: House, fall: str) -> None:
    now = time.time()
    over = house.happens(("suspected", 0.0), ("dismissed", 4.0), wall=now - 3600, ended=True)
    rings = house.happens(("confirmed", 20.0), wall=now - 60, kind="floor")
    found = client.get("/api/events").json()
    assert [event["incident_id"] for event in found["events"]] == [rings, fall, over]
    assert [event["urgency"] for event in found["events"]] == ["rings", "attended", "over"]
    assert [event["thumb"] for event in found["events"]] == [False, True, False]
    assert found["events"][1]["stands"] == "Claimed by Anna"
    assert found["unit"] == {"site": "rosehill", "id": "unit-7", "room": "room-12"}
    assert found["journal"] is True


def test_an_alert_that_staff_in_the_room_keep_from_ringing_is_not_said_to_ring(
    client: TestClient, house: House
) -> None:
    with closing(house.journal()) as journal:
        outbox = Outbox(journal, house.settings)
        t, wall = time.monotonic(), time.time()
        outbox.switch(Wish("staff", True, "Anna"), wall, t)
        made = Incident(str(ULID.from_timestamp(wall)), "fall", "confirmed", t, wall, t - 5.0, wall - 5.0, t, wall)
        outbox.put(made, alerts.alert_for(made, "room-12"), MODEL)
        (event,) = client.get("/api/events").json()["events"]
        assert (event["urgency"], event["stands"]) == ("watching", "Open, shown and not rung, staff are in the room")
        assert event["says"] == "Fall confirmed: still down, shown and not rung, staff are in the room"
        found = client.get(f"/api/events/{made.id}").json()
        assert found["event"] == event
        assert "Fall confirmed: still down" in [line["words"] for line in found["story"]], "and no word of a ring"
        outbox.switch(Wish("staff", False, "Anna"), wall + 1.0, t + 1.0)
        outbox.tick(wall + 2.0, t + 2.0)
    (event,) = client.get("/api/events").json()["events"]
    assert (event["urgency"], event["stands"]) == ("rings", "Open, nobody has claimed it")
    assert event["says"] == "Fall confirmed: still down, the alert rings"


@pytest.mark.parametrize(
    ("kind", "stage", "said"),
    [
        ("floor", "confirmed", "On the floor, no fall was seen, the alert rings"),
        ("long_lie", "confirmed", "Long lie, rings, most urgent"),
        ("fall", "still_down", "Still down, rings again, more urgent"),
        ("fall", "suspected", "A fall is suspected"),
        ("test", "confirmed", "Confirmed"),
    ],
)
def test_what_rings_is_said_to_ring_until_somebody_goes_and_a_test_never_is(kind: str, stage: str, said: str) -> None:
    incident = json.dumps({"kind": kind, "stage": stage})
    row = {"incident": incident, "kind": kind, "stage": stage, "state": "open", "hushed": 0, "wall_end": None}
    assert words.says(cast(sqlite3.Row, row)) == said
    assert "rings" not in words.says(cast(sqlite3.Row, {**row, "state": "claimed"}))


def test_list_is_paged_by_time(client: TestClient, house: House) -> None:
    journal = house.journal()
    base = time.time() - 10_000
    with journal.writing():
        for place in range(101):
            wall = base + place
            one = Incident(str(ULID.from_timestamp(wall)), "fall", "suspected", 1.0, wall, 1.0, wall)
            journal.put_incident(one, MODEL)
    journal.close()
    first = client.get("/api/events").json()
    assert (len(first["events"]), first["more"]) == (100, True)
    rest = client.get("/api/events", params={"before": first["events"][-1]["wall_start"]}).json()
    assert (len(rest["events"]), rest["more"]) == (1, False)


def test_story_is_told_in_words_and_receipts_stand_apart(client: TestClient, house: House, fall: str) -> None:
    wall = time.time()
    house.answers(Receipt(fall, "human", "Anna", wall, "close", "slipped, no injury"))
    found = client.get(f"/api/events/{fall}").json()
    assert [line["words"] for line in found["story"]] == [
        "A fall is suspected",
        "Fall confirmed: still down",
        "Anna is going",
        "Anna closed it: slipped, no injury",
    ]
    assert {level: len(came) for level, came in found["receipts"].items()} == {"broker": 1, "consumer": 1, "human": 2}
    assert found["receipts"]["consumer"][0]["words"] == "ward-desk received it"
    assert [alert["text"] for alert in found["alerts"]] == ["room-12: somebody fell and is on the floor"]
    assert found["event"]["stands"] == "Closed by Anna: slipped, no injury"
    assert (found["event"]["urgency"], found["event"]["says"]) == ("over", "Fall confirmed: still down")


def test_somebody_who_got_up_is_told_with_the_time_on_the_floor(client: TestClient, house: House) -> None:
    stages = (("suspected", 0.0), ("confirmed", 6.0), ("recovered", 45.0))
    incident_id = house.happens(*stages, wall=time.time() - 90, ended=True)
    assert client.get(f"/api/events/{incident_id}").json()["story"][-1]["words"] == "Got up after 40 s"


def test_a_message_that_waits_for_the_broker_is_told(client: TestClient, house: House, fall: str) -> None:
    journal = house.journal()
    with journal.writing() as connection:
        connection.execute(
            "INSERT INTO outbox (alert_id, topic, payload, created) VALUES (?, 'alert/event', '{}', ?)",
            (fall, time.time()),
        )
    journal.close()
    assert client.get(f"/api/events/{fall}").json()["waiting"] == 1


def test_every_stage_that_people_are_told_of_has_words() -> None:
    for kind, stage in alerts.RULES:
        if kind == "test":
            continue
        assert (kind, stage) in words.STAGE_WORDS or stage in words.ANY_KIND, f"no words for {kind} {stage}"
    assert {kind for kind, _ in alerts.RULES} == set(words.KIND_WORDS)


# Clip and scores


def test_clip_is_sent_in_ranges_and_downloads_under_a_telling_name(client: TestClient, fall: str) -> None:
    address = f"/api/events/{fall}/clip.mp4"
    whole = client.get(address)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(address, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    name = client.get(address, params={"download": 1}).headers["content-disposition"]
    assert re.search(r'filename="room-12_\d{4}-\d\d-\d\d_\d{6}_fall\.mp4"', name)


def test_scores_marks_and_thresholds_come_as_the_event_has_them(client: TestClient, fall: str) -> None:
    scores = client.get(f"/api/events/{fall}/scores").json()
    assert len(scores["t"]) == int(CLIP_S * 10)
    assert list(scores["series"]) == list(LABELS)
    assert scores["series"]["floor"][80] == pytest.approx(fall_scores(0.0)[80].of("floor"), abs=1e-6)
    assert scores["motion"][45] == pytest.approx(0.12)
    found = client.get(f"/api/events/{fall}").json()
    assert found["marks"] == [{"stage": "suspected", "t": 4.3}, {"stage": "confirmed", "t": 10.0}]
    assert found["thresholds"] == LIMITS
    assert client.get(f"/api/events/{fall}/thumb.jpg").content[:2] == b"\xff\xd8"


def test_thresholds_of_another_network_are_not_shown(house: House) -> None:
    assert thresholds({}, "some-other-network", house.settings) == {}


def test_scores_cut_short_by_a_power_cut_lose_only_the_last_line(client: TestClient, house: House, fall: str) -> None:
    path = store.event_folder(house.folder, fall) / "scores.csv"
    path.write_text(path.read_text()[:-20])
    assert len(client.get(f"/api/events/{fall}/scores").json()["t"]) == int(CLIP_S * 10) - 1


@pytest.mark.parametrize(
    "content", ["", "t,wrong\n1,2\n", "t," + ",".join(LABELS) + ",motion\n" + "nan," * 8 + "nan\n"]
)
def test_broken_scores_get_a_sentence(client: TestClient, house: House, fall: str, content: str) -> None:
    (store.event_folder(house.folder, fall) / "scores.csv").write_text(content)
    answer = client.get(f"/api/events/{fall}/scores")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith(("scores.csv", "The scores of this event"))


def test_an_absent_clip_is_explained(house: House, fall: str) -> None:
    folder = store.event_folder(house.folder, fall)
    wall = time.time()
    young = house.happens(("suspected", 0.0), wall=wall)
    old = house.happens(("suspected", 0.0), wall=wall - 5000)
    off = settings_for(house.folder, enabled=False)
    nowhere = house.folder / "events" / "none"

    def said(incident_id: str, where: Path = nowhere, settings: Settings = house.settings) -> str | None:
        return clip_absence(house.row(incident_id), where, settings, wall)

    assert said(fall, folder) is None
    (folder / "clip.mp4").unlink()
    assert "no longer on this unit" in str(said(fall, folder))
    assert "Still recording" in str(said(young))
    assert "switched off" in str(said(young, settings=off))
    assert "disk was full" in str(said(old))
    nowhere.mkdir()
    (nowhere / "event.json").write_text('{"no_pictures": "the camera gave none"}')
    assert said(old) == "No pictures of this event were kept: the camera gave none."


def test_an_event_without_a_folder_opens_with_its_story(client: TestClient, house: House) -> None:
    incident_id = house.happens(("confirmed", 20.0), wall=time.time() - 5000, kind="floor")
    found = client.get(f"/api/events/{incident_id}").json()
    assert (found["clip"], found["marks"], len(found["story"])) == (False, [], 1)
    for name in ("clip.mp4", "thumb.jpg", "scores"):
        answer = client.get(f"/api/events/{incident_id}/{name}")
        assert (answer.status_code, list(answer.json())) == (404, ["error"])


# A reviewer's word


def test_a_label_is_kept_in_the_journal(client: TestClient, house: House, fall: str) -> None:
    answer = client.post(f"/api/events/{fall}/label", json={"label": "false"}, headers={"Origin": URL})
    assert answer.status_code == 200
    assert house.row(fall)["label"] == "false"
    assert client.get(f"/api/events/{fall}").json()["story"][-1]["words"] == "Reviewer: a false alarm"


@pytest.mark.parametrize(
    ("body", "status"), [('{"label": "maybe"}', 400), ('{"label": "true", "by": "x"}', 400), ("not json", 400)]
)
def test_a_label_that_is_none_is_refused(client: TestClient, house: House, fall: str, body: str, status: int) -> None:
    headers = {"Origin": URL, "Content-Type": "application/json"}
    answer = client.post(f"/api/events/{fall}/label", content=body, headers=headers)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert house.row(fall)["label"] is None


# Who may ask


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://127.0.0.1:9999"])
def test_a_foreign_page_cannot_label(client: TestClient, house: House, fall: str, origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    answer = client.post(f"/api/events/{fall}/label", json={"label": "false"}, headers=headers)
    assert answer.status_code == 403
    assert house.row(fall)["label"] is None


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8710", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.nip.io:8710"]
)
def test_a_foreign_name_for_this_machine_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/events", headers={"Host": host})
    assert (answer.status_code, list(answer.json())) == (403, ["error"])


def answer(client: TestClient, incident_id: str, action: str, nonce: str, **more: str) -> tuple[int, dict[str, Any]]:
    """Answer as the page does; returns the status and the body."""
    said = {"action": action, "by": "Nina", "nonce": nonce, **more}
    given = client.post(f"/api/events/{incident_id}/answer", json=said, headers={"Origin": URL})
    return given.status_code, given.json()


def test_an_answer_on_the_page_is_journalled_with_who_and_told_to_everybody_else(
    client: TestClient, house: House
) -> None:
    incident_id = house.happens(("confirmed", 0.0), wall=time.time())
    claimed = {"counts": True, "repeated": False, "state": "claimed"}
    assert answer(client, incident_id, "claim", "nonce-0001") == (200, claimed)
    assert answer(client, incident_id, "claim", "nonce-0001") == (200, claimed | {"repeated": True})
    assert answer(client, incident_id, "close", "nonce-0002", cause="slipped", outcome="unhurt")[0] == 200
    late = {"error": "arrive comes too late, the alert is closed"}
    assert answer(client, incident_id, "arrive", "nonce-0003") == (409, late)
    assert answer(client, incident_id, "reopen", "nonce-0004")[1]["state"] == "open"
    row = house.row(incident_id)
    assert (row["state"], row["by"]) == ("open", "Nina")
    with closing(house.journal()) as journal:
        letters = [
            json.loads(one["payload"]) for one in journal.connection.execute("SELECT * FROM outbox ORDER BY seq")
        ]
        assert [receipt.action for _, receipt in journal.answers_via("console", 0)] == ["claim", "close", "reopen"]
    assert [(one["event_type"], one["ack"]["by"]) for one in letters] == [
        ("claimed", "Nina"),
        ("closed", "Nina"),
        ("reopened", "Nina"),
    ]
    story = [line["words"] for line in client.get(f"/api/events/{incident_id}").json()["story"]]
    assert "Nina is going" in story
    assert "Nina closed it: slipped (unhurt)" in story


@pytest.mark.parametrize(
    "wrong",
    [{"action": "explode"}, {"by": ""}, {"by": "Nina\n"}, {"nonce": "short"}, {"cause": "x" * 501}, {"at": "now"}],
)
def test_an_answer_out_of_contract_is_refused_and_changes_nothing(
    client: TestClient, house: House, fall: str, wrong: dict[str, str]
) -> None:
    before = house.row(fall)["state"]
    said = {"action": "close", "by": "Nina", "nonce": "nonce-0001", **wrong}
    refused = client.post(f"/api/events/{fall}/answer", json=said, headers={"Origin": URL})
    assert refused.status_code == 400
    assert refused.json()["error"]
    assert house.row(fall)["state"] == before


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null"])
def test_a_foreign_page_cannot_answer(client: TestClient, house: House, fall: str, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    said = {"action": "close", "by": "Nina", "nonce": "nonce-0001"}
    assert client.post(f"/api/events/{fall}/answer", json=said, headers=headers).status_code == 403
    assert house.row(fall)["state"] == "claimed"


def test_an_answer_that_the_disk_does_not_take_is_said_not_to_count(
    client: TestClient, house: House, fall: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Journal) -> None:
        raise store.StoreError("fallwatch.db: not written (disk full); free some disk")

    monkeypatch.setattr(Journal, "writing", full)
    status, body = answer(client, fall, "close", "nonce-0001")
    assert (status, "free some disk" in body["error"]) == (503, True)


def test_rings_and_last_resorts_are_told_in_words(client: TestClient, house: House) -> None:
    incident_id = house.happens(("confirmed", 0.0), wall=time.time())
    with closing(house.journal()) as journal, journal.writing():
        journal.append("ring", 1.0, 1.0, {"why": "unclaimed", "tier": 2, "by": "unit"}, incident_id)
        journal.append("fallback", 2.0, 2.0, {"tier": 2, "by": "unit"}, incident_id)
    story = [line["words"] for line in client.get(f"/api/events/{incident_id}").json()["story"]]
    assert story[1:] == [
        "Rings again: nobody is going (tier 2)",
        "No screen or phone has it: called by the unit's own ways out",
    ]


@pytest.mark.parametrize("host", ["localhost:8710", "[::1]:8710", "127.0.0.1:8710"])
def test_the_names_of_loopback_are_welcome(client: TestClient, host: str) -> None:
    assert client.get("/api/events", headers={"Host": host}).status_code == 200


def test_another_site_cannot_show_a_clip_but_may_link_to_the_page(client: TestClient, fall: str) -> None:
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get(f"/api/events/{fall}/clip.mp4", headers=embedded).status_code == 403
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200
    headers = client.get("/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert client.get("/api/events").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/api/events/../../fallwatch.db/clip.mp4",
        "/api/events/..%2f..%2ffallwatch.db/scores",
        "/api/events/%2e%2e/thumb.jpg",
        "/api/events/01ARZ3NDEKTSV4RRFFQ69G5FA%2f/clip.mp4",
        "/api/events/01arz3ndektsv4rrffq69g5fav/clip.mp4",
        "/api/events/01ARZ3NDEKTSV4RRFFQ69G5FAV%0a/scores",
        "/static/..%2fapp.py",
        "/static/../../journal.py",
    ],
)
def test_no_path_leads_out_of_an_event(client: TestClient, house: House, path: str) -> None:
    house.happens(("suspected", 0.0), wall=time.time())
    secret = house.folder / "scores.csv"
    save_scores(secret, fall_scores(0.0), 0.0)
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert list(answer.json()) == ["error"]


def test_an_unknown_event_gets_a_sentence(client: TestClient, house: House, fall: str) -> None:
    unknown = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert client.get(f"/api/events/{unknown}").json() == {"error": f"no event {unknown} in this unit's journal"}
    answer = client.post(f"/api/events/{unknown}/label", json={"label": "true"}, headers={"Origin": URL})
    assert answer.status_code == 404


def test_the_page_needs_nothing_from_outside() -> None:
    for path in STATIC.iterdir():
        addresses = set(re.findall(r"https?://[^\s'\"<>)]+", path.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


# Contrast, WCAG 2.2 AA: 4.5 for text, 3 for lines and areas that carry meaning

TEXT = [("ink", "bg"), ("ink", "card"), ("soft", "bg"), ("soft", "card"), ("accent", "bg"), ("accent", "card")]
TEXT += [(name, f"{name}-bg") for name in ("rings", "watching", "attended", "over")]
TEXT += [(name, ground) for name in ("rings", "watching", "attended", "over", "good") for ground in ("card", "bg")]
TEXT += [("on-accent", "accent"), ("good", "over-bg")]
TEXT += [(name, f"{ground}-bg") for name in ("ink", "soft") for ground in ("rings", "watching", "attended")]
GRAPHICS = [(label, "card") for label in LABELS] + [("edge", "card"), ("edge", "bg")]


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast(scheme: str) -> None:
    style = (STATIC / "style.css").read_text()
    light, dark = style.split("@media (prefers-color-scheme: dark)")[0], style.split("(prefers-color-scheme: dark)")[1]
    block = light if scheme == "light" else dark.split("\n}")[0]
    colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    low = [
        f"{a} on {b}: {_contrast(colour[a], colour[b]):.2f}" for a, b in TEXT if _contrast(colour[a], colour[b]) < 4.5
    ]
    low += [f"{a} on {b}" for a, b in GRAPHICS if _contrast(colour[a], colour[b]) < 3.0]
    assert low == []


# What is known of the unit


def test_the_unit_is_judged_by_its_last_word(house: House) -> None:
    boot = boot_id()
    journal = house.journal()
    assert words.unit_status([], boot, None, 0.0)["known"] == "nothing"
    journal.say("unit", 1000.0, 1.0, {"said": "started"})
    assert words.unit_status(journal.entries(), boot, None, 0.0) == {
        "known": "running",
        "last_wall": 1000.0,
        "faults": [],
    }
    assert words.unit_status(journal.entries(), "another boot", None, 0.0)["known"] == "rebooted"
    blind = Incident("A", "blind", "latched", 2.0, 1002.0, 2.0, 1002.0, detail={"cause": "frozen"})
    with journal.writing():
        journal.put_incident(blind, MODEL)
    (fault,) = words.unit_status(journal.entries(), boot, None, 0.0)["faults"]
    assert fault == {"title": "Camera cannot see", "words": "Fault: the picture is frozen", "wall": 1002.0}
    with journal.writing():
        journal.put_incident(replace(blind, stage="cleared", ended=True), MODEL)
    assert words.unit_status(journal.entries(), boot, None, 0.0)["faults"] == []
    journal.say("unit", 1010.0, 11.0, {"said": "stopped"})
    journal.say("label", 2000.0, 12.0, {"label": "true"}, "B")
    assert words.unit_status(journal.entries(), boot, None, 0.0) == {
        "known": "stopped",
        "last_wall": 1010.0,
        "faults": [],
    }
    journal.close()


def test_a_heartbeat_tells_a_watching_unit_from_a_silent_one(house: House) -> None:
    boot = boot_id()
    journal = house.journal()
    journal.say("unit", 1000.0, 1.0, {"said": "started"})
    beat(house.folder, {"state": "streaming", "fps": 10.0}, 1030.0)
    heard = last_beat(house.folder)
    fresh = words.unit_status(journal.entries(), boot, heard, 1100.0)
    assert (fresh["known"], fresh["state"], fresh["fps"], fresh["last_wall"]) == ("watching", "streaming", 10.0, 1030.0)
    assert words.unit_status(journal.entries(), boot, heard, 1121.0)["known"] == "silent"
    journal.say("unit", 1130.0, 11.0, {"said": "stopped"})
    assert words.unit_status(journal.entries(), boot, heard, 1131.0)["known"] == "stopped"
    (house.folder / "health.json").write_text("{torn")
    assert last_beat(house.folder) is None
    journal.close()


# Live, from a real process


@dataclass
class Page:
    """`fallwatch console` as a process."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        return self.process.wait(timeout=15)


def start_page(house: House) -> Page:
    port = free_port()
    config = house.folder.parent / "unit.toml"
    config.write_text(
        '[unit]\nsite = "rosehill"\nid = "unit-7"\nroom = "room-12"\n'
        f'[store]\nfolder = "{house.folder}"\n[console]\nport = {port}\n'
    )
    command = [sys.executable, "-m", "device.cli", "console", "--config", str(config)]
    log = house.folder.parent / "console.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=REPO, stdout=out, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/api/events").status_code == 200
        except httpx.TransportError:
            return False

    eventually(answers)
    return Page(process, url, log)


@pytest.fixture
def page(house: House) -> Iterator[Page]:
    page = start_page(house)
    yield page
    if page.process.poll() is None:
        page.stop(signal.SIGKILL)


def stream(url: str, headers: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Messages of the stream as they come: name, id (None without one), data."""
    with httpx.stream("GET", url, headers=headers, timeout=10.0) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                known = int(fields["id"]) if "id" in fields else None
                yield {"name": fields["event"], "id": known, "data": json.loads(fields["data"])}
                fields = {}


def next_of(messages: Iterator[dict[str, Any]], *names: str) -> dict[str, Any]:
    """The next message of one of these names; the stream's own alive messages keep this from waiting for ever."""
    deadline = time.monotonic() + 20
    for message in messages:
        if message["name"] in names:
            return message
        assert time.monotonic() < deadline, f"no {names} within 20 s"
    raise AssertionError(f"the stream ended without {names}")


def test_a_new_event_comes_live_and_a_tablet_that_slept_catches_up(house: House, page: Page) -> None:
    with closing(house.journal()) as journal:
        journal.say("unit", time.time(), 1.0, {"said": "started"})
    seq = httpx.get(f"{page.url}/api/events").json()["seq"]
    messages = stream(f"{page.url}/api/stream?after={seq}")
    eventually(lambda: (next_of(messages, "alive")["data"]["status"] or {}).get("known") == "running")
    fall = house.happens(("suspected", 0.0), wall=time.time())
    came = next_of(messages, "journal")
    assert came["data"]["event"]["incident_id"] == fall
    assert came["id"] == seq + 1 == came["data"]["seq"]

    house.answers(Receipt(fall, "human", "Anna", time.time(), "claim"))
    house.answers(Receipt(fall, "human", "Anna", time.time(), "arrive"))
    resumed = stream(f"{page.url}/api/stream?after={seq}", {"Last-Event-ID": str(came["id"])})
    assert [next_of(resumed, "journal")["id"] for _ in range(2)] == [seq + 2, seq + 3]

    house.is_recorded(fall, time.time())
    assert next_of(resumed, "changed")["id"] is None


def test_a_page_that_is_too_far_behind_or_ahead_reads_the_list_anew(house: House, page: Page) -> None:
    journal = house.journal()
    with journal.writing():
        for place in range(300):
            journal.append("unit", 1000.0 + place, 1.0, {"said": "started"})
    journal.close()
    behind = stream(f"{page.url}/api/stream?after=0")
    assert next_of(behind, "reset", "journal") == {"name": "reset", "id": 300, "data": {}}
    ahead = stream(f"{page.url}/api/stream", {"Last-Event-ID": "9999"})
    assert next_of(ahead, "reset", "journal") == {"name": "reset", "id": 300, "data": {}}


def test_a_page_before_the_first_journal_says_so_and_becomes_live(house: House, page: Page) -> None:
    found = httpx.get(f"{page.url}/api/events").json()
    assert (found["journal"], found["events"], found["seq"]) == (False, [], 0)
    assert not house.folder.exists()  # looking at a unit never makes one
    messages = stream(f"{page.url}/api/stream?after=0")
    assert "no journal there yet" in next_of(messages, "alive")["data"]["trouble"]
    fall = house.happens(("suspected", 0.0), wall=time.time())
    assert next_of(messages, "journal", "reset")["data"]["event"]["incident_id"] == fall


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_stopping_the_page_is_no_failure_even_with_a_stream_open(house: House, page: Page, by: signal.Signals) -> None:
    messages = stream(f"{page.url}/api/stream")
    next_of(messages, "alive")
    assert page.stop(by) == 0
    assert "Traceback" not in page.log.read_text()
    assert page.log.read_text().startswith(f"console: {page.url}/")


def test_a_port_that_is_taken_gets_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_for(tmp_path, taken.getsockname()[1])
        with pytest.raises(ConsoleError, match=r"cannot be opened \(Address already in use\); end the program"):
            serve(settings)


def test_without_the_extra_there_is_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "device.console.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fallwatch\[console\]'"):
        serve(settings_for(tmp_path, free_port()))
