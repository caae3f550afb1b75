"""Faults latch once, clear once; the pulse counts what was classified."""

from __future__ import annotations

from pathlib import Path

import pytest

from device import payloads
from device.health import Faults, Pulse, fault_rows, readings, status_line
from device.records import Scores
from device.settings import Unit
from tests.score_script import probabilities


def scores(t: float, ms: float) -> Scores:
    return Scores(t, t, 0, probabilities(upright=0.9), 0.0, 0.5, 0.2, False, 0.0, True, "m", ms)


def test_a_fault_is_said_once_while_it_lasts_and_once_when_it_is_over() -> None:
    faults = Faults(lambda wall: f"id-{wall:.0f}")
    (latched,) = faults.set("broker", True, 1.0, 101.0)
    assert faults.set("broker", True, 2.0, 102.0) == []
    assert fault_rows(faults.open()) == [
        {
            "cause": "broker",
            "kind": "unit",
            "text": "the broker cannot be reached",
            "since": "1970-01-01T00:01:41.000Z",
        }
    ]
    (cleared,) = faults.set("broker", False, 9.0, 109.0)
    assert (latched.id, latched.stage) == (cleared.id, "latched")
    assert (cleared.stage, cleared.ended) == ("cleared", True)
    assert faults.set("broker", False, 10.0, 110.0) == faults.open() == []


def test_two_causes_are_two_faults() -> None:
    faults = Faults()
    first, second = faults.set("broker", True, 1, 1) + faults.set("disk", True, 1, 1)
    assert first.id != second.id
    assert [incident.detail["cause"] for incident in faults.open()] == ["broker", "disk"]


def test_the_pulse_is_over_the_last_ten_seconds() -> None:
    pulse = Pulse()
    assert pulse.steps_per_s(0.0) == 0.0
    assert pulse.step_ms() is None
    for n in range(300):
        pulse.beat(scores(n / 10, 2.0 if n < 250 else 4.0))
    assert pulse.steps_per_s(29.9) == pytest.approx(10.0, rel=0.02)
    assert pulse.steps_per_s(34.9) == pytest.approx(5.0, rel=0.05)
    assert pulse.steps_per_s(60.0) == 0.0


def test_the_readings_keep_to_the_health_contract(tmp_path: Path) -> None:
    health = {**readings(tmp_path, [Pulse()], 5.0, 1.0), "state": "watching", "model": "m", "faults": ["broker"]}
    payload = payloads.health_payload(Unit(), health, waiting=0)
    payloads.validate("health", {**payload, "published_at": "2026-11-24T00:00:00.000Z"})
    assert health["uptime_s"] == 4.0
    assert "broker" in status_line(health)
