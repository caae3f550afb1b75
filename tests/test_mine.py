"""Mining keeps what fooled a network where nobody falls, never footage of dev, and goes on where it was stopped."""

from __future__ import annotations

import argparse
import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.labels import FALLING, FLOOR, INDEX, LABELS, LOW, UPRIGHT
from tests.footage_made import moving_square, write_video
from tests.judged_made import chances, footage, model
from training import mine as mining
from training.footage import Footage
from training.index import ClipTableError
from training.judged import Model
from training.lineage import LEDGER, mined_sources
from training.mine import SHEET, Rule, around, fooled
from training.mine_sources import Stretch, sources_of, stretches
from training.pieces import Piece, read_piece, write_piece
from training.samples import mined_sample

LOOSE = Rule(0.3, 3600.0)


def fooled_at(falling: slice) -> Model:
    """A network that sees a fall at some steps, whatever it is shown."""
    return replace(model(False), score=lambda film: chances(falling, slice(0, 0), len(film)))


def fooled_by_light() -> Model:
    """A network that takes any bright picture for a fall: so a test can say when it is fooled."""

    def score(film: Footage) -> np.ndarray:
        said = chances(slice(0, 0), slice(0, 0), len(film))
        bright = film.grey.mean(axis=(1, 2)) > 128
        said[bright] = 0
        said[bright, INDEX[FALLING]] = 1.0
        return said

    return replace(model(False), score=score)


def day(folder: Path, bright: list[tuple[int, int]], steps: int = 600, **meta: object) -> Path:
    """A piece of everyday life, dark but for some steps; somebody stands, and is low while it is bright."""
    folder.mkdir(exist_ok=True)
    grey = np.full((steps, 96, 128), 60, np.uint8)
    label = np.full(steps, INDEX[UPRIGHT], np.uint8)
    for start, end in bright:
        grey[start:end] = 200
        label[start:end] = INDEX[LOW]
    path = folder / f"day_{len(list(folder.glob('*.npz'))):06d}.npz"
    write_piece(Piece(grey, label, dict(meta)), path)
    return path


def stretch(steps: int, *, not_everyday: slice = slice(0, 0), fresh: int = 0, gap: int | None = None) -> Stretch:
    everyday = np.ones(steps, bool)
    everyday[not_everyday] = False
    return Stretch(footage(steps, gap=gap), np.zeros((steps, 96, 128), np.uint8), everyday, fresh, None)


def spans(pieces: list[Piece]) -> list[tuple[float, int]]:
    return [(piece.meta["start_s"], len(piece)) for piece in pieces]


def test_a_peak_is_kept_with_six_seconds_before_and_four_after() -> None:
    # The mean of half a second is highest when all five steps are in it: at 20.4 s.
    (piece,) = fooled(stretch(400), fooled_at(slice(200, 210)), LOOSE)
    assert (piece.meta["peak_s"], piece.meta["score"]) == (20.4, 1.0)
    assert spans([piece]) == [(14.4, 100)]
    assert piece.label is None


def test_peaks_within_ten_seconds_are_one_piece_and_a_quiet_network_keeps_none() -> None:
    steady = fooled(stretch(600), fooled_at(slice(100, 400)), LOOSE)  # 30 s of it: a piece every 10 s
    assert sorted(piece.meta["peak_s"] for piece in steady) == [10.4, 20.4, 30.4]
    assert fooled(stretch(600), fooled_at(slice(0, 0)), LOOSE) == []
    assert len(fooled(stretch(600), fooled_at(slice(100, 400)), Rule(0.3, 60.0))) == 1  # one a minute


def test_only_everyday_life_is_kept_up_to_where_it_ends() -> None:
    assert fooled(stretch(400, not_everyday=slice(150, 400)), fooled_at(slice(200, 210)), LOOSE) == []
    (piece,) = fooled(stretch(400, not_everyday=slice(220, 400)), fooled_at(slice(200, 210)), LOOSE)
    assert spans([piece]) == [(14.4, 76)]  # 14.4 .. 22.0 s


