"""What every section of the settings has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(ge=0.1, le=86_400)]


class Section(BaseModel):
    """One [section] of the settings: frozen, an unknown key is refused, defaults are judged like what is given."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
