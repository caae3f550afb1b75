"""From network to bundle: states tied, picture pinned, nothing left in float, written whole or not at all."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch
from numpy.typing import NDArray

from device.card import CARD_FILE, TFLITE_FILE, BundleError, Result, Source, Thresholds, read_card
from device.errors import UsageError
from device.labels import FALLING, FLOOR, INDEX
from device.preprocess import Raster
from device.runner import ONNX_FILE, ONNX_FLOAT_FILE, ONNX_TENSORRT_FILE, Int8Step, OnnxStep, open_runner
from device.seal import check_seal
from quantize import bundle as bundle_module
from quantize import cli, int8, onnx_int8
from quantize.about import About, read_about
from quantize.agreement import compare, compare_runs, run, run_step
from quantize.bundle import RUNTIMES, TFLITE_FLOAT_FILE, Made, Pictures, make_bundle, say_again
from quantize.export import step_of, to_tflite
from quantize.footage import one_stream
from quantize.onnx import write_float
from quantize.signing import keygen
from quantize.steppers import FloatStep, Stepper
from quantize.thresholds import candidates, choose, outcome
from training import checkpoint as store
from training.checkpoint import Checkpoint
from training.index import Clip
from training.judged import UNSEEN, Scored
from training.networks import BlockConfig, FallNetwork, NetworkConfig, Step, build
from training.synth import clip as clip_file

RASTER = Raster(32, 24, 1, 3)
SHAPE = NetworkConfig(
    raster=RASTER,
    stem=(8, 8),
    blocks=(BlockConfig(8, 2), BlockConfig(12, 2, stride=2), BlockConfig(12, 2, dilation=2)),
    head=16,
    head_dilations=(1, 2, 4, 8),
)
ABOUT = About(
    name="small",
    version="1.2.3",
    licence="Apache-2.0",
    summary="a network small enough for a test",
    thresholds=Thresholds(fall_on=0.5, fall_off=0.25, down_on=0.5, down_off=0.25),
    limits=("it has learned nothing",),
    data=(Source(name="noise", licence="CC0", use="calibration"),),
    results=(Result(protocol="none", footage="none", falls=0, windows=0, auc=0.5),),
)


@pytest.fixture(scope="module")
def windows() -> list[NDArray[np.uint8]]:
    """Smooth moving patterns: unlike noise, they excite a network the way pictures do."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(6):
        coarse = rng.random((50, 4, 5, 3)).cumsum(axis=0)
        fine = np.kron(coarse - coarse.min(), np.ones((1, 6, 7, 1)))[:, :24, :32]
        made.append(np.asarray(255 * fine / fine.max(), np.uint8))
    return made


@pytest.fixture(scope="module")
def network(windows: list[NDArray[np.uint8]]) -> FallNetwork:
    """Random weights, with the norms' statistics taken from the windows so that nothing saturates."""
    torch.set_num_threads(1)
    torch.manual_seed(11)
    network = build(SHAPE)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
    with torch.no_grad():
        network.train().window(torch.from_numpy(np.stack(windows)).permute(0, 1, 4, 2, 3).float() / 255)
    return network.eval()


@pytest.fixture(scope="module")
def step(network: FallNetwork) -> Step:
    return step_of(network)


@pytest.fixture(scope="module")
def float_model(step: Step) -> bytes:
    return to_tflite(step)


@pytest.fixture(scope="module")
def calibration(float_model: bytes, windows: list[NDArray[np.uint8]]) -> int8.Calibration:
    return int8.calibrate(float_model, windows[2:])


