"""A broker that answers late, twice, wrongly, in halves or not at all costs time and never an alert."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device.clock import SystemClock
from device.mqtt import Courier, LinkState
from device.mqtt import courier as courier_module
from device.mqtt import window as window_module
from device.outbox import Outbox
from tests.broker_script import (
    CONNECT,
    PUBLISH,
    Line,
    Script,
    ScriptedBroker,
    connack,
    disconnect,
    good,
    packet,
    puback,
)
from tests.conftest import eventually
from tests.incident_samples import incident, open_outbox, put, unit_settings

SOON_S = 0.2
"""Instead of the seconds that a unit gives a broker on a wall."""
PATIENT_S = 2.0


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier_module, "BACKOFF_S", (0.05,))
    monkeypatch.setattr(courier_module, "REFUSED_RETRY_S", SOON_S)
    monkeypatch.setattr(window_module, "REFUSED_RETRY_S", SOON_S)
    monkeypatch.setattr(window_module, "UNHEARD_RETRY_S", SOON_S)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests in which a deadline must pass; in the others a slow machine may take its time."""
    monkeypatch.setattr(courier_module, "ANSWER_S", PATIENT_S)
    monkeypatch.setattr(window_module, "ACK_DEADLINE_S", PATIENT_S)
    monkeypatch.setattr(courier_module, "ACK_DEADLINE_S", PATIENT_S)


@contextmanager
def running(folder: Path, *scripts: Script, keepalive_s: int = 15) -> Iterator[tuple[ScriptedBroker, Courier, Outbox]]:
    """A unit's courier at a broker that plays these scripts, and the outbox of the thread that sees."""
    with ScriptedBroker(*scripts) as broker:
        settings = unit_settings(folder, broker.port)
        mqtt = settings.mqtt.model_copy(update={"keepalive_s": keepalive_s})
        courier = Courier(settings.model_copy(update={"mqtt": mqtt}), folder, SystemClock())
        outbox = open_outbox(folder, courier.spill)
        courier.start()
        try:
            yield broker, courier, outbox
        finally:
            assert courier.stop(5.0), "the courier did not stop"
            outbox.journal.close()


def fall(courier: Courier, outbox: Outbox) -> str:
    """One more alert; its id."""
    made = put(outbox, incident()).id
    courier.wake()
    return made


def told(broker: ScriptedBroker) -> list[tuple[str, int]]:
    """(alert_id, attempt) of every alert/event that a script took, in the order it came."""
    return [(payload["alert_id"], payload["attempt"]) for _, payload in list(broker.alerts)]


def greeted(line: Line) -> None:
    line.take(CONNECT)
    line.say(connack())


def test_receipts_that_come_late_and_in_the_wrong_order_count_for_their_own_alert(tmp_path: Path) -> None:
    def script(line: Line) -> None:
        greeted(line)
        sent = [line.alert() for _ in range(3)]
        line.say(*(puback(one.mid) for one in reversed(sent)))
        line.serve()

    with running(tmp_path, script) as (broker, courier, outbox):
        made = [fall(courier, outbox) for _ in range(3)]
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(alert_id, 1) for alert_id in made], "each once"
        assert broker.connections == 1


@pytest.mark.usefixtures("impatient")
def test_an_alert_without_a_receipt_is_said_again_on_a_new_connection_under_its_own_name(tmp_path: Path) -> None:
    def never(line: Line) -> None:
        greeted(line)
        line.alert()
        line.take(PUBLISH, "this topic never comes")

    with running(tmp_path, never, good) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, 1), (made, 2)]
        assert {payload["seq"] for _, payload in broker.alerts} == {1}
        assert [number for number, _ in broker.alerts] == [1, 2]


