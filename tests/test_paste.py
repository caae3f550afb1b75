"""People cut out of one room and put into another: a bright block that walks stands for the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from device.preprocess import Raster
from training.footage import sample_footage
from training.mask import cut_out, emptied_background, likeness, median_background, person_mask
from training.paste import background_without, paste_person, stand_still, swap_background
from training.stripes import striped

Grey = NDArray[np.uint8]
HEIGHT, WIDTH = 96, 128


def room(seed: int, low: int = 60, high: int = 120) -> Grey:
    """A wall with coarse texture."""
    coarse = np.random.default_rng(seed).integers(low, high, (HEIGHT // 16, WIDTH // 16))
    return np.kron(coarse, np.ones((16, 16), int)).astype(np.uint8)


def boxes(steps: int, stay: int = 0) -> list[tuple[slice, slice]]:
    """Where the person is: walks to the right, and lies down at the end for `stay` steps."""
    walking = [(slice(20, 80), slice(5 + 3 * step, 23 + 3 * step)) for step in range(steps - stay)]
    return walking + [(slice(76, 92), slice(60, 120))] * stay


def film(steps: int = 36, stay: int = 0, seed: int = 1, noise: float = 2.0) -> tuple[Grey, NDArray[np.bool_]]:
    """(grey, true mask) of the block, brighter than the wall, before a room with sensor noise."""
    rng = np.random.default_rng(seed)
    grey = np.repeat(room(seed)[None], steps, axis=0).astype(np.float64)
    mask = np.zeros(grey.shape, bool)
    for step, (rows, columns) in enumerate(boxes(steps, stay)):
        mask[step, rows, columns] = True
    grey[mask] = 210
    return np.clip(grey + rng.normal(0, noise, grey.shape), 0, 255).astype(np.uint8), mask


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_the_median_of_a_walk_is_the_room_and_the_difference_is_the_person() -> None:
    grey, mask = film()
    background = median_background(grey)
    assert np.abs(background.astype(int) - room(1)).max() < 8
    assert overlap(person_mask(grey, background), mask) > 0.8


def test_light_that_changes_everywhere_is_no_person() -> None:
    grey, mask = film()
    lit = np.clip(grey * np.linspace(0.8, 1.15, len(grey))[:, None, None], 0, 255).astype(np.uint8)
    found = person_mask(lit, median_background(grey))
    assert overlap(found, mask) > 0.7
    nobody = np.repeat(room(1)[None], 10, axis=0)
    assert not person_mask(np.asarray(nobody * 0.85, np.uint8), room(1)).any()


def test_somebody_who_lies_for_most_of_the_clip_is_found_and_leaves_no_ghost() -> None:
    grey, mask = film(48, stay=30)
    lying = mask[-1]
    assert abs(float(median_background(grey)[lying].mean()) - 210) < 10  # the plain median has them in it
    found = cut_out(grey)
    assert found is not None
    assert np.abs(found[0].astype(int) - room(1)).mean() < 6
    assert overlap(found[1], mask) > 0.7


def test_a_mask_that_cannot_be_trusted_is_not_given() -> None:
    sits, _ = film()
    sits[:] = sits[:1]  # stays in one place for the whole clip: nothing tells them from a statue
    assert cut_out(sits) is None
    shaken = np.stack([np.roll(film()[0][step], 5 * step, axis=1) for step in range(36)])
    assert cut_out(shaken) is None  # the camera moves
    grey, mask = film()
    assert likeness(grey, room(1), mask) > 1.3
    ghost = room(1).copy()
    ghost[20:80, 60:78] = 210
    assert likeness(np.repeat(room(1)[None], 36, axis=0), ghost, np.repeat((ghost == 210)[None], 36, axis=0)) < 1


def test_two_stretches_are_put_together_without_the_people() -> None:
    grey, _ = film(40, stay=20)
    assert np.abs(emptied_background(grey, 20.0).astype(int) - room(1)).mean() < 6


def test_a_swap_keeps_the_person_and_nothing_of_the_room() -> None:
    grey, mask = film()
    other = room(7, 140, 180)
    before = grey.copy()
    swapped = swap_background(grey, mask, other, np.random.default_rng(5))
    assert (grey == before).all()
    assert swapped.shape == grey.shape
    inner, outer = np.zeros(mask.shape, bool), np.ones(mask.shape, bool)
    for step, (rows, columns) in enumerate(boxes(36)):
        inner[step, rows.start + 2 : rows.stop - 2, columns.start + 2 : columns.stop - 2] = True
        outer[step, rows.start - 3 : rows.stop + 3, max(0, columns.start - 3) : columns.stop + 3] = False
    assert np.abs(swapped.astype(int) - grey)[inner].mean() < 3
    seen = swapped.mean(axis=0)[outer.all(axis=0)]
    wanted = other[outer.all(axis=0)].astype(float)
    assert np.corrcoef(seen, wanted)[0, 1] > 0.95
    again = swap_background(grey, mask, other, np.random.default_rng(5))
    assert (again == swapped).all()
    assert (swap_background(grey, mask, other, np.random.default_rng(6)) != swapped).any()


def test_the_new_room_has_the_noise_and_the_light_of_the_clip() -> None:
    grey, mask = film(noise=4.0)
    swapped = swap_background(grey, mask, room(7), np.random.default_rng(1))
    far = (slice(None), slice(0, 15), slice(0, 128))

    def change(clip: Grey) -> float:
        return float(np.abs(np.diff(clip[far].astype(int), axis=0)).mean())

    assert change(swapped) == pytest.approx(change(grey), rel=0.3)
    switched = grey.copy()
    switched[18:] = np.clip(grey[18:] * 0.6, 0, 255)
    dark = swap_background(switched, mask, room(7), np.random.default_rng(1))
    assert dark[18:][far[0], far[1], far[2]].mean() < 0.8 * dark[:18][far[0], far[1], far[2]].mean()


def test_a_held_picture_stays_held_and_a_letterbox_stays_black() -> None:
    grey, mask = film()
    grey[10], mask[10] = grey[9], mask[9]
    other = room(7)
    other[:12] = 0
    swapped = swap_background(grey, mask, other, np.random.default_rng(2))
    assert (swapped[10] == swapped[9]).all()
    assert (swapped[11] != swapped[10]).any()
    assert not swapped[:, :11].any()


def test_the_room_behind_known_people_is_the_room() -> None:
    grey, mask = film()
    found = background_without(grey, mask)
    assert np.abs(found.astype(int) - room(1)).max() < 8
    mask[:, 40:50, 100:110] = True  # always covered: filled in from around it
    filled = background_without(grey, mask)[40:50, 100:110]
    assert 40 < filled.mean() < 140


def test_pasting_puts_one_person_before_another_clip_as_it_moves() -> None:
    grey, mask = film()
    other, theirs = film(seed=3)
    other, theirs = other[:, :, ::-1].copy(), theirs[:, :, ::-1].copy()
    both = paste_person(grey, mask, other)
    only_theirs = theirs & ~mask
    assert both[only_theirs].mean() > 180
    assert both[mask].mean() > 180


def test_a_frozen_picture_changes_only_by_light_and_noise() -> None:
    picture = room(4)
    frozen = stand_still(picture, 40, np.random.default_rng(9))
    assert frozen.shape == (40, HEIGHT, WIDTH)
    assert len({one.tobytes() for one in frozen}) > 1
    for one in frozen:
        assert np.corrcoef(one.ravel(), picture.ravel())[0, 1] > 0.9
    assert (frozen == stand_still(picture, 40, np.random.default_rng(9))).all()


def test_stripes_stand_still_and_leave_the_person() -> None:
    grey, mask = film()
    before = striped(grey, mask, np.random.default_rng(3))
    assert (before[mask] == grey[mask]).all()
    assert before.shape == grey.shape
    far = np.ones(mask.shape[1:], bool)
    far[15:85] = False
    assert (before[:, far] == before[0, far]).all()  # static
    assert before[0, far].std() > 10  # and a pattern
    assert abs(np.corrcoef(before[0, far], grey[0, far])[0, 1]) < 0.5
    assert (before == striped(grey, mask, np.random.default_rng(3))).all()
    assert (before != striped(grey, mask, np.random.default_rng(4))).any()


def test_a_real_faller_is_cut_out_and_somebody_who_sits_all_the_time_is_not(clips: Path) -> None:
    fall = sample_footage(clips / "train" / "caucafall" / "cauca_test8_IR.mp4", Raster(WIDTH, HEIGHT)).grey
    found = cut_out(fall)
    assert found is not None
    background, mask = found
    assert 0.02 < mask[-1].mean() < 0.1  # lying at the end, for longer than they stood
    lying = np.argwhere(mask[-1]).mean(axis=0)
    standing = np.argwhere(mask[20]).mean(axis=0)
    assert lying[1] > standing[1]  # falls to the right
    assert np.abs(background.astype(int) - fall[-1])[mask[-1]].mean() > 20  # and is not in the background
    seated = sample_footage(clips / "train" / "gmdcsa24" / "s2_ADL_24.mp4", Raster(WIDTH, HEIGHT)).grey
    assert cut_out(seated) is None
