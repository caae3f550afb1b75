"""Files that a reader sees whole or not at all, and JSON that knows how to say that nothing was measured."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes that name when the block ends and leaves nothing when it fails.

    An OSError that names no file, as that of a full disk, then names `path`.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """A text file, written whole, then named."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def json_of(said: Any) -> str:
    """As JSON, with null for every NaN: what there was nothing to measure on."""
    return json.dumps(plain(said), indent=1, allow_nan=False)


def plain(said: Any) -> Any:
    """The same, every NaN in it None, tuples lists."""
    if isinstance(said, dict):
        return {name: plain(value) for name, value in said.items()}
    if isinstance(said, list | tuple):
        return [plain(value) for value in said]
    return None if isinstance(said, float) and math.isnan(said) else said
