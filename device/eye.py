"""One camera of the unit with all that is its own: its room, its picture, the network's past, incidents, pictures kept.

A unit has one or several; they share the journal, the courier and the writing of events, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from device.camera import Camera
from device.captures import Captures
from device.card import Card
from device.clock import Clock
from device.event_writer import EventWriter
from device.health import Pulse
from device.incidents import Incidents, policy_of
from device.loop import Network, Turn, Watch
from device.recorder import Recorder
from device.records import Incident
from device.settings import Settings


@dataclass(frozen=True, slots=True)
class Shared:
    """What the eyes of one unit have in common. bundle_sha256: of the bundle's card.toml. captures: of several."""

    card: Card
    bundle_sha256: str
    writer: EventWriter
    clock: Clock
    captures: Captures | None


class Eye:
    """One camera's road from picture to incidents."""

    def __init__(self, view: Settings, network: Network, shared: Shared) -> None:
        """view: the unit's settings as this camera sees them (Settings.views)."""
        self.settings = view
        self.id, self.room = view.camera.id, view.unit.room
        self.camera = Camera(view.camera, shared.clock, step_s=shared.card.input.step_s, captures=shared.captures)
        self.watch = Watch(network, Incidents(policy_of(view, shared.card.thresholds)))
        self.recorder = Recorder(view, shared.card, shared.bundle_sha256, shared.writer)
        self.pulse = Pulse()

    def turns(self) -> Iterator[Turn]:
        """The turns that the newest picture brings, each kept and counted; none where no picture came."""
        frame = self.camera.read(0.0)
        if frame is None:
            return
        for turn in self.watch.feed(frame, self.camera.whole):
            self.pulse.beat(turn.scores)
            self.recorder.keep(turn.step, turn.scores, None if turn.frame is None else turn.frame.pixels)
            yield turn

    def pass_time(self, t: float, wall: float) -> list[Incident]:
        """What time alone brings."""
        self.recorder.pass_time(t)
        return self.watch.tick(t, wall)

    def own(self, incident: Incident) -> Incident:
        """An incident of this eye's policy with where it happened."""
        return replace(incident, camera=self.id, room=self.room)

    def blind(self) -> Incident | None:
        """The open fault of this camera, if it does not see."""
        fault = self.watch.incidents.blind.open
        return self.own(fault) if fault else None

    @property
    def state(self) -> str:
        """One word: how this camera stands."""
        return "blind" if self.watch.incidents.blind.open else str(self.camera.state)

    def health(self, t: float) -> dict[str, Any]:
        """This camera as the health topic lists it."""
        step_ms = self.pulse.step_ms()
        return {
            "id": self.id,
            "room": self.room,
            "state": self.state,
            "fps": round(self.pulse.steps_per_s(t), 2),
            "step_ms": None if step_ms is None else round(step_ms, 2),
            "drops": self.camera.drops,
            "restarts": self.camera.restarts,
        }
