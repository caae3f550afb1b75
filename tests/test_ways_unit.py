"""The ways out as parts of a unit: a broken one is a fault, `check` names it, `test-alert` goes through every one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from device import alerts
from device.card import shipped_bundle
from device.cli import main
from device.clock import SystemClock
from device.outbox import Outbox
from device.payloads import PayloadError, health_payload, validate
from device.settings import Settings
from device.spill import Spill
from device.store import StoreError
from device.unit import Unit
from device.ways import MAKERS, Ways, espa_line, worker
from device.ways.errand import look
from device.ways.names import NAMES, names_of
from tests.conftest import eventually
from tests.footage_made import moving_square, write_video
from tests.incident_samples import alert_of, put
from tests.test_disk_full import disk, fill
from tests.test_ways_pager import PagingSystem
from tests.ways_made import CLOCK, at_work, just_now, outbox_of, settings_with
from tests.web_receiver import Receiver

__all__ = ["disk"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "BACKOFF_S", (0.1, 0.2))
    monkeypatch.setattr(worker, "PATIENCE_S", 0.5)
    monkeypatch.setattr(espa_line, "REPLY_S", 0.4)
    monkeypatch.setattr(worker, "TURN_S", 0.1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def system() -> Iterator[PagingSystem]:
    with PagingSystem() as running:
        yield running


@pytest.fixture(autouse=True)
def board() -> Iterator[MockFactory]:
    factory, before = MockFactory(), Device.pin_factory
    Device.pin_factory = factory
    yield factory
    factory.reset()
    Device.pin_factory = before


def secret_in(folder: Path) -> str:
    path = folder / "secret"
    path.write_text("0123456789abcdef0123456789abcdef")
    return str(path)


def all_ways(folder: Path, receiver: Receiver, system: PagingSystem) -> dict[str, dict[str, Any]]:
    return {
        "webhook": {"url": receiver.url, "secret_file": secret_in(folder)},
        "relay": {"enabled": True},
        "pager": {"port": system.port, "call": "550", "poll_s": 0.5, "format": "8N1"},
    }


def file_of(folder: Path, sections: dict[str, dict[str, Any]]) -> Path:
    """The settings file of a unit without a broker."""
    whole: dict[str, dict[str, Any]] = {"store": {"folder": str(folder)}, "mqtt": {"enabled": False}, **sections}
    path = folder / "unit.toml"
    path.write_text(
        "\n".join(
            f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in section.items())
            for name, section in whole.items()
        )
    )
    return path


def test_every_way_has_its_section_its_cause_and_its_words(tmp_path: Path) -> None:
    assert tuple(MAKERS) == NAMES
    assert set(MAKERS) <= set(alerts.CAUSES)
    assert set(MAKERS) <= set(Settings.model_fields)
    assert names_of(Settings()) == []


def test_a_broken_way_is_a_latched_fault_of_the_unit_and_is_cleared(receiver: Receiver, tmp_path: Path) -> None:
    receiver.stop()
    settings = settings_with(tmp_path, webhook={"url": receiver.url, "secret_file": secret_in(tmp_path)})
    unit = Unit(settings, shipped_bundle(), SystemClock())
    unit.ways.start()

    def latched() -> set[str]:
        unit._look_after()
        return {str(fault.detail["cause"]) for fault in unit.faults.open()}

    eventually(lambda: "webhook" in latched())
    told = [one.payload["text"] for one in unit.outbox.pending()]
    assert any(text.endswith("the unit needs attention, its webhook reaches nobody") for text in told)
    receiver.start()
    eventually(lambda: "webhook" not in latched())
    assert unit.ways.stop()
    unit.journal.close()


def test_health_says_of_each_way_whether_it_works_what_waits_and_when_it_last_carried(
    receiver: Receiver, system: PagingSystem, tmp_path: Path
) -> None:
    settings = settings_with(tmp_path, **all_ways(tmp_path, receiver, system))

    def health(ways: Ways) -> dict[str, Any]:
        told = health_payload(settings.unit, {"state": "watching", "ways": ways.states()}, 0)
        validate("health", {**told, "published_at": "2026-11-22T03:14:07.120Z"})
        return dict(told["ways"])

    with outbox_of(settings) as outbox, at_work(settings) as ways:
        assert set(health(ways)) == set(NAMES)
        put(outbox, just_now())
        ways.wake()
        eventually(lambda: all(one["last_at"] and not one["waiting"] for one in health(ways).values()))
        assert {(one["works"], one["error"]) for one in health(ways).values()} == {(True, "")}
        receiver.stop()
        for _ in range(2):
            put(outbox, just_now())
        ways.wake()
        eventually(lambda: health(ways)["webhook"]["waiting"] == 2)
        eventually(lambda: health(ways)["webhook"]["error"])
        assert health(ways)["webhook"]["works"] is False
        assert health(ways)["relay"]["works"], "the others go on"


@pytest.mark.parametrize(
    "ways",
    [{"webhook": "broken"}, {"fax": {"works": True, "error": "", "waiting": 0, "last_at": None}}, {"relay": {}}],
)
def test_a_state_of_a_way_that_is_not_in_contract_is_refused(ways: dict[str, Any]) -> None:
    told = health_payload(Settings().unit, {"ways": ways}, 0)
    with pytest.raises(PayloadError):
        validate("health", {**told, "published_at": "2026-11-22T03:14:07.120Z"})


def test_an_alert_of_the_unit_wakes_its_ways(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "TURN_S", 3600.0)
    monkeypatch.setattr("device.ways.webhook.Webhook.turn_s", 3600.0)
    settings = settings_with(tmp_path, webhook={"url": receiver.url, "secret_file": secret_in(tmp_path)})
    unit = Unit(settings, shipped_bundle(), SystemClock())
    unit.ways.start()
    eventually(lambda: receiver.posted)
    unit._happened([just_now()])
    eventually(receiver.alerts, 5.0)
    assert unit.ways.stop()
    unit.journal.close()


def test_check_names_every_way_that_works_and_every_one_that_does_not(
    receiver: Receiver, system: PagingSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write_video(tmp_path / "room.mp4", moving_square(20), fps=10)
    ways = all_ways(tmp_path, receiver, system)
    config = file_of(tmp_path, {**ways, "homeassistant": {"enabled": True}})
    assert main(["check", "--config", str(config), "--source", str(video), "--json"]) == 1
    found = {line["what"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["webhook"]["ok"] is None
    assert "use https" in found["webhook"]["said"]
    assert (found["relay"]["ok"], found["pager"]["ok"]) == (True, True)
    assert (found["homeassistant"]["ok"], "mqtt.enabled" in found["homeassistant"]["said"]) == (False, True)
    assert receiver.posted[0].heartbeat


def test_check_asks_the_unit_about_a_way_that_it_has_at_work(
    receiver: Receiver, system: PagingSystem, tmp_path: Path
) -> None:
    settings = settings_with(tmp_path, **all_ways(tmp_path, receiver, system))
    with at_work(settings):
        eventually((tmp_path / worker.lock_name("pager")).exists)
        for name in MAKERS:
            eventually(lambda name=name: "running unit" in look(name, settings, tmp_path, CLOCK).said)  # type: ignore[misc]
        beat = {"wall": CLOCK.wall(), "ways": {"pager": {"works": False, "error": "the line is cut"}}}
        (tmp_path / "health.json").write_text(json.dumps(beat))
        assert look("pager", settings, tmp_path, CLOCK).said == "the line is cut"
        assert look("pager", settings, tmp_path, CLOCK).ok is False


def test_a_last_resort_that_could_never_carry_is_named(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, relay={"enabled": True, "when": "fallback"}, alerts={"consumer_receipts": False})
    found = look("relay", settings, tmp_path, CLOCK)
    assert found.ok is False
    assert "it would carry nothing" in found.said


def test_a_test_alert_goes_through_every_way_by_this_command(
    receiver: Receiver, system: PagingSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = file_of(tmp_path, all_ways(tmp_path, receiver, system))
    assert main(["test-alert", "--config", str(config), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["way"], one["delivered"], one["by"]) for one in told["ways"]] == [
        ("webhook", True, "self"),
        ("relay", True, "self"),
        ("pager", True, "self"),
    ]
    (posted,) = receiver.alerts()
    assert (posted["alert_id"], posted["test"]) == (told["alert_id"], True)
    assert system.calls[0]["2"].endswith("TEST, nobody needs help")
    assert system.calls[0]["6"] == "3", "normal, the lowest"


def test_a_test_alert_says_which_way_is_broken_and_by_whom_the_others_were_carried(
    receiver: Receiver, system: PagingSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system.dead = True
    sections = all_ways(tmp_path, receiver, system)
    config = file_of(tmp_path, sections)
    with at_work(settings_with(tmp_path, **sections)):
        eventually((tmp_path / worker.lock_name("pager")).exists)
        eventually(lambda: receiver.posted)
        assert main(["test-alert", "--config", str(config), "--deadline", "3"]) == 1
    said = capsys.readouterr()
    assert "webhook: carried after" in said.out
    assert "by the running unit" in said.out
    assert "pager: NOT carried:" in said.out
    assert "did not get out by pager" in said.err


def test_with_no_byte_free_every_alert_goes_out_by_every_way(
    disk: Path, receiver: Receiver, system: PagingSystem, tmp_path: Path
) -> None:
    sections = all_ways(tmp_path, receiver, system) | {"store": {"folder": str(disk / "state"), "reserve_mb": 1}}
    settings = settings_with(tmp_path, **sections)
    spill = Spill()
    with at_work(settings, spill) as ways, outbox_of(settings, spill) as outbox:
        assert outbox.settle(CLOCK.wall(), CLOCK.now())
        before = put(outbox, just_now())
        ways.wake()
        eventually(lambda: len(receiver.alerts()) == 1)
        junk = fill(disk)
        later = [just_now() for _ in range(60)]
        refused = _put_all(outbox, later)
        while not any(refused):  # the reserve and what SQLite had free take some first
            more = [just_now() for _ in range(60)]
            later += more
            refused = _put_all(outbox, more)
        ways.wake()
        everything = [before.id, *(one.id for one in later)]
        eventually(lambda: len(receiver.alerts()) >= len(everything), 60.0)
        assert list(dict.fromkeys(body["alert_id"] for body in receiver.alerts())) == everything
        junk.unlink()
        eventually(lambda: outbox.settle(CLOCK.wall(), CLOCK.now()))
        last = put(outbox, just_now())
        ways.wake()
        eventually(lambda: receiver.alerts()[-1]["alert_id"] == last.id)
        seqs = [body["seq"] for body in receiver.alerts()]
        assert len(set(seqs)) == len(everything) + 1, "a repeat has the number that it had"


def _put_all(outbox: Outbox, incidents: list[Any]) -> list[StoreError | None]:
    return [outbox.put(one, alert_of(one), "m") for one in incidents]
