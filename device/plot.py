"""The score timeline of a replay as a picture: evidence with its thresholds, what the network saw, motion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device.card import Thresholds
from device.errors import FallwatchError, MissingExtraError
from device.incidents.down import SMOOTH_S
from device.incidents.evidence import MovingMean
from device.labels import EMPTY, FALLING, FLOOR, LOW, LYING, SEATED, UPRIGHT
from device.records import Incident, Scores

COLOURS = {
    FALLING: "#d55e00",
    FLOOR: "#8e2a8b",
    LYING: "#0072b2",
    LOW: "#e69f00",
    SEATED: "#009e73",
    UPRIGHT: "#6bb7e6",
    EMPTY: "#b4bac3",
}
"""Okabe and Ito's palette for colour-blind readers (jfly.uni-koeln.de/color, 2008), purple darkened, sky paled; in the
order of the stack, worst on top."""

INK, SOFT, GRID = "#161a20", "#4a5361", "#d3d9e2"
DPI = 120
INCHES_WIDE = 12.0
FLAG_CHARS = 0.0075
"""Width of one letter of a flag as a share of the axis, at 12 inches and 9 points; flags that touch take a new row."""


class PlotError(FallwatchError):
    """A picture that cannot be made; the text says why and what to do."""


def timeline_png(
    path: Path, scores: Sequence[Scores], incidents: Sequence[Incident], thresholds: Thresholds, title: str
) -> None:
    """Write the score timeline of one footage as PNG; seconds are counted from its first score.

    incidents: transitions, in order. Raises PlotError with one sentence when there is nothing to draw or no way to
    write, MissingExtraError without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("console", error.name) from None
    if not scores:
        raise PlotError(f"{path}: no score to draw; the footage is shorter than one step")
    start = scores[0].t
    times = [one.t - start for one in scores]
    rows = _flag_rows(incidents, start, max(times[-1], 1e-6))
    figure = Figure(figsize=(INCHES_WIDE, 5.6 + 0.22 * max([0, *rows])), layout="constrained")
    FigureCanvasAgg(figure)
    evidence, seen, motion = figure.subplots(3, 1, sharex=True, height_ratios=(3.2, 1.5, 0.8))
    _draw_evidence(evidence, times, scores, thresholds)
    _draw_stack(seen, times, scores)
    _draw_motion(motion, times, scores)
    for axis in (evidence, seen, motion):
        _draw_transitions(axis, incidents, start)
    _draw_flags(evidence, incidents, rows, start)
    motion.set_xlim(times[0], max(times[-1], times[0] + 0.1))
    motion.set_xlabel("seconds from the start of the footage", color=SOFT)
    figure.legend(*evidence.get_legend_handles_labels(), loc="upper right", ncols=3, fontsize=9, frameon=False)
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold", color=INK)
    try:
        figure.savefig(path, dpi=DPI, facecolor="white", format="png")
    except OSError as error:
        raise PlotError(f"{path}: cannot be written ({error.strerror or error}); name another place") from None


def _smooth(scores: Sequence[Scores], label: str) -> list[float]:
    """What the policy judges: the mean over SMOOTH_S."""
    mean = MovingMean(SMOOTH_S)
    return [mean.update(one.t, one.of(label)) for one in scores]


def _plain(axis: Any, name: str) -> None:
    axis.set_title(name, loc="left", fontsize=9, color=SOFT, pad=4)
    axis.tick_params(colors=SOFT, labelsize=9)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(GRID)


