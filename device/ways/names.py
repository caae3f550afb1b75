"""Which ways out the settings switch on."""

from __future__ import annotations

from device.settings import Settings

NAMES = ("webhook", "relay", "pager")
"""Sections of the settings; also the causes of their faults in alerts.CAUSES."""


def names_of(settings: Settings) -> list[str]:
    """The ways that are switched on."""
    switched_on = {
        "webhook": bool(settings.webhook.url),
        "relay": settings.relay.enabled,
        "pager": bool(settings.pager.port),
    }
    return [name for name in NAMES if switched_on[name]]
