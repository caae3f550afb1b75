"""A broker that refuses, is late, says it twice, hangs up in the middle or is not there at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from device.alerts import alert_for
from device.chaos.bench import Bench, Outcome, loopback
from device.chaos.brokers import recording
from device.chaos.reckoning import reckon
from device.chaos.scripted_broker import CONNECT, PUBLISH, Line, Script, connack, disconnect, good, puback
from device.chaos.taps import swap
from device.clock import Clock, SystemClock
from device.incidents.policy import new_ulid
from device.mqtt import Courier
from device.mqtt import courier as courier_module
from device.mqtt import window as window_module
from device.outbox import Outbox
from device.records import Incident
from device.salvage import open_journal
from device.settings import Settings

FALLS = 3
PATIENCE_S = 60.0
SOON = {
    (courier_module, "BACKOFF_S"): (0.05,),
    (courier_module, "REFUSED_RETRY_S"): 0.2,
    (courier_module, "ANSWER_S"): 1.0,
    (courier_module, "ACK_DEADLINE_S"): 1.0,
    (window_module, "ACK_DEADLINE_S"): 1.0,
    (window_module, "REFUSED_RETRY_S"): 0.2,
    (window_module, "UNHEARD_RETRY_S"): 0.2,
}
"""Waits that a unit on a wall has seconds for; so that a scenario has not to sit through them."""


@dataclass(frozen=True, slots=True)
class Bad:
    """One kind of misbehaviour. fault: the cause that has to be latched meanwhile, "" for none."""

    what: str
    script: Script
    fault: str = ""


def _greeted(line: Line) -> None:
    line.take(CONNECT)
    line.say(connack())


def _late(line: Line) -> None:
    _greeted(line)
    sent = [line.alert() for _ in range(FALLS)]
    time.sleep(0.5)
    line.say(*(puback(one.mid) for one in reversed(sent)))
    line.serve()


def _missing(line: Line) -> None:
    _greeted(line)
    line.alert()
    line.take(PUBLISH, "a topic that never comes")


def _twice(line: Line) -> None:
    _greeted(line)
    for _ in range(FALLS):
        alert = line.alert()
        line.say(puback(alert.mid), puback(alert.mid))
    line.serve()


def _foreign(line: Line) -> None:
    _greeted(line)
    alert = line.alert()
    line.say(puback(alert.mid + 1000), puback(alert.mid + 2000))


def _refused(code: int) -> Script:
    def script(line: Line) -> None:
        _greeted(line)
        line.say(puback(line.alert().mid, code))
        line.serve()

    return script


def _no_entry(code: int) -> Script:
    def script(line: Line) -> None:
        line.take(CONNECT)
        line.say(connack(code))

    return script


def _cut(size: int) -> Script:
    def script(line: Line) -> None:
        _greeted(line)
        line.say(puback(line.alert().mid)[:size])

    return script


def _cut_ours(size: int) -> Script:
    def script(line: Line) -> None:
        _greeted(line)
        line.hear(size)

    return script


def _half_open(line: Line) -> None:
    _greeted(line)
    line.alert()
    line.freeze()


def _mute(line: Line) -> None:
    line.take(CONNECT)
    line.freeze()


def _leaving(line: Line) -> None:
    _greeted(line)
    line.alert()
    line.say(disconnect(0x8B))


def _rubbish(line: Line) -> None:
    _greeted(line)
    line.alert()
    line.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")


BROKERS = (
    Bad("PUBACK late and in the wrong order", _late),
    Bad("PUBACK missing", _missing),
    Bad("PUBACK twice", _twice),
    Bad("PUBACK of somebody else", _foreign),
    Bad("PUBACK 0x10 nobody listens", _refused(0x10), "nobody_listening"),
    Bad("PUBACK 0x80 error", _refused(0x80), "alert_refused"),
    Bad("PUBACK 0x87 not authorized", _refused(0x87), "alert_refused"),
    Bad("PUBACK 0x97 quota exceeded", _refused(0x97), "alert_refused"),
    Bad("CONNACK 0x87 not authorized", _no_entry(0x87)),
    Bad("CONNACK 0x88 unavailable", _no_entry(0x88)),
    Bad("CONNACK 0x97 quota exceeded", _no_entry(0x97)),
    Bad("CONNACK never", _mute),
    Bad("PUBACK cut after 1 byte", _cut(1)),
    Bad("PUBACK cut after 3 bytes", _cut(3)),
    Bad("our PUBLISH cut after 200 bytes", _cut_ours(200)),
    Bad("our PUBLISH cut after 700 bytes", _cut_ours(700)),
    Bad("half-open link", _half_open),
    Bad("DISCONNECT 0x8B shutting down", _leaving),
    Bad("no MQTT at all", _rubbish),
)


def misbehaviour(bench: Bench) -> Outcome:
    """Each kind of bad broker twice in a row, then a good one: everything arrives, once it can."""
    outcome = Outcome()
    with hurried():
        for number, bad in enumerate(BROKERS):
            bench.tell("brokers", number, len(BROKERS))
            with recording(bad.script, bad.script, good) as broker:
                place = bench.place()
                settings = bench.unit(place, broker.mqtt)
                seen = _faults_until_sent(settings, outcome, bad.what)
                found = reckon(place, broker.received)
                if bad.fault:
                    found.out_of_order = 0  # what was refused is said again behind the others, as it should be
                    found.faults = [one for one in found.faults if "lower number" not in one]
                    outcome.expect(bad.fault in seen, f"{bad.what}: {bad.fault} was not said to be a fault")
                found.faults = [f"{bad.what}: {one}" for one in found.faults]
                outcome.add(found)
                outcome.counts["brokers"] += 1
    return outcome


def refused_connection(bench: Bench) -> Outcome:
    """Nobody listens on the port for a while; then the broker is there."""
    outcome, place = Outcome(), bench.place()
    with hurried(), recording() as broker:
        port = broker.mqtt.port
    with hurried():
        settings = bench.unit(place, loopback(port))
        with unit_at(settings) as (courier, outbox):
            falls(outbox, FALLS, SystemClock())
            courier.wake()
            wait(lambda: "cannot be reached" in courier.error, outcome, "a broker that is not there was not missed")
            with recording(port=port) as broker:
                wait(lambda: outbox.waiting() == 0, outcome, "alerts still wait for a broker that is back")
                outcome.add(reckon(place, broker.received))
    return outcome


def _faults_until_sent(settings: Settings, outcome: Outcome, what: str) -> set[str]:
    """Put falls into the outbox of a unit and wait until the broker has them; the faults that were latched."""
    seen: set[str] = set()
    with unit_at(settings) as (courier, outbox):
        latch = courier.faults.latch

        def noted(cause: str, text: str, wall: float) -> None:
            seen.add(cause)
            latch(cause, text, wall)

        swap(courier.faults, "latch", noted)
        falls(outbox, FALLS, SystemClock())
        courier.wake()
        wait(lambda: outbox.waiting() == 0, outcome, f"{what}: alerts still wait for a broker that is good by now")
        outcome.expect(courier.alive(), f"{what}: the courier is dead")
    return seen


def falls(outbox: Outbox, count: int, clock: Clock) -> list[str]:
    """That many falls, each confirmed at this moment; their ids."""
    made = []
    for _ in range(count):
        t, wall = clock.now(), clock.wall()
        one = Incident(new_ulid(wall), "fall", "confirmed", t, wall, t - 5.0, wall - 5.0, t, wall, 0.9, 0.9)
        alert = alert_for(one, outbox.unit.room)
        assert alert is not None
        outbox.put(one, replace(alert, test=True), "chaos")
        made.append(one.id)
    return made


@contextmanager
def unit_at(settings: Settings, clock: Clock | None = None) -> Iterator[tuple[Courier, Outbox]]:
    """A unit's courier at work, by default on the machine's clock, and the outbox of the thread that sees."""
    folder = settings.store.path()
    courier = Courier(settings, folder, clock or SystemClock())
    with closing(open_journal(folder, settings.unit.room)) as journal:
        courier.start()
        try:
            yield courier, Outbox(journal, settings, courier.spill)
        finally:
            courier.stop()


@contextmanager
def hurried() -> Iterator[None]:
    """The courier's waits cut short while this lasts, in this process."""
    before = {key: getattr(*key) for key in SOON}
    for (module, name), value in SOON.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)


def wait(question: Callable[[], bool], outcome: Outcome, otherwise: str, patience_s: float = PATIENCE_S) -> None:
    """Ask until it is so; `otherwise` is the sentence about it when it never is."""
    end = time.monotonic() + patience_s
    while not question():
        if time.monotonic() > end:
            outcome.counts["stuck"] += 1
            outcome.fault(otherwise)
            return
        time.sleep(0.01)
