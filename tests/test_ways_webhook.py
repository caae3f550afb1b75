"""The webhook against a real web server: signed, in order, retried, never stuck; kill -9 and a full disk."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import signal
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device import payloads
from device.journal import Journal
from device.outbox import Outbox
from device.settings import Settings
from device.spill import Spill
from device.store import StoreError
from device.ways import prepare, webhook, worker
from device.ways.way import Item, WayError
from device.ways.webhook import Webhook, secret_bytes, signed
from tests.conftest import REPO, eventually
from tests.incident_samples import alert_of, put
from tests.ways_made import CLOCK, a_test, at_work, just_now, outbox_of, says, settings_with, then
from tests.web_receiver import Posted, Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits of a night in tenths of a second."""
    monkeypatch.setattr(worker, "BACKOFF_S", (0.1, 0.2))
    monkeypatch.setattr(worker, "REFUSED_RETRY_S", 0.3)
    monkeypatch.setattr(worker, "PATIENCE_S", 0.5)
    monkeypatch.setattr(worker, "TURN_S", 0.1)


def settings_for(receiver: Receiver, folder: Path, **webhook: Any) -> Settings:
    secret = folder / "secret"
    folder.mkdir(parents=True, exist_ok=True)
    secret.write_text(SECRET)
    return settings_with(folder, webhook={"url": receiver.url, "secret_file": str(secret), **webhook})


