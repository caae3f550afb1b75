"""Which model scores which clip, and what that score is worth: a room never seen, dev, or seen in training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.card import Thresholds
from device.preprocess import Raster, stack
from training.footage import Footage, load_clips
from training.index import Clip, HoldOut
from training.metrics import ClipWindows, clip_windows, smooth
from training.scoring import evidence

Scorer = Callable[[Footage], NDArray[np.float64]]

UNSEEN, DEV, SEEN = "room never seen", "dev, never trained on", "SEEN IN TRAINING"
PROTOCOLS = (UNSEEN, DEV, SEEN)

USUAL_THRESHOLDS = Thresholds(fall_on=0.5, fall_off=0.25, down_on=0.5, down_off=0.25)
"""For a checkpoint, which has no card yet: more likely than not, and half of that to leave."""

USUAL_WARM_STEPS = 10
"""For a checkpoint: the reach of the long difference."""


@dataclass(frozen=True, slots=True)
class Model:
    """Something that scores footage, the thresholds its incidents are judged by, and which real clips it has seen."""

    name: str
    raster: Raster
    score: Scorer
    thresholds: Thresholds
    warm_steps: int
    trained_on: Callable[[Clip], bool]


@dataclass(frozen=True, slots=True)
class Scored:
    """One clip, the protocol it was scored under, and its probabilities (steps, labels)."""

    clip: Clip
    protocol: str
    model: Model
    t: NDArray[np.float64]
    reset: NDArray[np.bool_]
    probabilities: NDArray[np.float64]

    @property
    def fall(self) -> tuple[float, float] | None:
        """Start and end of the fall, seconds."""
        start, end = self.clip.fall_start_s, self.clip.fall_end_s
        return None if start is None or end is None else (start, end)

    def windows(self, smoothing_s: float) -> ClipWindows:
        """Window scores, raw (0) or smoothed."""
        score = evidence(self.probabilities)
        return clip_windows(self.t, smooth(self.t, score, smoothing_s) if smoothing_s else score, self.fall)


def open_model(path: Path) -> Model:
    """A checkpoint file or a bundle folder. Raises ValueError or FallwatchError with one sentence."""
    if path.is_dir():
        from device.runner import open_runner

        runner = open_runner(path)

        def stepped(footage: Footage) -> NDArray[np.float64]:
            out = []
            for first, inputs in zip(footage.reset, _inputs(footage, runner.card.input.raster()), strict=True):
                if first:
                    runner.reset()
                out.append(runner.step(inputs))
            return np.asarray(out, np.float64)

        card = runner.card
        # A bundle does not say which clips were held out: all that may be trained on counts as seen.
        return Model(runner.model_id, card.input.raster(), stepped, card.thresholds, card.warm_steps, _trainable)
    from training.checkpoint import load
    from training.scoring import probabilities

    checkpoint = load(path)
    network = checkpoint.build()
    held = [HoldOut.parse(text) for text in checkpoint.train.get("hold_out", ())]
    with_real = bool(checkpoint.train.get("clips"))
    return Model(
        str(path),
        checkpoint.network.raster,
        lambda footage: probabilities(network, footage),
        USUAL_THRESHOLDS,
        USUAL_WARM_STEPS,
        lambda clip: with_real and _trainable(clip) and not any(rule.holds(clip) for rule in held),
    )


def _trainable(clip: Clip) -> bool:
    return clip.split == "train"


def _inputs(footage: Footage, raster: Raster) -> Iterator[NDArray[np.uint8]]:
    starts = [*np.flatnonzero(footage.reset).tolist(), len(footage)]
    for start, end in pairwise(starts):
        yield from stack(footage.grey[start:end], raster)


def protocol_of(clip: Clip, model: Model) -> str:
    """What a score of this model on this clip is worth."""
    if clip.split == "dev":
        return DEV
    return SEEN if model.trained_on(clip) else UNSEEN


def score_clips(
    clips: Sequence[Clip], model: Model, folds: Sequence[tuple[HoldOut, Model]], cache: Path
) -> list[Scored]:
    """Every clip by the fold that held it out, else by the model, with a progress bar.

    Raises ValueError when a fold's checkpoint was trained on a clip it is to be tested on.
    """
    from tqdm import tqdm

    footage = {raster: load_clips(clips, raster, cache) for raster in {model.raster, *(m.raster for _, m in folds)}}
    scored = []
    for clip in tqdm(clips, desc="score", unit="clip"):
        fold = next((m for rule, m in folds if rule.holds(clip)), None)
        by = fold or model
        if fold and fold.trained_on(clip):
            raise ValueError(f"{fold.name} was trained on {clip.name}; name the checkpoint that held it out")
        film = footage[by.raster][clip.name]
        scored.append(Scored(clip, protocol_of(clip, by), by, film.t, film.reset, by.score(film)))
    return scored
