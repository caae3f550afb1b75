"""What a bundle's card says that no file can be measured for: name, thresholds, footage, results, limits.

Written by hand as a TOML file beside the training set-up, one for each network that ships, so that a bundle can be
made again from a checkpoint and this file alone.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device.card import BundleError, Result, Source, Thresholds


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
