"""Milliseconds that one step of the network takes, by runtime and threads; all take turns, so that ratios hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from device.card import BundleError
from device.runner import RUNTIMES, Runner, open_runner

ROUNDS = 12
STEPS = 40
"""Steps of one runtime before the next has its turn: longer than the network's look-back, so that states are warm."""

WARM_STEPS = 20


@dataclass(slots=True)
class Timing:
    """One runtime with so many threads. wall_ms: of each step; cpu_ms: a step's processor time over all threads."""

    name: str
    runtime: str
    threads: int
    runner: Runner
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def row(self) -> dict[str, str | int | float]:
        return {
            "runtime": self.name,
            "version": self.runtime,
            "file": self.runner.file,
            "threads": self.threads,
            "median_ms": round(float(np.median(self.wall_ms)), 3),
            "p95_ms": round(float(np.percentile(self.wall_ms, 95)), 3),
            "cpu_ms": round(float(np.median(self.cpu_ms)), 3),
        }


def time_network(
    bundle: Path, threads: tuple[int, ...], said: Callable[[str], None]
) -> tuple[list[dict[str, str | int | float]], list[str]]:
    """(one row for each runtime that is here and each number of threads, why the others are not)."""
    timings, absent = [], []
    for name in RUNTIMES:
        try:
            timings += [_opened(bundle, count, name) for count in threads]
        except BundleError as error:
            absent.append(f"{name}: {error}")
    if not timings:
        raise BundleError(absent[0])
    for turn in range(ROUNDS):
        said(f"network, round {turn + 1} of {ROUNDS}")
        for timing in timings:
            _run(timing)
    return [timing.row() for timing in timings], absent


def _opened(bundle: Path, threads: int, name: str) -> Timing:
    runner = open_runner(bundle, threads, name)
    for image in _images(runner, WARM_STEPS):
        runner.step(image)
    return Timing(name, runner.runtime, threads, runner)


def _run(timing: Timing) -> None:
    cpu = time.process_time_ns()
    for image in _images(timing.runner, STEPS):
        began = time.perf_counter_ns()
        timing.runner.step(image)
        timing.wall_ms.append((time.perf_counter_ns() - began) / 1e6)
    timing.cpu_ms.append((time.process_time_ns() - cpu) / STEPS / 1e6)


def _images(runner: Runner, count: int) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """The same few pictures again and again: what is in them makes no difference to the time."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, runner.picture, dtype=np.uint8) for _ in range(4)]
    for n in range(count):
        yield pictures[n % len(pictures)]
