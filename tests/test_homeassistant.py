"""Home Assistant finds the unit, keeps an open fall on, is told again when it starts, and is left when switched off.

Checked by hand on 2026-11-28 with Home Assistant's own code, in throw-away environments on Python 3.11:
- 2024.3.3, the last that installs there: the DISCOVERY_SCHEMA of binary_sensor, event and switch take every component.
- 2025.12.0, its newer syntax rewritten for 3.11 and modules not needed for this left out: its abbreviations,
  DEVICE_DISCOVERY_SCHEMA, _merge_common_device_options and DISCOVERY_SCHEMAs take the message; no option was unknown
  to any of them, every template compiled; availability and availability_topic together were refused.
- 2026.11.0: read, not run; it shares qos and encoding with components too, and allows child devices.
Not run against a live Home Assistant. Where one is importable, the last test of this file runs its code again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from device import alerts, payloads
from device.clock import SystemClock
from device.homeassistant import COVERED, discovery_message, discovery_topic, status_topic
from device.inbound import inbound
from device.mqtt import Courier, LinkState
from device.mqtt import announcement as announcement_module
from device.mqtt.courier import branch
from device.outbox import Outbox, active_alert
from device.payloads import active_payload, faults_payload, feature_payload
from device.settings import Settings
from tests.conftest import REPO, eventually
from tests.incident_samples import open_outbox, put
from tests.mosquitto import Listener, Mosquitto
from tests.ways_made import just_now, says

EXAMPLES = REPO / "docs" / "examples"
BRANCH = "fallwatch/home1/cam-r12"
TOPIC = "homeassistant/device/fallwatch_cam-r12/config"


def settings_of(folder: Path, port: int = 1, *, enabled: bool = True, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "unit": {"site": "home1", "id": "cam-r12", "room": "r12"},
            "mqtt": {"host": "127.0.0.1", "port": port},
            "store": {"folder": str(folder), "reserve_mb": 1},
            "homeassistant": {"enabled": enabled},
            **more,
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_of(tmp_path)


@pytest.fixture
def message(settings: Settings) -> dict[str, Any]:
    return json.loads(json.dumps(discovery_message(settings, branch(settings))))  # type: ignore[no-any-return]


def rendered(template: str, payload: Any, **more: Any) -> str:
    """As Home Assistant renders it: value_json is the payload where it is JSON."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["to_json"] = json.dumps
    names = {"value_json": payload, "value": payload, "utcnow": lambda: datetime.now(UTC), **more}
    return environment.from_string(template).render(**names)


class TestMessage:
    """One retained message, as Home Assistant's schemas and our own rules want it."""

    def test_it_keeps_its_schema_and_stands_where_home_assistant_looks(
        self, settings: Settings, message: dict[str, Any]
    ) -> None:
        payloads.validate("homeassistant", message)
        assert discovery_topic(settings) == TOPIC
        assert status_topic(settings) == "homeassistant/status"

    def test_each_component_is_whole_and_known_by_an_id_of_its_own(self, message: dict[str, Any]) -> None:
        components = message["cmps"]
        assert set(components) == {"fall", "event", "fault", "link", "tamper", "staff", "privacy"}
        assert [one["unique_id"] for one in components.values()] == [f"fallwatch_cam-r12_{name}" for name in components]
        assert {one["qos"] for one in components.values()} == {1}, "before 2026 qos at the root reached no component"

    def test_availability_is_a_list_everywhere_because_the_two_forms_exclude_each_other(
        self, message: dict[str, Any]
    ) -> None:
        for one in (message, *message["cmps"].values()):
            assert "availability_topic" not in one
        assert message["cmps"]["link"]["availability"] == [], "the link says offline, it is never unavailable"

    def test_an_alarm_never_goes_off_by_itself(self, message: dict[str, Any]) -> None:
        assert {"expire_after", "off_delay"} & set(message["cmps"]["fall"]) == set()

    def test_every_event_is_announced_because_others_are_dropped(self, message: dict[str, Any]) -> None:
        assert message["cmps"]["event"]["event_types"] == list(alerts.EVENT_TYPES)

    def test_the_causes_that_mean_a_covered_camera_are_causes(self) -> None:
        assert set(COVERED) <= set(alerts.CAUSES)

    def test_a_unit_with_several_rooms_has_switches_for_each(self, tmp_path: Path) -> None:
        cameras = [{"id": f"c{n}", "room": f"r{n}", "source": "x.mp4"} for n in (1, 2)]
        settings = settings_of(tmp_path, cameras=cameras)
        components = discovery_message(settings, BRANCH)["cmps"]
        payloads.validate("homeassistant", discovery_message(settings, BRANCH))
        assert {"staff_r1", "staff_r2", "privacy_r1", "privacy_r2"} <= set(components)
        assert components["staff_r1"]["command_topic"] == f"{BRANCH}/staff/set"
        wish = json.loads(rendered(components["staff_r2"]["command_template"], "ON"))
        assert wish["room"] == "r2"


