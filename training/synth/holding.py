"""Arms that hold something while the rest of the body walks, waits or turns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from training.synth.motion import Ground, Lose, Move, Segment, Stay, Target
from training.synth.people import JOINT_INDEX
from training.synth.poses import Vector
from training.synth.script import Script

Arms = dict[str, float]
"""Joint name -> angle in degrees."""


def _both(**degrees: float) -> Arms:
    return {f"{side}_{name}": angle for name, angle in degrees.items() for side in "lr"}


CARRY: Final = _both(shoulder=28, elbow=82, arm_out=6, arm_twist=0)
"""Forearms level before the belly: a tray, a box, a basket."""
GRIPS: Final = _both(shoulder=24, elbow=34, arm_out=6, arm_twist=0)
"""Hands at hip height half an arm ahead: walking frame, rollator, the handles of a wheelchair."""
STICK: Final = {"r_shoulder": 14.0, "r_elbow": 30.0, "r_arm_out": 8.0, "r_arm_twist": 0.0}


@dataclass
class Holding:
    """A segment whose arm joints stay at fixed angles within 0.4 s of its beginning."""

    inner: Segment
    arms: Arms

    def __post_init__(self) -> None:
        self.duration_s = self.inner.duration_s

    def begin(self, start: Target, ground: Ground) -> None:
        """Take over from where the body is."""
        self._from = start.joints
        self.inner.begin(start, ground)

    def target(self, t: float) -> Target:
        """The inner target with the arms held."""
        target, share = self.inner.target(t), min(1.0, t / 0.4)
        return replace(target, joints=_held(target.joints, self.arms, share, self._from))


def _held(joints: Vector, arms: Arms, share: float = 1.0, before: Vector | None = None) -> Vector:
    out = joints.copy()
    for name, degrees in arms.items():
        index = JOINT_INDEX[name]
        first = out[index] if before is None else before[index]
        out[index] = first + share * (np.radians(degrees) - first)
    return out


def hold(script: Script, arms: Arms, start: int = 0) -> Script:
    """Hold the arms so in every piece of the script from number `start` on."""
    for index in range(start, len(script.segments)):
        segment = script.segments[index]
        if isinstance(segment, Move):
            segment.pose = replace(segment.pose, joints=_held(segment.pose.joints, arms))
        elif not isinstance(segment, Lose | Stay):
            script.segments[index] = Holding(segment, arms)
    return script
