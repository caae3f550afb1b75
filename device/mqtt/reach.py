"""Is the broker there, and does it let this unit in? Asked by `fallwatch check`."""

from __future__ import annotations

from ulid import ULID

from device.clock import Clock
from device.mqtt.link import Link, LinkError
from device.settings import Settings

TURN_S = 0.1


def reach(settings: Settings, clock: Clock, deadline_s: float = 10.0) -> None:
    """Log on once, under a client id of its own so that a running unit stays on. Raises LinkError with one sentence."""
    link = Link(settings.mqtt, f"{settings.unit.id}-check-{str(ULID())[-6:]}", lambda message: None)
    end = clock.now() + deadline_s
    try:
        link.open()
        while not link.connected():
            if clock.now() > end:
                raise LinkError(f"{link.address}: the broker took the connection and does not answer; restart it")
            link.turn(TURN_S)
        link.close()
    finally:
        link.drop()
