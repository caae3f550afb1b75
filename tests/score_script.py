"""Scripts of scores for policy tests: minutes of a life by concatenation, run in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from device.card import Thresholds
from device.incidents import Incidents, policy_of
from device.labels import LABELS
from device.records import Incident, Scores
from device.settings import Settings

WALL = 1_790_000_000.0
STEP_S = 0.1
CARD = Thresholds(fall_on=0.5, fall_off=0.25, down_on=0.5, down_off=0.25)


def probabilities(**given: float) -> tuple[float, ...]:
    """Given labels at their probability, the rest shared evenly; one given label without a number is not possible."""
    rest = (1.0 - sum(given.values())) / (len(LABELS) - len(given))
    return tuple(given.get(label, rest) for label in LABELS)


@dataclass
class Script:
    """A room in which labels hold for some seconds each; keeps every transition with its second."""

    settings: Settings = field(default_factory=Settings)
    t: float = 0.0
    warm: bool = True

    def __post_init__(self) -> None:
        self.count = 0
        self.ids = 0
        self.said: list[Incident] = []
        self.incidents = Incidents(policy_of(self.settings, CARD), self._new_id)

    def _new_id(self, wall: float) -> str:
        self.ids += 1
        return f"id-{self.ids}"

    def play(  # noqa: PLR0913 - a script reads best with one keyword per property of the room
        self,
        label: str,
        seconds: float,
        sure: float = 0.9,
        *,
        motion: float = 0.01,
        light: float = 0.5,
        still: bool = False,
    ) -> list[Incident]:
        """Hold one label; returns what was said meanwhile."""
        before = len(self.said)
        for _ in range(round(seconds / STEP_S)):
            self.count += 1
            sure_now = sure if still else sure - 1e-6 * (self.count % 7)
            self.said += self.incidents.update(
                Scores(
                    t=self.t,
                    wall=WALL + self.t,
                    frame_id=self.count,
                    probabilities=probabilities(**{label: sure_now}),
                    motion=motion,
                    light=light,
                    contrast=0.2,
                    still=still,
                    gap_share=0.0,
                    warm=self.warm,
                    model_id="script",
                    inference_ms=0.0,
                )
            )
            self.t = self.count * STEP_S
        return self.said[before:]

    def stages(self) -> list[str]:
        return [f"{incident.kind} {incident.stage}" for incident in self.said]


def when(said: list[Incident], stage: str) -> float:
    """The second at which a stage was entered, first time."""
    return next(incident.t for incident in said if incident.stage == stage)
