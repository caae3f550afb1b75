"""The load driver: its packets against a client library's, and a small house on a real Mosquitto, storms included."""

from __future__ import annotations

import json
import resource
import socket
import threading
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import load, load_broker, mqtt_wire
from deploy.load_report import Plan, Report, Spread, Storm, spread, table
from deploy.mqtt_wire import Decoder, Greeting, Packet, WireError
from deploy.swarm import Ledger
from device.errors import FallwatchError
from tests.conftest import eventually
from tests.mosquitto import MOSQUITTO, Listener, Mosquitto


class Raw:
    """The driver's packets on a plain socket."""

    def __init__(self, port: int) -> None:
        self.packets: list[Packet] = []
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._decoder = Decoder()
        threading.Thread(target=self._read, daemon=True).start()

    def say(self, *raw: bytes) -> None:
        self._socket.sendall(b"".join(raw))

    def of(self, kind: int) -> list[Packet]:
        return [one for one in list(self.packets) if one.kind == kind]

    def cut(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        while more := self._socket.recv(3):  # three at a time: packets come in pieces
            self.packets.extend(self._decoder.feed(more))


def test_the_packets_are_what_a_real_broker_and_another_client_understand(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker, Listener(broker.port, "#") as listener:
        raw = Raw(broker.port)
        raw.say(mqtt_wire.connect(Greeting("load", 15, 60, "w/availability", b"offline", will_delay_s=0)))
        eventually(lambda: raw.of(mqtt_wire.CONNACK))
        assert (raw.of(mqtt_wire.CONNACK)[0].code, raw.of(mqtt_wire.CONNACK)[0].limit) == (0, 20), "as mosquitto says"
        raw.say(mqtt_wire.subscribe([("in/+", 1), ("in/deep/#", 0)], 9), mqtt_wire.PINGREQ)
        raw.say(mqtt_wire.publish("out/a", b"x" * 300, 7, retain=True))
        eventually(lambda: raw.of(mqtt_wire.PINGRESP) and raw.of(mqtt_wire.PUBACK) and raw.of(mqtt_wire.SUBACK))
        assert raw.of(mqtt_wire.PUBACK)[0].mid == 7
        eventually(lambda: listener.on("out/a"))
        assert (listener.on("out/a")[0].raw, listener.on("out/a")[0].qos) == (b"x" * 300, 1)
        listener.say("in/b", b"y" * 200)
        eventually(lambda: raw.of(mqtt_wire.PUBLISH))
        assert (raw.of(mqtt_wire.PUBLISH)[0].topic, raw.of(mqtt_wire.PUBLISH)[0].payload) == ("in/b", b"y" * 200)
        raw.say(mqtt_wire.puback(raw.of(mqtt_wire.PUBLISH)[0].mid))
        raw.cut()
        eventually(lambda: [one.raw for one in listener.on("w/availability")] == [b"offline"])


@hypothesis.settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.text("abc/", min_size=1, max_size=9), st.binary(max_size=300)), max_size=5), st.data())
def test_packets_are_found_wherever_the_stream_is_cut(said: list[tuple[str, bytes]], data: st.DataObject) -> None:
    stream = b"".join(mqtt_wire.publish(topic, body, 1 + at) for at, (topic, body) in enumerate(said))
    decoder, found = Decoder(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += list(decoder.feed(stream[:size]))
        stream = stream[size:]
    assert [(one.topic, one.payload) for one in found] == said
    assert [one.mid for one in found] == list(range(1, len(said) + 1))


@pytest.mark.parametrize("rubbish", [b"\x30\xff\xff\xff\xff\xff", b"\x00\x00", b"\x20\x00", b"\xf0\x00"])
def test_what_is_no_mqtt_is_said_so(rubbish: bytes) -> None:
    with pytest.raises(WireError):
        list(Decoder().feed(rubbish))


def test_a_house_goes_through_its_storms_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    if MOSQUITTO is None:
        pytest.skip("REAL BROKER ABSENT: mosquitto is not installed (apt install mosquitto); this checked nothing")
    words = ["--units", "25", "--seconds", "2", "--storms", "1", "--outage", "1", "--json"]
    load.main(words)  # its exit code also judges time, and this machine may be busy
    report = json.loads(capsys.readouterr().out)
    assert report["handed_in"] > 30
    assert (report["lost"], report["refused"]) == (0, 0)
    assert [storm["what"] for storm in report["storms"]] == ["every line cut", "broker killed with -9"]
    assert all(storm["handed_in"] > 0 and storm["back"]["n"] == 25 for storm in report["storms"])
    assert 0 < report["to_broker"]["p50"] <= report["to_broker"]["p99"] <= report["to_broker"]["most"]


def test_too_few_descriptors_and_wrong_numbers_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    with pytest.raises(
        FallwatchError, match=r"2000 units need 2100 open files and this shell allows 1024; run `ulimit"
    ):
        load_broker.allow_descriptors(2000)
    assert load.main(["--units", "2000"]) == 1
    assert load.main(["--units", "0"]) == 2
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["deploy.load"] * 2


def test_more_descriptors_are_taken_where_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: taken.append(both))
    load_broker.allow_descriptors(2000)
    load_broker.allow_descriptors(100)
    assert taken == [(2100, 4096)]


def test_the_book_counts_repeats_and_what_came_late() -> None:
    ledger = Ledger(handed_in=dict.fromkeys("abcd", 0.0))
    for alert_id, seq in (("a", 1), ("c", 3), ("b", 2), ("a", 1)):
        ledger.heard("unit-1", alert_id, seq, 1.0)
    assert (ledger.missing(), ledger.repeats, ledger.late) == (1, 1, 1)


def test_a_storm_whose_alerts_come_too_late_or_not_at_all_misses_the_bar() -> None:
    storm = Storm("cut", 10.0, 7, Spread(3, 1.0, 2.0, 2.0), 14.9, 0, 0.1, 0.1)
    late, never = replace(storm, all_delivered_s=15.1), replace(storm, everything=False)
    for one, held in ((storm, True), (late, False), (never, False)):
        report = Report("m", "b", Plan(3, 1.0, 1.0, 1, 10.0), False, 0.0, storms=[one])
        assert report.passed() is held
        assert ("bar 15 s: held" in table(report)) is held
        assert ("bar 15 s: MISSED" in table(report)) is not held
    assert "all at the desk 15.1 s after the return" in table(replace(report, storms=[late]))
    assert "not all at the desk after 14.9 s" in table(report)


def test_a_spread_is_by_nearest_rank() -> None:
    one = spread([float(number) for number in range(200, 0, -1)])
    assert (one.n, one.p50, one.p99, one.most) == (200, 101.0, 198.0, 200.0)
    assert spread([]).n == 0