def test_nothing_is_kept_from_before_the_network_has_a_past_or_twice() -> None:
    assert fooled(stretch(400), fooled_at(slice(0, 5)), LOOSE) == []  # the first second counts for nothing
    assert fooled(stretch(400, fresh=300), fooled_at(slice(200, 210)), LOOSE) == []  # an earlier stretch showed it


def test_a_piece_ends_at_a_gap() -> None:
    (piece,) = fooled(stretch(400, gap=180), fooled_at(slice(200, 210)), LOOSE)
    assert spans([piece]) == [(18.0, 64)]
    reset = np.zeros(400, bool)
    reset[230] = True
    assert around(np.ones(400, bool), reset, 204) == (144, 230)


def test_simulated_days_give_pieces_with_their_truth_that_training_reads(tmp_path: Path) -> None:
    path = day(tmp_path / "days", [(100, 110), (300, 310)], on_purpose=[[28.0, 33.0]])
    (whole,) = stretches(path, model(False).raster)
    (piece,) = fooled(whole, fooled_by_light(), LOOSE)  # the other one is on purpose
    assert piece.meta["peak_s"] == 10.4
    assert piece.label is not None
    assert {LABELS[label] for label in piece.label} == {UPRIGHT, LOW}
    write_piece(piece, tmp_path / "kept.npz")
    sample = mined_sample(tmp_path / "kept.npz")
    assert [set(np.flatnonzero(step)) for step in sample.allowed] == [{label} for label in piece.label.tolist()]


def test_a_piece_says_what_happened_and_where_the_picture_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = [0, 12, 128, 72]
    acts = [("walk", 0.0, 9.0), ("sweep", 9.0, 20.0), ("doze", 20.0, 60.0)]
    episodes = [{"person": 0, "name": name, "from_s": start, "to_s": end} for name, start, end in acts]
    day(tmp_path / "days", [(100, 110), (300, 310)], content=bars, episodes=episodes)
    day(tmp_path / "days", [(100, 110)], content=bars, behaviour="kneel")
    day(tmp_path / "days", [(100, 110)])
    monkeypatch.setattr("training.mine.open_model", lambda path: fooled_by_light())
    assert run("model.pt", tmp_path / "days", "--out", tmp_path / "mined", "--per-hour", 3600) == 0
    assert "what happened there: sweep 1, doze 1, kneel 1" in capsys.readouterr().out
    kept = sorted((tmp_path / "mined").glob("*.npz"))
    assert [read_piece(path).meta["doing"] for path in kept] == [["sweep"], ["doze"], ["kneel"], []]
    assert [mined_sample(path).content for path in kept] == [tuple(bars)] * 3 + [(0, 0, 128, 96)]
    assert run("model.pt", tmp_path / "days", "--out", tmp_path / "mined", "--json") == 1, "by another rule"
    write_piece(replace(read_piece(kept[0]), meta={"content": [0, 12, 128, 96]}), kept[0])
    with pytest.raises(ValueError, match=r"npz: its content .* is not within 128 x 96; mine it again"):
        mined_sample(kept[0])


def test_a_video_wider_than_the_raster_knows_its_bars(tmp_path: Path) -> None:
    wide = [np.asarray(cv2.resize(picture, (160, 90)), np.uint8) for picture in moving_square(30)]
    (whole,) = stretches(write_video(tmp_path / "wide.mp4", wide), model(False).raster)
    assert whole.content == (0, 12, 128, 72)
    assert not whole.stored[:, :12].any()
    assert whole.stored[:, 12:84].any()


def test_a_long_video_comes_in_stretches_that_show_their_past_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.mine_sources.STRETCH_STEPS", 40)
    monkeypatch.setattr("training.mine_sources.PAST_STEPS", 15)
    film = write_video(tmp_path / "film.mp4", moving_square(100))
    found = list(stretches(film, model(False).raster))
    assert [(len(one.film), one.fresh) for one in found] == [(40, 0), (40, 15), (40, 15), (25, 15)]
    new = np.concatenate([one.film.t[one.fresh :] for one in found])
    assert new == pytest.approx(np.arange(100) / 10)
    assert np.array_equal(found[0].stored[-15:], found[1].stored[:15])
    assert found[-1].end_s == pytest.approx(10.0)


def run(*given: object) -> int:
    parser = argparse.ArgumentParser()
    mining.add_arguments(parser)
    return mining.run(parser.parse_args([str(one) for one in given]))


