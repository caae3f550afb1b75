"""A setting in words: what it expects, an example that would be accepted, and the page docs/settings.md.

Error sentences and the page are made from one source, the bounds in device/settings.py, so they cannot disagree.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from device.settings import PER_CAMERA, RoomCamera, Settings

UNITS = {"_s": "seconds", "_mb": "megabytes", "minutes": "minutes", "fps": "frames per second"}
"""How a key ends -> the unit it is in."""
PIXELS = ("width", "height")
LISTS = {
    "trusted_keys": ("a list of files of public keys", '["/etc/fallwatch/site.pub"]'),
    "tiers_s": ("a list of 1 to 8 rising numbers of seconds 0.1..86400", "[60, 120, 180]"),
    "mask": ("a list of polygons, each a list of 3 or more points [x, y] with 0..1", "[[[0, 0], [0.3, 0], [0.3, 1]]]"),
    "hours": ('a list of spans of local hours such as "07:30-21:00"', '["07:30-21:00"]'),
}
"""Lists cannot be put into words from their schema: key -> (what is expected, an example)."""
CAMERAS = "cameras"
"""The one section that may stand several times, [[cameras]]."""
CAMERA_EXAMPLES = {"id": "cam-2", "room": "room-2", "source": "/dev/video2"}
"""Keys of a [[cameras]] that have no default -> an example."""
PASSWORD_IN_ADDRESS = re.compile(r"://[^/@\s\"]*@")
LONGEST_VALUE_SHOWN = 60

Schema = Mapping[str, Any]


@cache
def sections() -> dict[str, dict[str, Schema]]:
    """Section -> key -> JSON Schema of that setting, in the order they are written in settings.py.

    Of a [[cameras]] without the sections that it may have of its own: those are the unit's, word for word.
    """
    whole = Settings.model_json_schema()
    found = {}
    for section, pointer in whole["properties"].items():
        kind = pointer.get("items", pointer)
        reference = kind.get("$ref") or kind["allOf"][0]["$ref"]
        keys = whole["$defs"][reference.rsplit("/", 1)[-1]]["properties"]
        found[section] = {key: schema for key, schema in keys.items() if section != CAMERAS or key not in PER_CAMERA}
    return found


@cache
def defaults() -> dict[str, dict[str, Any]]:
    """Section -> key -> the value in force when the key is left out."""
    values: dict[str, dict[str, Any]] = Settings().model_dump(mode="json")
    values[CAMERAS] = RoomCamera(**CAMERA_EXAMPLES).model_dump(mode="json")
    return values


def must_be_given(section: str, key: str) -> bool:
    """True for the few keys that have no default."""
    return section == CAMERAS and key in CAMERA_EXAMPLES


def value_text(value: object) -> str:
    """A value as it would stand in the TOML file, shortened; a password inside an address is never shown."""
    if isinstance(value, float) and not math.isfinite(value):
        text = str(value)
    elif isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        text = str(int(value))
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    text = PASSWORD_IN_ADDRESS.sub("://***@", text)
    return text if len(text) <= LONGEST_VALUE_SHOWN else text[: LONGEST_VALUE_SHOWN - 1] + "…"


def expectation(section: str, key: str) -> str:
    """What a setting accepts, for example 'a number of seconds 0.1..86400'."""
    schema, optional = _without_null(sections()[section][key])
    words = _kind_in_words(key, schema)
    return f"{words}, or leave it out" if optional else words


def example(section: str, key: str) -> str:
    """A line that would be accepted, for example 'confirm_s = 5'."""
    schema, _ = _without_null(sections()[section][key])
    default = defaults()[section][key]
    if key in LISTS:
        text = LISTS[key][1]
    elif default not in (None, ""):
        text = value_text(default)
    elif schema.get("type") in ("number", "integer"):
        middle = (schema["minimum"] + schema["maximum"]) / 2
        text = value_text(math.floor(middle) if schema["type"] == "integer" else middle)
    else:
        text = '""'
    return f"{key} = {text}"


def docs_page() -> str:
    """The whole of docs/settings.md: one table per section, made from device/settings.py."""
    lines = [
        "# Settings of a unit",
        "",
        "One TOML file, by default `/etc/fallwatch/unit.toml`; every key may be left out. "
        "`fallwatch check --config unit.toml` says what is wrong with a file without starting the unit. "
        "An unknown key is refused. A unit that finds its file broken goes on with the last settings that were good "
        "and reports the fault.",
        "",
        "This page is generated: change `device/settings.py`, then run `python -m device.settings_file --docs`.",
    ]
    for section, keys in sections().items():
        lines += ["", f"## {heading(section)}", "", _about(section), ""]
        lines += ["| key | default | accepts | what it does |", "| --- | --- | --- | --- |"]
        lines += [_row(section, key, schema) for key, schema in keys.items()]
    return "\n".join(lines) + "\n"


def heading(section: str) -> str:
    """How a section begins in the file."""
    return f"[[{section}]]" if section == CAMERAS else f"[{section}]"


def _about(section: str) -> str:
    if section != CAMERAS:
        return (Settings.model_fields[section].annotation.__doc__ or "").strip()
    own = ", ".join(f"`[cameras.{name}]`" for name in PER_CAMERA)
    return (
        f"{(RoomCamera.__doc__ or '').strip()} As many as there are cameras, in place of [camera]; one process watches "
        f"them all. Below its `[[cameras]]` a camera may have sections of its own ({own}) with the keys of the unit's "
        "sections of that name; a key left out there is the unit's."
    )


def _row(section: str, key: str, schema: Schema) -> str:
    default = defaults()[section][key]
    shown = "left out" if default is None else f"`{value_text(default)}`"
    if must_be_given(section, key):
        shown = "must be given"
    cells = (f"`{key}`", shown, expectation(section, key), schema.get("description", ""))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _without_null(schema: Schema) -> tuple[Schema, bool]:
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    return (choices[0], True) if choices else (schema, False)


def _kind_in_words(key: str, schema: Schema) -> str:
    if key in LISTS:
        return LISTS[key][0]
    if "enum" in schema:
        return "one of " + ", ".join(value_text(choice) for choice in schema["enum"])
    if schema.get("type") == "boolean":
        return "true or false"
    if schema.get("type") in ("number", "integer"):
        return _number_in_words(key, schema)
    if key == "decoder":
        return "the name of a hardware device or decoder as FFmpeg knows it, in quotes"
    if "pattern" in schema:
        return "1 to 64 letters, digits, _ or - in quotes"
    return "text in quotes" + (", not empty" if schema.get("minLength") else "")


def _number_in_words(key: str, schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    unit = next((name for ending, name in UNITS.items() if key.endswith(ending)), "")
    unit = "pixels" if key in PIXELS else unit
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    if (low, high) == (0.0, 1.0) and not unit:
        kind = "a share"
    limits = f"{value_text(low)}..{value_text(high)}" if high is not None else f"of {value_text(low)} or more"
    return f"{kind} of {unit} {limits}".replace(" of megabytes of ", " of megabytes, ") if unit else f"{kind} {limits}"
