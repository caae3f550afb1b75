"""Key poses of everyday life, and small random changes of them; turning a body."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.synth.people import JOINT_INDEX, JOINTS
from training.synth.pose_table import POSES

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """Joint angles in radians (order of people.JOINTS) and how the pelvis is turned, in radians.

    pitch: bowed forward (lying on the back is -pi/2); lean: to the right side; spin: rolled about the own long axis.
    """

    joints: Vector
    pitch: float = 0.0
    lean: float = 0.0
    spin: float = 0.0


_BOTH: Final = ("shoulder", "arm_out", "arm_twist", "elbow", "hip", "leg_out", "leg_twist", "knee", "ankle")

STANDING: Final = ("stand", "stand", "stand", "think", "reach_up", "wave")
LYING_POSES: Final = ("on_back", "on_back_knees", "on_side", "on_front", "on_back_arms", "on_side_straight")

_LOW: Final = np.radians([joint.low for joint in JOINTS])
_HIGH: Final = np.radians([joint.high for joint in JOINTS])


def named_pose(name: str) -> Pose:
    """The key pose as written in the table. Raises KeyError for a name that is not there."""
    joints = np.zeros(len(JOINTS))
    turn = {"pitch": 0.0, "lean": 0.0, "spin": 0.0}
    for key, degrees in sorted(POSES[name].items(), key=lambda item: item[0][:2] in ("l_", "r_")):
        if key in turn:
            turn[key] = float(np.radians(degrees))
            continue
        for joint in (f"l_{key}", f"r_{key}") if key in _BOTH else (key,):
            joints[JOINT_INDEX[joint]] = np.radians(degrees)
    return Pose(joints, **turn)


def mirrored(pose: Pose) -> Pose:
    """Left and right exchanged."""
    joints = pose.joints.copy()
    for name, index in JOINT_INDEX.items():
        if name.startswith("l_"):
            other = JOINT_INDEX["r_" + name[2:]]
            joints[index], joints[other] = pose.joints[other], pose.joints[index]
    for name in ("waist_side", "waist_twist", "neck_twist"):
        joints[JOINT_INDEX[name]] *= -1
    return Pose(joints, pose.pitch, -pose.lean, -pose.spin)


def varied(name: str, rng: np.random.Generator, stoop_deg: float = 0.0, spread_deg: float = 5.0) -> Pose:
    """A key pose as this person does it now: mirrored half the time, stooped, each joint off by spread_deg (1 sd)."""
    pose = named_pose(name)
    if rng.random() < 0.5:
        pose = mirrored(pose)
    joints = pose.joints + rng.normal(0.0, np.radians(spread_deg), len(JOINTS))
    joints[JOINT_INDEX["neck_twist"]] += rng.normal(0.0, np.radians(20))
    if abs(pose.pitch) < np.radians(60):
        joints[JOINT_INDEX["waist"]] += np.radians(stoop_deg)
        joints[JOINT_INDEX["neck"]] -= np.radians(0.5 * stoop_deg)
    return replace(
        pose,
        joints=np.clip(joints, _LOW, _HIGH),
        pitch=pose.pitch + float(rng.normal(0, np.radians(3))),
        lean=pose.lean + float(rng.normal(0, np.radians(2))),
    )


def turn_quaternion(yaw: float, pose: Pose) -> Vector:
    """Orientation of the pelvis, (w, x, y, z): heading yaw, then pitch, then lean, then spin about the long axis."""
    turn = np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])
    for angle, axis in ((pose.pitch, 2), (pose.lean, 1), (pose.spin, 3)):
        step = np.zeros(4)
        step[0], step[axis] = np.cos(angle / 2), np.sin(angle / 2)
        turn = multiply(turn, step)
    return turn


def multiply(a: Vector, b: Vector) -> Vector:
    """Product of two quaternions (w, x, y, z)."""
    w, x, y, z = a
    v, i, j, k = b
    return np.array(
        [
            w * v - x * i - y * j - z * k,
            w * i + x * v + y * k - z * j,
            w * j - x * k + y * v + z * i,
            w * k + x * j - y * i + z * v,
        ]
    )


def between(a: Vector, b: Vector, share: float) -> Vector:
    """The shorter way from quaternion a to b, share 0..1."""
    dot = float(a @ b)
    if dot < 0:
        b, dot = -b, -dot
    if dot > 0.9995:
        mixed = a + share * (b - a)
    else:
        angle = float(np.arccos(dot))
        mixed = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return np.asarray(mixed / np.linalg.norm(mixed))
