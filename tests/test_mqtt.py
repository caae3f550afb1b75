"""The way from the outbox to a real Mosquitto and back, and what happens when any part of it is missing."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from device import store
from device.clock import SystemClock
from device.mqtt import Courier, LinkState, send_test, send_waiting
from device.mqtt import courier as courier_module
from device.mqtt import link as link_module
from device.mqtt import window as window_module
from device.mqtt.link import Link, LinkError, tls_context
from device.mqtt.truths import worth_telling
from device.outbox import Outbox, active_alert
from device.payloads import validate
from device.records import Incident
from device.settings import Mqtt
from tests.conftest import REPO, eventually, free_port
from tests.incident_samples import alert_of, incident, moved, open_outbox, put, unit_settings
from tests.mosquitto import Heard, Listener, Mosquitto

BRANCH = "fallwatch/home1/cam-r12"
ACK = {"action": "claim", "by": "Anna", "at": "2026-11-22T03:14:07.120Z", "nonce": "abcd-1234"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The folder of the unit's store."""
    return tmp_path / "unit"


@contextmanager
def running(unit: Path, port: int, **mqtt: Any) -> Iterator[tuple[Courier, Outbox]]:
    """A courier at work and the outbox of the thread that sees."""
    courier = Courier(unit_settings(unit, port, **mqtt), unit, SystemClock())
    outbox = open_outbox(unit, courier.spill)
    courier.start()
    try:
        yield courier, outbox
    finally:
        assert courier.stop(5.0), "the courier did not stop"
        outbox.journal.close()


def connected(courier: Courier) -> bool:
    return courier.state is LinkState.CONNECTED


def events(listener: Listener, count: int, deadline_s: float = 20.0) -> list[dict[str, Any]]:
    """The first `count` alert/event payloads, each checked against its schema."""
    eventually(lambda: len(listener.on("/alert/event")) >= count, deadline_s)
    return [checked(one) for one in listener.on("/alert/event")]


def checked(one: Heard) -> dict[str, Any]:
    body: dict[str, Any] = one.body
    validate("alert-event", body)
    assert one.topic == f"{BRANCH}/alert/event"
    return body


def truth(listener: Listener, topic: str) -> dict[str, Any]:
    """The newest payload of a retained topic."""
    heard = listener.on(topic)
    return dict(heard[-1].body) if heard else {}


def test_an_alert_is_delivered_once_with_its_contract_and_the_truth_beside_it(broker: Mosquitto, unit: Path) -> None:
    with Listener(broker.port) as listener, running(unit, broker.port) as (courier, outbox):
        fall = put(outbox, incident())
        courier.wake()
        [event] = events(listener, 1)
        assert (event["alert_id"], event["event_type"], event["type"]) == (fall.id, "fall_confirmed", "new")
        assert (event["room"], event["device"], event["attempt"]) == ("r12", "cam-r12", 1)
        eventually(lambda: truth(listener, "alert/active").get("alert_id") == fall.id)
        validate("alert-active", truth(listener, "alert/active"))
        eventually(lambda: outbox.waiting() == 0)
        assert len(listener.on("alert/event")) == 1
        assert listener.on("alert/event")[0].qos == 1
        put(outbox, moved(fall, "recovered", 50.0, down_s=40.0))
        courier.wake()
        assert [event["type"] for event in events(listener, 2)] == ["new", "end"]
        eventually(lambda: truth(listener, "alert/active").get("state") == "clear")


