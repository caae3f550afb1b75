"""Losses by hand: sets of labels, a fall that begins by degrees, and what is unknown counts for nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from device.labels import FALLING, INDEX
from training.losses import Part, height_loss, loss_parts, mask_loss, presence_loss, set_loss

LOGITS = torch.log(torch.tensor([[[0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1], [0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]]]))


def mean(part: Part) -> float:
    total, count = part
    return float(total.detach() / count)


def allowed() -> Tensor:
    out = torch.zeros(1, 2, 7, dtype=torch.bool)
    out[0, 0, [1, 2]] = True  # 0.5 together
    out[0, 1, 0] = True  # 0.4
    return out


def test_it_is_minus_the_log_of_all_allowed_labels_together() -> None:
    calm = torch.zeros(1, 2)
    first = set_loss(LOGITS, allowed(), calm, torch.tensor([[1.0, 0.0]]), smoothing=0)
    assert mean(first) == pytest.approx(-math.log(0.5))
    assert float(first[1]) == 1.0
    both = set_loss(LOGITS, allowed(), calm, torch.ones(1, 2), smoothing=0)
    assert mean(both) == pytest.approx(-(math.log(0.5) + math.log(0.4)) / 2)


def test_a_fall_that_has_half_begun_is_half_the_target() -> None:
    begun = torch.tensor([[0.0, 0.5]])
    told = set_loss(LOGITS, allowed(), begun, torch.tensor([[0.0, 1.0]]), smoothing=0)
    assert INDEX[FALLING] == 5
    assert mean(told) == pytest.approx(-(math.log(0.4) + math.log(0.1)) / 2)


def test_smoothing_spreads_a_share_of_the_target_over_all_labels() -> None:
    told = set_loss(LOGITS, allowed(), torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]), smoothing=0.07)
    assert mean(told) == pytest.approx(-0.93 * math.log(0.4) - 0.01 * (math.log(0.4) + 6 * math.log(0.1)))


def test_unknown_places_add_nothing_and_spread_no_nan() -> None:
    logits = torch.zeros(2, 3, 1, 2, 2, requires_grad=True)
    mask = torch.full((2, 3, 1, 2, 2), 0.25)
    mask[1] = torch.nan
    part = mask_loss(logits, mask, torch.tensor([True, False]))
    assert mean(part) == pytest.approx(math.log(2))
    assert float(part[1]) == 1.0
    part[0].backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[1].any()
    nobody_knows = presence_loss(torch.ones(2, 3), torch.ones(2, 3), torch.zeros(2, 3, dtype=torch.bool))
    assert [float(value) for value in nobody_knows] == [0.0, 0.0]


def test_heights_are_quadratic_within_twenty_centimetres_and_linear_beyond() -> None:
    said, true = torch.tensor([[0.55, 0.9, 0.1]]), torch.tensor([[0.5, 0.5, math.nan]])
    total, count = height_loss(said, true)
    assert float(count) == 2
    assert float(total) == pytest.approx(0.5 * 0.05**2 / 0.1 + (0.4 - 0.05))


def test_only_the_heads_that_answer_are_asked() -> None:
    batch = {"allowed": allowed(), "begun": torch.zeros(1, 2), "weight": torch.ones(1, 2)}
    assert set(loss_parts(LOGITS, {}, batch, 0.05)) == {"labels"}
    batch |= {"presence": torch.ones(1, 2), "has_presence": torch.ones(1, 2, dtype=torch.bool)}
    assert set(loss_parts(LOGITS, {"presence": torch.zeros(1, 2)}, batch, 0.05)) == {"labels", "presence"}
