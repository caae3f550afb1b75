"""Fallwatch's own part in the comparison: the int8 step, the float step, and the whole road from film to incidents.

    python -m deploy.bench.ours FILM {int8 | float | pipeline}

pipeline: every picture of the film decoded, ten a second converted, differenced, scored, judged and kept by the
recorder as JPEG; one item is one step.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from deploy.bench.worker import serve
from device.card import CARD_FILE, sha256, shipped_bundle
from device.footage import read_footage
from device.grid import Grid
from device.incidents import Incidents, policy_of
from device.loop import Watch
from device.recorder import Recorder
from device.records import Frame
from device.runner import open_runner
from device.settings import Settings, Store


def steps_of(step: Callable[[Any], Any], shape: tuple[int, ...]) -> Callable[[int], None]:
    """Work that steps over random pictures: their content makes no difference to the time."""
    rng = np.random.default_rng(0)
    pictures = itertools.cycle([rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(8)])

    def work(count: int) -> None:
        for picture in itertools.islice(pictures, count):
            step(picture)

    return work


def float_step() -> Callable[[Any], Any]:
    """Our own network in float on the same runtime."""
    from quantize.export import step_of, to_tflite
    from quantize.steppers import FloatStep
    from training.networks import NetworkConfig, build

    return FloatStep(to_tflite(step_of(build(NetworkConfig())))).step


def film_for_ever(film: str, step_s: float) -> Iterator[Frame]:
    """The film's pictures that take a step, time running on from one showing to the next."""
    start = 0.0
    while True:
        grid, last = Grid(step_s), 0.0
        for frame in read_footage(film, wanted=grid.takes):
            last = frame.t
            yield Frame(frame.id, start + frame.t, frame.wall, frame.pixels)
        start += last + step_s


def pipeline(film: str, folder: Path) -> Callable[[int], None]:
    """The unit's own road without its camera process, clock and network."""
    cv2.setNumThreads(1)
    bundle, settings = shipped_bundle(), Settings(store=Store(folder=str(folder)))
    runner = open_runner(bundle)
    watch = Watch(runner, Incidents(policy_of(settings, runner.card.thresholds)))
    recorder = Recorder(settings, runner.card, sha256(bundle / CARD_FILE))

    def turns() -> Iterator[None]:
        for frame in film_for_ever(film, runner.card.input.step_s):
            for turn in watch.feed(frame):
                recorder.keep(turn.step, turn.scores, frame.pixels)
                yield

    road = turns()

    def work(count: int) -> None:
        for _ in itertools.islice(road, count):
            pass

    return work


def main() -> None:
    film, what = sys.argv[1:3]
    runner = open_runner(shipped_bundle())
    with tempfile.TemporaryDirectory(prefix="fallwatch-bench-") as folder:
        if what == "pipeline":
            serve(pipeline(film, Path(folder)), 40)
        else:
            serve(steps_of(runner.step if what == "int8" else float_step(), runner.picture), 60)


if __name__ == "__main__":
    main()
