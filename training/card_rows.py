"""An evaluation as the rows of a model card, and a card's rows held against what was just measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from device.card import Result, read_card
from device.errors import MissingExtraError
from training.hours import Days
from training.judged import SEEN, Scored
from training.striped_test import RENDERED, StripedRow
from training.table import EventRow, Row, groups_of
from training.unit_policy import STAGES

SIMULATED: Final = "simulated days of everyday life, rooms never seen"

DIGITS: Final = {
    "auc": 3,
    "recall_at_0": 2,
    "recall_at_5": 2,
    "recall_at_10": 2,
    "hours": 2,
    "delay_median_s": 1,
    "delay_p90_s": 1,
    "falls": 0,
    "windows": 0,
    "detected": 0,
    "false_alarms": 0,
}
"""Decimals a card gives. A figure agrees when it is off by no more than one in the last of them: that is rounding."""

Key = tuple[str, str, str, float | None, str | None]


def key_of(result: Result) -> Key:
    """What a row is about; rows with one key are the same measurement."""
    return (result.protocol, result.footage, result.numbers, result.smoothing_s, result.stage)


def measurable(result: Result) -> bool:
    """Whether `fallwatch evaluate` makes rows like this one; others were written by hand."""
    return bool(result.numbers) and (result.smoothing_s is not None or result.stage is not None)


def window_results(scored: Sequence[Scored], table: Sequence[Row], folds: Sequence[str]) -> list[Result]:
    """Rows of the windows that have falls; what was seen in training is no result."""
    groups = {(protocol, name): group for protocol, name, group in groups_of(scored)}
    return [
        Result(
            protocol=row.protocol,
            footage=row.footage,
            numbers=numbers_of(groups[row.protocol, row.footage]),
            folds=folds_of(groups[row.protocol, row.footage], folds),
            smoothing_s=row.smoothing_s,
            note=_purpose(row),
            **_figures(row),
        )
        for row in table
        if row.protocol != SEEN and row.figures.falls
    ]


def event_results(scored: Sequence[Scored], table: Sequence[EventRow], folds: Sequence[str]) -> list[Result]:
    """Rows of the incidents of each protocol."""
    found = []
    for row in table:
        group = [one for one in scored if row.covers(one)]
        events = row.found
        result = Result(
            protocol=row.protocol,
            footage="all",
            numbers=numbers_of(group),
            folds=folds_of(group, folds),
            falls=events.falls,
            stage=row.stage,
            detected=events.detected,
            false_alarms=events.false_alarms,
            hours=round(events.hours, DIGITS["hours"]),
            delay_median_s=_rounded(events.delay(0.5), "delay_median_s"),
            delay_p90_s=_rounded(events.delay(0.9), "delay_p90_s"),
            note=f"{row.long_enough} clips go on long enough to confirm" if row.stage == "confirmed" else "",
        )
        found += [result] if row.protocol != SEEN else []
    return found


def day_results(days: Days, numbers: str) -> list[Result]:
    """False alarms of the simulated days at both stages."""
    found = []
    for stage in STAGES:
        events, alarms = days.events(stage), days.alarms(stage)
        found.append(
            Result(
                protocol=SIMULATED,
                footage=f"{len(days.pieces)} pieces",
                numbers=numbers,
                falls=0,
                stage=stage,
                false_alarms=events.false_alarms,
                hours=round(events.hours, DIGITS["hours"]),
                note=f"less than {events.false_per_hour_bound:.2f} an hour at 95 %; "
                f"apart, on the floor on purpose: {sum(alarm.on_purpose for alarm in alarms)}",
            )
        )
    return found


def striped_results(table: Sequence[StripedRow], numbers: str) -> list[Result]:
    """Rendered clips as they are and before stripes."""
    return [
        Result(
            protocol=RENDERED,
            footage=row.footage,
            numbers=numbers,
            smoothing_s=row.smoothing_s,
            **_figures(row),
        )
        for row in table
    ]


def numbers_of(group: Sequence[Scored]) -> str:
    """What the networks behind a group computed in: int8, float, or both where folds stand in."""
    return " and ".join(sorted({one.model.numbers for one in group}))


def folds_of(group: Sequence[Scored], folds: Sequence[str]) -> tuple[str, ...]:
    """The folds that scored a clip of the group, by what they held out and their digest."""
    digests = {one.model.digest for one in group}
    return tuple(fold for fold in folds if fold.rpartition(" ")[2] in digests)


def differences(card: Sequence[Result], measured: Sequence[Result]) -> list[str]:
    """A sentence for each figure of the card that was measured otherwise."""
    new = {key_of(result): result for result in measured}
    found = []
    for said in card:
        now = new.get(key_of(said)) if measurable(said) else None
        for name, digits in DIGITS.items() if now else ():
            if _differs(getattr(said, name), getattr(now, name), digits):
                found.append(f"{title(said)}: {name}: card says {getattr(said, name)}, measured {getattr(now, name)}")
        if now and now.folds != said.folds:
            found.append(f"{title(said)}: card says folds {', '.join(said.folds)}, measured {', '.join(now.folds)}")
    return found


def not_measured(card: Sequence[Result], measured: Sequence[Result]) -> list[str]:
    """How many rows of the card this call did not measure, by what would have measured them."""
    new = {key_of(result) for result in measured}
    rest = [said for said in card if not measurable(said) or key_of(said) not in new]
    folds = dict.fromkeys(fold.rpartition(" ")[0] for said in rest for fold in said.folds)
    by_folds = "need " + " ".join(f"--fold {fold}=CHECKPOINT" for fold in folds)
    counts = Counter(by_folds if said.folds else _needs(said) for said in rest)
    return [f"{count} {'row' if count == 1 else 'rows'}: {reason}" for reason, count in counts.items()]


def merged(card: Sequence[Result], measured: Sequence[Result]) -> tuple[Result, ...]:
    """The card's rows with what was measured put in their place; new ones after them."""
    new = {key_of(result): result for result in measured}
    kept = tuple(new.pop(key_of(said), said) if measurable(said) else said for said in card)
    return (*kept, *new.values())


