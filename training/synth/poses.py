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
    "shoe_on_seat": {
        "l_hip": 98,
        "l_knee": 95,
        "r_hip": 20,
        "r_knee": 8,
        "shoulder": 85,
        "elbow": 25,
        "waist": 45,
        "pitch": 18,
        "neck": -10,
    },
    "sweep_left": {
        "l_shoulder": 55,
        "l_elbow": 40,
        "r_shoulder": 30,
        "r_elbow": 70,
        "waist": 16,
        "waist_twist": 22,
        "pitch": 6,
        "hip": 10,
        "knee": 6,
    },
    "sweep_right": {
        "l_shoulder": 30,
        "l_elbow": 65,
        "r_shoulder": 55,
        "r_elbow": 35,
        "waist": 20,
        "waist_twist": -22,
        "pitch": 8,
        "hip": 12,
        "knee": 8,
    },
    "arms_up": {"shoulder": 165, "arm_out": 8, "elbow": 12, "hip": 2, "knee": 3},
    "arms_side": {"arm_out": 92, "elbow": 8, "hip": 2, "knee": 3},
    "side_stretch": {"l_shoulder": 160, "l_elbow": 20, "r_arm_out": 12, "waist_side": 25, "hip": 2, "knee": 3},
    "lunge": {"l_hip": 55, "l_knee": 65, "r_hip": -18, "r_knee": 45, "r_ankle": -20, "shoulder": 20, "elbow": 60},
    "curtain_near": {"shoulder": 140, "arm_out": 8, "elbow": 25, "hip": 2, "knee": 3},
    "curtain_far": {"shoulder": 120, "arm_out": 70, "elbow": 15, "hip": 2, "knee": 3},
    "shirt_over_head": {"shoulder": 150, "arm_out": 20, "elbow": 120, "waist": 14, "neck": 25, "hip": 4, "knee": 4},
    "sleeve": {
        "l_shoulder": -30,
        "l_elbow": 60,
        "r_shoulder": 70,
        "r_elbow": 110,
        "waist_twist": 20,
        "hip": 4,
        "knee": 4,
    },
    "one_leg": {
        "l_hip": 85,
        "l_knee": 85,
        "r_hip": 12,
        "r_knee": 12,
        "shoulder": 60,
        "elbow": 35,
        "waist": 32,
        "pitch": 12,
    },
    "pull_up": {"hip": 40, "knee": 32, "shoulder": 25, "elbow": 30, "waist": 26, "pitch": 22, "ankle": 10},
    "lean_over": {"hip": 48, "knee": 14, "shoulder": 72, "elbow": 35, "waist": 32, "pitch": 34, "neck": -5},
    "handles": {"shoulder": 38, "elbow": 52, "arm_out": 8, "waist": 14, "hip": 6, "knee": 6},
    "sit_arms_up": {"hip": 86, "knee": 88, "shoulder": 160, "elbow": 12, "arm_out": 10, "pitch": -4},
    "sit_arms_side": {"hip": 86, "knee": 88, "arm_out": 92, "elbow": 10, "pitch": -4},
    "sit_leg_out": {"hip": 86, "l_knee": 12, "r_knee": 88, "shoulder": 15, "elbow": 40, "pitch": -10},
    "sit_march": {"l_hip": 115, "r_hip": 84, "knee": 88, "shoulder": 30, "elbow": 75, "pitch": -4},
    "sit_twist": {"hip": 86, "knee": 88, "waist_twist": 35, "shoulder": 60, "elbow": 80, "neck_twist": 30},
    "sit_lean": {"hip": 86, "knee": 86, "waist_side": 28, "l_arm_out": 30, "shoulder": 10, "elbow": 40, "waist": 14},
    "slump": {
        "hip": 72,
        "knee": 58,
        "shoulder": 8,
        "elbow": 25,
        "arm_out": 12,
        "pitch": -34,
        "waist": 34,
        "neck": 42,
        "leg_out": 12,
    },
    "slump_side": {
        "hip": 78,
        "knee": 66,
        "shoulder": 6,
        "elbow": 15,
        "pitch": -22,
        "lean": 14,
        "waist_side": 26,
        "neck": 35,
        "waist": 18,
    },
    "nod": {"hip": 86, "knee": 84, "shoulder": 18, "elbow": 60, "pitch": -10, "waist": 18, "neck": 46},
    "hand_to_mouth": {
        "hip": 86,
        "knee": 88,
        "l_shoulder": 45,
        "l_elbow": 65,
        "r_shoulder": 48,
        "r_elbow": 132,
        "waist": 12,
    },
    "hand_to_plate": {
        "hip": 86,
        "knee": 88,
        "l_shoulder": 45,
        "l_elbow": 62,
        "r_shoulder": 50,
        "r_elbow": 55,
        "waist": 16,
    },
    "read": {"hip": 86, "knee": 84, "shoulder": 32, "elbow": 98, "pitch": -12, "neck": 18, "arm_out": 4},
    "push_wheels": {"hip": 86, "knee": 80, "shoulder": 5, "elbow": 70, "waist": 16},
    "push_wheels_far": {"hip": 86, "knee": 80, "shoulder": 45, "elbow": 35, "waist": 24},
    "scrub_near": {
        "hip": 84,
        "knee": 88,
        "ankle": -45,
        "l_shoulder": 84,
        "l_elbow": 6,
        "r_shoulder": 62,
        "r_elbow": 40,
        "pitch": 74,
        "neck": -20,
    },
    "scrub_far": {
        "hip": 74,
        "knee": 80,
        "ankle": -45,
        "l_shoulder": 92,
        "l_elbow": 8,
        "r_shoulder": 118,
        "r_elbow": 8,
        "pitch": 78,
        "neck": -25,
        "r_arm_out": 20,
    },
    "plank": {"hip": 6, "knee": 4, "ankle": 10, "shoulder": 84, "elbow": 5, "pitch": 76, "neck": -20},
    "legs_up": {"hip": 72, "knee": 12, "shoulder": 4, "arm_out": 18, "elbow": 6, "pitch": -90, "ankle": -10},
    "leg_up": {"l_hip": 72, "l_knee": 8, "r_hip": 30, "r_knee": 70, "shoulder": 4, "arm_out": 18, "pitch": -90},
    "sit_up": {"hip": 82, "knee": 85, "shoulder": 75, "elbow": 10, "waist": 42, "pitch": -42, "neck": 10},
    "bridge": {"hip": -8, "knee": 88, "shoulder": 14, "arm_out": 15, "pitch": -114, "ankle": 5},
    "floor_reach": {"hip": 92, "knee": 8, "shoulder": 95, "elbow": 8, "waist": 55, "pitch": 8, "leg_out": 10},
    "play_low": {"hip": 100, "knee": 140, "ankle": -45, "shoulder": 70, "elbow": 35, "waist": 42, "pitch": 24},
    "on_back_arms": {"shoulder": 150, "arm_out": 25, "elbow": 40, "hip": 5, "knee": 8, "pitch": -90, "leg_out": 8},
    "on_side_straight": {"shoulder": 25, "elbow": 50, "hip": 12, "knee": 18, "pitch": -90, "spin": 78},
    "propped": {
        "hip": 46,
        "knee": 12,
        "shoulder": 10,
        "elbow": 45,
        "waist": 12,
        "pitch": -58,
        "neck": 22,
        "leg_out": 6,
    },
    "brace": {"shoulder": 85, "elbow": 35, "arm_out": 15, "hip": 20, "knee": 25, "waist": 10, "neck": -25},
    "throw_arms": {"shoulder": 70, "arm_out": 60, "elbow": 30, "hip": 25, "knee": 30, "waist": -5, "neck": 20},
    "slack": {"shoulder": 15, "arm_out": 15, "elbow": 30, "hip": 45, "knee": 80, "waist": 25, "neck": 35},
    "curl": {"shoulder": 50, "elbow": 90, "hip": 60, "knee": 80, "waist": 25, "neck": 20},
    "sprawl": {"shoulder": 60, "arm_out": 50, "elbow": 40, "hip": 5, "knee": 20, "waist": 0},
}
"""Plain names set both sides; l_ and r_ names set one. pitch, lean and spin turn the pelvis."""

STANDING: Final = ("stand", "stand", "stand", "think", "reach_up", "wave")
LYING_POSES: Final = ("on_back", "on_back_knees", "on_side", "on_front", "on_back_arms", "on_side_straight")
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
