"""The five records of the road: Frame, Scores, Incident, Alert, Receipt. Frozen; nothing else passes between modules.

Two times run through all of them: `t` is monotonic seconds (what durations are computed from) and `wall` is
seconds since 1970 in UTC (what people read; it may step).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from device.labels import INDEX, LABELS

Kind = Literal["fall", "floor", "long_lie", "inactivity", "blind", "unit", "test"]
Priority = Literal["silent", "info", "fault", "warning", "alarm", "urgent"]
ReceiptLevel = Literal["broker", "consumer", "human"]
Action = Literal["received", "claim", "arrive", "close", "reject", "reopen"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture at one moment.

    pixels: uint8, (height, width, 3), BGR. t: monotonic seconds at grab. wall: Unix seconds, UTC. grid: where pictures
    were thinned to the steps at the source, the monotonic time of step 0.
    """

    id: int
    t: float
    wall: float
    pixels: NDArray[np.uint8]
    grid: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """What the network said at one step, before any smoothing.

    probabilities: one per label, in the order of LABELS, summing to 1.
    motion: share of raster pixels that changed over the short difference, 0..1.
    light: mean grey level of the picture, 0..1.
    contrast: standard deviation of the grey level, 0..1 (0 is a blank picture).
    still: True when the raster is equal to the one before, pixel for pixel (a live sensor never is).
    gap_share: share of the last second's steps that had no fresh frame, 0..1.
    warm: False until the network has seen enough steps since its states were reset.
    """

    t: float
    wall: float
    frame_id: int
    probabilities: tuple[float, ...]
    motion: float
    light: float
    contrast: float
    still: bool
    gap_share: float
    warm: bool
    model_id: str
    inference_ms: float

    def of(self, label: str) -> float:
        """The probability of one label."""
        return self.probabilities[INDEX[label]]

    def __post_init__(self) -> None:
        if len(self.probabilities) != len(LABELS):
            raise ValueError(f"Scores want {len(LABELS)} probabilities, got {len(self.probabilities)}")


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happens to a person or to the unit, as it stands after one transition.

    id: ULID, made once when the incident begins. t, wall: when this stage was entered. score: the evidence that
    carried it there, 0..1. peak: highest evidence so far. ended: no further transition will follow.
    detail: words for the alert's text (cause of a fault, seconds on the floor). camera, room: which camera saw it and
    where, filled in by the unit; empty for what befalls the unit itself.
    """

    id: str
    kind: Kind
    stage: str
    t: float
    wall: float
    t_start: float
    wall_start: float
    t_confirmed: float | None = None
    wall_confirmed: float | None = None
    score: float = 0.0
    peak: float = 0.0
    ended: bool = False
    evidence: tuple[int, ...] = ()
    detail: dict[str, str | float] = field(default_factory=dict)
    camera: str = ""
    room: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to a human about one transition of an incident.

    repeat_s: rings again after this many seconds while nobody has claimed it; None never rings again.
    camera: the one that saw it, empty for the unit itself. room: where to go, as in the text.
    """

    incident_id: str
    kind: Kind
    stage: str
    priority: Priority
    text: str
    repeat_s: float | None
    t: float
    wall: float
    wall_start: float
    score: float
    ends: bool
    test: bool = False
    camera: str = ""
    room: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came back for one alert: from the broker, from a consumer, or from a human.

    at: Unix seconds, UTC, as the sender says. cause: why it was closed or rejected, outcome: what came of it, both as
    the sender words it. seq: the newest message that a consumer says it has; 0 where it does not say.
    """

    alert_id: str
    level: ReceiptLevel
    by: str
    at: float
    action: Action = "received"
    cause: str = ""
    outcome: str = ""
    seq: int = 0
