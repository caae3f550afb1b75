"""What goes over the wire, and what may come in: builders, and JSON Schemas (2020-12) in device/schemas.

Every payload carries `"schema": 1`; receivers ignore fields they do not know, and so do we.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from device import alerts
from device.clock import rfc3339
from device.errors import FallwatchError
from device.records import Alert, Receipt, ReceiptLevel
from device.settings import Unit

SCHEMA = 1
FOLDER = Path(__file__).parent / "schemas"
NAMES = ("alert-event", "alert-active", "health", "fault-active", "receipt", "ack")

MAX_INBOUND = 4096
"""Bytes; an acknowledgement takes about 200. More is not read at all."""

INBOUND: dict[str, ReceiptLevel] = {"receipt": "consumer", "ack": "human"}
"""Last word of an inbound topic -> the level of receipt that it is."""


class PayloadError(FallwatchError):
    """A payload that breaks its contract; the text names the field, its value and what was expected."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an alert stands when a message about it is written.

    type: new, update or end. state: open, claimed, arrived, closed, rejected, recovered, dismissed, ended, cleared.
    by, at: who acted last and when (Unix seconds). cause: why it was closed, or what is wrong with the unit.
    """

    type: str
    state: str
    event_type: str
    model_id: str = ""
    by: str | None = None
    at: float | None = None
    cause: str | None = None


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
    }


def health_payload(unit: Unit, health: Mapping[str, Any], waiting: int) -> dict[str, Any]:
    """The retained state of the unit on health; `waiting` alerts are still on their way to the broker."""
    return {**health, "schema": SCHEMA, "room": unit.room, "device": unit.id, "outbox_waiting": waiting}


def faults_payload(unit: Unit, faults: list[dict[str, Any]]) -> dict[str, Any]:
    """The retained list of latched faults on fault/active: each has a cause, and may have text, since and kind."""
    return {"schema": SCHEMA, "room": unit.room, "device": unit.id, "faults": faults}


def inbound(word: str, alert_id: str, raw: bytes) -> tuple[Receipt, str]:
    """A Receipt and its nonce from alert/<id>/receipt or /ack. Raises PayloadError for anything out of contract."""
    if word not in INBOUND:
        raise PayloadError(f"{_short(word)} is no answer to an alert, expected receipt or ack")
    body = read_json(word, raw)
    validate(word, body)
    at = _unix(word, body["at"])
    receipt = Receipt(alert_id, INBOUND[word], body["by"], at, body.get("action", "received"), body.get("cause") or "")
    return receipt, body.get("nonce", "")


def read_json(name: str, raw: bytes) -> Any:
    """The JSON value of a message. Raises PayloadError when it is too long, no JSON or no valid text."""
    if len(raw) > MAX_INBOUND:
        raise PayloadError(f"{name}: {len(raw)} bytes long, expected at most {MAX_INBOUND}")
    try:
        body = json.loads(raw.decode("utf-8"))
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise PayloadError(f"{name}: {_short(raw)} is no JSON, expected an object in UTF-8") from None
    return body


def validate(name: str, payload: object) -> None:
    """Check a payload against device/schemas/<name>.json. Raises PayloadError with one sentence."""
    error = best_match(validator(name).iter_errors(payload))
    if error is not None:
        raise PayloadError(_sentence(name, error))


@cache
def validator(name: str) -> Draft202012Validator:
    """The compiled schema of one payload; read once."""
    return Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def _sentence(name: str, error: ValidationError) -> str:
    field = ".".join(str(part) for part in error.absolute_path) or "the payload"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        where = "" if field == "the payload" else f"{field}."
        return f"{name}: {where}{missing} is missing, expected as in schemas/{name}.json"
    expected = f"{error.validator} {error.validator_value}"
    if isinstance(error.schema, dict) and error.absolute_path:
        expected = error.schema.get("description", expected)
    return f"{name}: {field} is {_short(error.instance)}, expected {expected}"


def _unix(name: str, text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise PayloadError(f"{name}: at is {_short(text)}, expected a time such as 2026-11-22T03:14:07.120Z") from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
