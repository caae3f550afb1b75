"""Camera picture -> model input."""

from __future__ import annotations

import numpy as np
import pytest

from device.preprocess import NO_CHANGE, Differencer, Raster, difference, letterbox, motion_share, stack, to_grey

RASTER = Raster()


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((640, 480), (0, 0, 96, 72)),
        ((1920, 1080), (0, 9, 96, 54)),
        ((480, 640), (21, 0, 54, 72)),
        ((178, 100), (0, 9, 96, 54)),
        ((3000, 10), (0, 35, 96, 1)),
    ],
)
def test_the_whole_field_of_view_lands_in_the_raster(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    assert letterbox(*size, RASTER) == box


def test_bars_are_black_and_the_picture_keeps_its_level() -> None:
    grey = to_grey(np.full((1080, 1920, 3), 200, np.uint8), RASTER)
    assert grey.shape == (72, 96)
    assert set(np.unique(grey[:9])) == set(np.unique(grey[63:])) == {0}
    assert set(np.unique(grey[9:63])) == {200}


def test_colour_becomes_the_grey_of_rec601() -> None:
    picture = np.zeros((72, 96, 3), np.uint8)
    picture[..., 1] = 255  # green, 0.587 of 255
    assert set(np.unique(to_grey(picture, RASTER))) == {150}


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)])
def test_anything_but_a_uint8_picture_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        to_grey(bad, RASTER)


def test_difference_is_signed_around_no_change_and_saturates() -> None:
    now, past = np.array([10, 10, 255, 0], np.uint8), np.array([10, 13, 0, 255], np.uint8)
    assert difference(now, past).tolist() == [128, 125, 255, 0]


def test_stepping_equals_the_whole_window() -> None:
    greys = np.random.default_rng(3).integers(0, 256, (40, 72, 96), dtype=np.uint8)
    differencer = Differencer(RASTER)
    assert np.array_equal(np.stack([differencer.step(grey) for grey in greys]), stack(greys, RASTER))


def test_each_channel_looks_back_as_far_as_the_raster_says() -> None:
    greys = np.repeat(np.arange(0, 60, 3, dtype=np.uint8), 72 * 96).reshape(20, 72, 96)
    window = stack(greys, RASTER)
    assert window[15, 0, 0].tolist() == [45, NO_CHANGE + 2 * 3, NO_CHANGE + 10 * 3]
    assert window[0, 0, 0].tolist() == [0, NO_CHANGE, NO_CHANGE]


def test_after_a_reset_there_is_no_past() -> None:
    differencer = Differencer(RASTER)
    differencer.step(np.zeros((72, 96), np.uint8))
    differencer.reset()
    assert set(np.unique(differencer.step(np.full((72, 96), 90, np.uint8))[..., 1:])) == {NO_CHANGE}


def test_motion_is_the_share_of_pixels_that_changed() -> None:
    window = np.full((72, 96, 3), NO_CHANGE, np.uint8)
    window[:36, :, 1] = NO_CHANGE - 13
    window[36:, :, 1] = NO_CHANGE + 12
    assert motion_share(window) == 0.5
