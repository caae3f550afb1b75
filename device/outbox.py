"""Alerts on disk until they are delivered, claimed and closed: the only truth about what still has to be said.

What happens, what people answer and what time brings all go through here, each as one transaction of journal, event,
life and message. The decisions are alert_life.py's and feature.py's, the words letters.py's, the disk letterbox.py's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from device import alert_life, alerts, feature
from device.alert_life import FAULTS, Life, Moment
from device.feature import Feature, Name, Wish
from device.letterbox import ALL, Letterbox
from device.letters import answer_letter, restart_letter, ring_letter, stage_letter
from device.payloads import Standing, Verdict
from device.records import Alert, Incident, Receipt
from device.spill import Answer, Note, Unsaved
from device.store import StoreError

UNIT = "unit"
"""Who ends a presence of staff or a time of privacy when no person does."""


class NotCountedError(Exception):
    """Carries a Verdict out of a transaction that is then given up."""

    def __init__(self, reason: str, state: str = "", *, repeated: bool = False) -> None:
        super().__init__(reason)
        self.verdict = Verdict(counts=False, reason=reason, repeated=repeated, state=state)


class Outbox(Letterbox):
    """One unit's alerts over a journal of the calling thread."""

    def begin(self, wall: float, t: float) -> StoreError | None:
        """Once when the unit starts: take over what an earlier version left open, and end the faults of the last run.

        A fault that is still there is latched anew, under an id of its own.
        """
        now = self.moment(wall, t)
        return self.transact(partial(self._begun, now), now)

    def put(self, incident: Incident, alert: Alert | None, model_id: str) -> StoreError | None:
        """Write one transition down and, unless `alert` is None, the message about it.

        Returns None when it is on disk. Otherwise the error: the alert is then in memory, the courier sends it all the
        same, and settle() writes it down when the disk takes it again. Never raises StoreError.
        """
        now = self.moment(incident.wall, incident.t)
        return self.transact(partial(self._told, incident, alert, model_id), now)

    def tick(self, wall: float, t: float) -> list[Life]:
        """What time has brought: alerts ring again, presence and privacy end.

        Returns the alerts that no consumer has for too long, each once a ring: for the ways out of last resort.
        """
        now = self.moment(wall, t)
        self._end_features(now)
        helpless = []
        for life in self.lives.open():
            if alert_life.due(life, now, self.settings.alerts, staff=self._staff_there(life, now)):
                self.transact(partial(self._rung, life.id, now), now)
            elif alert_life.unheard(life, now, self.settings.alerts):
                self.transact(partial(self._given_up, life.id, now), now)
                helpless.append(life)
        return helpless

    def answer(self, receipt: Receipt, nonce: str, wall: float, t: float, *, via: str = "") -> Verdict:
        """Enter what a consumer or a human answered, and pass a human's answer on to everybody else.

        The same nonce counts once. via: the door it came in by, where that was not the broker.
        """
        now = self.moment(wall, t)
        said = Answer(receipt, wall, t, nonce, via)
        if receipt.level == "consumer":
            self.note_heard(receipt.alert_id, receipt.seq, t)
        try:
            self.transact(partial(self._answered, said, now), now)
        except NotCountedError as refused:
            return refused.verdict
        life = self.lives.get(receipt.alert_id)
        return Verdict(counts=True, state=life.state if life else "")

    def switch(self, wish: Wish, wall: float, t: float) -> Verdict:
        """Enter that staff are present or that it is private, or that it is over."""
        now = self.moment(wall, t)
        try:
            self.transact(partial(self._switched, wish, now), now)
        except NotCountedError as refused:
            return refused.verdict
        return Verdict(counts=True, state="ON" if wish.on else "OFF")

    def rooms(self) -> list[str]:
        """The rooms that this unit watches."""
        return list(dict.fromkeys(view.unit.room for view in self.settings.views()))

    def features(self, name: Name) -> list[Feature]:
        """How a feature stands, room by room."""
        return [self.lives.feature(name, room) for room in self.rooms()]

    def _begun(self, now: Moment, _on_disk: bool) -> list[Unsaved]:
        taken_over: list[Life] = []
        with suppress(sqlite3.Error):  # then there is nothing to be taken over from
            taken_over = self.lives.orphans(now)
        over = [(life, alert_life.restarted(life, now)) for life in self.lives.open() if life.alert.kind in FAULTS]
        woken = [
            after
            for name in feature.NAMES
            for before in self.features(name)
            if (after := feature.woken(before, now)) != before
        ]
        return [
            *(Unsaved(now.t, life=life) for life in taken_over),
            *(
                Unsaved(
                    now.t,
                    letter=restart_letter(self.unit, now.boot, after, now),
                    life=after,
                    notes=(Note("restart", now.wall, now.t, {"state": after.state, "by": UNIT}, after.id),),
                )
                for _, after in over
            ),
            *(Unsaved(now.t, feature=one) for one in woken),
        ]

    def _told(self, incident: Incident, alert: Alert | None, model_id: str, on_disk: bool) -> list[Unsaved]:
        if alert is None:
            return [Unsaved(incident.t, incident, model_id=model_id)]
        now = self.moment(alert.wall, alert.t)
        life: Life | None = None
        staff: Feature | None = None
        if alert.kind != "test":
            before = self.lives.get(incident.id)
            staff, hush = self._hushed(alert, before, now, on_disk)
            life = alert_life.said(before, alert, now, silence=hush, recovery_ends=self.settings.alerts.recovery_ends)
            life = replace(life, model_id=model_id, grew_from=str(incident.detail.get("of", "")))
        letter = stage_letter(self.unit, now.boot, incident, alert, life)
        why = "an alert is hushed" if staff is not None and staff.on else "a second alert in the room"
        notes = () if staff is None else (_feature_note(staff, now, why),)
        over = ALL if life is not None and not life.open else 0
        one = Unsaved(incident.t, incident, alert, model_id, letter, life, notes=notes, feature=staff, heard_to=over)
        return [one]

    def _hushed(self, alert: Alert, before: Life | None, now: Moment, on_disk: bool) -> tuple[Feature | None, bool]:
        """Whether staff hush this alert, and how their presence stands after it where that changes.

        What only memory knows is never hushed: it could not be remembered that it was.
        """
        staff = self.lives.feature("staff", alert.room or self.unit.room)
        if not on_disk or not feature.holds(staff, now):
            return None, False
        others = [life for life in self.lives.open() if life.id != alert.incident_id and life.alert.room == alert.room]
        if alert_life.hushed(alert, before, others, staff.hushed):
            return (None if staff.hushed else replace(staff, hushed=alert.incident_id)), True
        rings_anew = alert.priority in alerts.RINGING and (before is None or before.rang is None)
        return (feature.ended(staff, UNIT, now.wall) if rings_anew else None), False

    def _rung(self, alert_id: str, now: Moment, _on_disk: bool) -> list[Unsaved]:
        life = self.lives.get(alert_id)
        times = self.settings.alerts
        if life is None or (ring := alert_life.due(life, now, times, staff=self._staff_there(life, now))) is None:
            return []  # somebody has answered since
        after = alert_life.rung(life, ring, now, times)
        note = Note("ring", now.wall, now.t, {"why": ring.why, "tier": ring.tier, "by": UNIT}, alert_id)
        return [Unsaved(now.t, letter=ring_letter(self.unit, now.boot, after, ring, now), life=after, notes=(note,))]

    def _given_up(self, alert_id: str, now: Moment, _on_disk: bool) -> list[Unsaved]:
        life = self.lives.get(alert_id)
        if life is None or not alert_life.unheard(life, now, self.settings.alerts):
            return []
        after = replace(life, helpless=True, version=life.version + 1)
        note = Note("fallback", now.wall, now.t, {"tier": life.tier, "by": UNIT}, alert_id)
        dropped = 0 if self.settings.alerts.receipt == "consumer" else ALL
        return [Unsaved(now.t, life=after, notes=(note,), heard_to=dropped)]

    def _answered(self, said: Answer, now: Moment, _on_disk: bool) -> Sequence[Unsaved]:
        receipt = said.receipt
        life = self._answerable(said, now)
        if life is None:
            return [Unsaved(now.t, answer=said, heard_to=receipt.seq or ALL)]
        changes = [self._one_answer(life, said, now)]
        if receipt.action in ("close", "reject"):
            for grown in (one for one in self.lives.open() if one.grew_from == life.id):
                same = replace(said, receipt=replace(receipt, alert_id=grown.id), nonce="")
                if not alert_life.refusal(grown, receipt.action, receipt.at):
                    changes.append(self._one_answer(grown, same, now))
        return changes

    def _one_answer(self, life: Life, said: Answer, now: Moment) -> Unsaved:
        receipt = said.receipt
        after = alert_life.answered(life, receipt, now)
        human = receipt.level == "human"
        letter = answer_letter(self.unit, now.boot, after, receipt, now) if human else None
        return Unsaved(now.t, letter=letter, life=after, answer=said, heard_to=receipt.seq or ALL)

    def _answerable(self, said: Answer, now: Moment) -> Life | None:
        """The life that an answer is about; None for an alert that has none, such as a test. Raises NotCountedError."""
        alert_id, action = said.receipt.alert_id, said.receipt.action
        known = self.spill.has_alert(alert_id)
        life = self.lives.get(alert_id)
        seen = self.spill.has_nonce(alert_id, said.nonce)
        with suppress(sqlite3.Error):  # a disk that cannot be read refuses nobody
            known = known or self.journal.knows_alert(alert_id)
            seen = seen or self.journal.has_receipt(said.receipt, said.nonce)
            life = life or self.lives.of_event(alert_id, now)
        if not known and life is None:
            raise NotCountedError("no alert with this id was ever sent from here")
        state = life.state if life else ""
        if seen:
            raise NotCountedError("this answer was entered before", state, repeated=True)
        if life is not None and (reason := alert_life.refusal(life, action, said.receipt.at)):
            raise NotCountedError(reason, state)
        return life

    def _switched(self, wish: Wish, now: Moment, on_disk: bool) -> list[Unsaved]:
        rooms = self.rooms()
        room = wish.room or (rooms[0] if len(rooms) == 1 else "")
        if room not in rooms:
            raise NotCountedError(f"room is missing or not one of this unit's: {', '.join(rooms)}")
        before = self.lives.feature(wish.name, room)
        state = "ON" if feature.holds(before, now) else "OFF"
        if not on_disk:
            raise NotCountedError("the unit's disk takes nothing, so that this could not be kept; free the disk", state)
        if wish.nonce and self.journal.has_nonce("feature", wish.name, wish.nonce):
            raise NotCountedError("this was entered before", state, repeated=True)
        if reason := feature.refusal(before, wish, now, self.settings.alerts):
            raise NotCountedError(reason, state)
        after = feature.switched(before, wish, now, self.settings.alerts)
        return [Unsaved(now.t, feature=after, notes=(_feature_note(after, now, "", wish.nonce),))]

    def _end_features(self, now: Moment) -> None:
        """Write down what is over by itself. Until then nothing holds that is over: `feature.holds` asks the clock."""
        for name in feature.NAMES:
            for one in self.features(name):
                if one.on and not feature.holds(one, now):
                    self.transact(partial(self._feature_over, one, now), now)

    def _feature_over(self, over: Feature, now: Moment, on_disk: bool) -> list[Unsaved]:
        before = self.lives.feature(over.name, over.room)
        if not on_disk or not before.on or feature.holds(before, now):
            return []
        after = feature.ended(before, UNIT, now.wall)
        return [Unsaved(now.t, feature=after, notes=(_feature_note(after, now, "its time is over"),))]

    def _staff_there(self, life: Life, now: Moment) -> bool:
        """Asked only about what is hushed. While the disk fails nobody is known to be there."""
        if not life.silenced or self.trouble is not None:
            return False
        return feature.holds(self.lives.feature("staff", life.alert.room or self.unit.room), now)


def _feature_note(one: Feature, now: Moment, why: str, nonce: str = "") -> Note:
    body = {"name": one.name, "room": one.room, "on": one.on, "until": one.until, "by": one.by, "at": one.at}
    body |= {"hushed": one.hushed} if one.hushed else {}
    return Note("feature", now.wall, now.t, {**body, "why": why, **({"nonce": nonce} if nonce else {})}, one.name)


def active_alert(outbox: Outbox) -> tuple[Alert | None, Standing | None, int]:
    """The worst open alert that calls somebody to the room, where it stands, and how many are open.

    Worst: nobody has claimed it, then the highest priority, then the oldest.
    """
    calling = [life for life in outbox.lives.open() if life.calls]
    if not calling:
        return None, None, 0
    life = min(calling, key=lambda one: (one.state != "open", -alerts.RANK[one.alert.priority], one.alert.wall_start))
    alert = life.alert
    standing = Standing(
        "update",
        life.state,
        alerts.event_type(alert.kind, alert.stage),
        by=life.by or None,
        at=life.at,
        tier=life.tier,
        heard=life.heard,
    )
    return alert, standing, len(calling)
