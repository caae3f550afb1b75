"""The score timeline as a picture: what is drawn, where, and what is said when it cannot be."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device import plot
from device.card import Thresholds
from device.errors import MissingExtraError
from device.plot import PlotError, timeline_png
from device.records import Incident, Scores
from tests.test_console import fall_scores

LIMITS = Thresholds(fall_on=0.6, fall_off=0.3, down_on=0.5, down_off=0.35)
START = 5000.0


@pytest.fixture
def scores() -> list[Scores]:
    """12 s at ten a second, upright, falling at 4 s, on the floor; monotonic time does not start at 0."""
    return [replace(one, t=one.t + START) for one in fall_scores(0.0)]


def stage(name: str, t: float, *, kind: Any = "fall", ended: bool = False) -> Incident:
    return Incident("A", kind, name, START + t, 0.0, START + 4.0, 0.0, score=0.9, ended=ended)


def pixels(path: Path) -> Any:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture[:, :, ::-1].astype(int)


def share_near(picture: Any, colour: str) -> float:
    """Share of pixels within 12 grey levels of a colour #rrggbb."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return float((np.abs(picture - wanted).max(axis=2) < 12).mean())


def test_a_fall_is_drawn_in_all_its_parts(tmp_path: Path, scores: list[Scores]) -> None:
    path = tmp_path / "fall.png"
    timeline_png(path, scores, [stage("suspected", 4.4), stage("confirmed", 10.0)], LIMITS, "fall.mp4")
    picture = pixels(path)
    assert picture.shape[1] == 1440
    for label in ("falling", "floor", "upright"):
        assert share_near(picture, plot.COLOURS[label]) > 0.005, label
    assert share_near(picture, plot.INK) > 0.001


def test_marks_and_thresholds_move_with_what_they_mark(tmp_path: Path, scores: list[Scores]) -> None:
    def drawn(incidents: list[Incident], limits: Thresholds = LIMITS) -> Any:
        timeline_png(tmp_path / "one.png", scores, incidents, limits, "one")
        return pixels(tmp_path / "one.png")

    early, late = drawn([stage("suspected", 2.0)]), drawn([stage("suspected", 9.0)])
    dark = [np.where((picture[200:300] < 110).all(axis=2).mean(axis=0) > 0.9)[0].mean() for picture in (early, late)]
    assert 600 < dark[1] - dark[0] < 800  # 7 of 12 seconds of an axis about 1200 px wide
    higher = drawn([stage("suspected", 2.0)], LIMITS.model_copy(update={"fall_on": 0.9}))
    assert not np.array_equal(early, higher)


def test_flags_that_would_overlap_stand_in_rows_and_the_last_hangs_left() -> None:
    crowd = [stage("suspected", 4.0), stage("confirmed", 4.5), stage("still_down", 5.0), stage("recovered", 11.9)]
    assert plot._flag_rows(crowd, START, 12.0) == [0, 1, 2, 0]
    left, right = plot._flag_span(crowd[-1], START, 12.0)
    assert left < right == pytest.approx(11.9 / 12.0)


def test_footage_of_one_step_and_without_incidents_is_drawn(tmp_path: Path, scores: list[Scores]) -> None:
    timeline_png(tmp_path / "one.png", scores[:1], [], LIMITS, "one step")
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"


def test_what_cannot_be_drawn_gets_a_sentence(
    tmp_path: Path, scores: list[Scores], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlotError, match="no score to draw"):
        timeline_png(tmp_path / "none.png", [], [], LIMITS, "none")
    with pytest.raises(PlotError, match="cannot be written"):
        timeline_png(tmp_path / "nowhere" / "a.png", scores, [], LIMITS, "a")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fallwatch\[console\]'"):
        timeline_png(tmp_path / "b.png", scores, [], LIMITS, "b")
