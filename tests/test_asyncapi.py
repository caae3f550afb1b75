"""docs/asyncapi.yaml against AsyncAPI's own schema, and against what a courier really says and hears."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from device.clock import SystemClock
from device.feature import NAMES as FEATURES
from device.homeassistant import status_topic
from device.inbound import INBOUND
from device.mqtt import Courier
from device.payloads import FOLDER, SCHEMA
from device.settings import Settings
from tests.broker_script import CONNECT, PUBLISH, SUBSCRIBE, Line, Packet, ScriptedBroker, connack, packet
from tests.conftest import REPO, eventually
from tests.incident_samples import incident, open_outbox, put, unit_settings

DOCUMENT = REPO / "docs" / "asyncapi.yaml"
OFFICIAL = REPO / "tests" / "golden" / "asyncapi-3.0.0.json.gz"
"""schemas/3.0.0-without-$id.json of the npm package @asyncapi/specs 6.11.1 (Apache-2.0), without its white space."""
BRANCH = "fallwatch/home1/cam-r12"
AT = "2026-11-22T03:14:07.120Z"


@cache
def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return read


def official() -> Draft7Validator:
    return Draft7Validator(json.loads(gzip.decompress(OFFICIAL.read_bytes())))


def follow(node: Any) -> Any:
    """A node of the document, through its references."""
    while isinstance(node, dict) and "$ref" in node and node["$ref"].startswith("#/"):
        found: Any = document()
        for part in node["$ref"][2:].split("/"):
            found = found[part]
        node = found
    return node


def channel_of(topic: str) -> str:
    """The channel whose address this topic is one of."""
    found: list[str] = []
    for name, channel in document()["channels"].items():
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda part: f"(?P<{part[1]}>[^/]+)", re.escape(channel["address"]))
        match = re.fullmatch(pattern, topic)
        if match and all(word in parameter_words(channel, key) for key, word in match.groupdict().items()):
            found.append(name)
    assert len(found) == 1, f"{topic} belongs to {found or 'no channel'}"
    return found[0]


def parameter_words(channel: dict[str, Any], name: str) -> Any:
    """The words that a parameter may be, or anything where it has no enum."""

    class Anything:
        def __contains__(self, word: object) -> bool:
            return True

    return follow(channel["parameters"][name]).get("enum") or Anything()


def operation(channel: str, action: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        one
        for one in document()["operations"].values()
        if one["channel"]["$ref"] == f"#/channels/{channel}" and one["action"] == action
    ]
    assert len(found) == 1, f"{channel} has {len(found)} operations to {action}"
    return found[0]


def message(channel: str) -> dict[str, Any]:
    [one] = document()["channels"][channel]["messages"].values()
    found: dict[str, Any] = follow(one)
    return found


def payload_validator(said: dict[str, Any]) -> Draft202012Validator:
    payload = said["payload"]
    if "schemaFormat" not in payload:
        return Draft202012Validator(payload)
    path = (DOCUMENT.parent / payload["schema"]["$ref"]).resolve()
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def test_the_document_keeps_asyncapis_own_schema() -> None:
    errors = [f"{list(error.absolute_path)}: {error.message[:200]}" for error in official().iter_errors(document())]
    assert errors == []


def test_that_schema_can_say_no() -> None:
    broken = {**document(), "operations": {"x": {"action": "shout", "channel": {"$ref": "#/channels/health"}}}}
    assert list(official().iter_errors(broken))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere_and_every_schema_of_mqtt_is_in_the_document() -> None:
    named = set()
    for reference in references(document()):
        if reference.startswith("#/"):
            assert follow({"$ref": reference}) is not None
        else:
            path = (DOCUMENT.parent / reference).resolve()
            assert path.is_file(), reference
            named.add(path.name)
    elsewhere = {path.name for path in FOLDER.glob("*.json") if "Not on MQTT" in path.read_text(encoding="utf-8")}
    assert named == {path.name for path in FOLDER.glob("*.json")} - elsewhere


def test_the_examples_are_what_they_are_examples_of() -> None:
    seen = 0
    for name, said in document()["components"]["messages"].items():
        for example in said.get("examples", []):
            errors = list(payload_validator(said).iter_errors(example["payload"]))
            assert not errors, f"{name} {example['name']}: {errors[0].message}"
            seen += 1
    assert seen >= 4


def test_the_version_of_the_document_is_the_version_in_the_payloads() -> None:
    assert document()["info"]["version"].split(".")[0] == str(SCHEMA)


def test_what_a_unit_hears_is_what_the_document_says() -> None:
    heard = {f"{BRANCH}/alert/01A/{word}" for word in INBOUND} | {f"{BRANCH}/{feature}/set" for feature in FEATURES}
    channels = {channel_of(topic) for topic in heard | {status_topic(Settings())}}
    received = {
        one["channel"]["$ref"].rpartition("/")[2]
        for one in document()["operations"].values()
        if one["action"] == "receive"
    }
    assert channels == received
    features = follow({"$ref": "#/components/parameters/feature"})["enum"]
    assert features == list(FEATURES)


def said_by_a_courier(folder: Path, done: Callable[[list[Packet]], bool]) -> list[Packet]:
    """Every packet of a unit that has an alert, is answered twice, and is told that staff are there."""
    inbound: list[tuple[str, dict[str, Any]]] = []

    def script(line: Line) -> None:
        line.take(CONNECT)
        line.say(connack())
        alert = line.alert()
        line.answer(alert)
        place = f"{BRANCH}/alert/{alert.payload['alert_id']}"
        ack = {"action": "claim", "by": "Anna", "at": AT, "nonce": "abcd-1234"}
        inbound.append((f"{place}/receipt", {"by": "desk-1", "at": AT}))
        inbound.append((f"{place}/ack", ack))
        inbound.extend((f"{BRANCH}/{name}/set", {**ack, "state": "ON", "nonce": f"{name}-123456"}) for name in FEATURES)
        for number, (topic, body) in enumerate(inbound, 1):
            raw = topic.encode()
            line.say(
                packet(0x32, len(raw).to_bytes(2, "big") + raw + bytes([0, number, 0]) + json.dumps(body).encode())
            )
        line.serve()

    with ScriptedBroker(script) as broker:
        settings = unit_settings(folder, broker.port)
        announced = settings.homeassistant.model_copy(update={"enabled": True})
        courier = Courier(settings.model_copy(update={"homeassistant": announced}), folder, SystemClock())
        outbox = open_outbox(folder, courier.spill)
        courier.start()
        try:
            put(outbox, incident())
            courier.set_health({"state": "watching", "fps": 10.0})
            courier.wake()
            eventually(lambda: done([one for _, one in list(broker.heard)]))
        finally:
            assert courier.stop(5.0)
            outbox.journal.close()
        return [one for _, one in broker.heard]


def channels_said(packets: list[Packet]) -> set[str]:
    return {channel_of(one.topic) for one in packets if one.kind == PUBLISH}


def test_what_a_unit_says_is_what_the_document_says(tmp_path: Path) -> None:
    sent = {
        one["channel"]["$ref"].rpartition("/")[2]
        for one in document()["operations"].values()
        if one["action"] == "send"
    }
    packets = said_by_a_courier(tmp_path, lambda heard: channels_said(heard) >= sent)
    published = [one for one in packets if one.kind == PUBLISH]
    assert channels_said(packets) == sent
    for one in published:
        channel = channel_of(one.topic)
        bindings = follow(operation(channel, "send")["bindings"])["mqtt"]
        assert bool(one.raw[0] & 0x01) is bindings["retain"], one.topic
        assert one.raw[0] >> 1 & 0x03 == bindings["qos"], one.topic
        text = message(channel).get("contentType") == "text/plain"
        body = one.body.decode() if text else one.payload
        errors = list(payload_validator(message(channel)).iter_errors(body))
        assert not errors, f"{one.topic}: {errors[0].message}"
    filters = b"".join(one.raw for one in packets if one.kind == SUBSCRIBE).decode("latin-1")
    ways = (*(f"alert/+/{word}" for word in INBOUND), *(f"{feature}/set" for feature in FEATURES))
    for topic in (*(f"{BRANCH}/{way}" for way in ways), status_topic(Settings())):
        assert topic in filters, topic


@pytest.mark.parametrize("topic", ["alert/event/x", "alert", "ALERT/event", "snooze/state"])
def test_a_topic_that_is_not_in_the_document_is_found_out(topic: str) -> None:
    with pytest.raises(AssertionError, match="no channel"):
        channel_of(f"{BRANCH}/{topic}")
