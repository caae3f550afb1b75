"""Which machine this is, how busy, what its processes take, and how fast it multiplies int8 matrices."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from device import __version__
from device.runner.flatbuffer import any_library
from device.runner.hush import runtime_hushed

YARDSTICK = Path(__file__).parent / "yardstick.tflite"
YARDSTICK_MMAC = 48 * 48 * 256 * 256 / 1e6
"""A 1x1 convolution of 256 to 256 channels over 48 x 48 pixels: one large int8 matrix product, the kind of work the
runtime is best at (deploy/bench/yardstick.py makes it)."""

YARDSTICK_ROUNDS = 40
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
MEMORY = ("Rss", "Pss", "Private_Dirty")


def machine() -> dict[str, Any]:
    """The machine by name; load is the average of the last minute, cores those this process may use."""
    return {
        "name": _board() or platform.node(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "fallwatch": __version__,
    }


def _board() -> str:
    """A Raspberry Pi or a Jetson says what it is here; a desktop has no such file."""
    try:
        return Path("/proc/device-tree/model").read_text(encoding="utf-8").rstrip("\0\n")
    except OSError:
        return ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    int8 = [
        flag for flag in (flags[1].split() if flags else []) if flag in ("avx2", "avx512_vnni", "avx_vnni", "asimddp")
    ]
    return f"{found[1] if found else platform.machine()} ({', '.join(int8) or 'no int8 dot product'})"


def int8_rate() -> float:
    """GMAC a second of one thread on one large int8 matrix product, by the runtime that serves: CPU time, median."""
    interpreter_class, _ = any_library()
    with runtime_hushed():
        interpreter = interpreter_class(model_content=YARDSTICK.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(
        detail["index"], np.random.default_rng(0).integers(-128, 128, detail["shape"]).astype(np.int8)
    )
    taken = []
    for _ in range(YARDSTICK_ROUNDS):
        began = time.process_time_ns()
        interpreter.invoke()
        taken.append(time.process_time_ns() - began)
    return 1e6 * YARDSTICK_MMAC / statistics.median(taken)


def cpu_s(pid: int) -> float:
    """Processor seconds, user and system, that a process has taken; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def memory_mb(pid: int) -> dict[str, float]:
    """rss, pss and private megabytes of a process. Pages that several map count whole in each rss and shared in pss."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    rows = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:] if line.split(":")[0] in MEMORY}
    return {"rss": rows["Rss"], "pss": rows["Pss"], "private": rows["Private_Dirty"]}