class TestTemplates:
    """Rendered over the payloads that the unit really sends."""

    def test_the_fall_sensor_is_on_while_an_alert_is_open_and_available_without_the_unit(
        self, tmp_path: Path, message: dict[str, Any]
    ) -> None:
        fall = message["cmps"]["fall"]
        outbox = open_outbox(tmp_path)
        seen = []

        def look() -> None:
            alert, standing, count = active_alert(outbox)
            payload = active_payload(outbox.unit, alert, standing, count)
            seen.append(
                (
                    rendered(fall["value_template"], payload),
                    rendered(fall["availability"][1]["value_template"], payload),
                )
            )

        look()
        one = put(outbox, just_now())
        look()
        for action, nonce in (("claim", "nonce-0001"), ("arrive", "nonce-0002"), ("close", "nonce-0003")):
            says(outbox, one.id, action, nonce)
            look()
        outbox.journal.close()
        assert seen == [("OFF", "offline"), *[("ON", "online")] * 3, ("OFF", "offline")]
        assert fall["availability_mode"] == "any", "online, or an alert open"

    def test_faults_and_a_covered_camera_are_told_apart(self, settings: Settings, message: dict[str, Any]) -> None:
        def look(*causes: str) -> tuple[str, str]:
            payload = faults_payload(settings.unit, [{"cause": cause} for cause in causes])
            templates = [message["cmps"][name]["value_template"] for name in ("fault", "tamper")]
            return rendered(templates[0], payload), rendered(templates[1], payload)

        assert look() == ("OFF", "OFF")
        assert look("frozen", "disk") == ("ON", "OFF")
        assert look("disk", "black") == ("ON", "ON")

    @pytest.mark.parametrize("name", ["staff", "privacy"])
    def test_a_switch_asks_as_the_contract_wants_and_reads_what_the_unit_says(
        self, tmp_path: Path, message: dict[str, Any], name: Any
    ) -> None:
        switch = message["cmps"][name]
        outbox = open_outbox(tmp_path)
        state = feature_payload(outbox.unit, name, outbox.features(name))
        outbox.journal.close()
        assert rendered(switch["value_template"], state) == "OFF"
        wish = json.loads(rendered(switch["command_template"], "ON"))
        payloads.validate("feature-set", wish)
        assert (wish["state"], wish["room"], wish["by"]) == ("ON", "r12", "home-assistant")


@contextmanager
def running(settings: Settings) -> Iterator[tuple[Courier, Outbox]]:
    folder = settings.store.path()
    courier = Courier(settings, folder, SystemClock())
    outbox = open_outbox(folder, courier.spill)
    courier.start()
    try:
        eventually(lambda: courier.state is LinkState.CONNECTED)
        yield courier, outbox
    finally:
        assert courier.stop(5.0), "the courier did not stop"
        outbox.journal.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


