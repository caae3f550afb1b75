"""Key poses of everyday life as joint angles in degrees, and small random changes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.synth.people import JOINT_INDEX, JOINTS

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

POSES: Final[dict[str, dict[str, float]]] = {
    "stand": {"shoulder": 2, "arm_out": 7, "elbow": 14, "hip": 2, "knee": 3},
    "think": {"shoulder": 30, "elbow": 120, "arm_twist": 20, "hip": 2, "knee": 3, "r_shoulder": 20, "r_elbow": 80},
    "reach_up": {"l_shoulder": 150, "l_elbow": 15, "r_shoulder": 20, "r_elbow": 20, "arm_out": 8},
    "wave": {"l_shoulder": 60, "l_arm_out": 70, "l_elbow": 80, "r_arm_out": 8, "r_elbow": 15},
    "sit": {"hip": 85, "knee": 88, "shoulder": 22, "elbow": 55, "arm_out": 8, "waist": 6, "pitch": -6, "leg_out": 6},
    "sit_back": {
        "hip": 88,
        "knee": 70,
        "shoulder": 15,
        "elbow": 40,
        "arm_out": 14,
        "pitch": -24,
        "leg_out": 8,
        "neck": 12,
    },
    "sit_bow": {"hip": 108, "knee": 95, "shoulder": 75, "elbow": 20, "waist": 38, "pitch": 22, "neck": -10},
    "rise": {"hip": 100, "knee": 95, "shoulder": 50, "elbow": 25, "waist": 25, "pitch": 32, "ankle": 12, "neck": -15},
    "bend": {"hip": 78, "knee": 22, "shoulder": 88, "elbow": 6, "waist": 42, "pitch": 58, "ankle": 4, "neck": -10},
    "reach_down": {"hip": 100, "knee": 70, "shoulder": 80, "elbow": 10, "waist": 35, "pitch": 48, "ankle": 14},
    "squat": {
        "hip": 118,
        "knee": 130,
        "shoulder": 70,
        "elbow": 30,
        "waist": 25,
        "pitch": 24,
        "ankle": 26,
        "leg_out": 12,
    },
    "kneel": {"hip": 8, "knee": 95, "ankle": -40, "shoulder": 20, "elbow": 40, "waist": 12},
    "kneel_sit": {"hip": 95, "knee": 145, "ankle": -45, "shoulder": 25, "elbow": 40, "waist": 12, "pitch": 5},
    "half_kneel": {
        "l_hip": 88,
        "l_knee": 88,
        "r_hip": 5,
        "r_knee": 95,
        "r_ankle": -20,
        "shoulder": 30,
        "elbow": 50,
        "waist": 18,
    },
    "all_fours": {
        "hip": 82,
        "knee": 88,
        "ankle": -45,
        "shoulder": 84,
        "elbow": 6,
        "pitch": 78,
        "neck": -25,
        "arm_out": 6,
    },
    "floor_sit": {"hip": 88, "knee": 12, "shoulder": 20, "elbow": 30, "waist": 20, "pitch": -8, "leg_out": 8},
    "floor_sit_back": {"hip": 75, "knee": 60, "shoulder": -45, "elbow": 8, "waist": 5, "pitch": -28, "neck": 10},
    "cross_legged": {"hip": 95, "leg_out": 40, "leg_twist": -30, "knee": 125, "shoulder": 35, "elbow": 50, "waist": 22},
    "on_back": {
        "shoulder": 5,
        "arm_out": 18,
        "elbow": 20,
        "hip": 4,
        "knee": 6,
        "ankle": -25,
        "pitch": -90,
        "leg_out": 6,
    },
    "on_back_knees": {"shoulder": 8, "arm_out": 25, "elbow": 75, "hip": 45, "knee": 85, "pitch": -90, "neck": 10},
    "on_side": {"shoulder": 45, "elbow": 75, "hip": 50, "knee": 70, "waist": 12, "pitch": -90, "spin": 80, "neck": 8},
    "on_front": {
        "shoulder": 20,
        "arm_out": 60,
        "elbow": 80,
        "hip": 2,
        "knee": 4,
        "ankle": -40,
        "pitch": -90,
        "spin": 175,
    },
    "half_lying": {
        "hip": 55,
        "knee": 30,
        "shoulder": -20,
        "elbow": 35,
        "arm_out": 20,
        "waist": 15,
        "pitch": -50,
        "neck": 15,
    },
    "brace": {"shoulder": 85, "elbow": 35, "arm_out": 15, "hip": 20, "knee": 25, "waist": 10, "neck": -25},
    "throw_arms": {"shoulder": 70, "arm_out": 60, "elbow": 30, "hip": 25, "knee": 30, "waist": -5, "neck": 20},
    "slack": {"shoulder": 15, "arm_out": 15, "elbow": 30, "hip": 45, "knee": 80, "waist": 25, "neck": 35},
    "curl": {"shoulder": 50, "elbow": 90, "hip": 60, "knee": 80, "waist": 25, "neck": 20},
    "sprawl": {"shoulder": 60, "arm_out": 50, "elbow": 40, "hip": 5, "knee": 20, "waist": 0},
}
"""Plain names set both sides; l_ and r_ names set one. pitch, lean and spin turn the pelvis."""

STANDING: Final = ("stand", "stand", "stand", "think", "reach_up", "wave")
LYING_POSES: Final = ("on_back", "on_back_knees", "on_side", "on_front")
LOW_POSES: Final = (
    "squat",
    "kneel",
    "kneel_sit",
    "half_kneel",
    "all_fours",
    "floor_sit",
    "floor_sit_back",
    "cross_legged",
)

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
