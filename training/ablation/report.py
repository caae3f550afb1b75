"""The comparison as a page, a picture and JSON; all are made anew from the figures of each finished variant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from training.ablation.figures import Accuracy, Figures
from training.ablation.variants import BASELINE, SECOND_SEED, Variant
from training.written import json_of, whole, write_text

Finished = Sequence[tuple[Variant, Figures]]


def noise(finished: Finished, over: int) -> float | None:
    """How far two seeds of the baseline are apart in window AUC; None until both are there. over: 0 raw, 1 smoothed."""
    found = {variant.name: figures.accuracy[over].windows.auc for variant, figures in finished}
    if BASELINE not in found or SECOND_SEED not in found:
        return None
    return abs(found[BASELINE] - found[SECOND_SEED])


def noise_text(finished: Finished) -> str:
    """What differences mean."""
    raw, smoothed = noise(finished, 0), noise(finished, 1)
    if raw is None or smoothed is None:
        return "Two seeds of the baseline are not both here, so nothing says how large a difference chance makes."
    return (
        f"Two seeds of the baseline differ by {raw:.3f} in window AUC raw, {smoothed:.3f} with the mean of 0.5 s. "
        "Every other row is one seed: a difference no larger than this says nothing, and one pair of seeds measures "
        f"chance only roughly. One fall is {1 / max(1, finished[0][1].accuracy[0].windows.falls):.3f} of recall."
    )


def markdown(finished: Finished, settings: Mapping[str, Any]) -> str:
    """The whole page."""
    if not finished:
        return "# Ablation\n\nNo variant is finished.\n"
    windows = finished[0][1].accuracy[0].windows
    lines = [
        "# Ablation",
        "",
        f"Every variant: {settings['steps']} steps{_batch(settings)} on rendered clips alone "
        f"({settings['clips']} in the folder), "
        f"scored over {windows.falls} falls and {windows.windows} everyday windows of real clips, in rooms that none "
        "has seen. Delay: from balance lost to the level that 5 % of everyday windows exceed. Cells: raw / mean of "
        "0.5 s.",
        "",
        noise_text(finished),
        "",
        "| variant | differs by | window AUC | recall at 0 % | at 5 % | at 10 % | delay median, s | delay p90, s |",
        "| --- " * 8 + "|",
    ]
    lines += [_accuracy_row(variant, figures.accuracy) for variant, figures in finished]
    lines += ["", *_cost_table(finished)]
    return "\n".join(lines) + "\n"


def _batch(settings: Mapping[str, Any]) -> str:
    return f" of {settings['batch']} windows" if settings.get("batch") else ""


def _accuracy_row(variant: Variant, accuracy: Sequence[Accuracy]) -> str:
    columns = [
        [_number(a.windows.auc, 3) for a in accuracy],
        [_number(a.windows.recall_at_0, 2) for a in accuracy],
        [_number(a.windows.recall_at_5, 2) for a in accuracy],
        [_number(a.windows.recall_at_10, 2) for a in accuracy],
        [_number(a.delay_median_s, 1) for a in accuracy],
        [_number(a.delay_p90_s, 1) for a in accuracy],
    ]
    return f"| `{variant.name}` | {variant.what} | " + " | ".join(" / ".join(cells) for cells in columns) + " |"


def _number(value: float, places: int) -> str:
    """A dash where there was nothing to measure, as where no fall reached the level."""
    return "-" if math.isnan(value) else f"{value:.{places}f}"


def _cost_table(finished: Finished) -> list[str]:
    lines = [
        "| network | parameters | MMAC a step | CPU time of a window, baseline 1 | look-back | streams by | int8 |",
        "| --- " * 7 + "|",
    ]
    shown: set[str] = set()
    for variant, figures in finished:
        if variant.network not in shown:
            shown.add(variant.network)
            c = figures.cost
            lines.append(
                f"| `{variant.network}` | {c.parameters / 1e3:.0f} k | {c.macs / 1e6:.2f} | {c.time_ratio:.2f} "
                f"| {c.look_back} | {c.state} | {c.int8} |"
            )
    return lines


def draw(finished: Finished, path: Path) -> None:
    """Dot plot: window AUC and recall at 5 % a variant, by group; the band is what two seeds of the baseline span."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(11, 1.4 + 0.3 * len(finished)), sharey=True, layout="constrained")
    rows = list(range(len(finished)))
    shown = (("window AUC", _auc), ("recall at 5 % of everyday windows", _recall))
    for axes, (title, value) in zip(panels, shown, strict=True):
        for over, (label, fill) in enumerate((("raw", "none"), ("mean of 0.5 s", "C1"))):
            points = [value(figures.accuracy[over]) for _, figures in finished]
            axes.scatter(points, rows, s=36, label=label, facecolors=fill, edgecolors=f"C{over}", zorder=3)
            seeds = [value(f.accuracy[over]) for v, f in finished if v.name in (BASELINE, SECOND_SEED)]
            if len(seeds) == 2:
                axes.axvspan(min(seeds), max(seeds), color=f"C{over}", alpha=0.15)
        axes.set(title=title)
        axes.grid(axis="x", alpha=0.3)
        axes.locator_params(axis="x", nbins=6)
    for row, (before, after) in enumerate(pairwise(finished)):
        if before[0].group != after[0].group:
            for axes in panels:
                axes.axhline(row + 0.5, color="0.8", lw=0.8)
    panels[0].set_yticks(rows, [variant.name for variant, _ in finished])
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    with whole(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
    plt.close(figure)


def _auc(accuracy: Accuracy) -> float:
    return accuracy.windows.auc


def _recall(accuracy: Accuracy) -> float:
    return accuracy.windows.recall_at_5


def write(finished: Finished, settings: Mapping[str, Any], out: Path) -> None:
    """ablation.json, ablation.md and, once there is a point to draw, ablation.png."""
    said = {
        "settings": dict(settings),
        "noise_auc": {"raw": noise(finished, 0), "mean of 0.5 s": noise(finished, 1)},
        "variants": [
            {"name": v.name, "group": v.group, "what": v.what, "network": v.network} | f.plain() for v, f in finished
        ],
    }
    write_text(out / "ablation.json", json_of(said))
    write_text(out / "ablation.md", markdown(finished, settings))
    if finished:
        draw(finished, out / "ablation.png")
