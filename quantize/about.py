"""What a bundle's card says that no file can be measured for: name, thresholds, footage, results, limits.

Written by hand as a TOML file beside the training set-up, one for each network that ships, so that a bundle can be
made again from a checkpoint and this file alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device.card import BundleError, Card, Result, Source, Thresholds
from training.written import whole

RESULTS_TABLE: Final = re.compile(r"^\[\[results\]\]\n(?:(?!\[).*\n?)*", re.MULTILINE)
"""One [[results]] table: its header and every line up to the next header. No value of ours begins a line with [."""


class About(BaseModel):
    """The hand-written part of a card; fields as in device.card.Card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9_.-]+$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    licence: str
    summary: str
    thresholds: Thresholds
    limits: tuple[str, ...] = Field(min_length=1)
    data: tuple[Source, ...] = Field(min_length=1)
    trained_on: tuple[str, ...] | None = None
    results: tuple[Result, ...] = ()


def read_about(path: Path) -> About:
    """The file's content; BundleError with one sentence when it is missing or something in it is wrong."""
    try:
        return About.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: cannot be read ({error}); name the file that says what the card should") from None
    except tomllib.TOMLDecodeError as error:
        raise BundleError(f"{path}: not valid TOML ({error}); correct the line it names") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise BundleError(f"{path}: {where}: {first['msg']}; correct it there") from None


def about_of(card: Card) -> About:
    """The hand-written part of a card that exists."""
    return About.model_validate({name: getattr(card, name) for name in About.model_fields})


def with_results(path: Path, results: Sequence[Result]) -> None:
    """Put measured rows in the place of a text's results; the rest, comments included, stays as it was written.

    Raises BundleError with one sentence when the text is no good, before or after; then nothing is written.
    """
    import tomli_w

    read_about(path)
    text = RESULTS_TABLE.sub("", path.read_text(encoding="utf-8")).rstrip() + "\n"
    rows = [one.model_dump(exclude_none=True, exclude_defaults=True, mode="json") for one in results]
    with whole(path) as partial:
        partial.write_text(f"{text}\n{tomli_w.dumps({'results': rows})}", encoding="utf-8")
        read_about(partial)