@pytest.fixture(scope="module")
def made(
    network: FallNetwork,
    float_model: bytes,
    windows: list[NDArray[np.uint8]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    out = tmp_path_factory.mktemp("bundles") / "small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_module, "to_tflite", lambda _: float_model)
        return make_bundle(network, ABOUT, Pictures(windows[2:], windows[:2]), out, lambda _: None)


def test_calibration_streams_states_from_zero(calibration: int8.Calibration) -> None:
    assert (calibration.clips, calibration.steps) == (4, 200)
    state = calibration.highs["step_state_00"]
    assert state.shape == (200,)
    np.testing.assert_array_equal(state[::50], 0.0)
    assert state[1:50].min() > 0.0
    np.testing.assert_array_equal(state[1:50], calibration.highs["step_next_00_output"][:49])


def test_calibration_on_nothing_is_refused(float_model: bytes) -> None:
    with pytest.raises(int8.QuantizationError, match="no footage to calibrate on"):
        int8.calibrate(float_model, [])


def test_methods_by_hand() -> None:
    values = np.asarray([1.0, 2.0, 11.0], np.float32)
    assert int8.min_max(values, highest=True) == 11.0
    assert int8.min_max(values, highest=False) == 1.0
    assert int8.moving_average(values, highest=True) == pytest.approx(0.95 * (0.95 * 1 + 0.05 * 2) + 0.05 * 11)
    assert int8.percentile(np.arange(101, dtype=np.float32), highest=True) == pytest.approx(99.0)
    assert int8.percentile(np.arange(101, dtype=np.float32), highest=False) == pytest.approx(1.0)
    thousand = np.arange(1001, dtype=np.float32)
    assert int8.METHODS["percentile-99.9"](thousand, highest=True) == pytest.approx(999.0)
    assert int8.METHODS["percentile-99.99"](thousand, highest=False) == pytest.approx(0.1)


def test_groups_hold_each_state_with_what_it_is_made_of(float_model: bytes) -> None:
    groups = int8.tie_groups(float_model)
    for index in range(len(SHAPE.blocks) + len(SHAPE.head_dilations)):
        (home,) = (group for group in groups if f"step_state_{index:02d}" in group)
        assert f"step_next_{index:02d}_output" in home
        assert len(home) >= 4, "the new frame and the joined timeline belong there too"


def test_ranges_of_a_group_are_the_widest_and_the_picture_is_pinned() -> None:
    seen = int8.Calibration(
        lows={
            "a": np.asarray([-1, -2], np.float32),
            "b": np.asarray([0, 0], np.float32),
            int8.picture_name(): np.asarray([0.1, 0.2], np.float32),
        },
        highs={
            "a": np.asarray([3, 1], np.float32),
            "b": np.asarray([7, 1], np.float32),
            int8.picture_name(): np.asarray([0.8, 0.9], np.float32),
        },
        steps=2,
        clips=1,
    )
    spans = int8.ranges(seen, [frozenset(("a", "b", "not calibrated"))], "min-max")
    assert spans == {"a": (-2.0, 7.0), "b": (-2.0, 7.0), int8.picture_name(): (0.0, 1.0)}


@pytest.mark.parametrize("method", list(int8.METHODS))
def test_tied_ranges_give_full_int8_with_states_that_come_back(
    float_model: bytes, calibration: int8.Calibration, method: str
) -> None:
    model = int8.quantize(float_model, int8.ranges(calibration, int8.tie_groups(float_model), method))
    counts = int8.check_full_int8(model)
    assert counts["DEPTHWISE_CONV_2D"] >= len(SHAPE.blocks)
    step = Int8Step(model)
    assert len(step.loops) == 7
    for loop in step.loops:
        assert (loop.state.scale, loop.state.zero_point) == (loop.following.scale, loop.following.zero_point)


def test_untied_ranges_are_caught(float_model: bytes, calibration: int8.Calibration) -> None:
    """What the quantizer's defaults give: the same footage, the moving average, nothing tied."""
    model = int8.quantize(float_model, int8.ranges(calibration, [], "moving-average"))
    with pytest.raises(int8.QuantizationError, match="QUANTIZE operators are left"):
        int8.check_full_int8(model)
    with pytest.raises(BundleError, match="is not tied"):
        Int8Step(model)


def test_a_float_model_is_not_full_int8(float_model: bytes) -> None:
    with pytest.raises(int8.QuantizationError, match="still works in FLOAT32"):
        int8.check_full_int8(float_model)


def test_a_bundle_opens_and_says_what_was_measured(made: Made) -> None:
    card = read_card(made.path)
    assert set(card.files) == {TFLITE_FILE, TFLITE_FLOAT_FILE, ONNX_FILE, ONNX_TENSORRT_FILE, ONNX_FLOAT_FILE}
    assert card.runtimes == RUNTIMES
    assert card.runtimes.keys() == card.files.keys(), "of every file the card says which runtime takes it"
    assert card.model_id.startswith("small-1.2.3-")
    assert card.input.raster() == RASTER
    assert card.look_back_s == pytest.approx(SHAPE.look_back_steps / 10)
    assert card.quantization["method"] in int8.METHODS
    assert card.quantization["calibration_steps"] == 200
    assert card.results == ABOUT.results
    assert [state.name for state in card.states] == [f"state_{index:02d}" for index in range(7)]
    assert open_runner(made.path).step(np.zeros((24, 32, 3), np.uint8)).sum() == pytest.approx(1.0)


def test_the_method_of_each_file_is_the_one_that_agrees_best_and_the_card_has_the_table(made: Made) -> None:
    assert made.choices.keys() == {TFLITE_FILE, ONNX_FILE, ONNX_TENSORRT_FILE}
    for file, choice in made.choices.items():
        assert choice.by_method.keys() == int8.METHODS.keys()
        assert choice.agreement.order == min(found.order for found in choice.by_method.values())
        tried = [trial for trial in made.card.trials if trial.file == file]
        assert [trial.method for trial in tried] == list(int8.METHODS)
        assert [trial.method for trial in tried if trial.chosen] == [choice.method]
        (chosen,) = (trial for trial in tried if trial.chosen)
        assert chosen.difference_p99 == pytest.approx(choice.agreement.p99, abs=1e-4)


def test_int8_follows_float_by_its_states(
    made: Made, network: FallNetwork, step: Step, windows: list[NDArray[np.uint8]]
) -> None:
    """Held against the same model without its past, so that a loop that is not closed would show."""
    stream = one_stream(windows)
    found = compare(network, made.path, [stream])
    forgetful = Int8Step((made.path / TFLITE_FILE).read_bytes())
    blank = []
    for picture in stream:
        forgetful.reset()
        blank.append(forgetful.step(picture))
    without = compare_runs(run_step(step, [stream]), [np.stack(blank)])
    assert found.steps == without.steps == 300
    assert found.p50 < 0.5 * without.p50
    assert found.p99 < 0.5 * without.p99
    assert found.argmax > without.argmax + 0.2
    assert found.p99_second_half < 1.5 * found.p99_first_half, "differences grow along the stream"


def test_agreement_by_hand() -> None:
    one = [np.asarray([[0.9, 0.1], [0.2, 0.8]], np.float32)]
    other = [np.asarray([[0.8, 0.2], [0.6, 0.4]], np.float32)]
    found = compare_runs(one, other)
    assert (found.steps, found.argmax) == (2, 0.5)
    assert found.p50 == pytest.approx(0.25)
    assert found.largest == pytest.approx(0.4)


def test_every_other_file_answers_like_the_network(made: Made, step: Step, windows: list[NDArray[np.uint8]]) -> None:
    (truth,) = run_step(step, windows[:1])
    opened = {name: OnnxStep((made.path / name).read_bytes()) for name in RUNTIMES if name.endswith(".onnx")}
    steppers: dict[str, Stepper] = {
        TFLITE_FLOAT_FILE: FloatStep((made.path / TFLITE_FLOAT_FILE).read_bytes()),
        **opened,
    }
    medians = {}
    for name, stepper in steppers.items():
        (found,) = run(stepper, windows[:1])
        medians[name] = float(np.median(np.abs(found - truth)))
    assert max(medians[TFLITE_FLOAT_FILE], medians[ONNX_FLOAT_FILE]) < 1e-5
    # Random weights, rounded, stray further than trained ones.
    assert max(medians[ONNX_FILE], medians[ONNX_TENSORRT_FILE]) < 0.1


@pytest.fixture(scope="module")
def float_onnx(step: Step, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "float.onnx"
    write_float(step, path)
    return path


@pytest.fixture(scope="module")
def onnx_calibration(float_onnx: Path, windows: list[NDArray[np.uint8]]) -> int8.Calibration:
    return onnx_int8.calibrate(float_onnx, windows[2:])


def test_onnx_calibration_streams_states_from_zero(onnx_calibration: int8.Calibration) -> None:
    assert (onnx_calibration.clips, onnx_calibration.steps) == (4, 200)
    state = onnx_calibration.highs["state_00"]
    np.testing.assert_array_equal(state[::50], 0.0)
    assert state[1:50].min() > 0.0
    np.testing.assert_array_equal(state[1:50], onnx_calibration.highs["next_00"][:49])


def test_the_file_for_tensorrt_keeps_its_rules_and_the_one_for_the_cpu_would_not(
    float_onnx: Path, onnx_calibration: int8.Calibration
) -> None:
    spans = int8.spans_by(onnx_calibration, "min-max")
    onnx_int8.check_tensorrt(onnx_int8.quantize(float_onnx, spans, onnx_int8.TENSORRT))
    with pytest.raises(int8.QuantizationError, match="TensorRT takes"):
        onnx_int8.check_tensorrt(onnx_int8.quantize(float_onnx, spans, onnx_int8.CPU))
    with pytest.raises(int8.QuantizationError, match="nothing in the ONNX file for TensorRT is quantized"):
        onnx_int8.check_tensorrt(float_onnx.read_bytes())


@pytest.mark.parametrize(
    ("option", "says"),
    [("ActivationSymmetric", "TensorRT takes 0 alone"), ("QuantizeBias", "TensorRT takes biases in float")],
)
def test_each_rule_of_tensorrt_is_caught_by_itself(
    float_onnx: Path, onnx_calibration: int8.Calibration, option: str, says: str
) -> None:
    broken = onnx_int8.Scheme({**onnx_int8.TENSORRT.options, option: option == "QuantizeBias"}, ("Conv",))
    model = onnx_int8.quantize(float_onnx, int8.spans_by(onnx_calibration, "min-max"), broken)
    with pytest.raises(int8.QuantizationError, match=says):
        onnx_int8.check_tensorrt(model)


@pytest.fixture
def exported(float_model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The float model made once for the module stands for exporting it again."""
    monkeypatch.setattr(bundle_module, "to_tflite", lambda _: float_model)


@pytest.mark.usefixtures("exported")
def test_a_bundle_in_the_way_is_replaced_whole(
    network: FallNetwork, windows: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "old").write_text("from before")
    make_bundle(network, ABOUT, Pictures(windows[2:3], windows[:1]), out, lambda _: None)
    assert read_card(out).name == "small"
    assert not (out / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.usefixtures("exported")
def test_nothing_is_left_of_a_bundle_that_failed(
    network: FallNetwork, windows: list[NDArray[np.uint8]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_module, "open_runner", lambda _: (_ for _ in ()).throw(BundleError("does not open")))
    with pytest.raises(BundleError, match="does not open"):
        make_bundle(network, ABOUT, Pictures(windows[2:3], windows[:1]), tmp_path / "bundle", lambda _: None)
    assert not list(tmp_path.iterdir())


def test_a_model_over_the_budget_is_refused(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "MAX_BYTES", 1000)
    with pytest.raises(int8.QuantizationError, match="the budget is 1000"):
        int8.check_full_int8((made.path / TFLITE_FILE).read_bytes())


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(given)


def test_the_command_makes_a_bundle_from_a_checkpoint_and_what_it_was_trained_on(
    network: FallNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = keygen(tmp_path / "site")
    trained = {"synth": str(tmp_path / "synth"), "clips": str(tmp_path / "gone.csv")}
    store.save(Checkpoint(network.config, network.state_dict(), trained, 1), tmp_path / "best.pt")
    rng = np.random.default_rng(5)
    (tmp_path / "synth").mkdir()
    for index in range(3):
        grey = rng.integers(0, 256, (30, 96, 128), dtype=np.uint8)
        label, height = np.zeros(30, np.uint8), np.full((30, 2), np.nan, np.float32)
        meta = {"format": clip_file.FORMAT, "content": [0, 0, 128, 96]}
        clip_file.save_clip(
            clip_file.Clip(grey, np.zeros_like(grey), label, height, meta), tmp_path / "synth" / f"{index}.npz"
        )
    words = (str(tmp_path / "best.pt"), "-o", str(tmp_path / "out"), "--key", str(key.path))
    assert cli.run(arguments(*words)) == 0
    card = read_card(tmp_path / "out")
    assert (card.quantization["calibration_clips"], card.quantization["held_out_clips"]) == (2, 1)
    assert card.name == "own"
    said = capsys.readouterr().out
    assert card.model_id in said
    assert check_seal(tmp_path / "out", [key.public.path]).startswith("signed by")
    assert sum(line.startswith("> ") for line in said.splitlines()) == 3, "one method is marked for each int8 file"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"checkpoint": "nowhere.pt"}, "nowhere.pt: no such file"),
        ({"--about": "nowhere.toml"}, "nowhere.toml: cannot be read"),
        ({"--synth": "."}, "no rendered clips there"),
        ({"--synth": ""}, "too little footage to calibrate on"),
    ],
)
def test_the_command_says_what_is_missing(
    network: FallNetwork, tmp_path: Path, change: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store.save(Checkpoint(network.config, network.state_dict(), {}, 1), tmp_path / "best.pt")
    given = {"--synth": ".", **change}
    checkpoint = given.pop("checkpoint", "best.pt")
    given = {option: value for option, value in given.items() if value}
    with pytest.raises(cli.QuantizeError, match=says):
        cli.run(arguments(checkpoint, "-o", "out", *(part for pair in given.items() for part in pair)))
    assert not (tmp_path / "out").exists()


def about_file(folder: Path, **change: str) -> Path:
    path = folder / "about.toml"
    path.write_text(tomli_w.dumps({**ABOUT.model_dump(exclude_none=True, mode="json"), **change}))
    return path


def test_a_card_is_said_anew_and_the_model_stays(made: Made, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(made.path, tmp_path / "bundle"))
    assert cli.run(arguments(str(bundle), "--about", str(about_file(tmp_path, summary="measured since")))) == 0
    before, after = read_card(made.path), read_card(bundle)
    assert after.summary == "measured since"
    assert after == before.model_copy(update={"summary": "measured since"})
    assert open_runner(bundle).model_id == before.model_id


def test_the_card_of_another_network_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"holds small 1\.2\.3, the text is about small 9\.9\.9"):
        say_again(made.path, read_about(about_file(tmp_path, version="9.9.9")))


def test_a_checkpoint_without_a_place_to_go_is_wrong_use(network: FallNetwork, tmp_path: Path) -> None:
    store.save(Checkpoint(network.config, network.state_dict(), {}, 1), tmp_path / "best.pt")
    with pytest.raises(UsageError, match="-o BUNDLE"):
        cli.run(arguments(str(tmp_path / "best.pt")))


@pytest.mark.parametrize("path", sorted(cli.CARDS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_card_in_the_repository_can_be_read(path: Path) -> None:
    assert read_about(path).limits


@pytest.mark.parametrize(
    ("text", "says"),
    [("name = ", "not valid TOML"), ('name = "x"', "version: Field required"), ('nmae = "x"', "Field required")],
)
def test_a_wrong_about_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "about.toml"
    path.write_text(text)
    with pytest.raises(BundleError, match=says) as caught:
        read_about(path)
    assert str(path) in str(caught.value)


def test_the_cards_hash_covers_the_model(made: Made, tmp_path: Path) -> None:
    text = (made.path / CARD_FILE).read_text()
    assert all(len(digest) == 64 and digest in text for digest in read_card(made.path).files.values())
    assert run(open_runner(made.path), [np.zeros((2, 24, 32, 3), np.uint8)])[0].shape == (2, 7)


def scored(fall: bool, falling: list[float], floor: list[float], on_floor: bool = False) -> Scored:
    """A clip whose P(falling) and P(floor) are given, one value for each second; a fall is from 8 s to 9 s."""
    t = np.arange(10 * len(falling)) / 10
    probabilities = np.zeros((len(t), 7))
    probabilities[:, INDEX[FALLING]] = np.repeat(falling, 10)
    probabilities[:, INDEX[FLOOR]] = np.repeat(floor, 10)
    start, end = (8.0, 9.0) if fall else (None, None)
    clip = Clip(2, "train", "made", Path("made.mp4"), fall, start, end, on_floor, "", "", "CC0")
    return Scored(clip, UNSEEN, None, t, t == 0, probabilities)  # type: ignore[arg-type]


FALLS = scored(True, [0.0] * 8 + [0.65, 0.0, 0.0], [0.0] * 9 + [0.45, 0.45])
"""Falls with an evidence of 0.65 and lies with 0.45; the footage ends two seconds later and the lie is held on."""

BENDS = scored(False, [0.0] * 4 + [0.55] + [0.0] * 8, [0.0] * 13)
"""Suspected below 0.55, never confirmed."""


def pair(fall_on: float, down_on: float) -> Thresholds:
    return next(one for one in candidates() if (one.fall_on, one.down_on) == (fall_on, down_on))


def test_the_policy_itself_judges_a_pair_of_thresholds() -> None:
    found = outcome([FALLS, BENDS, scored(False, [0.9] * 20, [0.9] * 20, on_floor=True)], pair(0.5, 0.4))
    assert (found.falls, found.suspected, found.confirmed) == (1, 1, 1)
    assert (found.everyday_suspected, found.everyday_confirmed) == (1, 0)
    assert outcome([FALLS, BENDS], pair(0.6, 0.4)).everyday_suspected == 0
    assert outcome([FALLS, BENDS], pair(0.6, 0.5)).confirmed == 0
    assert outcome([FALLS, BENDS], pair(0.7, 0.4)).suspected == 0


def test_the_pair_that_confirms_most_and_then_suspects_least_is_chosen() -> None:
    best = choose([outcome([FALLS, BENDS], one) for one in candidates()]).thresholds
    assert (best.fall_on, best.down_on) == (0.6, 0.4)
    with pytest.raises(ValueError, match="no fall or no everyday clip"):
        outcome([BENDS], pair(0.5, 0.5))
