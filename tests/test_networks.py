"""The network: both forms say the same, the future is not heard, the budget of DESIGN section 4 holds."""

from __future__ import annotations

import copy
import dataclasses
import re

import pytest
import torch
from torch import Tensor

from device.labels import LABELS
from device.preprocess import Raster
from training.networks import (
    BlockConfig,
    FallNetwork,
    NetworkConfig,
    Step,
    build,
    count_macs,
    count_parameters,
    fold_batchnorm,
    parse_network,
)
from training.networks.layers import CausalConv
from training.networks.tpool import TemporalPools
from training.zoo.sheet import int8_outcome, settled

STEPS = 60


@pytest.fixture(scope="module")
def network() -> FallNetwork:
    """The shipped shape with statistics that are not the trivial ones, so that folding has something to fold."""
    torch.manual_seed(5)
    network = build(NetworkConfig())
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
    for _ in range(2):
        network.train().window(torch.rand(2, 20, 3, 72, 96))
    return network.eval()


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.rand(1, STEPS, 3, 72, 96, generator=torch.Generator().manual_seed(7))


def stepped(network: FallNetwork, window: Tensor, states: dict[str, Tensor] | None = None) -> Tensor:
    step = Step(network)
    states, logits = states or step.initial_states(), []
    for picture in window[0]:
        answer = step(picture.permute(1, 2, 0)[None], **states)
        states = step.follow(answer)
        logits.append(answer["logits"])
    return torch.cat(logits)[None]


