"""What every way out is: it carries messages, proves itself while there are none, and says when it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from device.alert_life import Life
from device.errors import FallwatchError

Body = Mapping[str, Any]
"""The payload of one message, as on alert/event (device/schemas/alert-event.json)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One message for a way. seq, alert_id, body: as on alert/event. created: Unix seconds."""

    seq: int
    alert_id: str
    body: Body
    created: float


class WayError(FallwatchError):
    """A way out cannot carry; the text says what, where and what to do.

    refused: the other side answered and said no, or something is missing here, so that trying again soon is pointless.
    only_this: the other side takes messages, not this one. retry_s: when to try again; None leaves it to the worker.
    """

    def __init__(
        self, text: str, *, refused: bool = False, only_this: bool = False, retry_s: float | None = None
    ) -> None:
        super().__init__(text)
        self.refused = refused or only_this
        self.only_this = only_this
        self.retry_s = retry_s


class Way(Protocol):
    """Used by one thread. name: its section in the settings, and the cause of its fault in alerts.CAUSES."""

    name: str

    @property
    def turn_s(self) -> float:
        """The longest until it wants its next turn, seconds."""

    def wants(self, body: Body, told: bool) -> bool:
        """Whether this message is for it. told: it has carried this alert before and nothing that ended it."""

    def send(self, item: Item, attempt: int, wall: float) -> None:
        """Carry one message; on return the other side has it. attempt: from 1. Raises WayError."""

    def turn(self, lives: Sequence[Life], now: float) -> bool:
        """Do what is to be done without a message; True when the other side has proved to be there. Raises WayError.

        lives: the open alerts. now: monotonic seconds.
        """

    def close(self) -> None:
        """Let go of whatever it holds; never raises."""
