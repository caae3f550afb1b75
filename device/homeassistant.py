"""Home Assistant's device discovery: one retained message from which it makes the unit's entities. Pure.

Rules that this message keeps, from Home Assistant's own source (components/mqtt, read in 2025.12 and 2026.11):
- Options at the root reach a component only where it lacks the same key, and before 2026 `qos` did not: so each has its
  own. `availability` and `availability_topic` exclude each other, so the list form stands everywhere.
- An open fall must not turn "unavailable" when the unit loses power: its availability is "online, or an alert is open".
- The `event` entity passes over retained messages; the state of an alert is the fall sensor's, from alert/active.
- No expire_after and no off_delay on the fall sensor: an alarm never goes off by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from device import __version__
from device.alerts import EVENT_TYPES
from device.feature import NAMES
from device.settings import Settings

ONLINE = "online"
"""What Home Assistant says on <prefix>/status when it has started, its birth message."""
OPEN = "value_json.state in ['open', 'claimed', 'arrived']"
COVERED = ("black",)
"""Causes of fault/active that mean somebody or something is in front of the lens."""
FEATURE_WORDS = {"staff": "Staff present", "privacy": "Privacy"}
COMMAND = (
    '{{"state": "{{{{ value }}}}", "room": "{room}", "by": "home-assistant", "at": "{{{{ utcnow().isoformat() }}}}", '
    '"nonce": "ha-{{{{ (utcnow().timestamp() * 1000) | int }}}}"}}'
)
"""A wish as device/schemas/feature-set.json wants it, for Python's format and then for Home Assistant's templates."""


def discovery_topic(settings: Settings) -> str:
    """Where the message stands, retained; an empty one there removes the device."""
    return f"{settings.homeassistant.prefix}/device/{_device_id(settings)}/config"


def status_topic(settings: Settings) -> str:
    """Where Home Assistant says that it has started."""
    return f"{settings.homeassistant.prefix}/status"


def discovery_message(settings: Settings, branch: str) -> dict[str, Any]:
    """The message, for a unit whose topics lie below `branch`."""
    unit = settings.unit
    return {
        "dev": {
            "ids": [_device_id(settings)],
            "name": f"{unit.room} fall unit",
            "mf": "fallwatch",
            "mdl": "edge-1",
            "sw": __version__,
            "sn": unit.id,
        },
        "o": {"name": "fallwatch", "sw": __version__},
        "availability": [{"topic": f"{branch}/availability"}],
        "qos": 1,
        "cmps": _components(settings, branch),
    }


def _components(settings: Settings, branch: str) -> dict[str, dict[str, Any]]:
    made = {**_sensors(branch), **_switches(_rooms(settings), branch)}
    return {
        name: {**component, "unique_id": f"{_device_id(settings)}_{name}", "qos": 1} for name, component in made.items()
    }


def _sensors(branch: str) -> dict[str, dict[str, Any]]:
    active, faults = f"{branch}/alert/active", f"{branch}/fault/active"
    return {
        "fall": {
            "p": "binary_sensor",
            "name": "Fall",
            "device_class": "safety",
            "state_topic": active,
            "value_template": f"{{{{ 'ON' if {OPEN} else 'OFF' }}}}",
            "json_attributes_topic": active,
            "availability_mode": "any",
            "availability": [
                {"topic": f"{branch}/availability"},
                {"topic": active, "value_template": f"{{{{ 'online' if {OPEN} else 'offline' }}}}"},
            ],
        },
        "event": {
            "p": "event",
            "name": "Alert",
            "event_types": list(EVENT_TYPES),
            "state_topic": f"{branch}/alert/event",
        },
        "fault": {
            "p": "binary_sensor",
            "name": "Not watching",
            "device_class": "problem",
            "state_topic": faults,
            "value_template": "{{ 'ON' if value_json.faults else 'OFF' }}",
            "json_attributes_topic": faults,
        },
        "link": {
            "p": "binary_sensor",
            "name": "Online",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": f"{branch}/availability",
            "payload_on": "online",
            "payload_off": "offline",
            "availability": [],
        },
        "tamper": {
            "p": "binary_sensor",
            "name": "Camera covered",
            "device_class": "tamper",
            "state_topic": faults,
            "value_template": "{{ 'ON' if value_json.faults | map(attribute='cause') | select('in', "
            f"{list(COVERED)}) | list else 'OFF' }}}}",
        },
    }


def _switches(rooms: Sequence[str], branch: str) -> dict[str, dict[str, Any]]:
    """Staff present and privacy, one switch a room; a unit with one room has one of each."""
    one = len(rooms) == 1
    return {
        name if one else f"{name}_{room}": {
            "p": "switch",
            "name": FEATURE_WORDS[name] if one else f"{FEATURE_WORDS[name]} {room}",
            "command_topic": f"{branch}/{name}/set",
            "command_template": COMMAND.format(room=room),
            "state_topic": f"{branch}/{name}/state",
            "value_template": f"{{{{ (value_json.rooms | selectattr('room', 'eq', '{room}') | first).state }}}}",
        }
        for name in NAMES
        for room in rooms
    }


def _rooms(settings: Settings) -> list[str]:
    return list(dict.fromkeys(view.unit.room for view in settings.views()))


def _device_id(settings: Settings) -> str:
    return f"fallwatch_{settings.unit.id}"
