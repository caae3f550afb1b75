"""What whole units cost: share of a core, memory of one camera and of each further one, how many a core carries."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from device.bench.watched import Order
from device.errors import FallwatchError

KEPT_UP = 0.98
"""Share of ten steps a second for each camera below which steps are dropped; a second's worth of jitter is less."""

SOUND = 0.9
"""Share of its steps below which a unit's cost a step says nothing."""

SEVERAL = 4
CORE_S = 8.0
MOST_TRIES = 4

Said = Callable[[str], None]


def measure(order: Order) -> dict[str, Any]:
    """Run one unit to its end: what it measured, and seconds to its first score. Raises FallwatchError."""
    began = time.monotonic()
    found = subprocess.run(
        [sys.executable, "-m", "device.bench.watched", json.dumps(asdict(order))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (_home(), os.environ.get("PYTHONPATH"))))},
        check=False,
    )
    if found.returncode != 0 or not found.stdout:
        raise FallwatchError(
            f"a unit with {order.cameras} cameras never came to be measured; end what else this machine is doing"
        )
    said: dict[str, Any] = json.loads(found.stdout)
    return {**said, "first_score_s": round(said["first_t"] - began, 2)}


def time_loop(source: Path, bundle: Path, seconds: float, said: Said) -> dict[str, Any]:
    """One camera, then several: processor time a step, share of a core at ten steps a second, memory."""
    runs = {}
    for count in (1, SEVERAL):
        said(f"unit with {count} camera{'s' * (count > 1)}, {seconds:.0f} s")
        runs[count] = measure(Order(str(source), count, seconds, None, str(bundle)))
    one, several = runs[1], runs[SEVERAL]
    return {
        "one": one,
        "several": several,
        "share_of_a_core": {str(count): _share(run) for count, run in runs.items()},
        "first_score_s": one["first_score_s"],
        "first_score_cpu_s": round(one["first_cpu_s"], 2),
        "further_camera_mb": {
            name: round((several["memory_mb"][name] - one["memory_mb"][name]) / (SEVERAL - 1), 1)
            for name in one["memory_mb"]
        },
    }


def _share(run: dict[str, Any]) -> float | None:
    """Share of a core for one camera; None of a unit that did not keep up: it decoded pictures it never looked at."""
    if run["kept_up"] < SOUND:
        return None
    return round((float(run["loop_ms"]) + float(run["capture_ms"])) / 100, 4)


def cameras_per_core(source: Path, bundle: Path, cost_ms: float, said: Said) -> dict[str, Any]:
    """How many cameras one core carries before steps are dropped, tried on one core with everything they need.

    cost_ms: processor time of a step, which says where to begin; its own answer is `by_cost`.
    """
    core = min(os.sched_getaffinity(0))
    by_cost = 100.0 / cost_ms
    carried, failed = 0, 0
    tried: dict[int, float] = {}
    count = max(1, round(0.8 * by_cost))
    for _ in range(MOST_TRIES):
        said(f"{count} cameras on one core")
        try:
            tried[count] = measure(Order(str(source), count, CORE_S, core, str(bundle)))["kept_up"]
        except FallwatchError:
            tried[count] = 0.0
        if tried[count] >= KEPT_UP:
            carried = max(carried, count)
        else:
            failed = min(failed or count, count)
        count = max(1, (carried + failed) // 2 if failed else round(1.25 * carried))
        if count in tried:
            break
    return {"carried": carried, "dropped_at": failed or None, "by_cost": round(by_cost, 1), "tried": tried}


def _home() -> str:
    return str(Path(__file__).parent.parent.parent)
