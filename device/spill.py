"""Alerts that the disk would not take: kept in memory, sent all the same, written down as soon as there is room.

One Spill is shared by the thread that sees and the thread that sends; every method takes its lock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

from device.alert_life import Life
from device.feature import Feature
from device.overtaking import overtakes
from device.records import Alert, Incident, Receipt


@dataclass(frozen=True, slots=True)
class Letter:
    """One message on its way.

    seq: rises by one per message; 0 until it is on disk or in the spill. topic: below fallwatch/<site>/<unit>/.
    payload: as first written; seq, attempt and published_at come on sending. attempts: how often it was sent so far.
    """

    seq: int
    alert_id: str
    topic: str
    payload: dict[str, Any]
    created: float
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A journal entry that is no record of the road: a ring, a last resort, a feature switched."""

    what: str
    wall: float
    t: float
    body: dict[str, Any]
    about: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a consumer or a person answered, and how it came: nonce "" for none, via "" for the broker."""

    receipt: Receipt
    wall: float
    t: float
    nonce: str = ""
    via: str = ""


@dataclass(slots=True)
class Unsaved:
    """One change that is about to be written, or waits in memory for the disk; all that is not empty changes together.

    t: monotonic seconds. heard_to: messages of this alert up to this number need no consumer's receipt any more.
    receipt: the broker's for the letter, once it has it; heard: and a consumer has it too.
    """

    t: float
    incident: Incident | None = None
    alert: Alert | None = None
    model_id: str = ""
    letter: Letter | None = None
    life: Life | None = None
    answer: Answer | None = None
    notes: tuple[Note, ...] = ()
    feature: Feature | None = None
    heard_to: int = 0
    receipt: Receipt | None = None
    heard: bool = False

    @property
    def about(self) -> str:
        """The alert of which heard_to speaks; "" for none."""
        if self.life is not None:
            return self.life.id
        return "" if self.answer is None else self.answer.receipt.alert_id


class Spill:
    """What is known only in memory, and the highest sequence number that was ever given out.

    settling: held by the thread that is writing it down, so that nothing is written twice.
    """

    def __init__(self) -> None:
        self.settling = threading.Lock()
        self._lock = threading.Lock()
        self._unsaved: list[Unsaved] = []
        self._lives: dict[str, Life] = {}
        self._highest = 0

    def note(self, seq: int) -> None:
        """Remember a sequence number that is taken."""
        with self._lock:
            self._highest = max(self._highest, seq)

    def counts(self) -> bool:
        """True once a sequence number is known to be taken."""
        with self._lock:
            return self._highest > 0

    def next_seq(self, at_least: int = 0) -> int:
        """A sequence number above every one given out so far and above `at_least`; it is then taken."""
        with self._lock:
            self._highest = max(self._highest, at_least) + 1
            return self._highest

    def add(self, unsaved: Unsaved) -> None:
        """What happened last; letters that it overtakes are not kept, that they were is.

        Not while another thread writes down what is here: it may be at one of them.
        """
        idle = self.settling.acquire(blocking=False)
        try:
            with self._lock:
                if idle:
                    self._unsaved = [_overtaken(one, unsaved) for one in self._unsaved]
                self._unsaved.append(unsaved)
                if unsaved.life is not None:
                    self._lives[unsaved.life.id] = unsaved.life
        finally:
            if idle:
                self.settling.release()

    def drop(self, unsaved: Unsaved) -> None:
        with self._lock:
            self._unsaved.remove(unsaved)

    def all(self) -> list[Unsaved]:
        """What is not on disk, in the order it happened."""
        with self._lock:
            return list(self._unsaved)

    def letters(self) -> list[Letter]:
        """Letters that are neither on disk nor on the broker."""
        return [one.letter for one in self.all() if one.letter is not None and one.receipt is None]

    def unheard(self) -> tuple[list[Letter], dict[str, int]]:
        """Letters that are on the broker, not on disk, and with no consumer; alert -> the number up to which those that
        are on disk need no consumer any more."""
        found: list[Letter] = []
        ended: dict[str, int] = {}
        for one in self.all():
            found = [letter for letter in found if letter.alert_id != one.about or letter.seq > one.heard_to]
            ended[one.about] = max(one.heard_to, ended.get(one.about, 0))
            if one.letter is not None and one.receipt is not None and not one.heard:
                found.append(one.letter)
        return found, ended

    def delivered(self, seq: int, receipt: Receipt, heard: bool = False) -> bool:
        """The broker has this letter, and with `heard` a consumer too; True when it was one of ours."""
        with self._lock:
            for one in self._unsaved:
                if one.letter is not None and one.letter.seq == seq:
                    one.receipt, one.heard = receipt, heard
                    return True
        return False

    def has_alert(self, alert_id: str) -> bool:
        return any(one.alert is not None and one.alert.incident_id == alert_id for one in self.all())

    def has_nonce(self, alert_id: str, nonce: str) -> bool:
        """True when an answer with this nonce waits for the disk."""
        answers = [one.answer for one in self.all() if one.answer is not None]
        return bool(nonce) and any(one.nonce == nonce and one.receipt.alert_id == alert_id for one in answers)

    def life(self, alert_id: str) -> Life | None:
        """The newest life of an alert that this process knows without asking the disk."""
        with self._lock:
            return self._lives.get(alert_id)

    def lives(self) -> list[Life]:
        with self._lock:
            return list(self._lives.values())

    def keep(self, life: Life) -> None:
        """This life is on disk; remembered while it is open, for the day when the disk cannot be read."""
        with self._lock:
            known = self._lives.get(life.id)
            if known is not None and known.version > life.version:
                return
            if life.open:
                self._lives[life.id] = life
            else:
                self._lives.pop(life.id, None)


def _overtaken(older: Unsaved, newer: Unsaved) -> Unsaved:
    """`older` without its letter where `newer` overtakes that."""
    letter, by = older.letter, newer.letter
    if letter is None or by is None or older.receipt is not None or letter.alert_id != by.alert_id:
        return older
    if not overtakes(by.payload, letter.payload):
        return older
    note = Note("overtaken", by.created, newer.t, {"seq": letter.seq, "for": by.seq}, letter.alert_id)
    return replace(older, letter=None, notes=(*older.notes, note))
