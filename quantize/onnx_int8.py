"""Float ONNX -> its int8 (QDQ) twins: one for ONNX Runtime on a CPU, one that TensorRT takes.

ONNX Runtime's CPU kernels want asymmetric activations and int32 biases. TensorRT refuses both: every zero point must be
0 (NVIDIA/TensorRT #2774) and no bias may come through an int32 DequantizeLinear (onnxruntime #17738). So there are two
files, each with the calibration method that suits it (MODEL.md I.4).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.runner import FRAME, NEXT_PREFIX, STATE_PREFIX
from quantize.int8 import Calibration, QuantizationError, Span
from quantize.quiet import quiet

LOW, HIGH = "_ReduceMin", "_ReduceMax"
"""How ONNX Runtime's calibrator names the outputs that it adds to a graph."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a runtime wants its int8. operators: the types that are quantized, None for all that can be."""

    options: Mapping[str, Any]
    operators: tuple[str, ...] | None = None


CPU: Final = Scheme({})
"""ONNX Runtime on a CPU: asymmetric activations, int32 biases."""

OF_TENSORRT: Final = ("Conv", "Gemm", "Add")
TENSORRT: Final = Scheme(
    {
        "ActivationSymmetric": True,
        "WeightSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": list(OF_TENSORRT),
    },
    OF_TENSORRT,
)
"""TensorRT: symmetric, biases in float, only what it has int8 layers for, and only what goes into them. What comes out
of a convolution is wider before its ReLU6 than after it: rounded there, symmetrically, the 99th percentile of the
difference from float was 0.060 (min-max, shipped network, 264 steps), rounded where it goes in 0.035."""


def calibrate(float_path: Path, windows: Iterable[NDArray[np.uint8]]) -> Calibration:
    """Stream every window through the float file from zero states; every tensor's extremes at every step."""
    from onnxruntime.quantization import CalibrationMethod, create_calibrator

    with tempfile.TemporaryDirectory() as folder, quiet():
        watched = Path(folder) / "watched.onnx"
        # Its graph is all that is wanted of it: it keeps one number a tensor, and the methods need every step's.
        create_calibrator(float_path, augmented_model_path=str(watched), calibrate_method=CalibrationMethod.MinMax)
        rows, clips = _streamed(watched, windows)
    if not rows:
        raise QuantizationError("no footage to calibrate on; name a folder of clips that has some")
    return Calibration(_column(rows, LOW), _column(rows, HIGH), len(rows), clips)


def _streamed(watched: Path, windows: Iterable[NDArray[np.uint8]]) -> tuple[list[dict[str, float]], int]:
    """What the added outputs say at every step, and how many windows there were."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # what it finds to optimize in a graph made for calibration is no news
    session = onnxruntime.InferenceSession(str(watched), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    zeros = {one.name: np.zeros(one.shape, np.float32) for one in session.get_inputs() if one.name != FRAME}
    rows: list[dict[str, float]] = []
    clips = 0
    for window in windows:
        states, clips = zeros, clips + 1
        for picture in window:
            inputs = {FRAME: picture[None].astype(np.float32) / 255.0, **states}
            answer = dict(zip(names, session.run(None, inputs), strict=True))
            states = {name: answer[name.replace(STATE_PREFIX, NEXT_PREFIX)] for name in states}
            rows.append({name: float(value[0]) for name, value in answer.items() if name.endswith((LOW, HIGH))})
    return rows, clips


def quantize(float_path: Path, spans: Mapping[str, Span], scheme: Scheme) -> bytes:
    """The int8 twin with the given ranges, the picture's exactly 0..1: the ONNX file's bytes."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data

    pinned = {**spans, FRAME: (0.0, 1.0)}
    with tempfile.TemporaryDirectory() as folder, quiet():
        known, twin = Path(folder) / "ranges.json", Path(folder) / "int8.onnx"
        as_arrays = {name: (np.float32(low), np.float32(high)) for name, (low, high) in pinned.items()}
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, as_arrays), known)
        quantize_static(
            str(float_path),
            str(twin),
            None,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(scheme.operators) if scheme.operators else None,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            calibration_cache_path=known,
            extra_options=dict(scheme.options),
        )
        return twin.read_bytes()


def check_tensorrt(model: bytes) -> None:
    """Nothing, when TensorRT's rules for int8 are kept; raises QuantizationError naming the node that breaks one."""
    import onnx

    graph = onnx.load_model_from_string(model).graph
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    scaled = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    if not scaled:
        raise QuantizationError("nothing in the ONNX file for TensorRT is quantized; make the bundle again")
    for node in scaled:
        zero = constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and np.any(zero != 0):
            raise QuantizationError(f"{node.name}: zero point {int(zero.ravel()[0])}; TensorRT takes 0 alone")
        whole = constants.get(node.input[0])
        if any(x is not None and x.dtype != np.int8 for x in (zero, whole)):
            raise QuantizationError(f"{node.name}: not int8 (a bias in int32?); TensorRT takes biases in float")


def _column(rows: list[dict[str, float]], side: str) -> dict[str, NDArray[np.float32]]:
    names = [name for name in rows[0] if name.endswith(side)]
    return {name.removesuffix(side): np.asarray([row[name] for row in rows], np.float32) for name in names}
