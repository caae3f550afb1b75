"""Contact sheets and counts: what was made, to be looked at."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.labels import FALLING, FLOOR, LABELS
from training.pieces import STORED_SHAPE, Facts
from training.synth.clip import Clip, boxes
from training.synth.simulate import STEPS_PER_S

TILE: Final = (192, 144)
COLUMNS: Final = 10
PICTURES: Final = (".png", ".jpg", ".jpeg")
YELLOW: Final = (0, 230, 255)
RED: Final = (70, 70, 255)
GREEN: Final = (90, 230, 90)


def sheet_fault(path: Path) -> str | None:
    """Why no contact sheet can be written there, in one sentence, or None: known before hours of rendering."""
    if path.suffix.lower() not in PICTURES:
        return f"--sheet {path}: not a picture's name; end it in .png"
    if path.is_dir() or not path.parent.is_dir():
        return f"--sheet {path}: {'that is a folder' if path.is_dir() else f'no folder {path.parent}'}; name a file"
    return None


def write_words(
    tile: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int], size: float = 0.42
) -> None:
    """Text with a dark outline, readable on any picture; at: pixels from the left and the top."""
    for thick, ink in ((3, (0, 0, 0)), (1, colour)):
        cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, thick, cv2.LINE_AA)


def clip_row(clip: Clip) -> NDArray[np.uint8]:
    """One clip as a strip of COLUMNS pictures over its time: label, the people's outlines and boxes on each."""
    tiles, found = [], boxes(clip)
    scale = np.tile(np.array(TILE) / clip.grey.shape[:0:-1], 2)
    for column, step in enumerate(np.linspace(0, len(clip.label) - 1, COLUMNS).astype(int)):
        tile = cv2.resize(cv2.cvtColor(clip.grey[step], cv2.COLOR_GRAY2BGR), TILE, interpolation=cv2.INTER_LINEAR)
        mask = cv2.resize(clip.mask[step].astype(np.uint8), TILE, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, outlines, -1, (120, 90, 0), 1)
        for box in found[step][~np.isnan(found[step]).any(axis=1)]:
            x0, y0, x1, y1 = (int(v) for v in box * scale)
            cv2.rectangle(tile, (x0, y0), (x1, y1), GREEN, 1)
        name = LABELS[int(clip.label[step])]
        write_words(tile, name, (4, 14), RED if name in (FALLING, FLOOR) else YELLOW)
        if column == 0:
            title = f"{clip.meta['index']} {clip.meta['behaviour']} {clip.meta['room']}"
            write_words(tile, title, (4, TILE[1] - 6), GREEN)
        tiles.append(tile)
    return np.asarray(np.hstack(tiles), np.uint8)


def write_sheet(clips: Sequence[Clip], path: Path) -> None:
    """A PNG with one strip a clip. Raises ValueError when there is none, OSError when it cannot be written."""
    if not clips:
        raise ValueError(f"no clip to draw on the contact sheet {path}")
    if not cv2.imwrite(str(path), np.vstack([clip_row(clip) for clip in clips])):
        raise OSError(f"cannot write the contact sheet {path}; name a writable .png file")


def statistics(clips: Iterable[Clip | Facts]) -> str:
    """What a folder of clips holds, as lines of text: behaviours, seconds by label, light, rooms, people, cameras."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for clip in clips:
        meta = clip.meta
        counts["group"][meta["group"]] += 1
        counts["behaviour"][meta["behaviour"]] += 1
        counts["room"][meta["room"]] += 1
        counts["light"][meta["light"][0] + (" switched" if len(meta["light"]) > 1 else "")] += 1
        counts["people"].update("body" if body else "capsules" for body in meta["bodies"])
        counts["picture"]["16:9" if meta["content"][3] < STORED_SHAPE[0] else "4:3"] += 1
        for name in ("shadows", "shaken"):
            counts[name][str(bool(meta[name])).lower()] += 1
        assert clip.label is not None, "a rendered clip knows its labels"
        for label, steps in zip(*np.unique(clip.label, return_counts=True), strict=True):
            counts["seconds"][LABELS[int(label)]] += int(steps)
    total = counts["group"].total()
    lines = [f"{total} clips: {_shares(counts.pop('group', Counter()))}"]
    lines += [f"  {name:<22}{count:>6}" for name, count in sorted(counts.pop("behaviour", Counter()).items())]
    seconds = counts.pop("seconds", Counter())
    lines += ["label seconds: " + ", ".join(f"{name} {seconds[name] / STEPS_PER_S:.1f}" for name in LABELS)]
    lines += [f"{name}: {_shares(counter)}" for name, counter in counts.items() if counter]
    return "\n".join(lines)


def _shares(counter: Counter[str]) -> str:
    total = max(1, counter.total())
    return ", ".join(f"{name} {100 * count / total:.0f} %" for name, count in counter.most_common())
