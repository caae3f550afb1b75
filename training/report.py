"""An evaluation on paper: report.md, report.json, the curves, a timeline a clip and a sheet of what went wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from device.card import Result
from device.records import Incident
from training.aims import Aim
from training.failures import day_moments, false_moments, missed, write_sheet
from training.hours import Days, days_text
from training.judged import NEVER_SEEN_ROOMS, PROTOCOLS, Model, Scored
from training.metrics import RatePoint
from training.rates import rate_curves
from training.striped_test import StripedRow, striped_text
from training.table import NO_ROOM_SEEN, EventRow, Row, events_text, table_text
from training.timeline import draw_rates, draw_roc, draw_timeline
from training.unit_policy import STAGES
from training.written import json_of

PICTURES: Final = {"roc.png": "ROC over windows", "rates.png": "Recall against false alarms a day"}
SHEETS: Final = {"failures.png": "Falls missed, then the worst everyday moments of real clips"} | {
    f"day_{stage}.png": f"Simulated days: what was {stage} for nothing" for stage in STAGES
}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything measured of one model. said: the policy's transitions, one list a clip. results: rows of a card."""

    model: Model
    scored: Sequence[Scored]
    said: Sequence[list[Incident]]
    windows: Sequence[Row]
    events: Sequence[EventRow]
    days: Days | None
    striped: Sequence[StripedRow]
    aims: Sequence[Aim]
    results: Sequence[Result]


def text_of(found: Evaluation) -> str:
    """All tables as people read them in a terminal."""
    lines = [f"{found.model.name} ({found.model.numbers})", *([table_text(found.windows)] if found.windows else [])]
    lines += [striped_text(row) for row in found.striped]
    lines += [events_text(row) for row in found.events]
    if found.days:
        lines += [days_text(found.days, stage) for stage in STAGES]
        lines += [f"simulated days: {count} faults of sight: {cause}" for cause, count in found.days.faults().items()]
    return "\n".join([*lines, *map(str, found.aims)])


def plain_of(found: Evaluation) -> dict[str, Any]:
    """All figures as plain values; null where there was nothing to measure on, for JSON knows no NaN."""
    said: dict[str, Any] = {
        "model": found.model.name,
        "numbers": found.model.numbers,
        "thresholds": found.model.thresholds.model_dump(),
        "windows": [dataclasses.asdict(row) for row in found.windows],
        "events": [_plain_event(row) for row in found.events],
        "striped": [dataclasses.asdict(row) for row in found.striped],
        "days": _plain_days(found.days),
        "aims": [dataclasses.asdict(aim) for aim in found.aims],
        "card_rows": [row.model_dump(mode="json", exclude_none=True) for row in found.results],
    }
    return said


def write_json(found: Evaluation, path: Path) -> None:
    """All figures as one JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json_of(plain_of(found)), encoding="utf-8")


def write_report(found: Evaluation, folder: Path) -> None:
    """Everything into one folder, with a progress bar. Raises OSError when it cannot be written."""
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    write_json(found, folder / "report.json")
    for name in PICTURES:
        (folder / name).unlink(missing_ok=True)
    groups = {name: levels(found.scored, name) for name in (*PROTOCOLS, NO_ROOM_SEEN)}
    if any(falls and everyday for falls, everyday in groups.values()):
        draw_roc(groups, folder / "roc.png")
    curves = rate_curves(found.scored, found.days, found.model.thresholds)
    if any(curves.values()):
        draw_rates({stage: points for stage, points in curves.items() if points}, folder / "rates.png")
    for one, said in tqdm(list(zip(found.scored, found.said, strict=True)), desc="timelines", unit="clip"):
        draw_timeline(one, said, folder / "timelines" / f"{one.clip.name}.png")
    _write_sheets(found, folder)
    (folder / "report.md").write_text(markdown(found, curves, folder), encoding="utf-8")


def levels(scored: Sequence[Scored], protocol: str) -> tuple[list[float], list[float]]:
    """Half-second-mean window scores of the falls and of everyday life under one protocol."""
    among = NEVER_SEEN_ROOMS if protocol == NO_ROOM_SEEN else (protocol,)
    clips = [one.windows(0.5) for one in scored if one.protocol in among and not one.clip.on_floor]
    return [c.fall for c in clips if c.fall is not None], [score for c in clips for score in c.everyday]


def markdown(found: Evaluation, curves: dict[str, list[RatePoint]], folder: Path) -> str:
    """report.md: aims, tables, the curve as numbers, and the pictures that were made."""
    parts = [f"# {found.model.name} ({found.model.numbers})", "## Aims", *(f"- {aim}" for aim in found.aims)]
    parts += ["", "## Figures", "", "```", text_of(found), "```"]
    parts += ["", "Recall against false alarms a day, by the level that makes a fall suspected:", ""]
    parts += [
        "| stage | level | recall | false a day | at most (95 %) | hours |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    parts += [
        f"| {stage} | {p.level:.2f} | {p.recall:.2f} | {p.per_day:.1f} | {p.per_day_bound:.1f} | {p.hours:.2f} |"
        for stage, points in curves.items()
        for p in points
    ]
    made = {name: words for name, words in (PICTURES | SHEETS).items() if (folder / name).exists()}
    for name, words in made.items():
        parts += ["", f"## {words}", "", f"![{words}]({name})"]
    parts += ["", "## Timelines", ""]
    parts += [f"- [{one.clip.name}](timelines/{one.clip.name}.png), {one.protocol}" for one in found.scored]
    return "\n".join(parts) + "\n"


def _write_sheets(found: Evaluation, folder: Path) -> None:
    level = found.model.thresholds.fall_on
    sheets = {"failures.png": [*missed(found.scored, found.said), *false_moments(found.scored, level)]}
    for stage in STAGES:
        sheets[f"day_{stage}.png"] = day_moments(found.days, stage) if found.days else []
    for name, moments in sheets.items():
        (folder / name).unlink(missing_ok=True)
        if moments:
            write_sheet(moments, folder / name)


def _plain_event(row: EventRow) -> dict[str, Any]:
    events = row.found
    rates = ("recall", "precision", "f1", "false_per_hour", "false_per_hour_bound")
    return {
        **{name: getattr(row, name) for name in ("protocol", "stage", "long_enough", "on_floor")},
        **dataclasses.asdict(events),
        **{name: getattr(events, name) for name in rates},
        "delay_median_s": events.delay(0.5),
        "delay_p90_s": events.delay(0.9),
    }


def _plain_days(days: Days | None) -> dict[str, Any] | None:
    if days is None:
        return None
    stages = {
        stage: {
            "alarms": [{**dataclasses.asdict(alarm), "piece": alarm.piece.name} for alarm in days.alarms(stage)],
            "false_per_hour": days.events(stage).false_per_hour,
            "false_per_hour_bound": days.events(stage).false_per_hour_bound,
        }
        for stage in STAGES
    }
    return {"pieces": len(days.pieces), "hours": days.hours, "hours_on_purpose": days.hours_on_purpose, **stages}
