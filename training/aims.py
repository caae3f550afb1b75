"""What the network is held to, line by line: the aim, what was measured, whether it was reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from device.records import Incident
from training.hours import Days
from training.judged import DEV, NEVER_SEEN_ROOMS, SEEN, WITHIN, Scored
from training.metrics import EARLIEST_S
from training.scoring import window_figures
from training.unit_policy import reached

DEV_FALLS, DEV_IN_TIME = 30, 28
IN_TIME_S = 1.5
"""At least 28 of the 30 falls of dev suspected within 1.5 s of the body at rest."""

WINDOW_AIMS = {"window AUC": 0.992, "recall at 0 %": 0.80, "recall at 5 %": 0.95, "recall at 10 %": 0.98}
AIM_FALLS, AIM_WINDOWS, AIM_EVERYDAY = 49, 298, 51
"""By measure/score.py's definition, raw scores, over every clip of data/clips.csv, each in a room never seen; it holds
this many falls, everyday windows, and everyday clips with nobody on the floor on purpose. Part of it proves nothing."""

DAY_HOURS, DAY_CONFIRMED = 10.0, 1
"""At most one confirmed fall in ten simulated hours of everyday life in rooms never seen."""


@dataclass(frozen=True, slots=True)
class Aim:
    """met is None where the footage at hand cannot say: too little of it, or another one."""

    aim: str
    measured: str
    met: bool | None

    def __str__(self) -> str:
        word = {True: "reached", False: "MISSED", None: "cannot be said"}[self.met]
        return f"aim {word}: {self.aim}: {self.measured}"


def aims(scored: Sequence[Scored], said: Sequence[list[Incident]], days: Days | None) -> list[Aim]:
    """Every aim that the footage has something to say about. said: the policy's transitions, one list a clip."""
    found = [*_window_aims(scored)]
    if any(one.protocol == DEV and one.fall for one in scored):
        found.append(dev_in_time(scored, said))
    if any(one.fall is None and not one.clip.on_floor for one in scored):
        found.append(everyday_quiet(scored, said))
    return [*found, day_quiet(days)] if days else found


def suspected_in_time(one: Scored, said: Sequence[Incident], within_s: float = IN_TIME_S) -> bool:
    """Whether the fall of a clip is suspected from a second before its start to `within_s` after the body rests."""
    assert one.fall is not None
    start, rest = one.fall
    return any(start + EARLIEST_S <= x.start and x.confirmed <= rest + within_s for x in reached(said, "suspected"))


def dev_in_time(scored: Sequence[Scored], said: Sequence[list[Incident]]) -> Aim:
    """Falls of dev suspected in time, those missed by name."""
    falls = [(one, words) for one, words in zip(scored, said, strict=True) if one.protocol == DEV and one.fall]
    late = [one.clip.name for one, words in falls if not suspected_in_time(one, words)]
    found, total = len(falls) - len(late), len(falls)
    text = f"{found} of {total}{'; not ' + ', '.join(late) if late else ''}"
    met = found >= DEV_IN_TIME if total == DEV_FALLS else None
    return Aim(
        f"dev: {DEV_IN_TIME} of {DEV_FALLS} falls suspected within {IN_TIME_S} s of the end of the fall", text, met
    )


def everyday_quiet(scored: Sequence[Scored], said: Sequence[list[Incident]]) -> Aim:
    """Everyday clips in which something rang, by name and kind; clips the model was trained on are not asked."""
    calm = [
        (one, words)
        for one, words in zip(scored, said, strict=True)
        if one.fall is None and not one.clip.on_floor and one.protocol not in (SEEN, WITHIN)
    ]
    rang = [f"{one.clip.name} ({x.kind})" for one, words in calm for x in words if x.stage == "confirmed"]
    text = f"{len(rang)} in {len(calm)} clips of rooms never seen{': ' + ', '.join(rang) if rang else ''}"
    # One that rings is enough to miss it; that none does is only said of all of them.
    met = False if rang else True if len(calm) >= AIM_EVERYDAY else None
    return Aim("no confirmed fall on any everyday clip that is not marked on_floor", text, met)


def day_quiet(days: Days) -> Aim:
    """Confirmed incidents over the simulated hours."""
    found = days.events("confirmed")
    text = f"{found.false_alarms} in {days.hours:.2f} h (< {24 * found.false_per_hour_bound:.1f} a day at 95 %)"
    enough = days.hours + days.hours_on_purpose >= DAY_HOURS
    met = found.false_alarms <= DAY_CONFIRMED
    return Aim(
        f"at most {DAY_CONFIRMED} confirmed in {DAY_HOURS:.0f} simulated hours of everyday life in rooms never seen",
        text,
        met if enough or not met else None,
    )


def _window_aims(scored: Sequence[Scored]) -> list[Aim]:
    never = [one for one in scored if one.protocol in NEVER_SEEN_ROOMS and not one.clip.on_floor]
    figures = window_figures([one.windows(0.0) for one in never])
    if not (figures.falls and figures.windows):
        return []
    values = (figures.auc, figures.recall_at_0, figures.recall_at_5, figures.recall_at_10)
    whole = (figures.falls, figures.windows) == (AIM_FALLS, AIM_WINDOWS)
    among = f"{figures.falls} falls, {figures.windows} everyday windows in rooms never seen, raw"
    return [
        Aim(f"{name} at least {aim}", f"{value:.3f} ({among})", round(value, 3) >= aim if whole else None)
        for (name, aim), value in zip(WINDOW_AIMS.items(), values, strict=True)
    ]
