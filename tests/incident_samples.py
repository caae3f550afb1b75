"""Incidents as the policy makes them, for the tests of what comes after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ulid import ULID

from device.alerts import alert_for
from device.journal import Journal
from device.outbox import Outbox
from device.records import Alert, Incident, Kind
from device.settings import Settings
from device.spill import Spill

T, WALL = 1000.0, 1_795_000_000.0


def incident(kind: Kind = "fall", stage: str = "confirmed", after_s: float = 5.0, **changes: Any) -> Incident:
    """An incident that began at T and enters `stage` after_s seconds later; `changes` overrides any field."""
    confirmed = stage not in ("suspected", "noticed", "dismissed")
    ended = stage in ("recovered", "dismissed", "ended", "cleared")
    made = Incident(
        id=str(ULID()),
        kind=kind,
        stage=stage,
        t=T + after_s,
        wall=WALL + after_s,
        t_start=T,
        wall_start=WALL,
        t_confirmed=T + 5.0 if confirmed else None,
        wall_confirmed=WALL + 5.0 if confirmed else None,
        score=0.9,
        peak=0.95,
        ended=ended,
        evidence=(1, 2),
    )
    return replace(made, **changes)


def moved(before: Incident, stage: str, after_s: float, **detail: str | float) -> Incident:
    """The same incident in its next stage."""
    now = incident(before.kind, stage, after_s, id=before.id)
    return replace(now, detail={**before.detail, **detail})


def alert_of(one: Incident, room: str = "r12") -> Alert:
    alert = alert_for(one, room)
    assert alert is not None
    return alert


def unit_settings(folder: Path, port: int = 1, **mqtt: Any) -> Settings:
    """Settings of unit cam-r12 in room r12, its store in `folder`, its broker on loopback."""
    return Settings.model_validate(
        {
            "unit": {"site": "home1", "id": "cam-r12", "room": "r12"},
            "mqtt": {"host": "127.0.0.1", "port": port, **mqtt},
            "store": {"folder": str(folder), "reserve_mb": 1},
        }
    )


def open_outbox(folder: Path, spill: Spill | None = None) -> Outbox:
    """An outbox over a journal in `folder`; the caller closes `.journal`."""
    return Outbox(Journal(folder, room="r12"), unit_settings(folder), spill)


def put(outbox: Outbox, one: Incident) -> Incident:
    """Enter an incident with its alert, as the loop does; it must be on disk."""
    assert outbox.put(one, alert_for(one, "r12"), "m-1") is None
    return one
