"""What goes out keeps its contract; what comes in and breaks it is named in one sentence."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from device import alerts, payloads
from device.alert_life import Moment
from device.feature import Feature, Wish
from device.inbound import asked_for, inbound, wish
from device.payloads import NAMES, PayloadError, Standing, Verdict, validate
from device.records import Action, Kind, Priority
from device.settings import Settings
from tests.conftest import REPO
from tests.incident_samples import alert_of, incident, unit_settings
from tests.test_alerts import TOLD

ACK = {"action": "claim", "by": "Anna", "at": "2026-11-22T03:14:07.120Z", "nonce": "abcd-1234"}


@pytest.mark.parametrize("name", NAMES)
def test_schema_files_are_schemas_and_say_which(name: str) -> None:
    schema = json.loads((payloads.FOLDER / f"{name}.json").read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:fallwatch:{name}:1"
    assert all("description" in field for field in schema["properties"].values())


def test_schemas_and_code_list_the_same_words() -> None:
    event = payloads.validator("alert-event").schema["properties"]
    assert event["event_type"]["enum"] == list(alerts.EVENT_TYPES)
    assert event["kind"]["enum"] == list(get_args(Kind))
    assert event["priority"]["enum"] == list(get_args(Priority))
    ack = payloads.validator("ack").schema["properties"]
    assert ["received", *ack["action"]["enum"]] == list(get_args(Action))


@pytest.mark.parametrize(("kind", "stage"), TOLD)
def test_the_event_of_every_stage_keeps_its_schema(kind: Kind, stage: str, tmp_path: Any) -> None:
    one = incident(kind, stage, 90.0, detail={"cause": "frozen"})
    standing = Standing("new", "open", alerts.event_type(kind, stage), "m-1")
    payload = payloads.event_payload(unit_settings(tmp_path).unit, alert_of(one), standing, "boot")
    sent = payloads.stamped(payload, 7, 2, one.wall + 0.5)
    validate("alert-event", sent)
    assert sent["alert_id"] == one.id
    assert (sent["seq"], sent["attempt"], sent["mono_ms"]) == (7, 2, 1_090_000)
    assert sent["started_at"] < sent["detected_at"] < sent["published_at"]


def test_the_truth_is_clear_or_names_the_alert(tmp_path: Any) -> None:
    unit = unit_settings(tmp_path).unit
    clear = payloads.active_payload(unit, None, None, 0)
    standing = Standing("update", "claimed", "fall_confirmed", by="Anna")
    worst = payloads.active_payload(unit, alert_of(incident()), standing, 1)
    for payload in (clear, worst):
        validate("alert-active", {**payload, "published_at": "2026-11-22T03:14:07.120Z"})
    assert clear["state"] == "clear"
    assert worst["by"] == "Anna"
    del worst["alert_id"]
    with pytest.raises(PayloadError, match="alert_id is missing"):
        validate("alert-active", {**worst, "published_at": "2026-11-22T03:14:07.120Z"})


def test_health_and_faults_keep_their_schema(tmp_path: Any) -> None:
    unit = unit_settings(tmp_path).unit
    health = payloads.health_payload(unit, {"state": "watching", "fps": 10.1, "anything": [1]}, 3)
    validate("health", {**health, "published_at": "2026-11-22T03:14:07.120Z"})
    faults = payloads.faults_payload(unit, [{"cause": "frozen", "text": "the picture is frozen"}])
    validate("fault-active", {**faults, "published_at": "2026-11-22T03:14:07.120Z"})


def test_results_and_features_keep_their_schema(tmp_path: Any) -> None:
    unit = unit_settings(tmp_path).unit
    at = {"published_at": "2026-11-22T03:14:07.120Z"}
    asked = asked_for(json.dumps(ACK).encode())
    counted = payloads.result_payload(unit, {"alert_id": "01ABC"}, asked, Verdict(True, state="claimed"))
    repeated = payloads.result_payload(unit, {"alert_id": "01ABC"}, asked, Verdict(False, "before", True, "closed"))
    unread = payloads.result_payload(unit, {"feature": "staff"}, asked_for(b"\xff{"), Verdict(False, "x" * 900))
    for payload in (counted, repeated, unread):
        validate("result", {**payload, **at})
    assert (counted["counts"], counted["action"], counted["nonce"]) == (True, "claim", "abcd-1234")
    assert (repeated["counts"], repeated["repeated"], repeated["reason"]) == (True, True, "")
    assert (unread["action"], unread["nonce"]) == (None, None)
    on = Feature("staff", "r12", True, Moment(1_795_000_000.0, 1.0, "boot"), 600.0, "Anna")
    two = payloads.feature_payload(unit, "staff", [on, Feature("staff", "r13")])
    off = payloads.feature_payload(unit, "privacy", [Feature("privacy", "r12", by="Anna")])
    for payload in (two, off):
        validate("feature-state", {**payload, **at})
    assert (two["state"], two["until"], two["by"]) == ("ON", "2026-11-18T11:16:40.000Z", "Anna")
    assert (off["state"], off["until"], off["by"]) == ("OFF", None, "Anna")


WISH = {"state": "ON", "by": "Anna", "at": "2026-11-22T03:14:07.120Z", "nonce": "abcd-1234", "seconds": 60}


def test_a_wish_comes_in_as_json_or_as_a_plain_switch_sends_it() -> None:
    assert wish("staff", json.dumps(WISH).encode()) == Wish(
        "staff", True, "Anna", "", 60, wish("staff", json.dumps(WISH).encode()).at, "abcd-1234"
    )
    assert wish("privacy", b"OFF") == Wish("privacy", False, "a switch")
    for bad, sentence in (
        ({**WISH, "state": "MAYBE"}, "staff/set: state is 'MAYBE', expected one of ON, OFF"),
        ({**WISH, "seconds": 0}, "staff/set: seconds is 0, expected for how long"),
        ({**WISH, "room": "r 12"}, "staff/set: room is 'r 12', expected a room"),
        ({**WISH, "at": "0001-01-01T00:00:00Z"}, "staff/set: at is '0001-01-01T00:00:00Z', expected a time"),
    ):
        with pytest.raises(PayloadError, match=f"^{sentence}"):
            wish("staff", json.dumps(bad).encode())
    for raw in (b"on", b"ON ", b"1", b'"ON"'):
        with pytest.raises(PayloadError, match=r"^staff/set: "):
            wish("staff", raw)


def test_an_answer_comes_in_with_its_time_in_any_zone() -> None:
    body = {**ACK, "at": "2026-11-22T04:14:07.120+01:00", "outcome": "unhurt", "mood": "a field we do not know"}
    receipt, nonce = inbound("ack", "01ABC", json.dumps(body).encode())
    assert (receipt.alert_id, receipt.level, receipt.action, receipt.by, nonce) == (
        "01ABC",
        "human",
        "claim",
        "Anna",
        "abcd-1234",
    )
    assert receipt.outcome == "unhurt"
    assert receipt.at == inbound("ack", "01ABC", json.dumps(ACK).encode())[0].at
    desk, _ = inbound("receipt", "01ABC", b'{"by": "desk", "at": "2026-11-22T03:14:07Z", "seq": 7}')
    assert (desk.level, desk.seq) == ("consumer", 7)


BAD: list[tuple[Any, str]] = [
    ({**ACK, "action": "explode"}, "action is 'explode', expected one of claim, arrive, close, reject, reopen"),
    ({**ACK, "nonce": "short"}, "nonce is 'short', expected 8 to 64"),
    ({**ACK, "by": ""}, "by is '', expected who"),
    ({**ACK, "by": "Anna\n"}, "by is .*without control characters"),
    ({**ACK, "by": 7}, "by is 7"),
    ({**ACK, "at": "yesterday"}, "at is 'yesterday', expected an RFC 3339 time"),
    ({**ACK, "at": "1999-12-31T23:59:59Z"}, "at is '1999-12-31T23:59:59Z', expected a time"),
    ({**ACK, "at": "2026-13-45T99:00:00Z"}, "at is '2026-13-45T99:00:00Z', expected a time"),
    ({**ACK, "cause": "x" * 501}, "cause is"),
    ({**ACK, "schema": 2}, "schema is 2"),
    ({key: value for key, value in ACK.items() if key != "nonce"}, "nonce is missing"),
    ([], "the payload is"),
]


@pytest.mark.parametrize(("body", "sentence"), BAD)
def test_an_answer_out_of_contract_is_named(body: Any, sentence: str) -> None:
    with pytest.raises(PayloadError, match=f"^ack: {sentence}") as caught:
        inbound("ack", "01ABC", json.dumps(body).encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe", b"{", b"[" * 4000, b"NaN", b'{"by": "\\ud800"}', b"1" * 4097, b"9" * 4096]
)
def test_what_is_no_json_is_named(raw: bytes) -> None:
    with pytest.raises(PayloadError, match=r"^ack: "):
        inbound("ack", "01ABC", raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ACK, *WISH, "cause", "x"]), inner),
    max_leaves=8,
)


@given(raw=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_from_outside_raises_anything_but_a_payload_error(raw: bytes) -> None:
    for word in ("ack", "receipt"):
        try:
            receipt, _ = inbound(word, "01ABC", raw)
        except PayloadError:
            continue
        assert 1 <= len(receipt.by) <= 64
    with suppress(PayloadError):
        assert 1 <= len(wish("staff", raw).by) <= 64
    assert len(asked_for(raw).nonce or "") <= 64


def examples(text: str) -> list[dict[str, Any]]:
    """The JSON objects of the indented blocks of a page."""
    blocks = "\n".join(line if line.startswith("    ") else "" for line in text.splitlines()).split("\n\n")
    return [json.loads(block) for block in blocks if block.strip().startswith('{"schema"')]


SHOWN_BY = {
    "seq": "alert-event",
    "open": "alert-active",
    "outbox_waiting": "health",
    "faults": "fault-active",
    "counts": "result",
    "feature": "feature-state",
}
"""A field that only payloads of this schema have."""


def test_the_page_for_receivers_shows_what_the_schemas_allow_and_names_every_event_type() -> None:
    page = (REPO / "docs" / "mqtt.md").read_text(encoding="utf-8")
    shown = []
    for example in examples(page):
        name = next(schema for field, schema in SHOWN_BY.items() if field in example)
        validate(name, example)
        shown.append(name)
    assert sorted(shown) == ["alert-active", *sorted(SHOWN_BY.values())]
    assert [word for word in alerts.EVENT_TYPES if f"`{word}`" not in page] == []
    settings = page[page.index("    [unit]\n") : page.index("A wrong password")]
    Settings.model_validate(tomllib.loads(settings))