def verified(posted: Posted, secret: str = SECRET) -> bool:
    """What docs/ways-out.md tells a receiver to do."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed_text = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.raw
    expected = base64.b64encode(hmac.new(key, signed_text, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(posted.headers["webhook-signature"], f"v1,{expected}")


def test_an_alert_arrives_as_on_mqtt_signed_and_in_order(receiver: Receiver, tmp_path: Path) -> None:
    settings = settings_for(receiver, tmp_path)
    with at_work(settings) as ways, outbox_of(settings) as outbox:
        fall = put(outbox, just_now())
        ways.wake()
        eventually(receiver.alerts)
        put(outbox, then(fall, "still_down"))
        says(outbox, fall.id, "claim")
        says(outbox, fall.id, "close", "nonce-0002")
        ways.wake()
        eventually(lambda: len(receiver.alerts()) >= 4)
        told = receiver.alerts()
    for body in told:
        payloads.validate("alert-event", body)
    assert [body["event_type"] for body in told] == ["fall_confirmed", "fall_still_down", "claimed", "closed"]
    assert [(body["seq"], body["attempt"]) for body in told] == [(1, 1), (2, 1), (3, 1), (4, 1)]
    assert {body["alert_id"] for body in told} == {fall.id}
    first = next(posted for posted in receiver.posted if not posted.heartbeat)
    assert verified(first)
    assert not verified(first, "whsec_" + base64.b64encode(b"another secret of theirs").decode())
    assert first.headers["webhook-id"] == f"{fall.id}_1"
    assert first.headers["content-type"] == "application/json"


def test_the_signature_is_the_one_of_the_convention() -> None:
    """The example of the Standard Webhooks specification (also what its library computes, see docs/ways-out.md)."""
    raw = b'{"test": 2432232314}'
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", raw, 1614265330, secret_bytes(SECRET))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    library = pytest.importorskip("standardwebhooks", reason="NOT INSTALLED: only the example was compared")
    body, now = b'{"schema": 1}', int(CLOCK.wall())
    assert library.Webhook(SECRET).verify(body, signed("m_1", body, now, secret_bytes(SECRET))) == {"schema": 1}


def test_a_sign_of_life_comes_without_an_alert_and_keeps_its_schema(receiver: Receiver, tmp_path: Path) -> None:
    with at_work(settings_for(receiver, tmp_path)):
        (beat,) = eventually(lambda: list(receiver.posted))
    payloads.validate("heartbeat", beat.body)
    assert beat.body["open"] == 0
    assert verified(beat)


def test_a_server_that_was_down_for_days_is_told_how_things_stand_and_not_what_is_over(
    receiver: Receiver, tmp_path: Path
) -> None:
    settings = settings_for(receiver, tmp_path)
    prepare(settings, tmp_path)
    with outbox_of(settings) as outbox:
        over = put(outbox, just_now(ago_s=90_000.0))
        put(outbox, just_now("fall", "recovered", 89_000.0, id=over.id, t_confirmed=1.0))
        still = put(outbox, just_now("floor", ago_s=80_000.0))
        put(outbox, just_now("floor", "still_down", 79_000.0, id=still.id))
        fresh = put(outbox, just_now())
        with at_work(settings):
            eventually(lambda: len(receiver.alerts()) >= 2)
            told = receiver.alerts()
            eventually(lambda: outbox.journal.connection.execute("SELECT seq FROM way").fetchone()["seq"] == 5)
    assert [(body["alert_id"], body["event_type"]) for body in told] == [
        (still.id, "floor_still_down"),
        (fresh.id, "fall_confirmed"),
    ]
    assert receiver.alerts() == told


def test_what_was_told_before_the_server_went_down_is_ended_when_it_is_back(receiver: Receiver, tmp_path: Path) -> None:
    settings = settings_for(receiver, tmp_path)
    with outbox_of(settings) as outbox:
        with at_work(settings) as ways:
            fall = put(outbox, just_now(ago_s=7000.0))
            ways.wake()
            eventually(receiver.alerts)
            receiver.stop()
            put(outbox, just_now("fall", "still_down", 6000.0, id=fall.id))
            put(outbox, just_now("fall", "recovered", 5000.0, id=fall.id, t_confirmed=1.0))
            ways.wake()
            eventually(lambda: "no answer" in ways.states()["webhook"]["error"])
            eventually(lambda: ways.faults()["webhook"])
            receiver.start()
            eventually(lambda: len(receiver.alerts()) == 2)
            eventually(lambda: not ways.faults()["webhook"])
        assert [body["type"] for body in receiver.alerts()] == ["new", "end"]
        told = outbox.journal.connection.execute("SELECT count(*) FROM way_told").fetchone()[0]
    assert told == 0, "nothing is remembered of what is over"


@pytest.mark.parametrize("status", [500, 503, 429, 0])
def test_a_server_in_trouble_is_tried_again_with_the_same_message(
    receiver: Receiver, tmp_path: Path, status: int
) -> None:
    tries = 3
    receiver.answer = lambda posted: 204 if posted.heartbeat or posted.body["attempt"] >= tries else status
    settings = settings_for(receiver, tmp_path)
    with at_work(settings) as ways, outbox_of(settings) as outbox:
        fall = put(outbox, just_now())
        ways.wake()
        eventually(lambda: len(receiver.alerts()) >= tries)
        eventually(lambda: not ways.states()["webhook"]["error"])
    assert [(body["alert_id"], body["seq"], body["attempt"]) for body in receiver.alerts()] == [
        (fall.id, 1, attempt) for attempt in range(1, tries + 1)
    ]


def test_a_wrong_secret_is_a_fault_at_once_and_is_over_when_both_sides_have_the_same(
    receiver: Receiver, tmp_path: Path
) -> None:
    good = "whsec_" + base64.b64encode(b"what the receiver was given").decode()
    receiver.answer = lambda posted: 204 if verified(posted, good) else 401
    settings = settings_for(receiver, tmp_path)
    with at_work(settings) as ways, outbox_of(settings) as outbox:
        fall = put(outbox, just_now())
        said = eventually(lambda: ways.faults()["webhook"])
        assert said == (
            f"http://localhost:{receiver.port}: answered 401 Unauthorized; webhook.secret_file must hold the same "
            "secret as the receiver"
        )
        (tmp_path / "secret").write_text(good)
        eventually(lambda: not ways.faults()["webhook"])
    assert receiver.alerts()[-1]["alert_id"] == fall.id, "the alert has waited"


def test_a_message_that_is_refused_alone_does_not_hold_up_the_next(receiver: Receiver, tmp_path: Path) -> None:
    with outbox_of(settings := settings_for(receiver, tmp_path)) as outbox, at_work(settings) as ways:
        bad = put(outbox, just_now())
        receiver.answer = lambda posted: 422 if not posted.heartbeat and posted.body["alert_id"] == bad.id else 204
        good = put(outbox, just_now("floor"))
        eventually(lambda: receiver.alerts() and receiver.alerts()[-1]["alert_id"] == good.id)
        eventually(lambda: not ways.states()["webhook"]["error"])
        entries = [entry["body"] for entry in outbox.journal.entries(incident_id=bad.id) if entry["what"] == "way"]
    assert len([body for body in receiver.alerts() if body["alert_id"] == bad.id]) == worker.REFUSALS
    assert '"outcome": "refused"' in entries[0]
    assert "422" in entries[0]


def post(receiver: Receiver, folder: Path, **webhook: Any) -> None:
    body = {"type": "new", "state": "open", "test": False}
    Webhook(settings_for(receiver, folder, **webhook), CLOCK).send(Item(1, "A", body, 0.0), 1, CLOCK.wall())


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (500, "look at the receiver's log", "passes"),
        (408, "look at the receiver's log", "passes"),
        (403, "must hold the same secret", "refused"),
        (404, "correct webhook.url", "refused"),
        (302, "correct webhook.url", "refused"),
        (400, "does not take this message", "only this"),
        (413, "does not take this message", "only this"),
    ],
)
def test_each_answer_has_its_sentence(receiver: Receiver, tmp_path: Path, status: int, said: str, kind: str) -> None:
    receiver.answer = lambda posted: status
    receiver.headers = {"Location": "https://elsewhere.example/"}
    with pytest.raises(WayError) as wrong:
        post(receiver, tmp_path)
    assert said in str(wrong.value)
    assert str(status) in str(wrong.value)
    assert "s3cret" not in str(wrong.value), "what follows the host may be a token"
    assert (wrong.value.refused, wrong.value.only_this) == (kind != "passes", kind == "only this")
    assert len(receiver.posted) == 1, "a redirect is not followed: it would carry the alert to who knows whom"


def test_a_server_may_ask_for_patience_but_not_for_silence(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answer = lambda posted: 503
    for asked, kept in (("7", 7.0), ("86400", webhook.RETRY_AFTER_MAX_S), ("Wed, 21 Oct 2026 07:28:00 GMT", None)):
        receiver.headers = {"Retry-After": asked}
        with pytest.raises(WayError) as busy:
            post(receiver, tmp_path)
        assert busy.value.retry_s == kept


def test_a_server_that_answers_a_byte_at_a_time_is_given_up(receiver: Receiver, tmp_path: Path) -> None:
    receiver.drip_s = 0.05
    began = CLOCK.now()
    with pytest.raises(WayError, match="no answer"):
        post(receiver, tmp_path, timeout_s=1.0)
    assert CLOCK.now() - began < 20.0, "every byte came in time, all of them would have taken 26 s"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory); write the secret into it"),
        ("sesame", "shorter than 16 characters"),
        ("whsec_this is no base64 at all!", "what follows whsec_ is no base64"),
    ],
)
def test_a_secret_that_is_none_is_named_and_never_shown(
    receiver: Receiver, tmp_path: Path, content: str | None, said: str
) -> None:
    way = Webhook(settings_for(receiver, tmp_path), CLOCK)
    (tmp_path / "secret").unlink() if content is None else (tmp_path / "secret").write_text(content)
    with pytest.raises(WayError) as wrong:
        way.turn([], 0.0)
    assert said in str(wrong.value)
    assert content is None or content not in str(wrong.value)
    assert receiver.posted == []


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for localhost, and a server that shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context


def test_a_certificate_is_checked_and_there_is_no_way_around_it(tmp_path: Path) -> None:
    cert, context = certificate(tmp_path / "tls")
    with Receiver(context) as receiver:
        with pytest.raises(WayError, match="certificate is not trusted") as wrong:
            post(receiver, tmp_path)
        assert wrong.value.refused
        with pytest.raises(WayError, match=r"ca_file .*none.pem: no such file"):
            post(receiver, tmp_path, ca_file=str(tmp_path / "none.pem"))
        post(receiver, tmp_path, ca_file=str(cert))
    assert len(receiver.posted) == 1


KILLED = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from device.settings_file import read_settings
    from device.ways import Ways
    from device.ways.webhook import Webhook
    from device.spill import Spill
    from tests.ways_made import CLOCK
    import os, signal, threading
    sent = Webhook.send
    def send(self, item, attempt, wall):
        sent(self, item, attempt, wall)
        if item.seq == 2:
            os.kill(os.getpid(), signal.SIGKILL)  # the receiver has it, the ledger does not know yet
    Webhook.send = send
    settings = read_settings(Path(sys.argv[1]))
    Ways(settings, settings.store.path(), CLOCK, Spill()).start()
    threading.Event().wait(30.0)
    """
)


