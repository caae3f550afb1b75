"""Contact sheets and counts: what was made, to be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.labels import FALLING, FLOOR, LABELS
from training.synth.clip import Clip

TILE: Final = (192, 144)
COLUMNS: Final = 10
YELLOW: Final = (0, 230, 255)
RED: Final = (70, 70, 255)
GREEN: Final = (90, 230, 90)


def _write(tile: NDArray[np.uint8], text: str, y: int, colour: tuple[int, int, int]) -> None:
    """Text with a dark outline, readable on any picture."""
    for thick, ink in ((3, (0, 0, 0)), (1, colour)):
        cv2.putText(tile, text, (4, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, ink, thick, cv2.LINE_AA)


def clip_row(clip: Clip) -> NDArray[np.uint8]:
    """One clip as a strip of COLUMNS pictures over its time, label on each, outline of the people's mask."""
    tiles = []
    for column, step in enumerate(np.linspace(0, len(clip.label) - 1, COLUMNS).astype(int)):
        tile = cv2.resize(cv2.cvtColor(clip.grey[step], cv2.COLOR_GRAY2BGR), TILE, interpolation=cv2.INTER_LINEAR)
        mask = cv2.resize(clip.mask[step].astype(np.uint8), TILE, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, outlines, -1, (120, 90, 0), 1)
        name = LABELS[int(clip.label[step])]
        _write(tile, name, 14, RED if name in (FALLING, FLOOR) else YELLOW)
        if column == 0:
            _write(tile, f"{clip.meta['index']} {clip.meta['behaviour']}", TILE[1] - 6, GREEN)
        tiles.append(tile)
    return np.asarray(np.hstack(tiles), np.uint8)


def write_sheet(clips: Sequence[Clip], path: Path) -> None:
    """A PNG with one strip a clip. Raises OSError when it cannot be written."""
    if not cv2.imwrite(str(path), np.vstack([clip_row(clip) for clip in clips])):
        raise OSError(f"cannot write the contact sheet {path}")


def statistics(clips: Iterable[Clip]) -> str:
    """Clips by behaviour and group, share of steps by label, as lines of text."""
    behaviours: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    for clip in clips:
        behaviours[clip.meta["behaviour"]] += 1
        groups[clip.meta["group"]] += 1
        steps.update(LABELS[int(label)] for label in clip.label)
    total, seen = max(1, sum(steps.values())), max(1, sum(groups.values()))
    lines = [
        f"{sum(groups.values())} clips: " + ", ".join(f"{n} {100 * c / seen:.0f} %" for n, c in groups.most_common())
    ]
    lines += [f"  {name:<22}{count:>6}" for name, count in sorted(behaviours.items())]
    lines += ["share of steps: " + ", ".join(f"{name} {100 * steps[name] / total:.1f} %" for name in LABELS)]
    return "\n".join(lines)
