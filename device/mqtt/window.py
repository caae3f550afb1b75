"""The few alerts that are on their way at this moment: in order, bounded, each with a deadline for its receipt."""

from __future__ import annotations

import json
from dataclasses import dataclass

from device.clock import Clock
from device.mqtt.faults import Faults
from device.mqtt.link import Acked, Link, Post
from device.outbox import Outbox
from device.payloads import stamped
from device.records import Receipt
from device.spill import Letter

SIZE = 16
"""In flight at once: every group costs two disk syncs, and what is in flight is sent again after a lost link."""
TRUTHS = 10
"""Retained topics and results that may be in flight beside the alerts; together within the 20 that Mosquitto allows."""
ACK_DEADLINE_S = 10.0
"""A broker in the building acknowledges in milliseconds; after this the link is given up and made anew."""
REFUSED_RETRY_S = 10.0
"""An alert that the broker refused is tried again after this; the ones behind it do not wait for it."""
UNHEARD_RETRY_S = 5.0
UNHEARD_S = 30.0
"""The broker has the alert and nobody to give it to: said again for this long, because after a broker's restart the
unit may be back before the desk. Then it counts as delivered; alert/active tells whoever comes later."""
PATIENT_S = 60.0
"""How often a message is sent again that no consumer has had for longer than the fallback's time: the first tier."""
EXPIRY_S = 24 * 3600
"""An alert/event is of no use to a receiver that comes back after a day: alert/active then tells the truth."""
NO_MATCHING_SUBSCRIBERS = 0x10
FAILURE = 0x80
"""MQTT 5 reason codes: from 0x80 the message was not taken."""


@dataclass(slots=True)
class _Sent:
    """again: the broker had it before, and no consumer has it."""

    letter: Letter
    t: float
    again: bool


