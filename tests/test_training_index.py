"""The table of clips: bad rows are refused by name, dev is never trained on, no person or room is on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.labels import FALLING, FLOOR, LYING, UPRIGHT
from training.clip import format_spans, parse_spans
from training.index import (
    COLUMNS,
    EXTRA_COLUMNS,
    Clip,
    ClipTableError,
    HoldOut,
    Span,
    both_classes,
    datasets_out,
    hold_out,
    read_index,
    read_indexes,
    rooms_out,
    trainable,
)

GOOD = {
    "split": "train", "dataset": "home", "clip": "train/home/a.mp4", "fall": "1", "fall_start_s": "1.5",
    "fall_end_s": "2.5", "on_floor": "0", "subject": "P1", "room": "kitchen", "licence": "MIT",
}  # fmt: skip


def table(folder: Path, *changes: dict[str, str]) -> Path:
    lines = [",".join(COLUMNS)]
    for change in changes:
        row = GOOD | change
        file = folder / row["clip"]
        if "absent" not in row["clip"]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        lines.append(",".join(row[name] for name in COLUMNS))
    path = folder / "clips.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_good_row_becomes_a_clip(tmp_path: Path) -> None:
    (clip,) = read_index(table(tmp_path, {}))
    assert (clip.row, clip.name, clip.fall, clip.fall_start_s, clip.fall_end_s) == (2, "home__a", True, 1.5, 2.5)
    assert clip.path == tmp_path / "train/home/a.mp4"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "test"}, "write train or dev"),
        ({"clip": "dev/home/a.mp4"}, "its split is dev"),
        ({"fall": "yes"}, "write 1 or 0"),
        ({"on_floor": ""}, "write 1 or 0"),
        ({"fall_end_s": ""}, "fill fall_start_s and fall_end_s"),
        ({"fall_end_s": "1.5"}, "not after its start"),
        ({"fall_end_s": "inf"}, "not after its start"),
        ({"fall_start_s": "nan"}, "not after its start"),
        ({"fall": "0"}, "set fall to 1 or clear them"),
        ({"licence": ""}, "no licence"),
        ({"clip": "train/home/absent.mp4"}, "correct the path or delete the row"),
    ],
)
def test_a_bad_row_is_refused_by_its_number(tmp_path: Path, change: dict[str, str], said: str) -> None:
    with pytest.raises(ClipTableError, match=r"row 3 \(") as caught:
        read_index(table(tmp_path, {}, change))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text("clip,fall\na.mp4,1\n", encoding="utf-8")
    with pytest.raises(ClipTableError, match="no column split, dataset"):
        read_index(path)


def test_a_dataset_in_both_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClipTableError, match="home is in both train and dev"):
        read_index(table(tmp_path, {}, {"split": "dev", "clip": "dev/home/b.mp4"}))


def test_dev_is_never_trainable_even_when_asked(tmp_path: Path) -> None:
    clips = read_index(table(tmp_path, {}, {"split": "dev", "dataset": "lab", "clip": "dev/lab/b.mp4"}))
    assert [clip.name for clip in trainable(clips)] == ["home__a"]
    with pytest.raises(ClipTableError, match="lab__b is not in train"):
        trainable(clips, ["lab__b"])
    with pytest.raises(ClipTableError, match="no clip nowhere__x"):
        trainable(clips, ["nowhere__x"])


def people(tmp_path: Path) -> list[Clip]:
    return read_index(
        table(
            tmp_path,
            {"clip": "train/home/a.mp4", "subject": "P1", "room": "kitchen"},
            {"clip": "train/home/b.mp4", "subject": "P2", "room": "bedroom"},
            {"clip": "train/home/c.mp4", "subject": "P3", "room": "bedroom"},
            {"dataset": "shop", "clip": "train/shop/d.mp4", "subject": "P1", "room": "kitchen"},
        )
    )


def test_hold_out_splits_by_person(tmp_path: Path) -> None:
    kept, held = hold_out(people(tmp_path), [HoldOut.parse("home:P2,P3")])
    assert [clip.stem for clip in kept] == ["a", "d"]  # the same names in another dataset are other people
    assert [clip.stem for clip in held] == ["b", "c"]
    assert len(hold_out(people(tmp_path), [HoldOut.parse("home")])[1]) == 3


def test_hold_out_that_tears_a_room_apart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClipTableError, match="room 'bedroom' of home would be on both sides"):
        hold_out(people(tmp_path), [HoldOut.parse("home:P2")])


def test_hold_out_that_matches_nothing_or_is_misspelt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClipTableError, match="matches no clip"):
        hold_out(people(tmp_path), [HoldOut.parse("home:P9")])
    with pytest.raises(ValueError, match="write DATASET or DATASET:SUBJECT"):
        HoldOut.parse("home:P1:P2")


def test_the_protocol_of_the_project_tears_nothing_apart(clips: Path) -> None:
    everything = read_index(clips / "clips.csv")
    for rule in ("gmdcsa24:G1", "gmdcsa24:G2,G3", "gmdcsa24:G4", "caucafall", "intel", "frigate", "raju"):
        kept, held = hold_out(trainable(everything), [HoldOut.parse(rule)])
        assert held
        assert not {(c.dataset, c.room) for c in kept} & {(c.dataset, c.room) for c in held}
    assert not any(clip.path.is_relative_to(clips / "dev") for clip in trainable(everything))


def test_dense_labels_rate_and_key_are_read(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    (tmp_path / "a").mkdir()
    head = ",".join((*COLUMNS, *EXTRA_COLUMNS, "remark"))
    row = "dev,set,a,1,1.5,2.5,0,P1,R,MIT,s1_Fall_01,30,1,upright 0-1.5; falling 1.5-2.5; lying|floor 2.5-4,by hand"
    path.write_text(f"{head}\n{row}\n", encoding="utf-8")
    (clip,) = read_index(path)
    assert (clip.name, clip.fps, clip.ends_on_bed) == ("set__s1_Fall_01", 30.0, True)
    assert clip.spans == (
        Span(0.0, 1.5, (UPRIGHT,)),
        Span(1.5, 2.5, (FALLING,)),
        Span(2.5, 4.0, (LYING, FLOOR)),
    )
    assert parse_spans(format_spans(clip.spans)) == clip.spans


@pytest.mark.parametrize(
    ("fall", "extra", "said"),
    [
        ("1", ",,,upright 2-1", "ends before it starts"),
        ("1", ",,,dancing 0-1", "has the label 'dancing'"),
        ("1", ",,,upright from 0", "write LABEL START-END"),
        ("1", ",,,upright 0-1", "none of falling"),
        ("0", ",,,falling 0-1", "an everyday clip has a span of falling"),
        ("0", ",,,floor 0-1", "on_floor says nobody is"),
        ("0", "a b,,,", "key 'a b'"),
        ("0", ",-3,,", "fps '-3'"),
        ("0", ",fast,,", "fps 'fast'"),
        ("0", ",,yes,", "on_bed 'yes'"),
        ("0", ",,,,too,many", "more cells than the header"),
    ],
)
def test_a_mislabelled_row_is_refused_by_its_number(tmp_path: Path, fall: str, extra: str, said: str) -> None:
    (tmp_path / "a.mp4").touch()
    times = "1,2" if fall == "1" else ","
    path = tmp_path / "clips.csv"
    path.write_text(
        f"{','.join((*COLUMNS, *EXTRA_COLUMNS))}\ndev,set,a.mp4,{fall},{times},0,P1,R,MIT,{extra}\n", encoding="utf-8"
    )
    with pytest.raises(ClipTableError, match=r"row 2 \(a.mp4\)") as caught:
        read_index(path)
    assert said in str(caught.value)


def test_a_row_cut_short_is_refused_and_not_read_as_something_else(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    (tmp_path / "a.mp4").touch()
    path.write_text(f"{','.join(COLUMNS)}\ndev,set,a.mp4,1,0.5\n", encoding="utf-8")
    with pytest.raises(ClipTableError, match=r"row 2 \(a.mp4\)"):
        read_index(path)


def test_a_clip_listed_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClipTableError, match="home__a is listed 2 times"):
        read_index(table(tmp_path, {}, {"subject": "P2"}))


def test_several_tables_are_one_and_share_no_clip(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one = table(tmp_path / "one", {})
    two = table(tmp_path / "two", {"clip": "train/home/b.mp4", "subject": "P2"})
    assert [clip.stem for clip in read_indexes([one, two])] == ["a", "b"]
    assert [clip.stem for clip in read_indexes([one])] == ["a"]
    again = table(tmp_path / "two", {})
    with pytest.raises(ClipTableError, match=r"one.*two.*home__a is listed 2 times"):
        read_indexes([one, again])
    torn = table(tmp_path / "two", {"split": "dev", "clip": "dev/home/c.mp4"})
    with pytest.raises(ClipTableError, match="home is in both train and dev"):
        read_indexes([one, torn])


def test_an_empty_class_is_an_error(tmp_path: Path) -> None:
    everyday = {"fall": "0", "fall_start_s": "", "fall_end_s": "", "clip": "train/home/b.mp4"}
    clips = read_index(table(tmp_path, {}, everyday))
    both_classes(clips)
    with pytest.raises(ClipTableError, match="no fall among the 1 clips"):
        both_classes([clip for clip in clips if not clip.fall])
    with pytest.raises(ClipTableError, match="no everyday clip among the 1 clips"):
        both_classes([clip for clip in clips if clip.fall])
    with pytest.raises(ClipTableError, match="no fall among the 0 clips"):
        both_classes([])


def test_a_hold_out_is_read_as_it_is_written() -> None:
    for text in ("caucafall", "gmdcsa24:G2,G3", "le2i@Home, the first@Office"):
        assert str(HoldOut.parse(text)) == text
    assert HoldOut.parse("le2i@Home, the first@Office").rooms == ("Home, the first", "Office")


def a_clip(number: int, dataset: str, subject: str, room: str) -> Clip:
    path = Path(f"{dataset}/{number}.mp4")
    return Clip(number, "train", dataset, path, False, None, None, False, subject, room, "MIT", key=str(number))


A_CLIP = st.tuples(st.sampled_from("ab"), st.sampled_from(["", "P1", "P2", "P3"]), st.sampled_from(["", "R1", "R2"]))


@given(st.lists(A_CLIP, min_size=1, max_size=12))
@settings(max_examples=200, deadline=None)
def test_no_person_room_or_video_crosses_a_split(drawn: list[tuple[str, str, str]]) -> None:
    clips = [a_clip(number, *one) for number, one in enumerate(drawn)]
    for rules in (rooms_out(clips), datasets_out(clips)):
        tested: list[str] = []
        for rule in rules:
            kept, held = hold_out(clips, [HoldOut.parse(str(rule))])
            assert len(kept) + len(held) == len(clips)
            assert not {clip.path for clip in kept} & {clip.path for clip in held}
            for what in ("subject", "room"):
                sides = [{(c.dataset, getattr(c, what)) for c in side if getattr(c, what)} for side in (kept, held)]
                assert not sides[0] & sides[1]
            tested += [clip.name for clip in held]
        assert sorted(tested) == sorted(clip.name for clip in clips)  # each clip is tested on once


def test_rooms_out_leaves_one_room_out_at_a_time(tmp_path: Path) -> None:
    assert [str(rule) for rule in rooms_out(people(tmp_path))] == ["home:P1", "home:P2,P3", "shop"]
    unnamed = [a_clip(n, "le2i", "", room) for n, room in enumerate(("Home", "Office", "Home"))]
    assert [str(rule) for rule in rooms_out(unnamed)] == ["le2i@Home", "le2i@Office"]
    nothing_known = [a_clip(n, "web", "", "") for n in range(3)]
    assert [str(rule) for rule in rooms_out(nothing_known)] == ["web"]


def test_the_real_rooms_come_out_as_the_protocol_of_the_project_has_them(clips: Path) -> None:
    rules = [str(rule) for rule in rooms_out(trainable(read_index(clips / "clips.csv")))]
    assert {"gmdcsa24:G1", "gmdcsa24:G2,G3", "gmdcsa24:G4", "caucafall", "frigate", "raju"} <= set(rules)
