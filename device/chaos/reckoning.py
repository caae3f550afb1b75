"""What has to be true of a store at every moment, and of what was received once all is said: counted, not believed."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device import alert_life
from device.alert_life import Moment
from device.journal import Journal
from device.outbox import Outbox
from device.settings import Settings

LATER_S = 3700.0
"""Whatever calls has rung again by then: above every time that the settings allow."""
SAID = (
    "SELECT count(*) FROM journal WHERE what IN ('alert', 'ring', 'restart')"
    " OR (what = 'receipt' AND json_extract(body, '$.level') = 'human')"
)
"""Every entry of the journal with which a message was put into the outbox."""
LEFT = (
    "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM journal"
    " WHERE what = 'overtaken' OR (what = 'receipt' AND json_extract(body, '$.level') = 'broker'))"
)
"""Every message that waits, every one that a newer one overtook, and every one that the broker has confirmed."""
UNANSWERED = (
    "SELECT DISTINCT incident_id FROM journal AS said WHERE what = 'alert'"
    " AND NOT EXISTS (SELECT 1 FROM journal AS other WHERE other.incident_id = said.incident_id AND"
    " ((other.what = 'receipt' AND json_extract(other.body, '$.level') = 'human')"
    " OR (other.what = 'alert' AND json_extract(other.body, '$.ends'))))"
)
"""Alerts that nobody has answered and that nothing has ended, straight from the journal."""


@dataclass
class Reckoning:
    """lost, repeated_alarms, silent, torn: what must be 0. faults: a sentence about each."""

    messages: int = 0
    received: int = 0
    repeats: int = 0
    lost: int = 0
    repeated_alarms: int = 0
    out_of_order: int = 0
    silent: int = 0
    torn: int = 0
    faults: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if name != "faults"}


def disk_faults(folder: Path, settings: Settings, ledger: Sequence[Mapping[str, Any]], now: Moment) -> Reckoning:
    """What is wrong with a store that was just killed, before anybody has started it again."""
    found = Reckoning()
    with closing(Journal(folder, readonly=True)) as journal:
        if not journal.connection.execute("PRAGMA user_version").fetchone()[0] and not _promises(ledger):
            return found  # killed before it had made its tables: nothing was promised
        if (whole := _whole(journal)) != "ok":
            found.torn += 1
            found.faults.append(f"the database is not whole: {whole}")
            return found
        try:
            _compare(journal, settings, ledger, now, found)
        except sqlite3.DatabaseError as error:  # a table that an index contradicts passes the quick check
            found.torn += 1
            found.faults.append(f"the database cannot be read: {error}")
    return found


def _compare(
    journal: Journal, settings: Settings, ledger: Sequence[Mapping[str, Any]], now: Moment, found: Reckoning
) -> None:
    """Hold what a store says against what was promised; counts into `found`."""
    said, left = (int(journal.connection.execute(query).fetchone()[0]) for query in (SAID, LEFT))
    if said != left:
        found.lost += max(0, said - left)
        found.repeated_alarms += max(0, left - said)
        found.faults.append(f"{said} messages were written, {left} wait or have the broker's receipt")
    for gone in missing(journal, ledger):
        found.lost += 1
        found.faults.append(f"said to be on disk and is not: {gone}")
    for alert_id in silent(Outbox(journal, settings), now):
        found.silent += 1
        found.faults.append(f"nobody has answered {alert_id} and it will never ring again")


def _whole(journal: Journal) -> str:
    try:
        return str(journal.connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)


def _promises(ledger: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in ledger if line["did"] in ("told", "answered")]


def missing(journal: Journal, ledger: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a child said was on disk and the journal does not know."""
    gone = []
    for line in ledger:
        if line["did"] == "told":
            query, values = "what = 'alert' AND json_extract(body, '$.stage') = ?", line["stage"]
        elif line["did"] == "answered":
            query, values = "what = 'receipt' AND json_extract(body, '$.nonce') = ?", line["nonce"]
        else:
            continue
        rows = journal.connection.execute(
            f"SELECT 1 FROM journal WHERE incident_id = ? AND {query}", (line["alert"], values)
        )
        if rows.fetchone() is None:
            gone.append(f"{line['alert']} {line.get('stage') or line.get('action')}")
    return gone


def silent(outbox: Outbox, now: Moment) -> list[str]:
    """Alerts that should call somebody and never will again."""
    later = Moment(now.wall + LATER_S, now.t + LATER_S, now.boot)
    times = outbox.settings.alerts
    rings = {life.id for life in outbox.lives.open() if alert_life.due(life, later, times, staff=False) is not None}
    calling = {life.id for life in outbox.lives.open() if life.calls}
    rows = outbox.journal.connection.execute(UNANSWERED).fetchall()
    return sorted((calling | {str(row[0]) for row in rows}) - rings)


def reckon(folder: Path, received: Sequence[Mapping[str, Any]]) -> Reckoning:
    """Compare the journal of a unit that has sent everything with what arrived; received: payloads, in their order."""
    found = Reckoning(received=len(received))
    written, overtaken = _written(folder)
    found.messages = sum(written.values())
    meaning: dict[int, tuple[str, str]] = {}
    heard: dict[str, set[int]] = defaultdict(set)
    highest = 0
    for payload in received:
        alert_id, seq, word = str(payload["alert_id"]), int(payload["seq"]), str(payload["event_type"])
        if meaning.setdefault(seq, (alert_id, word)) != (alert_id, word):
            found.repeated_alarms += 1
            found.faults.append(f"number {seq} means {meaning[seq]} and {(alert_id, word)}")
        if seq not in heard[alert_id]:
            found.out_of_order += seq < highest
            highest = max(highest, seq)
        heard[alert_id].add(seq)
    found.repeats = found.received - sum(len(seqs) for seqs in heard.values())
    for alert_id in written.keys() | heard.keys():
        # One that was overtaken on its way may have arrived all the same.
        wrote, got = written[alert_id], len(heard[alert_id] - overtaken[alert_id])
        found.lost += max(0, wrote - got)
        found.repeated_alarms += max(0, got - wrote)
        if wrote != got:
            found.faults.append(f"{alert_id}: {wrote} messages were written and {got} different ones arrived")
    if found.out_of_order:
        found.faults.append(f"{found.out_of_order} messages came before one with a lower number")
    return found


def _written(folder: Path) -> tuple[Counter[str], dict[str, set[int]]]:
    """By alert: how many messages the journal says were made and not overtaken; the numbers of those that were."""
    written: Counter[str] = Counter()
    overtaken: dict[str, set[int]] = defaultdict(set)
    with closing(Journal(folder, readonly=True)) as journal:
        for row in journal.connection.execute("SELECT what, incident_id, body FROM journal ORDER BY seq"):
            body = json.loads(row["body"])
            human = row["what"] == "receipt" and body.get("level") == "human"
            if human or row["what"] in ("alert", "ring", "restart"):
                written[row["incident_id"]] += 1
            elif row["what"] == "overtaken":
                written[row["incident_id"]] -= 1
                overtaken[row["incident_id"]].add(body["seq"])
    return written, overtaken
