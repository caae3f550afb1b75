"""What comes in: receipts of consumers and answers of people, checked, journalled, passed on to the loop."""

from __future__ import annotations

import logging
import re
from collections import deque

from device.clock import Clock
from device.mqtt.faults import Faults
from device.outbox import Outbox
from device.payloads import INBOUND, PayloadError, inbound
from device.records import Receipt
from device.store import StoreError

log = logging.getLogger(__name__)

INBOX = 1000
"""Receipts kept for a loop that does not fetch them; the journal has them all."""


class Answers:
    """The door for messages from outside. Whatever comes through it, the courier goes on.

    inbox: Receipts that counted, newest last. count: how many counted. outbox: None while the journal cannot be opened.
    """

    def __init__(self, branch: str, clock: Clock, faults: Faults) -> None:
        self.inbox: deque[Receipt] = deque(maxlen=INBOX)
        self.count = 0
        self.outbox: Outbox | None = None
        self.topics = [f"{branch}/alert/+/{word}" for word in INBOUND]
        self._pattern = re.compile(rf"{re.escape(branch)}/alert/([a-zA-Z0-9_-]{{1,64}})/({'|'.join(INBOUND)})")
        self._clock = clock
        self._faults = faults

    def take(self, topic: str, raw: bytes) -> None:
        """One message; on return its effect is on disk, or one line in the log says why it has none."""
        try:
            self._enter(topic, raw)
        except PayloadError as error:
            log.warning("ignored a message: %s", error)
        except StoreError as error:
            self._faults.latch("disk", str(error), self._clock.wall())
        except Exception:  # a message must not be able to stop the alerts, whatever is wrong with it or with us
            log.exception("ignored a message on %.100r", topic)

    def _enter(self, topic: str, raw: bytes) -> None:
        match = self._pattern.fullmatch(topic)
        if match is None:
            raise PayloadError(f"{topic[:100]!r} is no topic of an answer, expected alert/<id>/receipt or ack")
        if self.outbox is None:
            raise StoreError("an answer came while the journal cannot be opened, and does not count; free the disk")
        alert_id, word = match.groups()
        receipt, nonce = inbound(word, alert_id, raw)
        refused = self.outbox.answer(receipt, nonce, self._clock.wall(), self._clock.now())
        if refused:
            log.info("%s: %s from %s does not count: %s", alert_id, receipt.action, receipt.by, refused)
        else:
            self.count += 1
            self.inbox.append(receipt)
