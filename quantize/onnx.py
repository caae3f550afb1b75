"""Trained network -> ONNX: one float file (opset 18, weights inside), and its int8 twin for ONNX Runtime on a CPU.

The int8 twin is QDQ and asymmetric, with float states in and out (MODEL.md I.4, I.5): states fed back as floats need
no tying. TensorRT wants another, symmetric file; it gets the float one with fp16 until that is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from device.runner import FRAME, LOGITS, NEXT_PREFIX, STATE_PREFIX
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


def write_int8(float_path: Path, path: Path, windows: Iterable[NDArray[np.uint8]]) -> None:
    """The QDQ int8 twin, calibrated with true extremes on the windows streamed through the float file."""
    from onnxruntime import quantization

    with quiet():
        quantization.quantize_static(
            str(float_path),
            str(path),
            _StreamedInputs(float_path, windows),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            activation_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )


class OnnxStep:
    """The step of an ONNX file on ONNX Runtime's CPU provider, one thread: what bundles are compared with."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._zeros = {
            entry.name: np.zeros(entry.shape, np.float32) for entry in self._session.get_inputs() if entry.name != FRAME
        }
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.states = dict(self._zeros)

    def inputs(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """What the graph is handed at this step."""
        return {FRAME: image[None].astype(np.float32) / 255.0, **self.states}

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (height, width, 3) -> float32 (7,) logits."""
        answer = dict(zip(self._outputs, self._session.run(None, self.inputs(image)), strict=True))
        self.states = {name: answer[name.replace(STATE_PREFIX, NEXT_PREFIX)] for name in self.states}
        return np.asarray(answer[LOGITS][0], np.float32)


class _StreamedInputs:
    """ONNX Runtime's calibration asks for one input at a time; states stream on from what was given before."""

    def __init__(self, float_path: Path, windows: Iterable[NDArray[np.uint8]]) -> None:
        self._inputs = self._stream(OnnxStep(float_path), windows)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next step's inputs, None at the end."""
        return next(self._inputs, None)

    def __iter__(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        return self._inputs

    @staticmethod
    def _stream(step: OnnxStep, windows: Iterable[NDArray[np.uint8]]) -> Iterator[dict[str, NDArray[np.float32]]]:
        for window in windows:
            step.reset()
            for picture in window:
                yield step.inputs(picture)
                step.step(picture)
