"""What was measured, as a table for people and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from device.bench.loop import KEPT_UP
from device.errors import FallwatchError, MissingExtraError

BUSY_LOAD = 0.5
"""Load average a core above which times on the wall are somebody else's too."""

Found = Mapping[str, Any]


def table(found: Found) -> str:
    """Everything that was measured, in words and columns; what was left out is not there."""
    parts = (_machine, _network, _int8, _loop, _memory, _cores, _latency)
    return "\n".join(line for part in parts for line in part(found))


def _machine(found: Found) -> Iterator[str]:
    one = found["machine"]
    yield f"{one['name']}: {one['processor']}, {one['cores']} cores, {one['system']}"
    yield f"{found['model']['id']}, {found['model']['mmac']} MMAC a step; fallwatch {one['fallwatch']}"
    if one["load"] > BUSY_LOAD * one["cores"]:
        yield f"BUSY: load {one['load']} on {one['cores']} cores. Processor time below holds. Time on the wall and the"
        yield "number of cameras a core carries do not."


def _network(found: Found) -> Iterator[str]:
    if "network" not in found:
        return
    yield ""
    yield f"{'one step':<34} {'threads':>7} {'median':>9} {'p95':>9} {'processor':>10}"
    for row in found["network"]:
        name = f"{row['version']} {row['file']}"
        times = f"{row['median_ms']:>6.3f} ms {row['p95_ms']:>6.3f} ms {row['cpu_ms']:>7.3f} ms"
        yield f"  {name:<32} {row['threads']:>7} {times}"
    yield from (f"  not measured: {why}" for why in found["absent"])


def _int8(found: Found) -> Iterator[str]:
    if "int8" in found:
        one = found["int8"]
        share, rate, peak = 100 * one["share"], one["gmac_s"], one["peak_gmac_s"]
        yield f"  int8: {rate:.1f} GMAC/s, {share:.0f} % of the {peak:.1f} that one large matrix product reaches here"


def _loop(found: Found) -> Iterator[str]:
    if "loop" not in found:
        return
    loop = found["loop"]
    yield ""
    yield f"{'whole loop, 640x480 H.264 at 25/s':<34} {'unit':>10} {'capture':>10} {'share of a core, each':>22}"
    for name in ("one", "several"):
        run = loop[name]
        share = loop["share_of_a_core"][str(run["cameras"])]
        said = f"{100 * share:.1f} %" if share is not None else "not known"
        label = f"  {run['cameras']} camera{'s' * (run['cameras'] > 1)}, a step"
        late = "" if run["kept_up"] >= KEPT_UP else f"  (took {100 * run['kept_up']:.0f} % of its steps: overloaded)"
        yield f"{label:<34} {run['loop_ms']:>7.2f} ms {run['capture_ms']:>7.2f} ms {said:>22}{late}"
    wall, cpu = loop["first_score_s"], loop["first_score_cpu_s"]
    yield f"  start to first score: {wall:.1f} s ({cpu:.1f} s of processor time)"


def _memory(found: Found) -> Iterator[str]:
    if "loop" not in found:
        return
    one, further = found["loop"]["one"]["memory_mb"], found["loop"]["further_camera_mb"]
    yield ""
    yield f"{'memory, MB':<34} {'RSS':>8} {'PSS':>8} {'private':>8}"
    yield f"  {'one camera':<32} {one['rss']:>8.0f} {one['pss']:>8.0f} {one['private']:>8.0f}"
    yield f"  {'each further camera':<32} {further['rss']:>8.0f} {further['pss']:>8.0f} {further['private']:>8.0f}"
    yield "  RSS counts shared pages once for every process; PSS is what the machine really gives up."


def _cores(found: Found) -> Iterator[str]:
    if "cameras_per_core" in found:
        one = found["cameras_per_core"]
        dropped = f"steps are dropped with {one['dropped_at']}" if one["dropped_at"] else "more were not tried"
        yield ""
        yield f"cameras one core carries: {one['carried']} ({dropped}); by processor time {one['by_cost']:.1f}"


def _latency(found: Found) -> Iterator[str]:
    if "latency" in found:
        one = found["latency"]
        times = f"median {one['median_ms']:.1f} ms, p95 {one['p95_ms']:.1f} ms, worst {one['worst_ms']:.1f} ms"
        yield f"confirmed to a desk at {one['broker']}: {times}, {one['alerts']} alerts"
    elif "no_latency" in found:
        yield f"confirmed to a desk: not measured: {found['no_latency']}"


COLOURS = ("#0072b2", "#e69f00", "#009e73", "#8e2a8b", "#d55e00", "#6bb7e6")
"""Okabe and Ito's palette for colour-blind readers, as in device.plot."""


def picture(found: Found, path: Path) -> None:
    """Steps, loop and memory side by side as PNG. Raises MissingExtraError without matplotlib, FallwatchError."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("console", error.name) from None
    figure = Figure(figsize=(12.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{found['machine']['processor']}, load {found['machine']['load']}", fontsize=10)
    steps, loop, memory = figure.subplots(1, 3)
    _draw_steps(steps, found)
    _draw_loop(loop, found)
    _draw_memory(memory, found)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise FallwatchError(f"{path}: not written ({error.strerror}); name another place with --plot") from None


def _draw_steps(axes: Any, found: Found) -> None:
    rows = found.get("network", [])
    names = [f"{row['runtime']}\n{row['threads']} thread{'s' * (row['threads'] > 1)}" for row in rows]
    axes.barh(names, [row["cpu_ms"] for row in rows], color=COLOURS[0])
    axes.invert_yaxis()
    axes.set_xlabel("processor ms a step of the network")


def _draw_loop(axes: Any, found: Found) -> None:
    runs = [found["loop"][name] for name in ("one", "several")] if "loop" in found else []
    names = [f"{run['cameras']} camera{'s' * (run['cameras'] > 1)}" for run in runs]
    captures = [run["capture_ms"] for run in runs]
    axes.bar(names, captures, color=COLOURS[1], label="decode and convert")
    axes.bar(names, [run["loop_ms"] for run in runs], bottom=captures, color=COLOURS[0], label="loop")
    axes.set_ylabel("processor ms a step = % of a core")
    axes.legend(frameon=False, fontsize=8)


def _draw_memory(axes: Any, found: Found) -> None:
    if "loop" in found:
        rows = (found["loop"]["one"]["memory_mb"], found["loop"]["further_camera_mb"])
        for place, (kind, colour) in enumerate(zip(("rss", "pss", "private"), COLOURS, strict=False)):
            axes.bar(
                [at + 0.27 * (place - 1) for at in (0, 1)], [row[kind] for row in rows], 0.25, label=kind, color=colour
            )
        axes.set_xticks((0, 1), ("one camera", "each further"))
        axes.legend(frameon=False, fontsize=8)
    axes.set_ylabel("MB")
