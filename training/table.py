"""The tables of an evaluation: windows per protocol and dataset, and events by the unit's own policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.footage import STEP_S
from training.judged import PROTOCOLS, Scored
from training.metrics import Confirmed, Events, FallTime, level_at, match_events
from training.scoring import WindowFigures, window_figures

SMOOTHING_S = (0.0, 0.5)
"""Tables give the raw score and the mean of the last half second, which the policy uses."""


def incidents_of(scored: Scored, stage: str) -> list[Confirmed]:
    """What the unit's own policy says over one clip, at one stage (suspected or confirmed), at its default settings."""
    from device.incidents.down import DownWatch
    from device.incidents.policy import policy_of
    from device.records import Scores
    from device.settings import Settings

    model = scored.model
    numbers = iter(range(1_000_000))
    watch = DownWatch(policy_of(Settings(), model.thresholds), lambda wall: str(next(numbers)))
    found: dict[str, Confirmed] = {}
    since = 0
    for index, (t, row) in enumerate(zip(scored.t.tolist(), scored.probabilities.tolist(), strict=True)):
        since = 0 if scored.reset[index] else since + 1
        if since < model.warm_steps:
            continue
        scores = Scores(t, t, index, tuple(row), 0.0, 0.5, 0.1, False, 0.0, True, model.name, 0.0)
        for incident in watch.update(scores):
            if incident.kind in ("fall", "floor") and incident.stage == stage:
                found.setdefault(incident.id, Confirmed(incident.t_start, t))
    return list(found.values())


def events(scored: Sequence[Scored], stage: str) -> Events:
    """Event figures over clips; clips with somebody on the floor on purpose are left out (they are counted apart)."""
    total = Events()
    for one in scored:
        if not one.clip.on_floor:
            falls = [FallTime(*one.fall)] if one.fall else []
            total += match_events(falls, incidents_of(one, stage), len(one.t) * STEP_S / 3600)
    return total


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of windows."""

    protocol: str
    footage: str
    smoothing_s: float
    figures: WindowFigures
    on_floor_above: int
    on_floor_windows: int


def rows(scored: Sequence[Scored]) -> list[Row]:
    """Window figures per protocol and dataset, then all of a protocol together, raw and smoothed."""
    table = []
    for protocol in PROTOCOLS:
        mine = [one for one in scored if one.protocol == protocol]
        datasets = sorted({one.clip.dataset for one in mine})
        groups = [(name, [one for one in mine if one.clip.dataset == name]) for name in datasets]
        groups += [("all", mine)] if len(datasets) > 1 else []
        table += [_row(protocol, name, group, over) for name, group in groups for over in SMOOTHING_S]
    return table


def _row(protocol: str, name: str, group: Sequence[Scored], smoothing_s: float) -> Row:
    counted = [one.windows(smoothing_s) for one in group if not one.clip.on_floor]
    purpose = [score for one in group if one.clip.on_floor for score in one.windows(smoothing_s).everyday]
    everyday = [score for clip in counted for score in clip.everyday]
    level = level_at(everyday, 0.05) if everyday else math.inf
    return Row(protocol, name, smoothing_s, window_figures(counted), sum(s > level for s in purpose), len(purpose))


def table_text(table: Sequence[Row]) -> str:
    """The table as people read it."""
    head = f"{'protocol':22} {'footage':16} {'mean':>5} {'falls':>5} {'windows':>7} {'AUC':>6}"
    lines = [head + "  recall at 0 / 5 / 10 %"]
    for row in table:
        f = row.figures
        recall = " / ".join(f"{value:.2f}" for value in (f.recall_at_0, f.recall_at_5, f.recall_at_10))
        floor = f"   on the floor on purpose: {row.on_floor_above} of {row.on_floor_windows} above the 5 % level"
        text = f"{row.protocol:22} {row.footage:16} {row.smoothing_s:4.1f}s {f.falls:5} {f.windows:7} {f.auc:6.3f}"
        lines.append(f"{text}  {recall}{floor if row.on_floor_windows else ''}")
    return "\n".join(lines)


def events_text(protocol: str, stage: str, found: Events) -> str:
    """One line of event figures."""
    return (
        f"{protocol:22} {stage:10} {found.detected}/{found.falls} falls, {found.duplicates} duplicates, "
        f"{found.false_alarms} false alarms in {found.hours:.2f} h (< {found.false_per_hour_bound:.0f}/h at 95 %), "
        f"delay from rest median {found.delay(0.5):.1f} s, 90 % within {found.delay(0.9):.1f} s"
    )
