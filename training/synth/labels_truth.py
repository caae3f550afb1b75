"""The label of every step, read off the physics: heights, tilt, speed, support under the body, balance held or lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.labels import EMPTY, FALLING, FLOOR, INDEX, LOW, LYING, SEATED, UPRIGHT
from training.synth.people import Figure
from training.synth.poses import Vector
from training.synth.rooms import Item
from training.synth.simulate import STEPS_PER_S, Track

REST_M_S: Final = 0.25
"""Pelvis and head slower than this for REST_STEPS are at rest."""
REST_STEPS: Final = 3
SETTLED_STEPS: Final = 15
SETTLED_M: Final = 0.12
"""A head that will be this much lower within SETTLED_STEPS is not at rest: slow slides pause."""
CAUGHT_SHARE: Final = 0.6
"""Balance won back with the head above this share of its height was a stumble."""
LONGEST_FALL_S: Final = 6.0
CHECK_DROP_M: Final = 0.2
CHECK_SPEED_M_S: Final = 0.35
CHECK_UPRIGHT_M: Final = 0.38
"""Bounds of check_labels: the lowest fall is out of a low bed, the slowest a slide; a standing child's hips."""
LANDED_M: Final = 0.30
"""A pelvis no higher over a bed or a sofa has landed on it."""
FLOOR_HEAD_M: Final = 0.60
FLOOR_PELVIS_M: Final = 0.34
FLOOR_CHEST_M: Final = 0.36
"""Lying means head, chest and pelvis are all low; a bowed sitter on the floor keeps the chest higher."""
LYING_TILT: Final = float(np.radians(50))
BED_TILT: Final = float(np.radians(55))
FLAT_TILT: Final = float(np.radians(75))
"""With one foot off the bed lying takes a flat trunk: sleepers have 83-95 degrees, those who bow on a seat 55-67."""
LEG_UP_M: Final = 0.25
"""A foot no further below the pelvis is up on the bed: sleepers' are 0.14 m below at most, sitters' 0.37 and more."""
UPRIGHT_TILT: Final = float(np.radians(50))

WORST_FIRST: Final = (FALLING, FLOOR, LOW, UPRIGHT, SEATED, LYING, EMPTY)
"""With two people the step carries the label that matters most."""


@dataclass(frozen=True)
class Fall:
    """One fall in steps of the trace: balance lost at `start`, at rest at `end`; `drop_m`: how far the head sank."""

    start: int
    end: int
    drop_m: float


def tilt_of(track: Track) -> Vector:
    """Angle of the trunk (pelvis to chest) to the vertical, radians, one a step."""
    up = track.chest - track.pelvis
    return np.asarray(np.arccos(np.clip(up[:, 2] / np.linalg.norm(up, axis=1), -1, 1)))


def _seat_under(pelvis: Vector, seats: Sequence[Item], most_m: float) -> bool:
    """Whether the pelvis rests on a seat or a bed, at most `most_m` over it."""
    for item in seats:
        above = float(pelvis[2]) - item.seat_m
        if item.distance((float(pelvis[0]), float(pelvis[1]))) < 0.06 and -0.06 < above < most_m:
            return True
    return False


def _beside_seat(pelvis: Vector, seats: Sequence[Item]) -> bool:
    """Whether the pelvis is on its way between standing and a seat."""
    place = (float(pelvis[0]), float(pelvis[1]))
    return any(item.distance(place) < 0.32 and pelvis[2] > item.seat_m - 0.02 for item in seats)


@dataclass(frozen=True)
class Moment:
    """One moment of a body: pelvis and head places in m, heights of chest, lower and higher foot, tilt in radians."""

    pelvis: Vector
    head: Vector
    chest_m: float
    foot_m: float
    other_foot_m: float
    tilt: float


def posture(body: Moment, figure: Figure, seats: Sequence[Item]) -> str:
    """The label of a body from one moment of physics; never `falling`, which takes time to see."""
    pelvis, head, tilt = body.pelvis, body.head, body.tilt
    if _seat_under(pelvis, seats, figure.seat_m + 0.20):
        least_tilt = BED_TILT if body.foot_m > pelvis[2] - LEG_UP_M else FLAT_TILT
        leg_up = body.other_foot_m > pelvis[2] - LEG_UP_M
        return LYING if leg_up and tilt > least_tilt and head[2] < pelvis[2] + 0.35 else SEATED
    if pelvis[2] < FLOOR_PELVIS_M and body.chest_m < FLOOR_CHEST_M and head[2] < FLOOR_HEAD_M and tilt > LYING_TILT:
        return FLOOR
    if pelvis[2] > 0.78 * figure.hip_m and tilt < UPRIGHT_TILT:
        return UPRIGHT
    return SEATED if _beside_seat(pelvis, seats) and tilt < BED_TILT else LOW


