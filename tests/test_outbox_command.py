"""What `fallwatch outbox ls` shows of the receipts, as somebody types it who asks why nobody came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from device.cli import main
from device.records import Receipt
from tests.incident_samples import WALL, T, incident, open_outbox, put


def test_ls_shows_what_waits_for_which_receipt_and_which_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "unit.toml"
    config.write_text(f"[store]\nfolder = '{tmp_path / 'state'}'\n")
    outbox = open_outbox(tmp_path / "state")
    sent, unsent = put(outbox, incident()), put(outbox, incident("floor", "confirmed", 20.0))
    outbox.delivered({1: Receipt(sent.id, "broker", "b:1883", WALL + 6.0)}, WALL + 6.0, T + 6.0)
    outbox.journal.close()
    assert main(["outbox", "ls", "--json", "--config", str(config)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["alert_id"], row["waits_for"]) for row in rows] == [(unsent.id, "broker"), (sent.id, "consumer")]
    assert rows[0]["receipts"] == {"broker": None, "consumer": None, "human": None}
    assert rows[1]["receipts"]["broker"] == {"by": "b:1883", "at": "2026-11-18T11:06:46.000Z", "action": "received"}
    assert main(["outbox", "ls", "--config", str(config)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("floor_confirmed  0 attempts  waits for broker  (broker -, consumer -, human -)")
    assert "waits for consumer  (broker b:1883 2026-11-18T11:06:46.000Z, consumer -, human -)" in lines[1]


def test_a_store_that_is_only_looked_at_is_never_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "unit.toml"
    config.write_text(f"[store]\nfolder = '{tmp_path / 'state'}'\n")
    open_outbox(tmp_path / "state").journal.close()
    path = tmp_path / "state" / "fallwatch.db"
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * (path.stat().st_size - 4096))
    assert main(["outbox", "ls", "--config", str(config)]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert [one.name for one in path.parent.glob("*.damaged-*")] == []