def title(result: Result) -> str:
    """A row by name."""
    how = result.stage or ("raw" if not result.smoothing_s else f"mean of {result.smoothing_s} s")
    return f"{result.protocol}, {result.footage}, {result.numbers}, {how}"


def write_card(bundle: Path, measured: Sequence[Result], about: Path | None) -> None:
    """Put the rows into a bundle's card, and into the hand-written text it is made from where that is named.

    Raises BundleError when either is no good, MissingExtraError without the quantize extra.
    """
    try:
        from quantize.about import about_of, with_results
        from quantize.bundle import say_again
    except ModuleNotFoundError as error:
        raise MissingExtraError("quantize", error.name) from None
    card = read_card(bundle)
    results = merged(card.results, measured)
    if about is not None:
        with_results(about, results)
    say_again(bundle, about_of(card).model_copy(update={"results": results}))


def _figures(row: Row | StripedRow) -> dict[str, Any]:
    f = row.figures
    named = {
        "auc": f.auc,
        "recall_at_0": f.recall_at_0,
        "recall_at_5": f.recall_at_5,
        "recall_at_10": f.recall_at_10,
    }
    return {"falls": f.falls, "windows": f.windows, **{name: _rounded(value, name) for name, value in named.items()}}


def _rounded(value: float, name: str) -> float | None:
    return None if math.isnan(value) else round(value, DIGITS[name])


def _purpose(row: Row) -> str:
    if not row.on_floor_windows:
        return ""
    return f"{row.on_floor_above} of {row.on_floor_windows} windows on the floor on purpose are above the 5 % level"


def _differs(said: float | None, now: float | None, digits: int) -> bool:
    if said is None or now is None:
        return said is not now
    off = 10.0**-digits if digits else 0.0
    return abs(said - now) > off + 1e-9


def _needs(result: Result) -> str:
    if not measurable(result):
        return "written by hand"
    needs = {SIMULATED: "need --day FOLDER", RENDERED: "need --striped FOLDER"}
    return needs.get(result.protocol, f"need the {result.numbers} network, or other clips than these")
