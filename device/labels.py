"""The label set: what the network says about a room at one step, in the order of its outputs."""

from __future__ import annotations

from typing import Final

EMPTY: Final = "empty"
UPRIGHT: Final = "upright"
SEATED: Final = "seated"
LOW: Final = "low"
LYING: Final = "lying"
FALLING: Final = "falling"
FLOOR: Final = "floor"

LABELS: Final = (EMPTY, UPRIGHT, SEATED, LOW, LYING, FALLING, FLOOR)
"""One softmax per step over these seven, in this order (DESIGN section 4)."""

MEANING: Final = {
    EMPTY: "nobody in the picture",
    UPRIGHT: "standing or walking",
    SEATED: "on a chair, a sofa, a bed edge, a wheelchair",
    LOW: "bending, kneeling, crouching, on hands and knees, sitting on the floor",
    LYING: "lying in a bed or on a sofa",
    FALLING: "from the moment balance is lost until the body is at rest",
    FLOOR: "lying on the floor, however they got there",
}

INDEX: Final = {label: index for index, label in enumerate(LABELS)}
"""Label -> its place in the output of the network."""