def test_kill_9_between_sending_and_knowing_repeats_the_message_and_loses_none(
    receiver: Receiver, tmp_path: Path
) -> None:
    settings = settings_for(receiver, tmp_path)
    prepare(settings, tmp_path)
    with outbox_of(settings) as outbox:
        alerts = [put(outbox, just_now(kind)).id for kind in ("fall", "floor", "inactivity")]
    config = tmp_path / "unit.toml"
    config.write_text(
        f"[unit]\nsite='home1'\nid='cam-r12'\nroom='r12'\n[store]\nfolder='{tmp_path}'\n"
        f"[webhook]\nurl='{receiver.url}'\nsecret_file='{tmp_path / 'secret'}'\n"
    )
    died = subprocess.run([sys.executable, "-c", KILLED, str(config)], cwd=REPO, check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    assert [body["alert_id"] for body in receiver.alerts()] == alerts[:2]
    with at_work(settings):
        eventually(lambda: len(receiver.alerts()) >= 4)
    assert [body["alert_id"] for body in receiver.alerts()] == [*alerts[:2], *alerts[1:]]
    assert [body["seq"] for body in receiver.alerts()] == [1, 2, 2, 3]


def test_what_only_memory_knows_is_carried_too_and_told_once(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, spill = settings_for(receiver, tmp_path), Spill()
    with at_work(settings, spill) as ways, outbox_of(settings, spill) as outbox:
        before = put(outbox, just_now())
        ways.wake()
        eventually(lambda: len(receiver.alerts()) == 1)

        def full(*_: object, **__: object) -> None:
            raise StoreError("no space left")

        with monkeypatch.context() as broken:
            broken.setattr(Outbox, "_commit", full)
            lost = just_now("floor")
            assert outbox.put(lost, None, "m-1") is not None
            assert outbox.put(lost, alert_of(lost), "m-1") is not None
            ways.wake()
            eventually(lambda: len(receiver.alerts()) == 2)
        assert outbox.settle(CLOCK.wall(), CLOCK.now())
        after = put(outbox, just_now())
        ways.wake()
        eventually(lambda: len(receiver.alerts()) == 3)
    assert [body["alert_id"] for body in receiver.alerts()] == [before.id, lost.id, after.id]
    assert [body["seq"] for body in receiver.alerts()] == [1, 2, 3]


def test_a_test_is_marked_and_goes_at_once_by_a_last_resort_too(receiver: Receiver, tmp_path: Path) -> None:
    settings = settings_for(receiver, tmp_path, when="fallback")
    with at_work(settings) as ways, outbox_of(settings) as outbox:
        put(outbox, just_now())
        put(outbox, a_test())
        ways.wake()
        eventually(lambda: receiver.posted)
        assert receiver.alerts() == [], "the fall before it waits for a receiver's word, and messages keep their order"
        outbox.journal.connection.execute("DELETE FROM letter WHERE seq = 1")
        ways.wake()
        (told,) = eventually(receiver.alerts)
    assert told["test"]
    assert told["event_type"] == "test"


def test_a_way_that_is_switched_off_leaves_nothing_behind(receiver: Receiver, tmp_path: Path) -> None:
    settings = settings_for(receiver, tmp_path)
    prepare(settings, tmp_path)
    with outbox_of(settings) as outbox:
        put(outbox, just_now())
        count = "SELECT count(*) FROM letter"
        assert outbox.journal.connection.execute(count).fetchone()[0] == 1
        prepare(settings_with(tmp_path), tmp_path)
        put(outbox, just_now("floor"))
        assert outbox.journal.connection.execute(count).fetchone()[0] == 0


def test_a_journal_that_was_set_aside_for_a_new_one_is_noticed(receiver: Receiver, tmp_path: Path) -> None:
    settings = settings_for(receiver, tmp_path)
    with at_work(settings) as ways:
        eventually(lambda: receiver.posted)
        for name in ("fallwatch.db", "fallwatch.db-wal", "fallwatch.db-shm"):
            if (tmp_path / name).exists():
                (tmp_path / name).rename(tmp_path / f"aside-{name}")
        Journal(tmp_path).close()
        eventually(lambda: _copies(tmp_path))
        with outbox_of(settings) as outbox:
            fall = put(outbox, just_now())
            ways.wake()
            eventually(lambda: [body["alert_id"] for body in receiver.alerts()] == [fall.id])


def _copies(folder: Path) -> bool:
    journal = Journal(folder, readonly=True)
    try:
        return (
            journal.connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'letter_copied'").fetchone()
            is not None
        )
    finally:
        journal.close()


def test_a_way_that_stumbles_starts_again(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stumbles = iter([RuntimeError("a bug of ours")])
    send = Webhook.send

    def once(self: Webhook, item: Item, attempt: int, wall: float) -> None:
        if (error := next(stumbles, None)) is not None:
            raise error
        send(self, item, attempt, wall)

    monkeypatch.setattr(Webhook, "send", once)
    settings = settings_for(receiver, tmp_path)
    with caplog.at_level(logging.ERROR), at_work(settings) as ways, outbox_of(settings) as outbox:
        fall = put(outbox, just_now())
        ways.wake()
        eventually(lambda: [body["alert_id"] for body in receiver.alerts()] == [fall.id])
    assert "stumbled" in caplog.text


def test_a_thread_that_hangs_is_a_fault(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HUNG_S", 0.3)
    receiver.drip_s = 0.2
    settings = settings_for(receiver, tmp_path, timeout_s=2.0)
    with at_work(settings) as ways:
        assert "hangs" in eventually(lambda: ways.faults()["webhook"])
        receiver.stop()
