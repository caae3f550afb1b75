"""One table: what people are told about each stage of each incident, how loudly, how often again, and how it ends.

"Fell" is said only when a fall was seen; otherwise somebody "is on the floor". No resident is ever named: the room is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from device.records import Alert, Incident, Kind, Priority

RANK: dict[Priority, int] = {priority: rank for rank, priority in enumerate(get_args(Priority))}
"""From silent to urgent; the worst of several open alerts is the one of the highest rank."""

RINGING: tuple[Priority, ...] = ("warning", "alarm", "urgent")
"""Priorities that call a person to the room, and so stand in `alert/active` until somebody has ended them."""

SEVERITY: dict[Priority, str] = {
    "silent": "info",
    "info": "info",
    "fault": "fault",
    "warning": "warning",
    "alarm": "alarm",
    "urgent": "alarm",
}
"""The coarse word that receivers with two or three lamps understand."""

RING_S = 60.0
"""First tier of an unclaimed alarm: rings again after a minute (nurse-call practice, 60/120/180 s tiers)."""
URGENT_RING_S = 30.0
"""Twice as often once the person has been down for a minute or more."""
SLOW_RING_S = 180.0
"""Somebody who has not moved is not known to be hurt: the third tier."""
FAULT_RING_S = 3600.0
"""A latched fault is said again every hour, so that it can neither be forgotten nor drown the alarms."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: `text` may use {room}, {lasting} (how long, in words) and {cause}."""

    priority: Priority
    event_type: str
    text: str
    repeat_s: float | None = None
    ends: bool = False


_FAULT = Rule("fault", "fault", "{room}: not watching, {cause}", FAULT_RING_S)
_FAULT_CLEARED = Rule("info", "fault_cleared", "{room}: watching again, the fault is over ({cause})", None, True)
_UNIT_FAULT = Rule("fault", "fault", "{room}: the unit needs attention, {cause}", FAULT_RING_S)
_UNIT_CLEARED = Rule("info", "fault_cleared", "{room}: the unit is in order again ({cause})", None, True)

RULES: dict[tuple[Kind, str], Rule | None] = {
    ("fall", "suspected"): Rule("silent", "fall_suspected", "{room}: somebody may have fallen"),
    ("fall", "confirmed"): Rule("alarm", "fall_confirmed", "{room}: somebody fell and is on the floor", RING_S),
    ("fall", "still_down"): Rule(
        "urgent", "fall_still_down", "{room}: somebody fell and is still down after {lasting}", URGENT_RING_S
    ),
    ("fall", "very_long"): Rule(
        "urgent", "fall_very_long", "{room}: somebody fell and has been down for {lasting}", URGENT_RING_S
    ),
    ("fall", "recovered"): Rule(
        "info", "fall_recovered", "{room}: the person who fell got up after {lasting}", None, True
    ),
    ("fall", "dismissed"): Rule("silent", "fall_dismissed", "{room}: it was no fall", None, True),
    ("floor", "noticed"): None,
    ("floor", "confirmed"): Rule("warning", "floor_confirmed", "{room}: somebody is on the floor", RING_S),
    ("floor", "still_down"): Rule(
        "alarm", "floor_still_down", "{room}: somebody is still on the floor after {lasting}", RING_S
    ),
    ("floor", "very_long"): Rule(
        "urgent", "floor_very_long", "{room}: somebody has been on the floor for {lasting}", URGENT_RING_S
    ),
    ("floor", "recovered"): Rule(
        "info", "floor_recovered", "{room}: the person on the floor got up after {lasting}", None, True
    ),
    ("floor", "dismissed"): None,
    ("long_lie", "confirmed"): Rule(
        "urgent", "long_lie", "{room}: long lie, somebody has been on the floor for {lasting}", URGENT_RING_S
    ),
    ("long_lie", "recovered"): Rule(
        "info", "long_lie_recovered", "{room}: the person who lay on the floor got up after {lasting}", None, True
    ),
    ("inactivity", "noticed"): Rule("silent", "inactivity_noticed", "{room}: nobody has moved for {lasting}"),
    ("inactivity", "confirmed"): Rule(
        "warning", "inactivity", "{room}: somebody is there and has not moved for {lasting}", SLOW_RING_S
    ),
    ("inactivity", "ended"): Rule("info", "inactivity_ended", "{room}: there is movement again", None, True),
    ("blind", "latched"): _FAULT,
    ("blind", "cleared"): _FAULT_CLEARED,
    ("unit", "latched"): _UNIT_FAULT,
    ("unit", "cleared"): _UNIT_CLEARED,
    ("test", "confirmed"): Rule("info", "test", "{room}: TEST, nobody needs help"),
}
"""None: written to the journal and told to nobody (somebody is on the floor for a moment, and then is not)."""

