"""Which of the waiting messages a way still carries, pure.

A way that keeps up carries every message in order. One that was away carries, of each alert, only how it stands: what
is over and was never told by it is not told at all, what it has told is ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from math import inf
from typing import Any

from device.alert_life import Life
from device.settings_ways import When
from device.ways.way import Body, Item

LATE_S = 60.0
"""A message older than this gives way to a newer one about its alert; by then the alert has rung again (first tier)."""
TEST_S = 600.0
"""A test that comes later than this would only startle; whoever made it has long gone."""
PATIENCE_S = 30.0
"""A message of last resort waits this long beyond alerts.fallback_s for the unit's word; then it goes out unasked."""

Wants = Callable[[Body, bool], bool]


class Verdict(Enum):
    """What becomes of a message."""

    SEND = "send"
    SKIP = "skip"
    OVERTAKEN = "overtaken"
    WAIT = "wait"


def age_s(item: Item, now: float, wall: float, boot: str) -> float:
    """How old a message is: by the monotonic clock in one boot, else by the wall clock; infinite if neither tells."""
    if item.body.get("boot_id") == boot:
        return max(0.0, now - float(item.body["mono_ms"]) / 1000.0)
    return wall - item.created if wall >= item.created else inf


def verdict(item: Item, later: Sequence[Item], wants: Wants, *, told: bool, age: float) -> Verdict:
    """Whether to carry this message. later: the waiting messages behind it, of any alert. age: of this one, seconds."""
    body = item.body
    if not wants(body, told):
        return Verdict.SKIP
    if body["test"]:
        return Verdict.SEND if age <= TEST_S else Verdict.SKIP
    if age > LATE_S:
        if any(_overtakes(newer.body, wants) for newer in later if newer.alert_id == item.alert_id):
            return Verdict.OVERTAKEN
        if body["type"] == "end" and not told:
            return Verdict.SKIP
    return Verdict.SEND


def of_last_resort(body: Body, life: Life | None, *, told: bool, age: float, fallback_s: float) -> Verdict:
    """Whether a way that is only a last resort may carry this message. life: how its alert stands.

    Once it has carried an alert it carries the rest of it too, so that nothing it said stays unended.
    """
    if body["test"] or told:
        return Verdict.SEND
    if not body.get("ring") or life is None or not life.rings:
        return Verdict.SKIP
    if life.helpless or age > fallback_s + PATIENCE_S:
        return Verdict.SEND
    return Verdict.SKIP if life.heard else Verdict.WAIT


def allowed(when: When, judged: Verdict, last_resort: Callable[[], Verdict]) -> Verdict:
    """The verdict for a way that carries always, or only as a last resort."""
    return last_resort() if when == "fallback" and judged is Verdict.SEND else judged


def tells(body: dict[str, Any] | Body) -> bool:
    """True for a message that leaves an alert standing, which a later message has to end."""
    return body["type"] != "end" and not body["test"]


def _overtakes(newer: Body, wants: Wants) -> bool:
    return wants(newer, True) or newer["state"] != "open"
