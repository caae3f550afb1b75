"""What the journal says about an event, in words a nurse reads. Pure: rows in, plain dictionaries for JSON out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from device.alert_life import ENDED_STATES
from device.alerts import CAUSES, spell

KIND_WORDS = {
    "fall": "Fall",
    "floor": "On the floor",
    "long_lie": "Long lie",
    "inactivity": "No movement",
    "blind": "Camera cannot see",
    "unit": "Unit fault",
    "test": "Test",
}

STAGE_WORDS = {
    ("fall", "suspected"): "A fall is suspected",
    ("fall", "confirmed"): "Fall confirmed: still down",
    ("fall", "dismissed"): "Dismissed: nobody stayed down after it",
    ("floor", "noticed"): "Somebody is on the floor",
    ("floor", "dismissed"): "Dismissed: not on the floor any more",
    ("floor", "confirmed"): "On the floor, no fall was seen",
    ("long_lie", "confirmed"): "Long lie",
    ("inactivity", "noticed"): "Somebody is there and has not moved",
    ("inactivity", "confirmed"): "Still no movement",
    ("inactivity", "ended"): "Movement again",
}
"""Incident kind and stage -> one line of the story; ANY_KIND below serves all kinds. Facts alone: whether it rang for
them, staff in the room may have had a say in."""

ANY_KIND = {
    "still_down": "Still down",
    "very_long": "Down for a very long time",
    "recovered": "Got up",
    "latched": "Fault",
    "cleared": "Fault cleared",
}

RINGING_WORDS = {
    ("fall", "confirmed"): "the alert rings",
    ("floor", "confirmed"): "the alert rings",
    ("long_lie", "confirmed"): "rings, most urgent",
    ("inactivity", "confirmed"): "the alert rings",
}
"""Incident kind and stage -> what is added while the alert rings. A test does not ring."""

RINGING_AGAIN = {"still_down": "rings again, more urgent", "very_long": "rings again, most urgent"}
"""The same by stage, of every kind."""

ACTION_WORDS = {
    "received": "received it",
    "claim": "is going",
    "arrive": "has arrived",
    "close": "closed it",
    "reject": "says it was a false alarm",
    "reopen": "opened it again",
}

RING_WORDS = {
    "unclaimed": "Rings again: nobody is going",
    "unclosed": "Rings again: it was claimed and is not closed",
    "rearmed": "Rings now: the staff who were in the room have left",
}

HUSHED_WORDS = "shown and not rung, staff are in the room"

LABEL_WORDS = {"true": "a true alarm", "false": "a false alarm", "unsure": "unsure"}

PRIORITY_WORDS = {"silent": "shown, silent", "info": "shown"}
"""Alert priorities whose own name says too little to a nurse."""


SHOWN = ("incident_id", "kind", "stage", "state", "room", "wall_start", "wall_confirmed", "wall_end", "peak", "label")
"""Columns of the event table that the list shows as they are."""


def stage_words(incident: dict[str, Any]) -> str:
    """One transition of an incident in words: 'Got up after 40 s'."""
    kind, stage, detail = incident["kind"], incident["stage"], incident.get("detail") or {}
    words = STAGE_WORDS.get((kind, stage)) or ANY_KIND.get(stage) or stage.replace("_", " ").capitalize()
    if stage == "recovered":
        down_s = detail.get("down_s", incident["wall"] - incident["wall_start"])
        return f"{words} after {spell(float(down_s))}"
    if kind == "inactivity" and "still_s" in detail:
        return f"{words} ({spell(float(detail['still_s']))} still)"
    if kind == "long_lie" and "down_s" in detail:
        return f"{words}, after {spell(float(detail['down_s']))}"
    if kind in ("blind", "unit") and "cause" in detail:
        return f"{words}: {CAUSES.get(str(detail['cause']), detail['cause'])}"
    return words


def says(row: sqlite3.Row) -> str:
    """The newest transition of an event in words, and whether it rings for it: not while staff keep it from that."""
    words = stage_words(json.loads(row["incident"]))
    if row["hushed"] and not row["wall_end"]:
        return f"{words}, {HUSHED_WORDS}"
    rings = RINGING_WORDS.get((row["kind"], row["stage"])) or RINGING_AGAIN.get(row["stage"])
    return f"{words}, {rings}" if rings and urgency(row) == "rings" else words


def state_words(row: sqlite3.Row) -> str:
    """Where an event stands, and through whom."""
    if row["hushed"] and row["state"] == "open":
        return f"Open, {HUSHED_WORDS}"
    who = f" by {row['by']}" if row["by"] else ""
    cause = f": {row['cause']}" if row["cause"] else ""
    return {
        "open": "Open, nobody has claimed it" if row["stage"] != "suspected" else "Open, not confirmed yet",
        "claimed": f"Claimed{who}",
        "arrived": f"{row['by'] or 'Somebody'} is there",
        "closed": f"Closed{who}{cause}",
        "rejected": f"False alarm, said{who or ' at the bedside'}{cause}",
        "recovered": "Got up",
        "dismissed": "Dismissed by the unit",
        "ended": "Ended: movement again",
    }.get(row["state"], str(row["state"]).replace("_", " ").capitalize())


def urgency(row: sqlite3.Row) -> str:
    """What the eye must find first: rings, watching, attended or over."""
    if row["state"] in ENDED_STATES:
        return "over"
    if row["state"] in ("claimed", "arrived"):
        return "attended"
    return "watching" if row["hushed"] or row["stage"] in ("suspected", "noticed") else "rings"


def summary(row: sqlite3.Row, has_thumb: bool) -> dict[str, Any]:
    """One event as the list shows it."""
    return {
        **{name: row[name] for name in SHOWN},
        "title": KIND_WORDS.get(row["kind"], row["kind"]),
        "says": says(row),
        "stands": state_words(row),
        "urgency": urgency(row),
        "thumb": has_thumb,
    }


def story(entries: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    """What happened, in order: transitions, what people did, what reviewers said. wall is Unix seconds."""
    told = []
    for entry in entries:
        body = json.loads(entry["body"])
        if entry["what"] == "incident":
            told.append({"wall": entry["wall"], "who": "unit", "stage": body["stage"], "words": stage_words(body)})
        elif entry["what"] == "receipt" and body["level"] == "human":
            words = f"{body['by']} {ACTION_WORDS.get(body['action'], body['action'])}{_why(body)}"
            told.append({"wall": entry["wall"], "who": "human", "words": words})
        elif entry["what"] == "ring" and body["why"] in RING_WORDS:
            tier = f" (tier {body['tier']})" if body["tier"] else ""
            told.append({"wall": entry["wall"], "who": "unit", "words": RING_WORDS[body["why"]] + tier})
        elif entry["what"] == "fallback":
            words = "No screen or phone has it: called by the unit's own ways out"
            told.append({"wall": entry["wall"], "who": "unit", "words": words})
        elif entry["what"] == "label":
            words = f"Reviewer: {LABEL_WORDS.get(body['label'], body['label'])}"
            told.append({"wall": entry["wall"], "who": "reviewer", "words": words})
    return told


def _why(body: Mapping[str, Any]) -> str:
    """': slipped (unhurt)': the cause and what came of it, as far as they were said."""
    cause = f": {body['cause']}" if body.get("cause") else ""
    return cause + (f" ({body['outcome']})" if body.get("outcome") else "")


def receipts(entries: Iterable[sqlite3.Row]) -> dict[str, list[dict[str, Any]]]:
    """What came back, apart by level: the broker has it, a screen or phone has it, a human acted."""
    came: dict[str, list[dict[str, Any]]] = {"broker": [], "consumer": [], "human": []}
    for entry in entries:
        if entry["what"] != "receipt":
            continue
        body = json.loads(entry["body"])
        words = f"{body['by'] or body['level']} {ACTION_WORDS.get(body['action'], body['action'])}"
        came.setdefault(body["level"], []).append({"wall": body["at"], "words": words + _why(body)})
    return came


def alerts(entries: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    """The messages that went out about an event."""
    said = [(entry["wall"], json.loads(entry["body"])) for entry in entries if entry["what"] == "alert"]
    return [
        {"wall": wall, "text": body["text"], "priority": PRIORITY_WORDS.get(body["priority"], body["priority"])}
        for wall, body in said
    ]


SILENT_S = 90.0
"""The unit leaves a heartbeat every 30 s; after three that did not come it is not known to watch."""


def unit_status(
    entries: Sequence[sqlite3.Row], boot: str, heartbeat: Mapping[str, Any] | None, now: float
) -> dict[str, Any]:
    """What the journal's newest entries and the last heartbeat prove about the unit.

    entries: in order, oldest first. boot: this boot's id. now: Unix seconds. `known`: watching (a fresh heartbeat),
    silent (none any more), running (it never left one), stopped (it said so), rebooted (the machine has started again
    since its last word), nothing (no entry).
    """
    by_unit = [entry for entry in entries if entry["what"] != "label" and not _on_the_page(entry)]
    if not by_unit:
        return {"known": "nothing", "last_wall": None, "faults": []}
    last = by_unit[-1]
    known = "running"
    if last["boot_id"] != boot:
        known = "rebooted"
    elif last["what"] == "unit" and json.loads(last["body"]).get("said") == "stopped":
        known = "stopped"
    elif heartbeat is not None:
        known = "watching" if abs(now - heartbeat["wall"]) <= SILENT_S else "silent"
    said = {"known": known, "last_wall": last["wall"], "faults": open_faults(by_unit)}
    if known in ("watching", "silent") and heartbeat is not None:
        said |= {"last_wall": heartbeat["wall"], "state": heartbeat.get("state"), "fps": heartbeat.get("fps")}
    return said


def _on_the_page(entry: sqlite3.Row) -> bool:
    """An answer that was given on this page proves nothing about the unit."""
    return bool(entry["what"] == "receipt" and json.loads(entry["body"]).get("via"))


def open_faults(entries: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    """Faults of the unit that began in these entries and have not cleared."""
    latest: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry["what"] == "incident":
            body = json.loads(entry["body"])
            if body["kind"] in ("blind", "unit"):
                latest[body["id"]] = body
    return [
        {"title": KIND_WORDS[body["kind"]], "words": stage_words(body), "wall": body["wall_start"]}
        for body in latest.values()
        if not body["ended"]
    ]
