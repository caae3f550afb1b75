"""A training run on a tiny set: it learns, resumes where it was, keeps the better network, and is judged honestly."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from device.labels import FALLING, FLOOR, INDEX, UPRIGHT
from device.preprocess import Raster
from training import checkpoint as store
from training.checkpoint import Checkpoint, CheckpointError
from training.networks import BlockConfig, NetworkConfig, build
from training.rendered import RenderedClips, better
from training.synth import clip as clip_file
from training.train import Average, TrainConfig, set_loss, train

TINY = NetworkConfig(
    raster=Raster(32, 24), stem=(8, 8), blocks=(BlockConfig(8, 2),), head=16, head_dilations=(1, 2), dropout=0.0
)


def render(folder: Path, count: int) -> Path:
    """Toy clips: a dark bar stands, and in every second clip lies down."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        grey = np.repeat(cv2.resize(rng.integers(90, 250, (4, 5), np.uint8), (128, 96))[None], 60, axis=0)
        mask, label = np.zeros((60, 96, 128), bool), np.full(60, INDEX[UPRIGHT], np.uint8)
        onset, x = (int(rng.integers(10, 40)), int(rng.integers(45, 80))) if number % 2 else (99, 60)
        for step in range(60):
            down = float(np.clip((step - onset) / 6, 0, 1))
            w, h = int(10 + 34 * down), int(44 - 34 * down)
            mask[step, 85 - h : 85, x - w // 2 : x + w // 2] = True
            label[step] = INDEX[FLOOR] if step >= onset + 6 else INDEX[FALLING] if step >= onset else INDEX[UPRIGHT]
        grey[mask] = 20
        meta = {"format": clip_file.FORMAT, "content": [0, 0, 128, 96]}
        height = np.full((60, 2), np.nan, np.float32)
        clip_file.save_clip(
            clip_file.Clip(grey, mask.astype(np.uint8), label, height, meta), clip_file.clip_path(folder, number)
        )
    return folder


def config(tmp_path: Path, **changes: object) -> TrainConfig:
    values = {"out": str(tmp_path / "run"), "synth": str(render(tmp_path / "clips", 24)), "real": 0.0, "every": 4}
    return TrainConfig(**(values | {"steps": 8, "warmup": 2, "threads": 1} | changes))  # type: ignore[arg-type]


def test_loss_is_minus_the_log_of_all_allowed_labels_together() -> None:
    logits = torch.log(torch.tensor([[[0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1], [0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]]]))
    allowed = torch.zeros(1, 2, 7, dtype=torch.bool)
    allowed[0, 0, [1, 2]] = True  # 0.5
    allowed[0, 1, 0] = True  # 0.4, but it counts for nothing
    assert set_loss(logits, allowed, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(-math.log(0.5))
    assert set_loss(logits, allowed, torch.ones(1, 2)).item() == pytest.approx(-(math.log(0.5) + math.log(0.4)) / 2)


def test_learning_rate_rises_then_falls_to_a_fiftieth() -> None:
    plan = TrainConfig(steps=110, warmup=10, lr=1.0)
    assert plan.rate(0) == pytest.approx(0.1)
    assert plan.rate(9) == plan.rate(10) == pytest.approx(1.0)
    assert plan.rate(60) == pytest.approx(0.51)
    assert plan.rate(110) == pytest.approx(0.02)


def test_average_forgets_its_first_weights_and_follows_the_network() -> None:
    network = build(TINY)
    average = Average(network, 0.9)
    assert network.labels.bias is not None
    torch.nn.init.ones_(network.labels.bias)
    first = average.weights["labels.bias"].clone()
    average.update(network, step=0)  # decay 1/10 at the start
    assert torch.allclose(average.weights["labels.bias"], 0.1 * first + 0.9)
    average.update(network, step=10_000)
    assert torch.allclose(average.weights["labels.bias"], 0.9 * (0.1 * first + 0.9) + 0.1)


def test_false_alarms_choose_first_and_recall_second() -> None:
    old = {"false_share": 0.10, "recall_at_0": 0.9}
    assert better({"false_share": 0.05, "recall_at_0": 0.1}, old)
    assert not better({"false_share": 0.15, "recall_at_0": 1.0}, old)
    assert better({"false_share": 0.102, "recall_at_0": 0.95}, old)
    assert not better({"false_share": 0.102, "recall_at_0": 0.85}, old)
    assert better({"false_share": math.nan, "recall_at_0": math.nan}, {})


def test_a_tiny_network_learns_and_writes_its_run(tmp_path: Path) -> None:
    path = train(config(tmp_path, steps=36, every=36, lr=1e-2), TINY)
    found = store.load(path)
    assert found.network == TINY
    assert found.train["steps"] == 36
    history = store.load(path.with_name("last.pt")).progress["history"]
    assert np.mean([h["loss"] for h in history[-10:]]) < 0.7 * np.mean([h["loss"] for h in history[:10]])
    assert (path.parent / "curves.png").stat().st_size > 1000
    network = found.build()
    assert network.training is False


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = config(tmp_path, out=str(tmp_path / "whole"))
    train(whole, TINY)
    torn = dataclasses.replace(whole, out=str(tmp_path / "torn"))
    train(dataclasses.replace(torn, steps=4), TINY)
    kept = store.load(tmp_path / "torn" / "last.pt")
    assert kept.step == 4
    train(torn, TINY, resume=True)
    one, other = (store.load(tmp_path / name / "last.pt") for name in ("whole", "torn"))
    assert other.step == one.step == 8
    assert len(other.progress["history"]) == 8
    assert [h["step"] for h in other.progress["history"]] == list(range(1, 9))


def test_a_folder_that_grows_is_read_on_and_validation_stays_apart(tmp_path: Path) -> None:
    rendered = RenderedClips(render(tmp_path / "clips", 40))
    first = rendered.fresh()
    held = {sample.name for sample in rendered.validation}
    assert first
    assert held
    assert rendered.fresh() == []
    (tmp_path / "clips" / ".clip_000099.npz.1.tmp").write_bytes(b"half")
    (tmp_path / "clips" / "clip_000098.npz").write_bytes(b"broken")
    render(tmp_path / "clips", 60)
    more = {sample.name for sample in rendered.fresh()}
    assert len(more) + len(rendered.validation) + len(first) == 60
    assert held <= {sample.name for sample in rendered.validation}
    assert not more & {sample.name for sample in rendered.validation}


def test_checkpoints_come_back_as_they_were_and_bad_ones_are_refused(tmp_path: Path) -> None:
    network = build(TINY)
    store.save(Checkpoint(TINY, network.state_dict(), {"lr": 1.0}, 3, {"auc": 0.5}), tmp_path / "a.pt")
    again = store.load(tmp_path / "a.pt")
    assert (again.network, again.train, again.step, again.metrics) == (TINY, {"lr": 1.0}, 3, {"auc": 0.5})
    for name, value in again.build().state_dict().items():
        assert torch.equal(value, network.state_dict()[name])
    whole = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "half.pt").write_bytes(whole[: len(whole) // 2])
    torch.save({"something": 1}, tmp_path / "other.pt")
    for name in ("half.pt", "other.pt", "absent.pt"):
        with pytest.raises(CheckpointError, match=name) as caught:
            store.load(tmp_path / name)
        assert "\n" not in str(caught.value)
