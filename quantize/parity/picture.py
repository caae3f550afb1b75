"""The differences to look at: how often they are how large, along the stream, and in the clips where they are worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.card import Thresholds
from quantize.parity.footage import Reference
from quantize.parity.forms import Scores
from quantize.parity.gate import P99_BAR, FormReport
from quantize.parity.measures import by_minutes
from quantize.parity.runs import ClipRun
from training.footage import STEP_S
from training.scoring import evidence

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's palette for colour-blind readers, one a form."""
INK, SOFT, GRID = "#161a20", "#4a5361", "#d3d9e2"
WORST: Final = 6
"""Clips whose timelines are drawn."""
SMALLEST: Final = 1e-6
MINUTE_STEPS: Final = 600
MOST_POINTS: Final = 2000


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the picture is made of; stream: None where none was run."""

    title: str
    reports: Sequence[FormReport]
    reference: str
    runs: Sequence[ClipRun]
    stream: Mapping[str, Scores] | None
    block: int
    thresholds: Thresholds


def write_picture(path: Path, drawn: Drawn) -> None:
    """Write the picture as PNG; raises OSError where it cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    worst = worst_clips(drawn)
    rows = -(-len(worst) // 2)
    figure = Figure(figsize=(13, 4.6 + 2.3 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1 + rows, 2, height_ratios=[2.0] + [1.0] * rows, squeeze=False)
    _draw_shares(axes[0][0], drawn)
    _draw_stream(axes[0][1], drawn)
    places = [axis for row in axes[1:] for axis in row]
    for axis, (run, form) in zip(places, worst, strict=False):
        _draw_clip(axis, run, form, drawn)
    for axis in places[len(worst) :]:
        axis.set_axis_off()
    figure.suptitle(drawn.title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    figure.savefig(path, dpi=110, facecolor="white", format="png")


def worst_clips(drawn: Drawn) -> list[tuple[ClipRun, str]]:
    """The clips in which an int8 form strays furthest, each with that form, the worst first."""
    int8 = [report.name for report in drawn.reports if report.int8]
    found = [
        (float(np.percentile(_apart(run.said[drawn.reference], run.said[name]), 99)), index, name)
        for index, run in enumerate(drawn.runs)
        for name in int8
    ]
    best: dict[int, tuple[float, str]] = {}
    for strayed, index, name in found:
        best[index] = max(best.get(index, (-1.0, "")), (strayed, name))
    order = sorted(best, key=lambda index: best[index][0], reverse=True)[:WORST]
    return [(drawn.runs[index], best[index][1]) for index in order]


def _apart(one: Scores, other: Scores) -> NDArray[np.float64]:
    return np.abs(one.astype(np.float64) - other)


def _colour(drawn: Drawn, name: str) -> str:
    names = [report.name for report in drawn.reports]
    return COLOURS[names.index(name) % len(COLOURS)]


def _draw_shares(axis: Any, drawn: Drawn) -> None:
    """Share of all probabilities that differ by more than x, both logarithmic."""
    for report in drawn.reports:
        apart = np.sort(
            np.concatenate([_apart(run.said[drawn.reference], run.said[report.name]).ravel() for run in drawn.runs])
        )
        picked = np.unique(np.linspace(0, len(apart) - 1, MOST_POINTS).astype(int))
        share = 1.0 - picked / len(apart)
        axis.plot(
            np.maximum(apart[picked], SMALLEST), share, color=_colour(drawn, report.name), lw=1.6,
            label=f"{report.name}: p99 {report.clips.p99:.4f}",
        )  # fmt: skip
    axis.axvline(P99_BAR, color=INK, lw=0.9, ls="--")
    axis.axhline(0.01, color=INK, lw=0.9, ls=":")
    axis.set(xscale="log", yscale="log", xlim=(SMALLEST, 1), ylim=(1e-5, 1.3))
    axis.set_title(f"Clips: share of probabilities further from {drawn.reference} than x", **_title())
    axis.set_xlabel(f"|probability difference|   (dashed: {P99_BAR}, dotted: 1 %)", color=SOFT, fontsize=9)
    axis.legend(fontsize=8, frameon=False, loc="lower left")
    _quiet(axis)


def _draw_stream(axis: Any, drawn: Drawn) -> None:
    if drawn.stream is None:
        axis.text(0.5, 0.5, "no stream was run (--hours 0)", ha="center", color=SOFT)
        axis.set_axis_off()
        return
    truth = drawn.stream[drawn.reference]
    minute = min(MINUTE_STEPS, max(1, len(truth) // 12))
    for report in (report for report in drawn.reports if report.int8):
        values = by_minutes(truth, drawn.stream[report.name], minute)
        at = (np.arange(len(values)) + 0.5) * minute * STEP_S / 60
        axis.plot(at, values, color=_colour(drawn, report.name), lw=1.3, label=report.name)
    whole, block = len(truth) * STEP_S / 60, drawn.block * STEP_S / 60
    for start in (0.0, whole - block):
        axis.axvspan(start, start + block, color=GRID, alpha=0.5, lw=0)
    axis.axhline(P99_BAR, color=INK, lw=0.9, ls="--")
    axis.set(xlim=(0, whole), ylim=(0, None))
    axis.set_title("Stream without a reset: 99th percentile by the minute", **_title())
    axis.set_xlabel("minutes   (grey: the same pictures at the beginning and at the end)", color=SOFT, fontsize=9)
    axis.legend(fontsize=8, frameon=False, loc="upper left")
    _quiet(axis)


def _draw_clip(axis: Any, run: ClipRun, form: str, drawn: Drawn) -> None:
    """P(falling) + P(floor) of one clip by float and by the form that strays most there."""
    reference: Reference = run.reference
    t = reference.film.t
    one, other = (evidence(run.said[name].astype(np.float64)) for name in (drawn.reference, form))
    axis.fill_between(t, one, other, color=_colour(drawn, form), alpha=0.25, lw=0)
    axis.plot(t, one, color=SOFT, lw=1.6, label=drawn.reference)
    axis.plot(t, other, color=_colour(drawn, form), lw=1.1, label=form)
    if reference.fall is not None:
        axis.axvspan(reference.fall.start, reference.fall.rest, color="#f5c16c", alpha=0.5, lw=0)
    axis.axhline(drawn.thresholds.fall_on, color=INK, lw=0.7, ls=":")
    axis.set(xlim=(float(t[0]), max(float(t[-1]), float(t[0]) + 0.1)), ylim=(0, 1.02))
    largest = float(_apart(run.said[drawn.reference], run.said[form]).max())
    axis.set_title(f"{reference.name}: {form}, |dp| up to {largest:.2f}", **_title(9))
    axis.legend(fontsize=7, frameon=False, loc="upper left")
    _quiet(axis)


def _title(size: float = 10) -> dict[str, Any]:
    return {"loc": "left", "fontsize": size, "color": INK}


def _quiet(axis: Any) -> None:
    axis.grid(color=GRID, lw=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, colors=SOFT)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