class TestOnTheBroker:
    """Against a real Mosquitto."""

    def test_the_message_is_retained_and_the_topics_in_it_are_the_units_own(
        self, broker: Mosquitto, tmp_path: Path
    ) -> None:
        with running(settings_of(tmp_path / "unit", broker.port)) as (courier, outbox):
            courier.set_health({"state": "watching"})
            put(outbox, just_now())
            with Listener(broker.port, "#", name="late") as late:
                (said,) = eventually(lambda: late.on(TOPIC))
                eventually(lambda: late.on("staff/state") and late.on("fault/active"))
        assert (said.retain, said.qos) == (True, 1)
        payloads.validate("homeassistant", said.body)
        kept = {one.topic for one in late.heard if one.retain}
        wanted = {one["state_topic"] for name, one in said.body["cmps"].items() if name != "event"}
        wanted |= {one["topic"] for name in ("fall",) for one in said.body["cmps"][name]["availability"]}
        assert wanted <= kept
        commands = {one["command_topic"] for one in said.body["cmps"].values() if "command_topic" in one}
        assert commands <= set(courier._answers.topics), "the unit listens where the switches ask"
        assert said.body["cmps"]["event"]["state_topic"] == f"{BRANCH}/alert/event"

    def test_it_is_said_again_with_the_states_when_home_assistant_has_started(
        self, broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(announcement_module, "SPREAD_S", 0.1)
        monkeypatch.setattr(announcement_module, "STATES_S", 0.1)
        with Listener(broker.port, "#") as house, running(settings_of(tmp_path / "unit", broker.port)):
            eventually(lambda: len(house.on(TOPIC)) == 1)
            eventually(lambda: len(house.on(f"{BRANCH}/alert/active")) == 1)
            house.say("homeassistant/status", b"offline")
            house.say("homeassistant/status", b"online")
            eventually(lambda: len(house.on(TOPIC)) == 2)
            eventually(lambda: len(house.on(f"{BRANCH}/alert/active")) == 2)
            eventually(lambda: len(house.on(f"{BRANCH}/availability")) == 2)
            order = [one.topic for one in house.heard]
            again = order.index(TOPIC, order.index("homeassistant/status"))
            assert order.index(f"{BRANCH}/availability", again) > again, "states after the message"

    def test_switched_off_it_is_taken_back_and_never_switched_on_it_is_never_said(
        self, broker: Mosquitto, tmp_path: Path
    ) -> None:
        folder = tmp_path / "unit"
        with Listener(broker.port, "homeassistant/#", name="assistant") as assistant:
            with running(settings_of(folder, broker.port, enabled=False)):
                pass
            assert assistant.heard == [], "a broker that lets nobody write there refuses nothing"
            with running(settings_of(folder, broker.port)):
                eventually(lambda: assistant.on(TOPIC))
            with running(settings_of(folder, broker.port, enabled=False)):
                eventually(lambda: assistant.on(TOPIC)[-1].raw == b"")
                eventually(lambda: not (folder / announcement_module.FILE).exists())
            with running(settings_of(folder, broker.port, enabled=False)):
                pass
            assert len(assistant.on(TOPIC)) == 2
        with Listener(broker.port, "#", name="late") as late:
            eventually(lambda: late.on("availability"))
            assert late.on(TOPIC) == []

    def test_another_prefix_takes_the_old_message_away(self, broker: Mosquitto, tmp_path: Path) -> None:
        folder = tmp_path / "unit"
        with Listener(broker.port, "#", name="assistant") as assistant:
            with running(settings_of(folder, broker.port)):
                eventually(lambda: assistant.on(TOPIC))
            with running(settings_of(folder, broker.port, homeassistant={"enabled": True, "prefix": "ha/house"})):
                eventually(lambda: assistant.on("ha/house/device/fallwatch_cam-r12/config"))
                eventually(lambda: assistant.on(TOPIC)[-1].raw == b"")


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with Home Assistant's !input."""


_Loader.add_constructor("!input", lambda loader, node: f"input:{node.value}")


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings_in(one)


class TestExamples:
    """What docs/home-assistant.md and docs/node-red.md tell people to import."""

    @pytest.fixture
    def blueprint(self) -> Any:
        return yaml.load((EXAMPLES / "home-assistant" / "ring_a_phone.yaml").read_text(encoding="utf-8"), _Loader)

    @pytest.fixture
    def alert(self, tmp_path: Path) -> dict[str, Any]:
        outbox = open_outbox(tmp_path)
        put(outbox, just_now())
        (letter,) = outbox.pending()
        outbox.journal.close()
        return payloads.stamped(letter.payload, letter.seq, 1, letter.created)

    def test_the_blueprint_asks_for_what_it_uses_and_every_template_compiles(self, blueprint: Any) -> None:
        used = {text.removeprefix("input:") for text in strings_in(blueprint) if text.startswith("input:")}
        assert used == set(blueprint["blueprint"]["input"])
        environment = jinja2.Environment()
        environment.filters["to_json"] = json.dumps
        for text in strings_in(blueprint):
            environment.from_string(text)
        topic = blueprint["blueprint"]["input"]["alert_topic"]["default"]
        assert topic == f"{branch(Settings())}/alert/event".replace("home/unit-1", "+/+")

    def test_the_blueprint_rings_says_that_it_has_the_alert_and_claims_it(
        self, blueprint: Any, alert: dict[str, Any]
    ) -> None:
        rings, answers = (choice["sequence"] for choice in blueprint["actions"][0]["choose"])
        names = {"alert": alert, "branch": BRANCH}
        assert "choose" not in rings[1], "whatever is said, Home Assistant says that it has it"
        assert_counts(rings[1]["data"], names, alert)
        choose = rings[2]["choose"]
        assert rendered(choose[0]["conditions"], None, **names) == "True"
        assert rendered(choose[1]["conditions"], None, **names) == "False"
        (notify,) = choose[0]["sequence"]
        pressed = rendered(notify["data"]["data"]["actions"][0]["action"], None, **names)
        assert pressed.startswith("FALLWATCH|claim|")

        class Context:
            id = "01M8GA1JCV5HNXWC3NSHPCA9VP"

        said = assert_counts(
            answers[1]["data"], {"asked": pressed.split("|"), "carer": 'Ann "A" Lee', "context": Context}, alert
        )
        assert (said.action, said.by, said.alert_id) == ("claim", 'Ann "A" Lee', alert["alert_id"])
        over = {**alert, "state": "claimed", "ring": False}
        assert rendered(choose[1]["conditions"], None, alert=over) == "True"
        test = {**alert, "test": True, "ring": False}
        assert rendered(choose[0]["conditions"], None, alert=test) == "False", "a test rings nobody"

    @pytest.fixture
    def flow(self) -> dict[str, Any]:
        nodes = json.loads((EXAMPLES / "node-red" / "ring_and_claim.json").read_text(encoding="utf-8"))
        assert len({node["id"] for node in nodes}) == len(nodes)
        return {node["id"]: node for node in nodes}

    def test_the_flow_hangs_together(self, flow: dict[str, Any]) -> None:
        for node in flow.values():
            for wire in (one for port in node.get("wires", []) for one in port):
                assert wire in flow
            if "z" in node:
                assert flow[node["z"]]["type"] == "tab"
            if node["type"].startswith("mqtt "):
                assert flow[node["broker"]]["type"] == "mqtt-broker"
                assert node["qos"] == "1"
            if node["type"] == "function":
                assert len(node["wires"]) == node["outputs"]
        fed = {wire for node in flow.values() for port in node.get("wires", []) for wire in port}
        sources = {"tab", "mqtt-broker", "mqtt in", "inject"}
        assert fed == {name for name, node in flow.items() if node["type"] not in sources}
        assert "fw-receipt" in flow["fw-in"]["wires"][0], "a repeat is confirmed too, before it is dropped"
        session = flow["fw-broker"]
        assert (session["cleansession"], session["protocolVersion"]) == (False, "5"), "alerts wait while it restarts"

    def test_the_flow_answers_as_the_contract_wants(self, flow: dict[str, Any], alert: dict[str, Any]) -> None:
        if shutil.which("node") is None:
            pytest.skip("NODE ABSENT: the functions of the flow were not run (apt install nodejs)")
        functions = {name: flow[f"fw-{name}"]["func"] for name in ("once", "receipt", "keep", "claim")}
        script = (
            "const store = () => { const m = {}; return { get: k => m[k], set: (k, v) => { m[k] = v; } }; };\n"
            f"const src = {json.dumps(functions)}; const context = store(); const flow = store();\n"
            "const run = (n, msg) => new Function('msg', 'context', 'flow', src[n])(msg, context, flow);\n"
            f"const alert = () => ({{ topic: '{BRANCH}/alert/event', payload: {json.dumps(alert)} }});\n"
            "const first = run('once', alert()); const again = run('once', alert());\n"
            "const before = run('claim', {}); const receipt = run('receipt', alert()); run('keep', first);\n"
            "console.log(JSON.stringify({ again, before, receipt, claim: run('claim', {}), twice: run('claim', {}) }));"
        )
        told = json.loads(subprocess.run(["node", "-e", script], check=True, capture_output=True, text=True).stdout)
        assert (told["again"], told["before"]) == (None, None)
        for name, action in (("receipt", "received"), ("claim", "claim")):
            said = told[name]
            word = said["topic"].rsplit("/", 1)[1]
            receipt, _ = inbound(word, alert["alert_id"], json.dumps(said["payload"]).encode())
            assert receipt.action == action
            assert said["topic"] == f"{BRANCH}/alert/{alert['alert_id']}/{word}"
        assert told["claim"]["payload"]["nonce"] != told["twice"]["payload"]["nonce"]


def assert_counts(published: dict[str, Any], names: dict[str, Any], alert: dict[str, Any]) -> Any:
    """What an automation publishes reaches its alert and keeps its schema; returns it as the unit reads it."""
    topic = rendered(published["topic"], None, **names)
    word = topic.rsplit("/", 1)[1]
    assert topic == f"{BRANCH}/alert/{alert['alert_id']}/{word}"
    assert published["qos"] == 1
    receipt, _ = inbound(word, alert["alert_id"], rendered(published["payload"], None, **names).encode())
    return receipt


def test_home_assistants_own_code_accepts_the_message(message: dict[str, Any]) -> None:
    schemas = pytest.importorskip(
        "homeassistant.components.mqtt.schemas", reason="NO HOME ASSISTANT HERE: its own code was not asked"
    )
    if not hasattr(schemas, "DEVICE_DISCOVERY_SCHEMA"):
        pytest.skip("THIS HOME ASSISTANT KNOWS NO DEVICE DISCOVERY (before 2024.11): its code was not asked")
    from homeassistant.components.mqtt.discovery import MQTTDiscoveryPayload, _replace_all_abbreviations

    said = MQTTDiscoveryPayload(message)
    _replace_all_abbreviations(said)
    schemas.DEVICE_DISCOVERY_SCHEMA(said)
