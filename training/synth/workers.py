"""Rendering in several processes: jobs out, outcomes in as they finish, Ctrl-C answered once."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from training.synth.bodies.files import BodyFileError
from training.synth.textures import DataFileError

Job = TypeVar("Job")


@dataclass(frozen=True)
class Outcome:
    """How one file went: no reason is success; hopeless means that the next one would fail the same way."""

    reason: str = ""
    hopeless: bool = False


def outcome_of(write: Callable[[], None], what: str, folder: Path) -> Outcome:
    """Make and write one file, `what` in `folder`, by calling `write`; what went wrong with it in one sentence.

    A full disk and a broken file of the data folder would stop the next one too: hopeless.
    """
    try:
        write()
    except OSError as error:
        return Outcome(f"cannot write {what} to {folder}: {error.strerror}; make room and run again", hopeless=True)
    except (BodyFileError, DataFileError) as error:
        return Outcome(str(error), hopeless=True)
    except RuntimeError as error:
        return Outcome(str(error))
    return Outcome()


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


@dataclass(frozen=True)
class Rendered:
    """What a run of jobs came to: files made, reasons of those that failed, seconds, whether Ctrl-C ended it."""

    made: int
    failed: list[str]
    seconds: float
    interrupted: bool = False


def run_jobs(
    outcomes: Iterator[Outcome], bar: tqdm[None], progress: Callable[[int], None] = lambda made: None
) -> Rendered:
    """Count outcomes on a progress bar until the last, a hopeless one or Ctrl-C; progress: told how many were made."""
    failed: list[str] = []
    made, began, interrupted = 0, time.monotonic(), False
    try:
        for outcome in outcomes:
            if outcome.reason:
                failed.append(outcome.reason)
            else:
                made += 1
            if outcome.hopeless:
                break
            bar.update(1)
            progress(made)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        bar.close()
    return Rendered(made, failed, time.monotonic() - began, interrupted)
