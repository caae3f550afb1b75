"""Settings of Home Assistant's discovery and of the ways out beside the broker. All are off by default."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from device.settings_section import Seconds, Section

When = Literal["always", "fallback"]
Digit = Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
SerialFormat = Literal["7E2", "7E1", "7N2", "8N1", "8E1", "8N2"]
Baud = Literal[300, 600, 1200, 2400, 4800, 9600, 19200]

WHEN = "always, or fallback: only what no receiver on MQTT has confirmed in alerts.fallback_s."


class HomeAssistant(Section):
    """Home Assistant finds the unit by one retained message on the broker (docs/home-assistant.md)."""

    enabled: bool = Field(False, description="Announce this unit; off removes it from Home Assistant again.")
    prefix: str = Field("homeassistant", description="Discovery prefix, as in Home Assistant's MQTT settings.")

    @field_validator("prefix")
    @classmethod
    def _topic(cls, prefix: str) -> str:
        if not re.fullmatch(r"[a-zA-Z0-9_-]+(/[a-zA-Z0-9_-]+)*", prefix):
            raise ValueError('prefix is no topic; write for example prefix = "homeassistant"')
        return prefix


class Webhook(Section):
    """Every message of alert/event by HTTP POST, signed (docs/ways-out.md)."""

    url: str = Field("", description="Where to post, https://…; empty: off.")
    secret_file: str = Field("", description="File that holds the shared secret for the signature; needed with url.")
    ca_file: str = Field("", description="Certificate authority of the receiver; empty: the system's.")
    timeout_s: float = Field(10.0, ge=1.0, le=60.0, description="An answer that takes longer counts as none.")
    heartbeat_s: float = Field(300.0, ge=10.0, le=86_400.0, description="A sign of life after this long without alert.")
    when: When = Field("always", description=WHEN)

    @model_validator(mode="after")
    def _whole(self) -> Webhook:
        if not self.url:
            return self
        try:
            parts = urlsplit(self.url)
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            known = False
        if not known:
            raise ValueError('url is no web address; write for example url = "https://desk.example/fallwatch"')
        if parts.username or parts.password:
            raise ValueError("url holds a user name or password, which never stand in the settings; use secret_file")
        if not self.secret_file:
            raise ValueError("url is given but secret_file is not; a receiver must be able to tell who posts")
        return self


class Relay(Section):
    """A relay or buzzer at a pin of this board, on while somebody has to come (needs `fallwatch[relay]`)."""

    enabled: bool = Field(False, description="Drive the pin.")
    pin: int = Field(17, ge=0, le=63, description="Number of the pin, as the chip counts (BCM on a Raspberry Pi).")
    active_low: bool = Field(False, description="The relay board switches on when the pin is low.")
    failsafe: bool = Field(
        False, description="On while all is well; an alert, a lost power supply or a dead unit lets it drop."
    )
    pulses: bool = Field(True, description="Beats by urgency; off: steady, as inputs of nurse-call systems want it.")
    feedback_pin: int | None = Field(
        None, ge=0, le=63, description="Pin of an auxiliary contact, closed to ground while the relay is on."
    )
    when: When = Field("always", description=WHEN)

    @model_validator(mode="after")
    def _two_pins(self) -> Relay:
        if self.feedback_pin == self.pin:
            raise ValueError("feedback_pin must be another pin than pin")
        return self


class Pager(Section):
    """A paging system on a serial line, ESPA 4.4.4 (needs `fallwatch[pager]`)."""

    port: str = Field("", description="The serial line, for example /dev/ttyUSB0; empty: off.")
    baud: Baud = Field(9600, description="Bits per second.")
    format: SerialFormat = Field("7E2", description="Data bits, parity, stop bits; ESPA 4.4.4 says 7E2.")
    control: bool = Field(True, description="This unit is the control station; off: the paging system polls it.")
    address: Digit = Field("1", description="Address of this unit on the line.")
    pager_address: Digit = Field("2", description="Address of the paging system on the line.")
    call: str = Field("", description="Call address: the pager or group to call; needed with port.")
    length: int = Field(128, ge=16, le=128, description="Characters that the pagers show.")
    transmissions: int = Field(1, ge=1, le=9, description="How often the paging system sends each call.")
    faults: bool = Field(True, description="Faults of the unit are called too, with the lowest priority.")
    cancel: bool = Field(False, description="Send a reset call once somebody is going; not every system knows it.")
    poll_s: Seconds = Field(10.0, description="The line is proved this often; three times as long silent is a fault.")
    when: When = Field("always", description=WHEN)

    @model_validator(mode="after")
    def _whole(self) -> Pager:
        if self.address == self.pager_address:
            raise ValueError("address and pager_address must differ")
        if self.port and not re.fullmatch(r"[0-9A-Za-z*#]{1,16}", self.call):
            raise ValueError('call must be 1 to 16 letters, digits, * or #; write for example call = "550"')
        return self
