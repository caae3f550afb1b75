"""Settings of what becomes of an alert: how often it rings, whose receipt counts, what staff may switch for a while."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator

from device.settings_section import Seconds, Section


class Alerts(Section):
    """When an alert rings again, who has to have it, and what staff may switch for a while."""

    tiers_s: list[Seconds] = Field(
        default_factory=lambda: [60.0, 120.0, 180.0],
        min_length=1,
        max_length=8,
        description="Unclaimed this long: rings again and goes up a tier. After the last it rings on for ever.",
    )
    claimed_s: Seconds = Field(180.0, le=3600, description="Claimed and neither there nor closed: rings again.")
    arrived_s: Seconds = Field(180.0, le=3600, description="Somebody is there and has not closed it: rings again.")
    recovery_ends: bool = Field(
        True, description="Who got up, or moves again, ends the alert, and that is told. Off: only a person does."
    )
    receipt: Literal["broker", "consumer"] = Field(
        "broker", description="Whose receipt takes a message out of the outbox: the broker's, or a desk's or gateway's."
    )
    consumer_receipts: bool = Field(
        True, description="Off only where no receiver says that it has an alert; then nobody is missed either."
    )
    consumer_s: Seconds = Field(10.0, le=600, description="No receiver says that it has a ringing alert: sent again.")
    fallback_s: Seconds = Field(
        30.0, le=3600, description="Still none: the local ways out (relay, buzzer) are told, and it is a fault."
    )
    staff_s: float = Field(
        900.0, ge=60.0, le=3600.0, description="The longest that staff in the room hush an alert, seconds."
    )
    privacy_s: float = Field(
        3600.0, ge=60.0, le=14_400.0, description="The longest that no pictures are kept, seconds."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Alerts:
        if any(later <= earlier for earlier, later in pairwise(self.tiers_s)):
            raise ValueError("tiers_s must rise, for example [60, 120, 180]")
        if self.receipt == "consumer" and not self.consumer_receipts:
            raise ValueError('receipt = "consumer" needs consumer_receipts = true: else nothing ever leaves the outbox')
        if self.fallback_s <= self.consumer_s:
            raise ValueError("fallback_s must be above consumer_s: an alert is sent again before help is given up on")
        return self
