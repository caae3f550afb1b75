"""Pictures of a training run and of an evaluation. matplotlib is imported where it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def draw_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Loss per step, and the validation figures where there are any."""
    plt = _pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    steps = np.array([point["step"] for point in history])
    loss = np.array([point["loss"] for point in history])
    left.plot(steps, loss, lw=0.5, alpha=0.4)
    over = min(25, len(loss))
    left.plot(steps[over - 1 :], np.convolve(loss, np.ones(over) / over, mode="valid"), lw=1.5)
    left.set(xlabel="step", ylabel="loss", title=f"loss (mean of {over} steps)", yscale="log")
    for name in ("auc", "recall_at_0", "recall_at_5", "false_share"):
        points = [(point["step"], point[name]) for point in history if name in point]
        if points:
            right.plot(*zip(*points, strict=True), marker="o", ms=3, label=name)
            right.legend()
    right.set(xlabel="step", title="held-back rendered clips", ylim=(0, 1.02))
    _save(figure, path)


def draw_recall(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], path: Path) -> None:
    """Recall against the share of everyday windows that reach the alarm level; name -> (falls, everyday windows)."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(7, 5))
    for name, (falls, everyday) in curves.items():
        levels = sorted({*falls, *everyday, 0.0, 1.0}, reverse=True)
        false = [float(np.mean(np.asarray(everyday) > level)) for level in levels]
        found = [float(np.mean(np.asarray(falls) > level)) for level in levels]
        axes.step(false, found, where="post", label=f"{name} ({len(falls)} falls, {len(everyday)} windows)")
    axes.set(xlabel="share of everyday windows above the level", ylabel="share of falls above the level")
    axes.set(xlim=(-0.005, 0.5), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    _save(figure, path)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    _pyplot().close(figure)
