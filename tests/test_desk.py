"""A receiver that comes back, and the question whether the broker lets this unit in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from device.clock import SystemClock
from device.mqtt.desk import Desk
from device.mqtt.link import LinkError
from device.mqtt.reach import reach
from device.settings import Mqtt, Settings
from tests.conftest import eventually, free_port
from tests.mosquitto import Listener, Mosquitto


def test_a_desk_hears_json_and_text_and_hears_again_after_the_broker_was_away(tmp_path: Path) -> None:
    heard: list[tuple[str, Any]] = []
    with Mosquitto(tmp_path) as broker:
        settings = Mqtt(host="127.0.0.1", port=broker.port, protocol="3.1.1")
        with Desk(settings, "desk", "ward/#", lambda topic, payload: heard.append((topic, payload))) as desk:
            assert desk.ready.wait(10)
            with Listener(broker.port, name="unit") as unit:
                unit.say("ward/a", {"stage": "confirmed"})
                unit.say("ward/b", b"\xffno json")
                eventually(lambda: len(heard) == 2)
                broker.stop()
                desk.ready.clear()
                broker.start()
                assert desk.ready.wait(20)
                eventually(unit.connected)
                unit.say("ward/c", {"n": 3})
                eventually(lambda: len(heard) == 3)
    assert heard == [("ward/a", {"stage": "confirmed"}), ("ward/b", "\ufffdno json"), ("ward/c", {"n": 3})]


def test_a_broker_that_lets_the_unit_in_is_reached(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        reach(Settings(mqtt=Mqtt(host="127.0.0.1", port=broker.port)), SystemClock())


def test_a_broker_that_is_not_there_is_one_sentence() -> None:
    port = free_port()
    with pytest.raises(LinkError, match=f"127.0.0.1:{port}: the broker cannot be reached"):
        reach(Settings(mqtt=Mqtt(host="127.0.0.1", port=port)), SystemClock())


def test_a_broker_that_wants_a_name_says_so(tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("")
    with Mosquitto(tmp_path, f"password_file {tmp_path / 'passwords'}") as broker:
        settings = Settings(mqtt=Mqtt(host="127.0.0.1", port=broker.port))
        with pytest.raises(LinkError, match="refuses this unit") as refused:
            reach(settings, SystemClock())
        assert refused.value.refused
