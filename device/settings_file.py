"""A settings file read, judged and kept: every problem is a sentence, and the last good file goes on being used.

A sentence reads `file:line: section.key: got X: expected Y: write for example Z`. A unit whose file was spoilt
overnight must still watch in the morning, so the text of every good file is kept beside the journal.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from device.errors import FallwatchError
from device.settings import PER_CAMERA, Settings, inherit
from device.settings_words import CAMERAS, docs_page, example, expectation, sections, value_text

LARGEST_FILE_BYTES = 1_000_000
"""A settings file has some kilobytes; more is the wrong file, perhaps a video, and is not read."""
SECTION_LINE = re.compile(r"^\s*\[\[?\s*([^\]#]+?)\s*\]")
KEY_PART = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
KEY_LINE = re.compile(rf"^\s*({KEY_PART}(?:\s*\.\s*{KEY_PART})*)\s*=")
PLACE_IN_TOML_ERROR = re.compile(r"\s*\((?:at line (\d+), column \d+|at end of document)\)$")

SAID_BY_TOML = {
    "Cannot overwrite a value": "this key stands twice in one section",
    "Cannot declare": "this section stands twice",
    "Exceeds the limit": "a number is thousands of digits long",
}
"""Messages of tomllib that an installer would not understand -> ours."""

Place = tuple[str | int, ...]


class SettingsError(FallwatchError):
    """The settings cannot be used; str() is one sentence per problem, one problem per line."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_settings(path: Path) -> Settings:
    """The settings in a TOML file. Raises SettingsError naming every problem with its line; nothing else."""
    return parse_settings(_read_text(path), str(path))


def parse_settings(text: str, name: str) -> Settings:
    """The settings in a TOML text; `name` is what the sentences call it. Raises SettingsError."""
    try:
        as_json = json.dumps(inherit(tomllib.loads(text)), default=str)
    except RecursionError:
        raise SettingsError(f"{name}: brackets are nested too deeply: no setting needs more than 3 levels") from None
    except ValueError as error:
        raise SettingsError(_toml_sentence(name, text, str(error))) from None
    try:
        # JSON mode so that "strict" takes a list for a point, and still refuses `true` or "5" where a number belongs.
        return Settings.model_validate_json(as_json, strict=True)
    except ValidationError as refused:
        lines = _lines_of_keys(text)
        errors = sorted(refused.errors(include_url=False), key=lambda error: _line(lines, error["loc"]) or 0)
        raise SettingsError(*dict.fromkeys(_sentence(name, lines, dict(error)) for error in errors)) from None


def load_or_last_good(path: Path, state_folder: Path) -> tuple[Settings, str | None]:
    """(settings, problem): a good file is kept as last good; a bad one gives way to it and the problem is said.

    `state_folder` is the unit's own (device.settings.default_folder()), never one named by the file being judged.
    Raises SettingsError when the file is bad and no last good settings are kept for this path.
    """
    kept = last_good_path(path, state_folder)
    try:
        text = _read_text(path)
        settings = parse_settings(text, str(path))
    except SettingsError as bad:
        return _last_good(kept, bad)
    try:
        _keep(kept, text)
    except OSError as error:
        return settings, f"{kept}: the good settings could not be kept: {error.strerror}: free or repair that disk"
    return settings, None


def last_good_path(path: Path, state_folder: Path) -> Path:
    """Where the last good text of this settings file is kept; one place per absolute path."""
    name = hashlib.sha256(os.fsencode(path.expanduser().absolute())).hexdigest()[:16]
    return state_folder / "last-good" / f"{name}.toml"


