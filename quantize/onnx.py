"""Trained network -> one float ONNX file (opset 18, weights inside). Its int8 twins are made in quantize.onnx_int8.

States go in and out as floats in all of them: fed back as floats they
need no tying (MODEL.md I.5).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from device.runner import LOGITS, NEXT_PREFIX, STATE_PREFIX
from quantize.export import sample_inputs
from quantize.quiet import quiet
from training.networks import Step

OPSET: Final = 18


def write_float(step: Step, path: Path) -> None:
    """The float network as one ONNX file with the step's own input and output names."""
    inputs = sample_inputs(step)
    following = [name.replace(STATE_PREFIX, NEXT_PREFIX) for name in step.state_names]
    with quiet():
        torch.onnx.export(
            step,
            (),
            str(path),
            kwargs=inputs,
            input_names=list(inputs),
            output_names=[LOGITS, *following],
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
