"""The steps of one clip that a window shows, and what may be done to them before any camera's augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from device.labels import EMPTY, INDEX
from training.augment import Look
from training.paste import paste_person, stand_still
from training.samples import ALARMING, Sample, ease_onset


@dataclass(frozen=True, slots=True)
class Cut:
    """Steps of a clip as stored: t of them.

    grey: uint8 (t, 96, 128). allowed: bool (t, labels). begun, weight: float32 (t,). people: bool (t, 96, 128), or None
    where nobody knows. height: float32 (t,), m, of the lowest head, nan where unknown.
    """

    look: Look
    grey: NDArray[np.uint8]
    allowed: NDArray[np.bool_]
    begun: NDArray[np.float32]
    weight: NDArray[np.float32]
    people: NDArray[np.bool_] | None
    height: NDArray[np.float32]

    @property
    def known(self) -> bool:
        """Whether mask, presence and height can be asked for."""
        return self.people is not None


def cut_of(sample: Sample, order: NDArray[np.int64], ramp_s: float) -> Cut:
    """The steps `order` of a clip, in which a rendered fall begins over +-ramp_s."""
    allowed, begun = sample.allowed, np.zeros(len(sample.allowed), np.float32)
    if sample.source == "rendered":
        # A real clip knows the start of its fall to 0.15 s: there those steps count for nothing instead.
        allowed, begun = ease_onset(allowed, ramp_s)
    people = None if sample.people is None else np.unpackbits(sample.people[order], axis=-1).astype(bool)
    height = np.full(len(order), np.nan, np.float32) if sample.height is None else sample.height[order]
    look = Look(sample.content, sample.moved)
    return Cut(look, sample.grey[order], allowed[order].copy(), begun[order], sample.weight[order], people, height)


def bounced(order: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
    """Steps beyond `last` reflected between first and last, both ends once: 0 1 2 3 4 with 1..2 -> 0 1 2 1 2."""
    if last == first:
        return np.minimum(order, last)
    period = 2 * (last - first)
    beyond = (order - first) % period
    return np.where(order <= last, order, first + np.minimum(beyond, period - beyond))


def walk_by(cut: Cut, other: Cut, rng: np.random.Generator) -> Cut:
    """The people of a calm rendered cut behind those of another: a second person. Where nobody falls, both are right.

    MODEL.md I.8 found two or more people to be the worst false alarms, and falls beside somebody the first misses.
    Who is there already stays whole, so that no fall is hidden behind a passer-by.
    """
    if cut.people is None or other.people is None:
        raise ValueError("who walks by and who is walked by must be known by their masks: rendered clips alone")
    theirs, grey, moved = other.people, other.grey, other.look.moved
    if rng.random() < 0.5:
        theirs, grey, moved = theirs[:, :, ::-1], grey[:, :, ::-1], moved[:, ::-1]
    moved = cut.look.moved + moved
    return replace(
        cut,
        look=Look(cut.look.content, moved / max(1.0, float(moved.sum()))),
        grey=paste_person(grey, theirs & ~cut.people, cut.grey),
        allowed=_either(cut.allowed, other.allowed),
        people=cut.people | theirs,
        height=np.fmin(cut.height, other.height),
    )


def _either(allowed: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Labels that are right with a second person in the picture: a fall's as they are; a room is empty if both are."""
    alone = ~allowed[:, ALARMING].any(axis=1)
    answer = allowed.copy()
    answer[alone] |= other[alone]
    answer[:, INDEX[EMPTY]] = allowed[:, INDEX[EMPTY]] & (other[:, INDEX[EMPTY]] | ~alone)
    return answer


def frozen(cut: Cut, rng: np.random.Generator) -> Cut:
    """A calm cut's first picture for all its steps while the light changes: nothing happens in a picture."""
    first = np.zeros(len(cut.grey), np.int64)
    return replace(
        cut,
        grey=stand_still(cut.grey[0], len(first), rng),
        allowed=cut.allowed[first],
        weight=cut.weight[first],
        people=None if cut.people is None else cut.people[first],
        height=cut.height[first],
    )
