"""What people switch for a while, pure: staff are in the room, or it is private. Bounded, by name, over by itself.

Staff present hushes one alert that they may have brought about themselves. Privacy keeps no pictures. Neither stops the
watch. Both end by the monotonic clock; in another boot staff are taken to have left, and privacy lasts its whole time
once more, because there is no telling how much of it was left.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from device.alert_life import Moment, passed_s
from device.settings_alerts import Alerts

Name = Literal["staff", "privacy"]
NAMES: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. room: "" where there is only one. seconds: None for the longest that is allowed.

    at: Unix seconds as the sender says; None when it does not say. nonce: "" when it has none.
    """

    name: Name
    on: bool
    by: str
    room: str = ""
    seconds: float | None = None
    at: float | None = None
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Feature:
    """How one of them stands in one room. length_s: from `since` on. hushed: the alert that staff have hushed."""

    name: Name
    room: str
    on: bool = False
    since: Moment | None = None
    length_s: float = 0.0
    by: str = ""
    at: float | None = None
    hushed: str = ""

    @property
    def until(self) -> float | None:
        """Unix seconds at which it is over; None while it is off."""
        return self.since.wall + self.length_s if self.on and self.since else None


def longest_s(name: Name, times: Alerts) -> float:
    """The bound of one feature, seconds."""
    return times.staff_s if name == "staff" else times.privacy_s


def refusal(feature: Feature, wish: Wish, now: Moment, times: Alerts) -> str:
    """Why this wish does not count, in one sentence; "" when it does."""
    if wish.on:
        if _left_s(wish, now, times) <= 0.0:
            return "this comes too late: the time that was asked for is over"
    elif wish.name == "privacy" and feature.on and wish.at is not None and wish.at < (feature.at or 0.0):
        return "this comes too late: privacy was switched on after it was said"
    return ""


def switched(feature: Feature, wish: Wish, now: Moment, times: Alerts) -> Feature:
    """The feature after a wish that `refusal` has nothing against.

    Staff who say again that they are there do not hush a second alert.
    """
    if not wish.on:
        return ended(feature, wish.by, wish.at)
    still = holds(feature, now)
    return replace(
        feature,
        on=True,
        since=now,
        length_s=_left_s(wish, now, times),
        by=wish.by,
        at=wish.at,
        hushed=feature.hushed if still else "",
    )


def ended(feature: Feature, by: str, at: float | None = None) -> Feature:
    """Off."""
    return replace(feature, on=False, since=None, length_s=0.0, by=by, at=at, hushed="")


def holds(feature: Feature, now: Moment) -> bool:
    """Whether it is on at this moment; a feature that does not hold any more is to be ended."""
    return feature.on and feature.since is not None and passed_s(feature.since, now) < feature.length_s


def woken(feature: Feature, now: Moment) -> Feature:
    """Privacy of another boot begins once more; everything else stays as it is."""
    another = feature.since is not None and feature.since.boot != now.boot
    return replace(feature, since=now) if feature.name == "privacy" and feature.on and another else feature


def feature_from(body: dict[str, Any]) -> Feature:
    """From JSON; what a newer version has written beside it is passed over."""
    known = {one.name for one in fields(Feature)}
    found = {name: value for name, value in body.items() if name in known}
    found["since"] = None if body.get("since") is None else Moment(**body["since"])
    return Feature(**found)


def _left_s(wish: Wish, now: Moment, times: Alerts) -> float:
    """What is left of the time asked for; it counts from when it was said, so that a late message asks for less."""
    longest = longest_s(wish.name, times)
    asked = longest if wish.seconds is None else min(wish.seconds, longest)
    late = 0.0 if wish.at is None else max(0.0, now.wall - wish.at)
    return asked - late
