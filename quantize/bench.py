"""How long one step takes: `python -m quantize.bench`. One process, one thread, runtimes in turn, so ratios hold.

The shipped int8 model against float forms of the same shape. Figures in milliseconds belong to the machine they were
taken on; the ratios are what to compare.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from device.card import shipped_bundle
from device.runner import ONNX_FILE, ONNX_FLOAT_FILE, OnnxStep, open_runner
from quantize.export import step_of, to_tflite
from quantize.steppers import FloatStep, TorchStep
from training.networks import NetworkConfig, build

ROUNDS: Final = 15
STEPS: Final = 60
"""Steps of one runtime before the next has its turn: about the look-back, so that states are warm."""

OneStep = Callable[[NDArray[np.uint8]], Any]


def medians(steps: Mapping[str, OneStep], image: NDArray[np.uint8]) -> dict[str, float]:
    """Milliseconds a step: the median over rounds of each round's mean, runtimes taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, one in steps.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                one(image)
            taken[name].append((time.perf_counter() - start) / STEPS * 1e3)
    return {name: statistics.median(values) for name, values in taken.items()}


def resident_mb(bundle: Path) -> float:
    """Peak resident memory of a fresh process that opens a bundle and steps it, in MB."""
    program = (
        "import sys, numpy as np; from pathlib import Path; from device.runner import open_runner\n"
        "r = open_runner(Path(sys.argv[1])); i = r.card.input; p = np.zeros((i.height, i.width, 3), np.uint8)\n"
        "for _ in range(50): r.step(p)\n"
        "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(bundle)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return float(found.stdout) / 1024


def run() -> int:
    """Print the table; 0."""
    torch.set_num_threads(1)
    bundle = shipped_bundle()
    runner = open_runner(bundle)
    size = runner.card.input
    network = build(NetworkConfig())
    step = step_of(network)
    image = np.random.default_rng(0).integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)
    steps = {
        f"{runner.runtime}, int8 (the unit's)": runner.step,
        f"{runner.runtime.split()[0]}, float": FloatStep(to_tflite(step)).step,
        "onnxruntime, int8 QDQ": OnnxStep((bundle / ONNX_FILE).read_bytes()).step,
        "onnxruntime, float": OnnxStep((bundle / ONNX_FLOAT_FILE).read_bytes()).step,
        "torch, float": TorchStep(step).step,
    }
    found = medians(steps, image)
    first = next(iter(found.values()))
    print(f"{runner.model_id}: {runner.card.mmac_per_step} MMAC a step, one thread, median of {ROUNDS} rounds")
    for name, value in found.items():
        print(f"  {name:<36} {value:7.3f} ms  {value / first:6.2f} x")
    print(f"  resident memory of the runner alone  {resident_mb(bundle):5.0f} MB (peak)")
    return 0


if __name__ == "__main__":
    sys.exit(run())
