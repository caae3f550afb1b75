"""A training run on a tiny set: it learns, resumes where it was, keeps the better network, and is judged honestly."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from device.labels import FALLING, FLOOR, INDEX, LABELS, UPRIGHT
from device.preprocess import Raster
from training import checkpoint as store
from training import evaluate
from training.checkpoint import Checkpoint, CheckpointError
from training.footage import Footage
from training.index import Clip, HoldOut
from training.judged import DEV, SEEN, UNSEEN, USUAL_THRESHOLDS, Model, Scored, open_model, protocol_of, score_clips
from training.networks import BlockConfig, NetworkConfig, build
from training.rendered import RenderedClips, better
from training.scoring import probabilities
from training.synth import clip as clip_file
from training.table import events, incidents_of, rows, table_text
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


def footage(steps: int, *, gap: int | None = None) -> Footage:
    reset = np.arange(steps) == 0
    if gap:
        reset[gap] = True
    grey = np.random.default_rng(4).integers(0, 255, (steps, 24, 32), np.uint8)
    return Footage(np.arange(steps) / 10, grey, reset, (32, 24))


def test_long_footage_is_scored_in_pieces_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(TINY).eval()
    whole = probabilities(network, footage(90))
    monkeypatch.setattr("training.scoring.CHUNK_STEPS", 17)
    assert probabilities(network, footage(90)) == pytest.approx(whole, abs=1e-6)
    torn = probabilities(network, footage(90, gap=40))
    assert torn[:40] == pytest.approx(whole[:40], abs=1e-6)
    alone = footage(90)
    after = Footage(alone.t[40:], alone.grey[40:], np.arange(50) == 0, alone.size)
    assert torn[40:] == pytest.approx(probabilities(network, after), abs=1e-6)


def clip(stem: str, split: str = "train", *, fall: bool = False, on_floor: bool = False, subject: str = "P1") -> Clip:
    start, end = (2.0, 3.0) if fall else (None, None)
    return Clip(2, split, "home", Path(f"{stem}.mp4"), fall, start, end, on_floor, subject, "R", "MIT")


def model(trained: bool) -> Model:
    flat = np.full(len(LABELS), 1 / len(LABELS))
    return Model("m", TINY.raster, lambda f: np.tile(flat, (len(f), 1)), USUAL_THRESHOLDS, 10, lambda c: trained)


def test_what_a_score_is_worth_depends_on_what_was_trained_on() -> None:
    assert protocol_of(clip("a"), model(trained=True)) == SEEN
    assert protocol_of(clip("a"), model(trained=False)) == UNSEEN
    assert protocol_of(clip("a", "dev"), model(trained=True)) == DEV


def test_a_fold_that_was_trained_on_what_it_is_tested_on_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.judged.load_clips", lambda clips, raster, cache: {c.name: footage(30) for c in clips})
    with pytest.raises(ValueError, match="was trained on home__a"):
        score_clips([clip("a")], model(trained=True), [(HoldOut("home"), model(trained=True))], tmp_path)
    (scored,) = score_clips([clip("a")], model(trained=True), [(HoldOut("home"), model(trained=False))], tmp_path)
    assert scored.protocol == UNSEEN


def test_a_checkpoint_knows_which_clips_it_has_seen(tmp_path: Path) -> None:
    weights = build(TINY).state_dict()
    store.save(Checkpoint(TINY, weights, {"clips": "x.csv", "hold_out": ["home:P2"]}, 1), tmp_path / "a.pt")
    store.save(Checkpoint(TINY, weights, {"clips": "", "hold_out": []}, 1), tmp_path / "synthetic.pt")
    seen = open_model(tmp_path / "a.pt").trained_on
    assert (seen(clip("a")), seen(clip("a", subject="P2")), seen(clip("a", "dev"))) == (True, False, False)
    assert not open_model(tmp_path / "synthetic.pt").trained_on(clip("a"))


def scored(one: Clip, falling: slice, floor: slice, protocol: str = UNSEEN, steps: int = 150) -> Scored:
    chances = np.zeros((steps, len(LABELS)))
    chances[:, INDEX[UPRIGHT]] = 1.0
    for label, where in ((FALLING, falling), (FLOOR, floor)):
        chances[where] = 0
        chances[where, INDEX[label]] = 1.0
    return Scored(one, protocol, model(False), np.arange(steps) / 10, np.arange(steps) == 0, chances)


NEVER = slice(0, 0)


def test_events_go_through_the_units_own_policy() -> None:
    fall = scored(clip("fall", fall=True), slice(20, 30), slice(30, 150))
    calm = scored(clip("calm"), NEVER, NEVER)
    wrong = scored(clip("wrong"), slice(40, 50), slice(50, 150))
    on_purpose = scored(clip("mat", on_floor=True), NEVER, slice(20, 150))
    (incident,) = incidents_of(fall, "confirmed")
    assert 7.0 < incident.confirmed < 9.0  # down for 5 s, and a few tenths of smoothing
    found = events([fall, calm, wrong, on_purpose], "confirmed")
    assert (found.falls, found.detected, found.false_alarms) == (1, 1, 1)
    assert found.hours == pytest.approx(3 * 15.0 / 3600)
    assert incidents_of(calm, "suspected") == []


def test_the_table_keeps_protocols_apart_and_leaves_out_who_is_on_the_floor_on_purpose() -> None:
    clips = [
        scored(clip("fall", fall=True), slice(20, 30), slice(30, 150)),
        scored(clip("calm"), NEVER, NEVER),
        scored(clip("mat", on_floor=True), NEVER, slice(20, 150)),
        scored(clip("seen", fall=True), NEVER, NEVER, protocol=SEEN),
    ]
    raw = {row.protocol: row for row in rows(clips) if row.smoothing_s == 0}
    assert set(raw) == {UNSEEN, SEEN}
    figures = raw[UNSEEN].figures
    # Windows: 15 s in four, and 1.5 s before the fall.
    assert (figures.falls, figures.windows, figures.auc, figures.recall_at_0) == (1, 5, 1.0, 1.0)
    assert (raw[UNSEEN].on_floor_above, raw[UNSEEN].on_floor_windows) == (4, 4)
    assert "SEEN IN TRAINING" in table_text(rows(clips))


def test_evaluate_over_real_clips_prints_and_writes_what_the_yardstick_reads(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store.save(Checkpoint(TINY, build(TINY).state_dict(), {"clips": ""}, 1), tmp_path / "a.pt")
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    given = [str(tmp_path / "a.pt"), "--clips", str(clips / "clips.csv"), "--only", "caucafall"]
    given += ["--scores", "scores", "--json", "all.json", "--plot", "all.png"]
    assert evaluate.run(parser.parse_args(given)) == 0
    assert "room never seen" in capsys.readouterr().out
    assert (tmp_path / "scores" / "caucafall__cauca_test7.csv").read_text().startswith("t,score\n0.000,")
    text = (tmp_path / "all.json").read_text()
    assert "NaN" not in text
    said = json.loads(text)
    assert {row["footage"] for row in said["windows"]} == {"caucafall"}
    assert (tmp_path / "all.png").stat().st_size > 1000


@pytest.mark.parametrize("given", [["absent.pt"], ["absent.pt", "--fold", "home"], ["."]])
def test_evaluate_says_in_one_sentence_what_is_wrong(
    given: list[str], clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    assert evaluate.run(parser.parse_args([*given, "--clips", str(clips / "clips.csv")])) == 1
    error = capsys.readouterr().err
    assert error.startswith("fallwatch evaluate: ")
    assert error.count("\n") == 1
