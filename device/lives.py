"""Where the lives of alerts and what staff have switched are kept: on disk, and in memory while the disk fails."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from dataclasses import asdict

from device.alert_life import Life, Moment, life_from, to_body
from device.alerts import alert_for
from device.feature import Feature, Name, feature_from
from device.journal import Journal, incident_from
from device.spill import Spill
from device.store import StoreError
from device.unreadable import WRONG, body_from, drop_unreadable


class Lives:
    """The newest life of every open alert, over the journal of the calling thread and the memory that threads share.

    Reading never fails: what a disk that cannot be read would know is taken from memory, which has everything that was
    read or written since the unit started. A row that is no life is taken out and comes back with the next change.
    """

    def __init__(self, journal: Journal, spill: Spill) -> None:
        self._journal = journal
        self._spill = spill

    def get(self, alert_id: str) -> Life | None:
        """How one alert stands; None for one that has no life, such as a test."""
        kept = self._spill.life(alert_id)
        try:
            row = self._journal.connection.execute("SELECT life FROM alert WHERE alert_id = ?", (alert_id,)).fetchone()
        except sqlite3.Error:
            return kept
        stored = None if row is None else self._life(row)
        newer = _newer(stored, kept)
        if newer is stored and stored is not None:
            self._spill.keep(stored)
        return newer

    def open(self) -> list[Life]:
        """Every open alert, oldest first."""
        found = {life.id: life for life in self._spill.lives()}
        try:
            rows = self._journal.connection.execute("SELECT life FROM alert WHERE open").fetchall()
            stored = [life for row in rows if (life := self._life(row)) is not None]
        except sqlite3.Error:
            stored = []
        for life in stored:
            newer = _newer(life, found.get(life.id)) or life
            found[life.id] = newer
            if newer is life:
                self._spill.keep(life)
        for alert_id in found.keys() - {life.id for life in stored}:  # memory alone, or ended by another process
            found[alert_id] = self.get(alert_id) or found[alert_id]
        return sorted((life for life in found.values() if life.open), key=lambda life: (life.alert.wall_start, life.id))

    def save(self, life: Life) -> None:
        """Write it down inside the caller's transaction, unless something newer is there."""
        self._journal.connection.execute(
            "INSERT INTO alert (alert_id, open, version, life) VALUES (?, ?, ?, ?) ON CONFLICT (alert_id) DO UPDATE"
            " SET open = excluded.open, version = excluded.version, life = excluded.life"
            " WHERE excluded.version > alert.version",
            (life.id, life.open, life.version, json.dumps(to_body(life))),
        )

    def orphans(self, now: Moment) -> list[Life]:
        """Lives for open events that have none: what a unit of an earlier version left. Raises sqlite3.Error."""
        rows = self._journal.connection.execute(
            "SELECT * FROM event WHERE state IN ('open', 'claimed', 'arrived')"
            " AND incident_id NOT IN (SELECT alert_id FROM alert)"
        ).fetchall()
        return [life for row in rows if (life := _life_of(row, now)) is not None]

    def of_event(self, alert_id: str, now: Moment) -> Life | None:
        """A life for an event that has none, open or not; None where there is no such event. Raises sqlite3.Error."""
        row = self._journal.event(alert_id)
        return None if row is None else _life_of(row, now)

    def feature(self, name: Name, room: str) -> Feature:
        """How a feature stands in a room. A disk that cannot be read knows of none: alerts ring, pictures are kept."""
        try:
            row = self._journal.connection.execute(
                "SELECT body FROM feature WHERE name = ? AND room = ?", (name, room)
            ).fetchone()
        except sqlite3.Error:
            row = None
        if row is not None:
            with suppress(*WRONG):
                return feature_from(body_from(row["body"]))
            self._mend()
        return Feature(name, room)

    def _life(self, row: sqlite3.Row) -> Life | None:
        with suppress(*WRONG):
            return life_from(body_from(row["life"]))
        self._mend()
        return None

    def _mend(self) -> None:
        """Not inside a transaction, which is somebody's who is deciding; it is met again soon."""
        if not self._journal.connection.in_transaction and not self._journal.readonly:
            with suppress(StoreError, sqlite3.Error):
                drop_unreadable(self._journal)

    def save_feature(self, feature: Feature) -> None:
        """Write it down inside the caller's transaction."""
        self._journal.connection.execute(
            "INSERT INTO feature (name, room, body) VALUES (?, ?, ?)"
            " ON CONFLICT (name, room) DO UPDATE SET body = excluded.body",
            (feature.name, feature.room, json.dumps(asdict(feature))),
        )


def _life_of(row: sqlite3.Row, now: Moment) -> Life | None:
    """It has never rung, so that it is due at once where it is open."""
    incident = incident_from(json.loads(row["incident"]))
    alert = alert_for(incident, incident.room or row["room"])
    if alert is None:
        return None
    return Life(
        alert,
        row["state"],
        now,
        by=row["by"] or "",
        cause=row["cause"] or "",
        outcome=row["outcome"] or "",
        grew_from=str(incident.detail.get("of", "")),
        model_id=row["model_id"] or "",
    )


def _newer(stored: Life | None, kept: Life | None) -> Life | None:
    """Of equally new ones the stored: another process may have written it."""
    if stored is None or kept is None:
        return stored or kept
    return kept if kept.version > stored.version else stored
