"""The page's addresses: the list, one event with its files, what people answer and label, the live stream."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, HTTPException, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from device import store
from device.answer_here import answer_here
from device.clock import SystemClock
from device.console import footage, words
from device.console.guard import Guard
from device.console.stream import Watch, messages
from device.journal import Journal
from device.payloads import PayloadError
from device.settings import Settings

STATIC = Path(__file__).parent / "static"
PAGE = 100
"""Events in one answer; older ones are asked for by time."""

IncidentId = Annotated[str, InPath(pattern=f"^{footage.ULID.pattern}$")]


class Label(BaseModel):
    """A reviewer's word on an event."""

    model_config = ConfigDict(extra="forbid")
    label: Literal["true", "false", "unsure"]


class Answer(BaseModel):
    """What a person answers to an alert; nonce: new for every answer, so that one sent twice counts once."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["claim", "arrive", "close", "reject", "reopen"]
    by: Annotated[str, Field(min_length=1, max_length=64)]
    nonce: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{8,64}$")]
    cause: Annotated[str, Field(max_length=500)] = ""
    outcome: Annotated[str, Field(max_length=500)] = ""


class Reader:
    """Reads one unit's store for the page; opens the journal anew for each question (one connection per thread)."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        with closing(Journal(self.folder, readonly=True)) as journal:
            yield journal

    def row(self, journal: Journal, incident_id: str) -> sqlite3.Row:
        row = journal.event(incident_id)
        if row is None:
            raise HTTPException(404, f"no event {incident_id} in this unit's journal")
        return row

    def file(self, incident_id: str, name: str) -> Path:
        return store.event_folder(self.folder, incident_id) / name

    def listing(self, before: float | None) -> dict[str, Any]:
        """A page of the list; without a journal it is empty and says why."""
        head = {"unit": self.settings.unit.model_dump(), "now": time.time()}
        if not (self.folder / store.FILE).is_file():
            return {**head, "seq": 0, "events": [], "more": False, "journal": False}
        with self.journal() as journal:
            seq = journal.last_seq()  # first: what comes while the list is read is told again by the stream
            rows = journal.events(PAGE + 1, before)
        events = [words.summary(row, self.file(row["incident_id"], footage.THUMB).is_file()) for row in rows[:PAGE]]
        return {**head, "seq": seq, "events": events, "more": len(rows) > PAGE, "journal": True}

    def event(self, incident_id: str) -> dict[str, Any]:
        """One event with its story, receipts, marks and what is known of its files."""
        with self.journal() as journal:
            row = self.row(journal, incident_id)
            entries = journal.entries(incident_id=incident_id)
            waiting = journal.connection.execute(
                "SELECT count(*) FROM outbox WHERE alert_id = ?", (incident_id,)
            ).fetchone()[0]
        note = footage.read_note(self.file(incident_id, footage.NOTE))
        absence = footage.clip_absence(row, self.file(incident_id, ""), self.settings, time.time())
        return {
            "event": words.summary(row, self.file(incident_id, footage.THUMB).is_file()),
            "story": words.story(entries),
            "alerts": words.alerts(entries),
            "receipts": words.receipts(entries),
            "waiting": waiting,
            "clip": absence is None,
            "clip_absence": absence,
            "clip_sha256": row["clip_sha256"],
            "marks": footage.marks(note),
            "thresholds": footage.thresholds(note, row["model_id"], self.settings),
            "model_id": row["model_id"],
            "grew_from": json.loads(row["incident"]).get("detail", {}).get("of"),
        }

    def clip(self, incident_id: str) -> tuple[Path, str]:
        """The clip of an event and the name it is downloaded under."""
        with self.journal() as journal:
            row = self.row(journal, incident_id)
        path = self.file(incident_id, footage.CLIP)
        if absence := footage.clip_absence(row, path.parent, self.settings, time.time()):
            raise HTTPException(404, absence)
        when = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(row["wall_start"]))
        return path, f"{row['room']}_{when}_{row['kind']}.mp4"

    def label(self, incident_id: str, label: str) -> None:
        """Enter a reviewer's word; the page has no login yet, so it is signed by the page."""
        with self.journal() as journal:
            self.row(journal, incident_id)
        clock = SystemClock()
        with closing(Journal(self.folder)) as journal:
            journal.put_label(incident_id, label, "console", clock.wall(), clock.now())

    def answer(self, incident_id: str, said: Answer) -> dict[str, Any]:
        """Enter what a person answered; 409 with the reason where it does not count."""
        with self.journal() as journal:
            self.row(journal, incident_id)
        try:
            verdict = answer_here(self.folder, self.settings, incident_id, said.model_dump(), SystemClock())
        except PayloadError as error:
            raise HTTPException(400, str(error)) from None
        if not (verdict.counts or verdict.repeated):
            raise HTTPException(409, verdict.reason)
        return {"counts": True, "repeated": verdict.repeated, "state": verdict.state}


