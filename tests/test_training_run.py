"""A training run on a tiny set: it learns, resumes where it was killed, keeps the better network, and loses nothing."""

from __future__ import annotations

import argparse
import dataclasses
import errno
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from device.preprocess import Raster
from tests.clips_made import bar_clip, mine, render
from tests.conftest import eventually
from training import checkpoint as store
from training.averaging import Average
from training.checkpoint import Checkpoint, CheckpointError
from training.distributed import World
from training.loop import Training, precision
from training.networks import BlockConfig, NetworkConfig, build
from training.options import TrainConfig, add_options, given
from training.rendered import ClipFolders, better
from training.sources import gather
from training.synth.clip import clip_path, save_clip
from training.train import CHOSEN, ENVIRONMENT, LAST, add_arguments, run, settled, stretches, train
from training.windows import Inputs, Windows

TINY = NetworkConfig(
    raster=Raster(32, 24), stem=(8, 8), blocks=(BlockConfig(8, 2),), head=16, head_dilations=(1, 2), dropout=0.0
)

NETWORK = "r2plus1d:stem=4-4,head=8,head_dilations=1-2"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("clips") / "clips", 40)


def config(out: Path, synth: Path, **changes: object) -> TrainConfig:
    values: dict[str, object] = {"out": str(out), "synth": (str(synth),), "network": NETWORK, "real": 0.0}
    values |= {"steps": 4, "every": 4, "batch": 4, "window": 12, "warmup": 2, "threads": 1, "workers": 0}
    return TrainConfig(**(values | changes))  # type: ignore[arg-type]


def losses(out: Path) -> list[float]:
    return [point["loss"] for point in store.load(out / LAST).progress["history"]]


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(list(words))