def _draw_evidence(axis: Any, times: list[float], scores: Sequence[Scores], limits: Thresholds) -> None:
    _plain(axis, "")
    axis.set_ylabel("evidence (mean of 0.5 s)", color=SOFT, fontsize=9)
    axis.set_ylim(0.0, 1.03)
    axis.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
    axis.grid(axis="y", color=GRID, linewidth=0.6)
    for label, style in ((LYING, (0, (5, 2))), (FLOOR, "-"), (FALLING, "-")):
        raw = [one.of(label) for one in scores]
        axis.plot(times, raw, color=COLOURS[label], linewidth=0.7, alpha=0.3)
        width = 1.4 if label == LYING else 2.2
        axis.plot(times, _smooth(scores, label), color=COLOURS[label], linewidth=width, linestyle=style, label=label)
    named = sorted(
        ((limits.fall_on, "fall from", FALLING), (limits.down_on, "down from", FLOOR)), key=lambda one: -one[0]
    )
    for place, (limit, words, label) in enumerate(named):
        axis.axhline(limit, color=COLOURS[label], linewidth=1.0, linestyle=(0, (4, 3)))
        axis.annotate(
            f"{words} {limit:.2f}",
            (1.0, limit),
            xycoords=("axes fraction", "data"),
            xytext=(4, 3 if place == 0 else -3),
            textcoords="offset points",
            va="bottom" if place == 0 else "top",
            color=COLOURS[label],
            fontsize=9,
            annotation_clip=False,
        )


def _draw_stack(axis: Any, times: list[float], scores: Sequence[Scores]) -> None:
    _plain(axis, "what the network saw (probabilities, stacked)")
    labels = list(reversed(COLOURS))
    stacks = [[one.of(label) for one in scores] for label in labels]
    axis.stackplot(times, stacks, colors=[COLOURS[label] for label in labels], labels=labels, linewidth=0)
    axis.set_ylim(0.0, 1.0)
    axis.set_yticks([0.0, 1.0])
    handles, names = axis.get_legend_handles_labels()
    axis.legend(
        handles[::-1],
        names[::-1],
        loc="center left",
        bbox_to_anchor=(1.003, 0.5),
        fontsize=8.5,
        frameon=False,
        handlelength=1.0,
        handleheight=0.9,
        labelspacing=0.22,
        borderaxespad=0.2,
    )


def _draw_motion(axis: Any, times: list[float], scores: Sequence[Scores]) -> None:
    _plain(axis, "motion (share of the picture that changed)")
    axis.fill_between(times, [one.motion for one in scores], color=SOFT, alpha=0.75, linewidth=0)
    most = max(0.01, *(one.motion for one in scores))
    axis.set_ylim(0.0, most * 1.05)
    axis.set_yticks([0.0, most], labels=["0", f"{most:.1%}"])


def _draw_transitions(axis: Any, incidents: Sequence[Incident], start: float) -> None:
    for incident in incidents:
        axis.axvline(incident.t - start, color=INK, linewidth=1.0)


def _flag(incident: Incident) -> str:
    return f"{incident.kind.replace('_', ' ')} {incident.stage.replace('_', ' ')}"


def _flag_rows(incidents: Sequence[Incident], start: float, length: float) -> list[int]:
    """Which row each transition's flag stands in, 0 the lowest, so that no two overlap."""
    ends: list[float] = []
    rows = []
    for incident in incidents:
        left, right = _flag_span(incident, start, length)
        row = next((row for row, end in enumerate(ends) if end <= left), len(ends))
        ends[row : row + 1] = [right]
        rows.append(row)
    return rows


def _flag_span(incident: Incident, start: float, length: float) -> tuple[float, float]:
    """Left and right end of a flag as a share of the axis; near the right end it hangs to the left of its mark."""
    at = (incident.t - start) / length
    width = FLAG_CHARS * (len(_flag(incident)) + 3)
    return (at - width, at) if at + width > 1.0 else (at, at + width)


def _draw_flags(axis: Any, incidents: Sequence[Incident], rows: Sequence[int], start: float) -> None:
    length = max(axis.lines[0].get_xdata()[-1], 1e-6)
    for incident, row in zip(incidents, rows, strict=True):
        hangs_left = _flag_span(incident, start, length)[0] < (incident.t - start) / length
        axis.annotate(
            _flag(incident),
            (incident.t - start, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if hangs_left else 3, 6 + 17 * row),
            textcoords="offset points",
            ha="right" if hangs_left else "left",
            fontsize=9,
            color="white",
            bbox={"boxstyle": "square,pad=0.25", "facecolor": INK, "edgecolor": INK},
            annotation_clip=False,
        )
