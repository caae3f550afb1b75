"""The failure suite finds nothing wrong with this unit, and would find it if there were."""

from __future__ import annotations

import json
import pickle
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device import cli
from device.alert_life import Moment
from device.chaos import links, power, webhooks
from device.chaos.bench import Bench, Lives, NotDoneError, Outcome, loopback
from device.chaos.brokers import recording
from device.chaos.disk import FULL, OK, Disk
from device.chaos.reckoning import disk_faults, reckon
from device.chaos.scripted_broker import CONNECT, PUBLISH, Line, connack, puback
from device.chaos.site import site_broker
from device.chaos.suite import SCENARIOS
from device.clock import SystemClock
from device.journal import boot_id
from device.mqtt import window as window_module
from device.outbox import Outbox
from device.salvage import open_journal
from device.settings import Settings
from device.store import FILE
from tests.conftest import eventually
from tests.incident_samples import incident, open_outbox, put, unit_settings
from tests.test_site_broker import member, new_site, open_broker


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    place = tmp_path / "bench"
    place.mkdir()
    return Bench(Settings(), place, seed=1, kills=1, quick=True)


def sent(folder: Path, falls: int) -> list[dict[str, Any]]:
    """A store in which that many falls are told and confirmed, and what arrived of them."""
    with recording() as broker:
        lives = Lives(unit_settings(folder, broker.mqtt.port), folder)
        lives.settings = lives.settings.model_copy(
            update={"alerts": lives.settings.alerts.model_copy(update={"consumer_receipts": False})}
        )
        outcome = Outcome()
        lives.finish(outcome, 1, *["fall"] * falls)
        assert outcome.passed, outcome.faults
        return broker.received


def test_nothing_is_lost_repeated_or_silent_whatever_is_done_to_the_unit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = tmp_path / "unit.toml"
    state = tmp_path / "the unit's own state"
    config.write_text(f'[store]\nfolder = "{state}"\n[mqtt]\nhost = "127.0.0.1"\nport = 1\n')
    code = cli.main(["chaos", "--quick", "--seed", "5", "--json", "--config", str(config)])
    report = json.loads(capsys.readouterr().out)
    assert code == 0, [one for one in report["scenarios"] if one["result"] == "FAILED"]
    assert report["passed"]
    assert [one["scenario"] for one in report["scenarios"]] == list(SCENARIOS)
    for name in ("lost", "repeated_alarms", "out_of_order", "silent", "torn", "stuck"):
        assert report["totals"][name] == 0
    for name in ("kills", "power cuts", "refusals", "messages"):
        assert report["totals"][name] > 0, f"no {name}: it tested nothing"
    by_name = {one["scenario"]: one for one in report["scenarios"]}
    assert "cannot be reached" in by_name["the site's own broker"]["not_done"]
    assert by_name["damaged database"]["counts"]["set aside"] > 0
    assert not state.exists(), "the unit's own store is never touched"


def test_a_scenario_that_does_not_exist_is_named_together_with_those_that_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["chaos", "--only", "meteorite"]) == 2
    assert "damaged database" in capsys.readouterr().err


def test_a_message_that_never_arrived_is_counted_as_lost(tmp_path: Path) -> None:
    received = sent(tmp_path, 3)
    assert reckon(tmp_path, received).counts() == {
        "messages": 3, "received": 3, "repeats": 0, "lost": 0, "repeated_alarms": 0, "out_of_order": 0,
        "silent": 0, "torn": 0,
    }  # fmt: skip
    assert reckon(tmp_path, received[1:]).lost == 1
    assert reckon(tmp_path, [*received, received[0]]).repeats == 1
    assert reckon(tmp_path, [received[1], received[0], received[2]]).out_of_order == 1
    assert reckon(tmp_path, [*received, {**received[0], "seq": 77}]).repeated_alarms == 1
    assert reckon(tmp_path, [*received, {**received[0], "event_type": "other"}]).repeated_alarms == 1


def breaks(folder: Path, *statements: str) -> Any:
    """What the look at a killed store finds once these statements have been at it."""
    outbox = open_outbox(folder)
    fall = put(outbox, incident()).id
    outbox.journal.close()
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    now = Moment(time.time(), time.monotonic(), boot_id())
    told = {"did": "told", "alert": fall, "stage": "confirmed"}
    return disk_faults(folder, unit_settings(folder), [told], now)


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("DELETE FROM outbox", "lost"),
        ("DELETE FROM journal", "repeated_alarms"),
        ("DELETE FROM journal", "lost"),
        ("DELETE FROM alert", "silent"),
        ("UPDATE alert SET open = 0", "silent"),
        ("UPDATE alert SET life = json_set(life, '$.silenced', json('true'), '$.state', 'claimed')", ""),
        ("SELECT 1", ""),
    ],
)
def test_a_store_from_which_something_is_gone_is_found_out(tmp_path: Path, statement: str, wrong: str) -> None:
    found = breaks(tmp_path, statement)
    bad = {name for name in ("lost", "repeated_alarms", "silent", "torn") if getattr(found, name)}
    assert (wrong in bad) if wrong else not bad, found.faults


