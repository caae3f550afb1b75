"""Several processes give what one gives: batch norm to the last digit, dropout, and the loss curve of a whole run."""

from __future__ import annotations

import copy
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.clips_made import render
from training import batchnorm
from training import checkpoint as store
from training.batchnorm import GlobalBatchNorm, statistics
from training.distributed import SharedDropout, World, joined, share_layers
from training.networks import NetworkConfig, build
from training.options import TrainConfig
from training.train import ENVIRONMENT, LAST, train

NETWORK = "r2plus1d:stem=4-4,head=8,head_dilations=1-2,dropout=0.2"


class Meeting:
    """Sums over threads that stand in for processes: each brings a tensor, all leave with the sum in theirs."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size)
        self._brought: list[Tensor] = []

    def add_up(self, sums: Tensor) -> None:
        """What training.batchnorm asks of torch.distributed."""
        self._brought.append(sums.clone())
        self._barrier.wait(20)
        total = torch.stack(self._brought).sum(0)
        if self._barrier.wait(20) == 0:
            self._brought.clear()
        self._barrier.wait(20)
        sums.copy_(total)


def in_two(work: Callable[[int], Tensor], monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The work of both processes at once."""
    monkeypatch.setattr(batchnorm, "_add_up", Meeting(2).add_up)
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, range(2)))


@pytest.mark.parametrize("shape", [(10, 3, 5, 4), (10, 3, 2, 5, 4), (10, 3, 1, 1)])
def test_batch_norm_of_two_uneven_shares_is_that_of_the_whole(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    whole = 3 + 2 * torch.randn(shape, dtype=torch.float64)
    slope = torch.randn(shape, dtype=torch.float64)
    plain: nn.Module = {4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[len(shape)](3).double()
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.copy_(torch.randn(3))
    layers = []
    for _ in range(2):
        layers.append(GlobalBatchNorm(3).double())
        layers[-1].load_state_dict(plain.state_dict())
    shares = [whole[:4].clone().requires_grad_(), whole[4:].clone().requires_grad_()]
    slopes = [slope[:4], slope[4:]]

    def work(rank: int) -> Tensor:
        y: Tensor = layers[rank](shares[rank])
        (y * slopes[rank]).sum().backward()  # type: ignore[no-untyped-call]
        return y.detach()

    answers = in_two(work, monkeypatch)
    asked = whole.clone().requires_grad_()
    expected = plain(asked)
    (expected * slope).sum().backward()
    assert torch.allclose(torch.cat(answers), expected.detach(), rtol=0, atol=1e-11)
    assert asked.grad is not None
    assert torch.allclose(torch.cat([share.grad for share in shares]), asked.grad, rtol=0, atol=1e-11)  # type: ignore[misc]
    for name in ("weight", "bias"):
        over_both = sum(getattr(layer, name).grad for layer in layers)
        assert torch.allclose(over_both, getattr(plain, name).grad, rtol=0, atol=1e-11)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.allclose(getattr(layers[1], name), getattr(plain, name), rtol=0, atol=1e-11)


def test_statistics_stay_exact_where_adding_float32_one_by_one_does_not() -> None:
    torch.manual_seed(0)
    x = (0.3 + 1e-2 * torch.randn(60_000, 2, 1, 1)).to(memory_format=torch.channels_last)
    mean, variance, count = statistics(x)
    assert count == 60_000
    assert mean.double() == pytest.approx(x.double().mean((0, 2, 3)), rel=1e-6)
    assert variance.double() == pytest.approx(x.double().var((0, 2, 3), correction=0), rel=1e-3)


def test_dropout_strikes_the_same_places_of_the_whole_batch() -> None:
    x = torch.ones(6, 5, 1, 1)
    torch.manual_seed(3)
    whole = SharedDropout(0.4, World(0, 1))(x)
    parts = []
    for rank in range(3):
        torch.manual_seed(3)
        parts.append(SharedDropout(0.4, World(rank, 3))(x[2 * rank : 2 * rank + 2]))
    assert torch.equal(torch.cat(parts), whole)
    assert {round(value, 5) for value in whole.unique().tolist()} == {0.0, round(1 / 0.6, 5)}
    assert torch.equal(SharedDropout(0.4, World(0, 1)).eval()(x), x)


def test_shared_layers_keep_weights_their_names_and_what_the_network_says() -> None:
    torch.manual_seed(0)
    network = build(NetworkConfig(dropout=0.0)).eval()
    shared = copy.deepcopy(network)
    share_layers(shared, World(0, 2))
    kinds = {type(part) for part in shared.modules()}
    assert GlobalBatchNorm in kinds
    assert not kinds & {nn.BatchNorm2d, nn.Dropout}
    assert list(shared.state_dict()) == list(network.state_dict())
    x = torch.rand(1, 3, 3, 72, 96)
    assert torch.equal(shared.window(x), network.window(x))


def test_without_torchrun_the_world_is_one() -> None:
    with joined() as world:
        assert (world.rank, world.size, world.first) == (0, 1, True)
        assert world.same(["a"]) == ["a"]
        assert world.total(torch.tensor([2.0])).tolist() == [2.0]


def test_two_processes_give_the_loss_curve_of_one(tmp_path: Path) -> None:
    """The command that a user gives, over gloo. The rate is low: rounding in Adam's first steps is not the subject."""
    synth = render(tmp_path / "clips", 24)
    words = {"steps": 5, "every": 5, "batch": 4, "window": 12, "threads": 1, "workers": 0, "real": 0.0, "lr": 3e-4}
    options = [word for name, value in words.items() for word in (f"--{name}", str(value))]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    command = [*torchrun, "-m", "training.train", "--synth", str(synth), "--network", NETWORK, "--aux", "mask,presence"]
    done = subprocess.run(
        [*command, *options, "--out", str(tmp_path / "two")],
        env={**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    train(
        TrainConfig(
            out=str(tmp_path / "one"),
            synth=(str(synth),),
            network=NETWORK,
            aux=("mask", "presence"),
            **words,  # type: ignore[arg-type]
        )
    )
    one, two = (store.load(tmp_path / name / LAST).progress["history"] for name in ("one", "two"))
    assert len(one) == len(two) == 5
    for name in ("loss", "labels", "mask", "presence"):
        assert [point[name] for point in two] == pytest.approx([point[name] for point in one], abs=1e-4)
    assert len({round(point["loss"], 6) for point in one}) == 5, "the curve moves"
