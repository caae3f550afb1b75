"""Settings: every bad file is answered by sentences that say where and what to do, and never by silence."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import pytest

from device.settings import Settings
from device.settings_file import (
    SettingsError,
    last_good_path,
    load_or_last_good,
    main,
    parse_settings,
    read_settings,
    settings_sha256,
)
from device.settings_words import docs_page, example, expectation, heading, must_be_given, sections
from tests.conftest import REPO

EXAMPLE = REPO / "deploy" / "unit.example.toml"
ONE_CAMERA = "[[cameras]]\nid = 'a'\nroom = 'r'\nsource = 'x.mp4'\n"
GOOD = '[unit]\nsite = "north"\nid = "unit-7"\n\n[fall]\nconfirm_s = 4\n'


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        parse_settings(text, "unit.toml")
    return refused.value.problems


def test_a_word_where_seconds_belong_is_named_with_its_line_and_a_cure() -> None:
    assert problems('# one\n\n[fall]\n\nconfirm_s = "five"\n') == (
        'unit.toml:5: fall.confirm_s: got "five": expected a number of seconds 0.1..86400: '
        "write for example confirm_s = 5",
    )


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[fall]\nconfrim_s = 5", 2, "fall.confrim_s: unknown key in section [fall]: did you mean confirm_s?"),
        ("[fall]\nhost = 'x'", 2, "it belongs under [mqtt] or [console]: move it there"),
        ("[mqtt]\nzzz = 1", 2, "unknown key in section [mqtt]: remove it, or write one of enabled, host"),
        ("[fal]\nconfirm_s = 5", 1, "fal: unknown section: did you mean [fall]?"),
        ("[zzz]\nx = 5", 1, "zzz: unknown section: remove it, or write one of unit, camera"),
        ("confirm_s = 5", 1, "confirm_s: stands outside of its section: write it under [fall] or [floor]"),
        ("fall = 5", 1, "fall: got 5: expected a section: write [fall] on a line of its own"),
        ("[[fall]]\nconfirm_s = 5", 1, "expected a section"),
        ("[mqtt]\ntls = 'yes'", 2, 'mqtt.tls: got "yes": expected true or false: write for example tls = false'),
        ("[mqtt]\nprotocol = 5", 2, 'expected one of "5", "3.1.1": write for example protocol = "5"'),
        ("[mqtt]\nport = 1883.5", 2, "expected a whole number 1..65535"),
        ("[fall]\nconfirm_s = true", 2, "got true: expected a number of seconds"),
        (
            "[fall]\nfall_on = nan",
            2,
            "got nan: expected a share 0..1, or leave it out: write for example fall_on = 0.5",
        ),
        ("[fall]\nstill_down_s = 0", 2, "got 0: expected a number of seconds 0.1..86400"),
        ("[unit]\nid = 'Mrs Miller'", 2, "expected 1 to 64 letters, digits, _ or - in quotes"),
        ("[camera]\nmask = [[[0, 0], [1, 1]]]", 2, "a polygon of the privacy mask needs at least 3 points"),
        ("[camera]\nmask = [[[0, 0], [1, 1], [7, 0]]]", 2, "camera.mask[0][2][0]: got 7"),
        ('[inactivity]\nhours = ["8-9"]', 2, '"8-9" is no span of hours: write for example hours = ["07:30-21:00"]'),
        ("[fall]\nconfirm_s = 100", 1, "confirm_s, still_down_s, very_long_s and long_lie_s must rise in this order"),
        ("[mqtt]\ntls = true\ncert_file = 'a'", 1, "cert_file and key_file belong together"),
        ("fall.confirm_s = -1", 1, "fall.confirm_s: got -1"),
        ("[unit]\nid 5", 2, "not valid TOML: "),
        ("[[cameras]]\nid='a'\nroom='r'", 1, 'cameras[0].source: is missing: write for example source = "/dev/video2"'),
        ("[cameras]\nid='a'", 1, "expected a camera: write [[cameras]] on a line of its own"),
        ("cameras = [1]", 1, "cameras[0]: got 1: expected a camera"),
        (f"{ONE_CAMERA}wdith = 640", 5, "cameras[0].wdith: unknown key in section [cameras]: did you mean width?"),
        (f"{ONE_CAMERA}[cameras.fall]\nconfirm_s = 'x'", 6, 'cameras[0].fall.confirm_s: got "x": expected a number'),
        (f"{ONE_CAMERA}[cameras.fall]\nconfirm_s = 100", 5, "must rise in this order"),
        (ONE_CAMERA * 33, 1, "at most 32 items"),
        ("[fall]\nconfirm_s = 1\nconfirm_s = 2", 3, "this key stands twice in one section"),
    ],
)
def test_each_mistake_has_its_sentence(text: str, line: int, said: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith(f"unit.toml:{line}: ")
    assert said in problem


def test_several_mistakes_are_all_said_in_the_order_of_the_file() -> None:
    found = problems('[mqtt]\nport = 0\n[fall]\nconfrim_s = 1\n[unit]\nid = "a b"\n')
    assert [problem.split(": ")[0] for problem in found] == ["unit.toml:2", "unit.toml:4", "unit.toml:6"]


@pytest.mark.parametrize("text", ["x=" + "[" * 5000, "x = 0x" + "f" * 6000, "x = " + "9" * 6000])
def test_a_hostile_file_is_refused_in_one_sentence(text: str) -> None:
    (problem,) = problems(text)
    assert len(problem) < 200


def test_a_password_in_an_address_is_not_repeated() -> None:
    (problem,) = problems('[camera]\nsource = ["rtsp://user:secret@camera/1"]\n')
    assert "secret" not in problem
    assert "rtsp://***@camera/1" in problem


def test_files_that_are_no_settings(tmp_path: Path) -> None:
    latin, large, utf16 = tmp_path / "latin.toml", tmp_path / "large.toml", tmp_path / "utf16.toml"
    latin.write_bytes('[unit]\n# Pflegeheim Süd\nid = "a"\n'.encode("latin-1"))
    large.write_bytes(b"#" * 1_000_001)
    utf16.write_bytes("[unit]".encode("utf-16"))
    for path, said in [
        (latin, ":2: byte 0xfc is not UTF-8: save the file as UTF-8"),
        (utf16, ":1: byte 0xff is not UTF-8"),
        (large, ": larger than 1000000 bytes"),
        (tmp_path, ": cannot be read: Is a directory"),
        (tmp_path / "none.toml", ": no such file: copy deploy/unit.example.toml"),
        (tmp_path / ("x" * 300), ": cannot be read: File name too long"),
        (Path("unit\0.toml"), ": cannot be read: embedded null byte"),
    ]:
        with pytest.raises(SettingsError) as refused:
            read_settings(path)
        assert f"{path}{said}" in str(refused.value)


def test_a_byte_order_mark_and_an_empty_file_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "unit.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_settings(path).unit.id == "unit-7"
    path.write_bytes(b"")
    assert read_settings(path) == Settings()


def test_two_thousand_spoilt_files_raise_nothing_but_settings_error(tmp_path: Path) -> None:
    dice = random.Random(20261124)
    good = EXAMPLE.read_bytes()
    path = tmp_path / "unit.toml"
    refused = 0
    for _ in range(2000):
        path.write_bytes(spoilt(good, dice))
        found = problems_of(path)
        refused += bool(found)
        assert all(problem.startswith(str(path)) for problem in found)
    assert refused > 500, "the mutations are too tame to prove anything"


def problems_of(path: Path) -> tuple[str, ...]:
    try:
        read_settings(path)
    except SettingsError as error:
        return error.problems
    return ()


def spoilt(good: bytes, dice: random.Random) -> bytes:
    text = bytearray(good)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(max(1, len(text) - 1))
        match dice.randrange(5):
            case 0:
                text[at] = dice.randrange(256)
            case 1:
                del text[max(2, at) : at + dice.randint(1, 40)]
            case 2:
                text[at:at] = bytes(dice.choice(b"[]{}=.\"'\n#,-+0159aEx_\\ \0\xff") for _ in range(dice.randint(1, 6)))
            case 3:
                other = dice.randrange(len(text))
                text[at:at] = text[other : other + dice.randint(1, 80)]
            case _:
                del text[max(2, at) :]
    return bytes(text)


class TestLastGood:
    """The unit goes on watching with what it had."""

    def test_a_good_file_is_kept_and_steps_in_for_a_broken_one(self, tmp_path: Path) -> None:
        path, state = tmp_path / "unit.toml", tmp_path / "state"
        path.write_text(GOOD)
        settings, problem = load_or_last_good(path, state)
        assert (settings.fall.confirm_s, problem) == (4, None)
        path.write_text(GOOD.replace("confirm_s", "confrim_s"))
        settings, problem = load_or_last_good(path, state)
        assert settings.fall.confirm_s == 4
        assert problem is not None
        assert "did you mean confirm_s?" in problem
        assert "the last good settings are in force" in problem

    def test_a_deleted_file_does_not_stop_the_watch(self, tmp_path: Path) -> None:
        path, state = tmp_path / "unit.toml", tmp_path / "state"
        path.write_text(GOOD)
        load_or_last_good(path, state)
        path.unlink()
        settings, problem = load_or_last_good(path, state)
        assert settings.unit.id == "unit-7"
        assert problem is not None
        assert "no such file" in problem

    def test_a_corrected_file_becomes_the_last_good_one(self, tmp_path: Path) -> None:
        path, state = tmp_path / "unit.toml", tmp_path / "state"
        for text in (GOOD, GOOD.replace("4", "6"), "broken"):
            path.write_text(text)
            settings, _ = load_or_last_good(path, state)
        assert settings.fall.confirm_s == 6
        assert list(last_good_path(path, state).parent.iterdir()) == [last_good_path(path, state)]

    def test_the_first_file_ever_must_be_good(self, tmp_path: Path) -> None:
        path = tmp_path / "unit.toml"
        path.write_text("broken")
        with pytest.raises(SettingsError, match=r"unit.toml:1: not valid TOML"):
            load_or_last_good(path, tmp_path / "state")

    def test_another_files_settings_never_step_in(self, tmp_path: Path) -> None:
        one, two, state = tmp_path / "one.toml", tmp_path / "two.toml", tmp_path / "state"
        one.write_text(GOOD)
        two.write_text("broken")
        load_or_last_good(one, state)
        with pytest.raises(SettingsError):
            load_or_last_good(two, state)

    def test_a_kept_file_that_no_longer_reads_is_said_too(self, tmp_path: Path) -> None:
        path, state = tmp_path / "unit.toml", tmp_path / "state"
        path.write_text(GOOD)
        load_or_last_good(path, state)
        path.write_text("[unit]\nid = 5\n")
        last_good_path(path, state).write_text("[gone]\n")
        with pytest.raises(SettingsError, match=r"(?s)unit.id.*last good settings cannot be used either.*gone"):
            load_or_last_good(path, state)

    def test_a_state_folder_that_cannot_be_written_is_a_problem_and_no_stop(self, tmp_path: Path) -> None:
        path, state = tmp_path / "unit.toml", tmp_path / "state"
        path.write_text(GOOD)
        state.write_text("a file where the folder should be")
        settings, problem = load_or_last_good(path, state)
        assert settings.unit.id == "unit-7"
        assert problem is not None
        assert "could not be kept" in problem

    def test_only_the_unit_may_read_what_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "unit.toml"
        path.write_text(GOOD)
        load_or_last_good(path, tmp_path / "state")
        assert stat.S_IMODE(last_good_path(path, tmp_path / "state").stat().st_mode) == 0o600


def test_the_fingerprint_follows_the_values_and_not_the_spelling() -> None:
    one = parse_settings("[fall]\nconfirm_s = 5\n", "one")
    assert settings_sha256(one) == settings_sha256(Settings())
    assert settings_sha256(one) != settings_sha256(parse_settings("[fall]\nconfirm_s = 5.5\n", "two"))
    assert len(settings_sha256(one)) == 64


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, keys in sections().items() for key in keys])
def test_every_setting_has_a_sentence_and_its_example_is_accepted(section: str, key: str) -> None:
    assert len(sections()[section][key].get("description", "")) > 10
    assert expectation(section, key)
    needed = [
        example(section, other) for other in sections()[section] if other != key and must_be_given(section, other)
    ]
    parse_settings("\n".join((heading(section), example(section, key), *needed)), "example")


def test_the_page_of_settings_is_current() -> None:
    page = REPO / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == docs_page(), "run: python -m device.settings_file --docs"


def test_the_page_is_written_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--docs", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == docs_page()
    assert main(["--docs", str(tmp_path / "none" / "page.md")]) == 2
    assert "cannot be written" in capsys.readouterr().err


class TestExample:
    """deploy/unit.example.toml is what an installer starts from."""

    def test_it_is_valid(self) -> None:
        assert read_settings(EXAMPLE).unit.site == "home"

    def test_it_shows_every_section_and_every_key_with_its_bounds(self) -> None:
        text = EXAMPLE.read_text(encoding="utf-8")
        for section, keys in sections().items():
            if section == "cameras":
                continue  # shown indented, beside [camera], whose keys it shares
            assert f"\n[{section}]\n" in text
            part = "\n" + text.split(f"\n[{section}]\n")[1].split("\n[")[0]
            assert [key for key in keys if f"\n{key} = " not in part and f"\n# {key} = " not in part] == []

    def test_its_commented_lines_are_valid_too(self) -> None:
        lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
        known = {key for keys in sections().values() for key in keys}
        opened = [line[2:] if line[2:].split(" = ")[0] in known else line for line in lines]
        parse_settings("\n".join(opened), "opened example")

    def test_its_several_cameras_are_valid_too(self) -> None:
        lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
        (view,) = parse_settings("\n".join(line[4:] for line in lines if line.startswith("#   ")), "example").views()
        assert (view.unit.room, view.inactivity.minutes) == ("room-1", 120)


class TestCameras:
    """Several cameras: each sees the settings as if it were the only one."""

    TEXT = (
        "[unit]\nroom = 'corridor'\n[fall]\nconfirm_s = 4\n[inactivity]\nminutes = 60\nmoving = 0.1\n"
        "[[cameras]]\nid = 'a'\nroom = 'r1'\nsource = 'a.mp4'\n[cameras.inactivity]\nminutes = 0\n"
        "[[cameras]]\nid = 'b'\nroom = 'r2'\nsource = 'b.mp4'\nmask = [[[0, 0], [1, 0], [1, 1]]]\n"
        "[cameras.recorder]\nenabled = false\n"
    )

    def test_each_has_its_room_its_source_and_what_it_alone_was_told(self) -> None:
        a, b = parse_settings(self.TEXT, "unit.toml").views()
        assert (a.unit.room, a.camera.id, a.camera.source, a.camera.mask) == ("r1", "a", "a.mp4", [])
        assert (b.unit.room, b.camera.id, len(b.camera.mask)) == ("r2", "b", 1)
        assert (a.recorder.enabled, b.recorder.enabled) == (True, False)
        assert a.unit.id == b.unit.id
        assert a.cameras == b.cameras == []

    def test_a_key_left_out_of_a_cameras_own_section_is_the_units_and_not_the_default(self) -> None:
        a, b = parse_settings(self.TEXT, "unit.toml").views()
        assert (a.inactivity.minutes, a.inactivity.moving) == (0, 0.1)
        assert (b.inactivity.minutes, b.inactivity.moving) == (60, 0.1)
        assert a.fall.confirm_s == b.fall.confirm_s == 4

    def test_a_single_camera_is_the_view_of_the_unit_itself(self) -> None:
        settings = Settings()
        assert settings.views() == (settings,)

    def test_the_second_of_two_is_named_with_its_line(self) -> None:
        (problem,) = problems(self.TEXT.replace("enabled = false", "enabled = 'no'"))
        assert problem.startswith('unit.toml:20: cameras[1].recorder.enabled: got "no": expected true or false')

    def test_cameras_that_cannot_be_told_apart_are_refused(self) -> None:
        assert "write every camera as a [[cameras]]" in problems(f"{ONE_CAMERA}[camera]\nid = 'b'")[0]
        assert 'two cameras are called "a": give each [[cameras]] an id' in problems(ONE_CAMERA + ONE_CAMERA)[0]

    def test_a_password_of_one_is_not_repeated(self) -> None:
        text = "[[cameras]]\nid = 'a'\nsource = 'rtsp://nurse:geheim@camera/1'\nroom = 'Mrs Miller'\n[cameras]\nx = 1\n"
        assert "geheim" not in "".join(problems(text))