def test_a_whole_run_keeps_pieces_a_sheet_and_a_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.mine.open_model", lambda path: fooled_by_light())
    for start in (100, 300):
        day(tmp_path / "days", [(start, start + 10)])
    out = tmp_path / "mined"
    assert run("model.pt", tmp_path / "days", "--out", out) == 0
    kept = sorted(out.glob("*.npz"))
    assert len(kept) == 2
    assert read_piece(kept[0]).meta["source"].endswith("day_000000.npz")
    assert "2 sources, 0.03 h, 2 pieces kept of 2 sources" in capsys.readouterr().out
    assert run("model.pt", tmp_path / "days", "--out", out, "--json") == 0  # nothing left to do, and it says so
    said = json.loads(capsys.readouterr().out)
    assert (said["sources"], said["kept"], said["failed"]) == (2, 2, 0)
    sheet = cv2.imread(str(out / SHEET))
    assert sheet is not None
    assert sheet.shape[0] == 2 * 184


def test_a_stopped_run_goes_on_and_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        day(tmp_path / "days", [(100 + 50 * number, 110 + 50 * number)])
    monkeypatch.setattr("training.mine.open_model", lambda path: fooled_by_light())
    assert run("model.pt", tmp_path / "days", "--out", tmp_path / "whole") == 0
    asked: list[int] = []

    def stops_at_the_second(path: Path) -> Model:
        honest = fooled_by_light()

        def score(film: Footage) -> np.ndarray:
            asked.append(len(film))
            if len(asked) == 2:
                raise KeyboardInterrupt
            return honest.score(film)

        return replace(honest, score=score)

    monkeypatch.setattr("training.mine.open_model", stops_at_the_second)
    assert run("model.pt", tmp_path / "days", "--out", tmp_path / "torn") == 130
    assert len(list((tmp_path / "torn").glob("*.npz"))) == 1
    assert run("model.pt", tmp_path / "days", "--out", tmp_path / "torn") == 0
    assert len(asked) == 2 + 2  # the first piece is not gone through again
    whole, torn = ({p.name: read_piece(p) for p in (tmp_path / name).glob("*.npz")} for name in ("whole", "torn"))
    assert whole.keys() == torn.keys()
    assert all(np.array_equal(whole[name].grey, torn[name].grey) for name in whole)
    ledgers = [json.loads((tmp_path / name / LEDGER).read_text())["sources"] for name in ("whole", "torn")]
    assert ledgers[0] == ledgers[1]


def test_what_was_mined_is_known_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = day(tmp_path / "days", [(100, 110)])
    monkeypatch.setattr("training.mine.open_model", lambda path: replace(fooled_by_light(), digest="0a1b2c3d"))
    monkeypatch.chdir(tmp_path)
    assert run("model.pt", "days", "--out", "mined") == 0
    monkeypatch.chdir(tmp_path / "days")
    assert mined_sources([str(tmp_path / "mined")]) == {path.resolve()}
    moved = replace(fooled_by_light(), name="elsewhere/model.pt", digest="0a1b2c3d")
    monkeypatch.setattr("training.mine.open_model", lambda path: moved)
    assert run("../elsewhere/model.pt", path, "--out", tmp_path / "mined") == 0, "the same network in another place"
    assert len(list((tmp_path / "mined").glob("*.npz"))) == 1


def test_what_was_kept_is_no_new_footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day(tmp_path / "days", [(100, 110)])
    monkeypatch.setattr("training.mine.open_model", lambda path: fooled_by_light())
    out = tmp_path / "days" / "mined"
    for _ in range(2):
        assert run("model.pt", tmp_path / "days", "--out", out) == 0
        assert len(list(out.glob("*.npz"))) == 1


def test_a_full_disk_names_the_piece_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*given: object, **arrays: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = day(tmp_path / "days", [(100, 110)])
    monkeypatch.setattr("training.mine.open_model", lambda path: fooled_by_light())
    monkeypatch.setattr("training.pieces.np.savez_compressed", full)
    assert run("model.pt", path, "--out", tmp_path / "mined") == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / 'mined'}/day_000000_" in said
    assert ".npz: No space left on device; put that right" in said
    assert not list((tmp_path / "mined").iterdir())


