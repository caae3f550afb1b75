"""The last seconds, always in memory; when an incident begins they become an event on disk, with what follows.

keep, on_incident, pass_time and close are called by the loop's thread alone, so the ring has no lock. A finished take
is handed to the writer and never touched here again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from device import store
from device.card import Card
from device.clip import ClipError, Picture, to_jpeg
from device.event_writer import EventWriter, Making, Take
from device.incidents import policy_of
from device.live_source import without_password
from device.recording import Origin
from device.records import Incident, Scores
from device.sampler import GreyStep
from device.settings import Settings
from device.settings_file import settings_sha256

KINDS = ("fall", "floor", "inactivity")
"""Incidents that get an event of their own; a long lie is the same person still, and has the fall's."""

AFTER_END_S = 3.0
"""Recorded after a suspected fall is dismissed or the person got up: enough to see that it is so."""

UNCONFIRMED_S = 30.0
"""An incident that is neither confirmed nor over after this is recorded as far as it went."""

REACH_LIMIT_S = 60.0
"""The ring reaches back over the time that lying on the floor takes to ring (floor.confirm_s, 20 s): how they got
there is what a reviewer asks first. At most this much, for memory."""

PRIVATE = "it was private in the room"
"""Why an event has no pictures, where people had switched them off for a while (feature.py)."""

CLOSE_S = 15.0
"""Writing what is open when the unit stops: a clip of 33 s took 1.3 s of a desktop core, 6 s of a busy one, and a small
board is several times slower. systemd kills the unit 20 s after it asked (deploy/fallwatch.service), and the last
words to the broker come after this."""


def recording_end(transitions: Sequence[Incident], post_s: float) -> float:
    """When the recording of an incident is over, in monotonic seconds, as its transitions stand."""
    last = transitions[-1]
    confirmed = None if last.t_confirmed is None else last.t_confirmed + post_s
    if last.ended:
        over = last.t + AFTER_END_S
        return over if confirmed is None else min(over, confirmed)
    return transitions[0].t + UNCONFIRMED_S if confirmed is None else confirmed


def past_steps(card: Card) -> int:
    """Steps after which nothing older shows in the scores: the network's look-back behind the long difference."""
    look_back = math.ceil(card.look_back_s / card.input.step_s - 1e-9)
    return max(look_back, card.warm_steps) + card.input.long_steps


def origin_of(settings: Settings, card: Card, bundle_sha256: str) -> Origin:
    """Where this unit's scores come from. The settings' hash is of their JSON, with no password in the source."""
    camera = settings.camera.model_copy(update={"source": without_password(settings.camera.source)})
    told = settings.model_copy(update={"camera": camera})
    return Origin(
        site=settings.unit.site,
        unit=settings.unit.id,
        room=settings.unit.room,
        model_id=card.model_id,
        bundle_sha256=bundle_sha256,
        settings_sha256=settings_sha256(told),
        raster=asdict(card.input.raster()),
        step_s=card.input.step_s,
        thresholds=policy_of(settings, card.thresholds).thresholds.model_dump(),
    )


