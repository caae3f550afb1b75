"""What people and desks say over a real Mosquitto: what counts, what does not and why, and who is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from device.clock import SystemClock, rfc3339
from device.journal import Journal
from device.mqtt import Courier, LinkState
from device.mqtt import answers as answers_module
from device.mqtt.answers import may_answer_to
from device.outbox import Outbox
from device.payloads import validate
from device.settings import Settings
from tests.conftest import eventually
from tests.incident_samples import incident, put, unit_settings
from tests.mosquitto import Listener, Mosquitto

BRANCH = "fallwatch/home1/cam-r12"
CLOCK = SystemClock()
LONG_S = 60.0
"""Patience of these tests; a loaded machine takes its time for a disk sync."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@contextmanager
def running(folder: Path, port: int, **alerts: Any) -> Iterator[tuple[Courier, Outbox]]:
    """A courier at work and the outbox of the thread that sees; connected."""
    table = unit_settings(folder, port).model_dump(mode="json", exclude={"camera", "cameras"})
    table["alerts"] |= alerts
    settings = Settings.model_validate(table)
    courier = Courier(settings, folder, CLOCK)
    outbox = Outbox(Journal(folder, room="r12"), settings, courier.spill)
    courier.start()
    try:
        eventually(lambda: courier.state is LinkState.CONNECTED, LONG_S)
        yield courier, outbox
    finally:
        courier.stop(20.0)
        outbox.journal.close()


def ack(action: str, nonce: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "by": "Anna", "at": rfc3339(CLOCK.wall()), "nonce": nonce, **more}


def results(listener: Listener, topic: str, count: int) -> list[dict[str, Any]]:
    """The first `count` results on a topic, each held against its schema."""
    eventually(lambda: len(listener.on(topic)) >= count, LONG_S)
    found = [one.body for one in listener.on(topic)]
    for one in found:
        validate("result", one)
    assert not any(one.retain for one in listener.on(topic))
    return found


def state(listener: Listener, feature: str) -> dict[str, Any]:
    heard = listener.on(f"{feature}/state")
    if not heard:
        return {}
    validate("feature-state", heard[-1].body)
    return dict(heard[-1].body)


def test_every_answer_is_told_what_became_of_it(broker: Mosquitto, tmp_path: Path) -> None:
    with Listener(broker.port) as nurse, running(tmp_path / "unit", broker.port) as (courier, outbox):
        fall = put(outbox, incident())
        courier.wake()
        topic = f"{BRANCH}/alert/{fall.id}/ack"
        nurse.say(topic, ack("claim", "nonce-0001"), ack("claim", "nonce-0001"))
        nurse.say(topic, ack("close", "nonce-0002", cause="slipped", outcome="unhurt"), ack("arrive", "nonce-0003"))
        nurse.say(topic, ack("explode", "nonce-0004"), ack("reopen", "nonce-0005"))
        nurse.say(f"{BRANCH}/alert/01UNKNOWN/ack", ack("claim", "nonce-0006"))
        said = results(nurse, f"alert/{fall.id}/result", 6)
        told = [(one["nonce"][-1], one["counts"], one["repeated"], one["state"]) for one in said]
        assert told == [
            ("1", True, False, "claimed"),
            ("1", True, True, "claimed"),
            ("2", True, False, "closed"),
            ("3", False, False, "closed"),
            ("4", False, False, ""),
            ("5", True, False, "open"),
        ]
        assert said[3]["reason"] == "arrive comes too late, the alert is closed"
        assert "action is 'explode'" in said[4]["reason"]
        assert "no alert with this id" in results(nurse, "01UNKNOWN/result", 1)[0]["reason"]
        eventually(lambda: nurse.on("alert/active")[-1].body["state"] == "open", LONG_S)
        closed = next(one.body for one in nurse.on("alert/event") if one.body["event_type"] == "closed")
        assert (closed["cause"], closed["outcome"]) == ("slipped", "unhurt")
        assert [one.action for one in courier.inbox] == ["claim", "close", "reopen"]


