"""The loop that everything goes through: camera, file and recorded event alike.

    Frame ──sampler──> Step ──preprocess──> GreyStep ──runner──> Scores ──incidents──> Incident

It has no camera, no disk and no clock of its own, so that replay walks the very same road and a recorded event gives
the same scores to the last bit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from device.card import Card
from device.incidents import Incidents
from device.preprocess import Differencer, motion_share, to_grey
from device.records import Frame, Incident, Scores
from device.sampler import GreyStep, Sampler

GAP_WINDOW_S = 1.0
"""Scores.gap_share looks back this far: the reach of the long difference, which held pictures blur."""


class Network(Protocol):
    """What the loop needs of a runner: one step at a time, states inside."""

    card: Card
    model_id: str

    @property
    def warm(self) -> bool: ...

    def reset(self) -> None: ...

    def step(self, image: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the loop: what was looked at, what the network said, what that brought about.

    frame is None where only the raster is known: in a replay of a recorded event.
    """

    step: GreyStep
    frame: Frame | None
    scores: Scores
    incidents: list[Incident]


class Watch:
    """Looks at one room; keeps the network's past and the open incidents."""

    def __init__(self, network: Network, incidents: Incidents) -> None:
        self.network = network
        self.incidents = incidents
        self.raster = network.card.input.raster()
        self.gaps = 0
        step_s = network.card.input.step_s
        self._sampler = Sampler(step_s)
        self._differencer = Differencer(self.raster)
        self._held: deque[bool] = deque(maxlen=max(1, round(GAP_WINDOW_S / step_s)))
        self._grey: NDArray[np.uint8] | None = None
        self._still = False

    def feed(self, frame: Frame, whole: Callable[[], bool] = lambda: True) -> Iterator[Turn]:
        """The turns that came due with this frame; none when it came before the next step.

        whole: asked once the pixels have been looked at, for pixels that lie in shared memory; a picture that was
        written over meanwhile is no picture, and the one before serves again.
        """
        for step in self._sampler.push(frame):
            held, grey = step.held, self._grey
            if not held or grey is None:
                seen = to_grey(step.frame.pixels, self.raster)
                held, grey = (held, seen) if whole() else (True, grey)
            if grey is not None:
                yield self.look(GreyStep(step.t, step.wall, step.frame.id, grey, held, step.reset), step.frame)

    def look(self, step: GreyStep, frame: Frame | None = None) -> Turn:
        """One turn from a picture that is on the raster already."""
        if step.reset:
            self._start_again()
        model_input = self._differencer.step(step.grey)
        began = time.perf_counter()
        probabilities = self.network.step(model_input)
        took_ms = 1000.0 * (time.perf_counter() - began)
        self._note_picture(step)
        scores = Scores(
            t=step.t,
            wall=step.wall,
            frame_id=step.frame_id,
            probabilities=tuple(float(p) for p in probabilities),
            motion=motion_share(model_input),
            light=float(step.grey.mean()) / 255.0,
            contrast=float(step.grey.std()) / 255.0,
            still=self._still,
            gap_share=sum(self._held) / len(self._held),
            warm=self.network.warm,
            model_id=self.network.model_id,
            inference_ms=took_ms,
        )
        return Turn(step, frame, scores, self.incidents.update(scores))

    def tick(self, t: float, wall: float) -> list[Incident]:
        """What time alone brings, when no frame came."""
        return self.incidents.tick(t, wall)

    def _start_again(self) -> None:
        self.gaps += 1
        self.network.reset()
        self._differencer.reset()
        self._held.clear()

    def _note_picture(self, step: GreyStep) -> None:
        """A held step repeats the picture by our own doing, so it says nothing about a frozen camera."""
        self._held.append(step.held)
        if not step.held:
            self._still = self._grey is not None and np.array_equal(step.grey, self._grey)
        self._grey = step.grey