def test_a_subscriber_who_comes_late_finds_the_truth(broker: Mosquitto, unit: Path) -> None:
    with running(unit, broker.port) as (courier, outbox):
        fall = put(outbox, incident())
        courier.set_health({"state": "watching", "fps": 10.0})
        courier.set_faults([{"cause": "frozen", "text": "the picture is frozen"}])
        topics = ("/availability", "/health", "alert/active", "fault/active")
        with Listener(broker.port, name="early") as early:
            eventually(lambda: truth(early, "alert/active").get("alert_id") == fall.id)
            eventually(lambda: all(early.on(topic) for topic in topics))
            eventually(lambda: "frozen" in {one["cause"] for one in truth(early, "fault/active")["faults"]})
        with Listener(broker.port, name="late") as late:
            eventually(lambda: all(late.on(topic) for topic in topics))
            assert all(late.on(topic)[0].retain for topic in topics)
            assert truth(late, "alert/active")["alert_id"] == fall.id
            assert truth(late, "/health")["state"] == "watching"
            assert late.on("availability")[-1].raw == b"online"
            for name, topic in (("fault-active", "fault/active"), ("health", "/health")):
                validate(name, truth(late, topic))


def test_the_broker_is_dead_before_the_fall_and_back_after_it(tmp_path: Path, unit: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, Listener(broker.port) as listener:
        broker.kill()
        with running(unit, broker.port) as (courier, outbox):
            eventually(lambda: courier.state is LinkState.LOST)
            assert "cannot be reached" in courier.error
            first = put(outbox, incident())
            put(outbox, moved(first, "still_down", 60.0))
            second = put(outbox, incident("floor", "confirmed", 20.0))
            courier.wake()
            broker.start()
            heard = events(listener, 3)
            eventually(lambda: outbox.waiting() == 0)
            assert [one["alert_id"] for one in heard] == [first.id, first.id, second.id]
            assert [one["seq"] for one in heard] == [1, 2, 3]
            assert heard[0]["detected_at"] == "2026-11-18T11:06:45.000Z" != heard[0]["published_at"]
            assert len(listener.on("alert/event")) == 3, "each once"


def test_the_broker_is_killed_in_the_middle_of_a_hundred_alerts(tmp_path: Path, unit: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, Listener(broker.port) as listener:
        with running(unit, broker.port) as (courier, outbox):
            eventually(lambda: connected(courier))
            sent = [put(outbox, incident()).id for _ in range(100)]
            eventually(lambda: outbox.waiting() < 90)
            broker.kill()
            broker.start()
            eventually(lambda: outbox.waiting() == 0)
            eventually(lambda: {one.body["alert_id"] for one in listener.on("alert/event")} == set(sent), deadline_s=60)
        # What the broker had confirmed and took to its grave is heard by its repeat, 10 s later and after newer ones.
        first = list(dict.fromkeys(one.body["seq"] for one in listener.on("alert/event") if one.body["attempt"] == 1))
        assert first == sorted(first), "in order, once a repeat of (alert_id, seq) is left out"
        assert len(first) > 60


UNIT = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from device.clock import SystemClock
    from device.mqtt import Courier, link
    from tests.incident_samples import incident, open_outbox, put, unit_settings
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    link.WILL_DELAY_S = 1
    courier = Courier(unit_settings(folder, port), folder, SystemClock())
    outbox = open_outbox(folder, courier.spill)
    courier.start()
    print(put(outbox, incident()).id, flush=True)
    courier.wake()
    time.sleep(60)
    """
)


def unit_process(unit: Path, port: int) -> tuple[subprocess.Popen[str], str]:
    """A unit in a process of its own that has just put one alert; and the id of that alert."""
    process = subprocess.Popen(
        [sys.executable, "-c", UNIT, str(unit), str(port)], stdout=subprocess.PIPE, text=True, cwd=REPO
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill_9(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def test_kill_9_after_the_fall_and_before_the_broker_is_back(tmp_path: Path, unit: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, Listener(broker.port) as listener:
        broker.kill()
        process, alert_id = unit_process(unit, broker.port)
        kill_9(process)
        broker.start()
        with running(unit, broker.port) as (_, outbox):
            [event] = events(listener, 1)
            eventually(lambda: outbox.waiting() == 0)
            assert event["alert_id"] == alert_id
            assert event["detected_at"] == "2026-11-18T11:06:45.000Z"
            eventually(lambda: truth(listener, "alert/active").get("alert_id") == alert_id)


RESTLESS = UNIT.replace("time.sleep(60)", "while True: print(put(outbox, incident()).id, flush=True); courier.wake()")


def test_kill_9_at_random_moments_while_alerts_are_on_their_way(broker: Mosquitto, unit: Path) -> None:
    moments = random.Random(7)
    said: list[str] = []
    with Listener(broker.port) as listener:
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-c", RESTLESS, str(unit), str(broker.port)],
                stdout=subprocess.PIPE,
                text=True,
                cwd=REPO,
            )
            assert process.stdout is not None
            said += [process.stdout.readline().strip() for _ in range(moments.randrange(1, 40))]
            process.kill()
            said += process.communicate()[0].split()
        with running(unit, broker.port) as (_, outbox):
            eventually(lambda: outbox.waiting() == 0, 30.0)
            eventually(lambda: {one.body["alert_id"] for one in listener.on("alert/event")} >= set(said))
            once = dict.fromkeys((one.body["seq"], one.body["alert_id"]) for one in listener.on("alert/event"))
    assert [alert_id for _, alert_id in sorted(once) if alert_id in set(said)] == said
    assert len(once) == len({alert_id for _, alert_id in once}), "one number each: repeats are harmless"


def test_the_broker_says_offline_for_a_unit_that_was_killed(broker: Mosquitto, unit: Path) -> None:
    with Listener(broker.port) as listener:
        process, _ = unit_process(unit, broker.port)
        events(listener, 1)
        eventually(lambda: [one.raw for one in listener.on("availability")] == [b"online"])
        kill_9(process)
        eventually(lambda: [one.raw for one in listener.on("availability")] == [b"online", b"offline"])
    with Listener(broker.port, name="late") as late:
        eventually(lambda: [one.raw for one in late.on("availability")] == [b"offline"])


def test_a_unit_that_is_stopped_sends_what_is_due_and_then_says_offline_itself(broker: Mosquitto, unit: Path) -> None:
    with Listener(broker.port) as listener:
        with running(unit, broker.port) as (courier, outbox):
            eventually(lambda: connected(courier))
            put(outbox, incident())
        eventually(lambda: listener.on("availability")[-1].raw == b"offline")
        assert [one.topic for one in listener.heard].index(f"{BRANCH}/alert/event") < len(listener.heard) - 1
        assert courier.state is LinkState.STOPPED


def test_claim_close_and_a_consumers_receipt_come_back_into_the_journal(broker: Mosquitto, unit: Path) -> None:
    with Listener(broker.port) as listener, running(unit, broker.port) as (courier, outbox):
        fall = put(outbox, incident())
        courier.wake()
        events(listener, 1)
        topic = f"{BRANCH}/alert/{fall.id}"
        listener.say(f"{topic}/receipt", {"by": "desk-1", "at": ACK["at"]})
        listener.say(f"{topic}/ack", ACK)
        listener.say(f"{topic}/ack", ACK)
        eventually(lambda: truth(listener, "alert/active").get("state") == "claimed")
        assert truth(listener, "alert/active")["by"] == "Anna"
        listener.say(f"{topic}/ack", {**ACK, "action": "close", "nonce": "abcd-9999", "cause": "fell out of bed"})
        eventually(lambda: truth(listener, "alert/active").get("state") == "clear")
        said = events(listener, 3)
        assert [(one["event_type"], one["type"]) for one in said[1:]] == [("claimed", "update"), ("closed", "end")]
        assert said[2]["cause"] == "fell out of bed"
        assert [one.action for one in courier.inbox] == ["received", "claim", "close"]
        assert outbox.journal.event(fall.id)["cause"] == "fell out of bed"  # type: ignore[index]


def test_an_answer_given_while_the_unit_was_away_reaches_it(broker: Mosquitto, unit: Path) -> None:
    with Listener(broker.port) as listener:
        with running(unit, broker.port) as (courier, outbox):
            fall = put(outbox, incident())
            courier.wake()
            events(listener, 1)
        listener.say(f"{BRANCH}/alert/{fall.id}/ack", {**ACK, "action": "close"})
        with running(unit, broker.port) as (courier, outbox):
            eventually(lambda: [one.action for one in courier.inbox] == ["close"])
            eventually(lambda: truth(listener, "alert/active").get("state") == "clear")


def test_500_payloads_of_rubbish_change_nothing(broker: Mosquitto, unit: Path) -> None:
    rubbish = random.Random(20261122)
    with Listener(broker.port, topic=f"{BRANCH}/alert/#") as listener, running(unit, broker.port) as (courier, outbox):
        fall = put(outbox, incident())
        courier.wake()
        events(listener, 1)
        eventually(lambda: outbox.waiting() == 0)
        before = outbox.journal.last_seq()
        payloads = [rubbish.randbytes(rubbish.randrange(0, 300)) for _ in range(250)]
        payloads += [b'{"action": "claim", ' + rubbish.randbytes(rubbish.randrange(0, 99)) for _ in range(250)]
        listener.say(f"{BRANCH}/alert/{fall.id}/ack", *payloads[::2])
        listener.say(f"{BRANCH}/alert/{fall.id}/receipt", *payloads[1::2])
        listener.say(f"{BRANCH}/alert/01UNKNOWN/ack", ACK)
        listener.say(f"{BRANCH}/alert/{fall.id}/ack", ACK)
        eventually(lambda: [one.by for one in courier.inbox] == ["Anna"])
        said = [entry["what"] for entry in outbox.journal.entries(after_seq=before)]
        assert said[0] == "receipt", "the claim is the first entry after all the rubbish"
        assert said.count("receipt") <= 2, "the claim, and the broker's for what the claim told the others"
        assert connected(courier)
        assert outbox.journal.event(fall.id)["state"] == "claimed"  # type: ignore[index]


def test_a_broker_that_speaks_only_3_1_1(broker: Mosquitto, unit: Path) -> None:
    with Listener(broker.port) as listener, running(unit, broker.port, protocol="3.1.1") as (courier, outbox):
        fall = put(outbox, incident())
        courier.wake()
        assert events(listener, 1)[0]["alert_id"] == fall.id
        listener.say(f"{BRANCH}/alert/{fall.id}/ack", ACK)
        eventually(lambda: truth(listener, "alert/active").get("state") == "claimed")
        eventually(lambda: outbox.waiting() == 0)


def test_nobody_listens_is_a_fault_until_somebody_does(
    broker: Mosquitto, unit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_module, "UNHEARD_RETRY_S", 0.3)
    with running(unit, broker.port) as (courier, outbox):
        fall = put(outbox, incident())
        courier.wake()
        eventually(lambda: [one["cause"] for one in courier.faults.all()] == ["nobody_listening"])
        assert outbox.waiting() == 1, "said again for a while: the desk may come back after the unit"
        with Listener(broker.port) as listener:
            eventually(lambda: [one["cause"] for one in truth(listener, "fault/active").get("faults", [])])
            [event] = events(listener, 1)
            assert event["alert_id"] == fall.id
            assert event["attempt"] > 1
            eventually(lambda: courier.faults.all() == [] and outbox.waiting() == 0)


def test_an_alert_that_nobody_ever_hears_leaves_after_a_while_and_the_fault_stays(
    broker: Mosquitto, unit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_module, "UNHEARD_RETRY_S", 0.2)
    courier = Courier(unit_settings(unit, broker.port), unit, SystemClock())
    monkeypatch.setattr(window_module.Window.__init__, "__kwdefaults__", {"unheard_s": 0.5})
    outbox = open_outbox(unit, courier.spill)
    courier.start()
    put(outbox, incident())
    eventually(lambda: outbox.waiting() == 0)
    assert [one["cause"] for one in courier.faults.all()] == ["nobody_listening"]
    assert courier.stop(5.0)
    outbox.journal.close()


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """A file of accounts as Mosquitto wants it, for unit / right."""
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed (apt install mosquitto); this checked nothing")
    accounts = tmp_path / "accounts"
    subprocess.run([tool, "-b", "-c", str(accounts), "unit", "right"], check=True, capture_output=True)
    accounts.chmod(0o644)
    return accounts


def test_a_wrong_password_is_named_once_and_its_correction_is_found(
    tmp_path: Path, unit: Path, password: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "REFUSED_RETRY_S", 0.3)
    secret = tmp_path / "secret"
    secret.write_text("wrong-word\n")
    with Mosquitto(tmp_path / "broker", f"password_file {password}") as broker, caplog.at_level(logging.DEBUG):
        login = {"username": "unit", "password_file": str(secret)}
        with running(unit, broker.port, **login) as (courier, outbox):
            eventually(lambda: courier.state is LinkState.REFUSED)
            assert "refuses this unit" in courier.error
            assert "password_file" in courier.error
            eventually(lambda: broker.log.read_text().count("New connection") >= 3)
            secret.write_text("right\n")
            put(outbox, incident())
            eventually(lambda: connected(courier) and outbox.pending()[0].attempts == 1)
        assert caplog.text.count("refuses this unit") == 1
        assert "wrong-word" not in caplog.text


def test_alerts_that_the_broker_refuses_stay_and_are_a_fault(tmp_path: Path, unit: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("topic read #\n")
    with Mosquitto(tmp_path / "broker", f"acl_file {acl}") as broker:
        with running(unit, broker.port) as (courier, outbox):
            put(outbox, incident())
            courier.wake()
            eventually(lambda: {one["cause"] for one in courier.faults.all()} == {"alert_refused", "state_refused"})
            assert outbox.waiting() == 1
        tried = send_waiting(unit_settings(unit, broker.port), unit, SystemClock(), 5.0)
        assert not tried.delivered
        assert "check its ACL" in tried.error


class DeafBroker:
    """Says yes to every CONNECT and then nothing more: no PUBACK ever comes."""

    def __init__(self, answer: bytes) -> None:
        self.connections = 0
        self.port = free_port()
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._taken: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._taken.append(taken)
            if self._answer:
                taken.recv(4096)
                taken.sendall(self._answer)

    def close(self) -> None:
        for one in (self._listening, *self._taken):
            one.close()


CONNACK_5 = bytes([0x20, 0x03, 0x00, 0x00, 0x00])


@pytest.mark.parametrize(("answer", "sentence"), [(CONNACK_5, "no acknowledgement"), (b"", "does not answer")])
def test_a_broker_that_does_not_answer_is_left_and_tried_again(
    unit: Path, answer: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier_module, "ACK_DEADLINE_S", 0.5)
    monkeypatch.setattr(courier_module, "ANSWER_S", 0.5)
    deaf = DeafBroker(answer)
    try:
        with running(unit, deaf.port) as (courier, outbox):
            put(outbox, incident())
            eventually(lambda: deaf.connections >= 2)
            eventually(lambda: sentence in courier.error)
            assert outbox.waiting() == 1
    finally:
        deaf.close()


def test_a_fault_of_our_own_does_not_end_the_courier(
    broker: Mosquitto, unit: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(courier_module, "BACKOFF_S", (0.2,))
    calls = []

    def stumble(outbox: Outbox) -> Any:
        calls.append(outbox)
        if len(calls) == 1:
            raise ZeroDivisionError
        return active_alert(outbox)

    monkeypatch.setattr("device.mqtt.told.active_alert", stumble)
    with Listener(broker.port) as listener, running(unit, broker.port) as (courier, outbox):
        put(outbox, incident())
        assert events(listener, 1)
        eventually(lambda: outbox.waiting() == 0)
        assert courier.alive()
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_courier_whose_thread_is_gone_is_started_again_and_one_that_hangs_is_seen(
    broker: Mosquitto, unit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = Courier._serve
    calls = []

    def dies_once(courier: Courier) -> None:
        calls.append(courier)
        if len(calls) == 1:
            raise SystemExit  # ends a thread without a word
        serve(courier)

    monkeypatch.setattr(Courier, "_serve", dies_once)
    with Listener(broker.port) as listener, running(unit, broker.port) as (courier, outbox):
        eventually(lambda: not courier.alive())
        put(outbox, incident())
        assert courier.revive()
        assert events(listener, 1)
        assert courier.revive(), "asked again it leaves what works alone"
        assert len(calls) == 2
        monkeypatch.setattr(courier_module, "STUCK_S", 0.0)
        assert not courier.revive(), "a thread that hangs cannot be ended from here, only said"


def test_with_no_byte_free_the_alert_goes_out_and_the_lamp_is_on(
    broker: Mosquitto, unit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_outbox(unit).journal.close()
    connect = store.connect

    def full(folder: Path, *, readonly: bool = False) -> Any:
        connection = connect(folder, readonly=readonly)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(store, "connect", full)
    with Listener(broker.port) as listener, running(unit, broker.port) as (courier, outbox):
        unsaved = [overflow(outbox) for _ in range(3)]
        courier.wake()
        eventually(lambda: {one["alert_id"] for one in events(listener, 1)} >= {one.id for one in unsaved})
        eventually(lambda: truth(listener, "alert/active").get("open", 0) >= 3)
        eventually(lambda: not courier.spill.letters())
        assert len(courier.spill.all()) == 3, "sent, and still waiting for the disk"


def overflow(outbox: Outbox) -> Incident:
    """Put alerts until the disk takes no more, and return the one that is in memory only."""
    for _ in range(1000):
        fall = incident()
        if outbox.put(fall, alert_of(fall), "m-1") is not None:
            return fall
    raise AssertionError("the store never filled up")


def test_a_test_alert_goes_through_the_running_unit_and_never_lights_the_lamp(broker: Mosquitto, unit: Path) -> None:
    with Listener(broker.port) as listener, running(unit, broker.port) as (courier, _):
        eventually(lambda: connected(courier))
        done = send_test(unit_settings(unit, broker.port), unit, SystemClock(), 10.0)
        assert (done.delivered, done.by, done.listened, done.error) == (True, "unit", True, "")
        [event] = events(listener, 1)
        assert (event["alert_id"], event["test"], event["event_type"]) == (done.alert_id, True, "test")
        assert {one.body["state"] for one in listener.on("alert/active")} == {"clear"}
        assert connected(courier), "the test did not throw the unit off the broker"


def test_a_test_alert_without_a_running_unit_is_carried_by_itself_and_leaves_the_rest(
    broker: Mosquitto, unit: Path
) -> None:
    outbox = open_outbox(unit)
    waiting = put(outbox, incident())
    with Listener(broker.port) as listener:
        done = send_test(unit_settings(unit, broker.port), unit, SystemClock(), 10.0)
        assert (done.delivered, done.by, done.waiting) == (True, "self", 1)
        assert [one["alert_id"] for one in events(listener, 1)] == [done.alert_id]
        rest = send_waiting(unit_settings(unit, broker.port), unit, SystemClock(), 10.0)
        assert (rest.delivered, rest.waiting) == (True, 0)
        assert events(listener, 2)[1]["alert_id"] == waiting.id
        assert listener.on("availability") == [], "an errand does not speak for the unit"
    outbox.journal.close()


def test_a_test_alert_that_nobody_hears_and_one_without_a_broker_say_so(broker: Mosquitto, unit: Path) -> None:
    clock = SystemClock()
    heard = send_test(unit_settings(unit, broker.port), unit, clock, 10.0)
    assert (heard.delivered, heard.listened) == (True, False)
    broker.kill()
    lost = send_test(unit_settings(unit, broker.port), unit, clock, 2.0)
    assert (lost.delivered, lost.waiting) == (False, 1)
    assert "cannot be reached" in lost.error
    off = send_test(unit_settings(unit, broker.port, enabled=False), unit, clock, 2.0)
    assert "mqtt.enabled is false" in off.error


def test_a_courier_that_is_switched_off_does_nothing(unit: Path) -> None:
    courier = Courier(unit_settings(unit, enabled=False), unit, SystemClock())
    courier.start()
    assert (courier.state, courier.alive(), courier.stop()) == (LinkState.OFF, True, True)


def test_a_lost_broker_costs_no_sockets_and_no_threads(unit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "BACKOFF_S", (0.01,))
    tries: list[int] = []
    connect = link_module.Link.open

    def counted(link: link_module.Link) -> None:
        tries.append(len(os.listdir("/proc/self/fd")))
        connect(link)

    monkeypatch.setattr(link_module.Link, "open", counted)
    with running(unit, free_port()):
        eventually(lambda: len(tries) > 60)
        threads = threading.active_count()
        eventually(lambda: len(tries) > 120)
        assert max(tries[100:]) <= max(tries[10:30]) + 2
        assert threading.active_count() <= threads


def test_files_for_tls_and_password_that_are_missing_or_wrong_are_named(tmp_path: Path) -> None:
    missing = Mqtt(tls=True, ca_file=str(tmp_path / "ca.pem"))
    with pytest.raises(LinkError, match=r"mqtt\.ca_file .*ca\.pem: no such file"):
        tls_context(missing)
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(LinkError, match="cannot be used"):
        tls_context(missing)
    with pytest.raises(LinkError, match=r"mqtt\.password_file .*nowhere: cannot be read \(No such file"):
        link_module.password(Mqtt(username="unit", password_file=str(tmp_path / "nowhere")))


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A folder with the site's ca.pem, the broker's broker.pem and broker.key, and another site's foreign.pem."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed (apt install openssl); TLS was not checked")
    folder = tmp_path / "authority"
    folder.mkdir()

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], check=True, capture_output=True, cwd=folder)

    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    for name in ("ca", "foreign"):
        run(*new, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1")
    run(*new, "-keyout", "broker.key", "-out", "broker.pem", *signed)
    return folder


def test_tls_with_the_sites_certificate_and_with_none_and_with_a_foreign_one(
    tmp_path: Path, unit: Path, authority: Path
) -> None:
    plain = free_port()
    files = [f"certfile {authority}/broker.pem", f"keyfile {authority}/broker.key"]
    with Mosquitto(tmp_path / "broker", *files, f"listener {plain} 127.0.0.1") as broker, Listener(plain) as listener:
        with running(unit, broker.port, tls=True, ca_file=f"{authority}/foreign.pem") as (courier, outbox):
            eventually(lambda: courier.state is LinkState.REFUSED)
            assert "no trust between unit and broker" in courier.error
            sent = [put(outbox, incident()).id for _ in range(10)]
        with running(unit, broker.port) as (courier, _):
            eventually(lambda: "hung up before it answered" in courier.error)
        with running(unit, broker.port, tls=True, ca_file=f"{authority}/ca.pem") as (courier, outbox):
            assert [one["alert_id"] for one in events(listener, 10)] == sent
            listener.say(f"{BRANCH}/alert/{sent[0]}/ack", *({**ACK, "nonce": f"nonce-{n:04}"} for n in range(40)))
            eventually(lambda: len(courier.inbox) == 40)


def test_only_what_is_no_measurement_is_told_at_once() -> None:
    before = {"state": "watching", "fps": 10.0, "dark": False, "rss_mb": 90}
    assert not worth_telling(before, {**before, "fps": 9.7, "rss_mb": 91})
    assert worth_telling(before, {**before, "state": "blind"})
    assert worth_telling(before, {**before, "dark": True})


def test_an_alert_is_on_its_way_as_soon_as_it_is_on_disk(broker: Mosquitto, unit: Path) -> None:
    with Listener(broker.port) as listener, running(unit, broker.port) as (courier, outbox):
        eventually(lambda: connected(courier))
        for number in range(20):
            put(outbox, incident())
            courier.wake()
            events(listener, number + 1)
        eventually(lambda: outbox.waiting() == 0)
        assert [one["seq"] for one in events(listener, 20)] == list(range(1, 21))


def test_no_small_message_waits_for_the_one_before_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = Link(Mqtt(host="127.0.0.1", port=server.getsockname()[1]), "u", lambda message: None)
        link.open()
        line = link._client.socket()
        assert isinstance(line, socket.socket)
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        link.drop()
