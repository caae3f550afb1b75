"""What one unit costs this machine: share of a core and memory of `fallwatch run` on footage played as a camera.

The unit is a process of its own, measured from outside with everything it starts; the first seconds (imports, opening)
are not counted. Shares are of one core of this machine: compare them only within one run (`make bench`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from device.demo import SAMPLE
from device.footage import describe

SETTLE_S = 6.0
"""Python, OpenCV and the runtime are loaded and the first steps taken by then."""

SAMPLE_EVERY_S = 0.5
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """loop, capture: share of one core of the two processes. rss_mb: both, at most. seconds: measured."""

    loop: float
    capture: float
    rss_mb: float
    seconds: float


def measure(source: Path, seconds: float) -> Cost:
    """Run one unit without a broker over `source`, played in real time, and take its cost after it has settled."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "unit.toml"
        config.write_text(f"[mqtt]\nenabled = false\n[store]\nfolder = '{folder}/state'\n")
        command = [sys.executable, "-m", "device.cli", "run", "--config", str(config), "--source", str(source)]
        unit = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(SETTLE_S)
            return _watch(psutil.Process(unit.pid), seconds)
        finally:
            unit.terminate()
            unit.wait(30)


def _watch(unit: psutil.Process, seconds: float) -> Cost:
    children = unit.children(recursive=True)
    began, loop0, capture0 = time.monotonic(), _cpu(unit), sum(map(_cpu, children))
    rss, lasted = 0.0, 0.0
    loop, capture = loop0, capture0
    while lasted < seconds and all(process.is_running() for process in (unit, *children)):
        time.sleep(SAMPLE_EVERY_S)
        try:
            loop, capture = _cpu(unit), sum(map(_cpu, children))
            rss = max(rss, sum(process.memory_info().rss for process in (unit, *children)) / MB)
        except psutil.NoSuchProcess:
            break
        lasted = time.monotonic() - began
    return Cost((loop - loop0) / lasted, (capture - capture0) / lasted, rss, lasted)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.bench", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--source", type=Path, default=SAMPLE, help="footage to play as a camera (default: the sample)")
    parser.add_argument("--seconds", type=float, default=25.0, help="how long to measure, after 6 s to settle")
    args = parser.parse_args()
    what = describe(args.source)
    cost = measure(args.source, min(args.seconds, what.duration_s - SETTLE_S - 1.0))
    print(
        f"one unit on {args.source.name}, {what.width}x{what.height} at {what.fps:.0f} frames/s, {cost.seconds:.0f} s:"
    )
    print(f"  loop     {100 * cost.loop:5.1f} % of one core")
    print(f"  capture  {100 * cost.capture:5.1f} % of one core (decoding included)")
    print(f"  memory   {cost.rss_mb:5.0f} MB resident, both processes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
