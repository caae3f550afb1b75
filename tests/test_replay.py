"""`fallwatch replay` as its users and the scoring script call it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from device.card import CARD_FILE, sha256, shipped_bundle
from device.cli import main
from device.incidents import Incidents, policy_of
from device.journal import Journal
from device.loop import Watch
from device.recorder import Recorder
from device.records import Frame, Incident
from device.runner import open_runner
from device.settings import Recorder as RecorderSettings
from device.settings import Settings, Store
from device.store import event_folder
from tests.conftest import eventually
from tests.footage_made import moving_square, write_video

HEADER = "t,empty,upright,seated,low,lying,falling,floor,motion"
EVENT_ID = "01KB0000000000000000000000"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("footage") / "room.mp4", moving_square(60), fps=10)


def test_jsonl_ends_with_a_summary_and_scores_has_a_row_per_step(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(video), "--jsonl", "--scores", str(tmp_path / "s.csv")]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert set(lines[-1]) == {"summary"}
    assert all(set(line) == {"t", "kind", "stage", "incident_id", "score"} for line in lines[:-1])
    text = (tmp_path / "s.csv").read_text()
    assert text.splitlines()[0] == HEADER
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == lines[-1]["summary"]["steps"] == 60
    assert [float(row["t"]) for row in rows] == pytest.approx([n / 10 for n in range(60)])
    for row in rows:
        assert sum(float(row[name]) for name in HEADER.split(",")[1:-1]) == pytest.approx(1.0, abs=1e-4)


def test_a_replay_twice_gives_the_same_bytes(video: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        assert main(["replay", str(video), "--scores", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_slow_footage_gives_ten_steps_a_second_too(tmp_path: Path) -> None:
    slow = write_video(tmp_path / "slow.mp4", moving_square(20), fps=5)
    assert main(["replay", str(slow), "--scores", str(tmp_path / "s.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert [float(row["t"]) for row in rows] == pytest.approx([n / 10 for n in range(39)])


def test_many_sources_write_into_a_folder_and_one_bad_one_does_not_stop_the_rest(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["replay", str(tmp_path / "absent.mp4"), str(video), "--jsonl", "--scores", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert code == 1
    assert "absent.mp4: no such file" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{video.parent.name}__room.csv"]
    assert "summary" in json.loads(said.out.splitlines()[-1])


def test_plot_is_a_picture(video: Path, tmp_path: Path) -> None:
    assert main(["replay", str(video), "--plot", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("source", ["rtsp://user:secret@10.0.0.9/live", "/dev/video0"])
def test_a_live_source_is_refused_with_what_to_use_instead(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", source]) == 2
    said = capsys.readouterr().err
    assert "a live source has no end" in said
    assert "secret" not in said
    assert len(said.splitlines()) == 1


def test_a_video_that_does_not_decode_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "noise.mp4"
    bad.write_bytes(np.random.default_rng(0).bytes(5000))
    assert main(["replay", str(bad)]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fallwatch")]
    assert str(bad) in line


def recorded_event(settings: Settings) -> Path:
    """An event as the unit records it: a loop over pictures, and an incident in the middle of them."""
    bundle = shipped_bundle()
    runner = open_runner(bundle)
    watch = Watch(runner, Incidents(policy_of(settings, runner.card.thresholds)))
    recorder = Recorder(settings, runner.card, sha256(bundle / CARD_FILE))
    journal = Journal(settings.store.path(), room="r1")
    for n, picture in enumerate(moving_square(200)):
        for turn in watch.feed(Frame(n, 500.0 + n / 10, 9000.0 + n / 10, picture)):
            recorder.keep(turn.step, turn.scores, picture)
        if n in (100, 120):
            t, stage = 500.0 + n / 10, "suspected" if n == 100 else "dismissed"
            incident = Incident(
                EVENT_ID,
                "fall",
                stage,
                t,
                8500.0 + t,
                510.0,
                9010.0,
                score=0.6,
                peak=0.6,
                ended=n == 120,
                evidence=(n,),
            )
            with journal.writing():
                journal.put_incident(incident, runner.model_id)
            recorder.on_incident(incident)
    assert recorder.close()
    eventually(lambda: journal.event(EVENT_ID)["clip"])  # type: ignore[index]
    journal.close()
    return event_folder(settings.store.path(), EVENT_ID)


def test_a_recorded_event_reproduces_its_scores_to_the_last_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(store=Store(folder=str(tmp_path / "state")), recorder=RecorderSettings(pre_s=5.0))
    folder = recorded_event(settings)
    assert main(["replay", str(folder), "--jsonl", "--scores", str(tmp_path / "again.csv")]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])["summary"]
    assert summary["reproduced"] is True
    assert summary["max_difference"] == 0.0
    assert summary["compared_steps"] > 50


def test_an_event_is_found_by_its_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    config = tmp_path / "unit.toml"
    config.write_text(f"[store]\nfolder = '{state}'\n[recorder]\npre_s = 5.0\n")
    recorded_event(Settings(store=Store(folder=str(state)), recorder=RecorderSettings(pre_s=5.0)))
    assert main(["replay", EVENT_ID, "--config", str(config)]) == 0
    assert "yes, to the last bit" in capsys.readouterr().out


def test_real_clips_give_a_summary_each(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (clips / "clips.csv").open() as file:
        rows = list(csv.DictReader(file))
    # One clip of each source: every container, codec, size and rate that data/ has; `make clips` walks all of them.
    chosen = {row["dataset"]: str(clips / row["clip"]) for row in rows}
    assert main(["replay", *chosen.values(), "--jsonl", "--scores", str(tmp_path)]) == 0
    summaries = [line for line in capsys.readouterr().out.splitlines() if "summary" in line]
    assert len(summaries) == len(chosen) == len(list(tmp_path.glob("*.csv")))
