"""Tells Home Assistant that this unit is there, again whenever it has started, and takes it back when switched off."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path

from device.homeassistant import ONLINE, discovery_message, discovery_topic, status_topic
from device.mqtt.link import Link
from device.mqtt.truths import Truths
from device.settings import Settings

log = logging.getLogger(__name__)

FILE = "homeassistant.topic"
"""Beside the journal: where the message stands on the broker, so that it can be taken back one day."""
SPREAD_S = 2.0
"""After Home Assistant's start each unit waits a random part of this, so that a house does not answer all at once."""
STATES_S = 1.0
"""The states follow the discovery message after this: by then the entities are made and have subscribed."""


class Announcement:
    """One unit's discovery message on the broker; used by the courier's thread."""

    def __init__(self, settings: Settings, branch: str, folder: Path) -> None:
        self.topics = [status_topic(settings)] if settings.homeassistant.enabled else []
        self._enabled = settings.homeassistant.enabled
        self._topic = discovery_topic(settings)
        self._text = json.dumps(discovery_message(settings, branch)) if self._enabled else ""
        self._file = folder / FILE
        self._said = Truths("")
        self._announce_at: float | None = None
        self._states_at: float | None = None

    def greet(self) -> None:
        """A new connection: say it, or take back what an earlier run said."""
        self._said = Truths("")
        self._states_at = None
        self._announce_at = None
        stands = self._stands()
        for old in stands - ({self._topic} if self._enabled else set()):
            self._said.set(old, "")
        if self._enabled:
            self._remember(stands | {self._topic})
            self._said.set(self._topic, self._text)

    def takes(self, topic: str, payload: bytes, now: float) -> bool:
        """True for Home Assistant's own word; "online" has the message and the states said again soon."""
        if topic not in self.topics:
            return False
        if payload.strip() == ONLINE.encode():
            self._announce_at = now + random.uniform(0.0, SPREAD_S)
        return True

    def say(self, link: Link, states: Truths, now: float, wall: float) -> None:
        """Publish what is due. Raises LinkError."""
        if self._announce_at is not None and now >= self._announce_at:
            self._announce_at, self._states_at = None, now + STATES_S
            self._said.again(self._topic)
        if self._states_at is not None and now >= self._states_at:
            self._states_at = None
            states.all_again()
        self._said.publish(link, now, wall)

    def acked(self, mid: int, *, taken: bool) -> str | None:
        """The topic that this receipt is for; None when it is none of ours. taken: the broker has the message."""
        topic = self._said.acked(mid)
        if topic is not None and taken and not (self._enabled and topic == self._topic):
            self._remember(self._stands() - {topic})
        return topic

    def overdue(self, now: float, deadline_s: float) -> bool:
        return self._said.overdue(now, deadline_s)

    def _stands(self) -> set[str]:
        try:
            return set(self._file.read_text(encoding="utf-8").split())
        except (OSError, UnicodeDecodeError):
            return set()

    def _remember(self, topics: set[str]) -> None:
        """A disk that does not take it costs only that the message is not taken back one day."""
        if topics == self._stands():
            return
        try:
            if topics:
                part = self._file.with_suffix(".part")
                part.write_text("\n".join(sorted(topics)) + "\n", encoding="utf-8")
                part.replace(self._file)
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            log.debug("%s: %s", self._file, error)