@torch.no_grad()
def test_window_and_step_agree_after_folding(network: FallNetwork, pictures: Tensor) -> None:
    folded = fold_batchnorm(network)
    whole, one_by_one = network.window(pictures).softmax(-1), stepped(folded, pictures).softmax(-1)
    assert whole.shape == (1, STEPS, len(LABELS))
    assert whole.std(dim=1).max() > 1e-3, "a network that says the same at every step would agree with anything"
    torch.testing.assert_close(folded.window(pictures).softmax(-1), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(one_by_one, whole, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_two_forms_are_one_function_and_differ_only_by_rounding(network: FallNetwork, pictures: Tensor) -> None:
    exact = copy.deepcopy(network).double()
    folded = fold_batchnorm(exact)
    states = {name: state.double() for name, state in Step(folded).initial_states().items()}
    one_by_one = stepped(folded, pictures.double(), states)
    torch.testing.assert_close(one_by_one, exact.window(pictures.double()), atol=1e-10, rtol=1e-10)


@torch.no_grad()
def test_the_future_is_not_heard_and_the_past_is(network: FallNetwork, pictures: Tensor) -> None:
    before = network.window(pictures)
    changed = pictures.clone()
    changed[:, 30] = 1 - changed[:, 30]
    after = network.window(changed)
    torch.testing.assert_close(after[:, :30], before[:, :30], atol=0, rtol=0)
    assert (after[:, 30:] - before[:, 30:]).abs().max() > 1e-4


@torch.no_grad()
def test_look_back_ends_where_the_config_says() -> None:
    config = NetworkConfig(blocks=(BlockConfig(24, 2),), head_dilations=(1, 2))
    assert config.look_back_steps == 8
    network = build(config).eval()
    window = torch.rand(1, 20, 3, 72, 96)
    changed = window.clone()
    changed[:, 0] = 0
    difference = (network.window(window) - network.window(changed)).abs().amax(dim=(0, 2))
    assert difference[8] > 0
    assert (difference[9:] == 0).all()


@torch.no_grad()
def test_windows_of_a_batch_do_not_leak_into_each_other(network: FallNetwork) -> None:
    windows = torch.rand(3, 12, 3, 72, 96)
    together = network.window(windows)
    apart = torch.cat([network.window(window[None]) for window in windows])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


def test_the_budget_of_the_design_holds(network: FallNetwork) -> None:
    assert network.config.look_back_steps >= 40
    assert count_parameters(network) <= 500_000
    assert count_macs(network) <= 60_000_000


def test_macs_of_a_network_small_enough_to_count_by_hand() -> None:
    config = NetworkConfig(
        raster=Raster(16, 16), stem=(1, 2), blocks=(BlockConfig(2, 1),), temporal=2, head=1, head_dilations=(1,)
    )
    stem = 8 * 8 * 27 + 4 * 4 * 9 + 4 * 4 * 2
    block = 16 * (2 * 2 + 2 * 9 + 2 * 2 + 2 * 2)
    head = 4 * 1 + (2 + 1) + 7
    assert count_macs(build(config)) == stem + block + head


def test_states_are_four_dimensional_and_come_back_in_shape(network: FallNetwork) -> None:
    step = Step(fold_batchnorm(network))
    states = step.initial_states()
    with torch.no_grad():
        answer = step(torch.rand(1, 72, 96, 3), **states)
    following = step.follow(answer)
    assert list(states) == sorted(states) == list(following)
    for name, state in states.items():
        assert state.ndim == 4
        assert following[name].shape == state.shape


@pytest.mark.parametrize(("dilation", "steps"), [(1, 20), (2, 40), (2, 21), (16, 20)])
def test_a_dilated_convolution_over_time_is_what_the_plain_one_says(dilation: int, steps: int) -> None:
    layer = CausalConv(8, 3, dilation).train()
    x = torch.rand(3 * steps, 8, 2, 3).contiguous(memory_format=torch.channels_last)
    plain = torch.zeros(3, steps, 2, 3, 8)
    there = x.permute(0, 2, 3, 1).reshape(3, steps, 2, 3, 8)
    for back in range(3):
        ago = back * dilation
        if ago < steps:
            plain[:, ago:] += there[:, : steps - ago] * layer.conv.weight[:, 0, 2 - back, 0]
    expected = layer.after(plain.reshape(3 * steps, 2, 3, 8).permute(0, 3, 1, 2))
    torch.testing.assert_close(layer.window(x, 3), expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'resnet' is none of r2plus1d"):
        NetworkConfig(family="resnet")


SMALL = NetworkConfig(
    raster=Raster(48, 36), stem=(8, 8), blocks=(BlockConfig(8, 2), BlockConfig(12, 2, stride=2)), head=16
)


def test_temporal_pools_are_what_a_hand_makes_of_them() -> None:
    pools = TemporalPools(1, (2, 3))
    line = torch.tensor([1.0, 4.0, 2.0, 0.0]).reshape(4, 1, 1, 1)
    # Now, mean of 2, highest of 2, mean of 3, highest of 3; before the window, zeros.
    expected = [
        [1, 0.5, 1, 1 / 3, 1],
        [4, 2.5, 4, 5 / 3, 4],
        [2, 3.0, 4, 7 / 3, 4],
        [0, 1.0, 2, 2.0, 4],
    ]
    torch.testing.assert_close(pools.window(line, 1)[:, :, 0, 0], torch.tensor(expected))
    twice = torch.cat((line, line))
    torch.testing.assert_close(pools.window(twice, 2)[4:, :, 0, 0], torch.tensor(expected))


@pytest.mark.parametrize("text", ["tpool", "tpool:pools=5-60", "r2plus1d:head_dilations=1-2-4-8-16"])
@torch.no_grad()
def test_every_shape_says_the_same_in_both_forms_and_hears_as_far_back_as_it_says(text: str) -> None:
    torch.manual_seed(2)
    written = parse_network(text)
    config = dataclasses.replace(
        SMALL, family=written.family, pools=written.pools, head_dilations=written.head_dilations
    )
    network = settled(build(config)).double()
    reach = config.look_back_steps
    window = torch.rand(1, reach + 10, 3, 36, 48, dtype=torch.double)
    whole, folded = network.window(window), fold_batchnorm(network)
    states = {name: state.double() for name, state in Step(folded).initial_states().items()}
    torch.testing.assert_close(stepped(folded, window, states), whole, atol=1e-9, rtol=1e-9)
    changed = window.clone()
    changed[:, 0] = 1 - changed[:, 0]
    difference = (network.window(changed) - whole).abs().amax(dim=(0, 2))
    assert difference[reach] > 0
    assert (difference[reach + 1 :] == 0).all()


def test_the_look_back_of_the_longest_head_is_the_sum_of_its_parts() -> None:
    # Blocks 2 * (1 + 1 + 1 + 1 + 2 + 2) steps, head 2 * (1 + 2 + 4 + 8 + 16).
    assert parse_network("r2plus1d:head_dilations=1-2-4-8-16").look_back_steps == 16 + 62
    assert parse_network("tpool:pools=10-20-40").look_back_steps == 39


def test_temporal_pooling_goes_to_full_int8_with_its_ring_tied() -> None:
    """Of r2plus1d tests/test_quantize.py says so, with all that follows."""
    shape = dataclasses.replace(SMALL, family="tpool", blocks=(BlockConfig(8, 2),), pools=(3, 30))
    assert int8_outcome(settled(build(shape))).startswith("full int8")


@pytest.mark.parametrize("family", ["r2plus1d", "tpool"])
@torch.no_grad()
def test_auxiliary_heads_answer_in_shape_and_change_nothing_else(family: str) -> None:
    torch.manual_seed(4)
    plain = build(NetworkConfig(family=family)).eval()
    torch.manual_seed(4)
    helped = build(parse_network(family, ("mask", "presence", "height"))).eval()
    window = torch.rand(2, 5, 3, 72, 96)
    logits, said = helped.window_with_aux(window)
    torch.testing.assert_close(logits, plain.window(window), atol=0, rtol=0)
    assert helped.mask_size == (9, 12)
    assert {name: tuple(value.shape) for name, value in said.items()} == {
        "mask": (2, 5, 1, 9, 12),
        "presence": (2, 5),
        "height": (2, 5),
    }
    assert 0 <= said["height"].min() <= said["height"].max() <= 1
    assert plain.window_with_aux(window)[1] == {}


def test_auxiliary_heads_learn_and_the_folded_network_has_lost_them() -> None:
    torch.manual_seed(4)
    helped = build(dataclasses.replace(SMALL, aux=("mask", "height"))).train()
    _, said = helped.window_with_aux(torch.rand(2, 5, 3, 36, 48))
    (said["mask"].mean() + said["height"].mean()).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in helped.aux.parameters())
    assert helped.stem[0].conv.weight.grad.abs().sum() > 0  # type: ignore[union-attr, index]
    folded = fold_batchnorm(helped)
    assert folded.config.aux == ()
    assert not [name for name in folded.state_dict() if "aux" in name]
    assert helped.config.aux == ("mask", "height"), "the network that goes on training keeps its heads"
    assert count_parameters(helped) == count_parameters(build(SMALL))


def test_a_network_is_written_as_family_and_keys() -> None:
    config = parse_network("r2plus1d:head_dilations=1-2-4,dropout=0.2", ("mask",))
    assert (config.head_dilations, config.dropout, config.aux) == ((1, 2, 4), 0.2, ("mask",))
    assert parse_network("tpool:pools=5-30,head=64").pools == (5, 30)
    assert parse_network("r2plus1d") == NetworkConfig()


@pytest.mark.parametrize(
    ("text", "aux", "says"),
    [
        ("resnet", (), "'resnet' is none of r2plus1d"),
        ("tpool:head_dilations=1-2", (), "no key=value of tpool; its keys are stem, head, pools, dropout"),
        ("r2plus1d:head_dilations", (), "'head_dilations' is no key=value"),
        ("r2plus1d:head_dilations=1-x", (), "'1-x' is no value of head_dilations; write e.g. head_dilations=1-2-4-8"),
        ("r2plus1d:head_dilations=0", (), "dilations of 1 or more"),
        ("r2plus1d:dropout=1", (), "dropout 1.0 is outside"),
        ("tpool:pools=1-20", (), "lengths of 2 or more"),
        ("r2plus1d", ("depth",), "auxiliary heads depth: name each once, of mask, presence, height"),
        ("r2plus1d", ("mask", "mask"), "name each once"),
        ("cnn_gru", ("mask",), "'cnn_gru' has no auxiliary heads"),
    ],
)
def test_a_network_that_there_is_not_is_refused_in_one_sentence(text: str, aux: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_network(text, aux)
