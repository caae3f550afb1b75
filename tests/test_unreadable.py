"""A bit turns over in a text while the unit runs: that row is lost and said, and everything behind it goes on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from device.feature import Wish
from device.outbox import Outbox
from device.spill import Spill
from device.ways.ledger import Ledger, make
from tests.incident_samples import WALL, T, incident, open_outbox, put
from tests.test_ringing import takes


def spoil(outbox: Outbox, table: str, column: str, where: str, value: bytes = b"{ a bit has turned over") -> None:
    """As another hand would, behind the back of who has the store open."""
    with sqlite3.connect(outbox.journal.folder / "fallwatch.db") as connection:
        connection.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {where}", (value,))
    connection.close()


def said(outbox: Outbox) -> list[dict[str, Any]]:
    rows = [json.loads(row["body"]) for row in outbox.journal.entries() if row["what"] == "unit"]
    return [row for row in rows if row["said"] == "unreadable"]


@pytest.mark.parametrize("value", [b"{ a bit has turned over", b"[1, 2]", b"", b"\xff\xfe"])
def test_a_letter_that_cannot_be_read_is_said_and_the_ones_behind_it_go(tmp_path: Path, value: bytes) -> None:
    outbox = open_outbox(tmp_path)
    ids = [put(outbox, incident()).id for _ in range(3)]
    spoil(outbox, "outbox", "payload", "seq = 2", value)
    assert [one.alert_id for one in outbox.pending()] == [ids[0], ids[2]]
    (row,) = said(outbox)
    assert (row["table"], bytes.fromhex(row["content"])) == ("outbox", value)
    assert outbox.waiting() == 2, "it is taken out, so that nobody waits for it"
    outbox.tick(WALL + 70.0, T + 70.0)
    assert ids[1] in [one.alert_id for one in outbox.pending()], "the alert itself rings by its life"
    outbox.journal.close()


def test_on_a_disk_that_takes_nothing_it_is_passed_over_without_a_flood_in_the_log_and_said_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = open_outbox(tmp_path)
    ids = [put(outbox, incident()).id for _ in range(3)]
    spoil(outbox, "outbox", "payload", "seq = 2")
    takes(outbox, False)
    for _ in range(20):
        assert [one.alert_id for one in outbox.pending()] == [ids[0], ids[2]]
    assert caplog.records == []
    takes(outbox, True)
    assert [one.alert_id for one in outbox.pending()] == [ids[0], ids[2]]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert len(said(outbox)) == 1
    outbox.journal.close()


def test_a_text_with_a_wrong_byte_in_it_is_still_sent(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    put(outbox, incident())
    payload = json.dumps(outbox.pending()[0].payload).encode().replace(b"somebody", b"some\xffody")
    spoil(outbox, "outbox", "payload", "seq = 1", payload)
    assert outbox.pending()[0].payload["text"] == "r12: some\N{REPLACEMENT CHARACTER}ody fell and is on the floor"
    assert said(outbox) == []
    outbox.journal.close()


@pytest.mark.parametrize("value", [b"nothing", b'{"alert": {}}', b'{"stake": "open"}'])
def test_a_life_that_cannot_be_read_is_known_from_memory_and_rings_on(tmp_path: Path, value: bytes) -> None:
    outbox = open_outbox(tmp_path)
    fall = put(outbox, incident())
    spoil(outbox, "alert", "life", "1", value)
    assert [life.id for life in outbox.lives.open()] == [fall.id]
    outbox.tick(WALL + 70.0, T + 70.0)
    assert outbox.pending()[-1].payload["event_type"] == "unclaimed"
    assert [row["table"] for row in said(outbox)] == ["alert"]
    again = open_outbox(tmp_path, Spill())
    assert [life.tier for life in again.lives.open()] == [1], "it was written anew"
    again.journal.close()
    outbox.journal.close()


def test_a_presence_that_cannot_be_read_hushes_nobody(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    assert outbox.switch(Wish("staff", True, "Anna"), WALL, T).counts
    spoil(outbox, "feature", "body", "1")
    put(outbox, incident())
    assert outbox.pending()[0].payload["ring"]
    outbox.tick(WALL + 10.0, T + 10.0)
    assert [row["table"] for row in said(outbox)] == ["feature"]
    outbox.journal.close()


def test_a_way_out_goes_on_behind_a_message_that_cannot_be_read(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    make(outbox.journal, ["webhook"])
    ids = [put(outbox, incident()).id for _ in range(3)]
    ledger = Ledger(tmp_path, "webhook", Spill(), ["webhook"])
    assert ledger.open()
    spoil(outbox, "letter", "payload", "seq = 2")
    assert [item.alert_id for item in ledger.waiting()] == [ids[0], ids[2]]
    assert [row["table"] for row in said(outbox)] == ["letter"]
    ledger.close()
    outbox.journal.close()


def test_a_unit_that_starts_on_such_a_store_takes_an_alert_without_a_life_from_its_event(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    fall = put(outbox, incident())
    spoil(outbox, "alert", "life", "1")
    outbox.journal.close()
    again = open_outbox(tmp_path, Spill())
    assert again.lives.open() == []
    again.begin(WALL + 70.0, T + 70.0)
    assert [life.id for life in again.lives.open()] == [fall.id]
    again.journal.close()
