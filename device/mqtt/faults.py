"""What is wrong on the way to the people: latched until it is over, said once."""

from __future__ import annotations

import logging
from typing import Any

from device.clock import rfc3339

log = logging.getLogger(__name__)


class Faults:
    """Faults by their cause, a key of alerts.CAUSES; written by one thread, read by any."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, Any]] = {}

    def latch(self, cause: str, text: str, wall: float) -> None:
        """The fault is there; it keeps the time and the words with which it began."""
        if cause not in self._open:
            log.warning("%s", text)
            self._open = {
                **self._open,
                cause: {"cause": cause, "text": text[:300], "since": rfc3339(wall), "kind": "unit"},
            }

    def clear(self, cause: str) -> None:
        """The fault is over."""
        if cause in self._open:
            log.info("fault over: %s", cause)
            self._open = {name: fault for name, fault in self._open.items() if name != cause}

    def all(self) -> list[dict[str, Any]]:
        """The open faults as fault/active carries them: cause, text, since, kind."""
        return list(self._open.values())