def called(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """The command in this process, which must not be started again for its allocator's sake."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return run(parsed(*words))


def test_learning_rate_rises_then_falls_to_a_fiftieth() -> None:
    plan = TrainConfig(steps=110, warmup=10, lr=1.0)
    assert plan.rate(0) == pytest.approx(0.1)
    assert plan.rate(9) == plan.rate(10) == pytest.approx(1.0)
    assert plan.rate(60) == pytest.approx(0.51)
    assert plan.rate(110) == pytest.approx(0.02)


def test_a_run_is_cut_at_every_validation_wherever_it_begins() -> None:
    plan = TrainConfig(steps=25, every=10)
    assert list(stretches(0, plan)) == [range(10), range(10, 20), range(20, 25)]
    assert list(stretches(7, plan)) == [range(7, 10), range(10, 20), range(20, 25)]
    assert list(stretches(20, plan)) == [range(20, 25)]
    assert list(stretches(25, plan)) == []


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


def test_a_cpu_computes_in_float32_unless_it_is_made_to() -> None:
    cpu = torch.device("cpu")
    assert precision("auto", cpu) is precision("off", cpu) is torch.float32
    assert (precision("bf16", cpu), precision("fp16", cpu)) == (torch.bfloat16, torch.float16)


def test_the_shape_of_a_batch_from_what_is_given() -> None:
    assert TrainConfig().mix().shapes == ((32, 20), (16, 40), (10, 64))
    assert TrainConfig(window=80).mix().shapes == ((8, 80),)
    assert TrainConfig(batch=16).mix().shapes == ((16, 40),)
    assert TrainConfig(batch=3, window=25).mix().shapes == ((3, 25),)


def test_a_tiny_network_learns_and_writes_its_run(tmp_path: Path, rendered: Path) -> None:
    path = train(config(tmp_path, rendered, steps=40, every=20, lr=1e-2, aux=("mask", "presence", "height")))
    found = store.load(path)
    assert (found.network.aux, found.train["steps"]) == (("mask", "presence", "height"), 40)
    assert found.build().training is False
    history = store.load(tmp_path / LAST).progress["history"]
    for part in ("loss", "labels", "mask", "height"):
        assert np.mean([h[part] for h in history[-10:]]) < 0.9 * np.mean([h[part] for h in history[:10]])
    assert (tmp_path / "curves.png").stat().st_size > 1000
    board = EventAccumulator(str(tmp_path / "tb"))
    board.Reload()
    assert [point.step for point in board.Scalars("train/loss")] == list(range(1, 41))
    assert [point.step for point in board.Scalars("held_back/false_share")] == [20, 40]


def test_mixed_precision_can_be_forced(tmp_path: Path, rendered: Path) -> None:
    """Half precision rounds, so the curve is near that of float32 and not on it."""
    train(config(tmp_path / "plain", rendered, steps=2, every=2))
    train(config(tmp_path / "half", rendered, steps=2, every=2, amp="bf16"))
    assert losses(tmp_path / "half") == pytest.approx(losses(tmp_path / "plain"), rel=0.05)
    assert losses(tmp_path / "half") != losses(tmp_path / "plain")


def test_a_run_killed_at_any_moment_goes_on_with_the_same_losses(tmp_path: Path, rendered: Path) -> None:
    """A real process, SIGKILL in the middle of a step, and worker processes that must not outlive it."""
    plan = config(tmp_path / "whole", rendered, steps=8, every=4, save=1, workers=1)
    train(plan)
    words = ["--synth", str(rendered), "--network", NETWORK, "--real", "0", "--steps", "8", "--every", "4"]
    words += ["--batch", "4", "--window", "12", "--warmup", "2", "--threads", "1", "--workers", "1", "--save", "1"]
    command = [sys.executable, "-m", "training.train", *words, "--out", str(tmp_path / "torn")]
    environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        last = tmp_path / "torn" / LAST
        eventually(lambda: last.exists() and store.load(last).step >= 2, deadline_s=120)
        process.send_signal(signal.SIGKILL)
    kept = store.load(last)
    assert 2 <= kept.step < 8, "killed too late to show anything"
    asked, kept_again = settled(parsed("--resume", "--out", str(tmp_path / "torn")))
    assert kept_again is not None
    train(asked, kept=kept_again)
    assert losses(tmp_path / "torn") == pytest.approx(losses(tmp_path / "whole"), rel=1e-6)
    one, other = (store.load(tmp_path / name / CHOSEN) for name in ("whole", "torn"))
    assert one.step == other.step
    assert one.metrics == pytest.approx(other.metrics, nan_ok=True)


def test_a_resume_with_other_settings_is_refused_by_name(tmp_path: Path, rendered: Path) -> None:
    train(config(tmp_path, rendered, steps=2, every=2))
    out = ["--out", str(tmp_path)]
    with pytest.raises(ValueError, match=r"--aux is none there, not mask; --lr is 0\.003 there, not 0\.01;") as caught:
        settled(parsed("--resume", *out, "--lr", "0.01", "--aux", "mask", "--steps", "2"))
    assert "\n" not in str(caught.value)
    same, kept = settled(parsed("--resume", *out, "--lr", "0.003", "--synth", str(rendered), "--workers", "3"))
    assert (same.workers, same.steps) == (3, 2)
    assert train(same, kept=kept) == tmp_path / CHOSEN, "a finished run has nothing left to do"
    with pytest.raises(ValueError, match="already holds a run"):
        settled(parsed(*out))
    with pytest.raises(ValueError, match=r"last\.pt: no such file"):
        settled(parsed("--resume", "--out", str(tmp_path / "absent")))


def test_what_the_command_line_does_not_name_is_not_asked_for() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert given(parser.parse_args([])) == {}
    words = ["--synth", "a", "--synth", "b", "--aux", "mask,height", "--drop-channel", "grey", "--max-clips", "7"]
    assert given(parser.parse_args(words)) == {
        "synth": ("a", "b"), "aux": ("mask", "height"), "drop_channel": ("grey",), "max_clips": 7,
    }  # fmt: skip
    every = {field.name for field in dataclasses.fields(TrainConfig)}
    assert every <= {action.dest for action in parser._actions}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "0"], "--steps 0 is less than 1"),
        (["--real", "1.5"], "--real 1.5 is outside 0..1"),
        (["--window", "3"], "--window 3 is less than 10 steps"),
        (["--network", "nonsense"], "network family 'nonsense' is none of"),
        (["--network", "tpool", "--init", "absent.pt"], "absent.pt: no such file"),
        (["--synth", "absent"], "absent: no such folder"),
        (["--clips", "absent.csv"], "absent.csv: cannot be read"),
        ([], "nothing to train on"),
        (["--synth", "empty"], "empty: no clip there yet"),
        (["--synth", "broken"], "broken: no usable clip among 1; the first: broken/clip_000000.npz"),
        (["--synth", "calm"], "no fall, nor anybody on the floor, among 3 clips"),
        (["--drop-channel", "grey", "--drop-channel", "short", "--drop-channel", "long"], "one or two of grey"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("broken").mkdir()
    Path("broken/clip_000000.npz").write_bytes(b"half a clip")
    Path("calm").mkdir()
    for number in range(3):
        save_clip(bar_clip(np.random.default_rng(number), falls=False), clip_path(Path("calm"), number))
    assert called([*words, "--out", "run", "--threads", "1"], monkeypatch) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fallwatch train: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert not Path("run/last.pt").exists()


def test_a_full_disk_stops_the_run_and_leaves_the_last_good_checkpoint(
    tmp_path: Path, rendered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config(tmp_path, rendered, steps=2, every=2))
    before = (tmp_path / LAST).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"last\.pt: cannot be written \(No space left on device\)") as caught:
        store.save(store.load(tmp_path / LAST), tmp_path / LAST)
    assert "the one before is still there" in str(caught.value)
    assert (tmp_path / LAST).read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "no half of a file stays behind"


def test_a_folder_that_grows_is_read_on_and_validation_stays_apart(tmp_path: Path) -> None:
    folder = render(tmp_path / "clips", 40)
    folders = ClipFolders([folder])
    first = folders.fresh()
    held = {sample.name for sample in folders.validation}
    assert first
    assert held
    assert folders.fresh() == []
    (folder / ".clip_000099.npz.1.tmp").write_bytes(b"half")
    (folder / "clip_000098.npz").write_bytes(b"broken")
    render(folder, 60)
    more = {sample.name for sample in folders.fresh()}
    assert len(more) + len(folders.validation) + len(first) == 60
    assert held <= {sample.name for sample in folders.validation}
    assert not more & {sample.name for sample in folders.validation}
    assert len(folders.refused) == 1
    assert "clip_000098.npz" in folders.refused[0]
    assert folders.paths() == [], "what is no clip is not read again and again"
    save_clip(bar_clip(np.random.default_rng(5), falls=True), folder / "clip_000098.npz")
    (whole,) = folders.fresh()
    assert whole.name == "clip_000098", "its copying has come to an end"
    gone = [folder / "clip_000097.npz"]
    assert folders.fresh(gone) == []
    assert "clip_000097.npz" in folders.refused[-1]


def test_too_few_clips_to_hold_some_back_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = config(tmp_path / "run", render(tmp_path / "clips", 2))
    sources = gather(settings, Windows(settings.mix(), Inputs(), 1), World())
    assert sources.validation == []
    assert "its last step is kept instead of its best" in capsys.readouterr().err


def test_of_too_many_clips_the_first_by_name_are_taken_and_all_that_are_held_back(tmp_path: Path) -> None:
    one, other = render(tmp_path / "one", 40), render(tmp_path / "other", 40)
    whole = ClipFolders([one])
    names = [sample.name for sample in whole.fresh()]
    few = ClipFolders([one], most=7)
    assert [sample.name for sample in few.fresh()] == names[:7]
    assert len(few.validation) == len(whole.validation) > 0
    both = ClipFolders([other, one], most=7)
    assert [sample.name for sample in both.fresh()] == [name for name in names[:4] for _ in range(2)][:7]


def test_mined_pieces_are_trained_on_and_some_of_them_judge(tmp_path: Path, rendered: Path) -> None:
    pieces = mine(tmp_path / "mined", 40)
    train(config(tmp_path / "run", rendered, negatives=(str(pieces),), steps=1, every=1))
    train(config(tmp_path / "without", rendered, steps=1, every=1))
    windows = [store.load(tmp_path / name / CHOSEN).metrics["windows"] for name in ("run", "without")]
    assert windows[0] > windows[1]


def test_a_fine_tuned_run_begins_where_the_other_ended(tmp_path: Path, rendered: Path) -> None:
    parent = train(config(tmp_path / "parent", rendered, steps=2, every=2, drop_channel=("grey",)))
    assert store.load(parent).build().dropped == ("grey",)
    init = {"init": str(tmp_path / "parent" / LAST), "network": TrainConfig().network, "aux": ("presence",), "lr": 0.0}
    child = store.load(train(config(tmp_path / "child", rendered, steps=1, every=1, **init)))
    stood = store.load(tmp_path / "parent" / LAST).progress["weights"]
    assert child.network.head == 8
    weights = store.load(tmp_path / "child" / LAST).progress["weights"]
    for name, value in stood.items():
        if name.endswith("weight") and value.ndim > 1:
            assert torch.equal(weights[name], value)
    ancestors = child.train["lineage"]["ancestors"]
    assert [one["synth"] for one in ancestors] == [(str(rendered),)]
    shutil.rmtree(tmp_path / "parent")
    went_on = settled(parsed("--resume", "--out", str(tmp_path / "child")))
    assert Training(went_on[0], World(), went_on[1]).checkpoint({}).train["lineage"]["ancestors"] == ancestors
    parent = tmp_path / "child" / CHOSEN
    with pytest.raises(ValueError, match="is not a network tpool"):
        train(config(tmp_path / "third", rendered, init=str(parent), network="tpool"))


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


def test_a_batch_is_shared_out_evenly_or_not_at_all() -> None:
    assert [World(rank, 3).share(6) for rank in range(3)] == [range(2), range(2, 4), range(4, 6)]
    with pytest.raises(ValueError, match="a batch of 10 windows does not split evenly over 4 processes"):
        World(0, 4).share(10)
