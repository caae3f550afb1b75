"""A webhook's receiver that is down, full of errors, slow, or hangs up: every message arrives once it is well again."""

from __future__ import annotations

import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device.chaos.bench import Bench, Lives, Outcome
from device.chaos.brokers import free_port
from device.chaos.kills import kill_often
from device.chaos.life import STUCK_S, Job, ShiftedClock, Ward
from device.chaos.links import falls, wait
from device.chaos.reckoning import reckon
from device.chaos.taps import Ledger, Points, tap_road
from device.clock import SystemClock
from device.outbox import Outbox
from device.salvage import open_journal
from device.settings import Mqtt, Settings
from device.settings_ways import Webhook
from device.spill import Spill
from device.ways import Ways
from device.ways import worker as worker_module

FALLS = 3
KILLS, QUICK_KILLS = 50, 4
TIMEOUT_S = 1.0
"""The shortest that webhook.timeout_s allows."""
SOON = {"BACKOFF_S": (0.05,), "REFUSED_RETRY_S": 0.2, "PATIENCE_S": 0.1, "TURN_S": 0.1}
"""Waits of a way out that a scenario need not sit through."""
OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"

Behaviour = Callable[[socket.socket], None]
"""What is done on a connection after a whole request has come."""


@dataclass(frozen=True, slots=True)
class Bad:
    """One kind of misbehaviour. reads: whether the receiver takes the request in before it does this."""

    what: str
    does: Behaviour
    reads: bool = True


def _says(raw: bytes) -> Behaviour:
    return lambda line: line.sendall(raw)


def _status(code: int, more: str = "") -> Behaviour:
    return _says(f"HTTP/1.1 {code} x\r\nContent-Length: 0\r\n{more}\r\n".encode())


def _late(line: socket.socket) -> None:
    time.sleep(TIMEOUT_S + 0.3)
    line.sendall(OK)


def _drop_by_drop(line: socket.socket) -> None:
    for at in range(len(OK)):
        line.sendall(OK[at : at + 1])
        time.sleep(TIMEOUT_S / 10)


def _nothing(line: socket.socket) -> None:
    """Hangs up, or lets the other side wait, as the caller does next."""


RECEIVERS = (
    Bad("answers 500", _status(500)),
    Bad("answers 503 and asks for patience", _status(503, "Retry-After: 1\r\n")),
    Bad("answers 403", _status(403)),
    Bad("answers 302", _status(302, "Location: http://127.0.0.1:1/\r\n")),
    Bad("answers too late", _late),
    Bad("answers drop by drop", _drop_by_drop),
    Bad("hangs up without a word", _nothing),
    Bad("hangs up in the middle of the request", _nothing, reads=False),
    Bad("hangs up in the middle of its answer", _says(b"HTTP/1.1 20")),
    Bad("speaks no HTTP", _says(b"\x00\xffnonsense\r\n\r\n")),
)
TIMES = 2
"""How often each misbehaves before it is good: fewer than the tries after which a message alone is put aside."""


@dataclass
class Receiver:
    """`with Receiver(port, bad) as one:` listens; after TIMES requests it is good. received: payloads, in order."""

    port: int
    bad: Bad | None = None
    received: list[dict[str, Any]] = field(default_factory=list)
    served: int = 0
    _socket: socket.socket | None = None

    def __enter__(self) -> Receiver:
        self._socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(self._socket,), name="chaos-webhook", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            with line, suppress(OSError):
                self._answer(line)

    def _answer(self, line: socket.socket) -> None:
        """One request at a time, as they come: the unit sends the next after the answer to the one before."""
        bad = self.bad if self.served < TIMES else None
        self.served += 1
        if bad is not None and not bad.reads:
            line.recv(20)
            return
        body = _body(line)
        if body is not None and body.get("type") != "heartbeat":
            self.received.append(body)
        (bad.does if bad is not None else _says(OK))(line)


def webhooks(bench: Bench) -> Outcome:
    """People fall while the receiver misbehaves; then it is good: everything has arrived, in order."""
    outcome = Outcome()
    with _hurried():
        for number, bad in enumerate(RECEIVERS):
            bench.tell("webhooks", number, len(RECEIVERS) + 1)
            _play(bench, outcome, bad)
        _away(bench, outcome)
    _killed(bench, outcome)
    return outcome


def _play(bench: Bench, outcome: Outcome, bad: Bad) -> None:
    port = free_port()
    with Receiver(port, bad) as receiver, _unit(bench, port) as (ways, outbox, place):
        falls(outbox, FALLS, SystemClock())
        ways.wake()
        _until_well(outcome, bad.what, ways, receiver)
        outcome.expect(receiver.served > TIMES, f"a receiver that {bad.what}: it was never bad")
        outcome.add(reckon(place, receiver.received))
    outcome.counts["webhooks"] += 1


