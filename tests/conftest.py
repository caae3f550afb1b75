"""What all tests share: where the real clips are, and waiting with a deadline."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FALLWATCH_SHARED", REPO.parent / "shared"))
"""Real clips and CC0 bodies live beside the checkout and are never committed."""

Answer = TypeVar("Answer")


def eventually(question: Callable[[], Answer], deadline_s: float = 20.0, every_s: float = 0.05) -> Answer:
    """Ask until the answer is truthy and return it; fail with the last answer when the deadline has passed."""
    end = time.monotonic() + deadline_s
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            pytest.fail(f"not true within {deadline_s} s; last answer: {answer!r}")
        time.sleep(every_s)


def free_port() -> int:
    """A loopback TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """A command quietens the logs of its process (demo, bench, chaos); the next test wants its own back."""
    root = logging.getLogger()
    level, disabled = root.level, root.manager.disable
    yield
    root.setLevel(level)
    logging.disable(disabled)


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; skips, loudly, where it is absent."""
    folder = SHARED / "data"
    if not (folder / "clips.csv").exists():
        pytest.skip(f"REAL CLIPS ABSENT: {folder}/clips.csv not found; this test checked nothing")
    return folder