def build(folder: Path, settings: Settings) -> FastAPI:
    """The application over the store in `folder`."""
    watch = Watch(folder)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        watch.start()
        yield
        watch.stop()

    app = FastAPI(title="Fallwatch", docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.state.watch = watch
    app.add_middleware(Guard, port=settings.console.port)
    _add_errors(app)
    _add_events(app, Reader(folder, settings))
    _add_stream(app, watch)

    @app.get("/")
    def index() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _add_events(app: FastAPI, reader: Reader) -> None:
    @app.get("/api/events")
    def listing(before: Annotated[float | None, Query(ge=0)] = None) -> dict[str, Any]:
        return reader.listing(before)

    @app.get("/api/events/{incident_id}")
    def event(incident_id: IncidentId) -> dict[str, Any]:
        return reader.event(incident_id)

    @app.get("/api/events/{incident_id}/scores")
    def scores(incident_id: IncidentId) -> dict[str, Any]:
        return footage.read_scores(reader.file(incident_id, footage.SCORES))

    @app.get("/api/events/{incident_id}/thumb.jpg")
    def thumb(incident_id: IncidentId) -> FileResponse:
        path = reader.file(incident_id, footage.THUMB)
        if not path.is_file():
            raise HTTPException(404, "no picture was kept with this event")
        return FileResponse(path, media_type="image/jpeg")

    @app.get("/api/events/{incident_id}/clip.mp4")
    def clip(incident_id: IncidentId, download: bool = False) -> FileResponse:
        path, name = reader.clip(incident_id)
        return FileResponse(path, media_type="video/mp4", filename=name if download else None)

    @app.post("/api/events/{incident_id}/answer")
    def answer(incident_id: IncidentId, said: Answer) -> dict[str, Any]:
        return reader.answer(incident_id, said)

    @app.post("/api/events/{incident_id}/label")
    def label(incident_id: IncidentId, said: Label) -> dict[str, str]:
        reader.label(incident_id, said.label)
        return {"label": said.label}


def _add_stream(app: FastAPI, watch: Watch) -> None:
    @app.get("/api/stream")
    def stream(
        after: Annotated[int | None, Query(ge=0)] = None, last_event_id: Annotated[str, Header()] = ""
    ) -> StreamingResponse:
        cursor = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else after
        return StreamingResponse(messages(watch, cursor), media_type="text/event-stream")


def _add_errors(app: FastAPI) -> None:
    """Every refusal is JSON with one sentence."""

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])
        return JSONResponse({"error": f"{where}: {first['msg']}"}, 400)

    @app.exception_handler(StarletteHTTPException)
    def refused(_: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code)

    @app.exception_handler(footage.FootageError)
    def no_footage(_: Request, error: footage.FootageError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 404)

    @app.exception_handler(store.StoreError)
    def no_store(_: Request, error: store.StoreError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 503)

    @app.exception_handler(sqlite3.Error)
    def unreadable(_: Request, error: sqlite3.Error) -> JSONResponse:
        return JSONResponse({"error": f"{store.FILE}: cannot be read ({error}); check the disk"}, 503)
