"""What a bundle is judged on: real clips, rendered clips, the film of the demo, and a stream joined from them.

The real clips lie beside the checkout and never in it. Without them the film that comes with the package is the one
reference fall, and the command says loudly what that leaves unproven.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from device.labels import FALLING, INDEX
from device.preprocess import Differencer, Raster
from training.footage import STEP_S, Footage, load_clips, sample_footage
from training.index import read_indexes
from training.metrics import FallTime
from training.pieces import film_of, pieces_in
from training.synth.clip import load_clip

FILM: Final = Path(__file__).resolve().parents[2] / "device" / "footage" / "night_fall.mp4"
FILM_FALL: Final = FallTime(18.3, 19.3)
"""Balance lost and body at rest in the film of `fallwatch demo`, seconds; read off its pictures."""

STEPS_PER_HOUR: Final = round(3600 / STEP_S)
SEED: Final = 0

Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Reference:
    """One clip. on_floor: somebody is on the floor on purpose, so nothing it tells is a false alarm."""

    name: str
    film: Footage
    fall: FallTime | None
    on_floor: bool = False


def real_clips(tables: Sequence[Path], raster: Raster, cache: Path) -> list[Reference]:
    """Every clip of the tables. Raises ClipTableError or FootageError."""
    clips = read_indexes(tables)
    films = load_clips(clips, raster, cache)
    return [
        Reference(
            clip.name,
            films[clip.name],
            None
            if clip.fall_start_s is None or clip.fall_end_s is None
            else FallTime(clip.fall_start_s, clip.fall_end_s),
            clip.on_floor,
        )
        for clip in clips
    ]


def rendered_clips(folder: Path, raster: Raster) -> list[Reference]:
    """Every rendered clip of a folder; its fall is where it is labelled falling. Raises ValueError."""
    found = []
    for path in pieces_in(folder):
        clip = load_clip(path)
        falling = np.flatnonzero(clip.label == INDEX[FALLING])
        fall = FallTime(falling[0] * STEP_S, (falling[-1] + 1) * STEP_S) if falling.size else None
        found.append(Reference(f"rendered__{path.stem}", film_of(clip.grey, raster), fall))
    return found


def the_film(raster: Raster) -> Reference:
    """The fall that comes with the package: there on every machine."""
    return Reference("demo__night_fall", sample_footage(FILM, raster), FILM_FALL)


@dataclass(frozen=True, slots=True)
class Stream:
    """Footage without end: joined clips, cuts and all, that one never resets. Its last sixth shows what its first did.

    pieces: grey pictures in order. block: steps of the first and of the last sixth, which are the same pictures.
    """

    pieces: tuple[Grey, ...]
    block: int

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def inputs(self, raster: Raster) -> Iterator[NDArray[np.uint8]]:
        """Model inputs, one a step."""
        differencer = Differencer(raster)
        for piece in self.pieces:
            for grey in piece:
                yield differencer.step(grey)


def joined(references: Sequence[Reference], hours: float) -> Stream:
    """A stream of `hours` from the clips in turn: first as they come, then shuffled as often as needed, then the first
    sixth once more, so that what changed in an hour is the network's past and not the picture."""
    greys = [reference.film.grey for reference in references]
    steps = max(6, round(hours * STEPS_PER_HOUR))
    block = steps // 6
    rng = np.random.default_rng(SEED)
    first = _filled(greys, [], block)
    between = _filled(greys, rng.permutation(len(greys)).tolist(), steps - 2 * block, rng)
    return Stream((*first, *between, *first), block)


def _filled(greys: Sequence[Grey], order: list[int], steps: int, rng: np.random.Generator | None = None) -> list[Grey]:
    """Pieces in an order, then in another, until there are just so many steps."""
    found: list[Grey] = []
    left, order = steps, order or list(range(len(greys)))
    while left > 0:
        for index in order:
            found.append(greys[index][:left])
            left -= len(found[-1])
            if left == 0:
                break
        order = rng.permutation(len(greys)).tolist() if rng else order
    return found
