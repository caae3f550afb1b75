"""What a step graph must look like, whichever runtime opened it: names, shapes, number types, tied states.

    step(frame, state_00, …) -> logits, next_00, …

The graph keeps nothing itself: every step hands in the states and takes out the next ones. That is only right while
each state goes in and comes out as the same kind of tensor; an int8 one fed back at two scales shrinks by about 16 % a
step and the network forgets (MODEL.md I.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from device.card import BundleError, Card, State
from device.labels import LABELS
from device.preprocess import CHANNELS

SIGNATURE: Final = "step"
FRAME: Final = "frame"
LOGITS: Final = "logits"
STATE_PREFIX: Final = "state_"
NEXT_PREFIX: Final = "next_"

MAX_THREADS: Final = 16
SCALE_TOLERANCE: Final = 1e-6
"""Relative; a float32, which a scale is, holds 7 digits."""

MAKE_AGAIN: Final = "make the bundle again with `fallwatch quantize`"


class RuntimeUnavailable(BundleError):  # noqa: N818 - says what is the matter, as BundleError's other texts do
    """A runtime that can't work here, whatever the model; the text says what to install."""


class NotInstalled(RuntimeUnavailable):
    """The plainest case: it is simply not there."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named input or output of the graph, as the runtime describes it. scale: 0 for one that is not quantized."""

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: Any
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True, slots=True)
class Loop:
    """A state's way out of one step and into the next: one shape, one number type, one scale, one zero point."""

    state: Tensor
    following: Tensor


@dataclass(frozen=True, slots=True)
class Graph:
    """The inputs and outputs of a step; the loops in the order of their names."""

    frame: Tensor
    logits: Tensor
    loops: tuple[Loop, ...]

    @property
    def picture(self) -> tuple[int, ...]:
        """(height, width, 3): what a step wants."""
        return self.frame.shape[1:]


def checked_graph(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], dtype: Any) -> Graph:
    """The graph of these tensors, all of them of one number type; raises BundleError naming the first that is not."""
    frame = _the(inputs, FRAME, "input", dtype)
    if len(frame.shape) != 4 or frame.shape[0] != 1 or frame.shape[3] != CHANNELS:
        raise BundleError(f"the model's picture is {frame.shape} and must be (1, height, width, 3); {MAKE_AGAIN}")
    logits = _the(outputs, LOGITS, "output", dtype)
    if logits.shape != (1, len(LABELS)):
        raise BundleError(f"the model's scores are {logits.shape} and must be {(1, len(LABELS))}; {MAKE_AGAIN}")
    names = sorted(inputs.keys() - {FRAME})
    return Graph(frame, logits, tuple(_loop(inputs, outputs, name, dtype) for name in names))


def check_against_card(graph: Graph, card: Card) -> None:
    """Raise BundleError unless the graph has the card's raster and states; scales are compared where it has any."""
    wanted = (1, card.input.height, card.input.width, CHANNELS)
    if graph.frame.shape != wanted:
        raise BundleError(f"the model's picture is {graph.frame.shape} and its card says {wanted}; {MAKE_AGAIN}")
    said = {state.name: state for state in card.states}
    found = {loop.state.name: loop.state for loop in graph.loops}
    if said.keys() != found.keys():
        raise BundleError(f"the model's states {sorted(found)} are not its card's {sorted(said)}; {MAKE_AGAIN}")
    for name, state in found.items():
        _check_state(state, said[name])


def check_threads(threads: int) -> None:
    """Raise ValueError unless it is a number of threads that a runtime may have."""
    if not 1 <= threads <= MAX_THREADS:
        raise ValueError(f"threads {threads} is outside 1..{MAX_THREADS}")


def same_scale(one: float, other: float) -> bool:
    """Equal but for the digits a float32 has not got."""
    return abs(one - other) <= SCALE_TOLERANCE * abs(other)


def _the(tensors: Mapping[str, Tensor], name: str, kind: str, dtype: Any) -> Tensor:
    if name not in tensors:
        raise BundleError(f"the model has no {kind} {name!r}; {MAKE_AGAIN}")
    tensor = tensors[name]
    if tensor.dtype != dtype:
        found, wanted = np.dtype(tensor.dtype).name, np.dtype(dtype).name
        raise BundleError(f"{kind} {name!r} is {found} and must be {wanted}; {MAKE_AGAIN}")
    return tensor


def _loop(inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], name: str, dtype: Any) -> Loop:
    state = _the(inputs, name, "input", dtype)
    following = _the(outputs, name.replace(STATE_PREFIX, NEXT_PREFIX), "output", dtype)
    if state.shape != following.shape:
        raise BundleError(f"{name} goes in as {state.shape} and comes out as {following.shape}; {MAKE_AGAIN}")
    if (state.scale, state.zero_point) != (following.scale, following.zero_point):
        raise BundleError(
            f"{name} is not tied: in at scale {state.scale:.6g} and zero point {state.zero_point}, "
            f"out at {following.scale:.6g} and {following.zero_point}; {MAKE_AGAIN}"
        )
    return Loop(state, following)


def _check_state(found: Tensor, said: State) -> None:
    if found.shape != said.shape:
        raise BundleError(f"{said.name} has shape {found.shape} and its card says {said.shape}; {MAKE_AGAIN}")
    quantized = found.scale > 0.0
    if quantized and (not same_scale(found.scale, said.scale) or found.zero_point != said.zero_point):
        raise BundleError(
            f"{said.name} has scale {found.scale:.6g} and zero point {found.zero_point}, its card says "
            f"{said.scale:.6g} and {said.zero_point}; {MAKE_AGAIN}"
        )
