"""Somebody close to the camera: which part of a picture is shown, and which labels are then right."""

from __future__ import annotations

import numpy as np
import pytest

from device.labels import EMPTY, FALLING, FLOOR, INDEX, LABELS, SEATED
from training.augment import Look
from training.cuts import Cut
from training.near import SMALLEST, near

STEPS, HIGH, WIDE = 20, 96, 128
EVERYDAY = [name not in (EMPTY, FALLING, FLOOR) for name in LABELS]


def cut(label: str, boxes: list[tuple[int, int, int, int]] | None) -> Cut:
    """A person of the given left, top, right, bottom at each step (the last one held); None: nobody knows."""
    people = None
    moved = np.zeros((HIGH, WIDE), np.float32)
    if boxes is not None:
        people = np.zeros((STEPS, HIGH, WIDE), bool)
        for step in range(STEPS):
            left, top, right, bottom = boxes[min(step, len(boxes) - 1)]
            people[step, top:bottom, left:right] = True
            moved[top:bottom, left:right] += 1
        moved /= max(1.0, float(moved.sum()))
    allowed = np.zeros((STEPS, len(LABELS)), bool)
    allowed[:, INDEX[label]] = True
    grey = np.zeros((STEPS, HIGH, WIDE), np.uint8)
    ones, height = np.ones(STEPS, np.float32), np.ones(STEPS, np.float32)
    return Cut(Look((0, 0, WIDE, HIGH), moved), grey, allowed, 0 * ones, ones, people, height)


@pytest.mark.parametrize("seed", range(20))
def test_an_everyday_person_is_cut_and_may_be_in_any_posture(seed: int) -> None:
    whole = cut(SEATED, [(40, 20, 60, 70)])
    part = near(whole, np.random.default_rng(seed))
    x, y, width, height = part.look.content
    assert x >= 0
    assert y >= 0
    assert x + width <= WIDE
    assert y + height <= HIGH
    assert min(width, height) >= SMALLEST
    assert (width, height) != (WIDE, HIGH)
    assert part.look.moved.sum() == pytest.approx(1.0)
    assert (part.allowed == EVERYDAY).all()
    assert (part.weight == 1).all()
    assert part.grey is whole.grey


@pytest.mark.parametrize("label", [FALLING, FLOOR])
def test_a_fall_keeps_its_label_and_all_its_pixels(label: str) -> None:
    boxes = [(30, 20, 45, 60), (32, 30, 50, 62), (34, 50, 70, 64)]
    for seed in range(20):
        part = near(cut(label, boxes), np.random.default_rng(seed))
        x, y, width, height = part.look.content
        assert x <= 30
        assert y <= 20
        assert x + width >= 70
        assert y + height >= 64
        assert (part.allowed == cut(label, boxes).allowed).all()


def test_a_part_that_all_have_left_shows_an_empty_room_and_a_sleeve_counts_for_nothing() -> None:
    boxes = [(40, 20, 70, 90)] * 10 + [(70, 20, 71, 25)] * 5 + [(120, 0, 128, 10)]
    whole = cut(SEATED, boxes)
    seen = set()
    for seed in range(60):
        part = near(whole, np.random.default_rng(seed))
        if part is whole:
            continue
        x, y, width, height = part.look.content
        assert whole.people is not None
        for step in range(STEPS):
            pixels = whole.people[step, y : y + height, x : x + width].sum()
            only_empty = part.allowed[step].tolist() == [name == EMPTY for name in LABELS]
            assert only_empty == (pixels == 0), (seed, step)
            assert part.weight[step] == (0 if 0 < pixels < 20 else 1)
            seen.add("empty" if pixels == 0 else "sleeve" if pixels < 20 else "person")
    assert seen == {"empty", "sleeve", "person"}


def test_nobody_and_somebody_far_away_stay_as_they_are() -> None:
    for boxes in ([(0, 0, 0, 0)], [(60, 40, 63, 43)]):
        whole = cut(SEATED, boxes)
        assert near(whole, np.random.default_rng(1)) is whole


def test_unknown_people_are_refused() -> None:
    with pytest.raises(ValueError, match="rendered clips alone"):
        near(cut(SEATED, None), np.random.default_rng(1))
