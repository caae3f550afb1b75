"""The table of clips: bad rows are refused by name, dev is never trained on, no person or room is on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.index import COLUMNS, Clip, ClipTableError, HoldOut, hold_out, read_index, trainable

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