def _away(bench: Bench, outcome: Outcome) -> None:
    """Nobody listens on the port for a while, and that is a fault; then somebody does."""
    port = free_port()
    with _unit(bench, port) as (ways, outbox, place):
        falls(outbox, FALLS, SystemClock())
        ways.wake()
        wait(lambda: bool(ways.faults()["webhook"]), outcome, "a receiver that is not there was not missed")
        with Receiver(port) as receiver:
            _until_well(outcome, "was not there", ways, receiver)
            outcome.add(reckon(place, receiver.received))
    outcome.counts["webhooks"] += 1


def _killed(bench: Bench, outcome: Outcome) -> None:
    """The unit is killed at random moments while it posts, and started again; one more life posts what is left."""
    port, place = free_port(), bench.place()
    lives = Lives(_settings(bench, place, port), place, target=posting)
    with Receiver(port) as receiver:
        kill_often(bench, outcome, lives, QUICK_KILLS if bench.quick else KILLS, "webhook")
        lives.finish(outcome, 0, "fall")
        outcome.add(reckon(place, receiver.received))


def posting(job: Job) -> None:
    """A life whose alerts go out by a webhook and nothing else; target of a child process."""
    logging.disable(logging.CRITICAL)
    for name, value in SOON.items():
        setattr(worker_module, name, value)
    ledger, clock, folder = Ledger(job.ledger), ShiftedClock(job.shift_s), job.settings.store.path()
    tap_road(Points(ledger, job.where, job.die_at))
    spill = Spill()
    ways = Ways(job.settings, folder, SystemClock(), spill)
    outbox = Outbox(open_journal(folder, job.settings.unit.room), job.settings, spill)
    ways.start()
    outbox.begin(clock.wall(), clock.now())
    ledger.say("begun")
    ward = Ward(outbox, clock, random.Random(job.seed), ledger)
    for act in job.plan if job.plan is not None else iter(lambda: "anything", ""):
        (ward.anything if act == "anything" else ward.acts[act])()
        ways.wake()
    ledger.say("ended" if _all_posted(outbox) else "stuck")
    ways.stop()
    outbox.journal.close()


def _all_posted(outbox: Outbox) -> bool:
    """Wait until the way is past the newest message; False when it is not in time."""
    past = "SELECT (SELECT min(seq) FROM way) >= (SELECT max(seq) FROM letter)"
    end = time.monotonic() + STUCK_S
    while time.monotonic() < end:
        if outbox.journal.connection.execute(past).fetchone()[0] in (1, None):  # None: no letter is left
            return True
        time.sleep(0.01)
    return False


def _until_well(outcome: Outcome, what: str, ways: Ways, receiver: Receiver) -> None:
    def arrived() -> bool:
        return len({payload["seq"] for payload in list(receiver.received)}) >= FALLS

    wait(arrived, outcome, f"a receiver that {what}: messages still wait for one that is good by now")
    state = ways.states
    wait(
        lambda: state()["webhook"]["works"] and not state()["webhook"]["waiting"],
        outcome,
        f"a receiver that {what}: the way does not know that it works again",
    )


@contextmanager
def _unit(bench: Bench, port: int) -> Iterator[tuple[Ways, Outbox, Path]]:
    """A unit whose only way to anybody is a webhook on this port; and the folder of its store."""
    place = bench.place()
    settings, spill = _settings(bench, place, port), Spill()
    with closing(open_journal(place, settings.unit.room)) as journal:
        ways = Ways(settings, place, SystemClock(), spill)
        ways.start()
        try:
            yield ways, Outbox(journal, settings, spill), place
        finally:
            ways.stop()


def _settings(bench: Bench, place: Path, port: int) -> Settings:
    secret = place / "secret"
    secret.write_text("a secret of the failure suite alone", encoding="utf-8")
    hook = Webhook(url=f"http://127.0.0.1:{port}/", secret_file=str(secret), timeout_s=TIMEOUT_S)
    return bench.unit(place, Mqtt(enabled=False)).model_copy(update={"webhook": hook})


@contextmanager
def _hurried() -> Iterator[None]:
    """The waits of the ways out cut short while this lasts, in this process."""
    before = {name: getattr(worker_module, name) for name in SOON}
    for name, value in SOON.items():
        setattr(worker_module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(worker_module, name, value)


def _body(line: socket.socket) -> dict[str, Any] | None:
    """The JSON of one request; None for one that ended before it was whole."""
    line.settimeout(10.0)
    raw = b""
    while b"\r\n\r\n" not in raw:
        more = line.recv(65_536)
        if not more:
            return None
        raw += more
    head, _, body = raw.partition(b"\r\n\r\n")
    size = _length(head.split(b"\r\n")[1:])
    while len(body) < size:
        more = line.recv(65_536)
        if not more:
            return None
        body += more
    found = json.loads(body)
    return found if isinstance(found, dict) else None


def _length(headers: Sequence[bytes]) -> int:
    named = dict(one.lower().split(b":", 1) for one in headers)
    return int(named.get(b"content-length", b"0"))
