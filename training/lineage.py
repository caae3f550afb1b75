"""What a checkpoint has seen of the real clips: by its own settings, by mined pieces, by the network it began as."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from training.clip import Clip
from training.index import HoldOut

LEDGER: Final = "mined.json"
"""What `fallwatch mine` leaves in a folder of pieces: the sources they are from."""

Seen = Callable[[Clip], bool]


def seen_by(train: Mapping[str, Any]) -> Seen:
    """Whether a clip was trained on, by the settings in a checkpoint and those of its ancestors that are still there.

    Raises CheckpointError when an ancestor can't be read.
    """
    own = _by_settings(train)
    mined = mined_sources(_listed(train.get("negatives")))
    parent = _parent(train)
    return lambda clip: own(clip) or clip.path.resolve() in mined or parent(clip)


def seen_files_by(train: Mapping[str, Any]) -> Callable[[Path], bool]:
    """Whether a rendered clip or a simulated day was trained on: it lies in a folder of --synth, or was mined."""
    folders = {Path(folder).resolve() for folder in _listed(train.get("synth"))}
    mined = mined_sources(_listed(train.get("negatives")))
    path = _init(train)
    parent = seen_files_by(_settings(path)) if path else None
    return lambda file: file.resolve() in mined or file.resolve().parent in folders or bool(parent and parent(file))


def trainable(clip: Clip) -> bool:
    """Whether its licence lets it be trained on at all."""
    return clip.split == "train"


def mined_sources(folders: Iterable[str]) -> frozenset[Path]:
    """The footage that pieces in these folders were mined from. Raises ValueError naming a ledger that is broken."""
    found: set[Path] = set()
    for ledger in (Path(folder) / LEDGER for folder in folders):
        if not ledger.is_file():
            continue
        try:
            sources = json.loads(ledger.read_text(encoding="utf-8"))["sources"]
            found.update(Path(source).resolve() for source, entry in sources.items() if entry["kept"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{ledger}: cannot be read ({error}); mine again: it says what was trained on") from None
    return frozenset(found)


def _by_settings(train: Mapping[str, Any]) -> Seen:
    """Rows of --clips, less those held out; no row at all where real windows have no share of a batch."""
    held = [HoldOut.parse(text) for text in train.get("hold_out", ())]
    with_real = bool(train.get("clips")) and train.get("real", 1.0) > 0.0
    return lambda clip: with_real and trainable(clip) and not any(rule.holds(clip) for rule in held)


def _parent(train: Mapping[str, Any]) -> Seen:
    path = _init(train)
    return seen_by(_settings(path)) if path else lambda clip: False


def _init(train: Mapping[str, Any]) -> Path | None:
    """The checkpoint it began as, where that is still there."""
    path = Path(train.get("init") or "")
    return path if path.is_file() else None


def _settings(path: Path) -> Mapping[str, Any]:
    from training.checkpoint import load

    return load(path).train


def _listed(named: str | Iterable[str] | None) -> list[str]:
    """Folders of a setting; older checkpoints hold one as plain text, or none as an empty one."""
    if not named:
        return []
    return [named] if isinstance(named, str) else list(named)
