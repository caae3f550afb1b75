"""Somebody is down: a fall that was seen (suspected, confirmed) or a person on the floor without a seen fall.

    idle ──fall evidence──> suspected ──down for confirm_s──> confirmed ──> still_down ──> very_long (+ long_lie)
      │                        └──not down in time──> dismissed                 │
      └──down for floor.confirm_s──> floor confirmed ───────────────────────────┴──upright for recover_s──> recovered

One lie is one incident: fall evidence during it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from device.incidents.evidence import Budget, MovingMean, Switch
from device.incidents.policy import NewId, Policy, since_restart
from device.labels import FALLING, FLOOR, UPRIGHT
from device.records import Incident, Kind, Scores

SMOOTH_S = 0.5
"""Mean over half a second: worth 0.01-0.02 window AUC (MODEL.md I.8)."""

UP_SHARE = 0.5
"""Mean upright probability above which somebody counts as up: more likely than all else together."""

DOWN_DRAIN = 0.5
UP_DRAIN = 2.0
"""Down evidence drains half as fast as it fills (one uncertain second does not undo a fall); up evidence drains twice
as fast (a fallen person must be up for a while, not for a flicker, before anything ends)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Smoothed evidence at one step."""

    t: float
    wall: float
    dt: float
    frame_id: int
    fall: float
    down: float
    up: float


class DownWatch:
    """Follows one person on the way down and up again; at most one incident is open at a time."""

    def __init__(self, policy: Policy, new_id: NewId) -> None:
        self.policy = policy
        self._new_id = new_id
        limits = policy.thresholds
        self._fall_mean, self._down_mean, self._up_mean = (MovingMean(SMOOTH_S) for _ in range(3))
        self._falling = Switch(limits.fall_on, limits.fall_off)
        self._down = Switch(limits.down_on, limits.down_off)
        self._on_floor = Switch(policy.floor.floor_on, policy.floor.floor_off)
        self._down_for = Budget(DOWN_DRAIN)
        self._up_for = Budget(UP_DRAIN)
        self._last_t: float | None = None
        self._last_fall_t = 0.0
        self._quiet_until = float("-inf")
        self.open: Incident | None = None
        self.long_lie: Incident | None = None

    def update(self, scores: Scores) -> list[Incident]:
        """The transitions that one step of scores brings."""
        now = self._smooth(scores)
        if self.open is None:
            return self._idle(now)
        return self._suspected(now) if self.open.stage == "suspected" else self._lying(now)

    def close(self, incident_id: str, t: float) -> None:
        """A human closed it: forget it. Somebody still on the floor begins a new incident after floor.confirm_s."""
        if self.open is not None and self.open.id == incident_id:
            self._end(t)
        elif self.long_lie is not None and self.long_lie.id == incident_id:
            self.long_lie = None

    def restore(self, incident: Incident, t: float, wall: float) -> None:
        """Go on with an incident that was open before a restart."""
        restored = since_restart(incident, t, wall)
        if incident.kind == "long_lie":
            self.long_lie = restored
        else:
            self.open = restored
            self._last_fall_t = t

    def _smooth(self, scores: Scores) -> Evidence:
        dt = 0.0 if self._last_t is None else scores.t - self._last_t
        self._last_t = scores.t
        fall = self._fall_mean.update(scores.t, scores.of(FALLING))
        down = self._down_mean.update(scores.t, scores.of(FLOOR))
        up = self._up_mean.update(scores.t, scores.of(UPRIGHT))
        return Evidence(scores.t, scores.wall, dt, scores.frame_id, fall, down, up)

    def _idle(self, now: Evidence) -> list[Incident]:
        falling = self._falling.update(now.fall)
        down = self._down_for.update(now.dt, self._on_floor.update(now.down))
        if falling and now.t >= self._quiet_until:
            self._down_for.clear()
            self._last_fall_t = now.t
            return [self._begin("fall", "suspected", now, now.fall)]
        if down >= self.policy.floor.confirm_s:
            return [self._begin("floor", "confirmed", now, now.down, began_before_s=down)]
        return []

    def _suspected(self, now: Evidence) -> list[Incident]:
        if self._falling.update(now.fall):
            self._last_fall_t = now.t
        down = self._down_for.update(now.dt, self._down.update(now.down))
        if down >= self.policy.fall.confirm_s:
            return [self._move("confirmed", now, max(now.fall, now.down))]
        if down == 0.0 and now.t - self._last_fall_t > self.policy.fall.land_within_s:
            return [self._move("dismissed", now, now.fall, ended=True)]
        return []

    def _lying(self, now: Evidence) -> list[Incident]:
        assert self.open is not None
        fall = self.policy.fall
        if self._up_for.update(now.dt, now.up >= UP_SHARE) >= fall.recover_s:
            return self._recovered(now)
        lain_s = now.t - self.open.t_start
        said: list[Incident] = []
        if self.open.stage == "confirmed" and lain_s >= fall.still_down_s:
            said.append(self._move("still_down", now, now.down))
        elif self.open.stage == "still_down" and lain_s >= fall.very_long_s:
            said.append(self._move("very_long", now, now.down))
        if self.long_lie is None and self.open.stage == "very_long" and lain_s >= fall.long_lie_s:
            self.long_lie = replace(
                self.open,
                id=self._new_id(now.wall),
                kind="long_lie",
                stage="confirmed",
                t=now.t,
                wall=now.wall,
                t_confirmed=now.t,
                wall_confirmed=now.wall,
                score=now.down,
                detail={"of": self.open.id, "down_s": round(lain_s, 1)},
            )
            said.append(self.long_lie)
        return said

    def _recovered(self, now: Evidence) -> list[Incident]:
        assert self.open is not None
        down_s = round(max(0.0, now.t - self.policy.fall.recover_s - self.open.t_start), 1)
        said = []
        if self.long_lie is not None:
            detail = {**self.long_lie.detail, "down_s": down_s}
            said.append(
                replace(
                    self.long_lie,
                    stage="recovered",
                    t=now.t,
                    wall=now.wall,
                    score=now.up,
                    ended=True,
                    detail=detail,
                )
            )
        return [self._move("recovered", now, now.up, ended=True, down_s=down_s), *said]

    def _begin(self, kind: Kind, stage: str, now: Evidence, score: float, *, began_before_s: float = 0.0) -> Incident:
        confirmed = stage == "confirmed"
        self._up_for.clear()
        self.open = Incident(
            id=self._new_id(now.wall),
            kind=kind,
            stage=stage,
            t=now.t,
            wall=now.wall,
            t_start=now.t - began_before_s,
            wall_start=now.wall - began_before_s,
            t_confirmed=now.t if confirmed else None,
            wall_confirmed=now.wall if confirmed else None,
            score=score,
            peak=score,
            evidence=(now.frame_id,),
        )
        return self.open

    def _move(self, stage: str, now: Evidence, score: float, *, ended: bool = False, **detail: str | float) -> Incident:
        assert self.open is not None
        confirmed = stage == "confirmed"
        moved = replace(
            self.open,
            stage=stage,
            t=now.t,
            wall=now.wall,
            t_confirmed=now.t if confirmed else self.open.t_confirmed,
            wall_confirmed=now.wall if confirmed else self.open.wall_confirmed,
            score=score,
            peak=max(self.open.peak, score),
            ended=ended,
            evidence=(*self.open.evidence, now.frame_id),
            detail={**self.open.detail, **detail},
        )
        self.open = moved
        if confirmed:
            self._up_for.clear()
        if ended:
            self._end(now.t)
        return moved

    def _end(self, t: float) -> None:
        self.open = self.long_lie = None
        self._quiet_until = t + self.policy.fall.refractory_s
        self._falling.on = self._down.on = self._on_floor.on = False
        for budget in (self._down_for, self._up_for):
            budget.clear()
