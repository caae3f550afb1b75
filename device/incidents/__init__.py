"""Pure policy: scores in, incidents out. No clock, no input or output; time is in the scores.

Seconds, never frame counts; two thresholds; evidence as budgets that fill and drain (DESIGN section 5).
"""

from __future__ import annotations

from device.incidents.blind import BlindWatch
from device.incidents.down import DownWatch
from device.incidents.inactivity import InactivityWatch
from device.incidents.policy import NewId, Policy, new_ulid, policy_of
from device.records import Incident, Scores

__all__ = ["Incidents", "Policy", "new_ulid", "policy_of"]


class Incidents:
    """All watches of one unit side by side; each holds at most one open incident."""

    def __init__(self, policy: Policy, new_id: NewId = new_ulid) -> None:
        self.policy = policy
        self.down = DownWatch(policy, new_id)
        self.inactivity = InactivityWatch(policy, new_id)
        self.blind = BlindWatch(policy, new_id)

    def update(self, scores: Scores) -> list[Incident]:
        """The transitions that one step of scores brings, in the order they are to be said.

        Scores of a network that is not warm judge the picture only: its past is still missing.
        """
        said = self.blind.update(scores)
        if scores.warm:
            said += self.down.update(scores)
            said += self.inactivity.update(scores)
        return said

    def tick(self, t: float, wall: float) -> list[Incident]:
        """The transitions that time alone brings, when no frame came."""
        return self.blind.tick(t, wall)

    def close(self, incident_id: str, t: float) -> None:
        """A human closed or rejected this incident."""
        self.down.close(incident_id, t)
        self.inactivity.close(incident_id)

    def restore(self, incidents: list[Incident], t: float, wall: float) -> None:
        """Go on with the incidents that were open before a restart."""
        for incident in incidents:
            if incident.kind in ("fall", "floor", "long_lie"):
                self.down.restore(incident, t, wall)
            elif incident.kind == "inactivity":
                self.inactivity.restore(incident, t, wall)
