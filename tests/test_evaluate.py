"""An evaluation keeps protocols apart, asks the unit's own policy, and says where a card disagrees with it."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import errno
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.card import Result, read_card, shipped_bundle
from device.cli import main
from device.labels import LABELS
from quantize.about import about_of, read_about, with_results
from quantize.bundle import say_again
from tests.judged_made import NEVER, TINY, clip, footage, model, scored
from training import checkpoint as store
from training import evaluate
from training.aims import dev_in_time, everyday_quiet, suspected_in_time
from training.card_rows import differences, merged, not_measured
from training.checkpoint import Checkpoint
from training.failures import false_moments, missed, peaks, write_sheet
from training.index import Clip, HoldOut
from training.judged import CROSS, DEV, SEEN, UNSEEN, WITHIN, Fold, Scored, open_model, protocol_of, score_clips
from training.lineage import lineage_of, seen_by, seen_files_by
from training.metrics import Confirmed
from training.networks import build
from training.pieces import Piece, write_piece
from training.scoring import probabilities
from training.table import NO_ROOM_SEEN, Told, event_rows, events, rows, said_of, table_text
from training.unit_policy import held_on, reached

FELL = scored(clip("fall", fall=True), slice(20, 30), slice(30, 150))
CALM = scored(clip("calm"), NEVER, NEVER)
WRONG = scored(clip("wrong"), slice(40, 50), slice(50, 150))
MAT = scored(clip("mat", on_floor=True), NEVER, slice(20, 150))


def told(*clips: Scored) -> list[Told]:
    return [(one, said_of(one)) for one in clips]


def incidents_of(one: Scored, stage: str) -> list[Confirmed]:
    return reached(said_of(one), stage)


def test_long_footage_is_scored_in_pieces_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(TINY).eval()
    whole = probabilities(network, footage(90))
    monkeypatch.setattr("training.scoring.CHUNK_STEPS", 17)
    assert probabilities(network, footage(90)) == pytest.approx(whole, abs=1e-6)
    torn = probabilities(network, footage(90, gap=40))
    assert torn[:40] == pytest.approx(whole[:40], abs=1e-6)
    alone = footage(50)
    after = dataclasses.replace(alone, grey=footage(90).grey[40:])
    assert torn[40:] == pytest.approx(probabilities(network, after), abs=1e-6)


def test_what_a_score_is_worth_depends_on_what_else_was_trained_on() -> None:
    here, same_room, other_room = clip("a"), clip("b"), dataclasses.replace(clip("c"), room="S")
    clips = [here, same_room, other_room]

    def worth(*trained: Clip) -> str:
        asked = model(False)
        return protocol_of(here, dataclasses.replace(asked, trained_on=lambda one: one in trained), clips)

    assert worth(here, other_room) == SEEN
    assert worth(same_room, other_room) == WITHIN
    assert worth(other_room) == UNSEEN
    assert worth() == CROSS
    assert protocol_of(clip("d", "dev"), model(True), clips) == DEV


def test_a_fold_that_was_trained_on_what_it_is_tested_on_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.judged.load_clips", lambda clips, raster, cache: {c.name: footage(30) for c in clips})
    with pytest.raises(ValueError, match="was trained on home__a"):
        score_clips([clip("a")], model(True), [Fold(HoldOut("home"), model(True))], tmp_path)
    (one,) = score_clips([clip("a")], model(True), [Fold(HoldOut("home"), model(False))], tmp_path)
    assert one.protocol == CROSS
    assert one.probabilities.shape == (30, len(LABELS))


def test_a_checkpoint_knows_which_clips_it_has_seen(tmp_path: Path) -> None:
    weights = build(TINY).state_dict()
    store.save(Checkpoint(TINY, weights, {"clips": "x.csv", "hold_out": ["home:P2"]}, 1), tmp_path / "a.pt")
    store.save(Checkpoint(TINY, weights, {"clips": "", "hold_out": []}, 1), tmp_path / "synthetic.pt")
    unused = {"clips": "x.csv", "real": 0.0, "synth": ("s",)}
    store.save(Checkpoint(TINY, weights, unused, 1), tmp_path / "unused.pt")
    for name, other in (("rooms", {"swap": 0.1}), ("alone", {"synth": ()})):
        store.save(Checkpoint(TINY, weights, unused | other, 1), tmp_path / f"{name}.pt")
        assert open_model(tmp_path / f"{name}.pt").trained_on(clip("a")), "its room, or itself for want of others"
    seen = open_model(tmp_path / "a.pt").trained_on
    assert (seen(clip("a")), seen(clip("a", subject="P2")), seen(clip("a", "dev"))) == (True, False, False)
    for name in ("synthetic.pt", "unused.pt"):
        assert not open_model(tmp_path / name).trained_on(clip("a"))


def test_a_bundle_says_in_its_card_which_datasets_it_has_seen(tmp_path: Path) -> None:
    shutil.copytree(shipped_bundle(), tmp_path / "bundle")
    assert open_model(tmp_path / "bundle").trained_on(clip("a"))  # the card does not say: all that may be counts
    about = about_of(read_card(tmp_path / "bundle"))
    say_again(tmp_path / "bundle", about.model_copy(update={"trained_on": ("gmdcsa24",)}))
    assert read_card(tmp_path / "bundle").trained_on == ("gmdcsa24",)
    seen = open_model(tmp_path / "bundle").trained_on
    assert not seen(clip("a"))
    assert seen(dataclasses.replace(clip("a"), dataset="gmdcsa24"))
    assert not seen(dataclasses.replace(clip("a", "dev"), dataset="gmdcsa24"))


def test_what_a_checkpoint_began_as_and_what_was_mined_for_it_count_as_seen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = build(TINY).state_dict()
    store.save(Checkpoint(TINY, weights, {"clips": ("x.csv",), "hold_out": ("home:P2",)}, 1), tmp_path / "parent.pt")
    child = {"clips": (), "init": str(tmp_path / "parent.pt")}
    store.save(Checkpoint(TINY, weights, child, 1), tmp_path / "child.pt")
    seen = open_model(tmp_path / "child.pt").trained_on
    assert (seen(clip("a")), seen(clip("a", subject="P2"))) == (True, False)
    ledger = {"sources": {str(clip("a").path): {"kept": 2}, str(clip("b").path): {"kept": 0}}}
    (tmp_path / "mined.json").write_text(json.dumps(ledger))
    remembered = lineage_of({"synth": ("s",), "negatives": (str(tmp_path),)}, [{"clips": ("x.csv",)}])
    fold = {"clips": ("x.csv",), "hold_out": ("home",), "negatives": (str(tmp_path),)}
    store.save(Checkpoint(TINY, weights, fold, 1), tmp_path / "fold.pt")
    seen = open_model(tmp_path / "fold.pt").trained_on
    assert (seen(clip("a")), seen(clip("b"))) == (True, False)  # a piece of a held-out clip came in by mining
    # What is remembered outlives the folders it came from; what is not and is gone is said.
    (tmp_path / "mined.json").unlink()
    (tmp_path / "parent.pt").unlink()
    assert remembered["mined_from"] == [str(clip("a").path.resolve())]
    own = {"clips": ("x.csv",), "hold_out": ("home",), "lineage": remembered | {"ancestors": []}}
    assert (seen_by(own)(clip("a")), seen_by(own)(clip("b"))) == (True, False)
    assert seen_by({"clips": (), "init": "gone.pt", "lineage": remembered})(clip("b"))
    assert seen_files_by({"lineage": remembered})(Path("s/clip_000000.npz").absolute())
    assert not seen_by(child)(clip("a"))
    assert "parent.pt, which is not there" in caplog.text


def test_a_fold_is_judged_by_the_thresholds_of_the_model_it_stands_for(tmp_path: Path) -> None:
    store.save(Checkpoint(TINY, build(TINY).state_dict(), {"clips": ""}, 1), tmp_path / "a.pt")
    main_model = open_model(shipped_bundle())
    fold = Fold.parse(f"home:P1={tmp_path / 'a.pt'}", main_model)
    assert fold.model.thresholds == main_model.thresholds
    assert fold.name.startswith("home:P1 ")
    assert len(fold.name.split()[1]) == 8
    assert main_model.numbers == "int8"


def test_events_go_through_the_units_own_policy() -> None:
    (incident,) = incidents_of(FELL, "confirmed")
    assert 7.0 < incident.confirmed < 9.0  # down for 5 s, and a few tenths of smoothing
    found = events(told(FELL, CALM, WRONG, MAT), "confirmed")
    assert (found.falls, found.detected, found.false_alarms) == (1, 1, 1)
    assert found.hours == pytest.approx(3 * 15.0 / 3600)
    assert incidents_of(CALM, "suspected") == []


def test_incident_rows_count_what_can_be_confirmed_and_who_is_down_on_purpose() -> None:
    on_purpose = scored(clip("exercise", on_floor=True), slice(40, 50), slice(50, 150))
    cut = scored(clip("cut", fall=True), slice(20, 30), slice(30, 60), steps=60)
    table = {row.stage: row for row in event_rows(told(FELL, cut, CALM, on_purpose))}
    assert (table["suspected"].found.detected, table["confirmed"].found.detected) == (2, 1)
    assert table["confirmed"].long_enough == 1  # the other clip ends 2.9 s after the body is at rest
    assert table["confirmed"].on_floor == 1
    assert table["confirmed"].found.false_alarms == 0


def test_a_fall_cut_short_is_confirmed_once_its_last_second_is_held() -> None:
    cut = scored(clip("cut", fall=True), slice(20, 30), slice(30, 60), steps=60)
    longer = held_on(cut.answers)
    assert len(longer.t) == 120
    assert np.diff(longer.t) == pytest.approx(0.1)
    held = dataclasses.replace(cut, t=longer.t, reset=longer.reset, probabilities=longer.probabilities)
    assert incidents_of(cut, "confirmed") == []
    assert len(incidents_of(held, "confirmed")) == 1


def test_the_table_keeps_protocols_apart_and_leaves_out_who_is_on_the_floor_on_purpose() -> None:
    clips = [FELL, CALM, MAT, scored(clip("seen", fall=True), NEVER, NEVER, protocol=SEEN)]
    raw = {row.protocol: row for row in rows(clips) if row.smoothing_s == 0}
    assert set(raw) == {UNSEEN, SEEN}
    figures = raw[UNSEEN].figures
    # Windows: 15 s in four, and 1.5 s before the fall.
    assert (figures.falls, figures.windows, figures.auc, figures.recall_at_0) == (1, 5, 1.0, 1.0)
    assert (raw[UNSEEN].on_floor_above, raw[UNSEEN].on_floor_windows) == (4, 4)
    assert "SEEN IN TRAINING" in table_text(rows(clips))


def test_all_rooms_never_seen_are_also_taken_together_and_what_was_seen_is_not() -> None:
    dev = scored(clip("dev", "dev", fall=True), slice(20, 30), slice(30, 150), protocol=DEV)
    seen = scored(clip("seen", fall=True), NEVER, NEVER, protocol=SEEN)
    together = [row for row in rows([FELL, CALM, dev, seen]) if row.protocol == NO_ROOM_SEEN]
    assert [row.figures.falls for row in together] == [2, 2]
    assert {row.protocol for row in event_rows(told(FELL, dev, seen))} == {UNSEEN, DEV, SEEN, NO_ROOM_SEEN}


def test_a_fall_is_suspected_in_time_until_a_second_and_a_half_after_rest() -> None:
    # The mean of half a second reaches 0.5 with its third step of five: 0.2 s after the first.
    for first, in_time in ((20, True), (43, True), (44, False)):
        late = scored(clip("late", "dev", fall=True), slice(first, first + 10), NEVER, protocol=DEV)
        assert suspected_in_time(late, said_of(late)) is in_time
    found = dev_in_time([late, FELL], [said_of(late), said_of(FELL)])
    assert found.measured == "0 of 1; not home__late"  # the other is not of dev
    assert found.met is None  # dev has thirty


def test_an_everyday_clip_that_rings_is_named() -> None:
    quiet = everyday_quiet([CALM, MAT, FELL], [said_of(one) for one in (CALM, MAT, FELL)])
    assert (quiet.met, "0 in 1 clips" in quiet.measured) == (None, True)  # one clip proves nothing
    assert everyday_quiet([CALM] * 51, [[]] * 51).met is True
    rang = everyday_quiet([CALM, WRONG], [said_of(one) for one in (CALM, WRONG)])
    assert rang.met is False
    assert "home__wrong (fall)" in rang.measured
    trained_on = scored(clip("seen"), NEVER, NEVER, protocol=SEEN)
    assert everyday_quiet([trained_on] * 51, [[]] * 51).met is None  # what was seen in training is not asked


def test_peaks_are_the_highest_first_and_apart() -> None:
    t = np.arange(100) / 10
    score = np.zeros(100)
    score[[10, 12, 60, 95]] = [0.7, 0.9, 0.8, 0.3]
    assert peaks(t, score, 0.5) == [12, 60]  # 1.0 s is 0.2 s from a higher one; 9.5 s is below the level
    assert peaks(t, score, 0.2, apart_s=0.1) == [12, 60, 10, 95]


def test_the_sheet_of_failures_shows_missed_falls_and_false_moments(tmp_path: Path) -> None:
    unseen = scored(clip("unseen", fall=True), NEVER, NEVER)
    lost = missed([FELL, unseen], [said_of(FELL), said_of(unseen)])
    assert [moment.title.split()[1].strip(",") for moment in lost] == ["home__unseen"]
    false = false_moments([WRONG, MAT, CALM], level=0.5)
    assert len(false) == 2  # of 11 s of false evidence the two worst, 4 s apart
    assert all("home__wrong" in moment.title for moment in false)
    write_sheet([*lost, *false], tmp_path / "sheet.png")
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet is not None
    assert sheet.shape == (3 * 184, 8 * 192, 3)


def row(**given: object) -> Result:
    values = {"protocol": UNSEEN, "footage": "all", "numbers": "float", "falls": 19, "windows": 140}
    values |= {"smoothing_s": 0.0, "auc": 0.989, "recall_at_0": 0.58, "recall_at_5": 0.95, "recall_at_10": 1.0}
    return Result.model_validate(values | given)


def test_a_card_agrees_within_rounding_and_disagrees_beyond() -> None:
    assert differences([row()], [row(auc=0.990)]) == []
    (line,) = differences([row()], [row(auc=0.985)])
    assert "auc: card says 0.989, measured 0.985" in line
    assert UNSEEN in line
    assert len(differences([row()], [row(falls=18, recall_at_5=0.9)])) == 2
    assert differences([row()], [row(smoothing_s=0.5, auc=0.5)]) == []  # another row


def test_rows_that_were_not_measured_are_said_with_what_would_measure_them() -> None:
    by_hand = Result(protocol="long ago", footage="all", falls=1, auc=0.9)
    folds = row(folds=("gmdcsa24:G1 0a1b2c3d",))
    other = row(smoothing_s=0.5, folds=("gmdcsa24:G1 0a1b2c3d", "caucafall 0a1b2c3e"))
    assert not_measured([by_hand, folds, other, row(numbers="int8")], [row(numbers="int8")]) == [
        "1 row: written by hand",
        "2 rows: need --fold gmdcsa24:G1=CHECKPOINT --fold caucafall=CHECKPOINT",
    ]
    assert differences([folds], [row(folds=("gmdcsa24:G1 ffffffff",))])[0].endswith("measured gmdcsa24:G1 ffffffff")


def test_new_figures_take_the_place_of_old_ones_and_the_rest_stays() -> None:
    by_hand = Result(protocol="long ago", footage="all", falls=1, auc=0.9)
    new = row(auc=0.991)
    other = row(smoothing_s=0.5)
    assert merged([by_hand, row()], [other, new]) == (by_hand, new, other)


def test_results_are_written_into_the_hand_written_text_and_its_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "about.toml"
    shutil.copy(Path(evaluate.__file__).parent.parent / "quantize" / "cards" / "r2plus1d-s.toml", path)
    before = read_about(path)
    with_results(path, [row(folds=("home:P1 0a1b2c3d", "home:P2 0a1b2c3e")), row(smoothing_s=0.5)])
    after = read_about(path)
    assert after.results == (row(folds=("home:P1 0a1b2c3d", "home:P2 0a1b2c3e")), row(smoothing_s=0.5))
    assert after.model_copy(update={"results": ()}) == before.model_copy(update={"results": ()})
    assert path.read_text().startswith("# The hand-written part of the card")
    with_results(path, [row()])
    assert read_about(path).results == (row(),)


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(given)


def test_evaluate_over_real_clips_writes_what_the_yardstick_reads_and_a_report(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store.save(Checkpoint(TINY, build(TINY).state_dict(), {"clips": ""}, 1), tmp_path / "a.pt")
    given = [str(tmp_path / "a.pt"), "--clips", str(clips / "clips.csv"), "--only", "caucafall"]
    assert evaluate.run(arguments(*given, "--scores", "scores", "--json", "all.json", "--report", "report")) == 0
    assert CROSS in capsys.readouterr().out
    assert (tmp_path / "scores" / "caucafall__cauca_test7.csv").read_text().startswith("t,score\n0.000,")
    text = (tmp_path / "all.json").read_text()
    assert "NaN" not in text
    said = json.loads(text)
    assert {row["footage"] for row in said["windows"]} == {"caucafall"}
    report = (tmp_path / "report" / "report.md").read_text()
    assert "roc.png" in report
    for name in ("roc.png", "timelines/caucafall__cauca_test7.png", "report.json"):
        assert (tmp_path / "report" / name).stat().st_size > 1000


@pytest.mark.parametrize("given", [["absent.pt"], ["absent.pt", "--fold", "home"], ["."]])
def test_evaluate_says_in_one_sentence_what_is_wrong(
    given: list[str], clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.run(arguments(*given, "--clips", str(clips / "clips.csv"))) == 1
    error = capsys.readouterr().err
    assert error.startswith("fallwatch evaluate: ")
    assert error.count("\n") == 1


HEADER = "split,dataset,clip,fall,fall_start_s,fall_end_s,on_floor,subject,room,licence\n"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "../shared/data/clips.csv: no such table; name one with --clips"),
        (["--clips", "empty.csv"], "empty.csv: no clip in it but the header"),
        (["--clips", "some.csv", "--only", "home,hoem"], "--only hoem: no clip of it; the tables hold home"),
        (["--clips", "some.csv", "--fold", "home:P9=a.pt"], "--fold home:P9: no clip of the tables is held out by it"),
        (["--clips", "some.csv", "--day", "empty"], "empty: no day_*.npz in it"),
        (["--clips", "some.csv", "--striped", "empty"], "empty: no *.npz in it"),
    ],
)
def test_what_there_is_nothing_of_is_said_before_any_footage_is_decoded(
    given: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    store.save(Checkpoint(TINY, build(TINY).state_dict(), {}, 1), Path("a.pt"))
    Path("empty").mkdir()
    Path("empty.csv").write_text(HEADER)
    Path("a.mp4").write_bytes(b"whoever decodes this fails")
    Path("some.csv").write_text(HEADER + "train,home,a.mp4,0,,,0,P1,R1,MIT\n")
    assert evaluate.run(arguments("a.pt", *given)) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"fallwatch evaluate: {said}")
    assert error.count("\n") == 1


def test_simulated_days_are_judged_where_there_is_no_real_clip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    store.save(Checkpoint(TINY, build(TINY).state_dict(), {}, 1), Path("a.pt"))
    Path("days").mkdir()
    piece = Piece(np.zeros((50, 96, 128), np.uint8), np.ones(50, np.uint8), {"on_purpose": []})
    write_piece(piece, Path("days/day_000000.npz"))
    assert evaluate.run(arguments("a.pt", "--day", "days", "--report", "report")) == 0
    said = capsys.readouterr().out
    assert "simulated days" in said
    assert "recall at" not in said, "a table of nothing"
    assert not Path("report/roc.png").exists()


def test_a_report_on_a_full_disk_names_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    test_simulated_days_are_judged_where_there_is_no_real_clip(tmp_path, capsys, monkeypatch)
    monkeypatch.setattr("training.report.write_json", full)
    assert evaluate.run(arguments("a.pt", "--day", "days", "--report", "report")) == 1
    assert "fallwatch evaluate: report: No space left on device; make room" in capsys.readouterr().err


def test_a_checkpoint_has_no_card_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.pt").write_bytes(b"")
    assert main(["evaluate", str(tmp_path / "a.pt"), "--write-card"]) == 2
    assert "has no card to write" in capsys.readouterr().err


def test_a_bundles_card_is_written_read_back_and_found_to_disagree(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = tmp_path / "bundle"
    shutil.copytree(shipped_bundle(), bundle)
    given = [str(bundle), "--clips", str(clips / "clips.csv"), "--only", "tfjs_pose,urfd"]
    assert evaluate.run(arguments(*given, "--write-card")) == 0
    written = read_card(bundle)
    assert written.model_id == read_card(shipped_bundle()).model_id
    measured = [one for one in written.results if one.protocol == DEV]
    assert {one.numbers for one in measured} == {"int8"}
    assert evaluate.run(arguments(*given)) == 0
    text = (bundle / "card.toml").read_text()
    (bundle / "card.toml").write_text(text.replace("falls = 15", "falls = 14", 1))
    capsys.readouterr()
    assert evaluate.run(arguments(*given)) == 1
    assert "DISAGREES" in capsys.readouterr().out


def test_evaluates_scores_are_the_units_own(clips: Path, tmp_path: Path) -> None:
    film = clips / "train/caucafall/cauca_test8_IR.mp4"
    assert main(["replay", str(film), "--scores", str(tmp_path / "unit.csv"), "--model", str(shipped_bundle())]) == 0
    fall = Clip(2, "train", "caucafall", film, True, 3.9, 5.4, False, "1 man", "C-Fall room", "CC BY 4.0")
    (one,) = score_clips([fall], open_model(shipped_bundle()), [], tmp_path / "cache")
    with (tmp_path / "unit.csv").open(newline="") as table:
        unit = [[float(record[name]) for name in ("t", *LABELS)] for record in csv.DictReader(table)]
    assert np.column_stack((one.t, one.probabilities)) == pytest.approx(np.array(unit), abs=1e-6)
