"""Retained topics: what is true now, published when it changes and again on every new connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from device.clock import rfc3339
from device.mqtt.link import Link, Post


class Truths:
    """The newest payload of each retained topic, and which of them the broker has been told on this connection.

    branch: what every topic lies below; "" where they are whole.
    """

    def __init__(self, branch: str) -> None:
        self.branch = branch
        self._wanted: dict[str, Mapping[str, Any] | str] = {}
        self._told: dict[str, Mapping[str, Any] | str] = {}
        self._flying: dict[int, tuple[str, float]] = {}

    def set(self, topic: str, payload: Mapping[str, Any] | str) -> None:
        """What is true now; text goes out as it is, a mapping as JSON with published_at."""
        self._wanted[topic] = payload

    def forget(self) -> None:
        """A new connection is told everything."""
        self._told.clear()
        self._flying.clear()

    def again(self, topic: str) -> None:
        """Tell this topic although nothing changed."""
        self._told.pop(topic, None)

    def all_again(self) -> None:
        """Tell every topic although nothing changed."""
        self._told.clear()

    def publish(self, link: Link, now: float, wall: float) -> None:
        """Tell what the broker does not know yet. Raises LinkError."""
        for topic, payload in self._wanted.items():
            if self._told.get(topic) != payload:
                text = payload if isinstance(payload, str) else json.dumps({**payload, "published_at": rfc3339(wall)})
                mid = link.publish(Post(f"{self.branch}/{topic}" if self.branch else topic, text, retain=True))
                self._flying[mid] = (topic, now)
                self._told[topic] = payload

    def acked(self, mid: int) -> str | None:
        """The topic that this receipt is for; None when it is none of ours."""
        topic, _ = self._flying.pop(mid, (None, 0.0))
        return topic

    def idle(self) -> bool:
        return not self._flying

    def overdue(self, now: float, deadline_s: float) -> bool:
        return any(now - t > deadline_s for _, t in self._flying.values())


def worth_telling(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """True when something other than a measurement changed: a number alone can wait for the next heartbeat."""
    return _facts(before) != _facts(after)


def _facts(health: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in health.items() if isinstance(value, bool) or not isinstance(value, int | float)
    }
