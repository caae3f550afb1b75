"""Carries alerts from the outbox to the broker and answers back to the journal, in a thread of its own, for ever."""

from __future__ import annotations

import logging
import random
import selectors
import threading
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from device.clock import Clock
from device.mqtt.announcement import Announcement
from device.mqtt.answers import Answers
from device.mqtt.faults import Faults
from device.mqtt.link import Link, LinkError, Message, Will
from device.mqtt.presence import Presence
from device.mqtt.told import Told
from device.mqtt.truths import Truths
from device.mqtt.waker import Waker
from device.mqtt.window import ACK_DEADLINE_S, FAILURE, Window
from device.outbox import Outbox
from device.salvage import open_journal
from device.settings import Settings
from device.spill import Spill
from device.store import StoreError

log = logging.getLogger(__name__)

BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 10.0)
"""Waits between attempts: a broker that is back is found within 10 s."""
JITTER = 0.2
"""Share by which a wait is varied, so that the units of a house do not all come back in the same moment."""
REFUSED_RETRY_S = 30.0
"""A wrong password does not become right by being repeated; brokers lock out who tries too often."""
ANSWER_S = 10.0
"""A broker that has taken the connection and says nothing for this long is no broker."""
TURN_S = 0.5
"""Longest wait for the network; messages that other processes put into the outbox are seen after this."""
SETTLE_S = 5.0
"""How often what is only in memory is tried on the disk again."""
STUCK_S = 60.0
"""No turn for this long: the thread hangs in the system. A look-up of a name and a handshake take seconds."""
GOODBYE_SHARE = 0.5
"""Share of stop()'s time in which alerts that are due still go out."""


class LinkState(Enum):
    """Where the way to the broker stands."""

    OFF = "off"
    STOPPED = "stopped"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"
    LOST = "lost"


