"""A mix of two networks, by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.judged_made import clip
from training.blend import blend, main
from training.checkpoint import Checkpoint, CheckpointError, load, save
from training.lineage import seen_by
from training.networks import NetworkConfig


def made(value: float, count: int, **network: float) -> Checkpoint:
    weights = {"a.weight": torch.tensor([value, 2 * value]), "a.num_batches_tracked": torch.tensor(count)}
    return Checkpoint(dataclasses.replace(NetworkConfig(), **network), weights, {"out": f"run{count}"}, count)  # type: ignore[arg-type]


def test_a_share_of_a_quarter_is_three_parts_parent_and_one_part_child() -> None:
    mixed = blend(made(1.0, 7), made(5.0, 9), 0.25)
    assert mixed.weights["a.weight"].tolist() == [2.0, 4.0]
    assert mixed.weights["a.num_batches_tracked"] == 9
    assert (mixed.train["blended"], mixed.train["parent"]) == (0.25, "run7")


def test_a_mix_has_seen_what_either_has_seen() -> None:
    parent = dataclasses.replace(made(1.0, 7), train={"clips": ("home.csv",)})
    assert not seen_by(made(5.0, 9).train)(clip("a"))
    assert seen_by(blend(parent, made(5.0, 9), 0.25).train)(clip("a"))


def test_only_a_network_and_its_own_child_are_mixed() -> None:
    with pytest.raises(CheckpointError, match="different networks"):
        blend(made(1.0, 1), made(1.0, 2, dropout=0.123), 0.5)
    with pytest.raises(CheckpointError, match=r"outside 0\.\.1"):
        blend(made(1.0, 1), made(1.0, 2), 1.5)


def test_the_command_writes_what_it_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(made(0.0, 1), tmp_path / "p.pt")
    save(made(1.0, 2), tmp_path / "c.pt")
    given = [str(tmp_path / "p.pt"), str(tmp_path / "c.pt"), "--share", "0.5", "--out", str(tmp_path / "m.pt")]
    assert main(given) == 0
    assert load(tmp_path / "m.pt").weights["a.weight"].tolist() == [0.5, 1.0]
    assert main([str(tmp_path / "absent.pt"), *given[1:]]) == 1
    assert "absent.pt" in capsys.readouterr().err
