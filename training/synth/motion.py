"""What a person intends, piece by piece: move to a pose, walk a path, or lose control and leave it to the physics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from training.synth.people import JOINT_INDEX, Figure
from training.synth.poses import Pose, Vector, between, named_pose, turn_quaternion

Xy = tuple[float, float]


def heading_along(path: Sequence[Xy]) -> float:
    """Which way the first piece of a path goes, radians."""
    return float(np.arctan2(path[1][1] - path[0][1], path[1][0] - path[0][0]))


@dataclass(frozen=True)
class Target:
    """Where control wants the body now: pelvis place (m) and turn, joints (rad), strength 0..1, balance held or not."""

    place: Vector
    turn: Vector
    joints: Vector
    strength: float = 1.0
    balanced: bool = True


@dataclass(frozen=True)
class Push:
    """A force on one part for a while: N in the world frame, seconds after the loss of balance."""

    part: str
    force: tuple[float, float, float]
    start_s: float
    end_s: float


Ground = Callable[[Vector, Vector, float], float]
"""(joints, turn, height of the support in m) -> height of the pelvis that puts the lowest point on the support."""


class Segment(Protocol):
    """One piece of a script. `begin` is called once with the state it starts from, `target` at every control tick."""

    duration_s: float

    def begin(self, start: Target, ground: Ground) -> None:
        """Take over from where the body is."""

    def target(self, t: float) -> Target:
        """The target t seconds after the beginning, 0 <= t <= duration_s."""


def _smooth(share: float) -> float:
    """Minimum-jerk ease from 0 to 1 (Flash and Hogan 1985)."""
    s = min(1.0, max(0.0, share))
    return s**3 * (10 - 15 * s + 6 * s * s)


_EASES: Final[dict[str, Callable[[float], float]]] = {
    "smooth": _smooth,
    "in": lambda share: min(1.0, share) ** 2,
    "out": lambda share: 1 - max(0.0, 1 - share) ** 2,
    "through": lambda share: min(1.0, share),
}
"""How a move starts and stops: at rest on both ends, at rest only before, only after, or on neither."""


@dataclass
class Move:
    """Go to a pose in duration_s. Without `xy` or `yaw` the body stays where it is or keeps its heading.

    ahead_m: how far it goes the way it faces. support_m: height of what the lowest point rests on; pelvis_m instead
    fixes the height of the hips (on a seat).
    """

    duration_s: float
    pose: Pose
    xy: Xy | None = None
    yaw: float | None = None
    support_m: float = 0.0
    pelvis_m: float | None = None
    ease: str = "smooth"
    ahead_m: float = 0.0
    _start: Target = field(init=False, repr=False)
    _end: Target = field(init=False, repr=False)

    def begin(self, start: Target, ground: Ground) -> None:
        """Fix the end of the move from the present place."""
        heading = heading_towards(start.turn, self.pose) if self.yaw is None else self.yaw
        turn = turn_quaternion(heading, self.pose)
        x, y = self.xy if self.xy is not None else (start.place[0], start.place[1])
        x, y = x + self.ahead_m * np.cos(heading), y + self.ahead_m * np.sin(heading)
        z = self.pelvis_m if self.pelvis_m is not None else ground(self.pose.joints, turn, self.support_m)
        self._start, self._end = start, Target(np.array([x, y, z]), turn, self.pose.joints)

    def target(self, t: float) -> Target:
        """Eased between start and end."""
        s = _EASES[self.ease](t / max(self.duration_s, 1e-6))
        a, b = self._start, self._end
        joints = a.joints + s * (b.joints - a.joints)
        return Target(a.place + s * (b.place - a.place), between(a.turn, b.turn, s), joints)


RISING_PITCH: Final = float(np.radians(-20))
"""Poses leaned back further than this are lying ones."""


def heading_towards(turn: Vector, pose: Pose) -> float:
    """The heading with which a body takes a pose: who lies or crawls face down rises the way the head points."""
    w, x, y, z = turn
    if 2 * (x * z - w * y) < -0.8 and pose.pitch > RISING_PITCH:
        return float(np.arctan2(2 * (y * z - w * x), 2 * (x * z + w * y)))
    return heading_of(turn)


def heading_of(turn: Vector) -> float:
    """Yaw of a pelvis turn: where the front points, or, for a body on its back or front, where its feet point."""
    w, x, y, z = turn
    front = np.array([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)])
    up = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    flat = front if abs(front[2]) < 0.8 and abs(up[2]) > 0.5 else -up
    return float(np.arctan2(flat[1], flat[0]))


@dataclass(frozen=True)
class Gait:
    """How somebody walks: speed in m/s, swing scales the step, shuffle 0..1 takes the foot lift away."""

    speed: float
    swing: float = 1.0
    shuffle: float = 0.0
    arms: float = 1.0
    wobble: float = 0.0


def random_gait(rng: np.random.Generator, speed: float | None = None) -> Gait:
    """Walking speed 0.35-1.4 m/s: frail residents at the low end, staff at the high end."""
    pace = float(rng.uniform(0.35, 1.4)) if speed is None else speed
    frail = float(np.clip(1.1 - pace, 0, 1))
    return Gait(
        pace, float(rng.uniform(0.85, 1.1)), frail * float(rng.random()), float(rng.uniform(0.2, 1.2)), 0.03 * frail
    )


@dataclass
class Walk:
    """Follow a path of points at the pace of the gait; the stance leg sets the height of the hips."""

    path: list[Xy]
    gait: Gait
    figure: Figure
    duration_s: float = field(init=False)
    _start: Target = field(init=False, repr=False)
    _ground: Ground = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._points = np.array(self.path, float)
        self._lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self._points, axis=0), axis=1))])
        self.duration_s = float(self._lengths[-1] / self.gait.speed)
        base = named_pose("stand").joints.copy()
        base[JOINT_INDEX["waist"]] += np.radians(self.figure.stoop_deg)
        base[JOINT_INDEX["neck"]] -= np.radians(0.5 * self.figure.stoop_deg)
        self._base = base

    def begin(self, start: Target, ground: Ground) -> None:
        """Blend in from the present pose during the first half second."""
        self._start, self._ground = start, ground

    def _at(self, distance: float) -> tuple[Vector, float]:
        """Place on the path and heading there."""
        index = int(np.clip(np.searchsorted(self._lengths, distance, "right") - 1, 0, len(self._points) - 2))
        step = self._points[index + 1] - self._points[index]
        length = max(float(np.linalg.norm(step)), 1e-6)
        place = self._points[index] + step * (distance - self._lengths[index]) / length
        return place, float(np.arctan2(step[1], step[0]))

    def _legs_and_arms(self, t: float) -> Vector:
        """Joint angles of the walking cycle; step length grows with the square root of speed (Grieve 1968)."""
        gait, joints = self.gait, self._base.copy()
        step_m = 0.36 * self.figure.height_m * np.sqrt(gait.speed / 1.2) * gait.swing * (1 - 0.35 * gait.shuffle)
        swing = np.arcsin(np.clip(step_m / (2 * 0.49 * self.figure.height_m), 0.0, 0.6))
        phase = np.pi * gait.speed * t / step_m
        for side, offset in (("l", 0.0), ("r", np.pi)):
            p = phase + offset
            lift = max(0.0, np.cos(p)) ** 1.5
            joints[JOINT_INDEX[f"{side}_hip"]] = swing * np.sin(p) + 0.35 * lift * (1 - gait.shuffle)
            joints[JOINT_INDEX[f"{side}_knee"]] = 0.10 + (0.95 - 0.7 * gait.shuffle) * lift
            joints[JOINT_INDEX[f"{side}_ankle"]] = 0.10 * np.sin(p)
            joints[JOINT_INDEX[f"{side}_shoulder"]] = -0.9 * swing * gait.arms * np.sin(p)
            joints[JOINT_INDEX[f"{side}_elbow"]] = 0.35 + 0.2 * gait.arms * max(0.0, -np.sin(p))
        joints[JOINT_INDEX["waist_twist"]] += 0.10 * np.sin(phase)
        joints[JOINT_INDEX["waist_side"]] += 0.04 * np.cos(phase) + gait.wobble * np.sin(2.1 * t)
        return joints

    def _turn(self, yaw: float, t: float) -> Vector:
        """How the pelvis is turned on a way with that heading."""
        del t
        return turn_quaternion(yaw, Pose(self._base))

    def target(self, t: float) -> Target:
        """The pelvis on the path, turning within 0.3 m around corners."""
        s = min(1.0, t / 0.5)
        place, yaw = self._at(min(self._lengths[-1], t * self.gait.speed))
        _, ahead = self._at(min(self._lengths[-1], t * self.gait.speed + 0.3))
        turn = between(self._turn(yaw, t), self._turn(ahead, t), 0.5)
        joints = self._start.joints + s * (self._legs_and_arms(t) - self._start.joints)
        goal = np.array([place[0], place[1], self._ground(joints, turn, 0.0)])
        goal[:2] += (1 - s) * (self._start.place[:2] - self._points[0])
        return Target(goal, between(self._start.turn, turn, s), joints)


@dataclass(frozen=True)
class Wriggle:
    """Moving on the floor: how far each joint goes in rad, at `rate` rad/s, until still_s after the loss of balance."""

    reach: Vector
    rate: float = 1.5
    still_s: float = float("inf")


@dataclass
class Lose:
    """Balance is lost: nothing holds the pelvis, muscles go from full strength to `left` within fade_s.

    reflex: the pose the limbs still try for (arms out, knees giving way). pushes start the fall; slippery names the
    feet ("l", "r", "lr") under which there is hardly friction for slip_s; carried 1..0 is the share of the weight
    still held at the chest (a slow slide), fading to none at carry_s; until then the hips sink slower than sinks_m_s.
    wriggle: how the person moves on the floor afterwards; None lies still.
    """

    duration_s: float
    reflex: Pose
    left: float
    fade_s: float
    pushes: tuple[Push, ...] = ()
    slippery: str = ""
    slip_s: float = 1.2
    carried: float = 0.0
    carry_s: float = 2.0
    sinks_m_s: float = float("inf")
    wriggle: Wriggle | None = None
    _start: Target = field(init=False, repr=False)

    def begin(self, start: Target, ground: Ground) -> None:
        """Control lets go here."""
        del ground
        self._start = start

    def target(self, t: float) -> Target:
        """Joint targets glide to the reflex; later they may begin to wriggle, in bouts of some seconds."""
        s = _smooth(t / 0.35)
        strength = self.left + (1 - self.left) * max(0.0, 1 - t / self.fade_s)
        joints = self._start.joints + s * (self.reflex.joints - self._start.joints)
        begins = 2.5 + self.carry_s * (self.carried > 0)
        if self.wriggle is not None and t > begins:
            bout = min(1.0, max(0.0, 0.6 + np.sin(0.7 * (t - begins))))
            grown = bout * min(1.0, (t - begins) / 1.5, max(0.0, self.wriggle.still_s - t))
            waves = np.sin(self.wriggle.rate * t + 2.4 * np.arange(len(joints)))
            joints = joints + self.wriggle.reach * grown * waves
            strength = max(strength, 0.35 * grown)
        return Target(self._start.place, self._start.turn, joints, strength, balanced=False)


@dataclass
class Stay:
    """Keep what the last piece reached, with the small sway of a living body; sway 0 is a sleeper."""

    duration_s: float
    sway: float = 1.0
    _start: Target = field(init=False, repr=False)

    def begin(self, start: Target, ground: Ground) -> None:
        """Remember where the body is."""
        del ground
        self._start = start

    def target(self, t: float) -> Target:
        """Breath and sway around the start."""
        a, grown = self._start, self.sway * min(1.0, t / 0.5)
        sway = 0.005 * grown * np.array([np.sin(1.7 * t), np.sin(2.3 * t), 0.0])
        joints = a.joints + 0.02 * grown * np.sin(1.1 * t + np.arange(len(a.joints)))
        return Target(a.place + sway, a.turn, joints)
