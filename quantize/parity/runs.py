"""All forms over all footage: what each says at each step, with a progress bar, no form waiting for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from device.labels import LABELS
from device.preprocess import Raster, stack
from quantize.parity.footage import Reference, Stream
from quantize.parity.forms import Form, Scores
from quantize.steppers import Stepper
from training.footage import Footage


@dataclass(frozen=True, slots=True)
class ClipRun:
    """One clip and what every form says of it: name of the form -> (steps, labels)."""

    reference: Reference
    said: dict[str, Scores]


def over_clips(
    forms: Sequence[Form],
    references: Sequence[Reference],
    raster: Raster,
    whole: dict[str, Callable[[Footage], Scores]],
) -> list[ClipRun]:
    """Every clip by every form, reset where the footage is. whole: further ones that want a clip at once."""
    runs = []
    for reference in tqdm(references, desc="clips", unit="clip"):
        said = {form.name: stepped(form.stepper, reference.film, raster) for form in forms}
        said |= {name: score(reference.film) for name, score in whole.items()}
        runs.append(ClipRun(reference, said))
    return runs


def over_stream(forms: Sequence[Form], stream: Stream, raster: Raster) -> dict[str, Scores]:
    """The stream by every form, never reset after its beginning."""
    said = {form.name: np.zeros((len(stream), len(LABELS)), np.float32) for form in forms}
    for form in forms:
        form.stepper.reset()
    inputs = tqdm(stream.inputs(raster), total=len(stream), desc="stream", unit="step", mininterval=1.0)
    for index, picture in enumerate(inputs):
        for form in forms:
            said[form.name][index] = form.stepper.step(picture)
    return said


def stepped(stepper: Stepper, film: Footage, raster: Raster) -> NDArray[np.float32]:
    """One clip as the unit steps it."""
    out = np.zeros((len(film), len(LABELS)), np.float32)
    for start, end in pairwise([*np.flatnonzero(film.reset).tolist(), len(film)]):
        stepper.reset()
        for index, picture in enumerate(stack(film.grey[start:end], raster), start):
            out[index] = stepper.step(picture)
    return out
