"""Crawling: low along the floor as recorded (after a fall), or on hands and knees (after a fall, and on purpose)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from training.synth.everyday import angle
from training.synth.motion import Ground, Target, Xy, heading_towards
from training.synth.people import JOINT_INDEX
from training.synth.poses import Pose, Vector, between, turn_quaternion, varied
from training.synth.replayed import crawl
from training.synth.script import Script, open_spot

if TYPE_CHECKING:
    from training.synth.stage import Stage

STRIDE_M: Final = 0.55
"""Way of a hand and the opposite knee in a full cycle, adults at ease: 0.5-0.6 m."""
LONGEST_M: Final = 1.6
"""Free floor wanted before somebody who crawls on purpose."""
REACH: Final = 0.35
"""Swing of arm and thigh to either side of the vertical, rad: half of STRIDE_M at a limb of 0.8 m."""


@dataclass
class HandsAndKnees:
    """Crawl ahead at `speed` m/s on hands and knees, an arm and the opposite thigh together."""

    duration_s: float
    speed: float
    pose: Pose
    _start: Target = field(init=False, repr=False)
    _ground: Ground = field(init=False, repr=False)

    def begin(self, start: Target, ground: Ground) -> None:
        """From wherever the body is, the way it faces."""
        self._start, self._ground, self._yaw = start, ground, heading_towards(start.turn, self.pose)

    def _joints(self, t: float) -> Vector:
        joints, phase = self.pose.joints.copy(), 2 * np.pi * t * self.speed / STRIDE_M
        for side, offset in (("l", 0.0), ("r", np.pi)):
            swing = REACH * np.sin(phase + offset)
            joints[JOINT_INDEX[f"{side}_shoulder"]] += swing
            joints[JOINT_INDEX[f"{side}_elbow"]] += 0.5 * max(0.0, np.cos(phase + offset))
            joints[JOINT_INDEX[f"{side}_hip"]] -= swing
        joints[JOINT_INDEX["waist_side"]] += 0.08 * np.sin(phase)
        return joints

    def target(self, t: float) -> Target:
        """The pelvis led ahead, blended in during the first 0.8 s."""
        blend = min(1.0, t / 0.8)
        joints = self._start.joints + blend * (self._joints(t) - self._start.joints)
        turn = between(self._start.turn, turn_quaternion(self._yaw, self.pose), blend)
        x, y = self._start.place[:2] + self.speed * t * np.array([np.cos(self._yaw), np.sin(self._yaw)])
        return Target(np.array([x, y, self._ground(joints, turn, 0.0)]), turn, joints)


def on_hands_and_knees(script: Script, seconds: float) -> None:
    """Go down on hands and knees and crawl ahead for so long."""
    rng = script.rng
    script.go("all_fours", float(rng.uniform(0.9, 2.2)))
    script.segments.append(HandsAndKnees(seconds, float(rng.uniform(0.12, 0.45)), varied("all_fours", rng)))


def crawl_on(stage: Stage, script: Script, seconds: float) -> None:
    """After a fall: along the floor as recorded, where there are recordings, or on hands and knees."""
    if stage.motions is not None and stage.rng.random() < 0.5:
        script.segments.append(crawl(stage.motions, script.figure, stage.rng, min(seconds, 3.0)))
    else:
        on_hands_and_knees(script, seconds)


def _free_way(stage: Stage) -> tuple[Xy, float]:
    """A place and a heading with LONGEST_M of free floor ahead. Raises LookupError in a crowded room."""
    for _ in range(16):
        spot, heading = open_spot(stage.room, stage.rng), angle(stage.rng)
        ahead = (spot[0] + LONGEST_M * float(np.cos(heading)), spot[1] + LONGEST_M * float(np.sin(heading)))
        if stage.room.clear_way(spot, ahead, 0.4):
            return spot, heading
    raise LookupError("no room to crawl")


def crawls(stage: Stage) -> list[Script]:
    """Kneels down, crawls some way (looking for something, playing), kneels and stands up again."""
    rng = stage.rng
    spot, heading = _free_way(stage)
    script = stage.script().start("stand", spot, heading).stay(0.5, 3)
    script.go("half_kneel", float(rng.uniform(0.9, 2.0)))
    for _ in range(int(rng.integers(1, 3))):
        on_hands_and_knees(script, float(rng.uniform(1.0, 3.0)))
        script.stay(0.2, 2.0)
    for pose in ("all_fours", "half_kneel", "stand"):
        script.go(pose, float(rng.uniform(0.9, 2.0)))
    return [script.stay(1, 4)]
