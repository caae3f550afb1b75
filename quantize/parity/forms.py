"""The forms that one network takes: the checkpoint, and each file of a bundle on the runtime that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.card import TFLITE_FILE, BundleError, Card
from device.runner import ONNX_FILE, ONNX_FLOAT_FILE, ONNX_TENSORRT_FILE, Int8Step, OnnxStep
from quantize.bundle import TFLITE_FLOAT_FILE
from quantize.export import step_of
from quantize.steppers import FloatStep, Stepper, TorchStep
from training.checkpoint import Checkpoint
from training.footage import Footage
from training.networks import FallNetwork
from training.scoring import probabilities

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Form:
    """A network on a runtime. int8: its numbers are rounded, so that it may differ by more than float does."""

    name: str
    file: str
    int8: bool
    stepper: Stepper


FILES: Final[dict[str, tuple[str, bool, Callable[[bytes], Stepper]]]] = {
    ONNX_FLOAT_FILE: ("ONNX float", False, OnnxStep),
    TFLITE_FLOAT_FILE: ("LiteRT float", False, FloatStep),
    TFLITE_FILE: ("LiteRT int8", True, Int8Step),
    ONNX_FILE: ("ONNX int8", True, OnnxStep),
    ONNX_TENSORRT_FILE: ("TensorRT int8", True, OnnxStep),
}
"""File -> what people call it, whether it is int8, and who opens it. TensorRT's file is run by ONNX Runtime's CPU
provider: the same arithmetic as far as the graph states it, on a machine without the GPU."""

TORCH: Final = "torch float"


def forms_of(bundle: Path, card: Card, checkpoint: Checkpoint | None) -> list[Form]:
    """The float reference first, then every file the card lists; raises BundleError without a float one."""
    forms = [] if checkpoint is None else [Form(TORCH, "checkpoint", False, TorchStep(step_of(checkpoint.build())))]
    for file, (name, int8, opened) in FILES.items():
        if file in card.files:
            try:
                forms.append(Form(name, file, int8, opened((bundle / file).read_bytes())))
            except BundleError as error:
                raise BundleError(f"{bundle / file}: {error}") from None
    if forms[0].int8:
        raise BundleError(f"{bundle}: no float network to compare with; name the checkpoint it is of with --checkpoint")
    return forms


def as_evaluated(network: FallNetwork) -> Callable[[Footage], Scores]:
    """What `fallwatch evaluate` asks of a checkpoint: whole windows at once, not steps."""
    return lambda film: np.asarray(probabilities(network, film), np.float32)
