"""Recorded human motion (DeepMimic's files) as joint angles of our people: gaits, crawling, getting up.

File format: X. B. Peng et al., DeepMimic (2018): a frame is its duration, root place and turn, then joint rotations;
y is up and the body faces x. Here z is up, so that a vector (x, y, z) there is (x, -z, y) here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from training.synth.people import JOINT_INDEX, JOINTS
from training.synth.poses import Vector, multiply

FRAME_NUMBERS: Final = 44
REFERENCE_HIP_M: Final = 0.87
"""Height of the root over the floor of the recorded person when walking (mean of the walk files)."""
CYCLE_POINTS: Final = 32
"""Samples a gait cycle: 30 ms at a normal cycle of one second."""

_SPHERICAL: Final[dict[str, tuple[int, tuple[str, str, str], tuple[int, int, int]]]] = {
    # where the quaternion stands in a frame; our hinges about y, x, z; their signs
    "chest": (8, ("waist", "waist_side", "waist_twist"), (1, 1, 1)),
    "neck": (12, ("neck", "", "neck_twist"), (1, 1, 1)),
    "right hip": (16, ("r_hip", "r_leg_out", "r_leg_twist"), (-1, -1, 1)),
    "right ankle": (21, ("r_ankle", "", ""), (-1, 1, 1)),
    "right shoulder": (25, ("r_shoulder", "r_arm_out", "r_arm_twist"), (-1, -1, -1)),
    "left hip": (30, ("l_hip", "l_leg_out", "l_leg_twist"), (-1, 1, -1)),
    "left ankle": (35, ("l_ankle", "", ""), (-1, 1, 1)),
    "left shoulder": (39, ("l_shoulder", "l_arm_out", "l_arm_twist"), (-1, 1, 1)),
}
_HINGES: Final = {20: ("r_knee", -1), 29: ("r_elbow", 1), 34: ("l_knee", -1), 43: ("l_elbow", 1)}
_LOW: Final = np.radians([joint.low for joint in JOINTS])
_HIGH: Final = np.radians([joint.high for joint in JOINTS])

GAIT_FILES: Final = ("walk", "long_walk1", "long_walk2", "long_walk3", "stealthy_walk", "zombie_walk", "jog", "run")
MOTION_FILES: Final = ("crawl", "getup_facedown", "getup_faceup")


@dataclass(frozen=True)
class Motion:
    """A recording: seconds (n,); joints in rad (n, joints); pelvis turn (n, 4) as w, x, y, z; pelvis place in m (n, 3).

    Lengths are those of a person whose root is REFERENCE_HIP_M over the floor.
    """

    name: str
    times: Vector
    joints: Vector
    turn: Vector
    place: Vector

    def at(self, t: float) -> tuple[Vector, Vector, Vector]:
        """Joints, turn and place t seconds after the beginning, held at both ends."""
        place = float(np.interp(t, self.times, np.arange(len(self.times))))
        low = min(int(place), len(self.times) - 2)
        share = place - low
        turn = (1 - share) * self.turn[low] + share * self.turn[low + 1]
        return (
            (1 - share) * self.joints[low] + share * self.joints[low + 1],
            turn / np.linalg.norm(turn),
            (1 - share) * self.place[low] + share * self.place[low + 1],
        )


@dataclass(frozen=True)
class Cycle:
    """One gait cycle at CYCLE_POINTS phases: joints in rad; pelvis turn against the way walked; metres and seconds."""

    name: str
    joints: Vector
    turn: Vector
    stride_m: float
    seconds: float

    def at(self, phase: float) -> tuple[Vector, Vector]:
        """Joints and pelvis turn at a phase, 1 a cycle, any number."""
        place = (phase % 1.0) * CYCLE_POINTS
        low, share = int(place) % CYCLE_POINTS, place % 1.0
        high = (low + 1) % CYCLE_POINTS
        turn = (1 - share) * self.turn[low] + share * self.turn[high]
        return (1 - share) * self.joints[low] + share * self.joints[high], turn / np.linalg.norm(turn)


@dataclass(frozen=True)
class Motions:
    """All recordings of a folder: gait cycles by file, and whole motions by name (MOTION_FILES)."""

    gaits: dict[str, tuple[Cycle, ...]]
    whole: dict[str, Motion]


def _axes_angles(quaternions: Vector) -> tuple[Vector, Vector, Vector]:
    """Angles about y, x, z (in this order, each in the turned frame) of rotations (n, 4) already in our axes."""
    w, x, y, z = quaternions.T
    about_x = np.arcsin(np.clip(2 * (w * x - y * z), -1, 1))
    about_y = np.arctan2(2 * (x * z + w * y), 1 - 2 * (x * x + y * y))
    about_z = np.arctan2(2 * (x * y + w * z), 1 - 2 * (x * x + z * z))
    return about_y, about_x, about_z


def _ours(quaternions: Vector) -> Vector:
    """Rotations of the file's axes in ours, on one side of the sphere so that neighbours can be mixed."""
    w, x, y, z = quaternions.T
    out = np.stack([w, x, -z, y], axis=1)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    flips = np.cumprod(np.concatenate([[1.0], np.where((out[1:] * out[:-1]).sum(1) < 0, -1.0, 1.0)]))
    return np.asarray(out * flips[:, None])


