"""The public datasets as their owners ship them, in small: read into tables, and what breaks a rule refused by name."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.labels import FLOOR, LOW, LYING, SEATED, UPRIGHT
from device.preprocess import Raster
from tests.footage_made import moving_square, write_video
from training.clip import Clip, Span
from training.datasets.__main__ import main
from training.datasets.gmdcsa24 import FALLS_ON_BED, actions
from training.datasets.omnifall import CLASSES
from training.datasets.rest import _rest
from training.datasets.rows import Refused
from training.datasets.urfall import _fall, _runs
from training.footage import FootageError, load_clip
from training.index import read_index
from training.samples import targets

RASTER = Raster(32, 24)
UP_FALL_STAMP = "2018-07-04T12_04_{:09.6f}"


def film(path: Path, frames: int = 40, fps: int = 10, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, moving_square(frames, size if min(size) > 60 else (80, 64)), fps)


def pictures(folder: Path, names: list[str], size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), 40 + index, np.uint8))
    return folder


def table(name: str, folder: Path, *options: str) -> dict[str, Clip]:
    """The dataset's clips by their key, through the command and the index."""
    out = folder.parent / f"{name}.csv"
    assert main([name, str(folder), "-o", str(out), *options]) == 0
    return {clip.stem: clip for clip in read_index(out)}


