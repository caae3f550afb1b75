"""A store that is damaged is set aside, what had to be said is still said, and the unit goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from device import header, salvage, store
from device.clock import SystemClock
from device.journal import Journal
from device.mqtt import Courier, LinkState
from device.outbox import Outbox
from device.spill import Spill
from device.store import StoreError
from tests.conftest import REPO, eventually
from tests.incident_samples import WALL, T, alert_of, incident, open_outbox, put, unit_settings
from tests.mosquitto import Listener, Mosquitto

LATER = (WALL + 100.0, T + 100.0)


def grown(folder: Path, alerts: int) -> list[str]:
    """A store with open alerts in it, closed and whole; returns their ids."""
    outbox = open_outbox(folder)
    ids = [put(outbox, incident()).id for _ in range(alerts)]
    outbox.journal.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox.journal.close()
    return ids


def spoil(folder: Path, table: str) -> None:
    """Overwrite the first page of a table: SQLite opens the file and stumbles when it reads there."""
    path = folder / store.FILE
    with sqlite3.connect(path) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xa5" * size)


def test_a_damaged_journal_costs_the_past_and_no_alert(tmp_path: Path) -> None:
    ids = grown(tmp_path, 30)
    spoil(tmp_path, "journal")
    outbox = open_outbox(tmp_path)
    fall = incident()
    assert outbox.put(fall, alert_of(fall), "m-1") is None, "it is on the new disk, not in memory"
    (aside,) = salvage.set_aside(tmp_path)
    assert [letter.alert_id for letter in outbox.pending()] == [*ids, fall.id]
    assert [letter.seq for letter in outbox.pending()] == list(range(1, 32)), "the numbers go on"
    assert {life.id for life in outbox.lives.open()} == {*ids, fall.id}
    assert outbox.journal.connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
    with pytest.raises(sqlite3.DatabaseError), sqlite3.connect(aside) as old:
        old.execute("SELECT * FROM journal").fetchall()
    outbox.journal.close()


def test_a_damaged_outbox_leaves_the_alerts_themselves_and_they_ring(tmp_path: Path) -> None:
    ids = grown(tmp_path, 5)
    spoil(tmp_path, "outbox")
    outbox = open_outbox(tmp_path)
    assert outbox.pending() == []
    assert len(salvage.set_aside(tmp_path)) == 1
    outbox.tick(WALL + 65.0, T + 65.0)
    assert [letter.alert_id for letter in outbox.pending()] == ids
    assert min(letter.seq for letter in outbox.pending()) > 5
    outbox.journal.close()


def test_what_is_no_database_at_all_is_set_aside_and_the_numbers_rise_above_all_before(tmp_path: Path) -> None:
    (tmp_path / store.FILE).write_bytes(b"a file system check wrote this" * 1000)
    journal = salvage.open_journal(tmp_path, "r12")
    assert salvage.set_aside(tmp_path)[0].read_bytes().startswith(b"a file system check")
    outbox = Outbox(journal, unit_settings(tmp_path))
    put(outbox, incident())
    assert outbox.pending()[0].seq > 1_700_000_000
    journal.close()


WOUNDS = {
    "all of it": (0, b"\xa5" * 100),
    "its name": (0, b"sqlite"),
    "page size": (16, b"\x00\x07"),
    "version to read": (19, b"\xff"),
    "version to write": (18, b"\xff"),
    "payload fractions": (21, b"\x00\x00\x00"),
    "format of the schema": (44, b"\xff\xff\xff\xff"),
    "encoding": (56, b"\x00\x00\x00\x09"),
    "number of our schema": (60, b"\x7f\xff\xff\xff"),
    "number of our schema, below 0": (60, b"\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("what", WOUNDS)
def test_behind_a_header_of_garbage_everything_is_rescued_and_it_is_reported(tmp_path: Path, what: str) -> None:
    ids = grown(tmp_path, 5)
    path, (at, garbage) = tmp_path / store.FILE, WOUNDS[what]
    with path.open("r+b") as file:
        file.seek(at)
        file.write(garbage)
        file.seek(0)
        before = file.read(100)
    outbox = Outbox(salvage.open_journal(tmp_path, "r12"), unit_settings(tmp_path))
    fall = put(outbox, incident())
    assert [letter.alert_id for letter in outbox.pending()] == [*ids, fall.id]
    assert [letter.seq for letter in outbox.pending()] == list(range(1, 7))
    assert {life.id for life in outbox.lives.open()} == {*ids, fall.id}
    aside, header = salvage.set_aside(tmp_path)
    assert header.read_bytes() == before, "what was there is kept"
    with sqlite3.connect(aside) as old:
        assert old.execute("SELECT count(*) FROM journal WHERE what = 'alert'").fetchone()[0] == 5, "the past with it"
    old.close()
    outbox.journal.close()


def test_an_empty_file_where_a_store_was_in_use_is_reported_and_the_numbers_rise(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    put(outbox, incident())
    assert outbox.settle(*LATER)
    outbox.journal.close()
    (tmp_path / store.FILE).write_bytes(b"")
    journal = salvage.open_journal(tmp_path, "r12")
    assert [one.stat().st_size for one in salvage.set_aside(tmp_path)] == [0]
    outbox = Outbox(journal, unit_settings(tmp_path))
    put(outbox, incident())
    assert outbox.pending()[0].seq > 1_700_000_000
    outbox.journal.close()


def test_a_file_that_somebody_is_about_to_make_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / store.FILE).touch()
    salvage.open_journal(tmp_path, "r12").close()
    assert salvage.set_aside(tmp_path) == []


def test_a_whole_store_is_never_set_aside(tmp_path: Path) -> None:
    grown(tmp_path, 3)
    assert salvage.replace(tmp_path) is None
    assert salvage.set_aside(tmp_path) == []


def test_two_threads_that_find_the_damage_at_once_set_it_aside_once(tmp_path: Path) -> None:
    ids = grown(tmp_path, 3)
    spoil(tmp_path, "journal")
    spill = Spill()
    ready = threading.Barrier(4)
    falls = [incident() for _ in range(4)]

    def work(fall_at: int) -> None:
        outbox = open_outbox(tmp_path, spill)
        ready.wait(60.0)
        fall = falls[fall_at]
        outbox.put(fall, alert_of(fall), "m-1")
        outbox.journal.close()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outbox = open_outbox(tmp_path, spill)
    assert outbox.settle(*LATER)
    assert len(salvage.set_aside(tmp_path)) == 1
    assert {letter.alert_id for letter in outbox.pending()} == {*ids, *(one.id for one in falls)}
    outbox.journal.close()


def test_a_connection_to_the_old_file_follows_to_the_new_one(tmp_path: Path) -> None:
    grown(tmp_path, 1)
    stays = open_outbox(tmp_path)
    spoil(tmp_path, "journal")
    assert salvage.replace(tmp_path) is not None
    fall = put(stays, incident())
    again = open_outbox(tmp_path)
    assert fall.id in {letter.alert_id for letter in again.pending()}
    for outbox in (stays, again):
        outbox.journal.close()


def test_what_was_committed_to_the_old_file_while_it_was_set_aside_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(tmp_path, 1)
    outbox = open_outbox(tmp_path)
    write = outbox._write

    def set_aside_meanwhile(one: object) -> None:
        write(one)  # type: ignore[arg-type]
        if not salvage.set_aside(tmp_path):
            aside = tmp_path / f"{salvage.ASIDE}1"
            os.link(tmp_path / store.FILE, aside)
            Journal(tmp_path / "other").close()
            os.replace(tmp_path / "other" / store.FILE, tmp_path / store.FILE)

    monkeypatch.setattr(outbox, "_write", set_aside_meanwhile)
    fall = incident()
    outbox.put(fall, alert_of(fall), "m-1")
    assert outbox.settle(*LATER)
    again = open_outbox(tmp_path)
    assert fall.id in {letter.alert_id for letter in again.pending()}
    for one in (outbox, again):
        one.journal.close()


def test_a_disk_that_lets_nothing_be_opened_does_not_keep_an_alert(tmp_path: Path) -> None:
    """A folder that cannot be made, because a file is in its place; then it can."""
    place = tmp_path / "state"
    place.write_text("in the way")
    with pytest.raises(StoreError):
        Journal(place)
    journal = salvage.open_journal(place, "r12")
    outbox = Outbox(journal, unit_settings(tmp_path))
    fall = incident()
    assert outbox.put(fall, alert_of(fall), "m-1") is not None
    assert [letter.alert_id for letter in outbox.pending()] == [fall.id]
    assert not outbox.settle(*LATER)
    place.unlink()
    assert outbox.settle(*LATER)
    again = Journal(place, readonly=True)
    assert [row["alert_id"] for row in again.connection.execute("SELECT * FROM outbox")] == [fall.id]
    for one in (journal, again):
        one.close()


def test_a_store_that_is_damaged_under_a_running_courier_delivers_everything(tmp_path: Path) -> None:
    folder = tmp_path / "unit"
    with Mosquitto(tmp_path / "broker") as broker, Listener(broker.port) as nurse:
        settings = unit_settings(folder, broker.port)
        courier = Courier(settings, folder, SystemClock())
        outbox = Outbox(salvage.open_journal(folder, "r12"), settings, courier.spill)
        courier.start()
        eventually(lambda: courier.state is LinkState.CONNECTED, 60.0)
        before = [put(outbox, incident()).id for _ in range(5)]
        courier.wake()
        eventually(lambda: outbox.waiting() == 0, 60.0)
        outbox.journal.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        spoil(folder, "journal")
        after = [incident() for _ in range(20)]
        for one in after:
            outbox.put(one, alert_of(one), "m-1")
            courier.wake()
        wanted = [*before, *(one.id for one in after)]
        eventually(lambda: {one.body["alert_id"] for one in nurse.on("alert/event")} == set(wanted), 60.0)
        eventually(lambda: outbox.settle(*LATER) and outbox.waiting() == 0, 60.0)
        assert courier.stop(20.0)
        outbox.journal.close()
    assert len(salvage.set_aside(folder)) == 1


LAST_TO_CLOSE = """
import sys
from pathlib import Path
from device.store import connect
connection = connect(Path(sys.argv[1]))
connection.execute("CREATE TABLE another (n)")
connection.close()
"""


def test_opening_a_store_again_leaves_the_locks_of_whoever_has_it_open(tmp_path: Path) -> None:
    first = store.connect(tmp_path)
    first.execute("BEGIN IMMEDIATE")
    first.execute("COMMIT")
    store.connect(tmp_path).close()
    # Another process that closes the store may not take itself for the last one and remove the log.
    subprocess.run([sys.executable, "-c", LAST_TO_CLOSE, str(tmp_path)], check=True, cwd=REPO)
    assert (tmp_path / f"{store.FILE}-wal").exists()
    assert first.execute("SELECT count(*) FROM another").fetchone()[0] == 0
    first.close()


def test_headers_of_many_stores_are_read_with_few_descriptors(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for n in range(3 * header.MOST_OPEN):
        store.connect(tmp_path / str(n)).close()
        assert header.wound(tmp_path / str(n) / store.FILE) == ""
    assert len(os.listdir("/proc/self/fd")) <= before + header.MOST_OPEN + 3
