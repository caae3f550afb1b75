"""Float .tflite -> full int8 .tflite: calibrate on streamed footage, edit the ranges, quantize, check every operator.

Three things the quantizer's defaults get wrong for a streaming network (MODEL.md I.5), and what is done here:
the states are calibrated with real streamed states, zero states included; the picture's range is pinned to 0..1, so
that int8 is uint8 - 128; and every tensor that only moves values (concatenation, slice, reshape, padding, pooling, and
from a state's way out to its way in) shares one range, so that a state fed back raw means what it meant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.runner import FRAME, NEXT_PREFIX, SIGNATURE, STATE_PREFIX
from quantize.quiet import quiet

Span = tuple[float, float]
"""Lowest and highest value of a tensor."""

MOVES_VALUES: Final = frozenset(
    ("CONCATENATION", "SLICE", "STRIDED_SLICE", "RESHAPE", "PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D")
)
"""Operators whose int8 kernels want, or run fastest with, one scale on all sides."""

INTEGERS: Final = frozenset(("INT8", "INT32", "INT64"))
"""What a full int8 graph may hold: values and weights in int8, biases in int32, shapes of RESHAPE, PAD and SLICE."""

MAX_BYTES: Final = 1_000_000
"""The budget of DESIGN section 4."""


class QuantizationError(Exception):
    """A network that did not become a full int8 model; the text says what is left over and where."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What every tensor of the float model did, step by step: arrays (steps,) of lowest and highest values."""

    lows: dict[str, NDArray[np.float32]]
    highs: dict[str, NDArray[np.float32]]
    steps: int
    clips: int


def min_max(values: NDArray[np.float32], *, highest: bool) -> float:
    """The widest that was ever seen: nothing seen is clipped."""
    return float(values.max() if highest else values.min())


def moving_average(values: NDArray[np.float32], *, highest: bool) -> float:
    """The quantizer's own default, smoothing 0.95: clips outliers, depends on the order of the footage."""
    del highest
    mean = float(values[0])
    for value in values[1:]:
        mean = 0.95 * mean + 0.05 * float(value)
    return mean


def percentile(values: NDArray[np.float32], *, highest: bool, share: float = 99.0) -> float:
    """What `share` % of the steps stayed within: clips outliers, whatever the order."""
    return float(np.percentile(values, share if highest else 100.0 - share))


METHODS: Final[dict[str, Callable[..., float]]] = {
    "min-max": min_max,
    "moving-average": moving_average,
    "percentile-99": percentile,
    "percentile-99.9": partial(percentile, share=99.9),
    "percentile-99.99": partial(percentile, share=99.99),
}
"""From a tensor's extremes at every step to one range. Chosen by agreement with float on held-out clips, for each int8
file of a bundle by itself: the best one differs between the runtimes and between the networks (MODEL.md I.1, I.4)."""


def calibrate(model: bytes, windows: Iterable[NDArray[np.uint8]]) -> Calibration:
    """Stream every window, uint8 (steps, height, width, 3), through the float model from zero states.

    About 14 ms a step on one core: all tensors are read back.
    """
    from ai_edge_quantizer import calibrator

    mode = calibrator.CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS
    with quiet():
        calibration = calibrator.Calibrator(model, num_threads=1, mode=mode, qsv_update_func=_keep_every_step)
        run = calibrator.CalibrationSignatureRunner(calibration, SIGNATURE, mode=mode)
        zeros = {
            name: np.zeros(detail["shape"], np.float32)
            for name, detail in run.get_input_details().items()
            if name != FRAME
        }
        clips = steps = 0
        for window in windows:
            states, clips = zeros, clips + 1
            for picture in window:
                answer = run(**{FRAME: picture[None].astype(np.float32) / 255.0}, **states)
                states = {name: answer[name.replace(STATE_PREFIX, NEXT_PREFIX)] for name in states}
                steps += 1
    if not steps:
        raise QuantizationError("no footage to calibrate on; name a folder of clips that has some")
    ranges = {name: qsv for name, qsv in calibration.get_model_qsvs().items() if "min" in qsv}
    return Calibration(
        lows={name: np.ravel(qsv["min"]).astype(np.float32) for name, qsv in ranges.items()},
        highs={name: np.ravel(qsv["max"]).astype(np.float32) for name, qsv in ranges.items()},
        steps=steps,
        clips=clips,
    )


def spans_by(calibration: Calibration, method: str) -> dict[str, Span]:
    """One range a tensor by the method, each for itself."""
    choose = METHODS[method]
    return {
        name: (choose(calibration.lows[name], highest=False), choose(calibration.highs[name], highest=True))
        for name in calibration.lows
    }


