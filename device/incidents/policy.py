"""The numbers of policy, gathered from the unit's settings and the model's card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ulid import ULID

from device.card import Thresholds
from device.records import Incident, Kind
from device.settings import Blind, Fall, Floor, Inactivity, Settings, parse_hours

NewId = Callable[[float], str]


def new_ulid(wall: float) -> str:
    """A ULID made at this Unix time: sortable, unique, made once when an incident begins."""
    return str(ULID.from_timestamp(wall))


@dataclass(frozen=True, slots=True)
class Policy:
    """What turns scores into incidents; every time in seconds, every threshold a probability."""

    thresholds: Thresholds
    fall: Fall
    floor: Floor
    inactivity: Inactivity
    blind: Blind
    hours: tuple[tuple[int, int], ...]


def policy_of(settings: Settings, card: Thresholds) -> Policy:
    """The settings' thresholds where the owner gave one, else the card's. Raises ValueError when they cross."""
    given = settings.fall
    thresholds = Thresholds(
        fall_on=card.fall_on if given.fall_on is None else given.fall_on,
        fall_off=card.fall_off if given.fall_off is None else given.fall_off,
        down_on=card.down_on if given.down_on is None else given.down_on,
        down_off=card.down_off if given.down_off is None else given.down_off,
    )
    hours = tuple(parse_hours(text) for text in settings.inactivity.hours)
    return Policy(thresholds, given, settings.floor, settings.inactivity, settings.blind, hours)


def since_restart(incident: Incident, t: float, wall: float) -> Incident:
    """An incident of an earlier run with its monotonic times set anew from its wall times; t and wall are now."""
    shift = t - wall
    return replace(
        incident,
        t=incident.wall + shift,
        t_start=incident.wall_start + shift,
        t_confirmed=None if incident.wall_confirmed is None else incident.wall_confirmed + shift,
    )


def latched(kind: Kind, cause: str, t: float, wall: float, identity: str) -> Incident:
    """A fault as it begins: confirmed at once, with its cause, a word of alerts.CAUSES."""
    return Incident(
        id=identity,
        kind=kind,
        stage="latched",
        t=t,
        wall=wall,
        t_start=t,
        wall_start=wall,
        t_confirmed=t,
        wall_confirmed=wall,
        score=1.0,
        peak=1.0,
        detail={"cause": cause},
    )
