"""A unit's outbox with its ways out at work, and incidents of this very moment; for the tests of the ways out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from device.clock import SystemClock
from device.journal import Journal
from device.outbox import Outbox
from device.records import Incident, Kind, Receipt
from device.settings import Settings
from device.spill import Spill
from device.ways import Ways
from tests.incident_samples import incident

CLOCK = SystemClock()


def settings_with(folder: Path, **sections: Mapping[str, Any]) -> Settings:
    """Settings of unit cam-r12 in room r12, without a broker, its store in `folder`."""
    return Settings.model_validate(
        {
            "unit": {"site": "home1", "id": "cam-r12", "room": "r12"},
            "mqtt": {"enabled": False},
            "store": {"folder": str(folder), "reserve_mb": 1},
            **sections,
        }
    )


def just_now(kind: Kind = "fall", stage: str = "confirmed", ago_s: float = 0.0, **changes: Any) -> Incident:
    """An incident that has entered `stage` so long ago."""
    t, wall = CLOCK.now() - ago_s, CLOCK.wall() - ago_s
    return incident(kind, stage, **{"t": t, "wall": wall, "t_start": t - 5.0, "wall_start": wall - 5.0, **changes})


def then(before: Incident, stage: str, **changes: Any) -> Incident:
    """The same incident in its next stage, now."""
    return just_now(before.kind, stage, id=before.id, t_start=before.t_start, wall_start=before.wall_start, **changes)


def says(outbox: Outbox, alert_id: str, action: Any, nonce: str = "nonce-0001") -> None:
    """A nurse answers."""
    receipt = Receipt(alert_id, "human", "Anna", CLOCK.wall(), action)
    assert outbox.answer(receipt, nonce, CLOCK.wall(), CLOCK.now()).counts


def a_test() -> Incident:
    """What `fallwatch test-alert` puts in."""
    return replace(just_now("test"), score=0.0)


@contextmanager
def outbox_of(settings: Settings, spill: Spill | None = None) -> Iterator[Outbox]:
    """The outbox of the thread that sees."""
    journal = Journal(settings.store.path(), room=settings.unit.room)
    try:
        yield Outbox(journal, settings, spill)
    finally:
        journal.close()


@contextmanager
def at_work(settings: Settings, spill: Spill | None = None) -> Iterator[Ways]:
    """The ways out of a unit, stopped at the end."""
    ways = Ways(settings, settings.store.path(), CLOCK, spill or Spill())
    ways.start()
    try:
        yield ways
    finally:
        assert ways.stop(), "a way out did not stop"