def ranges(calibration: Calibration, groups: list[frozenset[str]], method: str) -> dict[str, Span]:
    """One range a tensor: by the method, then shared within its group, and the picture's group exactly 0..1."""
    spans = spans_by(calibration, method)
    for group in groups:
        known = [spans[name] for name in group if name in spans]
        shared = (min(low for low, _ in known), max(high for _, high in known))
        if any(name == picture_name() for name in group):
            shared = (0.0, 1.0)
        spans.update({name: shared for name in group if name in spans})
    spans[picture_name()] = (0.0, 1.0)
    return spans


def picture_name() -> str:
    """The tensor behind the signature's `frame`: the exporter puts the signature's name before it."""
    return f"{SIGNATURE}_{FRAME}"


def tie_groups(model: bytes) -> list[frozenset[str]]:
    """Tensor names that must share one range, found in the graph: what operators only move, and each state's loop."""
    flat = _flatbuffer(model)
    graph = flat.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    constant = {i for i, tensor in enumerate(graph.tensors) if flat.buffers[tensor.buffer].data is not None}
    group = _Groups()
    for operator in graph.operators:
        if _operator_name(flat, operator) in MOVES_VALUES:
            moved = [i for i in (*operator.inputs, *operator.outputs) if i >= 0 and i not in constant]
            group.join(names[i] for i in moved)
    signature = flat.signatureDefs[0]
    ways_out = {entry.name.decode(): names[entry.tensorIndex] for entry in signature.outputs}
    for entry in signature.inputs:
        name = entry.name.decode()
        if name != FRAME:
            group.join((names[entry.tensorIndex], ways_out[name.replace(STATE_PREFIX, NEXT_PREFIX)]))
    return group.all()


def quantize(model: bytes, spans: dict[str, Span]) -> bytes:
    """Static int8 weights (a scale a channel) and int8 activations with the given ranges."""
    from ai_edge_quantizer import quantizer, recipe

    as_arrays = {
        name: {"min": np.array([[low]], np.float32), "max": np.array([[high]], np.float32)}
        for name, (low, high) in spans.items()
    }
    with quiet():
        work = quantizer.Quantizer(model, recipe.static_wi8_ai8())
        result = work.quantize(as_arrays, enable_progress_report=False)
    if result.quantized_model is None:
        raise QuantizationError("the quantizer gave no model")
    return bytes(result.quantized_model)


def operators(model: bytes) -> list[tuple[str, tuple[str, ...]]]:
    """Every operator of the graph in order, with the types of the tensors it touches."""
    from ai_edge_litert import schema_py_generated as schema

    types = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    flat = _flatbuffer(model)
    graph = flat.subgraphs[0]
    listed = []
    for operator in graph.operators:
        touched = [graph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        listed.append((_operator_name(flat, operator), tuple(sorted({types[t.type] for t in touched}))))
    return listed


def check_full_int8(model: bytes) -> dict[str, int]:
    """How many of each operator; raises QuantizationError for a float one, a TRANSPOSE, a requantizer or over 1 MB."""
    counts: dict[str, int] = defaultdict(int)
    for name, types in operators(model):
        counts[name] += 1
        left = set(types) - INTEGERS
        if left:
            raise QuantizationError(f"operator {name} still works in {', '.join(sorted(left))}")
    for unwanted in ("TRANSPOSE", "QUANTIZE", "DEQUANTIZE"):
        if counts[unwanted]:
            raise QuantizationError(f"{counts[unwanted]} {unwanted} operators are left; tie their ranges or views")
        del counts[unwanted]
    if len(model) > MAX_BYTES:
        raise QuantizationError(f"the int8 model has {len(model)} bytes, the budget is {MAX_BYTES}")
    return dict(sorted(counts.items()))


class _Groups:
    """Disjoint sets of names that grow together."""

    def __init__(self) -> None:
        self._home: dict[str, set[str]] = {}

    def join(self, names: Iterable[str]) -> None:
        together: set[str] = set()
        for name in names:
            together |= self._home.get(name, {name})
        for name in together:
            self._home[name] = together

    def all(self) -> list[frozenset[str]]:
        found = {id(group): group for group in self._home.values()}
        return [frozenset(group) for group in found.values()]


def _keep_every_step(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The quantizer keeps one number a tensor; all are kept here, so that one pass serves every method."""
    if not old:
        return new
    return {side: np.concatenate([np.ravel(old[side]), np.ravel(new[side])]) for side in ("min", "max")}


def _flatbuffer(model: bytes) -> Any:
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils

    return tfl_flatbuffer_utils.read_model(model)


def _operator_name(flat: Any, operator: Any) -> str:
    from ai_edge_litert import schema_py_generated as schema

    code = flat.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return next(str(name) for name, value in vars(schema.BuiltinOperator).items() if value == number)
