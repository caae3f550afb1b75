"""The relay on gpiozero's mock pins: on while nobody has claimed what rings, off on a claim."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from device.alert_life import Life, Moment
from device.alerts import RINGING
from device.clock import ReplayClock
from device.records import Priority
from device.ways import worker
from device.ways.relay import BEATS, CHIRP_S, REST_TURN_S, Relay, beats
from device.ways.way import Item, WayError
from tests.conftest import eventually
from tests.incident_samples import alert_of, incident, put
from tests.ways_made import a_test, at_work, just_now, outbox_of, says, settings_with

PIN, FEEDBACK = 17, 27


@pytest.fixture
def board() -> Iterator[MockFactory]:
    """A board whose pins are seen and set by the test."""
    factory, before = MockFactory(), Device.pin_factory
    Device.pin_factory = factory
    yield factory
    factory.reset()
    Device.pin_factory = before


def life(priority: Priority = "alarm", **changes: Any) -> Life:
    alert = replace(alert_of(incident()), priority=priority)
    now = Moment(0.0, 0.0, "boot")
    return replace(Life(alert, "open", now, rang=now), **changes)


def relay(clock: ReplayClock, folder: Path, **relay: Any) -> Relay:
    return Relay(settings_with(folder, relay={"enabled": True, "pin": PIN, **relay}), clock)


def at(way: Relay, clock: ReplayClock, t: float, lives: Sequence[Life]) -> None:
    clock.t = t
    way.turn(lives, t)


def high(board: MockFactory) -> bool:
    return bool(board.pin(PIN).state)


def test_it_is_on_until_somebody_claims(board: MockFactory, tmp_path: Path) -> None:
    clock = ReplayClock()
    way = relay(clock, tmp_path, pulses=False)
    at(way, clock, 0.0, [])
    assert not high(board)
    at(way, clock, 1.0, [life()])
    assert high(board)
    at(way, clock, 500.0, [life()])
    assert high(board), "it never falls silent by itself"
    at(way, clock, 501.0, [life(state="claimed")])
    assert not high(board)
    at(way, clock, 502.0, [life(state="claimed"), life()])
    assert high(board), "a second person down"
    at(way, clock, 503.0, [life(silenced=True), life("fault")])
    assert not high(board), "staff are there, and a fault is the technician's"
    way.close()


def test_as_a_last_resort_it_waits_until_no_receiver_has_the_alert(board: MockFactory, tmp_path: Path) -> None:
    clock = ReplayClock()
    way = relay(clock, tmp_path, pulses=False, when="fallback")
    at(way, clock, 0.0, [life()])
    assert not high(board)
    at(way, clock, 30.0, [life(helpless=True)])
    assert high(board)
    at(way, clock, 40.0, [life(heard=True)])
    assert not high(board)
    way.close()


@pytest.mark.parametrize("active_low", [False, True])
def test_failsafe_is_on_while_all_is_well_and_drops_for_an_alert_and_with_the_unit(
    board: MockFactory, tmp_path: Path, active_low: bool
) -> None:
    clock = ReplayClock()
    way = relay(clock, tmp_path, pulses=False, failsafe=True, active_low=active_low)
    at(way, clock, 0.0, [])
    assert high(board) is not active_low
    at(way, clock, 1.0, [life()])
    assert high(board) is active_low
    at(way, clock, 2.0, [])
    way.close()
    assert board.pin(PIN).function == "input", "let go, so that the relay drops: what is no longer watched rings"


@pytest.mark.parametrize("priority", RINGING)
def test_each_priority_has_its_beat_and_none_is_silent_for_ten_seconds(priority: Priority) -> None:
    on = [t / 10 for t in range(600) if beats(priority, t / 10)]
    assert on[0] == 0.0, "it sounds at once"
    assert max(b - a for a, b in pairwise(on)) < 10.0
    assert any(not beats(priority, t / 10) for t in range(600)), "a beat, not a tone"


def test_the_more_urgent_the_faster() -> None:
    assert set(BEATS) == set(RINGING)
    gaps = [BEATS[priority][1] for priority in RINGING]
    assert gaps == sorted(gaps, reverse=True)
    assert len(set(gaps)) == 3


def test_it_beats_and_is_looked_at_often_enough_to_beat(board: MockFactory, tmp_path: Path) -> None:
    clock = ReplayClock()
    way = relay(clock, tmp_path)
    at(way, clock, 0.0, [])
    assert way.turn_s == REST_TURN_S
    seen = []
    for tick in range(40):
        at(way, clock, 100.0 + tick * 0.1, [life("urgent")])
        assert way.turn_s <= min(BEATS["urgent"]) / 2
        seen.append(high(board))
    assert seen == [tick % 10 < 5 for tick in range(40)]
    at(way, clock, 104.0, [])
    assert not high(board)
    way.close()


def test_a_test_chirps_once_and_is_no_alert(board: MockFactory, tmp_path: Path) -> None:
    clock = ReplayClock()
    way = relay(clock, tmp_path)
    assert way.wants({"test": True}, False)
    assert not way.wants({"test": False}, False)
    way.send(Item(1, "A", {"test": True}, 0.0), 1, 0.0)
    assert high(board)
    at(way, clock, CHIRP_S - 0.1, [])
    assert high(board)
    at(way, clock, CHIRP_S + 0.1, [])
    assert not high(board)
    way.close()


def test_a_contact_that_does_not_follow_is_said_and_the_relay_goes_on_being_driven(
    board: MockFactory, tmp_path: Path
) -> None:
    clock = ReplayClock()
    way = relay(clock, tmp_path, pulses=False, feedback_pin=FEEDBACK)
    contact = board.pin(FEEDBACK)
    at(way, clock, 0.0, [])
    at(way, clock, 1.0, [])
    at(way, clock, 2.0, [life()])  # the contact bounces; it has not been looked at yet
    with pytest.raises(WayError, match="contact is open while the relay is on; check the relay") as broken:
        at(way, clock, 3.0, [life()])
    assert broken.value.retry_s is not None
    assert broken.value.retry_s <= REST_TURN_S, "and the next beat is not missed"
    assert high(board)
    contact.drive_low()
    at(way, clock, 4.0, [life()])
    at(way, clock, 5.0, [])
    with pytest.raises(WayError, match="contact is closed while the relay is off"):
        at(way, clock, 6.0, [])
    assert not high(board)
    way.close()


def test_a_missing_library_is_one_sentence_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("gpiozero"):
            raise ModuleNotFoundError("No module named 'gpiozero'", name="gpiozero")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(WayError, match=r"gpiozero is not installed; run: pip install 'fallwatch\[relay\]'") as missing:
        relay(ReplayClock(), tmp_path).turn([], 0.0)
    assert missing.value.refused


def test_a_pin_that_is_taken_and_a_machine_without_pins_are_named(
    board: MockFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = relay(ReplayClock(), tmp_path), relay(ReplayClock(), tmp_path)
    first.turn([], 0.0)
    with pytest.raises(WayError, match=r"relay.pin 17: cannot be opened .*is it in use\?"):
        second.turn([], 0.0)
    first.close()
    second.turn([], 0.0)
    second.close()
    Device.pin_factory = None
    for name in ("lgpio", "RPi", "RPi.GPIO", "pigpio"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio")
    with pytest.raises(WayError, match=r"relay"):
        relay(ReplayClock(), tmp_path).turn([], 0.0)


def test_a_relay_that_dies_under_way_is_opened_again(board: MockFactory, tmp_path: Path) -> None:
    clock = ReplayClock()
    opened = 0

    class Dying:
        def __init__(self) -> None:
            nonlocal opened
            opened += 1
            self.first = opened == 1

        def drive(self, on: bool) -> None:
            if self.first and on:
                raise RuntimeError("GPIO busy")

        def follows(self) -> bool | None:
            return None

        def close(self) -> None:
            pass

    way = Relay(settings_with(tmp_path, relay={"enabled": True}), clock, lambda settings: Dying())
    at(way, clock, 0.0, [])
    with pytest.raises(WayError, match=r"cannot be driven \(GPIO busy\)"):
        at(way, clock, 1.0, [life()])
    at(way, clock, 1.1, [life()])
    assert opened == 2


def test_from_the_outbox_to_the_pin_and_back_to_rest(
    board: MockFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "TURN_S", 0.1)
    settings = settings_with(tmp_path, relay={"enabled": True, "pin": PIN, "pulses": False})
    with at_work(settings) as ways, outbox_of(settings) as outbox:
        fall = put(outbox, just_now())
        ways.wake()
        eventually(lambda: high(board))
        says(outbox, fall.id, "claim")
        eventually(lambda: not high(board))
        put(outbox, a_test())
        ways.wake()
        eventually(lambda: outbox.journal.entries()[-1]["what"] == "way")
        assert ways.faults() == {"relay": ""}
