"""Pictures of a training run and of an evaluation. matplotlib is imported where it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.written import whole

LOSSES = ("loss", "labels", "mask", "presence", "height")
"""The whole and its parts, as a history names them; where there are no auxiliary heads, `labels` is the whole."""


def draw_curves(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Loss per step, whole and by its parts, and the validation figures where there are any."""
    plt = _pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    over = min(25, len(history))
    parts = [name for name in LOSSES if name in history[-1]]
    for name in parts if len(parts) > 2 else parts[:1]:
        points = [(point["step"], point[name]) for point in history if name in point]
        steps, loss = (np.array(column) for column in zip(*points, strict=True))
        (line,) = left.plot(steps, loss, lw=0.5, alpha=0.3)
        mean = np.convolve(loss, np.ones(over) / over, mode="valid")
        left.plot(steps[len(steps) - len(mean) :], mean, lw=1.5, color=line.get_color(), label=name)
    left.legend()
    left.set(xlabel="step", ylabel="loss", title=f"loss (mean of {over} steps)", yscale="log")
    for name in ("auc", "recall_at_0", "recall_at_5", "false_share"):
        points = [(point["step"], point[name]) for point in history if name in point]
        if points:
            right.plot(*zip(*points, strict=True), marker="o", ms=3, label=name)
            right.legend()
    right.set(xlabel="step", title="held-back rendered clips", ylim=(0, 1.02))
    _save(figure, path)


def _pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    with whole(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    _pyplot().close(figure)
