"""What may come in over the wire: receipts, answers and wishes, read and checked; anything else is refused by name."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from device.feature import Name, Wish
from device.payloads import Asked, PayloadError, short, validate
from device.records import Receipt, ReceiptLevel

MAX_INBOUND = 4096
"""Bytes; an acknowledgement takes about 200. More is not read at all."""

INBOUND: dict[str, ReceiptLevel] = {"receipt": "consumer", "ack": "human"}
"""Last word of an inbound topic -> the level of receipt that it is."""
SWITCH = {b"ON": True, b"OFF": False}
"""What a plain switch sends to <feature>/set, without name, time and nonce."""
NOT_BEFORE, NOT_AFTER = 946_684_800.0, 4_102_444_800.0
"""2000 and 2100, Unix seconds: a time outside is a mistake, and four digits would not hold it for ever."""


def asked_for(raw: bytes) -> Asked:
    """What a message that may be out of contract asked for, as far as it can be read."""
    try:
        body = read_json("", raw)
    except PayloadError:
        return Asked()
    found = body if isinstance(body, dict) else {}
    action, nonce = found.get("action", found.get("state")), found.get("nonce")
    return Asked(
        action if isinstance(action, str) and len(action) <= 32 else None,
        nonce if isinstance(nonce, str) and len(nonce) <= 64 else None,
    )


def wish(name: Name, raw: bytes) -> Wish:
    """A Wish from <feature>/set: JSON by contract, or the bare text ON or OFF. Raises PayloadError."""
    if raw in SWITCH:
        return Wish(name, SWITCH[raw], "a switch")
    label = f"{name}/set"
    body = read_json(label, raw)
    validate("feature-set", body, label)
    return Wish(
        name=name,
        on=body["state"] == "ON",
        by=body["by"],
        room=body.get("room", ""),
        seconds=body.get("seconds"),
        at=_unix(label, body["at"]),
        nonce=body["nonce"],
    )


def inbound(word: str, alert_id: str, raw: bytes) -> tuple[Receipt, str]:
    """A Receipt and its nonce from alert/<id>/receipt or /ack. Raises PayloadError for anything out of contract."""
    if word not in INBOUND:
        raise PayloadError(f"{short(word)} is no answer to an alert, expected receipt or ack")
    body = read_json(word, raw)
    validate(word, body)
    at = _unix(word, body["at"])
    if word == "receipt":
        return Receipt(alert_id, INBOUND[word], body["by"], at, seq=int(body.get("seq", 0))), ""
    cause, outcome = body.get("cause") or "", body.get("outcome") or ""
    return Receipt(alert_id, INBOUND[word], body["by"], at, body["action"], cause, outcome), body["nonce"]


def read_json(name: str, raw: bytes) -> Any:
    """The JSON value of a message. Raises PayloadError when it is too long, no JSON or no valid text."""
    if len(raw) > MAX_INBOUND:
        raise PayloadError(f"{name}: {len(raw)} bytes long, expected at most {MAX_INBOUND}")
    try:
        body = json.loads(raw.decode("utf-8"))
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise PayloadError(f"{name}: {short(raw)} is no JSON, expected an object in UTF-8") from None
    return body


def _unix(name: str, text: str) -> float:
    try:
        at = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        at = 0.0
    if not NOT_BEFORE <= at < NOT_AFTER:
        raise PayloadError(f"{name}: at is {short(text)}, expected a time such as 2026-11-22T03:14:07.120Z")
    return at
