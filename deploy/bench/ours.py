"""Fallwatch's own part in the comparison: its step on every runtime and in float, and the road from film to incidents.

    python -m deploy.bench.ours FILM {int8 | float | onnx-int8 | onnx-float | torch | pipeline}

float: of the bundle where it has a float flatbuffer, else of the same shape with drawn weights, which needs torch.
torch: drawn weights. pipeline: every picture of the film decoded, ten a second converted, differenced, scored, judged
and kept by the recorder as JPEG; one item is one step.
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
from numpy.typing import NDArray

from deploy.bench.worker import serve
from device.card import CARD_FILE, read_card, sha256, shipped_bundle
from device.footage import read_footage
from device.grid import Grid
from device.incidents import Incidents, policy_of
from device.loop import Watch
from device.preprocess import CHANNELS
from device.recorder import Recorder
from device.records import Frame
from device.runner import ONNX_FILE, ONNX_FLOAT_FILE, OnnxStep, open_runner
from device.settings import Settings, Store

OneStep = Callable[[NDArray[np.uint8]], Any]


def steps_of(step: OneStep, shape: tuple[int, ...]) -> Callable[[int], None]:
    """Work that steps over random pictures: their content makes no difference to the time."""
    rng = np.random.default_rng(0)
    pictures = itertools.cycle([rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(8)])

    def work(count: int) -> None:
        for picture in itertools.islice(pictures, count):
            step(picture)

    return work


def float_step(bundle: Path) -> OneStep:
    """Our own network in float on the unit's runtime: the bundle's, else one of the same shape with drawn weights."""
    from quantize.bundle import TFLITE_FLOAT_FILE
    from quantize.export import to_tflite
    from quantize.steppers import FloatStep

    given = bundle / TFLITE_FLOAT_FILE
    return FloatStep(given.read_bytes() if given.exists() else to_tflite(drawn())).step


def torch_step(_bundle: Path) -> OneStep:
    """The same shape in torch, float, one thread."""
    import torch

    from quantize.steppers import TorchStep

    torch.set_num_threads(1)
    return TorchStep(drawn()).step


def drawn() -> Any:
    """The step of a network of the shipped shape; its weights make no difference to the time."""
    from quantize.export import step_of
    from training.networks import NetworkConfig, build

    return step_of(build(NetworkConfig()))


def onnx_step(file: str) -> Callable[[Path], OneStep]:
    """A file of the bundle on ONNX Runtime's CPU provider."""
    return lambda bundle: OnnxStep((bundle / file).read_bytes()).step


STEPS: dict[str, Callable[[Path], OneStep]] = {
    "int8": lambda bundle: open_runner(bundle).step,
    "float": float_step,
    "onnx-int8": onnx_step(ONNX_FILE),
    "onnx-float": onnx_step(ONNX_FLOAT_FILE),
    "torch": torch_step,
}


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
    bundle = shipped_bundle()
    if what == "pipeline":
        with tempfile.TemporaryDirectory(prefix="fallwatch-bench-") as folder:
            serve(pipeline(film, Path(folder)), 40)
    else:
        size = read_card(bundle).input
        serve(steps_of(STEPS[what](bundle), (size.height, size.width, CHANNELS)), 60)


if __name__ == "__main__":
    main()
