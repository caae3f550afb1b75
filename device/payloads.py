"""What goes over the wire: builders, and the JSON Schemas (2020-12) in device/schemas that both directions keep.

Every payload carries `"schema": 1`; receivers ignore fields they do not know, and so do we.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from device import alerts
from device.clock import rfc3339
from device.errors import FallwatchError
from device.feature import Feature
from device.records import Alert
from device.settings import Unit

SCHEMA = 1
FOLDER = Path(__file__).parent / "schemas"
NAMES = (
    "alert-event",
    "alert-active",
    "health",
    "fault-active",
    "receipt",
    "ack",
    "feature-set",
    "feature-state",
    "result",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer or a wish counts. reason: why not, one sentence. state: how the alert or feature now stands.

    repeated: the same nonce was entered before; what it asked for counts since then.
    """

    counts: bool
    reason: str = ""
    repeated: bool = False
    state: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message from outside asked for; None where that cannot be read."""

    action: str | None = None
    nonce: str | None = None


class PayloadError(FallwatchError):
    """A payload that breaks its contract; the text names the field, its value and what was expected."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an alert stands when a message about it is written.

    type: new, update or end. state: open, claimed, arrived, closed, rejected, recovered, dismissed, ended, cleared.
    by, at: who acted last and when (Unix seconds). cause: why it was closed, or what is wrong with the unit. outcome:
    what came of it. tier: how often nobody came in time. ring: this message itself calls somebody. hushed: staff are in
    the room, so that it is shown and does not ring. heard: a consumer has it since it rang last.
    """

    type: str
    state: str
    event_type: str
    model_id: str = ""
    by: str | None = None
    at: float | None = None
    cause: str | None = None
    outcome: str | None = None
    tier: int = 0
    ring: bool = False
    hushed: bool = False
    heard: bool = False


def event_payload(unit: Unit, alert: Alert, standing: Standing, boot_id: str) -> dict[str, Any]:
    """The message on alert/event, without seq, attempt and published_at, which are filled in on sending."""
    return {
        "schema": SCHEMA,
        "alert_id": alert.incident_id,
        "event_type": standing.event_type,
        "type": standing.type,
        "kind": alert.kind,
        "stage": alert.stage,
        "state": standing.state,
        "severity": alerts.SEVERITY[alert.priority],
        "priority": alert.priority,
        "text": alert.text,
        "room": alert.room or unit.room,
        "camera": alert.camera or None,
        "device": unit.id,
        "started_at": rfc3339(alert.wall_start),
        "detected_at": rfc3339(alert.wall),
        "mono_ms": int(alert.t * 1000),
        "boot_id": boot_id,
        "score": round(alert.score, 4),
        "repeat_s": alert.repeat_s,
        "model": {"id": standing.model_id} if standing.model_id else None,
        "cause": standing.cause or None,
        "outcome": standing.outcome or None,
        "tier": standing.tier,
        "ring": standing.ring,
        "hushed": standing.hushed,
        "ack": {"by": standing.by, "at": None if standing.at is None else rfc3339(standing.at)},
        "test": alert.test,
    }


def stamped(payload: Mapping[str, Any], seq: int, attempt: int, wall: float) -> dict[str, Any]:
    """The message as it is sent for the attempt-th time (from 1); its own times stay as they were."""
    return {**payload, "seq": seq, "attempt": attempt, "published_at": rfc3339(wall)}


def active_payload(unit: Unit, alert: Alert | None, standing: Standing | None, open_count: int) -> dict[str, Any]:
    """The retained truth on alert/active: the worst open alert, or state clear."""
    base = {"schema": SCHEMA, "room": unit.room, "device": unit.id, "open": open_count}
    if alert is None or standing is None:
        return {**base, "state": "clear"}
    return {
        **base,
        "room": alert.room or unit.room,
        "camera": alert.camera or None,
        "state": standing.state,
        "alert_id": alert.incident_id,
        "kind": alert.kind,
        "stage": alert.stage,
        "severity": alerts.SEVERITY[alert.priority],
        "priority": alert.priority,
        "text": alert.text,
        "started_at": rfc3339(alert.wall_start),
        "detected_at": rfc3339(alert.wall),
        "score": round(alert.score, 4),
        "repeat_s": alert.repeat_s,
        "by": standing.by,
        "at": None if standing.at is None else rfc3339(standing.at),
        "tier": standing.tier,
        "heard": standing.heard,
    }


def health_payload(
    unit: Unit, health: Mapping[str, Any], waiting: int, receipts: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The retained state of the unit on health.

    waiting: messages still on their way. receipts: by level, what waits for it and when the last one came.
    """
    base = {**health, "schema": SCHEMA, "room": unit.room, "device": unit.id, "outbox_waiting": waiting}
    return base if receipts is None else {**base, "receipts": receipts}


def faults_payload(unit: Unit, faults: list[dict[str, Any]]) -> dict[str, Any]:
    """The retained list of latched faults on fault/active: each has a cause, and may have text, since and kind."""
    return {"schema": SCHEMA, "room": unit.room, "device": unit.id, "faults": faults}


def feature_payload(unit: Unit, name: str, rooms: list[Feature]) -> dict[str, Any]:
    """The retained state of staff presence or privacy on <feature>/state; rooms: how it stands in each."""
    on = [one for one in rooms if one.on]
    latest = max(on, key=lambda one: one.until or 0.0, default=None)
    rows = [
        {
            "room": one.room,
            "state": "ON" if one.on else "OFF",
            "until": _time(one.until),
            "by": one.by or None,
            "hushed": one.hushed or None,
        }
        for one in rooms
    ]
    return {
        "schema": SCHEMA,
        "room": unit.room,
        "device": unit.id,
        "feature": name,
        "state": "ON" if on else "OFF",
        "until": _time(latest.until) if latest else None,
        "by": (latest.by if latest else rooms[0].by if len(rooms) == 1 else "") or None,
        "rooms": rows,
    }


def result_payload(unit: Unit, about: Mapping[str, str], asked: Asked, verdict: Verdict) -> dict[str, Any]:
    """What became of an answer or a wish; about: {"alert_id": …} or {"feature": …}."""
    return {
        "schema": SCHEMA,
        "room": unit.room,
        "device": unit.id,
        **about,
        "action": asked.action,
        "nonce": asked.nonce,
        "counts": verdict.counts or verdict.repeated,
        "repeated": verdict.repeated,
        "reason": "" if verdict.repeated else verdict.reason[:500],
        "state": verdict.state,
    }


def validate(name: str, payload: object, label: str = "") -> None:
    """Check a payload against device/schemas/<name>.json. Raises PayloadError with one sentence.

    label: what the sentence calls it, where that is not the schema's name.
    """
    error = best_match(validator(name).iter_errors(payload))
    if error is not None:
        raise PayloadError(_sentence(label or name, name, error))


@cache
def validator(name: str) -> Draft202012Validator:
    """The compiled schema of one payload; read once."""
    return Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def _sentence(label: str, name: str, error: ValidationError) -> str:
    field = ".".join(str(part) for part in error.absolute_path) or "the payload"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        where = "" if field == "the payload" else f"{field}."
        return f"{label}: {where}{missing} is missing, expected as in schemas/{name}.json"
    expected = f"{error.validator} {error.validator_value}"
    if isinstance(error.schema, dict) and error.absolute_path:
        expected = error.schema.get("description", expected)
    return f"{label}: {field} is {short(error.instance)}, expected {expected}"


def _time(wall: float | None) -> str | None:
    return None if wall is None else rfc3339(wall)


def short(value: object) -> str:
    """A value as an error sentence shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
