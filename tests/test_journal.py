"""The record of what was said, and the events a reviewer opens."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from device import store
from device.journal import Journal, incident_from, receipt_from
from device.records import Action, Incident, Receipt
from device.store import StoreError, connect
from tests.incident_samples import WALL, alert_of, incident, moved


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path, room="r12")
    yield journal
    journal.close()


def enter(journal: Journal, *incidents: Incident) -> None:
    for one in incidents:
        with journal.writing():
            journal.put_incident(one, "m-1")
            journal.put_alert(alert_of(one), one.t)


def answer(journal: Journal, alert_id: str, action: Action, nonce: str = "", by: str = "Anna") -> Receipt:
    receipt = Receipt(alert_id, "human", by, WALL + 30.0, action, "sat on the floor" if action == "close" else "")
    with journal.writing():
        journal.put_receipt(receipt, WALL + 31.0, 1031.0, nonce)
    return receipt


def test_an_incident_is_one_event_that_keeps_its_peak_and_its_first_confirmation(journal: Journal) -> None:
    first = incident("fall", "suspected", 0.0, peak=0.9)
    second = moved(first, "confirmed", 5.0)
    enter(
        journal,
        first,
        replace(second, peak=0.7),
        replace(moved(first, "still_down", 60.0), peak=0.8, wall_confirmed=None),
    )
    row = journal.event(first.id)
    assert row is not None
    assert (row["stage"], row["state"], row["room"], row["peak"]) == ("still_down", "open", "r12", 0.9)
    assert row["wall_confirmed"] == WALL + 5.0
    assert [entry["what"] for entry in journal.entries(incident_id=first.id)] == ["incident", "alert"] * 3


def test_faults_are_journalled_and_are_no_events(journal: Journal) -> None:
    fault = incident("blind", "latched", 30.0, detail={"cause": "frozen"})
    enter(journal, fault)
    assert journal.event(fault.id) is None
    assert journal.knows_alert(fault.id)
    assert journal.open_incidents() == []


def test_claim_arrive_close(journal: Journal) -> None:
    fall = incident()
    enter(journal, fall)
    for action, state in (("claim", "claimed"), ("arrive", "arrived"), ("close", "closed")):
        answer(journal, fall.id, action)  # type: ignore[arg-type]
        row = journal.event(fall.id)
        assert row is not None
        assert (row["state"], row["by"]) == (state, "Anna")
    assert journal.event(fall.id)["cause"] == "sat on the floor"  # type: ignore[index]
    assert journal.open_incidents() == []


def test_what_the_unit_sees_later_does_not_reopen_what_a_person_closed(journal: Journal) -> None:
    fall = incident()
    enter(journal, fall)
    answer(journal, fall.id, "close")
    enter(journal, moved(fall, "recovered", 50.0, down_s=40.0))
    row = journal.event(fall.id)
    assert row is not None
    assert (row["state"], row["stage"]) == ("closed", "recovered")


def test_a_restart_finds_the_incidents_that_were_open_as_they_were(journal: Journal) -> None:
    fall, over = incident(), incident("floor", "recovered", 60.0)
    enter(journal, fall, over)
    assert journal.open_incidents() == [fall]
    with Journal(journal.folder).connection as again:
        body = again.execute("SELECT incident FROM event WHERE incident_id = ?", (fall.id,)).fetchone()[0]
    assert incident_from(json.loads(body)) == fall


def test_an_answer_is_known_by_its_nonce_and_a_receipt_by_sender_and_moment(journal: Journal) -> None:
    fall = incident()
    enter(journal, fall)
    said = answer(journal, fall.id, "claim", nonce="abcd-1234")
    assert journal.has_receipt(said, "abcd-1234")
    assert not journal.has_receipt(said, "other-nonce")
    assert journal.has_receipt(said)
    assert not journal.has_receipt(replace(said, at=said.at + 1.0))
    assert not journal.has_receipt(replace(said, alert_id="another"), "abcd-1234")
    assert journal.last_answer(fall.id) == said


def test_the_newest_answer_of_a_person_counts_not_the_brokers(journal: Journal) -> None:
    fall = incident()
    enter(journal, fall)
    answer(journal, fall.id, "claim", by="Anna")
    last = answer(journal, fall.id, "arrive", by="Ben")
    with journal.writing():
        journal.put_receipt(Receipt(fall.id, "broker", "localhost:1883", WALL + 40.0), WALL + 40.0, 1040.0)
    assert journal.last_answer(fall.id) == last
    assert receipt_from({"nonce": "n", "alert_id": "a", "level": "human", "by": "b", "at": 1.0}).by == "b"


def test_a_transaction_that_fails_leaves_nothing_behind(journal: Journal) -> None:
    fall = incident()

    def cut_short() -> None:
        with journal.writing():
            journal.put_incident(fall, "m-1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        cut_short()
    assert journal.event(fall.id) is None
    assert journal.last_seq() == 0


def test_a_full_store_is_one_sentence_and_keeps_what_it_had(journal: Journal) -> None:
    fall = incident()
    enter(journal, fall)
    pages = journal.connection.execute("PRAGMA page_count").fetchone()[0]
    journal.connection.execute(f"PRAGMA max_page_count = {pages}")
    many = [incident() for _ in range(100)]
    with pytest.raises(StoreError, match=r"fallwatch\.db: not written .* free some disk") as caught:
        enter(journal, *many)
    assert "\n" not in str(caught.value)
    assert journal.event(fall.id) is not None


def test_a_store_of_a_newer_version_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no journal there yet"):
        Journal(tmp_path / "nowhere", readonly=True)
    (tmp_path / store.FILE).write_bytes(b"not a database, but longer than a header of SQLite would be" * 4)
    with pytest.raises(StoreError, match="its header is garbage"):
        Journal(tmp_path)
    newer = tmp_path / "newer"
    Journal(newer).close()
    with sqlite3.connect(newer / store.FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer fallwatch"):
        Journal(newer)


def test_many_that_open_a_new_store_at_once_all_get_it(tmp_path: Path) -> None:
    for n in range(20):
        folder = tmp_path / str(n)
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(journal_mode, [folder] * 8)) == ["wal"] * 8


def journal_mode(folder: Path) -> str:
    connection = connect(folder)
    mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    connection.close()
    return mode
