"""Writes events to disk in a thread of its own, so that the watch never waits for an encoder or a slow card.

Takes and later transitions pass through one queue in order. What cannot be written is said once, as a fault, and
costs nothing that was written before.
"""

from __future__ import annotations

import io
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from device import store
from device.clip import ClipError, Picture, make_clip, make_thumb
from device.journal import Journal
from device.labels import FALLING
from device.recording import (
    CLIP_FILE,
    EVENT_FILE,
    SCORES_FILE,
    STEPS_FILE,
    THUMB_FILE,
    Origin,
    RecordingError,
    Span,
    add_transition,
    make_note,
    pack_steps,
    remove_unfinished,
    write_folder,
)
from device.records import Incident, Scores
from device.retention import disk_bytes, make_room
from device.sampler import GreyStep
from device.score_table import write_scores
from device.settings import Store
from device.store import StoreError

log = logging.getLogger(__name__)

QUEUE = 16
"""Events and transitions that may wait for the disk; a take of 30 s at 640x480 holds 9 to 18 MB (measured)."""

NOTE_BYTES = 16_384
"""Room for event.json, which grows by about 400 bytes a transition (measured)."""

NICE = 10
"""Of the writing thread: encoding waits for the network, never the other way round."""

OFF = "the recorder is switched off in the settings"


@dataclass(frozen=True, slots=True)
class Making:
    """How the events of one camera are made.

    past_steps: steps after which nothing older can be seen in the network's scores. pictures: False when neither
    pictures nor rasters are kept; why: for what reason, in words.
    """

    origin: Origin
    past_steps: int
    pictures: bool
    why: str = OFF


@dataclass(slots=True)
class Take:
    """The making of one event.

    t0: time 0 of the clip. first: index of its step. by: what holds for every event of its camera.
    """

    transitions: list[Incident]
    t0: float
    first: int
    by: Making
    steps: list[GreyStep] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.transitions[0].id


class EventWriter:
    """One thread that owns the events folder. fault: what could not be written, until something could again."""

    def __init__(self, settings: Store) -> None:
        self.fault: str | None = None
        self._settings = settings
        self._folder = settings.path()
        self._events = self._folder / store.EVENTS
        self._jobs: queue.Queue[Take | Incident | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._run, name="event writer", daemon=True)
        self._thread.start()

    def put(self, job: Take | Incident) -> None:
        """Hand over a finished take, or a later transition of one; never waits."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.fail(f"{self._events}: event {job.id} not recorded, the disk is too slow; use a faster card")

    def close(self, timeout_s: float) -> bool:
        """Write what waits, then end; False when that took too long and was left."""
        end = time.monotonic() + timeout_s
        try:
            self._jobs.put(None, timeout=timeout_s)
        except queue.Full:
            return False
        self._thread.join(max(0.0, end - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        self._safely(self._tidy)
        while (job := self._jobs.get()) is not None:
            if isinstance(job, Take):
                self._safely(partial(self._write, job))
            else:
                self._safely(partial(self._tell, job))

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (StoreError, ClipError, RecordingError) as error:
            self.fail(str(error))
        except OSError as error:
            self.fail(f"{self._events}: event not recorded ({error.strerror}); free or repair the disk")
        except Exception:
            log.exception("the event writer goes on after an error of its own")
            self.fail(f"{self._events}: event not recorded, an error of the program; see the log")

    def fail(self, sentence: str) -> None:
        """Say what was not recorded, once, and keep it as the fault."""
        if sentence != self.fault:
            log.error("%s", sentence)
        self.fault = sentence

    def _tidy(self) -> None:
        """After a crash: half-written folders go, clips that the journal does not know yet are entered."""
        self._events.mkdir(parents=True, exist_ok=True)
        if left := remove_unfinished(self._events):
            log.warning("%s: %d half-written events of an earlier run removed", self._events, left)
        journal = Journal(self._folder)
        try:
            rows = journal.connection.execute("SELECT incident_id FROM event WHERE clip IS NULL").fetchall()
            for row in rows:
                if digest := _clip_hash(store.event_folder(self._folder, row["incident_id"])):
                    journal.put_clip(row["incident_id"], row["incident_id"], digest)
        finally:
            journal.close()

    def _tell(self, incident: Incident) -> None:
        folder = store.event_folder(self._folder, incident.id)
        if folder.is_dir():
            add_transition(folder, incident)

    def _write(self, take: Take) -> None:
        """Everything in memory first: then the size is known before the disk is touched."""
        self._events.mkdir(parents=True, exist_ok=True)
        span = self._span(take)
        files, missing = self._files(take)
        if refusal := self._room(files, self._settings.reserve_mb):
            self.fail(refusal)
            files, missing = {SCORES_FILE: files[SCORES_FILE]}, refusal
            if self._room(files, 0):
                return
        about = {"no_pictures": missing} if missing else {}
        note = make_note(take.transitions, take.by.origin, span, about)
        write_folder(store.event_folder(self._folder, take.id), files, note)
        if CLIP_FILE in files:
            self._enter_clip(take.id)
        if not refusal:
            self.fault = None

    def _files(self, take: Take) -> tuple[dict[str, bytes], str]:
        """The files of an event and, where there are no pictures among them, why."""
        table = io.StringIO()
        write_scores(table, take.scores[take.first :], take.t0)
        files = {SCORES_FILE: table.getvalue().encode()}
        if not take.by.pictures:
            return files, take.by.why
        if take.steps:
            files[STEPS_FILE] = pack_steps(take.steps, take.scores)
        if not take.pictures:
            return files, "the camera gave none"
        files[CLIP_FILE] = make_clip(take.pictures)
        files[THUMB_FILE] = make_thumb(thumb_picture(take).jpeg)
        return files, ""

    def _span(self, take: Take) -> Span:
        wall0 = take.scores[take.first].wall if take.scores else take.transitions[0].wall
        whole_past = bool(take.steps) and take.steps[0].reset
        return Span(take.t0, wall0, take.first, 0 if whole_past else take.by.past_steps)

    def _room(self, files: dict[str, bytes], reserve_mb: int) -> str | None:
        """Make room for the files; why there is none, else None. Scores are small enough to go into the reserve."""
        need = disk_bytes([len(content) for content in files.values()]) + NOTE_BYTES
        return make_room(self._events, need, self._settings.cap_mb, reserve_mb, self._removed)

    def _removed(self, incident_id: str) -> None:
        log.info("%s: event %s removed, the oldest one, to keep within store.cap_mb", self._events, incident_id)

    def _enter_clip(self, incident_id: str) -> None:
        digest = _clip_hash(store.event_folder(self._folder, incident_id))
        journal = Journal(self._folder)
        try:
            journal.put_clip(incident_id, incident_id, digest)
        finally:
            journal.close()


def thumb_picture(take: Take) -> Picture:
    """The picture that tells most: of a fall the one where `falling` peaks, else the one where the incident began."""
    moment = take.transitions[0].t_start
    own = [one for one in take.scores[take.first :] if one.t >= moment - 2.0] or take.scores
    if take.transitions[0].kind == "fall" and own:
        moment = max(own, key=lambda one: one.of(FALLING)).t
    return min(take.pictures, key=lambda picture: abs(picture.t - moment))


def _clip_hash(folder: Path) -> str:
    """The hash of an event's clip as its event.json has it; empty where there is none."""
    try:
        return str(json.loads((folder / EVENT_FILE).read_text(encoding="utf-8"))["files"][CLIP_FILE])
    except (OSError, ValueError, KeyError):
        return ""
