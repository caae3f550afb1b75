"""Hurried steps that try to catch a body which has lost its balance: they save it or they do not."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.synth.motion import Ground, Target, heading_of
from training.synth.people import JOINT_INDEX
from training.synth.poses import Pose, Vector, between, named_pose, turn_quaternion

SWING: float = 0.5
"""Half the angle between the thighs in a hurried step, rad: 0.85 m steps at 0.87 m legs."""


@dataclass
class Stumble:
    """Steps along `angle` (world, rad), from speed `before` to `after` m/s, the trunk tilting by up to `bow` rad.

    step_s: seconds a step takes. The pelvis is still led: what follows decides whether the body goes down.
    """

    duration_s: float
    angle: float
    before: float
    after: float
    bow: float
    step_s: float = 0.32
    _start: Target = field(init=False, repr=False)
    _ground: Ground = field(init=False, repr=False)

    def begin(self, start: Target, ground: Ground) -> None:
        """From wherever the jolt has brought the body."""
        self._start, self._ground = start, ground
        self._yaw = heading_of(start.turn)
        self._ahead, self._aside = float(np.cos(self.angle - self._yaw)), float(np.sin(self.angle - self._yaw))
        self._arms = named_pose("brace" if self._ahead > 0.3 else "throw_arms").joints

    def _joints(self, t: float, tilt: float) -> Vector:
        share = min(1.0, t / self.duration_s)
        joints = self._start.joints + 0.7 * share * (self._arms - self._start.joints)
        for side, out, offset in (("l", 1.0, 0.0), ("r", -1.0, np.pi)):
            phase = np.pi * t / self.step_s + offset
            reach, lift = -SWING * np.cos(phase), max(0.0, np.sin(phase))
            joints[JOINT_INDEX[f"{side}_hip"]] = self._ahead * (reach + tilt) + 0.3 * lift
            joints[JOINT_INDEX[f"{side}_leg_out"]] = max(-0.2, out * self._aside * 0.8 * reach)
            joints[JOINT_INDEX[f"{side}_knee"]] = 0.2 + 0.8 * lift
            joints[JOINT_INDEX[f"{side}_ankle"]] = 0.0
        return np.asarray(joints)

    def target(self, t: float) -> Target:
        """The pelvis carried along, legs stepping under it."""
        share = min(1.0, t / self.duration_s)
        tilt = self.bow * share
        way = self.before * t + (self.after - self.before) * t * t / (2 * self.duration_s)
        blend = min(1.0, t / min(0.15, self.duration_s))
        joints = self._start.joints + blend * (self._joints(t, tilt) - self._start.joints)
        lean = turn_quaternion(self._yaw, Pose(joints, self._ahead * tilt, -self._aside * tilt))
        turn = between(self._start.turn, lean, blend)
        x, y = self._start.place[:2] + way * np.array([np.cos(self.angle), np.sin(self.angle)])
        height = self._start.place[2] + blend * (self._ground(joints, turn, 0.0) - self._start.place[2])
        return Target(np.array([x, y, height]), turn, joints)