def test_who_asks_on_a_topic_of_its_own_is_answered_there_and_only_where_that_harms_nobody(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with Listener(broker.port, "#") as nurse, running(tmp_path / "unit", broker.port) as (courier, outbox):
        fall = put(outbox, incident())
        courier.wake()
        topic = f"{BRANCH}/alert/{fall.id}/ack"
        nurse.ask(topic, ack("claim", "nonce-0001"), "ward/desk-1/answers", b"\x00\x07")
        nurse.ask(topic, ack("claim", "nonce-0002"), f"{BRANCH}/alert/active", b"x")
        nurse.ask(topic, ack("arrive", "nonce-0003"), f"{BRANCH}/response/desk-1", b"y")
        (answer,) = results(nurse, "ward/desk-1/answers", 1)
        assert (answer["nonce"], nurse.on("ward/desk-1/answers")[0].correlation) == ("nonce-0001", b"\x00\x07")
        assert results(nurse, "response/desk-1", 1)[0]["state"] == "arrived"
        assert [one.correlation for one in nurse.on("/result")] == [b"\x00\x07", b"x", b"y"]
        assert not any("counts" in one.body for one in nurse.on("alert/active"))


@pytest.mark.parametrize(
    ("topic", "may"),
    [
        ("ward/desk", True),
        (f"{BRANCH}/response/desk", True),
        (f"{BRANCH}/availability", False),
        ("fallwatch/home1/cam-r13/response/desk", False),
        ("$SYS/broker", False),
        ("ward/+/desk", False),
        ("ward/#", False),
        ("ward/\x00", False),
        ("w" * 257, False),
    ],
)
def test_nobody_makes_a_unit_speak_where_it_means_something_else(topic: str, may: bool) -> None:
    assert may_answer_to(topic, BRANCH) is may


def test_staff_come_and_go(broker: Mosquitto, tmp_path: Path) -> None:
    with Listener(broker.port) as nurse, running(tmp_path / "unit", broker.port) as (courier, outbox):
        eventually(lambda: state(nurse, "staff").get("state") == "OFF", LONG_S)
        wish = {"state": "ON", "by": "Anna", "at": rfc3339(CLOCK.wall()), "nonce": "nonce-0001", "seconds": 600}
        nurse.say(f"{BRANCH}/staff/set", wish, wish)
        eventually(lambda: state(nurse, "staff").get("state") == "ON", LONG_S)
        assert [(one["counts"], one["repeated"]) for one in results(nurse, "staff/result", 2)] == [
            (True, False),
            (True, True),
        ]
        fall = incident(wall=CLOCK.wall(), t=CLOCK.now())
        put(outbox, fall)
        courier.wake()
        eventually(lambda: nurse.on("alert/event"), LONG_S)
        assert (nurse.on("alert/event")[0].body["hushed"], nurse.on("alert/event")[0].body["priority"]) == (
            True,
            "silent",
        )
        eventually(lambda: state(nurse, "staff")["rooms"][0]["hushed"] == fall.id, LONG_S)
        nurse.say(f"{BRANCH}/staff/set", b"OFF")
        eventually(lambda: state(nurse, "staff")["state"] == "OFF", LONG_S)
        assert [life.id for life in outbox.lives.open() if not life.calls] == [fall.id], "it rings at the next look"
        outbox.tick(CLOCK.wall(), CLOCK.now())
        courier.wake()
        eventually(lambda: nurse.on("alert/event")[-1].body["event_type"] == "rearmed", LONG_S)
        with Listener(broker.port, name="late") as late:
            eventually(lambda: state(late, "staff").get("state") == "OFF", LONG_S)
            assert late.on("staff/state")[0].retain


def test_a_switch_that_may_have_lain_in_the_broker_hushes_nothing(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "unit"
    with Listener(broker.port) as nurse:
        with running(folder, broker.port):
            pass
        nurse.say(f"{BRANCH}/staff/set", b"ON")
        with running(folder, broker.port):
            assert "may have waited in the broker" in results(nurse, "staff/result", 1)[0]["reason"]
            monkeypatch.setattr(answers_module, "FRESH_S", 0.0)
            nurse.say(f"{BRANCH}/staff/set", b"ON")
            eventually(lambda: state(nurse, "staff").get("state") == "ON", LONG_S)
            nurse.say(f"{BRANCH}/staff/set", b"OFF")
            eventually(lambda: state(nurse, "staff").get("state") == "OFF", LONG_S)
            nurse.retain(f"{BRANCH}/privacy/set", b"ON")
            eventually(lambda: state(nurse, "privacy").get("state") == "ON", LONG_S)
            nurse.say(f"{BRANCH}/privacy/set", b"OFF")
            eventually(lambda: state(nurse, "privacy").get("state") == "OFF", LONG_S)
        with running(folder, broker.port):
            eventually(lambda: any("retained" in one["reason"] for one in results(nurse, "privacy/result", 3)), LONG_S)
            assert state(nurse, "privacy")["state"] == "OFF"


def test_without_a_desks_word_a_ringing_message_goes_out_again_and_the_health_shows_each_receipt_apart(
    broker: Mosquitto, tmp_path: Path
) -> None:
    folder = tmp_path / "unit"
    with (
        Listener(broker.port) as nurse,
        running(folder, broker.port, consumer_s=0.5, fallback_s=3600.0) as (courier, outbox),
    ):
        fall = put(outbox, incident())
        courier.wake()
        eventually(lambda: len(nurse.on("alert/event")) >= 3, LONG_S)
        said = [one.body for one in nurse.on("alert/event")]
        assert {(one["alert_id"], one["seq"]) for one in said} == {(fall.id, 1)}
        assert [one["attempt"] for one in said][:3] == [1, 2, 3]
        courier.set_health({"state": "watching"})
        health = eventually(lambda: [one.body for one in nurse.on("/health")], LONG_S)[-1]
        validate("health", health)
        waits = {level: one["waiting"] for level, one in health["receipts"].items()}
        assert waits == {"broker": 0, "consumer": 1, "human": 1}
        assert health["receipts"]["broker"]["last_at"] is not None
        nurse.say(f"{BRANCH}/alert/{fall.id}/receipt", {"by": "desk", "at": rfc3339(CLOCK.wall()), "seq": 1})
        eventually(lambda: outbox.unheard_count() == 0, LONG_S)
        courier.set_health({"state": "blind"})
        eventually(lambda: nurse.on("/health")[-1].body["receipts"]["consumer"]["waiting"] == 0, LONG_S)
        assert nurse.on("/health")[-1].body["receipts"]["consumer"]["last_at"] is not None


def test_where_a_desks_receipt_counts_the_message_stays_in_the_outbox_until_then(
    broker: Mosquitto, tmp_path: Path
) -> None:
    with (
        Listener(broker.port) as nurse,
        running(tmp_path / "unit", broker.port, receipt="consumer") as (courier, outbox),
    ):
        outbox.settings.alerts.__dict__["receipt"] = "consumer"
        fall = put(outbox, incident("fall", "suspected", 0.0))
        courier.wake()
        eventually(lambda: nurse.on("alert/event"), LONG_S)
        eventually(lambda: outbox.unsent_count() == 0 and outbox.unheard_count() == 1, LONG_S)
        nurse.say(f"{BRANCH}/alert/{fall.id}/receipt", {"by": "desk", "at": rfc3339(CLOCK.wall())})
        eventually(lambda: outbox.unheard_count() == 0, LONG_S)
