"""An alert that was put is on disk, or in memory and said so; it leaves when the broker has it, once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from device.journal import Journal
from device.outbox import Outbox, active_alert
from device.payloads import stamped, validate
from device.records import Action, Incident, Receipt
from device.reserve import Reserve
from device.spill import Spill
from device.store import StoreError
from tests.conftest import REPO
from tests.incident_samples import WALL, alert_of, incident, moved, open_outbox, put, unit_settings

LATER = (WALL + 100.0, 1100.0)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = open_outbox(tmp_path)
    yield outbox
    outbox.journal.close()


def broker_has(outbox: Outbox, seq: int, alert_id: str) -> StoreError | None:
    return outbox.delivered({seq: Receipt(alert_id, "broker", "localhost:1883", LATER[0])}, *LATER)


def says(outbox: Outbox, alert_id: str, action: Action, nonce: str = "") -> str:
    return outbox.answer(
        Receipt(alert_id, "human", "Anna", LATER[0], action), nonce or f"nonce-{action}", *LATER
    ).reason


def fill_up(outbox: Outbox) -> None:
    """No page more: what SQLite meets on a full disk."""
    pages = outbox.journal.connection.execute("PRAGMA page_count").fetchone()[0]
    outbox.journal.connection.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(1000):
        try:
            outbox.journal.say("padding", WALL, 0.0, {"x": "x" * 400})
        except StoreError:
            return


def make_room(outbox: Outbox) -> None:
    outbox.journal.connection.execute("PRAGMA max_page_count = 100000")


def test_incident_event_alert_and_message_are_written_together_and_wait_in_order(outbox: Outbox) -> None:
    fall = put(outbox, incident("fall", "suspected", 0.0))
    put(outbox, moved(fall, "confirmed", 5.0))
    put(outbox, incident("floor", "confirmed", 20.0))
    letters = outbox.pending()
    assert [letter.seq for letter in letters] == [1, 2, 3]
    assert [letter.payload["type"] for letter in letters] == ["new", "update", "new"]
    assert letters[0].alert_id == fall.id == outbox.journal.open_incidents()[0].id
    for letter in letters:
        validate("alert-event", stamped(letter.payload, letter.seq, 1, LATER[0]))
    assert [letter.seq for letter in outbox.pending(5, fall.id)] == [1, 2]


def test_a_silent_transition_is_journalled_and_not_sent(outbox: Outbox) -> None:
    noticed = incident("floor", "noticed", 2.0)
    assert outbox.put(noticed, None, "m-1") is None
    assert outbox.pending() == []
    assert outbox.journal.event(noticed.id) is not None


def test_the_last_message_of_an_alert_says_end_and_how(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    put(outbox, moved(fall, "recovered", 50.0, down_s=40.0))
    last = outbox.pending()[-1].payload
    assert (last["type"], last["state"], last["event_type"]) == ("end", "recovered", "fall_recovered")
    assert "after 40 s" in last["text"]


def test_the_brokers_receipt_takes_the_message_off_and_is_journalled(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    outbox.sent([1])
    assert outbox.pending()[0].attempts == 1
    assert broker_has(outbox, 1, fall.id) is None
    assert outbox.pending() == []
    assert outbox.waiting() == 0
    entry = outbox.journal.entries(incident_id=fall.id)[-1]
    assert entry["what"] == "receipt"
    assert '"broker"' in entry["body"]


def test_numbers_rise_for_ever_even_when_the_outbox_was_empty_and_after_a_restart(tmp_path: Path) -> None:
    first = open_outbox(tmp_path)
    one = put(first, incident())
    broker_has(first, 1, one.id)
    first.journal.close()
    second = open_outbox(tmp_path)
    put(second, incident())
    assert [letter.seq for letter in second.pending()] == [2]
    second.journal.close()


def test_two_writers_never_take_the_same_number(tmp_path: Path) -> None:
    one, two = open_outbox(tmp_path), open_outbox(tmp_path)
    for outbox in (one, two, two, one):
        put(outbox, incident())
    assert [letter.seq for letter in one.pending()] == [1, 2, 3, 4]
    one.journal.close()
    two.journal.close()


def test_claim_and_close_reach_everybody_else_and_end_the_alert(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    assert says(outbox, fall.id, "claim") == ""
    assert says(outbox, fall.id, "close") == ""
    claimed, closed = (letter.payload for letter in outbox.pending()[1:])
    assert (claimed["event_type"], claimed["type"], claimed["ack"]["by"]) == ("claimed", "update", "Anna")
    assert (closed["event_type"], closed["type"], closed["state"]) == ("closed", "end", "closed")
    assert closed["started_at"] == outbox.pending()[0].payload["started_at"]
    assert active_alert(outbox) == (None, None, 0)


def test_the_same_answer_twice_counts_once(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    assert says(outbox, fall.id, "claim", "nonce-001") == ""
    assert "before" in says(outbox, fall.id, "claim", "nonce-001")
    assert outbox.waiting() == 2


def test_an_answer_to_an_unknown_or_ended_alert_changes_nothing(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    assert "no alert with this id" in says(outbox, "01UNKNOWN", "claim")
    says(outbox, fall.id, "close")
    entries = outbox.journal.last_seq()
    for action in ("claim", "arrive", "close", "reject"):
        assert "too late, the alert is closed" in says(outbox, fall.id, action, f"late-{action}-1")
    assert outbox.journal.last_seq() == entries


def test_a_consumers_receipt_is_journalled_and_changes_no_state(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    desk = Receipt(fall.id, "consumer", "desk-1", LATER[0])
    assert outbox.answer(desk, "", *LATER).counts
    assert outbox.answer(desk, "", *LATER).repeated
    assert outbox.journal.event(fall.id)["state"] == "open"  # type: ignore[index]
    assert outbox.waiting() == 1


def test_the_worst_open_alert_is_the_unclaimed_then_the_loudest_then_the_oldest(outbox: Outbox) -> None:
    put(outbox, incident("fall", "suspected", 0.0))
    assert active_alert(outbox) == (None, None, 0), "a suspected fall does not light the lamp"
    floor = put(outbox, incident("floor", "confirmed", 20.0))
    fall = put(outbox, incident("fall", "confirmed", 5.0))
    alert, standing, count = active_alert(outbox)
    assert alert is not None
    assert (alert.incident_id, count) == (fall.id, 2)
    says(outbox, fall.id, "claim")
    alert, _, count = active_alert(outbox)
    assert alert is not None
    assert (alert.incident_id, count) == (floor.id, 2)
    says(outbox, floor.id, "reject")
    alert, standing, count = active_alert(outbox)
    assert alert is not None
    assert standing is not None
    assert (alert.incident_id, standing.state, standing.by, count) == (fall.id, "claimed", "Anna", 1)


def test_a_full_disk_gives_up_the_reserve_and_the_alert_is_on_disk(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outbox.settle(*LATER)
    assert outbox.reserve.path.stat().st_size == 1024 * 1024
    assert outbox.reserve.path.stat().st_blocks * 512 >= 1024 * 1024, "a sparse reserve would give nothing back"
    fill_up(outbox)
    release = outbox.reserve.release

    def give_up() -> bool:
        make_room(outbox)
        return release()

    monkeypatch.setattr(outbox.reserve, "release", give_up)
    fall = put(outbox, incident())
    assert not outbox.reserve.path.exists()
    assert [letter.alert_id for letter in outbox.pending()] == [fall.id]


def test_with_no_byte_free_the_alert_waits_in_memory_and_is_written_down_later(outbox: Outbox) -> None:
    before = put(outbox, incident())
    fill_up(outbox)
    fall = incident()
    error = outbox.put(fall, alert_of(fall), "m-1")
    assert error is not None
    assert "free some disk" in str(error)
    assert [letter.alert_id for letter in outbox.pending()] == [before.id, fall.id]
    assert [letter.seq for letter in outbox.pending()] == [1, 2]
    assert active_alert(outbox)[2] == 2, "alert/active knows what only memory knows"
    assert not outbox.settle(*LATER)
    make_room(outbox)
    assert outbox.settle(*LATER)
    assert outbox.spill.all() == []
    again = Journal(outbox.journal.folder, readonly=True)
    assert [row["alert_id"] for row in again.connection.execute("SELECT * FROM outbox ORDER BY seq")] == [
        before.id,
        fall.id,
    ]
    again.close()
    put(outbox, incident())
    assert [letter.seq for letter in outbox.pending()] == [1, 2, 3]


def test_two_threads_that_settle_at_once_write_everything_once(tmp_path: Path) -> None:
    spill = Spill()
    full = open_outbox(tmp_path, spill)
    fill_up(full)
    lost = [incident() for _ in range(20)]
    for one in lost:
        assert full.put(one, alert_of(one), "m-1") is not None
    full.journal.close()
    results: list[bool] = []

    def settle() -> None:
        outbox = open_outbox(tmp_path, spill)
        results.append(outbox.settle(*LATER))
        outbox.journal.close()

    threads = [threading.Thread(target=settle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = open_outbox(tmp_path)
    assert results == [True] * 4
    assert [letter.alert_id for letter in again.pending()] == [one.id for one in lost]
    assert [entry["what"] for entry in again.journal.entries(incident_id=lost[0].id)] == ["incident", "alert"]
    again.journal.close()


def test_what_was_sent_from_memory_is_journalled_with_its_receipt_and_not_sent_again(outbox: Outbox) -> None:
    fill_up(outbox)
    fall = incident()
    outbox.put(fall, alert_of(fall), "m-1")
    assert broker_has(outbox, outbox.pending()[0].seq, fall.id) is None
    assert outbox.pending() == []
    make_room(outbox)
    assert outbox.settle(*LATER)
    assert outbox.pending() == []
    whats = [entry["what"] for entry in outbox.journal.entries(incident_id=fall.id)]
    assert whats == ["incident", "alert", "receipt"]


def test_a_receipt_that_the_disk_does_not_take_is_not_sent_again_and_settles_later(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fall = put(outbox, incident())

    def refuse(*_: object) -> None:
        raise StoreError("no space")

    with monkeypatch.context() as full:
        full.setattr(outbox, "_remove", refuse)
        assert broker_has(outbox, 1, fall.id) is not None
        assert outbox.pending() == []
    assert outbox.settle(*LATER)
    assert outbox.journal.connection.execute("SELECT count(*) FROM outbox").fetchone()[0] == 0


def test_the_reserve_is_not_laid_down_on_a_disk_that_has_no_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = Reserve(tmp_path, unit_settings(tmp_path).store)

    class Usage:
        free = reserve.bytes

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    assert not reserve.keep()
    assert not reserve.release()
    assert list(tmp_path.iterdir()) == []


def test_an_alert_is_kept_when_the_store_cannot_be_read(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    put(outbox, incident())
    outbox.journal.connection.close()
    monkeypatch.setattr(outbox.journal, "connection", sqlite3.connect(":memory:", isolation_level=None))
    fall = incident()
    assert outbox.put(fall, alert_of(fall), "m-1") is not None
    assert [letter.alert_id for letter in outbox.pending()] == [fall.id], "what is in memory goes out all the same"
    with pytest.raises(StoreError, match="cannot be read"):
        outbox.unheard()
    assert not outbox.settle(*LATER)


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tests.incident_samples import incident, open_outbox, put
    outbox = open_outbox(Path(sys.argv[1]))
    while True:
        print(put(outbox, incident()).id, flush=True)
    """
)


def written_until_killed(folder: Path, alerts: int) -> list[str]:
    """Ids that the writer said were on disk before kill -9 met it in the middle of writing."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, cwd=REPO, text=True)
    assert writer.stdout is not None
    said = [writer.stdout.readline().strip() for _ in range(alerts)]
    os.kill(writer.pid, signal.SIGKILL)
    said += writer.stdout.read().split()
    writer.wait()
    return said


@pytest.mark.parametrize("alerts", [1, 7, 23])
def test_kill_9_in_the_middle_of_writing_loses_nothing_that_was_said_to_be_on_disk(tmp_path: Path, alerts: int) -> None:
    said = written_until_killed(tmp_path, alerts)
    outbox = open_outbox(tmp_path)
    waiting = [letter.alert_id for letter in outbox.pending(10_000)]
    assert waiting[: len(said)] == said
    assert len(waiting) - len(said) <= 1, "at most the one it was about to tell us of"
    opened: list[Incident] = outbox.journal.open_incidents()
    assert sorted(one.id for one in opened) == sorted(waiting), "event and message are one transaction"
    outbox.journal.close()
