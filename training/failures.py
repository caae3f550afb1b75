"""A sheet of what went wrong: falls that were missed, the worst moments of everyday life, frames with their score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.records import Incident
from training.aims import suspected_in_time
from training.hours import Alarm, Days
from training.judged import Scored
from training.metrics import AFTER_FALL_S, BEFORE_FALL_S
from training.pieces import read_piece
from training.scoring import evidence

FRAMES: Final = 8
TILE: Final = (192, 144)
LINE_HEIGHT: Final = 20
BEFORE_S, AFTER_S = 2.0, 1.5
"""What is shown around a peak: most of what leads there, and what came of it."""
APART_S = 4.0
"""Peaks closer than one window of the tables are one moment."""
SHOWN: Final = 24
"""Rows of a sheet: more are not looked at."""
WORST_OF_A_CLIP: Final = 2
"""Of one clip no more false moments than this: the tenth is like the first, and hides another clip's."""
INK: Final = {"missed": (70, 70, 255), "false": (0, 200, 255)}
PLAIN_INK: Final = (230, 230, 230)
"""BGR of the words: red for a missed fall, yellow for a false alarm, white for time and score."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of footage worth looking at. kind: missed or false. pictures: uint8 (FRAMES, height, width), grey."""

    kind: str
    title: str
    pictures: NDArray[np.uint8]
    t: tuple[float, ...]
    score: tuple[float, ...]

    @classmethod
    def cut(cls, kind: str, title: str, film: tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]],
            span: tuple[float, float]) -> Moment:  # fmt: skip
        """Frames spread over a span in seconds; film: grey pictures, their times, their scores."""
        grey, t, score = film
        first, last = np.searchsorted(t, span[0]), np.searchsorted(t, span[1])
        steps = np.linspace(first, max(first, last), FRAMES).round().astype(int).clip(0, len(t) - 1)
        return cls(kind, title, grey[steps], tuple(t[steps].tolist()), tuple(score[steps].tolist()))


def peaks(t: NDArray[np.float64], score: NDArray[np.float64], level: float, apart_s: float = APART_S) -> list[int]:
    """Steps of the highest scores at or above `level`, highest first, no two closer than `apart_s` seconds."""
    found: list[int] = []
    # To a millionth: of a plateau that sums of floats leave uneven, the first step is the peak.
    for step in np.argsort(-np.round(score, 6), kind="stable"):
        if score[step] < level:
            break
        if all(abs(t[step] - t[other]) >= apart_s - 1e-6 for other in found):
            found.append(int(step))
    return found


def missed(scored: Sequence[Scored], said: Sequence[Sequence[Incident]]) -> list[Moment]:
    """Falls that were not suspected in time, lowest score first."""
    found: list[tuple[float, Moment]] = []
    for one, words in zip(scored, said, strict=True):
        if one.fall and one.film is not None and not suspected_in_time(one, words):
            score, best = one.evidence(0.5), one.windows(0.5).fall or 0.0
            span = (one.fall[0] - BEFORE_FALL_S, one.fall[1] + AFTER_FALL_S)
            title = f"MISSED {one.clip.name}, highest {best:.2f} ({one.protocol})"
            found.append((best, Moment.cut("missed", title, (one.film.grey, one.t, score), span)))
    return [moment for _, moment in sorted(found, key=lambda pair: pair[0])]


def false_moments(scored: Sequence[Scored], level: float) -> list[Moment]:
    """The highest everyday moments of real clips at or above a level, highest first, the worst few of each clip.

    Clips with somebody on the floor on purpose are left out.
    """
    found: list[tuple[float, Moment]] = []
    for one in scored:
        if one.clip.on_floor or one.film is None:
            continue
        score = one.evidence(0.5)
        calm = one.t < (one.fall[0] - BEFORE_FALL_S if one.fall else np.inf)
        for step in peaks(one.t[calm], score[calm], level)[:WORST_OF_A_CLIP]:
            at, peak = float(one.t[step]), float(score[step])
            title = f"FALSE {one.clip.name} at {at:.1f} s, {peak:.2f} ({one.protocol})"
            film = (one.film.grey, one.t, score)
            found.append((peak, Moment.cut("false", title, film, (at - BEFORE_S, at + AFTER_S))))
    return [moment for _, moment in sorted(found, key=lambda pair: -pair[0])]


def day_moments(days: Days, stage: str) -> list[Moment]:
    """What rang for nothing on simulated days, in the order of the pieces."""
    wrong = [alarm for alarm in days.alarms(stage) if not alarm.on_purpose]
    hours = {piece.path: piece for piece in days.pieces}
    return [_day_moment(alarm, stage, evidence(hours[alarm.piece].answers.probabilities)) for alarm in wrong[:SHOWN]]


def _day_moment(alarm: Alarm, stage: str, score: NDArray[np.float64]) -> Moment:
    grey = read_piece(alarm.piece).grey
    t = np.arange(len(grey)) / 10.0
    title = f"FALSE {stage} {alarm.piece.stem} at {alarm.t:.0f} s while {alarm.truth}"
    return Moment.cut("false", title, (grey, t, score), (alarm.start - BEFORE_S, alarm.t + AFTER_S))


def write_sheet(moments: Sequence[Moment], path: Path) -> None:
    """A PNG with one strip a moment. Raises OSError when it cannot be written, ValueError when there is none."""
    if not moments:
        raise ValueError(f"{path}: nothing to draw")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.vstack([strip(moment) for moment in moments[:SHOWN]])):
        raise OSError(f"{path}: cannot be written; name another place")


def strip(moment: Moment) -> NDArray[np.uint8]:
    """One moment as a row of pictures, time and score on each, what it is above: uint8 (height, width, 3)."""
    tiles = []
    for picture, t, score in zip(moment.pictures, moment.t, moment.score, strict=True):
        tile = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), TILE, interpolation=cv2.INTER_LINEAR)
        # Below the picture: many cameras write their own time into it.
        tiles.append(np.vstack((tile, _line(f"{t:.1f} s  {score:.2f}", TILE[0], PLAIN_INK))))
    row = np.hstack(tiles)
    return np.asarray(np.vstack((_line(moment.title, row.shape[1], INK[moment.kind]), row)), np.uint8)


def _line(text: str, width: int, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A black line with words: uint8 (LINE_HEIGHT, width, 3)."""
    line = np.zeros((LINE_HEIGHT, width, 3), np.uint8)
    cv2.putText(line, text, (4, LINE_HEIGHT - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return line
