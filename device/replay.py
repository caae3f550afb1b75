"""A video file or a recorded event goes down the unit's own road again, as fast as it can.

A recorded event holds the exact rasters the network saw, so its scores must come out again to the last bit on the
same machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from device.footage import describe, read_footage
from device.incidents import Incidents, policy_of
from device.labels import FALLING, FLOOR
from device.loop import Turn, Watch
from device.recording import EVENT_FILE, Recording, read_recording
from device.records import Incident, Scores
from device.runner import Runner
from device.settings import Settings

PROGRESS_EVERY_S = 0.5


class Replay:
    """One source on its way through a fresh loop; keeps every score and every transition.

    source: a video file, or the folder of a recorded event. turns() raises FootageError or RecordingError.
    """

    def __init__(self, source: Path, settings: Settings, runner: Runner) -> None:
        runner.reset()
        self.source = source
        self.runner = runner
        self.thresholds = policy_of(settings, runner.card.thresholds).thresholds
        self.scores: list[Scores] = []
        self.incidents: list[Incident] = []
        self.start = 0.0
        self.took_s = 0.0
        self._watch = Watch(runner, Incidents(policy_of(settings, runner.card.thresholds)))
        self._recording = read_recording(source) if is_recording(source) else None

    def turns(self) -> Iterator[Turn]:
        """Every turn of the loop, in order."""
        began = time.monotonic()
        for turn in self._recorded() if self._recording else self._filmed():
            if not self.scores:
                self.start = turn.scores.t
            self.scores.append(turn.scores)
            self.incidents += turn.incidents
            yield turn
        self.took_s = time.monotonic() - began

    def summary(self) -> dict[str, Any]:
        """One line about the whole replay; seconds are the footage's own."""
        seconds = self.scores[-1].t - self.start if self.scores else 0.0
        said: dict[str, Any] = {
            "source": str(self.source),
            "model": self.runner.model_id,
            "runtime": self.runner.runtime,
            "seconds": round(seconds, 3),
            "steps": len(self.scores),
            "gaps": max(0, self._watch.gaps - 1),
            "incidents": [f"{incident.kind}:{incident.stage}" for incident in self.incidents],
            "peak_falling": round(max((one.of(FALLING) for one in self.scores), default=0.0), 4),
            "peak_floor": round(max((one.of(FLOOR) for one in self.scores), default=0.0), 4),
            "ms_per_step": round(float(np.median([one.inference_ms for one in self.scores])), 3),
            "times_real_time": round(seconds / max(self.took_s, 1e-6), 1),
        }
        return said | (compare(self.scores, self._recording, self.runner.model_id) if self._recording else {})

    def _filmed(self) -> Iterator[Turn]:
        for frame in read_footage(self.source):
            yield from self._watch.feed(frame)

    def _recorded(self) -> Iterator[Turn]:
        assert self._recording is not None
        for step in self._recording.steps:
            yield self._watch.look(step)


def is_recording(source: Path) -> bool:
    """Whether this is the folder of a recorded event and not a video."""
    return source.is_dir() and (source / EVENT_FILE).is_file()


def compare(scores: list[Scores], recording: Recording, model_id: str) -> dict[str, Any]:
    """New scores against the recorded ones, bit for bit, from where the network's past is whole again.

    reproduced is None when another model was asked: then only the difference is of interest.
    """
    known = recording.probabilities[recording.warm_up :]
    again = np.asarray([one.probabilities for one in scores], np.float32)[recording.warm_up :]
    return {
        "reproduced": bool(np.array_equal(known, again)) if recording.model_id == model_id else None,
        "compared_steps": len(known),
        "max_difference": float(np.abs(known - again).max(initial=0.0)),
    }


def transition(incident: Incident, start: float) -> dict[str, Any]:
    """One incident transition as --jsonl prints it; t in seconds from the start of the footage."""
    return {
        "t": round(incident.t - start, 3),
        "kind": incident.kind,
        "stage": incident.stage,
        "incident_id": incident.id,
        "score": round(incident.score, 4),
    }


class Progress:
    """A line on the terminal that says how far a long replay has come; silent where nobody looks."""

    def __init__(self, source: Path, out: TextIO) -> None:
        self._out = out if out.isatty() else None
        self._name = source.name
        self._began = self._last = time.monotonic()
        self._total = describe(source).duration_s if self._out and source.is_file() else 0.0

    def show(self, t: float) -> None:
        """t: seconds of footage seen so far."""
        now = time.monotonic()
        if self._out is None or now - self._last < PROGRESS_EVERY_S:
            return
        self._last = now
        rate = max(t, 0.1) / (now - self._began)
        rest = f" of {self._total:.0f} s, {max(0.0, self._total - t) / rate:.0f} s to go" if self._total else " s"
        self._out.write(f"\r\x1b[K{self._name}: {t:.0f}{rest} ({rate:.0f} times real time)")
        self._out.flush()

    def done(self) -> None:
        if self._out is not None:
            self._out.write("\r\x1b[K")
            self._out.flush()
