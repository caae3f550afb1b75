"""Carries messages by one way, in a thread of its own, for ever; what goes wrong is told by attributes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from device.alert_life import Life
from device.clock import Clock
from device.journal import boot_id
from device.lives import Lives
from device.mqtt.presence import Presence
from device.settings import Settings
from device.settings_ways import When
from device.spill import Spill
from device.store import StoreError
from device.ways.choice import Verdict, age_s, allowed, of_last_resort, verdict
from device.ways.ledger import Done, Ledger
from device.ways.names import names_of
from device.ways.way import Item, Way, WayError

log = logging.getLogger(__name__)

TURN_S = 1.0
"""What another process puts into the outbox is seen after this."""
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Waits between attempts; a new message is tried at once."""
REFUSED_RETRY_S = 60.0
"""A wrong secret does not become right by being repeated."""
REFUSALS = 3
"""A message that the other side alone refuses, this often, is put aside: those behind it must not wait."""
PATIENCE_S = 20.0
"""A way may fail this long before it is a fault: a receiver that is started again takes seconds."""
HUNG_S = 180.0
"""A turn takes at most a timeout of 60 s; a thread that has not turned for this long hangs in a driver."""


def lock_name(way: str) -> str:
    """The file whose lock says that a process has this way at work."""
    return f"way-{way}.lock"


class Worker:
    """start, wake when there is news, ask_to_stop, join; from any thread.

    error: why it does not carry now, "" while it does. waiting: messages it had still to carry when it last looked.
    proved_at: Unix seconds at which the other side last took a message or showed that it is there, None before that.
    """

    def __init__(self, way: Way, settings: Settings, folder: Path, clock: Clock, spill: Spill) -> None:
        self.way = way
        self.error = ""
        self.waiting = 0
        self.proved_at: float | None = None
        self._when: When = getattr(settings, way.name).when
        self._fallback_s = settings.alerts.fallback_s
        self._clock = clock
        self._spill = spill
        self._boot = boot_id()
        self._ledger = Ledger(folder, way.name, spill, names_of(settings))
        self._presence = Presence(folder, lock_name(way.name))
        self._attempts: dict[int, int] = {}
        self._failures = 0
        self._failing_since: float | None = None
        self._refused = False
        self._again_at = 0.0
        self._news = False
        self._stop = False
        self._alarm = threading.Event()
        self._turned_at = clock.now()
        self._thread = threading.Thread(target=self._run, name=f"way-{way.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There is something new in the outbox; returns at once."""
        self._news = True
        self._alarm.set()

    def ask_to_stop(self) -> None:
        """End after the message that is on its way; the rest waits on disk. Returns at once."""
        self._stop = True
        self._alarm.set()

    def join(self, timeout_s: float) -> bool:
        """True when it has ended within `timeout_s`."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def fault(self) -> str:
        """The sentence of a fault that is to be latched; "" while the way works, or fails too briefly to matter."""
        now = self._clock.now()
        if self._thread.is_alive() and now - self._turned_at > HUNG_S:
            return f"{self.way.name}: its thread hangs; restart the unit, and look at the cable and the driver"
        failing_since = self._failing_since
        lasting = failing_since is not None and (self._refused or now - failing_since >= PATIENCE_S)
        return self.error if lasting else ""

    def _run(self) -> None:
        with self._presence:
            self._turn_until_stopped()
        self._ledger.close()

    def _turn_until_stopped(self) -> None:
        while not self._stop:
            self._turned_at = self._clock.now()
            self._presence.take()
            self._alarm.clear()
            try:
                wait_s = self._turn()
            except Exception as error:  # a way that dies takes every later alert with it
                log.exception("%s stumbled", self.way.name)
                self._failed(WayError(f"{self.way.name}: stumbled ({error!r}) and starts again; please report its log"))
                wait_s = TURN_S
            self._alarm.wait(wait_s)
        self.way.close()

    def _turn(self) -> float:
        """One look at what waits; returns how long until the next, seconds."""
        now = self._clock.now()
        if now < self._again_at and not self._news:
            return min(TURN_S, self._again_at - now)
        self._news = False
        self._ledger.open()
        try:
            proved = self._carry_all()
            proved = self.way.turn(self._lives(), self._clock.now()) or proved
        except WayError as error:
            self._failed(error)
            return min(TURN_S, max(0.0, self._again_at - self._clock.now()))
        if proved:
            self._works()
        return min(TURN_S, self.way.turn_s)

    def _carry_all(self) -> bool:
        """Everything that waits, in order; True when the other side has taken any of it. Raises WayError."""
        proved = False
        while not self._stop:
            chosen = self._next()
            if chosen is None:
                return proved
            self._carry(chosen)
            proved = True
        return proved

    def _next(self) -> Item | None:
        """The first message that is to be carried now; those before it are put behind."""
        skipped: list[Done] = []
        chosen = None
        waiting = self._ledger.waiting()
        for at, item in enumerate(waiting):
            judged = self._judge(item, waiting[at + 1 :])
            if judged in (Verdict.SKIP, Verdict.OVERTAKEN):
                skipped.append(Done(item, "skipped" if judged is Verdict.SKIP else "overtaken"))
                continue
            chosen = item if judged is Verdict.SEND else None
            break
        self.waiting = len(waiting) - len(skipped)
        self._put(skipped)
        return chosen

    def _judge(self, item: Item, later: Sequence[Item]) -> Verdict:
        told = self._ledger.told(item.alert_id)
        age = age_s(item, self._clock.now(), self._clock.wall(), self._boot)
        judged = verdict(item, later, self.way.wants, told=told, age=age)

        def resort() -> Verdict:
            life = self._life(item.alert_id)
            return of_last_resort(item.body, life, told=told, age=age, fallback_s=self._fallback_s)

        return allowed(self._when, judged, resort)

    def _carry(self, item: Item) -> None:
        """Raises WayError, unless the message is then put aside."""
        attempt = self._attempts[item.seq] = self._attempts.get(item.seq, 0) + 1
        try:
            self.way.send(item, attempt, self._clock.wall())
        except WayError as error:
            if not error.only_this or attempt < REFUSALS:
                raise
            log.error("%s, alert %s message %d is put aside: %s", self.way.name, item.alert_id, item.seq, error)
            self._put([Done(item, "refused", attempt, str(error)[:300])])
        else:
            self._put([Done(item, "sent", attempt)])
        self._attempts.pop(item.seq, None)

    def _put(self, done: list[Done]) -> None:
        """A disk that does not take it costs the place only: after a restart these may be told again."""
        with suppress(StoreError):
            self._ledger.put(done, self._clock.wall(), self._clock.now())

    def _lives(self) -> list[Life]:
        if self._ledger.journal is None:
            return [life for life in self._spill.lives() if life.open]
        return Lives(self._ledger.journal, self._spill).open()

    def _life(self, alert_id: str) -> Life | None:
        if self._ledger.journal is None:
            return self._spill.life(alert_id)
        return Lives(self._ledger.journal, self._spill).get(alert_id)

    def _works(self) -> None:
        self.proved_at = self._clock.wall()
        if self.error:
            log.info("%s carries again", self.way.name)
        self._failures, self._failing_since, self._refused, self._again_at = 0, None, False, 0.0
        self.error = ""

    def _failed(self, error: WayError) -> None:
        now = self._clock.now()
        if str(error) != self.error:
            log.warning("%s", error)
        self.error = str(error)
        self._refused = error.refused
        self._failing_since = now if self._failing_since is None else self._failing_since
        wait = REFUSED_RETRY_S if error.refused else BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        self._again_at = now + (wait if error.retry_s is None else error.retry_s)
