"""The life of one alert, pure: what was said and answered goes in, how it stands and what is due comes out.

    open ──claim──> claimed ──arrive──> arrived ──close──> closed (cause, outcome)
      ↑               └──────────────────┴──reject──> rejected (false alarm, reason)
      └──reopen── closed, rejected, or over by itself: recovered, dismissed, ended

Open and unclaimed it rings again, a tier up at each of tiers_s, and after the last one every repeat_s for ever. Claimed
and not closed it rings again too. Only a person ends it, or, where the settings let it, a recovery that is announced.
Time is an argument: monotonic within one boot; what began in another boot is due at once, rather early than never.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from math import inf
from typing import Any, Literal, get_args

from device.alerts import RANK, RING_S, RINGING
from device.records import Action, Alert, Priority, Receipt
from device.settings_alerts import Alerts

State = Literal["open", "claimed", "arrived", "closed", "rejected", "recovered", "dismissed", "ended", "cleared"]
Why = Literal["unclaimed", "unclosed", "rearmed", "fault"]

OPEN_STATES: tuple[State, ...] = ("open", "claimed", "arrived")
ENDED_STATES: tuple[State, ...] = ("closed", "rejected", "recovered", "dismissed", "ended", "cleared")
BY_ITSELF: tuple[State, ...] = ("recovered", "dismissed", "ended")
"""Over without a person. What is over by itself may still be given a cause, and may be reopened."""
FAULTS = ("blind", "unit")
"""Kinds that end when their cause is gone and in no other way: a person cannot close a covered camera."""

STATE_AFTER: dict[str, State] = {
    "claim": "claimed",
    "arrive": "arrived",
    "close": "closed",
    "reject": "rejected",
    "reopen": "open",
}

ALLOWED_FROM: dict[Action, tuple[State, ...]] = {
    "received": get_args(State),
    "claim": ("open", "claimed"),
    "arrive": ("open", "claimed", "arrived"),
    "close": (*OPEN_STATES, *BY_ITSELF),
    "reject": (*OPEN_STATES, *BY_ITSELF),
    "reopen": ("closed", "rejected", *BY_ITSELF),
}
"""An answer to an alert that has gone on without it is stale. A claim by another takes over; "I am there" said again
begins the wait anew, for somebody who needs longer."""


@dataclass(frozen=True, slots=True)
class Moment:
    """wall: Unix seconds, for people; it may step. t: monotonic seconds of the boot with this id, for durations."""

    wall: float
    t: float
    boot: str


@dataclass(frozen=True, slots=True)
class Life:
    """How one alert stands; version rises with every change.

    alert: what was said last, at the loudest priority so far. since: when this state began, moved only by `rung` after
    a reboot. rang: when it last called anybody. heard: a consumer has said since then that it has it. helpless: the
    ways out of last resort were told since then. silenced: shown and not rung, because staff are in the room. by, at:
    who acted last and when (Unix seconds, as the sender says). reopened: when it was opened again, the same way, and
    never later than the unit's own clock then said.
    """

    alert: Alert
    state: State
    since: Moment
    rang: Moment | None = None
    tier: int = 0
    heard: bool = False
    helpless: bool = False
    silenced: bool = False
    by: str = ""
    at: float | None = None
    cause: str = ""
    outcome: str = ""
    grew_from: str = ""
    model_id: str = ""
    version: int = 1
    reopened: float | None = None

    @property
    def id(self) -> str:
        return self.alert.incident_id

    @property
    def open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def calls(self) -> bool:
        """Somebody is to come: open and loud, claimed or not, and nobody from the staff is known to be there."""
        return self.open and self.alert.priority in RINGING and not self.silenced

    @property
    def rings(self) -> bool:
        """It calls, and nobody has answered."""
        return self.calls and self.state == "open"


@dataclass(frozen=True, slots=True)
class Ring:
    """An alert is due to be said again."""

    tier: int
    why: Why


def passed_s(then: Moment | None, now: Moment) -> float:
    """Seconds from then to now; infinite when no clock can tell: another boot, or never."""
    if then is None or then.boot != now.boot or now.t < then.t:
        return inf
    return now.t - then.t


def said(life: Life | None, alert: Alert, now: Moment, *, silence: bool, recovery_ends: bool) -> Life:
    """A transition of the incident was told; `silence`: staff are there and it is not to ring.

    The end of an incident ends its alert when nobody had been called yet, when the settings let a recovery end it, and
    always for a fault. Else the alert goes on as loudly as before, with the new words.
    """
    if life is None:
        life = Life(alert, "open", now, version=0)
    if not life.open:
        return life
    kept = replace(life, version=life.version + 1)
    over = alert.ends and (recovery_ends or alert.kind in FAULTS or life.alert.priority not in RINGING)
    if over:
        return replace(kept, alert=_as_loud(life.alert, alert), state=_end_of(alert), since=now, silenced=False)
    loud = alert.priority in (*RINGING, "fault")
    kept = replace(kept, alert=_as_loud(life.alert, alert), silenced=silence if loud else life.silenced)
    if not loud or not (kept.rings or kept.alert.kind in FAULTS):
        return kept
    first = kept.rang is None or life.silenced
    return replace(kept, rang=now, since=now if first else kept.since, heard=False, helpless=False)


def refusal(life: Life, action: Action, at: float | None = None) -> str:
    """Why this answer does not count, in one sentence; "" when it does. at: when it was said, Unix seconds.

    One that waited somewhere while the alert was opened again is about what was over by then.
    """
    if life.alert.kind in FAULTS and action in ("close", "reject", "reopen"):
        return "a fault ends by itself once its cause is gone, nobody can close it"
    if life.state not in ALLOWED_FROM[action]:
        return f"{action} comes too late, the alert is {life.state}"
    late = life.reopened is not None and at is not None and at < life.reopened
    if late and action not in ("received", "reopen"):
        return (
            f"{action} comes too late, the alert was opened again after that was said; say it again, and check the time"
        )
    return ""


def answered(life: Life, receipt: Receipt, now: Moment) -> Life:
    """The life after an answer that `refusal` has nothing against."""
    kept = replace(life, heard=True, version=life.version + 1)
    if receipt.action == "received":
        return kept
    kept = replace(
        kept,
        state=STATE_AFTER[receipt.action],
        since=now,
        by=receipt.by,
        at=receipt.at,
        cause=receipt.cause,
        outcome=receipt.outcome,
        silenced=False,
    )
    if receipt.action != "reopen":
        return kept
    reopened = min(receipt.at, now.wall)
    return replace(kept, alert=_calling(kept.alert), rang=now, tier=0, heard=False, helpless=False, reopened=reopened)


def due(life: Life, now: Moment, times: Alerts, *, staff: bool) -> Ring | None:
    """What time has brought: a ring that is due now, or None. staff: they are still known to be in the room."""
    if not life.open:
        return None
    if life.alert.kind in FAULTS:
        return Ring(0, "fault") if passed_s(life.rang, now) >= _repeat_s(life) else None
    if life.silenced:  # and open: every answer takes the silence away
        return None if staff else Ring(0, "rearmed")
    if not life.calls:
        return None
    if life.state == "open":
        tier = _tier(life, now, times)
        ring = tier > life.tier or passed_s(life.rang, now) >= _repeat_s(life)
        return Ring(tier, "unclaimed") if ring else None
    limit = times.claimed_s if life.state == "claimed" else times.arrived_s
    quiet_s = min(passed_s(life.since, now), passed_s(life.rang, now))
    return Ring(min(life.tier + 1, len(times.tiers_s)), "unclosed") if quiet_s >= limit else None


def rung(life: Life, ring: Ring, now: Moment, times: Alerts) -> Life:
    """The life after a ring that was due."""
    since = life.since
    if ring.why == "rearmed":
        since = now
    elif ring.why == "unclaimed" and passed_s(since, now) == inf:
        # Another boot: as if this tier had just been reached, so that the next one follows in its time.
        since = replace(now, t=now.t - (times.tiers_s[ring.tier - 1] if ring.tier else 0.0))
    return replace(
        life,
        since=since,
        rang=now,
        tier=ring.tier,
        heard=False,
        helpless=False,
        silenced=False,
        version=life.version + 1,
    )


def unheard(life: Life, now: Moment, times: Alerts) -> bool:
    """True when it has rung for fallback_s, no consumer has it, nobody has answered and the last resort is not told."""
    waits = times.consumer_receipts and life.rings and not life.heard and not life.helpless
    return waits and life.rang is not None and passed_s(life.rang, now) >= times.fallback_s


def hushed(alert: Alert, life: Life | None, others: list[Life], hushed_id: str) -> bool:
    """Whether staff in the room hush this alert: the first that they could have brought about, and no other.

    others: open alerts of the same room. hushed_id: what this presence of staff has hushed so far, "" for nothing.
    A second person down, or the same one again, is not hushed; neither is who was ringing before staff came, nor a
    long lie, which outlasts every stay.
    """
    if alert.kind not in ("fall", "floor", "inactivity") or alert.priority not in RINGING:
        return life is not None and life.silenced
    if life is not None and (life.calls or life.state != "open"):
        return False
    return hushed_id in ("", alert.incident_id) and not any(one.calls for one in others)


def restarted(life: Life, now: Moment) -> Life:
    """A fault of an earlier run of the unit is over with that run; if its cause is still there it is found anew."""
    return replace(life, state="cleared", since=now, version=life.version + 1)


def to_body(life: Life) -> dict[str, Any]:
    """For JSON."""
    return asdict(life)


def life_from(body: dict[str, Any]) -> Life:
    """From JSON; what a newer version has written beside it is passed over."""
    known = {one.name for one in fields(Life)}
    alert_fields = {one.name for one in fields(Alert)}
    found = {name: value for name, value in body.items() if name in known}
    found["alert"] = Alert(**{name: value for name, value in body["alert"].items() if name in alert_fields})
    for name in ("since", "rang"):
        found[name] = None if body.get(name) is None else Moment(**body[name])
    return Life(**found)


def _tier(life: Life, now: Moment, times: Alerts) -> int:
    passed = passed_s(life.since, now)
    reached = life.tier + 1 if passed == inf else sum(limit <= passed for limit in times.tiers_s)
    return min(max(life.tier, reached), len(times.tiers_s))


def _repeat_s(life: Life) -> float:
    return life.alert.repeat_s or RING_S


def _end_of(alert: Alert) -> State:
    return next((state for state in ENDED_STATES if state == alert.stage), "ended")


def _as_loud(before: Alert, alert: Alert) -> Alert:
    """The newer words, never more quietly than before."""
    if RANK[alert.priority] >= RANK[before.priority]:
        return alert
    return replace(alert, priority=before.priority, repeat_s=before.repeat_s)


def _calling(alert: Alert) -> Alert:
    """Whoever reopens an alert wants somebody to come, however quietly it had ended."""
    loud: Priority = alert.priority if alert.priority in RINGING else "warning"
    return replace(alert, priority=loud, repeat_s=alert.repeat_s or RING_S)
