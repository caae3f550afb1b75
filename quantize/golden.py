"""What the shipped int8 network answers to a fixed sequence of pictures: `python -m quantize.golden` writes it down.

Run it in the same commit that ships another bundle. ai-edge-litert gives the same bits on x86-64 and aarch64
(MODEL.md I.2), so the file is a test of a device, of a runtime and of the state loop at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.card import shipped_bundle
from device.preprocess import Differencer, Raster
from device.runner import Runner, open_runner

GOLDEN_FILE: Final = Path(__file__).parent.parent / "tests" / "golden" / "runner.json"
SEED: Final = 0
NOISE_STEPS: Final = 10
SCENE_STEPS: Final = 60
RESET_AT: Final = 50
"""Longer than the look-back of 46 steps before the reset, and long enough after it to show what was forgotten."""


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
    runner.reset()
    said = []
    for step, picture in enumerate(pictures(runner.card.input.raster())):
        if step == RESET_AT:
            runner.reset()
        said.append([int(value) for value in runner.raw_step(picture)])
    return said


def golden(bundle: Path) -> dict[str, Any]:
    """What the golden file holds for a bundle."""
    runner = open_runner(bundle)
    return {"model_id": runner.model_id, "runtime": runner.runtime, "seed": SEED, "logits": answers(runner)}


def _blob(step: int, raster: Raster) -> tuple[int, int, int, int]:
    """Left, top, width, height: 20 steps across the room, 6 steps down, then flat on the floor."""
    tall, wide = raster.height // 2, raster.width // 8
    along = min(step, 20) * raster.width // 40
    fallen = min(max(step - 20, 0), 6) / 6
    height = round(tall + (wide - tall) * fallen)
    width = round(wide + (tall - wide) * fallen)
    return along, raster.height - 4 - height, width, height


def main() -> int:
    """Write the golden file for the bundle this package ships."""
    content = golden(shipped_bundle())
    GOLDEN_FILE.parent.mkdir(exist_ok=True)
    rows = ",\n".join("  " + json.dumps(row) for row in content.pop("logits"))
    head = json.dumps(content)[:-1]
    GOLDEN_FILE.write_text(f'{head}, "logits": [\n{rows}\n]}}\n', encoding="utf-8")
    print(f"{GOLDEN_FILE}: {content['model_id']}, {content['runtime']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
