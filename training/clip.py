"""One piece of real footage and what is known about it: who, where, under which licence, and when what happens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.labels import LABELS

FALLS_ONTO_A_BED: Final = frozenset({("gmdcsa24", "s2_Fall_14"), ("gmdcsa24", "s4_Fall_01")})
"""Falls that end lying on a bed, not on the floor (data/README.md)."""


class ClipTableError(ValueError):
    """A table of clips that cannot be used as it stands; the text names rows and what to fix."""


@dataclass(frozen=True, slots=True)
class Span:
    """From start_s to end_s, seconds from the start of the clip, one of `labels` is right, and nothing else."""

    start_s: float
    end_s: float
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """One piece of footage: a video file, or a folder or zip of numbered pictures.

    fall_start_s: balance lost; fall_end_s: body at rest; both seconds from the start, None in everyday clips.
    on_floor: somebody is on the floor on purpose. key: its name within the dataset, where the file's own name is not
    unique. fps: pictures per second of a folder whose picture names carry no time. spans: dense labels, if any.
    """

    row: int
    split: str
    dataset: str
    path: Path
    fall: bool
    fall_start_s: float | None
    fall_end_s: float | None
    on_floor: bool
    subject: str
    room: str
    licence: str
    key: str = ""
    fps: float | None = None
    on_bed: bool = False
    spans: tuple[Span, ...] = ()

    @property
    def stem(self) -> str:
        """The clip's name within its dataset: its key, else the file name without its ending."""
        return self.key or self.path.stem

    @property
    def name(self) -> str:
        """dataset__stem: what score files are called."""
        return f"{self.dataset}__{self.stem}"

    @property
    def ends_on_bed(self) -> bool:
        """The fall ends on a bed, so afterwards both `lying` and `floor` are true answers."""
        return self.on_bed or (self.dataset, self.stem) in FALLS_ONTO_A_BED


def parse_spans(text: str) -> tuple[Span, ...]:
    """Spans in their written form, e.g. `upright 0-2.5; seated|low 2.5-4`; "" is none. ValueError says what is off."""
    return tuple(_span(part.strip()) for part in text.split(";") if part.strip())


def format_spans(spans: Sequence[Span]) -> str:
    """The written form that parse_spans reads; times to the millisecond."""
    return "; ".join(f"{'|'.join(s.labels)} {round(s.start_s, 3):g}-{round(s.end_s, 3):g}" for s in spans)


def narrow(allowed: NDArray[np.bool_], spans: Sequence[Span], t: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Allowed labels (steps, labels) at times t, less what the spans rule out. A new array.

    Where spans overlap any of their labels may be right; where a span contradicts what is known already (a rounded
    time at the edge of a fall), what is known already stays.
    """
    told = np.zeros_like(allowed)
    for span in spans:
        inside = (t >= span.start_s) & (t < span.end_s)
        told |= inside[:, None] & np.isin(LABELS, span.labels)
    both = allowed & told
    return np.where(both.any(axis=1, keepdims=True), both, allowed)


def _span(part: str) -> Span:
    found = re.fullmatch(r"([a-z|]+)\s+(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", part)
    if not found:
        raise ValueError(f"span {part!r}; write LABEL START-END in seconds, e.g. upright 0-2.5")
    labels = tuple(found[1].split("|"))
    unknown = [label for label in labels if label not in LABELS]
    if unknown:
        raise ValueError(f"span {part!r} has the label {unknown[0]!r}; labels are {', '.join(LABELS)}")
    start, end = float(found[2]), float(found[3])
    if start >= end:
        raise ValueError(f"span {part!r} ends before it starts; correct its times")
    return Span(start, end, labels)
