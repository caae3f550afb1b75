"""Runs the physics: scripts in, a trace of every step out. No rendering, no room knowledge beyond the contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np

from training.synth.motion import Lose, Segment, Target
from training.synth.people import JOINTS, STIFFNESS, Figure
from training.synth.poses import Vector

STEPS_PER_S: Final = 10
TICKS_PER_STEP: Final = 5
"""Control runs at 50 Hz."""
SUBSTEPS: Final = 4
TIMESTEP_S: Final = 1.0 / (STEPS_PER_S * TICKS_PER_STEP * SUBSTEPS)

STANCE_FRICTION: Final = 0.9
ICE_FRICTION: Final = 0.04
TILT_BRAKE_M2: Final = (0.15, 0.15, 0.15)
"""Damping of the turning pelvis in a slide against that of its sinking: a support 0.4 m beside the hips."""
CARRY_FADES: Final = 0.4
"""Share of the time of a slide in which the support fades."""


@dataclass(frozen=True)
class Track:
    """What one person's body did, one row a step: places in m, speed in m/s, `lost` while nothing holds the balance.

    feet: float64 (steps, 2), how high the lower and the higher foot are, m.
    strain_m: how far the pelvis was ever kept from where control led it; furniture in the way makes it large.
    """

    pelvis: Vector
    head: Vector
    chest: Vector
    feet: Vector
    speed: Vector
    lost: np.ndarray[Any, np.dtype[np.bool_]]
    strain_m: float = 0.0


@dataclass(frozen=True)
class Trace:
    """The physics of a scene at STEPS_PER_S: generalized positions for the renderer, a track for each person."""

    qpos: Vector
    tracks: tuple[Track, ...]


class Person:
    """Where one person lives in the model, and the controller that follows their script."""

    def __init__(self, model: Any, prefix: str, figure: Figure, script: Sequence[Segment]) -> None:
        self.model, self.figure, self.prefix = model, figure, prefix
        self._script = list(script)
        joint_ids = [model.joint(prefix + joint.name).id for joint in JOINTS]
        self._joint_at = model.jnt_qposadr[joint_ids]
        self._joint_dof = model.jnt_dofadr[joint_ids]
        self._root_at = int(model.joint(f"{prefix}root").qposadr[0])
        self._root_dof = int(model.joint(f"{prefix}root").dofadr[0])
        self._actuators = np.array([model.actuator(prefix + joint.name).id for joint in JOINTS])
        self._mocap = int(model.body(f"{prefix}target").mocapid[0])
        self._weld = int(model.equality(f"{prefix}balance").id)
        self._body = {
            name: model.body(prefix + name).id for name in ("pelvis", "head", "chest", "l_foot", "r_foot", "l_shin")
        }
        self.bodies = [i for i in range(model.nbody) if model.body(i).name.startswith(prefix)]
        geoms = [i for i in range(model.ngeom) if model.geom_bodyid[i] in self.bodies]
        self._solid = np.array([i for i in geoms if model.geom_contype[i]])
        arms = {model.body(f"{prefix}{side}_{part}").id for side in "lr" for part in ("upper_arm", "forearm")}
        self._bearing = np.array([i for i in self._solid if model.geom_bodyid[i] not in arms])
        self._foot_geoms = {
            side: [i for i in self._solid if model.geom_bodyid[i] == self._body[f"{side}_foot"]] for side in "lr"
        }
        self.geoms = geoms
        self._scratch = mujoco.MjData(model)
        self._segment, self._segment_start, self._lose_start = -1, 0.0, 0.0
        self.lost, self.strain_m = False, 0.0

    def ground(self, joints: Vector, turn: Vector, support_m: float) -> float:
        """Height of the pelvis at which the lowest point of trunk, head and legs rests on the support.

        Arms do not count: they bear no body, contact pushes them out of the way.
        """
        data, at = self._scratch, self._root_at
        data.qpos[at : at + 7] = (0.0, 0.0, 0.0, *turn)
        data.qpos[self._joint_at] = joints
        mujoco.mj_kinematics(self.model, data)
        sizes = self.model.geom_size[self._bearing]
        axis_z = np.abs(data.geom_xmat[self._bearing, 8])
        lowest = data.geom_xpos[self._bearing, 2] - axis_z * sizes[:, 1] - sizes[:, 0]
        return float(support_m - lowest.min())

    def place(self, data: Any, target: Target) -> None:
        """Put the body at a target at once (start of the scene)."""
        at = self._root_at
        data.qpos[at : at + 7] = (*target.place, *target.turn)
        data.qpos[self._joint_at] = target.joints
        self._apply(data, target)

    def state(self, data: Any) -> Target:
        """The present state of the body as a target: where a new piece of the script starts from."""
        at = self._root_at
        qpos = data.qpos
        return Target(qpos[at : at + 3].copy(), qpos[at + 3 : at + 7].copy(), qpos[self._joint_at].copy())

    def control(self, data: Any, t: float) -> None:
        """One control tick at scene time t: advance in the script, set targets, strengths, forces."""
        while self._segment < 0 or (
            self._segment < len(self._script) - 1
            and t >= self._segment_start + self._script[self._segment].duration_s - 1e-9
        ):
            self._next_segment(data, t)
        segment = self._script[self._segment]
        local = min(t - self._segment_start, segment.duration_s)
        if not self.lost:
            led, at = data.mocap_pos[self._mocap], self._root_at
            self.strain_m = max(self.strain_m, float(np.linalg.norm(data.qpos[at : at + 3] - led)))
        self._apply(data, segment.target(local))
        self._forces(data, segment, local)

    def _next_segment(self, data: Any, t: float) -> None:
        previous = self._script[self._segment] if self._segment >= 0 else None
        if previous is None or isinstance(previous, Lose):
            start = self.state(data)
        else:
            start = previous.target(previous.duration_s)
        self._segment_start = t if previous is None else self._segment_start + previous.duration_s
        self._segment += 1
        self._script[self._segment].begin(start, self.ground)

    def _apply(self, data: Any, target: Target) -> None:
        data.mocap_pos[self._mocap], data.mocap_quat[self._mocap] = target.place, target.turn
        data.eq_active[self._weld] = target.balanced
        data.ctrl[self._actuators] = target.joints
        stiffness = STIFFNESS * target.strength
        self.model.actuator_gainprm[self._actuators, 0] = stiffness
        self.model.actuator_biasprm[self._actuators, 1] = -stiffness
        self.model.actuator_biasprm[self._actuators, 2] = -0.06 * stiffness
        self.lost = not target.balanced

    def _forces(self, data: Any, segment: Segment, local: float) -> None:
        data.xfrc_applied[self.bodies] = 0.0
        for side, geoms in self._foot_geoms.items():
            slipping = isinstance(segment, Lose) and side in segment.slippery and local < segment.slip_s
            self.model.geom_friction[geoms, 0] = ICE_FRICTION if slipping else STANCE_FRICTION
        braked = self.model.dof_damping[self._root_dof + 2 : self._root_dof + 6]
        braked[:] = 0.0
        if not isinstance(segment, Lose):
            return
        weight = self.figure.mass_kg * 9.81
        if local < segment.carry_s:
            # What holds a slide back (a hand, a wall, half the strength of the legs) damps hips and trunk.
            braked[:] = np.array([1.0, *TILT_BRAKE_M2]) * weight / segment.sinks_m_s
        for push in segment.pushes:
            if push.start_s <= local < push.end_s:
                data.xfrc_applied[self.model.body(self.prefix + push.part).id, :3] += push.force
        held = segment.carried * min(1.0, max(0.0, 1.0 - local / segment.carry_s) / CARRY_FADES)
        data.xfrc_applied[self._body["chest"], 2] += held * weight

    def row(self, data: Any) -> tuple[Vector, Vector, Vector, Vector, float, bool]:
        """Places of pelvis, head and chest, heights of the feet, speed of pelvis or head, whether balance is lost."""
        body, at = self._body, self._root_dof
        head = data.xipos[body["head"]]
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(self.model, data, mujoco.mjtObj.mjOBJ_BODY, body["head"], velocity, 0)
        speed = max(float(np.linalg.norm(data.qvel[at : at + 3])), float(np.linalg.norm(velocity[3:])))
        feet = np.sort([data.xpos[body["l_foot"]][2], data.xpos[body["r_foot"]][2]])
        return (
            data.xpos[body["pelvis"]].copy(),
            head.copy(),
            data.xipos[body["chest"]].copy(),
            feet,
            speed,
            self.lost,
        )


def simulate(
    model: Any, people: Sequence[Person], starts: Sequence[Target], steps: int, ticks: int = TICKS_PER_STEP
) -> Trace:
    """Run `steps` steps of the scene, one row of the trace every `ticks` control ticks of 20 ms.

    Raises FloatingPointError when the physics diverges (never kept as data).
    """
    data = mujoco.MjData(model)
    for person, start in zip(people, starts, strict=True):
        person.place(data, start)
    mujoco.mj_forward(model, data)
    qpos, rows = [], []
    for tick in range(steps * TICKS_PER_STEP):
        for person in people:
            person.control(data, tick / (STEPS_PER_S * TICKS_PER_STEP))
        if tick % ticks == 0:
            qpos.append(data.qpos.copy())
            rows.append([person.row(data) for person in people])
        mujoco.mj_step(model, data, SUBSTEPS)
        if not np.isfinite(data.qpos).all() or data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
            raise FloatingPointError("the physics diverged")
    tracks = tuple(_track([row[index] for row in rows], person.strain_m) for index, person in enumerate(people))
    return Trace(np.array(qpos), tracks)


def _track(rows: list[tuple[Vector, Vector, Vector, Vector, float, bool]], strain_m: float) -> Track:
    pelvis, head, chest, feet, speed, lost = zip(*rows, strict=True)
    places = np.array(pelvis), np.array(head), np.array(chest), np.array(feet)
    return Track(*places, np.array(speed), np.array(lost, bool), strain_m)
