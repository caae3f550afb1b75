"""Segments that replay recorded motion on our people: walking with a recorded gait, crawling, getting up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from training.synth.mocap import REFERENCE_HIP_M, Cycle, Motion, Motions, mirrored_motion
from training.synth.motion import Gait, Ground, Target, Walk, heading_of
from training.synth.people import JOINT_INDEX, Figure
from training.synth.poses import Vector, between, multiply

_ARMS: Final = [
    JOINT_INDEX[f"{side}_{name}"] for side in "lr" for name in ("shoulder", "arm_out", "arm_twist", "elbow")
]
_LEGS: Final = [
    JOINT_INDEX[f"{side}_{name}"] for side in "lr" for name in ("hip", "leg_out", "leg_twist", "knee", "ankle")
]
GAIT_SHARES: Final = {
    "walk": 0.2, "long_walk1": 0.16, "long_walk2": 0.16, "long_walk3": 0.16, "zombie_walk": 0.17, "stealthy_walk": 0.15,
}  # fmt: skip
"""How often a recording lends its gait; the unsteady and the stealthy one stand in for frail walkers."""
MOST_CROUCH: Final = float(np.radians(28))
"""A recording that walks with the hips bent more than this in the mean (the stealthy one) is stretched to it."""
JOG_M_S: Final = 1.25
"""Who is faster than this may jog."""
RUN_M_S: Final = 1.7
"""Who is faster than this jogs or runs; walking turns to running near 2 m/s (Hreljac 1993)."""


def pick_cycle(motions: Motions, gait: Gait, rng: np.random.Generator) -> Cycle:
    """A recorded gait that suits the speed."""
    if gait.speed > RUN_M_S:
        return motions.gaits[str(rng.choice(["jog", "run"]))][0]
    if gait.speed > JOG_M_S and rng.random() < 0.3:
        return motions.gaits["jog"][0]
    name = str(rng.choice(list(GAIT_SHARES), p=np.array(list(GAIT_SHARES.values())) / sum(GAIT_SHARES.values())))
    cycles = motions.gaits[name]
    return cycles[int(rng.integers(len(cycles)))]


def _quaternion_of_yaw(yaw: float) -> Vector:
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


@dataclass
class RecordedWalk(Walk):
    """Walk whose limbs and pelvis follow a recorded cycle, its step scaled with the root of the speed (Grieve 1968)."""

    cycle: Cycle = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        natural = self.cycle.stride_m / self.cycle.seconds
        scale = np.sqrt(self.gait.speed / natural) * self.gait.swing * (1 - 0.4 * self.gait.shuffle)
        self._scale = float(np.clip(scale, 0.35, 1.15))
        self._stride_m = self._scale * self.cycle.stride_m * self.figure.hip_m / REFERENCE_HIP_M
        self._mean = self.cycle.joints.mean(axis=0)
        crouch = float(self._mean[[JOINT_INDEX["l_hip"], JOINT_INDEX["r_hip"]]].mean())
        self._stretch = min(1.0, MOST_CROUCH / max(crouch, 1e-6))

    def _phase(self, t: float) -> float:
        return t * self.gait.speed / self._stride_m

    def _legs_and_arms(self, t: float) -> Vector:
        joints, gait = self.cycle.at(self._phase(t))[0].copy(), self.gait
        joints[_LEGS] = self._stretch * self._mean[_LEGS] + self._scale * (joints[_LEGS] - self._mean[_LEGS])
        for side in "lr":
            joints[JOINT_INDEX[f"{side}_knee"]] *= 1 - 0.4 * gait.shuffle
        joints[_ARMS] = self._mean[_ARMS] + gait.arms * (joints[_ARMS] - self._mean[_ARMS])
        joints[JOINT_INDEX["waist"]] += np.radians(self.figure.stoop_deg)
        joints[JOINT_INDEX["neck"]] -= np.radians(0.5 * self.figure.stoop_deg)
        joints[JOINT_INDEX["waist_side"]] += gait.wobble * np.sin(2.1 * t)
        return joints

    def _turn(self, yaw: float, t: float) -> Vector:
        return multiply(_quaternion_of_yaw(yaw), self.cycle.at(self._phase(t))[1])


@dataclass
class Replay:
    """Replay a whole recording from where the body is: blended in, carried to its place, turned to its heading.

    pace 1 is the recorded speed; from_s and to_s cut the recording.
    """

    motion: Motion
    figure: Figure
    pace: float = 1.0
    from_s: float = 0.0
    to_s: float = float("inf")
    blend_s: float = 1.0
    duration_s: float = field(init=False)
    _start: Target = field(init=False, repr=False)
    _ground: Ground = field(init=False, repr=False)
    _yaw: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.to_s = min(self.to_s, float(self.motion.times[-1]))
        self.duration_s = self.blend_s + (self.to_s - self.from_s) / self.pace

    def begin(self, start: Target, ground: Ground) -> None:
        """Turn the recording to the way the body lies or faces now."""
        self._start, self._ground = start, ground
        self._yaw = heading_of(start.turn) - heading_of(self.motion.at(self.from_s)[1])

    def target(self, t: float) -> Target:
        """The recorded pose, on the floor by its lowest point."""
        joints, turn, place = self.motion.at(self.from_s + max(0.0, t - self.blend_s) * self.pace)
        way = (place - self.motion.at(self.from_s)[2])[:2] * self.figure.hip_m / REFERENCE_HIP_M
        c, s = np.cos(self._yaw), np.sin(self._yaw)
        turn = multiply(_quaternion_of_yaw(self._yaw), turn)
        share = min(1.0, t / self.blend_s)
        share = share * share * (3 - 2 * share)
        joints = self._start.joints + share * (joints - self._start.joints)
        turn = between(self._start.turn, turn, share)
        x, y = self._start.place[0] + c * way[0] - s * way[1], self._start.place[1] + s * way[0] + c * way[1]
        return Target(np.array([x, y, self._ground(joints, turn, 0.0)]), turn, joints)


@dataclass
class GetUp(Replay):
    """Get up as recorded, from the face or from the back, whichever the body lies nearer to."""

    face_down: Motion = field(kw_only=True)

    def begin(self, start: Target, ground: Ground) -> None:
        """Choose by where the front of the pelvis points."""
        w, x, y, z = start.turn
        if 2 * (x * z - w * y) < 0:
            self.motion = self.face_down
            self.to_s = float(self.motion.times[-1])
            self.duration_s = self.blend_s + (self.to_s - self.from_s) / self.pace
        super().begin(start, ground)


def get_up(motions: Motions, figure: Figure, rng: np.random.Generator) -> GetUp:
    """Rise from the floor at 0.5 to 1.0 of the pace of the recorded young person, mirrored half the time."""
    up, down = motions.whole["getup_faceup"], motions.whole["getup_facedown"]
    if rng.random() < 0.5:
        up, down = mirrored_motion(up), mirrored_motion(down)
    return GetUp(up, figure, float(rng.uniform(0.5, 1.0)), blend_s=float(rng.uniform(0.7, 1.8)), face_down=down)


def crawl(motions: Motions, figure: Figure, rng: np.random.Generator, seconds: float) -> Replay:
    """Crawl low along the floor for about `seconds` at 0.35 to 1.0 of the recorded pace."""
    motion, pace = motions.whole["crawl"], float(rng.uniform(0.35, 1.0))
    if rng.random() < 0.5:
        motion = mirrored_motion(motion)
    first = float(rng.uniform(0.0, max(0.0, motion.times[-1] - seconds * pace)))
    return Replay(motion, figure, pace, first, first + seconds * pace, float(rng.uniform(0.8, 1.8)))


def recorded_walk(walk: Walk, motions: Motions, rng: np.random.Generator) -> RecordedWalk:
    """The same path and pace with a recorded gait."""
    gait = replace(walk.gait)
    return RecordedWalk(walk.path, gait, walk.figure, cycle=pick_cycle(motions, gait, rng))