class Window:
    """Sends an outbox over one connection at a time. last_receipt: Unix seconds of the broker's newest, or None."""

    def __init__(
        self, outbox: Outbox, branch: str, clock: Clock, faults: Faults, *, unheard_s: float = UNHEARD_S
    ) -> None:
        self.outbox = outbox
        self.branch = branch
        self.last_receipt: float | None = None
        self._clock = clock
        self._faults = faults
        self._flying: dict[int, _Sent] = {}
        self._unheard_s = unheard_s
        self._held: dict[int, float] = {}
        self._refused: set[int] = set()
        self._unheard_since: dict[int, float] = {}
        self._attempts: dict[int, int] = {}
        self._waits: dict[int, tuple[float, float]] = {}

    def forget(self) -> None:
        """A new connection knows nothing of the last one: all that had no receipt is sent again."""
        self._flying.clear()

    def fill(self, link: Link, only: str = "") -> None:
        """Send what is due, oldest first, as far as the window reaches. Raises StoreError, LinkError.

        only: send the messages of this alert and leave the rest; "" means all. What no consumer has had in time goes
        out again behind what the broker has not had at all.
        """
        now = self._clock.now()
        self._held = {seq: until for seq, until in self._held.items() if until > now}
        flying = {sent.letter.seq for sent in self._flying.values()}
        size = max(1, min(SIZE, link.receive_max - TRUTHS))
        reach = size + len(flying) + len(self._held)
        room = max(0, size - len(flying))
        waiting = self.outbox.pending(reach, only)
        if not only and len(waiting) < reach:
            self._forget_others(waiting)
        due = [one for one in waiting if one.seq not in flying and one.seq not in self._held][:room]
        again = [] if only else [letter for letter in self._overdue_consumers(now) if letter.seq not in flying]
        again = again[: room - len(due)]
        for letter in due:
            self._flying[link.publish(self._post(letter))] = _Sent(letter, now, again=False)
        for letter in again:
            self._flying[link.publish(self._post(letter))] = _Sent(letter, now, again=True)
        if due or again:
            self.outbox.sent([letter.seq for letter in (*due, *again)])

    def acked(self, acks: list[Acked], address: str) -> list[Acked]:
        """Take the broker's word on these; returns those that were none of ours."""
        wall, others, receipts, sent_at = self._clock.wall(), [], {}, {}
        for ack in acks:
            sent = self._flying.pop(ack.mid, None)
            if sent is None:
                others.append(ack)
            elif self._accepted(sent, ack, address) and not sent.again:  # again: it was delivered before
                cause = ack.name if ack.code else ""
                receipts[sent.letter.seq] = Receipt(sent.letter.alert_id, "broker", address, wall, cause=cause)
                sent_at[sent.letter.seq] = sent.t
        if receipts:
            self.last_receipt = wall
        if error := self.outbox.delivered(receipts, wall, self._clock.now(), sent_at):
            self._faults.latch("disk", str(error), wall)
        for seq in receipts:
            for known in (self._held, self._unheard_since, self._attempts):
                known.pop(seq, None)
        return others

    def idle(self) -> bool:
        """Nothing is on its way."""
        return not self._flying

    def overdue(self, now: float) -> bool:
        """True when a receipt has not come in time."""
        return any(now - sent.t > ACK_DEADLINE_S for sent in self._flying.values())

    def _forget_others(self, waiting: list[Letter]) -> None:
        """Of what is neither waiting nor watched any more, such as what was overtaken, nothing is remembered."""
        known = {letter.seq for letter in waiting} | self._waits.keys()
        self._attempts = {seq: count for seq, count in self._attempts.items() if seq in known}
        self._unheard_since = {seq: since for seq, since in self._unheard_since.items() if seq in known}

    def _overdue_consumers(self, now: float) -> list[Letter]:
        """Messages that no consumer has had for long enough to be sent again; each waits from when it is first seen."""
        times = self.outbox.settings.alerts
        unheard = self.outbox.unheard()
        before, self._waits = self._waits, {one.seq: self._waits.get(one.seq, (now, now)) for one in unheard}
        for seq in before.keys() - self._waits.keys():
            self._attempts.pop(seq, None)
        due = []
        for letter in unheard:
            first, last = self._waits[letter.seq]
            if now - last >= (times.consumer_s if now - first < times.fallback_s else PATIENT_S):
                due.append(letter)
        return due

    def _accepted(self, sent: _Sent, ack: Acked, address: str) -> bool:
        """True when the message may leave the outbox; else it is held back for a while."""
        now, wall = self._clock.now(), self._clock.wall()
        letter = sent.letter
        held = {} if sent.again else self._held
        if ack.code >= FAILURE:
            held[letter.seq] = now + REFUSED_RETRY_S
            self._refused.add(letter.seq)
            self._faults.latch("alert_refused", f"{address} refuses alerts ({ack.name}); check its ACL", wall)
            return False
        self._refused.discard(letter.seq)
        if not self._still_refused():
            self._faults.clear("alert_refused")
        if ack.code != NO_MATCHING_SUBSCRIBERS:
            self._faults.clear("nobody_listening")
            return True
        self._faults.latch("nobody_listening", f"{address} has nobody who listens to {letter.topic}", wall)
        held[letter.seq] = now + UNHEARD_RETRY_S
        return now - self._unheard_since.setdefault(letter.seq, now) >= self._unheard_s

    def _post(self, letter: Letter) -> Post:
        if letter.seq in self._waits:
            self._waits[letter.seq] = (self._waits[letter.seq][0], self._clock.now())
        attempt = max(letter.attempts, self._attempts.get(letter.seq, 0)) + 1
        self._attempts[letter.seq] = attempt
        payload = stamped(letter.payload, letter.seq, attempt, self._clock.wall())
        return Post(
            topic=f"{self.branch}/{letter.topic}",
            payload=json.dumps(payload),
            expiry_s=EXPIRY_S,
            properties=(("schema", "1"), ("alert_id", letter.alert_id), ("seq", str(letter.seq))),
        )

    def _still_refused(self) -> bool:
        """Whether an alert that the broker refused still waits: one that it took says nothing about that one."""
        if self._refused:
            self._refused &= {letter.seq for letter in self.outbox.pending()}
        return bool(self._refused)
