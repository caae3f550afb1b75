"""Whatever comes in over the wire and is out of contract: no crash, no hang, and no byte of the unit's state changes.

`FALLWATCH_FUZZ=100000` plays the full number; the default takes seconds. The seed is fixed, so that a failure repeats.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from device.clock import SystemClock, rfc3339
from device.feature import NAMES
from device.inbound import inbound, wish
from device.mqtt.answers import RESULTS, Answers
from device.mqtt.faults import Faults
from device.mqtt.link import Message
from device.outbox import Outbox
from device.payloads import PayloadError, validate
from tests.incident_samples import incident, open_outbox, put, unit_settings

COUNT = int(os.environ.get("FALLWATCH_FUZZ", "6000"))
SEED = 20261128
BRANCH = "fallwatch/home1/cam-r12"
SLOWEST_S = 2.0
"""CPU seconds that one message may take: far above the milliseconds it does, far below what would hold up an alert."""

GOOD: dict[str, dict[str, Any]] = {
    "ack": {
        "schema": 1,
        "action": "close",
        "by": "Anna",
        "at": "",
        "nonce": "abcd-1234",
        "cause": "fell",
        "outcome": "well",
    },
    "receipt": {"schema": 1, "by": "desk-1", "at": "", "seq": 1},
    "set": {"schema": 1, "state": "ON", "by": "Anna", "at": "", "nonce": "abcd-1234", "room": "r12", "seconds": 60},
}
ODD: list[Any] = [
    None, True, False, 0, -1, 1e308, -1e308, 2**53, 2**70, 0.1, "", " ", "ON", "open", "claim\n", "\u0000", "\ud800",
    "x" * 65, "x" * 3000, "2026-11-22T03:14:07Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z", "2026-11-22T03:14:07+99:99", "../../etc/passwd", "'; DROP TABLE alert; --", "🙂" * 20,
    [], {}, [[]], [1] * 50, {"by": "Anna"}, {"$ref": "#"},
]  # fmt: skip
BYTES = [
    b"",
    b"\x00",
    b"{}",
    b"[]",
    b"null",
    b"NaN",
    b"Infinity",
    b"ON ",
    b"on",
    b"\xff\xfe{}",
    b"{" * 3000,
    b"[" * 4096,
]


def mutated(rng: random.Random, kind: str) -> bytes:
    """One payload that began as a good one, or as nothing."""
    body = {**GOOD[kind], "at": rfc3339(time.time())}
    how = rng.randrange(8)
    if how == 0:
        return rng.choice(BYTES) if rng.random() < 0.5 else rng.randbytes(rng.randrange(0, 400))
    if how == 1:
        raw = bytearray(json.dumps(body).encode())
        for _ in range(rng.randrange(1, 6)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        return bytes(raw)
    if how == 2:
        raw_text = json.dumps(body).encode()
        return raw_text[: rng.randrange(len(raw_text))]
    if how == 3:
        return json.dumps(body).encode() + b" " * rng.choice([0, 5000]) + rng.choice([b"{}", b"x", b"\x00", b","])
    for _ in range(rng.randrange(1, 4)):
        key = rng.choice([*body, "action", "kind", "__proto__", ""])
        if how == 4:
            body.pop(key, None)
        elif how == 5:
            body[key] = rng.choice(ODD)
        else:
            body[rng.choice(list(body) or ["by"])] = [rng.choice(ODD) for _ in range(rng.randrange(3))]
    return json.dumps(body).encode("utf-8", "surrogatepass" if how == 7 else "strict")


def good(topic: str, raw: bytes) -> bool:
    """Whether a message keeps its contract after all, and so may change something."""
    parts = topic.removeprefix(f"{BRANCH}/").split("/")
    try:
        if parts[-1] == "set" and parts[0] in NAMES:
            wish(next(name for name in NAMES if name == parts[0]), raw)
        else:
            inbound(parts[-1], parts[1] if len(parts) > 1 else "", raw)
    except PayloadError:
        return False
    return True


def snapshot(outbox: Outbox) -> list[list[tuple[Any, ...]]]:
    tables = ("journal", "outbox", "unheard", "alert", "feature", "event")
    return [[tuple(row) for row in outbox.journal.connection.execute(f"SELECT * FROM {name}")] for name in tables]


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = open_outbox(tmp_path)
    yield made
    made.journal.close()


def topics(rng: random.Random, alert_id: str) -> Callable[[], tuple[str, str]]:
    """Topics to throw at, and which kind of payload belongs there; now and then one that is none."""
    known = [
        (f"{BRANCH}/alert/{alert_id}/ack", "ack"),
        (f"{BRANCH}/alert/{alert_id}/receipt", "receipt"),
        (f"{BRANCH}/staff/set", "set"),
        (f"{BRANCH}/privacy/set", "set"),
    ]
    wrong = [
        f"{BRANCH}/alert/{alert_id}", f"{BRANCH}/alert//ack", f"{BRANCH}/alert/{'x' * 65}/ack", "", "/", "#", "\x00",
        f"{BRANCH}/alert/{alert_id}/ack/", f"{BRANCH}/alert/a/b/ack", "fallwatch/home1/cam-r13/staff/set",
        f"{BRANCH}/alert/{alert_id}/ack\n", f"{BRANCH}/{'x' * 5000}",
    ]  # fmt: skip

    def one() -> tuple[str, str]:
        return (rng.choice(wrong), rng.choice(list(GOOD))) if rng.random() < 0.1 else rng.choice(known)

    return one


def test_nothing_out_of_contract_changes_anything(outbox: Outbox) -> None:
    logging.disable(logging.ERROR)  # one line each is what they are to get; 100,000 of them help nobody here
    try:
        play(outbox, COUNT)
    finally:
        logging.disable(logging.NOTSET)


def play(outbox: Outbox, count: int) -> None:
    fall = put(outbox, incident())
    rng = random.Random(SEED)
    faults, clock = Faults(), SystemClock()
    answers = Answers(BRANCH, unit_settings(outbox.journal.folder).unit, clock, faults)
    answers.outbox = outbox
    before = snapshot(outbox)
    pick = topics(rng, fall.id)
    thrown, results, slowest = 0, 0, 0.0
    while thrown < count:
        topic, kind = pick()
        raw = mutated(rng, kind)
        if topic.startswith(BRANCH) and good(topic, raw):
            continue
        began = time.process_time()
        answers.take(Message(topic, raw, rng.random() < 0.1, rng.choice(["", "ward/x", "#", f"{BRANCH}/alert/active"])))
        slowest = max(slowest, time.process_time() - began)
        thrown += 1
        while answers.results:
            post = answers.results.popleft()
            validate("result", json.loads(post.payload))
            assert not json.loads(post.payload)["counts"]
            results += 1
        if thrown % 5000 == 0:
            assert snapshot(outbox) == before
    assert snapshot(outbox) == before
    assert (answers.count, list(answers.inbox), faults.all()) == (0, [], [])
    assert results > count // 2, "who says something readable on a topic of ours is told why it does not count"
    assert slowest < SLOWEST_S
    assert answers.results.maxlen == RESULTS


def test_the_unspoilt_payloads_of_this_test_do_count(outbox: Outbox) -> None:
    """Else the test above could not fail: its payloads would be wrong before they were spoilt."""
    fall = put(outbox, incident())
    clock = SystemClock()
    answers = Answers(BRANCH, unit_settings(outbox.journal.folder).unit, clock, Faults())
    answers.outbox = outbox
    for topic, kind in (
        ("alert/{}/receipt", "receipt"),
        ("alert/{}/ack", "ack"),
        ("staff/set", "set"),
        ("privacy/set", "set"),
    ):
        body = {**GOOD[kind], "at": rfc3339(time.time())}
        answers.take(Message(f"{BRANCH}/{topic.format(fall.id)}", json.dumps(body).encode()))
    assert answers.count == 4