def find_fall(track: Track, landing: Sequence[Item] = ()) -> Fall | None:
    """The first fall in a track, or None when balance was never lost or was caught again every time.

    landing: furniture on which a fall may come to rest. `end` is the track's length when rest never came.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], track.lost, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        end = _rest(track, int(start), int(stop), landing)
        if end is None and stop < len(track.lost) and track.head[stop, 2] > CAUGHT_SHARE * track.head[start, 2]:
            continue
        end = len(track.lost) if end is None else end
        return Fall(int(start), end, float(track.head[start, 2] - track.head[start : end + 1, 2].min()))
    return None


def _rest(track: Track, start: int, stop: int, landing: Sequence[Item]) -> int | None:
    """The first step of a loss of balance at which the body is down, still and sinks no further; None without rest."""
    landed = np.array([_seat_under(pelvis, landing, LANDED_M) for pelvis in track.pelvis])
    slow, head = (track.speed < REST_M_S) & (landed | (track.pelvis[:, 2] < FLOOR_PELVIS_M)), track.head[:, 2]
    for step in range(start + 4, stop - REST_STEPS + 1):
        sinks = head[step] - head[step : min(stop, step + SETTLED_STEPS)].min()
        if slow[step : step + REST_STEPS].all() and sinks < SETTLED_M:
            return step
    return None


def person_labels(track: Track, figure: Figure, seats: Sequence[Item], landing: Sequence[Item] = ()) -> list[str]:
    """One label a step for one person, visible or not. landing: furniture on which a fall may come to rest."""
    tilt = tilt_of(track)
    heights = np.column_stack([track.chest[:, 2], track.feet, tilt])
    moments = [Moment(p, h, *map(float, row)) for p, h, row in zip(track.pelvis, track.head, heights, strict=True)]
    labels = [posture(moment, figure, seats) for moment in moments]
    fall = find_fall(track, landing)
    if fall is not None:
        labels[fall.start : fall.end] = [FALLING] * (fall.end - fall.start)
        # Nobody who has just fallen onto a bed sits with a flat trunk, though both legs hang over its edge.
        for step in np.flatnonzero(track.lost & (tilt > FLAT_TILT)):
            if landing and step >= fall.end and labels[step] == SEATED:
                labels[step] = LYING
    return labels


def ends_down(
    track: Track, labels: Sequence[str], min_drop_m: float, sits: bool = False, landing: Sequence[Item] = ()
) -> bool:
    """Whether a fall is one: it came to rest in LONGEST_FALL_S, on the floor, after a real drop.

    sits: sitting on the floor is an end as well (a slide down a wall); landing: on this furniture instead of the floor.
    """
    fall = find_fall(track, landing)
    if fall is None or fall.end >= len(labels) or fall.drop_m < min_drop_m:
        return False
    after = labels[fall.end : fall.end + 10]
    down = after.count(LYING) + after.count(SEATED) if landing else after.count(FLOOR)
    if sits and track.pelvis[fall.end, 2] < FLOOR_PELVIS_M:
        down += after.count(LOW)
    return fall.end - fall.start <= LONGEST_FALL_S * STEPS_PER_S and down >= 0.9 * len(after)


def check_labels(track: Track, labels: Sequence[str], landing: Sequence[Item] = ()) -> list[str]:
    """What the physics says against the labels of one person, one sentence a contradiction; empty when they agree.

    landing: furniture on which a fall may come to rest.
    """
    ends = (FLOOR, LOW, LYING, SEATED) if landing else (FLOOR, LOW)
    names = np.array(labels)
    falling, floor, upright = names == FALLING, names == FLOOR, names == UPRIGHT
    head, pelvis, found = track.head[:, 2], track.pelvis[:, 2], []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], falling, [False]]).astype(int)))
    for start, stop in edges.reshape(-1, 2):
        drop = float(head[start] - head[start : stop + 1].min())
        if drop < CHECK_DROP_M:
            found.append(f"steps {start}-{stop} are called falling but the head sinks only {drop:.2f} m")
        if track.speed[start:stop].max() < CHECK_SPEED_M_S:
            found.append(f"steps {start}-{stop} are called falling but nothing moves faster than {CHECK_SPEED_M_S} m/s")
        if stop < len(names) and names[stop] not in ends:
            found.append(f"the fall before step {stop} ends {names[stop]} and not down")
    if (floor & ((head > FLOOR_HEAD_M) | (pelvis > FLOOR_PELVIS_M))).any():
        found.append("a step is called floor but the body is high")
    if (upright & ((pelvis < CHECK_UPRIGHT_M) | (head < pelvis))).any():
        found.append("a step is called upright but the body is low")
    return found


def scene_labels(people: Sequence[Sequence[str]], seen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The label of each step of the scene as a place in LABELS: uint8 (steps,).

    people: one label a step for each person; seen: bool (people, steps), whether the camera sees enough of them.
    """
    steps = seen.shape[1]
    out = np.full(steps, INDEX[EMPTY], np.uint8)
    for step in range(steps):
        visible = [labels[step] for labels, ok in zip(people, seen[:, step], strict=True) if ok]
        if visible:
            out[step] = INDEX[min(visible, key=WORST_FIRST.index)]
    return out
