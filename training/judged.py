"""Which model scores which clip, and what that score is worth: which room, dataset or clip it has never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from device.card import Card, Thresholds, sha256
from device.preprocess import Raster, stack
from training.footage import Footage, load_clips
from training.index import Clip, HoldOut
from training.lineage import seen_by, seen_files_by, trainable
from training.metrics import ClipWindows, clip_windows, smooth
from training.scoring import evidence
from training.unit_policy import Answers

Scorer = Callable[[Footage], NDArray[np.float64]]

UNSEEN, CROSS, DEV = "room left out", "dataset left out", "dev, never trained on"
WITHIN, SEEN = "within room", "SEEN IN TRAINING"
PROTOCOLS = (UNSEEN, CROSS, DEV, WITHIN, SEEN)
"""From the strictest to none. room left out: other rooms of the dataset were trained on. dataset left out: no clip of
it was. dev: nor ever will be. within room: other clips of the same room were trained on."""

NEVER_SEEN_ROOMS = (UNSEEN, CROSS, DEV)
"""Protocols that say what happens in a room the network has not seen: the figures a ward may count on."""

USUAL_THRESHOLDS = Thresholds(fall_on=0.5, fall_off=0.25, down_on=0.5, down_off=0.25)
"""For a checkpoint, which has no card yet: more likely than not, and half of that to leave."""

USUAL_WARM_STEPS = 10
"""For a checkpoint: the reach of the long difference."""


@dataclass(frozen=True, slots=True)
class Model:
    """Something that scores footage, the thresholds its incidents are judged by, and which real clips it has seen.

    numbers: what it computes in. digest: first digits of its file's sha256, so that a fold can be told from another.
    seen_file: whether it was trained on a rendered clip or simulated day; a bundle cannot say and says no.
    """

    name: str
    raster: Raster
    score: Scorer
    thresholds: Thresholds
    warm_steps: int
    trained_on: Callable[[Clip], bool]
    numbers: str = "float"
    digest: str = ""
    seen_file: Callable[[Path], bool] = field(default=lambda path: False)

    def answers(self, film: Footage) -> Answers:
        """What it says over footage on its own raster."""
        return Answers(film.t, film.reset, self.score(film), self.warm_steps)


@dataclass(frozen=True, slots=True)
class Scored:
    """One clip, the protocol it was scored under, its probabilities (steps, labels), and what was looked at."""

    clip: Clip
    protocol: str
    model: Model
    t: NDArray[np.float64]
    reset: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    film: Footage | None = field(default=None, repr=False)

    @property
    def fall(self) -> tuple[float, float] | None:
        """Start and end of the fall, seconds."""
        start, end = self.clip.fall_start_s, self.clip.fall_end_s
        return None if start is None or end is None else (start, end)

    @property
    def answers(self) -> Answers:
        """What the policy is to judge."""
        return Answers(self.t, self.reset, self.probabilities, self.model.warm_steps)

    def evidence(self, smoothing_s: float) -> NDArray[np.float64]:
        """P(falling) + P(floor) at each step, raw (0) or as the mean of the last seconds."""
        score = evidence(self.probabilities)
        return smooth(self.t, score, smoothing_s) if smoothing_s else score

    def windows(self, smoothing_s: float) -> ClipWindows:
        """Window scores, raw (0) or smoothed."""
        return clip_windows(self.t, self.evidence(smoothing_s), self.fall)


def open_model(path: Path) -> Model:
    """A checkpoint file or a bundle folder. Raises ValueError or FallwatchError with one sentence."""
    return _bundle(path) if path.is_dir() else _checkpoint(path)


def _bundle(path: Path) -> Model:
    from device.runner import open_runner

    runner = open_runner(path)
    card = runner.card

    def stepped(footage: Footage) -> NDArray[np.float64]:
        out = []
        for first, inputs in zip(footage.reset, _inputs(footage, card.input.raster()), strict=True):
            if first:
                runner.reset()
            out.append(runner.step(inputs))
        return np.asarray(out, np.float64)

    return Model(
        runner.model_id,
        card.input.raster(),
        stepped,
        card.thresholds,
        card.warm_steps,
        _by_card(card),
        "int8",
        card.model_id.rpartition("-")[2],
    )


def _by_card(card: Card) -> Callable[[Clip], bool]:
    """Which clips a bundle has seen, by its card; where the card does not say, all that may be trained on."""
    seen = card.trained_on
    return lambda clip: trainable(clip) and (seen is None or clip.dataset in seen)


def _checkpoint(path: Path) -> Model:
    from training.checkpoint import load
    from training.scoring import probabilities

    checkpoint = load(path)
    network = checkpoint.build()
    return Model(
        str(path),
        checkpoint.network.raster,
        lambda footage: probabilities(network, footage),
        USUAL_THRESHOLDS,
        USUAL_WARM_STEPS,
        seen_by(checkpoint.train),
        digest=sha256(path)[:8],
        seen_file=seen_files_by(checkpoint.train),
    )


def _inputs(footage: Footage, raster: Raster) -> Iterator[NDArray[np.uint8]]:
    starts = [*np.flatnonzero(footage.reset).tolist(), len(footage)]
    for start, end in pairwise(starts):
        yield from stack(footage.grey[start:end], raster)


def protocol_of(clip: Clip, model: Model, clips: Sequence[Clip] = ()) -> str:
    """What a score of this model on this clip is worth; clips: all there are, to know what else it was trained on."""
    if clip.split == "dev":
        return DEV
    if model.trained_on(clip):
        return SEEN
    kin = [other for other in clips if other.dataset == clip.dataset and model.trained_on(other)]
    if any(other.room == clip.room for other in kin):
        return WITHIN
    return UNSEEN if kin else CROSS


@dataclass(frozen=True, slots=True)
class Fold:
    """A model and the clips it held out; its incidents are judged by the thresholds of the model it stands for."""

    holds: HoldOut
    model: Model

    @classmethod
    def parse(cls, text: str, main: Model) -> Fold:
        """From WHAT=MODEL, standing for `main`. Raises ValueError or FallwatchError with one sentence."""
        what, _, path = text.rpartition("=")
        if not what:
            raise ValueError(f"--fold {text!r}: write WHAT=MODEL, e.g. gmdcsa24:G1=runs/G1/checkpoint.pt")
        model = open_model(Path(path))
        return cls(HoldOut.parse(what), replace(model, thresholds=main.thresholds, warm_steps=main.warm_steps))

    @property
    def name(self) -> str:
        """What was held out, and the digest of who held it out: what a card keeps of a fold."""
        return f"{self.holds} {self.model.digest}".strip()


def score_clips(clips: Sequence[Clip], model: Model, folds: Sequence[Fold], cache: Path) -> list[Scored]:
    """Every clip by the fold that held it out, else by the model, with a progress bar.

    Footage is decoded straight to each model's own raster, as the unit does it. Raises ValueError when a fold's
    checkpoint was trained on a clip it is to be tested on.
    """
    from tqdm import tqdm

    rasters = {model.raster, *(fold.model.raster for fold in folds)}
    films = {raster: load_clips(clips, raster, cache) for raster in rasters}
    scored = []
    for clip in tqdm(clips, desc="score", unit="clip"):
        by = _judge(clip, model, folds)
        film = films[by.raster][clip.name]
        protocol = protocol_of(clip, by, clips)
        scored.append(Scored(clip, protocol, by, film.t, film.reset, by.score(film), film))
    return scored


def unseen(paths: Sequence[Path], model: Model) -> Sequence[Path]:
    """The same paths. Raises ValueError naming one the model was trained on: that would prove nothing."""
    for path in paths:
        if model.seen_file(path):
            raise ValueError(f"{path}: {model.name} was trained on it; render with a seed that no training has used")
    return paths


def _judge(clip: Clip, model: Model, folds: Sequence[Fold]) -> Model:
    fold = next((fold for fold in folds if fold.holds.holds(clip)), None)
    if fold is None:
        return model
    if fold.model.trained_on(clip):
        raise ValueError(f"{fold.model.name} was trained on {clip.name}; name the checkpoint that held it out")
    return fold.model
