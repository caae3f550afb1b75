"""Trained network -> float .tflite with one named signature: `step(frame, state_00, ...) -> logits, next_00, ...`.

litert-torch orders unnamed inputs as text (args_1, args_10, args_2), so everything here goes by name (MODEL.md I.1).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from device.preprocess import CHANNELS
from device.runner import FRAME, SIGNATURE
from quantize.quiet import quiet
from training.networks import FallNetwork, Step, fold_batchnorm


def step_of(network: FallNetwork) -> Step:
    """The step form that is exported: eval mode, batch norms folded, on the CPU; the network itself is left alone."""
    return Step(fold_batchnorm(network).cpu()).eval()


def sample_inputs(step: Step) -> dict[str, torch.Tensor]:
    """A picture of zeros and the states before the first one: the shapes every export is traced with."""
    raster = step.network.config.raster
    return {FRAME: torch.zeros(1, raster.height, raster.width, CHANNELS), **step.initial_states()}


def to_tflite(step: Step) -> bytes:
    """The float model as a flatbuffer. Takes about 7 s for 0.2 M parameters; prints nothing."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        import litert_torch

        path = Path(folder) / "float.tflite"
        litert_torch.signature(SIGNATURE, step, sample_kwargs=sample_inputs(step)).convert().export(str(path))
        return path.read_bytes()