def _joints_of(frames: Vector) -> Vector:
    joints = np.zeros((len(frames), len(JOINTS)))
    for start, hinges, signs in _SPHERICAL.values():
        angles = _axes_angles(_ours(frames[:, start : start + 4]))
        for hinge, sign, angle in zip(hinges, signs, angles, strict=True):
            if hinge:
                joints[:, JOINT_INDEX[hinge]] = sign * np.unwrap(angle)
    for column, (hinge, sign) in _HINGES.items():
        joints[:, JOINT_INDEX[hinge]] = sign * frames[:, column]
    return np.clip(joints, _LOW, _HIGH)


def read_motion(path: Path) -> Motion:
    """Read one file. Raises ValueError, naming the file, when it is not a DeepMimic motion of a humanoid."""
    try:
        frames = np.array(json.loads(path.read_text())["Frames"], float)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a DeepMimic motion ({error}); fetch the file again") from error
    if frames.ndim != 2 or frames.shape[1] != FRAME_NUMBERS or len(frames) < 3 or not np.isfinite(frames).all():
        raise ValueError(f"{path} is no humanoid motion: frames of {FRAME_NUMBERS} numbers wanted; fetch it again")
    times = np.concatenate([[0.0], np.cumsum(frames[:-1, 0])])
    place = np.stack([frames[:, 1], -frames[:, 3], frames[:, 2]], axis=1)
    return Motion(path.stem.removeprefix("humanoid3d_"), times, _joints_of(frames), _ours(frames[:, 4:8]), place)


def mirrored_motion(motion: Motion) -> Motion:
    """Left and right exchanged."""
    joints = motion.joints.copy()
    for name, index in JOINT_INDEX.items():
        if name.startswith("l_"):
            other = JOINT_INDEX["r_" + name[2:]]
            joints[:, index], joints[:, other] = motion.joints[:, other], motion.joints[:, index]
        elif name in ("waist_side", "waist_twist", "neck_twist"):
            joints[:, index] *= -1
    return replace(
        motion, joints=joints, turn=motion.turn * np.array([1, -1, 1, -1]), place=motion.place * np.array([1, -1, 1])
    )


def _cut(motion: Motion, start_s: float, seconds: float) -> Cycle:
    """A cycle between two moments; what does not close is spread over the last fifth."""
    phases = np.arange(CYCLE_POINTS + 1) / CYCLE_POINTS
    rows = [motion.at(start_s + phase * seconds) for phase in phases]
    joints, turn = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    way = rows[-1][2] - rows[0][2]
    half = -float(np.arctan2(way[1], way[0])) / 2
    turn = np.array([multiply(np.array([np.cos(half), 0.0, 0.0, np.sin(half)]), row) for row in turn])
    share = np.clip((phases - 0.8) / 0.2, 0, 1)[:, None]
    joints, turn = joints + share * (joints[0] - joints[-1]), turn + share * (turn[0] - turn[-1])
    return Cycle(motion.name, joints[:-1], turn[:-1], float(np.hypot(way[0], way[1])), seconds)


def _strides(motion: Motion, most: int = 6) -> tuple[Cycle, ...]:
    """Cycles found in a long recording: straight walking that comes back to the same pose, the best few."""
    dense = np.arange(0.0, motion.times[-1], 1 / 30)
    rows = [motion.at(t) for t in dense]
    place = np.array([row[2][:2] for row in rows])
    legs = [JOINT_INDEX[f"{side}_{joint}"] for side in "lr" for joint in ("hip", "knee", "ankle")]
    pose = np.array([row[0][legs] for row in rows])
    state = np.concatenate([pose, 0.15 * np.gradient(pose, 1 / 30, axis=0)], axis=1)
    found = []
    for i in range(0, len(dense) - 60, 8):
        gaps = [float(np.abs(state[i + k] - state[i]).mean()) for k in range(21, 48)]
        k = 21 + int(np.argmin(gaps))
        way, first = place[i + k] - place[i], place[i + k // 2] - place[i]
        metres = float(np.hypot(*way))
        if metres > 0.5 * k / 30 and float(way @ first) > 0.985 * metres * float(np.hypot(*first)):
            found.append((min(gaps), i, k))
    best: list[tuple[float, int, int]] = []
    for gap, i, k in sorted(found):
        if len(best) < most and all(abs(i - other) > 30 for _, other, _ in best):
            best.append((gap, i, k))
    return tuple(_cut(motion, float(dense[i]), k / 30) for _, i, k in best)


@lru_cache(maxsize=2)
def _open(folder: Path) -> Motions:
    gaits: dict[str, tuple[Cycle, ...]] = {}
    for name in GAIT_FILES:
        motion = read_motion(folder / f"humanoid3d_{name}.txt")
        gaits[name] = _strides(motion) if name.startswith("long") else (_cut(motion, 0.0, float(motion.times[-1])),)
        if not gaits[name]:
            raise ValueError(f"{folder / f'humanoid3d_{name}.txt'} holds no straight walk; fetch the file again")
    whole = {name: read_motion(folder / f"humanoid3d_{name}.txt") for name in MOTION_FILES}
    return Motions(gaits, whole)


def open_motions(data: Path | None) -> Motions | None:
    """The recordings in data/mocap, read once a process; None where there is no such folder.

    Raises ValueError, naming the file, for one that is missing or torn.
    """
    if data is None or not (data / "mocap").is_dir():
        return None
    return _open((data / "mocap").resolve())
