"""Pictures of an evaluation: ROC, recall against false alarms a day, one timeline a clip. matplotlib is lazy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from device.labels import FALLING, FLOOR, INDEX
from device.plot import COLOURS
from device.records import Incident
from training.judged import Scored
from training.metrics import RatePoint, smooth, window_auc, window_roc
from training.unit_policy import KINDS
from training.written import whole

FRAMES = 10
DPI = 90
SMOOTH_S = 0.5


def draw_roc(groups: Mapping[str, tuple[Sequence[float], Sequence[float]]], path: Path) -> None:
    """ROC over windows; name -> (scores of falls, scores of everyday windows). Groups without both are left out."""
    figure = _figure((7, 5))
    axes = figure.subplots()
    for name, (falls, everyday) in groups.items():
        if falls and everyday:
            false, found = window_roc(falls, everyday)
            words = f"{name}: {window_auc(falls, everyday):.3f} ({len(falls)} falls, {len(everyday)} windows)"
            axes.plot(false, found, drawstyle="steps-post", label=words)
    axes.set(xlabel="share of everyday windows that reach the level", ylabel="share of falls that reach the level")
    axes.set(xlim=(-0.005, 0.5), ylim=(0.0, 1.02), title="ROC over windows, half-second mean (left half)")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=8, title="area under the curve")
    _save(figure, path)


def draw_rates(curves: Mapping[str, Sequence[RatePoint]], path: Path) -> None:
    """Recall against false alarms a day, stage by stage; the thin line is the most the rate may be (95 %)."""
    figure = _figure((7, 5))
    axes = figure.subplots()
    for name, points in curves.items():
        recall = [point.recall for point in points]
        (line,) = axes.plot([p.per_day for p in points], recall, marker="o", ms=3, label=name)
        axes.plot([p.per_day_bound for p in points], recall, lw=0.7, ls=":", color=line.get_color())
        for point in points[:: max(1, len(points) // 5)]:
            axes.annotate(f"{point.level:.2f}", (point.per_day, point.recall), fontsize=7, color=line.get_color())
    hours = next(iter(curves.values()))[0].hours
    # Linear below one a day, so that a rate of nought has its place.
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set(xlabel=f"false a day (from {hours:.2f} h of everyday footage)", ylabel="share of falls", ylim=(0, 1.02))
    axes.set_title("recall against false alarms a day; numbers: level that makes a fall suspected", fontsize=10)
    axes.set_xlim(left=-0.05)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    _save(figure, path)


def draw_timeline(scored: Scored, said: Sequence[Incident], path: Path) -> None:
    """One clip: smoothed evidence over time, the true fall shaded, what the policy said, and frames below."""
    figure = _figure((9.0, 3.6))
    above, below = figure.subplots(2, 1, height_ratios=(2.4, 1.0))
    for label in (FALLING, FLOOR):
        score = smooth(scored.t, scored.probabilities[:, INDEX[label]], SMOOTH_S)
        above.plot(scored.t, score, color=COLOURS[label], lw=1.6, label=label)
    above.plot(scored.t, scored.evidence(SMOOTH_S), color="#161a20", lw=0.8, ls=":", label="falling + floor")
    if scored.fall:
        above.axvspan(*scored.fall, color="#d3d9e2", label="fall (truth)")
    end = max(float(scored.t[-1]), 0.1)
    for row, incident in enumerate(x for x in said if x.kind in KINDS):
        above.axvline(incident.t, color="#161a20", lw=0.8)
        side = "right" if incident.t > 0.8 * end else "left"
        words = f" {incident.kind} {incident.stage} "
        box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        above.text(incident.t, 0.97 - 0.1 * (row % 4), words, fontsize=7, ha=side, va="top", bbox=box)
    above.set(xlim=(0.0, end), ylim=(0.0, 1.03), ylabel=f"mean of {SMOOTH_S} s")
    above.set_title(f"{scored.clip.name}, {scored.protocol}, {scored.model.name}", fontsize=9, loc="left")
    above.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), fontsize=7, ncols=4, frameon=False)
    if scored.film is not None:
        below.imshow(film_strip(scored.film.grey), cmap="gray", vmin=0, vmax=255, aspect="auto", extent=(0, end, 0, 1))
    below.set_yticks([])
    below.set_xlabel("seconds; each frame is from the middle of its stretch", fontsize=8)
    _save(figure, path)


def film_strip(grey: NDArray[np.uint8], frames: int = FRAMES) -> NDArray[np.uint8]:
    """Frames from the middle of equal stretches, side by side: uint8 (height, frames x width)."""
    middle = ((np.arange(frames) + 0.5) * len(grey) / frames).astype(int).clip(0, len(grey) - 1)
    return np.asarray(np.hstack([cv2.copyMakeBorder(grey[step], 0, 0, 1, 1, cv2.BORDER_CONSTANT) for step in middle]))


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as partial:
        figure.savefig(partial, dpi=DPI, format="png")
