"""`fallwatch events`: what was recorded: list, show, export, label, erase."""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

from device import store
from device.clock import SystemClock, rfc3339
from device.commands.common import add_config, settings_of
from device.errors import FallwatchError, UsageError
from device.journal import Journal

LABELS = ("true", "false", "unsure")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("id", nargs="?", help="the event's id, for all but list")
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="list and show as JSON, one object per event")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="list: the newest N (default 50)")
    parser.add_argument("--out", type=Path, metavar="F.zip", help="export: the file to write (default: ID.zip)")
    parser.add_argument("--as", dest="label", choices=LABELS, help="label: what it was in truth")
    parser.add_argument("--by", default="command line", help="label, erase: who says so")


def run(args: argparse.Namespace) -> int:
    settings = settings_of(args)
    if args.action != "list" and not args.id:
        raise UsageError(f"events {args.action} wants the id of an event; `fallwatch events list` shows them")
    journal = Journal(
        settings.store.path(), room=settings.unit.room, readonly=args.action in ("list", "show", "export")
    )
    try:
        ACTIONS[args.action](journal, args)
    finally:
        journal.close()
    return 0


def _list(journal: Journal, args: argparse.Namespace) -> None:
    rows = journal.events(limit=args.limit)
    for row in rows:
        print(json.dumps(_public(row)) if args.json else _line(row))
    if not rows and not args.json:
        print("no events yet")


def _show(journal: Journal, args: argparse.Namespace) -> None:
    row = _event(journal, args.id)
    entries = [
        {"what": e["what"], "at": rfc3339(e["wall"]), **json.loads(e["body"])} for e in journal.entries(0, args.id)
    ]
    if args.json:
        print(json.dumps({**_public(row), "entries": entries}))
        return
    print(_line(row))
    for entry in entries:
        word = entry.get("stage") or entry.get("action") or entry.get("label") or ""
        print(f"  {entry['at']}  {entry['what']:<8} {word}  {entry.get('text') or entry.get('by') or ''}")
    print(f"  clip: {store.event_folder(journal.folder, args.id) if row['clip'] else 'none'}")


def _export(journal: Journal, args: argparse.Namespace) -> None:
    """One zip with the recorded files and the journal's entries, made whole or not at all."""
    row = _event(journal, args.id)
    out = args.out or Path(f"{args.id}.zip")
    part = out.with_name(out.name + ".part")
    folder = store.event_folder(journal.folder, args.id)
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(folder.glob("*")) if folder.is_dir() else []:
                archive.write(file, f"{args.id}/{file.name}")
            entries = [dict(entry) for entry in journal.entries(0, args.id)]
            archive.writestr(
                f"{args.id}/journal.json", json.dumps({"event": _public(row), "entries": entries}, indent=1)
            )
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FallwatchError(f"{out}: not written ({error}); name another place with --out") from None
    print(f"{out}")


def _label(journal: Journal, args: argparse.Namespace) -> None:
    if args.label is None:
        raise UsageError("events label wants --as true, false or unsure")
    _event(journal, args.id)
    clock = SystemClock()
    journal.put_label(args.id, args.label, args.by, clock.wall(), clock.now())
    print(f"{args.id}: {args.label}")


def _erase(journal: Journal, args: argparse.Namespace) -> None:
    """Pictures and scores go; that there was an event, and who erased it, stays in the journal."""
    _event(journal, args.id)
    folder = store.event_folder(journal.folder, args.id)
    if folder.is_dir():
        shutil.rmtree(folder)
    clock = SystemClock()
    with journal.writing() as connection:
        connection.execute("UPDATE event SET clip = NULL, clip_sha256 = NULL WHERE incident_id = ?", (args.id,))
        journal.append("erased", clock.wall(), clock.now(), {"by": args.by}, args.id)
    print(f"{args.id}: pictures and scores erased")


ACTIONS = {"list": _list, "show": _show, "export": _export, "label": _label, "erase": _erase}


def _event(journal: Journal, incident_id: str) -> sqlite3.Row:
    row = journal.event(incident_id)
    if row is None:
        raise FallwatchError(f"{incident_id}: no such event in {journal.folder}; `fallwatch events list` shows them")
    return row


def _public(row: sqlite3.Row) -> dict[str, Any]:
    times = {
        name: None if row[name] is None else rfc3339(row[name]) for name in ("wall_start", "wall_confirmed", "wall_end")
    }
    kept = ("incident_id", "kind", "stage", "state", "room", "peak", "by", "cause", "label", "clip_sha256", "model_id")
    return {name: row[name] for name in kept} | times


def _line(row: sqlite3.Row) -> str:
    label = f"  labelled {row['label']}" if row["label"] else ""
    clip = "" if row["clip"] else "  (no clip)"
    return (
        f"{row['incident_id']}  {rfc3339(row['wall_start'])}  {row['room']}  {row['kind']} {row['stage']}"
        f"  {row['state']}  peak {row['peak']:.2f}{label}{clip}"
    )