class Recorder:
    """Keeps the last seconds of one camera; makes an event of every fall, floor and inactivity incident."""

    def __init__(self, settings: Settings, card: Card, bundle_sha256: str, writer: EventWriter | None = None) -> None:
        """bundle_sha256: of the bundle's card.toml, which holds the hash of every other file.

        writer: the one that several recorders share, ended by whoever made it; None makes one of its own.
        """
        self._settings = settings.recorder
        self._folder = settings.store.path()
        self._past_steps = past_steps(card)
        self._picture_s = self._settings.pre_s + min(settings.floor.confirm_s, REACH_LIMIT_S)
        self._step_s = self._picture_s + (self._past_steps + 1) * card.input.step_s
        self._steps: deque[tuple[GreyStep, Scores]] = deque()
        self._pictures: deque[Picture] = deque()
        self._takes: dict[str, Take] = {}
        self._done: set[str] = set()
        self._making = Making(origin_of(settings, card, bundle_sha256), self._past_steps, self._settings.enabled)
        self._private = False
        self._shared = writer is not None
        self._writer = writer or EventWriter(settings.store)

    @property
    def fault(self) -> str | None:
        """What could not be recorded and what to do, one sentence; None once recording works again."""
        return self._writer.fault

    @property
    def bytes_held(self) -> int:
        """Pictures and rasters in the ring, in bytes."""
        return sum(len(picture.jpeg) for picture in self._pictures) + sum(
            step.grey.nbytes for step, _scores in self._steps
        )

    def set_private(self, private: bool) -> None:
        """Keep no picture from now on, in memory or on disk, or keep them again.

        What was being recorded ends here as far as it went; nothing that was seen in private gets into a later event.
        """
        if private and not self._private:
            for take in list(self._takes.values()):
                self._finish(take)
            self._pictures.clear()
        elif self._private and not private:
            self._steps.clear()
        self._private = private

    def keep(self, step: GreyStep, scores: Scores, picture: NDArray[np.uint8] | None) -> None:
        """One step of the loop. picture: (height, width, 3) BGR as captured; a held step brings none of its own."""
        shown = None if picture is None or step.held else self._shown(step, picture)
        if shown:
            self._pictures.append(shown)
        self._steps.append((step, scores))
        while self._steps[0][0].t < step.t - self._step_s:
            self._steps.popleft()
        while self._pictures and self._pictures[0].t < step.t - self._picture_s:
            self._pictures.popleft()
        self.pass_time(step.t)
        for take in self._takes.values():
            self._add(take, step, scores)
            if shown and take.by.pictures:
                take.pictures.append(shown)

    def on_incident(self, incident: Incident) -> None:
        """One transition, as the policy made it; after the keep() of its step. It must be in the journal already."""
        if take := self._takes.get(incident.id):
            take.transitions.append(incident)
        elif self._is_new(incident):
            self._takes[incident.id] = self._begin(incident)
        elif incident.kind in KINDS:
            self._writer.put(incident)

    def pass_time(self, t: float) -> None:
        """Finish what is over at monotonic time t; call it also while no frame comes."""
        for take in [one for one in self._takes.values() if t > recording_end(one.transitions, self._settings.post_s)]:
            self._finish(take)

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Write what is open as far as it went, then stop; False when the disk took too long.

        With a shared writer it is only handed over.
        """
        for take in list(self._takes.values()):
            self._finish(take)
        return self._shared or self._writer.close(timeout_s)

    def _shown(self, step: GreyStep, pixels: NDArray[np.uint8]) -> Picture | None:
        """The picture as it waits in memory; a picture that cannot be kept is a fault and never stops the watch."""
        if not self._settings.enabled or self._private:
            return None
        try:
            return Picture(step.t, step.frame_id, to_jpeg(pixels, self._settings.width))
        except ClipError as error:
            self._writer.fail(str(error))
            return None

    def _is_new(self, incident: Incident) -> bool:
        known = incident.id in self._done or store.event_folder(self._folder, incident.id).exists()
        return incident.kind in KINDS and not incident.ended and not known

    def _begin(self, incident: Incident) -> Take:
        """A take with the ring's last seconds in it."""
        begin = incident.t_start - self._settings.pre_s
        pictures = [picture for picture in self._pictures if picture.t >= begin]
        times = [step.t for step, _scores in self._steps]
        t0 = pictures[0].t if pictures else next((t for t in times if t >= begin), incident.t)
        first = sum(t < t0 for t in times)
        oldest = max(0, first - self._past_steps)
        making = replace(self._making, pictures=False, why=PRIVATE) if self._private else self._making
        take = Take([incident], t0, first - oldest, making, pictures=pictures)
        for step, scores in list(self._steps)[oldest:]:
            self._add(take, step, scores)
        return take

    def _add(self, take: Take, step: GreyStep, scores: Scores) -> None:
        if take.by.pictures:  # rasters are pictures too
            take.steps.append(step)
        take.scores.append(scores)

    def _finish(self, take: Take) -> None:
        del self._takes[take.id]
        self._done.add(take.id)
        self._writer.put(take)
