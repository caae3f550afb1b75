"""Letters on disk until their receipt: what the broker has not got, and what no consumer says it has.

A change and the letter it gives rise to are one transaction, and so are a receipt and the row it removes. kill -9
between any two lines of this file loses nothing and repeats at most a message whose (alert_id, seq) the receiver has
seen. What the disk does not take is kept in memory, sent all the same, and written down in order later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from device import salvage
from device.alert_life import Moment
from device.journal import Journal
from device.letter_rows import LetterRows
from device.lives import Lives
from device.records import Receipt
from device.reserve import Reserve
from device.settings import Settings
from device.spill import Letter, Spill, Unsaved
from device.store import StoreError

BATCH = 64
"""Messages read at once; the window in flight is far smaller, and refused ones must not hide the rest."""
ALL = 2**62
"""Above every sequence number."""
HEARD_MAX = 1000
"""Alerts of which it is remembered when a consumer last had them: far more than are ever on their way."""

Decide = Callable[[bool], Sequence[Unsaved]]
"""Says what changes, from the lives as they stand. True: inside a transaction on disk; False: only memory will know."""

Result = TypeVar("Result")


class Letterbox:
    """One unit's letters over a journal of the calling thread; `spill` is what the threads share.

    trouble: why the disk did not take the last change; None when it did.
    """

    def __init__(self, journal: Journal, settings: Settings, spill: Spill | None = None) -> None:
        self.journal = journal
        self.settings = settings
        self.unit = settings.unit
        self.spill = spill if spill is not None else Spill()
        self.lives = Lives(journal, self.spill)
        self._rows = LetterRows(journal, settings.alerts)
        self.reserve = Reserve(journal.folder, settings.store)
        self.trouble: StoreError | None = None
        self._gone: dict[int, Receipt] = {}
        self._gone_heard: set[int] = set()
        self._heard: dict[str, tuple[int, float]] = {}
        self.spill.note(self._last_seq())

    def moment(self, wall: float, t: float) -> Moment:
        """Now, in this boot."""
        return Moment(wall, t, self.journal.boot)

    def pending(self, limit: int = BATCH, alert_id: str = "") -> list[Letter]:
        """What the broker has not got yet, oldest first, from disk and from memory. Raises StoreError.

        alert_id: only the messages of this alert; "" means all. A disk that cannot be read does not hold up what
        memory has.
        """
        spilt = [letter for letter in self.spill.letters() if alert_id in ("", letter.alert_id)]
        try:
            stored = self._letters(
                "SELECT * FROM outbox WHERE ? IN ('', alert_id) ORDER BY seq LIMIT ?", alert_id, limit + len(self._gone)
            )
        except StoreError:
            if not spilt:
                raise
            stored = []
        stored = [letter for letter in stored if letter.seq not in self._gone]
        return sorted((*stored, *spilt), key=lambda letter: letter.seq)[:limit]

    def unheard(self, limit: int = BATCH) -> list[Letter]:
        """What the broker has and no consumer has said that it has, oldest first, from disk and from memory.

        Raises StoreError.
        """
        spilt, ended = self.spill.unheard()
        spilt = [letter for letter in spilt if self._rows.wants_consumer(letter.payload)]
        try:
            stored = self._letters("SELECT * FROM unheard ORDER BY seq LIMIT ?", limit)
            stored += [letter for letter in self._gone_letters() if self._rows.wants_consumer(letter.payload)]
        except StoreError:
            if not spilt:
                raise
            stored = []
        stored = [letter for letter in stored if letter.seq > ended.get(letter.alert_id, 0)]
        return sorted((*stored, *spilt), key=lambda letter: letter.seq)[:limit]

    def unsent_count(self) -> int:
        """How many messages the broker has not got yet. Raises StoreError."""
        stored = [row["seq"] for row in self._read("SELECT seq FROM outbox")]
        return sum(seq not in self._gone for seq in stored) + len(self.spill.letters())

    def unheard_count(self) -> int:
        """How many messages the broker has and no consumer is known to have. Raises StoreError."""
        return len(self.unheard(ALL))

    def waiting(self) -> int:
        """How many messages have not had the receipt that the settings want for them. Raises StoreError."""
        return self.unsent_count() + (self.unheard_count() if self.settings.alerts.receipt == "consumer" else 0)

    def sent(self, seqs: list[int]) -> None:
        """Count one attempt for each. A disk that does not take it costs only the count."""
        with suppress(StoreError), self.journal.writing() as connection:
            for table in ("outbox", "unheard"):
                connection.executemany(
                    f"UPDATE {table} SET attempts = attempts + 1 WHERE seq = ?", [(seq,) for seq in seqs]
                )

    def delivered(
        self, receipts: Mapping[int, Receipt], wall: float, t: float, sent_at: Mapping[int, float] | None = None
    ) -> StoreError | None:
        """The broker has these: the messages leave and their receipts are journalled, all or nothing.

        receipts: by sequence number. sent_at: the same -> monotonic seconds of the last attempt; a consumer's receipt
        that came after it, and so before the broker's, counts. On a disk that takes none of it they are not sent again
        by this process, and settle() tries later.
        """
        heard = {seq for seq, receipt in receipts.items() if self._was_heard(receipt.alert_id, seq, sent_at or {})}
        stored = {
            seq: receipt for seq, receipt in receipts.items() if not self.spill.delivered(seq, receipt, seq in heard)
        }
        if not stored:
            return None
        try:
            self._whole(lambda: self._with_room(lambda: self._remove(stored, heard, wall, t)))
        except StoreError as error:
            self._gone |= stored
            self._gone_heard |= heard & stored.keys()
            return error
        return None

    def settle(self, wall: float, t: float) -> bool:
        """Write down what only memory knows, oldest first, and lay the reserve down again; True when all is on disk."""
        try:
            self._whole(lambda: self._settle(wall, t))
        except StoreError as error:
            self.trouble = error
            return False
        self.trouble = None
        self.reserve.keep()
        return True

    def transact(self, decide: Decide, now: Moment) -> StoreError | None:
        """Decide what changes and write it, all or nothing; what the disk does not take is kept in memory.

        Returns None when it is on disk. Whatever `decide` raises changes nothing and comes through. Never raises
        StoreError.
        """
        try:
            self._whole(lambda: self._try(decide, now))
        except StoreError as error:
            for one in decide(False):
                self.spill.add(self._numbered(one))
            self.trouble = error
            return error
        self.trouble = None
        return None

    def note_heard(self, alert_id: str, seq: int, t: float) -> None:
        """A consumer says that it has this alert, as far as `seq` (0: as far as it was sent by t)."""
        if len(self._heard) >= HEARD_MAX:
            self._heard.pop(next(iter(self._heard)))
        self._heard[alert_id] = (seq, t)

    def _try(self, decide: Decide, now: Moment) -> None:
        if self.spill.all():
            self._settle(now.wall, now.t)  # first things first, or the older would be written over the newer
        self._with_room(lambda: self._commit(decide))

    def _whole(self, work: Callable[[], Result]) -> Result:
        """Do it, and once more on a new store where this one turns out to be damaged."""
        try:
            return work()
        except StoreError as error:
            if not error.damaged or self.journal.readonly:
                raise
        salvage.replace(self.journal.folder)
        self.journal.follow()
        return work()

    def _was_heard(self, alert_id: str, seq: int, sent_at: Mapping[int, float]) -> bool:
        to, t = self._heard.get(alert_id, (0, float("-inf")))
        return seq <= to if to else t >= sent_at.get(seq, float("inf"))

    def _settle(self, wall: float, t: float) -> None:
        with self.spill.settling:
            if self._gone:
                self._remove(self._gone, self._gone_heard, wall, t)
                self._gone, self._gone_heard = {}, set()
            for one in self.spill.all():
                with self.journal.writing():
                    self._write(one)
                self.spill.drop(one)
                self._keep(one)

    def _commit(self, decide: Decide) -> None:
        with self.journal.writing():
            changes = decide(True)
            for one in changes:
                self._write(one)
        for one in changes:
            self._keep(one)

    def _write(self, one: Unsaved) -> None:
        """Inside the caller's transaction."""
        if one.incident is not None:
            ends = one.life is None or not one.life.open
            self.journal.put_incident(one.incident, one.model_id, ends_alert=ends)
        if one.alert is not None:
            self.journal.put_alert(one.alert, one.alert.t)
        if one.answer is not None:
            said = one.answer
            self.journal.put_receipt(said.receipt, said.wall, said.t, said.nonce, said.via)
        for note in one.notes:
            self.journal.append(note.what, note.wall, note.t, note.body, note.about)
        if one.life is not None:
            self.lives.save(one.life)
        if one.about:
            self._rows.heard(one.about, one.heard_to)
        if one.feature is not None:
            self.lives.save_feature(one.feature)
        self._write_letter(one)

    def _write_letter(self, one: Unsaved) -> None:
        """Inside the transaction, where no other thread or process can take the same number."""
        if one.receipt is not None:
            self.journal.put_receipt(one.receipt, one.receipt.at, one.t)
            if one.letter is not None and not one.heard:
                self._rows.watch(one.letter.seq, one.letter, one.receipt.at)
        elif one.letter is not None:
            self._rows.insert(one.letter.seq or self.spill.next_seq(self._last_seq()), one.letter)

    def _keep(self, one: Unsaved) -> None:
        if one.life is not None:
            self.spill.keep(one.life)

    def _numbered(self, one: Unsaved) -> Unsaved:
        if one.letter is None:
            return one
        return replace(one, letter=replace(one.letter, seq=self.spill.next_seq(self._last_seq())))

    def _remove(self, receipts: Mapping[int, Receipt], heard: set[int], wall: float, t: float) -> None:
        with self.journal.writing():
            for seq, receipt in receipts.items():
                self._rows.confirmed(seq, receipt, wall, t, heard=seq in heard)

    def _gone_letters(self) -> list[Letter]:
        """On the broker, with no consumer, and on a disk that did not take that."""
        gone = self._gone.keys() - self._gone_heard
        return [one for one in self._letters("SELECT * FROM outbox ORDER BY seq") if one.seq in gone] if gone else []

    def _read(self, query: str, *values: str | float) -> list[sqlite3.Row]:
        return self._whole(partial(self._rows.read, query, *values))

    def _letters(self, query: str, *values: str | float) -> list[Letter]:
        return self._whole(partial(self._rows.letters, query, *values))

    def _with_room(self, write: Callable[[], None]) -> None:
        try:
            write()
        except StoreError:
            if not self.reserve.release():
                raise
            write()

    def _last_seq(self) -> int:
        return self._rows.last_seq(counted=self.spill.counts())
