"""Model bundle -> step(input) -> scores: the network on the unit, one frame a step, its past held here.

choose       which runtime, which file, and what instead when it is refused
flatbuffer   model.tflite on ai-edge-litert or tflite-runtime
ort          the ONNX files on ONNX Runtime: CPU, CUDA, TensorRT
graph        what every step graph must look like
"""

from device.runner.choose import (
    AUTO,
    ONNX_FILE,
    ONNX_FLOAT_FILE,
    ONNX_TENSORRT_FILE,
    RUNTIMES,
    Runner,
    Serving,
    open_runner,
    serving,
)
from device.runner.flatbuffer import IMAGE_SCALE, IMAGE_ZERO_POINT, Int8Step
from device.runner.graph import (
    FRAME,
    LOGITS,
    MAX_THREADS,
    NEXT_PREFIX,
    SIGNATURE,
    STATE_PREFIX,
    Loop,
    NotInstalled,
    RuntimeUnavailable,
    Tensor,
)
from device.runner.ort import OnnxStep

__all__ = [
    "AUTO",
    "FRAME",
    "IMAGE_SCALE",
    "IMAGE_ZERO_POINT",
    "LOGITS",
    "MAX_THREADS",
    "NEXT_PREFIX",
    "ONNX_FILE",
    "ONNX_FLOAT_FILE",
    "ONNX_TENSORRT_FILE",
    "RUNTIMES",
    "SIGNATURE",
    "STATE_PREFIX",
    "Int8Step",
    "Loop",
    "NotInstalled",
    "OnnxStep",
    "Runner",
    "RuntimeUnavailable",
    "Serving",
    "Tensor",
    "open_runner",
    "serving",
]