class Courier:
    """start, wake when the outbox has news, stop. Everything else is told by attributes that any thread may read.

    state: LinkState. error: last sentence about the way to the broker, "" while it works. inbox: Receipts that counted,
    newest last. faults: what is wrong on the way. spill: to be given to the Outbox of the thread that sees.
    """

    def __init__(self, settings: Settings, folder: Path, clock: Clock) -> None:
        self.state = LinkState.STOPPED if settings.mqtt.enabled else LinkState.OFF
        self.error = ""
        self.faults = Faults()
        self.spill = Spill()
        self.branch = branch(settings)
        self._answers = Answers(self.branch, settings.unit, clock, self.faults)
        self.inbox = self._answers.inbox
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._truths = Truths(self.branch)
        self._presence = Presence(folder)
        self._window: Window | None = None
        self._told = Told(settings, self._truths, self.spill, self.faults, clock)
        self._announcement = Announcement(settings, self.branch, folder)
        self._settle_at = float("-inf")
        self._stop_at: float | None = None
        self._waker = Waker()
        self._turned_at = clock.now()
        self._thread = self._new_thread()

    def start(self) -> None:
        """Begin; does nothing where settings.mqtt.enabled is off."""
        if self.state is not LinkState.OFF:
            self._turned_at = self._clock.now()
            self._thread.start()

    def revive(self) -> bool:
        """Begin again where the thread has died without being asked to; True while it works, or is switched off.

        A thread that hangs cannot be ended: False then, so that whoever watches the unit starts it anew.
        """
        if self.state is not LinkState.OFF and not self._thread.is_alive() and self._stop_at is None:
            log.error("the courier's thread is gone and is started again; please report the log")
            self._thread = self._new_thread()
            self.start()
        return self.alive()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Send what is due, say offline, disconnect; True when that was done within `timeout_s`."""
        if not self._thread.is_alive():
            return True
        self._stop_at = self._clock.now() + timeout_s * GOODBYE_SHARE
        self.wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """There is something new in the outbox; returns at once."""
        self._waker.wake()

    def alive(self) -> bool:
        """False when the thread is gone or hangs, which must not happen while the unit watches."""
        turns = self._clock.now() - self._turned_at < STUCK_S
        return self.state is LinkState.OFF or (self._thread.is_alive() and turns)

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="courier", daemon=True)

    def set_health(self, health: Mapping[str, Any]) -> None:
        """How the unit is now; published every 30 s, and at once when more than a number changed."""
        if self._told.set_health(health):
            self.wake()

    def set_faults(self, faults: list[dict[str, Any]]) -> None:
        """Latched faults of the unit: cause, and if known text, since (RFC 3339), kind. The courier adds its own."""
        if self._told.set_faults(faults):
            self.wake()

    def _run(self) -> None:
        failures = 0
        with self._presence:
            while self._stop_at is None:
                try:
                    failures = self._round(failures)
                except Exception as error:  # a courier that dies takes every later alert with it
                    log.exception("the courier stumbled")
                    self._down(LinkError(f"the courier stumbled ({error!r}) and starts again; please report its log"))
                    self._pause(BACKOFF_S[-1], settle=False)
            with suppress(Exception):
                self._close_outbox()
        self._waker.close()
        self.state = LinkState.STOPPED

    def _round(self, failures: int) -> int:
        """One connection and the wait after it; returns how many in a row have failed by now."""
        if failures == 0:
            self.state = LinkState.CONNECTING
        try:
            self._settle(self._clock.now(), self._clock.wall())
            self._serve()
        except (LinkError, StoreError) as error:
            failures = 0 if self.state is LinkState.CONNECTED else failures
            self._down(error)
            self._pause(self._wait_s(failures))
        return failures + 1

    def _serve(self) -> None:
        """One connection, from CONNECT until it is lost or we are stopped. Raises LinkError, StoreError."""
        mqtt = self._settings.mqtt
        link = Link(mqtt, self._settings.unit.id, self._take, Will(f"{self.branch}/availability", "offline"))
        try:
            link.open()
            self._await(link)
            self._greet(link)
            while self._stop_at is None:
                self._turn(link)
            self._goodbye(link)
        finally:
            link.drop()

    def _take(self, message: Message) -> None:
        """What comes in, before the broker is told that we have it."""
        if not self._announcement.takes(message.topic, message.payload, self._clock.now()):
            self._answers.take(message)

    def _await(self, link: Link) -> None:
        deadline = self._clock.now() + ANSWER_S
        while not link.connected():
            if self._clock.now() > deadline or self._stop_at is not None:
                raise LinkError(f"{link.address}: the broker took the connection and does not answer; restart it")
            link.turn(TURN_S, self._waker.socket)
            self._drain()

    def _greet(self, link: Link) -> None:
        self.error = ""
        self.state = LinkState.CONNECTED
        log.info("%s: connected to the broker", link.address)
        for cause in ("state_refused", "answers_refused"):
            self.faults.clear(cause)
        link.subscribe([*self._answers.topics, *self._announcement.topics])
        if self._window is not None:
            self._window.forget()
        self._answers.connected()
        self._told.greet()
        self._announcement.greet()

    def _turn(self, link: Link) -> None:
        self._send(link)
        link.turn(TURN_S, self._waker.socket)
        self._drain()
        self._take_acks(link)
        link.connected()
        now = self._clock.now()
        late = self._window is not None and self._window.overdue(now)
        late = late or self._announcement.overdue(now, ACK_DEADLINE_S)
        if late or self._truths.overdue(now, ACK_DEADLINE_S):
            raise LinkError(f"{link.address}: no acknowledgement for {ACK_DEADLINE_S:.0f} s; connecting anew")

    def _send(self, link: Link) -> None:
        self._settle(self._clock.now(), self._clock.wall())
        if self._window is not None:
            try:
                self._window.fill(link)
            except StoreError as error:
                self.faults.latch("disk", str(error), self._clock.wall())
        self._told.say(link, self._window, self._answers)
        self._announcement.say(link, self._truths, self._clock.now(), self._clock.wall())
        self._answers.reply(link)

    def _take_acks(self, link: Link) -> None:
        acks, link.acked = link.acked, []
        for ack in acks if self._window is None else self._window.acked(acks, link.address):
            self._answers.replied(ack.mid)
            topic = self._truths.acked(ack.mid) or self._announcement.acked(ack.mid, taken=ack.code < FAILURE)
            if topic is not None and ack.code >= FAILURE:
                text = f"{link.address} refuses {topic} ({ack.name}); check its ACL"
                self.faults.latch("state_refused", text, self._clock.wall())
        if link.unsubscribed:
            text = f"{link.address} gives this unit no answers to its alerts ({link.unsubscribed[0]}); check its ACL"
            self.faults.latch("answers_refused", text, self._clock.wall())
            link.unsubscribed.clear()

    def _goodbye(self, link: Link) -> None:
        """Last alerts, then offline, then DISCONNECT."""
        while self._clock.now() < (self._stop_at or 0.0) and (self._told.unsent(self._window) or self._answers.results):
            self._turn(link)
        self._truths.set("availability", "offline")
        self._truths.publish(link, self._clock.now(), self._clock.wall())
        deadline = self._clock.now() + 1.0
        while not self._truths.idle() and self._clock.now() < deadline:
            link.turn(0.1)
            self._take_acks(link)
        link.close()

    def _settle(self, now: float, wall: float) -> None:
        if now - self._settle_at < SETTLE_S:
            return
        self._settle_at = now
        self._presence.take()
        self._open_outbox()
        if self._window is not None and self._window.outbox.settle(wall, now):
            self.faults.clear("disk")

    def _open_outbox(self) -> None:
        """A journal that cannot be opened is a fault; alerts held in memory wait for it, the watch goes on."""
        if self._window is not None:
            return
        try:
            journal = open_journal(self._folder, self._settings.unit.room)
        except StoreError as error:
            self.faults.latch("disk", str(error), self._clock.wall())
            return
        self._answers.outbox = outbox = Outbox(journal, self._settings, self.spill)
        self._window = Window(outbox, self.branch, self._clock, self.faults)

    def _close_outbox(self) -> None:
        if self._window is not None:
            self._window.outbox.settle(self._clock.wall(), self._clock.now())
            self._window.outbox.journal.close()

    def _down(self, error: LinkError | StoreError) -> None:
        refused = isinstance(error, LinkError) and error.refused
        if str(error) != self.error:
            log.warning("%s", error)
        # The reason first: whoever reads the state from another thread finds its sentence there.
        self.error = str(error)
        self.state = LinkState.REFUSED if refused else LinkState.LOST

    def _wait_s(self, failures: int) -> float:
        if self.state is LinkState.REFUSED:
            return REFUSED_RETRY_S
        wait = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
        return min(BACKOFF_S[-1], wait * random.uniform(1.0 - JITTER, 1.0 + JITTER))

    def _pause(self, seconds: float, *, settle: bool = True) -> None:
        end = self._clock.now() + seconds
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._waker.socket, selectors.EVENT_READ)
            while self._stop_at is None and (left := end - self._clock.now()) > 0:
                waiting.select(min(left, SETTLE_S))
                self._drain()
                if settle:
                    self._settle(self._clock.now(), self._clock.wall())

    def _drain(self) -> None:
        """After every wait, wherever it was: empty what woke us, and show that the thread turns."""
        self._turned_at = self._clock.now()
        self._waker.drain()


def branch(settings: Settings) -> str:
    """The unit's part of the topic tree: fallwatch/<site>/<unit>."""
    return f"fallwatch/{settings.unit.site}/{settings.unit.id}"
