"""Which waiting messages need not be sent once a newer one about the same alert is written, pure.

Only what time alone says again gives way: a broker that was away for days would otherwise be told thousands of times
that an alert nobody has answered still rings. What somebody did and every stage of the incident is a message of its
own and is never overtaken, nor is the ring with which staff's silence ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device.alert_life import FAULTS
from device.alerts import HUMAN_EVENTS

Body = Mapping[str, Any]
"""The payload of one message, as on alert/event (device/schemas/alert-event.json)."""

RINGS_AGAIN = ("unclaimed", "unclosed")


def overtakes(newer: Body, older: Body) -> bool:
    """Whether `older`, which the broker is not known to have, may go for `newer`; both are about one alert.

    A ring gives way to whatever rings itself, to an answer and to the end; a fault that is said again to its next
    time, with the same words, and to its end.
    """
    if older["event_type"] in RINGS_AGAIN:
        return bool(newer["ring"]) or newer["event_type"] in HUMAN_EVENTS or newer["type"] == "end"
    if older["kind"] in FAULTS and older["type"] == "update" and older["event_type"] == "fault":
        if older["cause"] not in (None, newer["cause"]):  # the fault had changed: nobody else says that
            return False
        return bool(newer["type"] == "end" or (newer["event_type"] == "fault" and newer["text"] == older["text"]))
    return False
