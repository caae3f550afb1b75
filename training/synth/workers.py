"""Rendering in several processes: jobs out, outcomes in as they finish, Ctrl-C answered once."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

Job = TypeVar("Job")


@dataclass(frozen=True)
class Outcome:
    """How one file went: no reason is success; hopeless means that the next one would fail the same way."""

    reason: str = ""
    hopeless: bool = False


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches every process of the terminal; only the parent answers it, workers are ended by the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def finished(render: Callable[[Job], Outcome], jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Jobs as they finish, rendered here for one worker, else in fresh processes with a renderer each."""
    if workers == 1:
        yield from map(render, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, _leave_interrupts_to_the_parent) as pool:
        yield from pool.imap_unordered(render, jobs)