CAUSES: dict[str, str] = {
    "no_frames": "the camera sends no pictures",
    "frozen": "the picture is frozen",
    "black": "the picture is black or blank",
    "constant_output": "the network says the same whatever it sees",
    "settings": "its settings are wrong and the last good ones are in use",
    "disk": "its disk is full or cannot be written",
    "store": "its journal was damaged and set aside; look at the files fallwatch.db.damaged-… and take them away",
    "broker": "the broker cannot be reached",
    "model": "its network cannot be loaded",
    "nobody_listening": "nobody is listening for its alerts",
    "no_consumer": "no desk or gateway says that it has its alerts",
    "alert_refused": "the broker refuses its alerts",
    "state_refused": "the broker refuses to keep its state",
    "answers_refused": "the broker gives it no answers to its alerts",
    "webhook": "its webhook reaches nobody",
    "relay": "its relay or buzzer does not work",
    "pager": "its paging system cannot be reached",
    "certificate": "its certificate is over or soon will be",
}
"""What is wrong with the unit, in words for the person who has to go and look."""

HUMAN_EVENTS = ("claimed", "arrived", "closed", "rejected", "reopened")
"""Event types of what people answered; the other event types are in RULES and RING_EVENTS."""

RING_EVENTS = ("unclaimed", "unclosed", "rearmed")
"""Event types of an alert that rings again: nobody has claimed it; who did has not closed it; staff have left."""

EVENT_TYPES = tuple(sorted({rule.event_type for rule in RULES.values() if rule} | {*HUMAN_EVENTS, *RING_EVENTS}))


def alert_for(incident: Incident, room: str) -> Alert | None:
    """What to tell about this transition; None when it is only written to the journal.

    Raises ValueError for a (kind, stage) that is not in RULES.
    """
    try:
        rule = RULES[incident.kind, incident.stage]
    except KeyError:
        raise ValueError(f"alerts.RULES has no row for {incident.kind}/{incident.stage}; add one") from None
    if rule is None or (incident.kind == "floor" and incident.ended and incident.t_confirmed is None):
        return None
    return Alert(
        incident_id=incident.id,
        kind=incident.kind,
        stage=incident.stage,
        priority=rule.priority,
        text=rule.text.format(room=room, lasting=lasting(incident), cause=cause(incident)),
        repeat_s=rule.repeat_s,
        t=incident.t,
        wall=incident.wall,
        wall_start=incident.wall_start,
        score=incident.score,
        ends=rule.ends,
        test=incident.kind == "test",
        camera=incident.camera,
        room=room,
    )


def event_type(kind: Kind, stage: str) -> str:
    """The word receivers switch on, such as fall_confirmed. Raises KeyError for a transition told to nobody."""
    rule = RULES[kind, stage]
    if rule is None:
        raise KeyError(f"{kind}/{stage} is told to nobody")
    return rule.event_type


def lasting(incident: Incident) -> str:
    """How long it has lasted, in words: time on the floor or without movement if known, else time since it began."""
    since_start = incident.t - incident.t_start
    return spell(float(incident.detail.get("down_s", incident.detail.get("still_s", since_start))))


def cause(incident: Incident) -> str:
    """The cause of a fault in words; a cause without words of its own is said as it stands."""
    word = str(incident.detail.get("cause", "unknown cause"))
    return CAUSES.get(word, word)


def spell(seconds: float) -> str:
    """40.2 -> '40 s', 300 -> '5 min', 3900 -> '1 h 5 min'; a clock that went backwards counts as 0 s."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