def settings_sha256(settings: Settings) -> str:
    """Fingerprint of what is in force, defaults included: 64 hex digits, equal for equal settings."""
    canonical = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read_text(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: no such file: copy deploy/unit.example.toml to this place, or name another file with --config"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(f"{path}: cannot be read: {reason}: name a readable file with --config") from None
    if len(raw) > LARGEST_FILE_BYTES:
        raise SettingsError(f"{path}: larger than {LARGEST_FILE_BYTES} bytes: this is no settings file, name another")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SettingsError(
            f"{path}:{line}: byte {raw[error.start]:#04x} is not UTF-8: save the file as UTF-8"
        ) from None


def _last_good(kept: Path, bad: SettingsError) -> tuple[Settings, str]:
    if not kept.exists():
        raise bad
    try:
        settings = read_settings(kept)
    except SettingsError as stale:
        raise SettingsError(*bad.problems, f"the last good settings cannot be used either: {stale}") from None
    return settings, f"{bad}\nthe last good settings are in force until this is corrected"


def _keep(kept: Path, text: str) -> None:
    """Replace the kept text in one step that survives a power cut; an equal text is not written again (flash wear)."""
    data = text.encode()
    if kept.exists() and kept.read_bytes() == data:
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp gives mode 0600: an RTSP address in the settings may hold a password.
    handle, temporary = tempfile.mkstemp(dir=kept.parent, prefix=kept.stem, suffix=".new")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, kept)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(kept.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _toml_sentence(name: str, text: str, message: str) -> str:
    place = PLACE_IN_TOML_ERROR.search(message)
    line = text.count("\n") + 1 if place is None or place[1] is None else int(place[1])
    plain = PLACE_IN_TOML_ERROR.sub("", message).rstrip(".")
    said = next((ours for theirs, ours in SAID_BY_TOML.items() if plain.startswith(theirs)), plain)
    where = f"{name}:{line}" if place else name
    return f"{where}: not valid TOML: {said}: write one `key = value` per line, with text in double quotes"


def _lines_of_keys(text: str) -> dict[tuple[str, ...], int]:
    """Path of every section and key -> its line, 1-based. A line scan is enough: it only points, it never judges.

    The second [[cameras]] is at ("cameras", "1"), its [cameras.fall] at ("cameras", "1", "fall").
    """
    lines: dict[tuple[str, ...], int] = {}
    counts: dict[str, int] = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := SECTION_LINE.match(line):
            name, *rest = _dotted(heading[1])
            if heading[0].lstrip().startswith("[["):
                counts[name] = counts.get(name, -1) + 1
                lines.setdefault((name,), number)
            section = (name, *([str(counts[name])] if name in counts else []), *rest)
            lines.setdefault(section, number)
        elif key := KEY_LINE.match(line):
            lines.setdefault(section + _dotted(key[1]), number)
    return lines


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _sentence(name: str, lines: dict[tuple[str, ...], int], error: dict[str, Any]) -> str:
    place: Place = error["loc"]
    names = _names(place)
    line = _line(lines, place)
    where = f"{name}:{line}" if line else name
    return f"{where}: {_place_text(place)}: {_said(names, error)}"


def _names(place: Place) -> tuple[str, ...]:
    """Section and key; of a section that belongs to one camera its own name: ("fall", "fall_on")."""
    names = tuple(part for part in place if isinstance(part, str))
    return names[1:3] if names[:1] == (CAMERAS,) and names[1:2] and names[1] in PER_CAMERA else names[:2]


def _line(lines: dict[tuple[str, ...], int], place: Place) -> int | None:
    """The line of the key, else of its section, else None."""
    names = tuple(str(part) for part in place)
    return next((lines[names[:end]] for end in range(len(names), 0, -1) if names[:end] in lines), None)


def _place_text(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "the whole file"


def _said(names: tuple[str, ...], error: dict[str, Any]) -> str:
    reason = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return _unknown(names)
    if error["type"] == "missing":
        return f"is missing: write for example {example(*names)}"
    if names == (CAMERAS,):
        return _about_cameras(error, reason)
    if len(names) < 2 or names[0] not in sections():
        if error["type"] == "value_error":
            return f"{reason}: correct section [{names[0]}]" if names else reason
        section = names[0] if names else "unit"
        return f"got {value_text(error['input'])}: expected a section: write [{section}] on a line of its own"
    section, key = names
    expected = f"expected {expectation(section, key)}"
    if error["type"] == "value_error":
        expected = reason.split("; write for example", 1)[0]
    return f"got {value_text(error['input'])}: {expected}: write for example {example(section, key)}"


def _about_cameras(error: dict[str, Any], reason: str) -> str:
    """The list of cameras as a whole, or one of them, is none."""
    if error["type"] == "too_long":
        return f"{reason}: share them out among several units"
    return f"got {value_text(error['input'])}: expected a camera: write [[cameras]] on a line of its own"


def _unknown(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return _unknown_section(names[0])
    section, key = names
    known = list(sections().get(section, {}))
    if close := difflib.get_close_matches(key, known, n=1):
        return f"unknown key in section [{section}]: did you mean {close[0]}?"
    elsewhere = [f"[{other}]" for other, keys in sections().items() if key in keys]
    if elsewhere:
        return f"unknown key in section [{section}]: it belongs under {' or '.join(elsewhere)}: move it there"
    return f"unknown key in section [{section}]: remove it, or write one of {', '.join(known)}"


def _unknown_section(name: str) -> str:
    owners = [f"[{section}]" for section, keys in sections().items() if name in keys]
    if owners:
        return f"stands outside of its section: write it under {' or '.join(owners)}"
    if close := difflib.get_close_matches(name, list(sections()), n=1):
        return f"unknown section: did you mean [{close[0]}]?"
    return f"unknown section: remove it, or write one of {', '.join(sections())}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of all settings; its text is checked by tests/test_settings.py."""
    parser = argparse.ArgumentParser(prog="python -m device.settings_file", description=main.__doc__)
    parser.add_argument("--docs", nargs="?", const="docs/settings.md", required=True, type=Path, metavar="FILE")
    target: Path = parser.parse_args(arguments).docs
    try:
        target.write_text(docs_page(), encoding="utf-8")
    except OSError as error:
        print(f"{target}: cannot be written: {error.strerror}: run this at the top of the checkout", file=sys.stderr)
        return 2
    print(f"{target}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
