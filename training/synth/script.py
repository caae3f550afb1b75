"""Writing what one person does, in order: place, walk, go to a pose, sit, lie, stay, lose balance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.synth.mocap import Motions
from training.synth.motion import Gait, Lose, Move, Segment, Stay, Walk, Xy, heading_along, random_gait
from training.synth.people import Figure
from training.synth.poses import varied
from training.synth.replayed import recorded_walk
from training.synth.rooms import Item, Room, free_spot, way_to


@dataclass(frozen=True)
class Spot:
    """A place to sit or lie: where, which way the person faces, height of the surface, where they stand before it."""

    xy: Xy
    yaw: float
    top_m: float
    before: Xy


@dataclass
class Script:
    """The pieces of one person's story and the clock along them."""

    figure: Figure
    rng: np.random.Generator
    room: Room
    motions: Motions | None = None
    segments: list[Segment] = field(default_factory=list)

    @property
    def now_s(self) -> float:
        """Length of the story so far."""
        return sum(segment.duration_s for segment in self.segments)

    @property
    def fall_s(self) -> float:
        """When balance is lost for good: a jolt that hurried steps may catch is shorter than 0.5 s.

        Raises LookupError when nobody falls.
        """
        before = 0.0
        for segment in self.segments:
            if isinstance(segment, Lose) and segment.duration_s > 0.5:
                return before
            before += segment.duration_s
        raise LookupError("nobody falls in the story")

    def go(self, pose: str, duration_s: float, **rest: Any) -> Script:
        """Move to a named pose; the rest are fields of motion.Move."""
        self.segments.append(Move(duration_s, varied(pose, self.rng, self.figure.stoop_deg), **rest))
        return self

    def stay(self, low_s: float, high_s: float, sway: float = 1.0) -> Script:
        """Keep still for a random time."""
        self.segments.append(Stay(float(self.rng.uniform(low_s, high_s)), sway))
        return self

    def walk(self, path: list[Xy], gait: Gait | None = None) -> Script:
        """Walk a path, half the time with a recorded gait when there are recordings."""
        walk = Walk(path, gait or random_gait(self.rng), self.figure)
        recorded = self.motions is not None and self.rng.random() < 0.5
        self.segments.append(recorded_walk(walk, self.motions, self.rng) if recorded and self.motions else walk)
        return self

    def start(self, pose: str, xy: Xy, yaw: float, **rest: Any) -> Script:
        """Where and how the story begins: a move without duration."""
        return self.go(pose, 0.0, xy=xy, yaw=yaw, **rest)

    def lose(self, segment: Lose) -> Script:
        """Lose the balance."""
        self.segments.append(segment)
        return self

    def walk_in(self, goal: Xy, gait: Gait | None = None, length: tuple[float, float] = (1.0, 6.0)) -> Script:
        """Begin standing somewhere and walk to the goal."""
        path = way_to(self.room, goal, self.rng, length)
        self.start("stand", path[0], heading_along(path))
        return self.walk(path, gait)

    def sit(self, spot: Spot, duration_s: float, pose: str = "sit") -> Script:
        """From standing before a seat, turn the back to it and sit down in duration_s."""
        pelvis = spot.top_m + self.figure.seat_m
        half = ((spot.before[0] + spot.xy[0]) / 2, (spot.before[1] + spot.xy[1]) / 2)
        self.go("stand", 0.9, xy=spot.before, yaw=spot.yaw)
        self.go("rise", 0.45 * duration_s, xy=half, yaw=spot.yaw, ease="in")
        return self.go(pose, 0.55 * duration_s, xy=spot.xy, yaw=spot.yaw, pelvis_m=pelvis, ease="out")

    def seated(self, spot: Spot, pose: str = "sit") -> Script:
        """Begin sitting."""
        return self.start(pose, spot.xy, spot.yaw, pelvis_m=spot.top_m + self.figure.seat_m)

    def rise(self, spot: Spot, duration_s: float) -> Script:
        """From sitting to standing before the seat."""
        half = ((spot.before[0] + spot.xy[0]) / 2, (spot.before[1] + spot.xy[1]) / 2)
        self.go("rise", 0.5 * duration_s, xy=half, yaw=spot.yaw, ease="in")
        return self.go("stand", 0.5 * duration_s, xy=spot.before, yaw=spot.yaw, ease="out")


def seat_spot(item: Item, room: Room, rng: np.random.Generator) -> Spot:
    """A place to sit on a chair, a sofa or a bed edge. Raises LookupError when no place before it is free."""
    for _ in range(12):
        if item.kind == "bed":
            side = float(rng.choice([-1, 1]))
            x = float(rng.uniform(-0.3, 0.6)) * item.half[0]
            xy, before = item.world(x, side * (item.half[1] - 0.18)), item.world(x, side * (item.half[1] + 0.30))
            spot = Spot(xy, item.yaw + side * np.pi / 2, item.seat_m, before)
        else:
            arms = 0.3 if item.kind != "chair" else item.half[1]
            y = float(rng.uniform(-1, 1)) * (item.half[1] - arms)
            back = 0.02 if item.kind == "chair" else 0.10
            spot = Spot(item.world(back, y), item.yaw, item.seat_m, item.world(item.half[0] + 0.28, y))
        if room.free(spot.before, 0.24):
            return spot
    raise LookupError(f"the {item.kind} cannot be reached")


def bed_spot(item: Item, rng: np.random.Generator) -> Spot:
    """The place of the hips of somebody lying on a bed or along a sofa; the person's front is the foot end."""
    if item.kind == "bed":
        y = float(rng.uniform(-0.4, 0.4)) * item.half[1]
        return Spot(item.world(-0.05, y), item.yaw, item.seat_m, item.centre)
    side = float(rng.choice([-1, 1]))
    return Spot(item.world(0.08, side * 0.1), item.yaw + side * np.pi / 2, item.seat_m, item.centre)


def open_spot(room: Room, rng: np.random.Generator, margin: float = 0.7) -> Xy:
    """A free place with room to fall or kneel; the margin shrinks where the room is crowded."""
    for tried in (margin, 0.55, 0.42):
        try:
            return free_spot(room, rng, tried)
        except LookupError:
            continue
    raise LookupError("the room is too crowded")
