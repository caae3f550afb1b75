"""The zoo: every family keeps the contract of the unit's own, at a like size, and says truly what it is."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from device.labels import LABELS
from device.preprocess import Raster
from training.networks import (
    FAMILIES,
    PRODUCT,
    FallNetwork,
    NetworkConfig,
    Step,
    build,
    count_macs,
    count_parameters,
    fold_batchnorm,
)
from training.zoo import sheet
from training.zoo.attention import CausalTransformer

ZOO = [family for family in FAMILIES if family not in PRODUCT]
SMALL = Raster(48, 36)


def small(family: str) -> FallNetwork:
    torch.manual_seed(6)
    return sheet.settled(build(NetworkConfig(family=family, raster=SMALL))).double()


def windows(batch: int, steps: int) -> torch.Tensor:
    return torch.rand(batch, steps, 3, 36, 48, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", ZOO)
@torch.no_grad()
def test_the_window_and_the_step_form_are_one_function(family: str) -> None:
    network, window = small(family), windows(1, 30)
    whole = network.window(window)
    step = Step(fold_batchnorm(network))
    states = {name: state.double() for name, state in step.initial_states().items()}
    assert all(state.ndim == 4 for state in states.values())
    for at, picture in enumerate(window[0]):
        answer = step(picture.permute(1, 2, 0)[None], **states)
        states = step.follow(answer)
        torch.testing.assert_close(answer["logits"][0], whole[0, at], atol=1e-9, rtol=1e-9)
    assert whole.std(dim=1).max() > 1e-3, "a network that says the same at every step would agree with anything"


@pytest.mark.parametrize("family", ZOO)
@torch.no_grad()
def test_the_future_is_not_heard_the_past_is_and_windows_are_apart(family: str) -> None:
    network, pair = small(family), windows(2, 20)
    before = network.window(pair)
    assert before.shape == (2, 20, len(LABELS))
    changed = pair.clone()
    changed[0, 12] = 1 - changed[0, 12]
    after = network.window(changed)
    torch.testing.assert_close(after[0, :12], before[0, :12], atol=1e-12, rtol=0)
    torch.testing.assert_close(after[1], before[1], atol=1e-12, rtol=0)
    assert (after[0, 12] - before[0, 12]).abs().max() > 1e-6
    assert (after[0, 13:] - before[0, 13:]).abs().max() > 1e-6


@pytest.mark.parametrize("family", [family for family in ZOO if family != "cnn_gru"])
@torch.no_grad()
def test_look_back_ends_where_the_config_says(family: str) -> None:
    network = small(family)
    reach = network.config.look_back_steps
    window = windows(1, reach + 5)
    changed = window.clone()
    changed[:, 0] = 1 - changed[:, 0]
    difference = (network.window(changed) - network.window(window)).abs().amax(dim=(0, 2))
    assert difference[reach] > 0
    assert (difference[reach + 1 :] == 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_all_families_are_about_the_same_size_and_look_back_three_seconds(family: str) -> None:
    network = build(NetworkConfig(family=family))
    assert 180_000 <= count_parameters(network) <= 320_000
    assert 5e6 <= count_macs(network) <= 10e6
    assert network.config.look_back_steps >= 30


def test_three_dimensional_convolutions_are_counted_as_by_hand() -> None:
    convolutions = 1728 * 27 * 3 * 8 + 432 * 27 * 8 * 16 + 108 * 27 * 16 * 32 + 30 * 27 * 32 * 64 + 30 * 27 * 64 * 64
    assert count_macs(build(NetworkConfig(family="c3d"))) == convolutions + 128 * 128 + 128 * 7


def test_linear_layers_and_attention_are_counted_as_by_hand() -> None:
    tpool, attention = (count_macs(build(NetworkConfig(family=family))) for family in ("tpool", "cnn_transformer"))
    pooled = 7 * 128 * 128
    layer = 4 * 80 * 80 + 2 * 80 * 160 + 2 * 24 * 80
    assert attention - tpool == 128 * 80 + 2 * layer + 80 * 128 - pooled


@torch.no_grad()
def test_attention_hears_exactly_its_span() -> None:
    torch.manual_seed(0)
    transformer = CausalTransformer(width=8, heads=2, span=4, layers=1)
    line = torch.rand(1, 10, 8)
    changed = line.clone()
    changed[:, 2] += 1
    difference = (transformer.window(changed) - transformer.window(line)).abs().amax(dim=(0, 2))
    assert (difference > 0).tolist() == [False, False, True, True, True, True, False, False, False, False]


@pytest.mark.parametrize("family", ZOO)
def test_a_gradient_reaches_every_weight(family: str) -> None:
    network = build(NetworkConfig(family=family, raster=SMALL)).train()
    network.window(windows(2, 6).float()).square().mean().backward()  # type: ignore[no-untyped-call]
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()]


def test_what_stands_in_the_way_of_int8_is_said_in_a_few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def unconvertible(step: Step) -> bytes:
        raise RuntimeError(f"no lowering for {type(step).__name__}; rewrite it\nand a page of trace")

    monkeypatch.setattr("quantize.export.to_tflite", unconvertible)
    assert sheet.int8_outcome(build(NetworkConfig(family="c3d", raster=SMALL))) == "no: no lowering for Step"


def test_the_table_gives_a_row_a_network_and_no_end_to_a_recurrence() -> None:
    gru = build(NetworkConfig(family="cnn_gru"))
    row = sheet.Facts("cnn_gru", 242_000, 7_860_000, 128, type(gru).STATE, ((1, 1, 1, 128),), "full int8, 358 kB")
    other = dataclasses.replace(row, network="tpool", look_back_steps=39, state="the ring", int8="no: because")
    text = sheet.table([row, other])
    assert "| `cnn_gru` | 242 k | 7.86 | no end | the hidden vector; its past never ends (0.1 k numbers)" in text
    assert "| 3.9 s | the ring" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_an_unknown_network_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert sheet.main(["resnet"]) == 1
    assert "training.zoo.sheet: network family 'resnet' is none of" in capsys.readouterr().err