@pytest.mark.usefixtures("impatient")
def test_a_receipt_of_the_last_connection_does_not_count_on_the_next(tmp_path: Path) -> None:
    """Packet numbers begin anew: a stale PUBACK must not take an alert with it that nobody has."""
    mids: list[int] = []

    def silent(line: Line) -> None:
        greeted(line)
        mids.append(line.alert().mid)

    def confused(line: Line) -> None:
        greeted(line)
        line.say(*(puback(mid + 1000) for mid in mids))
        last = line.alert()
        line.say(puback(last.mid + 1), puback(last.mid + 999))
        line.alert()

    with running(tmp_path, silent, confused, confused, good) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: broker.connections >= 3)
        assert outbox.waiting() == 1
        eventually(lambda: outbox.waiting() == 0)
        assert {alert_id for alert_id, _ in told(broker)} == {made}
        assert broker.alerts[-1][0] == 4, "only the good broker has it"


def test_the_same_receipt_twice_takes_one_alert_from_the_outbox_and_not_two(tmp_path: Path) -> None:
    def script(line: Line) -> None:
        greeted(line)
        first = line.alert()
        line.say(puback(first.mid), puback(first.mid))
        line.alert()
        line.say(puback(first.mid))

    with running(tmp_path, script, good) as (broker, courier, outbox):
        one = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        other = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(one, 1), (other, 1), (other, 2)]


@pytest.mark.parametrize("code", [0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C])
def test_a_broker_that_says_no_is_named_as_refusing_and_asked_again(tmp_path: Path, code: int) -> None:
    def no(line: Line) -> None:
        line.take(CONNECT)
        line.say(connack(code))

    with running(tmp_path, no, no, good) as (broker, courier, outbox):
        eventually(lambda: courier.state is LinkState.REFUSED)
        assert "the broker refuses this unit" in courier.error
        made = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, 1)]


@pytest.mark.parametrize("code", [0x80, 0x88, 0x89, 0x97, 0x9C, 0x9F])
def test_a_broker_that_is_busy_is_lost_and_not_refusing_and_soon_asked_again(tmp_path: Path, code: int) -> None:
    states: list[LinkState] = []

    def busy(line: Line) -> None:
        line.take(CONNECT)
        line.say(connack(code))

    with running(tmp_path, busy, busy, good) as (broker, courier, outbox):
        made = fall(courier, outbox)

        def delivered() -> bool:
            states.append(courier.state)
            return outbox.waiting() == 0

        eventually(delivered, every_s=0.01)
        assert LinkState.REFUSED not in states
        assert told(broker) == [(made, 1)]


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x97, 0x99])
def test_a_refused_alert_stays_and_is_a_fault_and_the_ones_behind_it_do_not_wait(
    tmp_path: Path, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    def script(line: Line) -> None:
        greeted(line)
        line.say(puback(line.alert().mid, code))
        line.serve()

    with running(tmp_path, script) as (broker, courier, outbox):
        refused, behind = fall(courier, outbox), fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert [alert_id for alert_id, _ in told(broker)] == [refused, behind, refused]
        assert told(broker)[-1] == (refused, 2)
        eventually(lambda: "alert_refused" not in {fault["cause"] for fault in courier.faults.all()})
    assert "refuses alerts" in caplog.text


def test_nobody_listening_is_no_delivery_until_somebody_does(tmp_path: Path) -> None:
    def script(line: Line) -> None:
        greeted(line)
        for _ in range(3):
            line.say(puback(line.alert().mid, 0x10))
        line.serve()

    with running(tmp_path, script) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: "nobody_listening" in {fault["cause"] for fault in courier.faults.all()})
        assert outbox.waiting() == 1
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, attempt) for attempt in (1, 2, 3, 4)]
        assert "nobody_listening" not in {fault["cause"] for fault in courier.faults.all()}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_receipt_that_is_cut_in_the_middle_is_no_receipt(tmp_path: Path, size: int) -> None:
    def script(line: Line) -> None:
        greeted(line)
        line.say(puback(line.alert().mid)[:size])

    with running(tmp_path, script, good) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, 1), (made, 2)]


def test_a_link_that_breaks_in_the_middle_of_our_own_message_costs_nothing(tmp_path: Path) -> None:
    def script(line: Line) -> None:
        greeted(line)
        line.hear(200)

    with running(tmp_path, script, script, good) as (broker, courier, outbox):
        made = [fall(courier, outbox) for _ in range(5)]
        eventually(lambda: outbox.waiting() == 0)
        assert list(dict.fromkeys(alert_id for alert_id, _ in told(broker))) == made, "all, and in order"