def test_a_broker_that_refuses_and_is_believed_to_have_taken_it_is_found_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(line: Line) -> None:
        line.take(CONNECT)
        line.say(connack())
        line.say(puback(line.take(PUBLISH, "/alert/event").mid, 0x87))
        line.serve()

    monkeypatch.setattr(links, "BROKERS", (links.Bad("0x87", refusing, "alert_refused"),))
    assert links.misbehaviour(bench).passed
    monkeypatch.setattr(window_module, "FAILURE", 0x100)
    broken = links.misbehaviour(bench)
    assert not broken.passed
    assert broken.counts["lost"] == 1


def tape_of(bench: Bench) -> tuple[power.Tape, Settings]:
    place = bench.place()
    with recording() as broker:
        lives = Lives(bench.unit(place / "state", broker.mqtt), place)
        lives.run(Outcome(), lives.job(3, plan=("fall", "claim", "fall", "close", "fall")), power.recorded)
    return pickle.loads((place / power.LOG).read_bytes()), lives.settings


def test_a_unit_that_does_not_sync_loses_what_it_promised_and_that_is_found_out(bench: Bench) -> None:
    tape, settings = tape_of(bench)
    sound = Outcome()
    power.play(tape, bench, settings, sound)
    assert sound.passed, sound.faults
    never = power.Tape(tape.base, [asked for asked in tape.asked if asked.kind != "sync"])
    careless = Outcome()
    power.play(never, bench, settings, careless)
    assert careless.counts["lost"] > 0 or careless.counts["torn"] > 0


def test_the_shim_hands_on_what_sqlite_asks_and_refuses_what_it_is_told_to(tmp_path: Path) -> None:
    disk = Disk.install()
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (a)")
        disk.log.clear()
        connection.execute("INSERT INTO t VALUES (1)")
        kinds = [asked.kind for asked in disk.log if asked.path.endswith("a.db-wal")]
        assert kinds[-1] == "sync", "a commit ends with a sync of the log"
        assert kinds.count("write") >= 2
        disk.judge = lambda asked: FULL if asked.kind == "write" else OK
        with pytest.raises(sqlite3.OperationalError, match="full"):
            connection.execute("INSERT INTO t VALUES (2)")
        disk.judge = lambda asked: OK
        connection.execute("INSERT INTO t VALUES (3)")
        assert [row[0] for row in connection.execute("SELECT a FROM t")] == [1, 3]
        assert {path.name for path in tmp_path.iterdir()} == {"a.db", "a.db-wal", "a.db-shm"}
    disk.keep = False


def test_a_message_that_a_receiver_never_got_is_found_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "RECEIVERS", ())
    monkeypatch.setattr("device.ways.webhook.Webhook.wants", lambda _self, body, _told: body["event_type"] == "test")
    monkeypatch.setattr(webhooks, "_killed", lambda _bench, _outcome: None)
    monkeypatch.setattr(links.wait, "__defaults__", (0.5,))
    outcome = webhooks.webhooks(bench)
    assert not outcome.passed
    assert outcome.counts["lost"] == webhooks.FALLS
    assert any("messages still wait" in fault for fault in outcome.faults)


def test_at_a_broker_that_was_provisioned_it_says_which_line_to_add_and_with_it_plays(
    bench: Bench, tmp_path: Path
) -> None:
    site = new_site(tmp_path)
    mine = member(site, "cam-r12")
    settings = unit_settings(tmp_path / "unit", site.register.placement.port, **mine)
    bench = replace(bench, base=settings, site=True)
    with open_broker(site) as broker:
        with pytest.raises(NotDoneError) as refused:
            site_broker(bench)
        before, _, line = str(refused.value).partition("for as long as it plays: ")
        assert "below the line `user cam-r12`" in before
        acl = site.folder / "broker" / "acl"
        acl.write_text(acl.read_text().replace("user cam-r12\n", f"user cam-r12\n{line}\n"))
        broker.reload()
        outcome = eventually(lambda: played_at(bench), 60.0)
    assert outcome is not None
    assert outcome.passed, outcome.faults
    assert outcome.counts["kills"] == 3
    assert outcome.counts["received"] > 0
    assert outcome.figures["heard by a desk"] == 1.0


def played_at(bench: Bench) -> Outcome | None:
    """None while the broker has not read its list again."""
    try:
        return site_broker(bench)
    except NotDoneError:
        return None


def test_an_alert_of_the_suite_is_marked_as_a_test_below_a_branch_of_its_own(bench: Bench) -> None:
    settings = bench.unit(bench.place(), loopback(1))
    assert (settings.unit.site, settings.unit.id) == ("home", "unit-1-chaos")
    with closing(open_journal(settings.store.path(), "r")) as journal:
        outbox = Outbox(journal, settings)
        links.falls(outbox, 1, SystemClock())
        [letter] = outbox.pending()
    assert letter.payload["test"] is True
    assert letter.payload["device"] == "unit-1-chaos"
