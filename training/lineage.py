"""What a checkpoint has seen: by its own settings, by mined pieces, by the networks it began as.

A checkpoint carries its lineage, so that nothing is forgotten when a folder or an ancestor is moved away. Those of
before have paths alone, and are asked as far as these still lead somewhere.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from training.clip import Clip
from training.index import HoldOut

LEDGER: Final = "mined.json"
"""What `fallwatch mine` leaves in a folder of pieces: the sources they are from."""

KEY: Final = "lineage"
"""Where the settings in a checkpoint hold what `lineage_of` gives."""

Seen = Callable[[Clip], bool]

log = logging.getLogger(__name__)


def lineage_of(train: Mapping[str, Any], ancestors: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """What a checkpoint is to remember beside its settings: plain values.

    synth, negatives: folders by their whole path. mined_from: the footage of the pieces that are there now. ancestors:
    the settings of the networks it began as, with lineages of their own. Raises ValueError naming a broken ledger.
    """
    negatives = _listed(train.get("negatives"))
    return {
        "synth": [str(Path(folder).resolve()) for folder in _listed(train.get("synth"))],
        "negatives": [str(Path(folder).resolve()) for folder in negatives],
        "mined_from": sorted(str(path) for path in mined_sources(negatives)),
        "ancestors": [dict(one) for one in ancestors],
    }


def seen_by(train: Mapping[str, Any]) -> Seen:
    """Whether a clip was trained on, by the settings in a checkpoint and those of its ancestors.

    Raises CheckpointError when an ancestor can't be read; one that is neither remembered nor there is a warning.
    """
    own = _by_settings(train)
    mined = _mined(train)
    before = [seen_by(one) for one in ancestors_of(train)]
    return lambda clip: own(clip) or clip.path.resolve() in mined or any(seen(clip) for seen in before)


def seen_files_by(train: Mapping[str, Any]) -> Callable[[Path], bool]:
    """Whether a rendered clip or a simulated day was trained on: it lies in a folder of --synth, or was mined."""
    folders = {Path(folder).resolve() for folder in _folders(train, "synth")}
    mined = _mined(train)
    before = [seen_files_by(one) for one in ancestors_of(train)]

    def seen(file: Path) -> bool:
        whole = file.resolve()
        return whole in mined or whole.parent in folders or any(one(file) for one in before)

    return seen


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
    """Rows of --clips, less those held out; no row at all where no window showed one or its room.

    Without rendered clips real ones are drawn whatever their share, and --swap takes people before real rooms.
    """
    held = [HoldOut.parse(text) for text in train.get("hold_out", ())]
    shown = train.get("real", 1.0) > 0.0 or train.get("swap", 0.0) > 0.0 or not train.get("synth")
    with_real = bool(train.get("clips")) and shown
    return lambda clip: with_real and trainable(clip) and not any(rule.holds(clip) for rule in held)


def _mined(train: Mapping[str, Any]) -> frozenset[Path]:
    """The footage its mined pieces are from, as remembered and as the folders say now."""
    remembered = frozenset(Path(source) for source in train.get(KEY, {}).get("mined_from", ()))
    return remembered | mined_sources(_folders(train, "negatives"))


def _folders(train: Mapping[str, Any], name: str) -> list[str]:
    """Folders of a setting, by their whole path where that is remembered."""
    return _listed(train.get(KEY, {}).get(name)) or _listed(train.get(name))


def ancestors_of(train: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The settings of the networks it began as: remembered, or read from --init where that is still there."""
    if KEY in train:
        return list(train[KEY]["ancestors"])
    init = train.get("init") or ""
    if not init:
        return []
    if not Path(init).is_file():
        log.warning("it began as %s, which is not there: what that one was trained on counts as never seen", init)
        return []
    from training.checkpoint import load

    return [load(Path(init)).train]


def _listed(named: str | Iterable[str] | None) -> list[str]:
    """Folders of a setting; older checkpoints hold one as plain text, or none as an empty one."""
    if not named:
        return []
    return [named] if isinstance(named, str) else list(named)
