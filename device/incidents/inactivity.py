"""Somebody is in the picture and has not moved for a long time, in the hours when that is unusual."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from device.incidents.evidence import Budget, MovingMean
from device.incidents.policy import NewId, Policy, since_restart
from device.labels import EMPTY
from device.records import Incident, Scores

SMOOTH_S = 0.5
PRESENT_SHARE = 0.5
AWAY_DRAIN = 20.0
"""An empty room drains the stillness twenty times as fast as it filled: a flicker of the label costs little, somebody
who left is forgotten within minutes."""


def in_hours(wall: float, hours: tuple[tuple[int, int], ...]) -> bool:
    """Whether a Unix time lies, by the local clock, in one of these spans of minutes, which may pass midnight."""
    local = datetime.fromtimestamp(wall)
    minute = local.hour * 60 + local.minute
    return any(a <= minute < b if a < b else minute >= a or minute < b for a, b in hours)


class InactivityWatch:
    """Counts the seconds in which somebody was there and nothing moved."""

    def __init__(self, policy: Policy, new_id: NewId) -> None:
        self.policy = policy
        self._new_id = new_id
        self._present, self._moving = MovingMean(SMOOTH_S), MovingMean(SMOOTH_S)
        self._still_for = Budget(AWAY_DRAIN)
        self._last_t: float | None = None
        self.open: Incident | None = None

    def update(self, scores: Scores) -> list[Incident]:
        """The transitions that one step of scores brings."""
        settings = self.policy.inactivity
        dt = 0.0 if self._last_t is None else scores.t - self._last_t
        self._last_t = scores.t
        present = self._present.update(scores.t, 1.0 - scores.of(EMPTY))
        moving = self._moving.update(scores.t, scores.motion)
        if settings.minutes == 0:
            return []
        if moving >= settings.moving or not in_hours(scores.wall, self.policy.hours):
            self._still_for.clear()
            return self._ended(scores)
        still_s = self._still_for.update(dt, present >= PRESENT_SHARE)
        return self._stage(scores, still_s, settings.minutes * 60, present)

    def close(self, incident_id: str) -> None:
        """A human closed it: counting starts again."""
        if self.open is not None and self.open.id == incident_id:
            self.open = None
            self._still_for.clear()

    def restore(self, incident: Incident, t: float, wall: float) -> None:
        """Go on with an incident that was open before a restart; the stillness is counted anew."""
        self.open = since_restart(incident, t, wall)

    def _stage(self, scores: Scores, still_s: float, limit_s: float, present: float) -> list[Incident]:
        if self.open is None and still_s >= limit_s * self.policy.inactivity.notice_share:
            self.open = Incident(
                id=self._new_id(scores.wall),
                kind="inactivity",
                stage="noticed",
                t=scores.t,
                wall=scores.wall,
                t_start=scores.t - still_s,
                wall_start=scores.wall - still_s,
                score=present,
                peak=present,
                evidence=(scores.frame_id,),
                detail={"still_s": round(still_s, 1)},
            )
            return [self.open]
        if self.open is not None and self.open.stage == "noticed" and still_s >= limit_s:
            self.open = replace(
                self.open,
                stage="confirmed",
                t=scores.t,
                wall=scores.wall,
                t_confirmed=scores.t,
                wall_confirmed=scores.wall,
                score=present,
                peak=max(self.open.peak, present),
                evidence=(*self.open.evidence, scores.frame_id),
                detail={"still_s": round(still_s, 1)},
            )
            return [self.open]
        return []

    def _ended(self, scores: Scores) -> list[Incident]:
        if self.open is None:
            return []
        still_s = round(scores.t - self.open.t_start, 1)
        ended = replace(self.open, stage="ended", t=scores.t, wall=scores.wall, ended=True, detail={"still_s": still_s})
        self.open = None
        return [ended]
