"""Does the network watch the person? Rendered clips of a seed it never saw, as they are and before static stripes.

A network that goes by rooms instead of people loses on the stripes (the SCUBA test, MODEL.md II.5).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.labels import FALLING, FLOOR, INDEX
from training.judged import Model, unseen
from training.metrics import ClipWindows, clip_windows, smooth
from training.pieces import film_of, pieces_in
from training.scoring import WindowFigures, evidence, window_figures
from training.stripes import striped
from training.synth.clip import Clip, load_clip
from training.table import figures_text

RENDERED = "rendered, seed never seen"
PLAIN, STRIPED = "as rendered", "before stripes"

Change = Callable[[Clip, Path], NDArray[np.uint8]]


def as_rendered(clip: Clip, path: Path) -> NDArray[np.uint8]:
    """The clip's own pictures."""
    return clip.grey


def before_stripes(clip: Clip, path: Path) -> NDArray[np.uint8]:
    """The people before static stripes, which depend on the clip's name alone: the test is the same every time."""
    return striped(clip.grey, clip.mask, np.random.default_rng(zlib.crc32(path.name.encode())))


CHANGES: dict[str, Change] = {PLAIN: as_rendered, STRIPED: before_stripes}


@dataclass(frozen=True, slots=True)
class StripedRow:
    """Window figures of the rendered clips in one form, raw or smoothed."""

    footage: str
    smoothing_s: float
    figures: WindowFigures


def striped_rows(folder: Path, model: Model, smoothing_s: tuple[float, ...]) -> list[StripedRow]:
    """Figures plain and before stripes, side by side, with a progress bar.

    Raises ValueError naming a clip that cannot be read or was trained on; or when there are no falls, or nothing else.
    """
    from tqdm import tqdm

    clips: dict[tuple[str, float], list[ClipWindows]] = {(form, over): [] for form in CHANGES for over in smoothing_s}
    for path in tqdm(unseen(pieces_in(folder), model), desc="stripes", unit="clip"):
        clip = load_clip(path)
        fall = fall_of(clip)
        if fall is None and bool((clip.label == INDEX[FLOOR]).any()):
            continue  # lies there from the start: neither a fall to find nor everyday life
        for form, change in CHANGES.items():
            answers = model.answers(film_of(change(clip, path), model.raster))
            score = evidence(answers.probabilities)
            for over in smoothing_s:
                series = smooth(answers.t, score, over) if over else score
                clips[form, over].append(clip_windows(answers.t, series, fall))
    found = [StripedRow(form, over, window_figures(windows)) for (form, over), windows in clips.items()]
    if not all(row.figures.falls and row.figures.windows for row in found):
        raise ValueError(f"{folder}: no fall or no everyday clip in it; render some hundred with fallwatch synth")
    return found


def fall_of(clip: Clip) -> tuple[float, float] | None:
    """Start and end of the fall in seconds, by the labels; None where nobody falls."""
    falling = np.flatnonzero(clip.label == INDEX[FALLING])
    return (float(falling[0]) / 10, float(falling[-1]) / 10) if falling.size else None


def striped_text(row: StripedRow) -> str:
    """One line of the table of windows."""
    return f"{RENDERED:26} {row.footage:16} {row.smoothing_s:4.1f}s {figures_text(row.figures)}"
