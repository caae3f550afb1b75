"""What is said about an alert, ready to send, pure: its stages, what people answered, and that it rings again."""

from __future__ import annotations

from dataclasses import replace

from device import alerts
from device.alert_life import FAULTS, Life, Moment, Ring
from device.alerts import RINGING
from device.payloads import Standing, event_payload
from device.records import Alert, Incident, Receipt
from device.settings import Unit
from device.spill import Letter

TOPIC = "alert/event"
TEXT_MAX = 300
"""Characters of a text, as the schema of alert/event bounds it."""

HUMAN_WORDS = {
    "claim": "{by} is going",
    "arrive": "{by} is there",
    "close": "closed by {by}",
    "reject": "rejected by {by}",
    "reopen": "opened again by {by}",
}
RING_WORDS = {
    "unclaimed": "{text}, and nobody is going",
    "claimed": "{text}; {by} is going and has not closed it",
    "arrived": "{text}; {by} is there and has not closed it",
    "rearmed": "{text}; staff were in the room and are not any more",
}
"""By why it rings, or by who has it. The text already names the room."""


def stage_letter(unit: Unit, boot: str, incident: Incident, alert: Alert, life: Life | None) -> Letter:
    """A transition of the incident as it is told; life: as it stands after it, None for a test."""
    if life is None:
        standing = Standing("new", "open", alerts.event_type(alert.kind, alert.stage))
        return _letter(unit, boot, alert, standing, alert.wall)
    cause = str(incident.detail["cause"]) if "cause" in incident.detail else None
    standing = replace(
        _standing(life, alerts.event_type(alert.kind, alert.stage)),
        type="end" if not life.open else ("new" if life.version == 1 else "update"),
        ring=life.rings and alert.priority in RINGING,
        cause=cause,
    )
    if life.silenced:
        alert = replace(alert, priority="silent", repeat_s=None)
    return _letter(unit, boot, alert, standing, alert.wall)


def answer_letter(unit: Unit, boot: str, life: Life, receipt: Receipt, now: Moment) -> Letter:
    """A person's answer as everybody else hears it, not loud; opened again it rings. life: as it stands after it."""
    rings = receipt.action == "reopen"
    room = life.alert.room or unit.room
    words = f"{room}: {HUMAN_WORDS[receipt.action].format(by=receipt.by)}"
    if receipt.cause:
        words += f" ({receipt.cause})"
    said = replace(
        life.alert,
        priority=life.alert.priority if rings else "info",
        repeat_s=life.alert.repeat_s if rings else None,
        text=words[:TEXT_MAX],
        t=now.t,
        wall=now.wall,
        ends=not life.open,
    )
    event_type = "reopened" if rings else life.state
    standing = replace(_standing(life, event_type), ring=rings, cause=receipt.cause or None)
    return _letter(unit, boot, said, standing, now.wall)


def ring_letter(unit: Unit, boot: str, life: Life, ring: Ring, now: Moment) -> Letter:
    """An alert that rings again, or a fault that is said again. life: as it stands after it."""
    said = replace(life.alert, t=now.t, wall=now.wall, ends=False)
    if ring.why == "fault":
        event_type = alerts.event_type(said.kind, said.stage)
        return _letter(unit, boot, said, _standing(life, event_type), now.wall)
    words = RING_WORDS[life.state if ring.why == "unclosed" else ring.why]
    text = words.format(text=life.alert.text, by=life.by)
    standing = replace(_standing(life, ring.why), ring=True)
    return _letter(unit, boot, replace(said, text=text[:TEXT_MAX]), standing, now.wall)


def restart_letter(unit: Unit, boot: str, life: Life, now: Moment) -> Letter:
    """A fault of an earlier run is over, because the unit has started again."""
    assert life.alert.kind in FAULTS
    text = f"{life.alert.room or unit.room}: the unit was started again, its fault of before is over"
    said = replace(life.alert, priority="info", repeat_s=None, text=text, t=now.t, wall=now.wall, ends=True)
    return _letter(unit, boot, said, _standing(life, "fault_cleared"), now.wall)


def _standing(life: Life, event_type: str) -> Standing:
    return Standing(
        type="update" if life.open else "end",
        state=life.state,
        event_type=event_type,
        model_id=life.model_id,
        by=life.by or None,
        at=life.at,
        cause=life.cause or None,
        outcome=life.outcome or None,
        tier=life.tier,
        hushed=life.silenced,
    )


def _letter(unit: Unit, boot: str, alert: Alert, standing: Standing, created: float) -> Letter:
    return Letter(0, alert.incident_id, TOPIC, event_payload(unit, alert, standing, boot), created)
