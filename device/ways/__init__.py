"""The ways out beside the broker, on the same outbox: webhook, relay, pager; each in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from device.clock import Clock, rfc3339
from device.journal import Journal
from device.settings import Settings
from device.spill import Spill
from device.store import FILE, StoreError
from device.ways.ledger import keep_only, make
from device.ways.names import names_of
from device.ways.pager import Pager
from device.ways.relay import Relay
from device.ways.way import Way
from device.ways.webhook import Webhook
from device.ways.worker import Worker

STOP_S = 3.0
"""A way that is in the middle of a message when the unit stops gets this long; the message waits on disk otherwise."""

ERROR_MAX = 300
"""Characters of a sentence on the health topic."""

MAKERS: dict[str, Callable[[Settings, Clock], Way]] = {"webhook": Webhook, "relay": Relay, "pager": Pager}
"""Section of the settings, and cause of the fault -> what carries."""


def prepare(settings: Settings, folder: Path) -> None:
    """Let messages be kept for the ways that are on, and forget the others. Raises StoreError."""
    names = names_of(settings)
    if not names and not (folder / FILE).exists():
        return
    with closing(Journal(folder, room=settings.unit.room)) as journal:
        if names:
            make(journal, names)
        keep_only(journal, names)


class Ways:
    """start, wake when the outbox has news, stop; faults() says which are broken."""

    def __init__(self, settings: Settings, folder: Path, clock: Clock, spill: Spill) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self.workers = {
            name: Worker(MAKERS[name](settings, clock), settings, folder, clock, spill) for name in names_of(settings)
        }

    def start(self) -> None:
        """Begin. A disk that takes nothing does not stop it: what memory has is carried."""
        with suppress(StoreError):
            prepare(self._settings, self._folder)
        for worker in self.workers.values():
            worker.start()

    def wake(self) -> None:
        for worker in self.workers.values():
            worker.wake()

    def stop(self) -> bool:
        """True when all had ended in time."""
        end = self._clock.now() + STOP_S
        for worker in self.workers.values():
            worker.ask_to_stop()
        return all([worker.join(max(0.0, end - self._clock.now())) for worker in self.workers.values()])

    def faults(self) -> dict[str, str]:
        """Way -> the sentence of its fault; "" while it works. The name is its cause in alerts.CAUSES."""
        return {name: worker.fault() for name, worker in self.workers.items()}

    def states(self) -> dict[str, dict[str, Any]]:
        """Way -> how it stands, as `ways` of the health topic has it (schemas/health.json)."""
        return {name: _state(worker) for name, worker in self.workers.items()}


def _state(worker: Worker) -> dict[str, Any]:
    """A fault comes later, once it has lasted; error says at once what is wrong."""
    return {
        "works": not worker.error,
        "error": worker.error[:ERROR_MAX],
        "waiting": worker.waiting,
        "last_at": None if worker.proved_at is None else rfc3339(worker.proved_at),
    }
