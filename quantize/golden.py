"""What the shipped int8 network answers to a fixed sequence of pictures, and whether a machine answers the same.

    python -m quantize.golden                           writes it down: in the commit that ships another bundle
    python -m quantize.golden --check [RUNTIME ...]     holds this machine's runtimes against it

ai-edge-litert gives the same bits on x86-64 and aarch64 (MODEL.md I.2), so the file is a test of a board, of a runtime
and of the state loop at once. Imports nothing that a unit has not got.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.card import shipped_bundle
from device.preprocess import Differencer, Raster
from device.runner import RUNTIMES, OnnxStep, Runner, RuntimeUnavailable, open_runner

GOLDEN_FILE: Final = Path(__file__).parent.parent / "tests" / "golden" / "runner.json"
SEED: Final = 0
NOISE_STEPS: Final = 10
SCENE_STEPS: Final = 60
RESET_AT: Final = 50
"""Longer than the look-back of 46 steps before the reset, and long enough after it to show what was forgotten."""

ALLOWED_LSB: Final = {"litert": 0, "tflite-runtime": 6}
"""Steps of the int8 logits that a runtime of the same file may be off: XNNPACK's kernels round alike everywhere, those
of tflite-runtime 2.14 in their own way (MODEL.md I.2)."""

ALLOWED_DIFFERENCE: Final = 0.1
"""Of any probability at any step, for a runtime that takes another file: measured 0.033 by model.onnx, whose int8 was
calibrated apart, and 0.033 by the float file. A past that is not fed back, or not forgotten, is off by more."""

AnyStep = Callable[[NDArray[np.uint8]], NDArray[Any]]
TABLES: Final = ("logits", "probabilities")


def pictures(raster: Raster) -> list[NDArray[np.uint8]]:
    """Model inputs that never change: a noisy room in which a pale upright blob walks, drops and lies; then noise."""
    rng = np.random.default_rng(SEED)
    room = rng.integers(40, 90, (raster.height, raster.width), dtype=np.uint8)
    differencer = Differencer(raster)
    shown = []
    for step in range(SCENE_STEPS):
        grey = room + rng.integers(0, 4, room.shape, dtype=np.uint8)
        left, top, width, height = _blob(step, raster)
        grey[top : top + height, left : left + width] = 190
        shown.append(differencer.step(grey))
    shape = (raster.height, raster.width, 3)
    return shown + [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(NOISE_STEPS)]


def answers(runner: Runner) -> list[list[int]]:
    """Raw int8 logits of every step, with one reset on the way."""
    return [[int(value) for value in row] for row in _run(runner.reset, runner.raw_step, runner.card.input.raster())]


def probabilities(model: Runner | OnnxStep, raster: Raster) -> NDArray[np.float32]:
    """(steps, 7) probabilities over the same pictures, with the same reset."""
    return np.stack(_run(model.reset, model.step, raster))


@dataclass(frozen=True, slots=True)
class Held:
    """A runtime held against the golden answers."""

    runtime: str
    ok: bool
    said: str


def hold(runtime: str) -> Held:
    """What this machine's runtime answers, compared as the tables above allow. Raises BundleError."""
    runner = open_runner(shipped_bundle(), runtime=runtime)
    stored = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
    logits = np.asarray(stored["logits"])
    name = f"{runtime}: {runner.runtime}, {runner.file}"
    if runtime in ALLOWED_LSB:
        if stored["model_id"] != runner.model_id:
            return Held(runtime, False, f"{name}: {runner.model_id} is shipped and the file is of {stored['model_id']}")
        off, allowed = np.abs(np.asarray(answers(runner)) - logits), ALLOWED_LSB[runtime]
        said = f"{np.count_nonzero(off)} of {off.size} int8 logits differ, by {off.max()} at most (allowed {allowed})"
        return Held(runtime, bool(off.max() <= allowed), f"{name}: {said}")
    wanted = np.asarray(stored["probabilities"])
    apart = float(np.abs(probabilities(runner, runner.card.input.raster()) - wanted).max())
    said = f"probabilities differ by {apart:.3f} at most (allowed {ALLOWED_DIFFERENCE})"
    return Held(runtime, apart <= ALLOWED_DIFFERENCE, f"{name}: {said}")


def golden(bundle: Path) -> dict[str, Any]:
    """What the golden file holds for a bundle: int8 logits, and the probabilities they stand for."""
    runner = open_runner(bundle, runtime="litert")
    head = {"model_id": runner.model_id, "runtime": runner.runtime, "seed": SEED}
    rounded = [[round(float(value), 5) for value in row] for row in probabilities(runner, runner.card.input.raster())]
    return head | {"logits": answers(runner), "probabilities": rounded}


def _run(reset: Callable[[], None], step: AnyStep, raster: Raster) -> list[NDArray[Any]]:
    reset()
    said = []
    for index, picture in enumerate(pictures(raster)):
        if index == RESET_AT:
            reset()
        said.append(step(picture))
    return said


def _blob(step: int, raster: Raster) -> tuple[int, int, int, int]:
    """Left, top, width, height: 20 steps across the room, 6 steps down, then flat on the floor."""
    tall, wide = raster.height // 2, raster.width // 8
    along = min(step, 20) * raster.width // 40
    fallen = min(max(step - 20, 0), 6) / 6
    height = round(tall + (wide - tall) * fallen)
    width = round(wide + (tall - wide) * fallen)
    return along, raster.height - 4 - height, width, height


def write() -> int:
    """Write the golden file for the bundle this package ships; 0."""
    content = golden(shipped_bundle())
    GOLDEN_FILE.parent.mkdir(exist_ok=True)
    tables = {name: ",\n".join("  " + json.dumps(row) for row in content.pop(name)) for name in TABLES}
    rows = ", ".join(f'"{name}": [\n{table}\n]' for name, table in tables.items())
    GOLDEN_FILE.write_text(f"{json.dumps(content)[:-1]}, {rows}}}\n", encoding="utf-8")
    print(f"{GOLDEN_FILE}: {content['model_id']}, {content['runtime']}")
    return 0


def check(runtimes: list[str]) -> int:
    """Print how each runtime of this machine holds; 1 when one does not, or one that was named is not here."""
    good = True
    for runtime in runtimes or RUNTIMES:
        try:
            held = hold(runtime)
        except RuntimeUnavailable as error:
            good = good and not runtimes
            print(f"{'FAIL' if runtimes else 'none'}  {runtime}: {error}")
            continue
        good = good and held.ok
        print(f"{'ok  ' if held.ok else 'FAIL'}  {held.said}", flush=True)
    return 0 if good else 1


def main(arguments: list[str] | None = None) -> int:
    """Write the golden file, or hold this machine against it."""
    parser = argparse.ArgumentParser(prog="python -m quantize.golden", description=__doc__)
    parser.add_argument("--check", nargs="*", metavar="RUNTIME", choices=[*RUNTIMES], help="default: all that are here")
    args = parser.parse_args(arguments)
    return write() if args.check is None else check(args.check)


if __name__ == "__main__":
    sys.exit(main())