def refusal(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of a folder it refuses; it must not have written a table."""
    out = folder.parent / f"{name}.csv"
    assert main([name, str(folder), "-o", str(out)]) == 1
    assert not out.exists()
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


GMDCSA_HEAD = "File Name,Length (seconds),Time of Recording,Attire,Description, Classes\n"


def gmdcsa24(folder: Path, fall_line: str = "", adl_line: str = "") -> Path:
    subject = folder / "Subject 3"
    film(subject / "Fall" / "01.mp4")
    film(subject / "ADL" / "01.mp4")
    fall = (
        fall_line or "01.mp4,04, Night,shirt,Walks, then falls on the floor,Falling (BW)[1.5 to 4]; Walking[0 to 1.4]"
    )
    adl = adl_line or "01.mp4,04, Day,shirt,Sits and eats,Eating[1 to 2]; Sitting[0 to 4]"
    (subject / "Fall.csv").write_text(GMDCSA_HEAD + fall + "\n", encoding="utf-8")
    (subject / "ADL.csv").write_text(GMDCSA_HEAD + adl + "\n", encoding="utf-8")
    return folder


def test_gmdcsa24_becomes_clips_that_may_be_trained_on(tmp_path: Path) -> None:
    clips = table("gmdcsa24", gmdcsa24(tmp_path / "set"))
    fall, everyday = clips["s3_Fall_01"], clips["s3_ADL_01"]
    assert (fall.split, fall.subject, fall.fall, fall.fall_start_s) == ("train", "G3", True, 1.5)
    assert fall.room.startswith("G-B")  # by night, with subject 2
    assert everyday.room.startswith("G-C")
    assert everyday.spans == (Span(0.0, 4.0, (SEATED, LOW)),)
    assert fall.spans[0] == Span(0.0, 1.4, (UPRIGHT,))
    assert fall.fall_end_s is not None
    assert fall.spans[1].end_s == pytest.approx(fall.fall_end_s, abs=1e-3)


def test_the_times_of_gmdcsa24_are_read_as_they_are_written() -> None:
    line = "12.mp4,05,Night, shirt,Standing, then falls [Night],Falling (BW) [2.3 6]:; Standing[0 to 0.3; 1.5 to 2.2]"
    assert actions(line) == [("falling (bw)", 2.3, 6.0), ("standing", 0.0, 0.3), ("standing", 1.5, 2.2)]
    assert actions("13.mp4,05,Night,shirt,falls,Falling (FW)") == []
    onto = ("Falling backward on the bed [Night]", "Standing on the bed to falling (LS) on the bed")
    off = ("Falling (LS) from the bed to the floor", "Sitting on the bed then falling on the floor")
    assert [bool(FALLS_ON_BED.search(text)) for text in (*onto, *off)] == [True, True, False, False]
    assert not FALLS_ON_BED.search("Falling (FW)to the floor from sitting on the bed")


def test_a_bracket_that_was_never_closed_loses_no_time() -> None:
    assert actions("11.mp4,10,Night,shirt,falls,Falling (BW[5.9 to 10]; Walking[0 to 1.3]") == [
        ("falling (bw", 5.9, 10.0), ("walking", 0.0, 1.3)]  # fmt: skip
    open_one = "04.mp4,10,Day,shirt,picks, Standing[2.4 to 3.6; 6.6 to 7.9; Walking[3.6 to 5.2]"
    assert actions(open_one) == [("standing", 2.4, 3.6), ("standing", 6.6, 7.9), ("walking", 3.6, 5.2)]


def test_who_picks_something_up_while_standing_may_be_low(tmp_path: Path) -> None:
    line = "01.mp4,04, Day,shirt,Picking up a pen and writing,Standing[0 to 2]; Writing[2 to 4]; Sitting[2 to 4]"
    everyday = table("gmdcsa24", gmdcsa24(tmp_path / "set", adl_line=line))["s3_ADL_01"]
    assert everyday.spans == (Span(0.0, 2.0, (UPRIGHT, LOW)), Span(2.0, 4.0, (SEATED, LOW)))


@pytest.mark.parametrize(
    ("fall_line", "adl_line", "said"),
    [
        ("02.mp4,04,Night,s,falls,Falling (BW)[1 to 4]", "", "no such video"),
        ("01.mp4,04,Night,s,falls,Falling (BW)[3 to 1]", "", "ends before it starts"),
        ("01.mp4,04,Night,s,falls,Falling (BW)", "", "gives no time of a fall"),
        ("01.mp4,04,Night,s,falls,Falling (BW)[9 to 12]", "", "fetch it again"),
        ("", "01.mp4,04,Day,s,juggles,Juggling[0 to 4]", "unknown activity 'juggling'"),
        ("", "01.mp4,04,Day,s,falls,Falling (FW)[1 to 2]", "its line has a fall"),
        ("", "", ""),
    ],
)
def test_what_breaks_a_rule_in_gmdcsa24_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fall_line: str, adl_line: str, said: str
) -> None:
    folder = gmdcsa24(tmp_path / "set", fall_line, adl_line)
    if said:
        text = refusal("gmdcsa24", folder, capsys)
        assert said in text
        assert "mp4" in next(line for line in text.splitlines() if said in line)
        kept = table("gmdcsa24", folder, "--skip-refused")
        assert len(kept) == 1
    else:
        assert len(table("gmdcsa24", folder)) == 2


def test_a_video_without_a_line_and_a_corrupt_one_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = gmdcsa24(tmp_path / "set")
    film(folder / "Subject 3" / "ADL" / "07.mp4")
    (folder / "Subject 3" / "ADL" / "01.mp4").write_bytes(bytes(1000))
    said = refusal("gmdcsa24", folder, capsys)
    assert "07.mp4: no line in ADL.csv" in said
    assert "01.mp4: not a video" in said


def caucafall(folder: Path, activity: str = "Fall left", labels: str = "0" * 15 + "1" * 26) -> Path:
    place = folder / "Subject.7" / activity
    film(place / f"{activity.title().replace(' ', '')}S7.avi", frames=40)
    (place / "classes.txt").write_text("nofall\nfall\n", encoding="utf-8")
    for index, label in enumerate(labels):
        (place / f"cai7{index:05}.txt").write_text(f"{label} 0.5 0.5 0.2 0.4\n", encoding="utf-8")
    return folder


def test_caucafall_takes_the_start_from_the_labels_of_its_frames(tmp_path: Path) -> None:
    folder = caucafall(tmp_path / "set")
    caucafall(folder, "Walk", "0" * 41)
    clips = table("caucafall", folder)
    assert clips["FallLeftS7"].fall_start_s == pytest.approx(1.5)
    assert (clips["WalkS7"].fall, clips["WalkS7"].subject, clips["WalkS7"].split) == (False, "C7", "train")
    assert UPRIGHT in clips["WalkS7"].spans[0].labels


@pytest.mark.parametrize(
    ("activity", "labels", "said"),
    [
        ("Fall left", "0" * 41, "no frame is labelled fall"),
        ("Walk", "0" * 20 + "1" * 21, "frames are labelled fall"),
        ("Fall left", "0" * 10 + "1" * 20, "30 labels for 40 frames"),
        ("Fall left", "0" * 15 + "7" * 26, "neither 0 (nofall) nor 1 (fall)"),
        ("Dance", "0" * 41, "unknown activity"),
    ],
)
def test_what_breaks_a_rule_in_caucafall_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], activity: str, labels: str, said: str
) -> None:
    text = refusal("caucafall", caucafall(tmp_path / "set", activity, labels), capsys)
    assert said in text
    assert activity.partition(" ")[0] in text


def urfall(folder: Path) -> Path:
    names = [f"fall-01-cam0-rgb-{n:03}.png" for n in range(1, 91)]
    pictures(folder / "fall-01-cam0-rgb", names, (640, 480))
    spare = pictures(folder / "spare", [f"adl-01-cam0-rgb-{n:03}.png" for n in range(1, 31)])
    with zipfile.ZipFile(folder / "adl-01-cam0-rgb.zip", "w") as archive:
        for file in sorted(spare.iterdir()):
            archive.write(file, f"adl-01-cam0-rgb/{file.name}")
    labels = [-1] * 30 + [0] * 15 + [1] * 45
    rows = [f"fall-01,{n},{label},0.5,0.5" for n, label in enumerate(labels, start=1)]
    (folder / "urfall-cam0-falls.csv").write_text("\n".join(rows), encoding="utf-8")
    adls = "\n".join(f"adl-01,{n},-1,0.5" for n in range(1, 31))
    (folder / "urfall-cam0-adls.csv").write_text(adls, encoding="utf-8")
    return folder


def test_ur_fall_reads_folders_and_zips_and_its_labels(tmp_path: Path) -> None:
    clips = table("urfd", urfall(tmp_path / "set"))
    fall, everyday = clips["fall-01-cam0"], clips["adl-01-cam0"]
    assert (fall.split, fall.fall_start_s, fall.fall_end_s) == ("dev", 1.0, 1.5)  # frames 31 and 46 at 30 a second
    assert (everyday.fall, everyday.path.suffix, everyday.fps) == (False, ".zip", 30.0)
    footage = load_clip(fall, RASTER, tmp_path / "cache")
    assert footage.size == (640, 480)  # pictures are colour alone: nothing is cut off, as it is in the videos
    assert footage.t[-1] == pytest.approx(2.9)
    assert len(load_clip(everyday, RASTER, tmp_path / "cache")) == 10


def test_the_runs_of_ur_fall_by_hand() -> None:
    labels = dict(enumerate([-1, -1, 0, 0, -1, 0, 1, 1], start=1))
    runs = _runs(labels)
    assert [run[0] for run in runs] == [-1, 0, -1, 0, 1]
    assert _fall(runs) == pytest.approx((5 / 30, 6 / 30))  # the passing posture that leads to the ground
    assert _fall(_runs({1: -1, 2: 0, 3: -1})) is None


def test_a_label_that_ur_fall_does_not_know_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = urfall(tmp_path / "set")
    (folder / "urfall-cam0-adls.csv").write_text("adl-01,1,5,0.5\nadl-02,1,-1,0.5\nno line", encoding="utf-8")
    said = refusal("urfd", folder, capsys)
    assert "line 1: unknown label 5" in said
    assert "line 3: not `sequence,frame,label" in said
    assert "no adl-02-cam0-rgb nor adl-02-cam0-rgb.zip nor adl-02-cam0.mp4" in said


def le2i(folder: Path, top: str = "11\n26\n1,1,20,20,40,40\n", scene: str = "Coffee_room_01") -> Path:
    film(folder / scene / "Videos" / "video (1).avi")
    notes = folder / scene / "Annotation_files"
    notes.mkdir(parents=True, exist_ok=True)
    (notes / "video (1).txt").write_text(top, encoding="utf-8")
    return folder


def test_le2i_takes_the_frames_on_top_of_its_annotations(tmp_path: Path) -> None:
    folder = le2i(le2i(tmp_path / "set"), "0\n0\n", "Coffee_room_02")
    clips = table("le2i", folder)
    fall, everyday = clips["Coffee_room_01_video_1"], clips["Coffee_room_02_video_1"]
    assert (fall.fall_start_s, fall.fall_end_s) == (1.0, 2.5)  # frames 11 and 26, from 1, at 10 a second
    assert not everyday.fall
    assert fall.room == everyday.room == "Coffee_room"
    assert fall.split == "dev"


@pytest.mark.parametrize(
    ("top", "said"),
    [("30\n20\n", "not after its start"), ("1,1,20,20,40,40\n", "first two lines"), ("0\n20\n", "not after its start")],
)
def test_what_breaks_a_rule_in_le2i_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], top: str, said: str
) -> None:
    text = refusal("le2i", le2i(tmp_path / "set", top), capsys)
    assert "video (1).txt" in next(line for line in text.splitlines() if said in line)


def test_a_video_of_le2i_without_annotation_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(tmp_path / "set" / "Office" / "video (3).avi")
    assert "video (3).avi: no annotation" in refusal("le2i", tmp_path / "set", capsys)


def upfall(folder: Path, tags: dict[int, list[int]]) -> Path:
    """Trial 1 of activities of subject 2, by camera 1; a tag every half second from the first picture on."""
    lines = ["TimeStamps,AnkleAccelerometer,Subject,Activity,Trial,Tag", "Time,x,,,,"]
    for activity, told in tags.items():
        names = [UP_FALL_STAMP.format(10 + n / 18) + ".png" for n in range(18 * len(told) // 2)]
        pictures(folder / f"Subject2Activity{activity}Trial1Camera1", names)
        lines += [f"2018-07-04T12:04:{10 + n / 2:09.6f},0.1,2,{activity},1,{tag}" for n, tag in enumerate(told)]
    (folder / "CompleteDataSet.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_up_fall_goes_by_the_moments_in_its_names_and_its_tags(tmp_path: Path) -> None:
    clips = table("upfall", upfall(tmp_path / "set", {3: [7, 7, 3, 3, 3, 11], 11: [11] * 6, 6: [6] * 6}))
    fall = clips["S02_A03_T1_C1"]
    assert (fall.fall_start_s, fall.fall_end_s, fall.split) == (1.0, 2.0, "dev")
    assert clips["S02_A11_T1_C1"].on_floor
    assert not clips["S02_A06_T1_C1"].on_floor
    assert len(load_clip(fall, RASTER, tmp_path / "cache")) == 30  # 54 pictures at 18 a second


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({3: [7, 7, 7, 7]}, "no moment is tagged as one"),
        ({6: [6, 1, 6, 6]}, "is tagged as a fall"),
        ({14: [6, 6]}, "unknown activity 14"),
    ],
)
def test_what_breaks_a_rule_in_up_fall_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tags: dict[int, list[int]], said: str
) -> None:
    text = refusal("upfall", upfall(tmp_path / "set", tags), capsys)
    assert said in text
    assert "Trial1Camera1" in text


def omnifall(folder: Path, *segments: str) -> Path:
    film(folder / "le2i" / "Home_01" / "video_1.mp4")
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    head = "path,label,start,end,subject,cam,dataset"
    lines = segments or ("Home_01/video_1,0,0.0,1.5,0,1,le2i", "Home_01/video_1,1,1.5,2.5,0,1,le2i",
                         "Home_01/video_1,2,2.5,3.5,0,1,le2i")  # fmt: skip
    (folder / "labels" / "le2i.csv").write_text("\n".join((head, *lines)), encoding="utf-8")
    return folder


def test_omnifall_segments_become_dense_labels_for_evaluation_only(tmp_path: Path) -> None:
    (clip,) = table("omnifall", omnifall(tmp_path / "set")).values()
    assert (clip.dataset, clip.split, clip.room, clip.subject) == ("le2i", "dev", "Home", "")
    assert (clip.fall_start_s, clip.fall_end_s) == (1.5, 2.5)
    assert clip.spans[2] == Span(2.5, 3.5, (FLOOR, LYING))
    assert len(CLASSES) == 16


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        ("Home_01/video_1,16,0.0,1.5,0,1,le2i", "unknown class 16"),
        ("Home_01/video_1,0,2.0,1.5,0,1,le2i", "ends before it starts"),
        ("Home_01/video_1,walk,0.0,1.5,0,1,le2i", "is no number"),
        ("Home_01/video_9,0,0.0,1.5,0,1,le2i", "no video"),
    ],
)
def test_what_breaks_a_rule_in_omnifall_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], segment: str, said: str
) -> None:
    text = refusal("omnifall", omnifall(tmp_path / "set", segment), capsys)
    assert f"{segment.partition(',')[0]}: " in text
    assert said in text


@pytest.mark.parametrize("name", ["gmdcsa24", "caucafall", "urfd", "le2i", "upfall", "omnifall"])
def test_an_empty_folder_says_what_belongs_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / "set").mkdir()
    assert "refused: " in refusal(name, tmp_path / "set", capsys)
    assert main([name, str(tmp_path / "absent"), "-o", str(tmp_path / "t.csv")]) == 2


def test_the_rest_after_a_fall_by_hand() -> None:
    quiet, fall = [0.0] * 10, [2.0, 8.0, 10.0, 6.0, 3.0, 3.0]
    energy = np.array(quiet + fall + quiet)
    assert _rest(energy, 10) == 14  # the peak is at 12; below 4 from 14 on
    assert _rest(np.array(quiet + [10.0] * 6), 10) == 15  # never at rest: the last step
    assert _rest(np.array([5.0, 5.0, 5.0]), 9) == 2


def test_what_is_refused_says_which_and_why() -> None:
    assert str(Refused("a.mp4", "no video")) == "a.mp4: no video"

    assert str(Refused("a.mp4", "a.mp4: no video")) == "a.mp4: no video"


def broken(name: str, folder: Path) -> tuple[Path, str]:
    """A set whose table of labels is broken: that table, and how its lines look when they are not."""
    if name == "omnifall":
        return omnifall(folder) / "labels" / "le2i.csv", "Home_01/video_1,1,1.5,2.5,0,1,le2i"
    if name == "urfd":
        return urfall(folder) / "urfall-cam0-falls.csv", "fall-01,1,-1,0.5"
    return upfall(folder, {3: [7, 3, 3, 11]}) / "CompleteDataSet.csv", "2018-07-04T12:04:10,0.1,2,3,1,7"


@pytest.mark.parametrize("name", ["omnifall", "urfd", "upfall"])
def test_a_table_of_labels_that_is_damaged_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    labels, line = broken(name, tmp_path / "set")
    whole = labels.read_bytes()
    for harm in (line[:8].encode(), b"\xff\xfe\x00" + line[4:9].encode(), b"9,9,inf"):
        labels.write_bytes(whole + b"\n" + harm)
        count = len(labels.read_bytes().splitlines())
        assert f"{labels} line {count}: not `" in refusal(name, labels.parents[name == "omnifall"], capsys)
    labels.write_bytes(whole + b"\n" + b"9" * 200_000 + b"," + line.encode())
    assert f"{labels}: cannot be read to its end (field larger" in refusal(
        name, labels.parents[name == "omnifall"], capsys
    )


def test_a_video_of_omnifall_with_a_torn_line_is_left_out(tmp_path: Path) -> None:
    folder = omnifall(tmp_path / "set")
    film(folder / "le2i" / "Home_01" / "video_2.mp4")
    with (folder / "labels" / "le2i.csv").open("a", encoding="utf-8") as labels:
        labels.write("\nHome_01/video_2,0,0.0,1.0,0,1,le2i\nHome_01/video_2,1,1.0")
    assert list(table("omnifall", folder, "--skip-refused")) == ["Home_01_video_1"]


def test_omnifall_videos_lie_where_its_own_tool_puts_them(tmp_path: Path) -> None:
    folder = omnifall(tmp_path / "set")
    place = folder / "le2i" / "video" / "Home_01"
    place.mkdir(parents=True)
    (folder / "le2i" / "Home_01" / "video_1.mp4").rename(place / "video_1.mp4")
    (clip,) = table("omnifall", folder).values()
    assert clip.path == place / "video_1.mp4"


def gone(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def torn(folder: Path) -> None:
    (folder / "p-002.png").write_bytes(b"\x89PNG cut short")


@pytest.mark.parametrize(("harm", "said"), [(gone, "no picture in it"), (torn, "p-002.png is no picture")])
def test_pictures_that_cannot_be_read_are_named(tmp_path: Path, harm: Callable[[Path], None], said: str) -> None:
    folder = pictures(tmp_path / "p", [f"p-{n:03}.png" for n in range(1, 6)])
    clip = Clip(2, "dev", "set", folder, False, None, None, False, "", "", "MIT", fps=10.0)
    assert len(load_clip(clip, RASTER, tmp_path / "cache")) == 5
    harm(folder)
    with pytest.raises(FootageError, match=f"set__p: .*{said}"):
        load_clip(clip, RASTER, tmp_path / "cache")


def test_dense_labels_reach_the_targets_of_training(tmp_path: Path) -> None:
    spans = (Span(0.0, 0.5, (UPRIGHT,)), Span(0.5, 1.0, (SEATED, LOW)))
    clip = Clip(2, "train", "home", tmp_path, False, None, None, False, "P", "R", "MIT", spans=spans)
    allowed, _ = targets(clip, np.array([0.0, 0.4, 0.6, 1.5]))
    assert allowed.sum(axis=1).tolist() == [1, 1, 2, 5]