def test_an_answer_that_comes_byte_by_byte_is_understood(tmp_path: Path) -> None:
    def script(line: Line) -> None:
        line.take(CONNECT)
        for byte in connack():
            line.say(bytes([byte]))
        alert = line.alert()
        for byte in puback(alert.mid):
            line.say(bytes([byte]))
        line.serve()

    with running(tmp_path, script) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, 1)]
        assert broker.connections == 1


@pytest.mark.usefixtures("impatient")
def test_a_connection_that_is_never_granted_is_given_up_and_begun_anew(tmp_path: Path) -> None:
    def mute(line: Line) -> None:
        line.take(CONNECT)
        line.take(PUBLISH, "before any CONNACK")

    with running(tmp_path, mute, good) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: "does not answer" in courier.error)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, 1)]
        assert not any(one.kind == PUBLISH for number, one in broker.heard if number == 1), "nothing before the CONNACK"


@pytest.mark.usefixtures("impatient")
def test_a_half_open_link_is_left_while_an_alert_waits_on_it(tmp_path: Path) -> None:
    def half_open(line: Line) -> None:
        greeted(line)
        line.alert()
        line.freeze()

    with running(tmp_path, half_open, good) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, 1), (made, 2)]


def test_a_half_open_link_with_nothing_to_say_is_noticed_by_its_keepalive(tmp_path: Path) -> None:
    def half_open(line: Line) -> None:
        greeted(line)
        for topic in ("/availability", "/alert/active", "/fault/active"):
            line.answer(line.take(PUBLISH, topic))
        line.freeze()

    with running(tmp_path, half_open, good, keepalive_s=1) as (broker, courier, outbox):
        eventually(lambda: broker.connections >= 2)
        made = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, 1)]


@pytest.mark.parametrize("code", [0x81, 0x8B, 0x8D, 0x8E, 0x93, 0x98])
def test_a_broker_that_says_goodbye_is_found_again_and_what_was_on_its_way_is_repeated(
    tmp_path: Path, code: int
) -> None:
    def leaving(line: Line) -> None:
        greeted(line)
        line.alert()
        line.say(disconnect(code))

    with running(tmp_path, leaving, good) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert told(broker) == [(made, 1), (made, 2)]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x00",
        b"\xf0\x00",
        b"\x40\xff\xff\xff\xff\xff",
        packet(0x40, b"\x00"),
        packet(0x30, b"\xff\xff"),
        packet(0x32, b"\x00\x01\xff\x00\x01\x00{}"),
        b"\x20\x03\x00\x00\x00" * 2,
    ],
    ids=["http", "type 0", "type 15", "endless length", "short PUBACK", "long topic", "no UTF-8", "CONNACK again"],
)
def test_a_broker_that_talks_rubbish_does_not_end_the_courier(tmp_path: Path, rubbish: bytes) -> None:
    def script(line: Line) -> None:
        greeted(line)
        line.alert()
        line.say(rubbish)

    with running(tmp_path, script, good) as (broker, courier, outbox):
        made = fall(courier, outbox)
        eventually(lambda: outbox.waiting() == 0)
        assert {alert_id for alert_id, _ in told(broker)} == {made}
        assert courier.alive()


def test_no_more_is_on_its_way_than_the_broker_has_asked_for(tmp_path: Path) -> None:
    flying: list[int] = []

    def narrow(line: Line) -> None:
        line.take(CONNECT)
        line.say(connack(receive_maximum=window_module.TRUTHS + 2))
        unanswered: list[int] = []
        for _ in range(20):
            unanswered.append(line.alert().mid)
            flying.append(len(unanswered))
            if len(unanswered) == 2:
                line.say(*(puback(mid) for mid in unanswered))
                unanswered.clear()
        line.serve()

    with running(tmp_path, narrow) as (broker, courier, outbox):
        made = [fall(courier, outbox) for _ in range(20)]
        eventually(lambda: outbox.waiting() == 0)
        assert [alert_id for alert_id, _ in told(broker)] == made
        assert max(flying) <= 2, "what truths may take is kept free for them"
