"""The tables of an evaluation: windows per protocol and dataset, and incidents by the unit's own policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from device.records import Incident
from device.settings import Settings
from training.footage import STEP_S
from training.judged import NEVER_SEEN_ROOMS, PROTOCOLS, Scored
from training.metrics import Events, FallTime, level_at, match_events
from training.scoring import WindowFigures, window_figures
from training.unit_policy import STAGES, reached, records, transitions

SMOOTHING_S = (0.0, 0.5)
"""Tables give the raw score and the mean of the last half second, which the policy uses."""

ALL = "all"
NO_ROOM_SEEN = "no room seen"
"""Every clip whose room the network that scored it had not seen, whatever the protocol: the issue's yardstick."""

CONFIRM_S = Settings().fall.confirm_s


Told = tuple[Scored, list[Incident]]
"""A clip, and every transition of the unit's own policy over it."""


def said_of(scored: Scored) -> list[Incident]:
    """Every transition of the unit's own policy over one clip, at its default settings and the model's thresholds."""
    return transitions(records(scored.answers), scored.model.thresholds)


def matched(scored: Scored, said: Sequence[Incident], stage: str) -> Events:
    """The event figures of one clip at one stage."""
    falls = [FallTime(*scored.fall)] if scored.fall else []
    return match_events(falls, reached(said, stage), len(scored.t) * STEP_S / 3600)


def events(told: Sequence[Told], stage: str) -> Events:
    """Event figures over clips; clips with somebody on the floor on purpose are left out (they are counted apart)."""
    return sum((matched(one, said, stage) for one, said in told if not one.clip.on_floor), Events())


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of windows."""

    protocol: str
    footage: str
    smoothing_s: float
    figures: WindowFigures
    on_floor_above: int
    on_floor_windows: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of the table of incidents.

    long_enough: falls whose footage goes on for the five seconds that confirm; none other can be confirmed.
    on_floor: incidents in clips with somebody on the floor on purpose, where they are no false alarms.
    """

    protocol: str
    stage: str
    found: Events
    long_enough: int
    on_floor: int

    def covers(self, one: Scored) -> bool:
        """Whether a clip is counted in this row."""
        return one.protocol == self.protocol or (self.protocol == NO_ROOM_SEEN and one.protocol in NEVER_SEEN_ROOMS)


def groups_of(scored: Sequence[Scored]) -> list[tuple[str, str, list[Scored]]]:
    """(protocol, footage, clips): each dataset of a protocol, all of it, and every clip in a room never seen."""
    groups = []
    for protocol in PROTOCOLS:
        mine = [one for one in scored if one.protocol == protocol]
        datasets = sorted({one.clip.dataset for one in mine})
        groups += [(protocol, name, [one for one in mine if one.clip.dataset == name]) for name in datasets]
        groups += [(protocol, ALL, mine)] if len(datasets) > 1 else []
    never = [one for one in scored if one.protocol in NEVER_SEEN_ROOMS]
    if len({one.protocol for one in never}) > 1:
        groups.append((NO_ROOM_SEEN, ALL, never))
    return groups


def rows(scored: Sequence[Scored]) -> list[Row]:
    """Window figures of every group, raw and smoothed."""
    return [_row(protocol, name, group, over) for protocol, name, group in groups_of(scored) for over in SMOOTHING_S]


def _row(protocol: str, name: str, group: Sequence[Scored], smoothing_s: float) -> Row:
    counted = [one.windows(smoothing_s) for one in group if not one.clip.on_floor]
    purpose = [score for one in group if one.clip.on_floor for score in one.windows(smoothing_s).everyday]
    everyday = [score for clip in counted for score in clip.everyday]
    level = level_at(everyday, 0.05) if everyday else math.inf
    return Row(protocol, name, smoothing_s, window_figures(counted), sum(s > level for s in purpose), len(purpose))


def event_rows(told: Sequence[Told]) -> list[EventRow]:
    """Incidents of each protocol, and of all rooms never seen together, at both stages."""
    found = []
    for protocol in (*PROTOCOLS, NO_ROOM_SEEN):
        among = NEVER_SEEN_ROOMS if protocol == NO_ROOM_SEEN else (protocol,)
        mine = [(one, said) for one, said in told if one.protocol in among]
        if mine and (protocol != NO_ROOM_SEEN or len({one.protocol for one, _ in mine}) > 1):
            found += [_event_row(protocol, stage, mine) for stage in STAGES]
    return found


def _event_row(protocol: str, stage: str, told: Sequence[Told]) -> EventRow:
    falls = [(one, one.fall[1]) for one, _ in told if one.fall is not None and not one.clip.on_floor]
    long_enough = sum(float(one.t[-1]) - rest >= CONFIRM_S for one, rest in falls)
    on_floor = sum(len(reached(said, stage)) for one, said in told if one.clip.on_floor)
    return EventRow(protocol, stage, events(told, stage), long_enough, on_floor)


def said(value: float, digits: int) -> str:
    """A figure with its digits; a dash where there was nothing to measure."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def figures_text(figures: WindowFigures) -> str:
    """AUC and recalls of a row."""
    recall = " / ".join(said(value, 2) for value in (figures.recall_at_0, figures.recall_at_5, figures.recall_at_10))
    return f"{figures.falls:5} {figures.windows:7} {said(figures.auc, 3):>6}  {recall}"


def table_text(table: Sequence[Row]) -> str:
    """The table of windows as people read it."""
    head = f"{'protocol':26} {'footage':16} {'mean':>5} {'falls':>5} {'windows':>7} {'AUC':>6}"
    lines = [head + "  recall at 0 / 5 / 10 %"]
    for row in table:
        floor = f"   on the floor on purpose: {row.on_floor_above} of {row.on_floor_windows} above the 5 % level"
        text = f"{row.protocol:26} {row.footage:16} {row.smoothing_s:4.1f}s {figures_text(row.figures)}"
        lines.append(text + (floor if row.on_floor_windows else ""))
    return "\n".join(lines)


def events_text(row: EventRow) -> str:
    """Incidents of one protocol at one stage; delays from the body at rest, in brackets from the loss of balance."""
    e = row.found
    short = f", {row.long_enough} go on long enough" if row.stage == "confirmed" else ""
    parts = [
        f"{row.protocol:26} {row.stage:10} {e.detected} of {e.falls} falls{short}; {e.duplicates} duplicates",
        f"{e.false_alarms} false in {e.hours:.2f} h (< {said(e.false_per_hour_bound, 0)}/h at 95 %)",
        f"precision {said(e.precision, 2)}, F1 {said(e.f1, 2)}",
    ]
    if e.delays_s:
        parts.append(
            f"after rest median {e.delay(0.5):.1f} s, 90 % within {e.delay(0.9):.1f} s "
            f"(after the start {e.delay_from_start(0.5):.1f} and {e.delay_from_start(0.9):.1f} s)"
        )
    return "; ".join([*parts, f"on the floor on purpose {row.on_floor}"])
