"""Makes device/bench/yardstick.tflite: one large int8 matrix product, the rate of which a machine is measured by.

    python -m deploy.bench.yardstick

Needs the quantize extra, and only where the file is to be made again; the unit carries the file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from device.bench.machine import YARDSTICK, YARDSTICK_MMAC
from quantize.quiet import quiet

ROWS, CHANNELS = 48 * 48, 256


def make() -> bytes:
    """The flatbuffer: (ROWS, CHANNELS) int8 by (CHANNELS, CHANNELS) int8, and back to int8."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        import litert_torch
        from ai_edge_quantizer import quantizer, recipe

        torch.manual_seed(1)
        product = torch.nn.Linear(CHANNELS, CHANNELS, bias=False).eval()
        rows = torch.rand(ROWS, CHANNELS)
        path = Path(folder) / "float.tflite"
        litert_torch.convert(product, (rows,)).export(str(path))
        maker = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        ranges = maker.calibrate({"serving_default": [{"args_0": rows.numpy().astype(np.float32)}]})
        return bytes(maker.quantize(ranges).quantized_model)


def main() -> int:
    assert YARDSTICK_MMAC == ROWS * CHANNELS * CHANNELS / 1e6
    YARDSTICK.write_bytes(make())
    print(f"{YARDSTICK}: {YARDSTICK.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
