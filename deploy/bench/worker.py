"""The protocol of a rival's process: a line in, so many items done, their processor milliseconds out.

All rivals are started at once and then take turns in short rounds, so that whatever else the machine is doing falls on
all of them alike. No import beyond the standard library: it is read in other environments too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable


def serve(work: Callable[[int], None], warm: int) -> None:
    """work(count): do so many items. warm: items done before the first turn. Ends when standard input closes."""
    work(warm)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        count = int(line)
        cpu, wall = time.process_time(), time.perf_counter()
        work(count)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(json.dumps({"cpu_ms": 1000 * cpu / count, "wall_ms": 1000 * wall / count}), flush=True)