def test_a_folder_holds_what_fooled_one_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = day(tmp_path / "days", [(100, 110)])
    monkeypatch.setattr("training.mine.open_model", lambda path: fooled_by_light())
    assert run("model.pt", path, "--out", tmp_path / "mined") == 0
    monkeypatch.setattr("training.mine.open_model", lambda path: replace(fooled_by_light(), digest="0a1b2c3d"))
    capsys.readouterr()
    assert run("model.pt", path, "--out", tmp_path / "mined") == 1
    error = capsys.readouterr().err
    assert "name another --out" in error
    assert error.startswith("fallwatch mine: ")


def test_what_cannot_be_read_is_named_and_the_rest_is_mined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.mine.open_model", lambda path: fooled_by_light())
    day(tmp_path / "days", [(100, 110)])
    (tmp_path / "days" / "broken.npz").write_bytes(b"half a piece")
    (tmp_path / "days" / "broken.mp4").write_bytes(b"no film")
    assert run("model.pt", tmp_path / "days", "--out", tmp_path / "mined") == 1
    error = capsys.readouterr().err
    assert "broken.npz: no whole piece" in error
    assert "broken.mp4: not a video" in error
    assert len(list((tmp_path / "mined").glob("*.npz"))) == 1
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "absent.mp4", tmp_path / "empty"):
        assert run("model.pt", nothing, "--out", tmp_path / "other") == 1
        assert f"{nothing}: no footage there" in capsys.readouterr().err


TABLE = "split,dataset,clip,fall,fall_start_s,fall_end_s,on_floor,subject,room,licence\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A folder with a table: everyday life, a fall, an exercise, all trainable; and a clip of dev."""
    rows = [
        "train,home,train/calm.mp4,0,,,0,P1,R1,MIT",
        "train,home,train/fall.mp4,1,6.0,7.0,0,P2,R2,MIT",
        "train,home,train/mat.mp4,0,,,1,P3,R3,MIT",
        "dev,lab,dev/lab.mp4,0,,,0,P4,R4,research",
    ]
    film = write_video(tmp_path / "film.mp4", moving_square(100))
    for name in ("train", "dev"):
        (tmp_path / name).mkdir()
    for line in rows:
        shutil.copy(film, tmp_path / line.split(",")[2])
    shutil.copy(film, tmp_path / "dev" / "unlisted.mp4")
    (tmp_path / "clips.csv").write_text(TABLE + "\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.parametrize("named", ["dev/lab.mp4", "dev/unlisted.mp4", "dev", "."])
def test_footage_of_dev_is_refused_by_name(table: Path, named: str) -> None:
    with pytest.raises(ClipTableError, match=r"dev/(lab|unlisted)\.mp4: footage of dev: its licence"):
        sources_of([table / named])


def test_a_link_to_footage_of_dev_is_footage_of_dev(table: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("elsewhere") / "mine.mp4"
    link.symlink_to(table / "dev" / "lab.mp4")
    with pytest.raises(ClipTableError, match="footage of dev"):
        sources_of([link])


def test_a_table_says_where_a_video_is_no_everyday_life(table: Path) -> None:
    raster = model(False).raster
    calm, fall, mat = (next(stretches(table / f"train/{name}.mp4", raster)) for name in ("calm", "fall", "mat"))
    assert calm.everyday.all()
    assert fall.everyday.sum() == 55  # up to half a second before the fall at 6 s
    assert not mat.everyday.any()
    assert [path.name for path in sources_of([table / "train"])] == ["calm.mp4", "fall.mp4", "mat.mp4"]


def test_a_rendered_fall_is_everyday_life_until_it_begins(tmp_path: Path) -> None:
    label = np.full(60, INDEX[UPRIGHT], np.uint8)
    label[30:36], label[36:] = INDEX[FALLING], INDEX[FLOOR]
    write_piece(Piece(np.zeros((60, 96, 128), np.uint8), label, {}), tmp_path / "clip_000000.npz")
    (whole,) = stretches(tmp_path / "clip_000000.npz", model(False).raster)
    assert whole.everyday.tolist() == [True] * 30 + [False] * 30
