"""The network: both forms say the same, the future is not heard, the budget of DESIGN section 4 holds."""

from __future__ import annotations

import copy

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
)

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


def test_an_unknown_family_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'resnet' is none of r2plus1d"):
        NetworkConfig(family="resnet")
