"""The gate of a bundle: what is the same passes, what was damaged on the way to int8 is refused and the reason said."""

from __future__ import annotations

import copy
import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import flatbuffers
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema

from device.card import CARD_FILE, TFLITE_FILE, Thresholds, read_card, shipped_bundle
from device.cli import main
from device.labels import FALLING, FLOOR, INDEX, LABELS
from device.preprocess import Differencer, Raster
from device.runner import ONNX_FILE, ONNX_FLOAT_FILE, ONNX_TENSORRT_FILE, SIGNATURE
from quantize.bundle import write_card
from quantize.parity import gate, measures
from quantize.parity.footage import Reference, joined
from training import checkpoint as store
from training.checkpoint import Checkpoint
from training.footage import Footage
from training.metrics import FallTime
from training.networks import NetworkConfig, build

FALL = "demo__night_fall"
"""The one reference fall that there is on every machine: the film that comes with the package."""

Edit = Callable[[Any], None]


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with no real clips beside it, whatever this machine has."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def bundle(alone: Path) -> Path:
    return Path(shutil.copytree(shipped_bundle(), alone / "bundle"))


def said_again(bundle: Path) -> None:
    """The card with the hashes of the files as they are now: nothing but the gate can tell that they were changed."""
    with (bundle / CARD_FILE).open("rb") as file:
        card = tomllib.load(file)
    del card["files"]
    write_card(bundle, card)


def edited(bundle: Path, edit: Edit) -> None:
    """The unit's model after an edit of its flatbuffer, resealed."""
    path = bundle / TFLITE_FILE
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    edit(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    said_again(bundle)


def untie(model: Any) -> None:
    """One state comes out at another scale than it goes in, by way of a requantizer, as careless tools leave them."""
    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    assert signature.signatureKey.decode() == SIGNATURE
    (way_out,) = (one for one in signature.outputs if one.name == b"next_03")
    tied = way_out.tensorIndex
    untied = copy.deepcopy(graph.tensors[tied])
    untied.name, untied.quantization.scale = b"untied", untied.quantization.scale * np.float32(1.19)
    untied.buffer = len(model.buffers)
    model.buffers.append(schema.BufferT())
    graph.tensors.append(untied)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 1
    model.operatorCodes.append(code)
    requantizer = schema.OperatorT()
    requantizer.opcodeIndex = len(model.operatorCodes) - 1
    requantizer.inputs, requantizer.outputs = [tied], [len(graph.tensors) - 1]
    graph.operators.append(requantizer)
    way_out.tensorIndex = len(graph.tensors) - 1
    graph.outputs = [way_out.tensorIndex if index == tied else index for index in graph.outputs]


def spoil(model: Any) -> None:
    """The weights of one convolution, the largest, lose their signs."""
    tensors = [one for one in model.subgraphs[0].tensors if one.type == schema.TensorType.INT8]
    largest = max(
        tensors, key=lambda one: 0 if model.buffers[one.buffer].data is None else len(model.buffers[one.buffer].data)
    )
    weights = np.asarray(model.buffers[largest.buffer].data).view(np.int8)
    model.buffers[largest.buffer].data = np.abs(weights.clip(-127, 127)).view(np.uint8)


def parity(*words: str) -> int:
    return main(["parity", *words])


def test_the_shipped_bundle_passes_and_what_was_seen_is_written(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parity("--hours", "0.01", "--out", "out") == 0
    said = capsys.readouterr()
    assert "PASSED: r2plus1d-s-" in said.out
    assert "all int8: 6 ADD" in said.out, "the list of operators"
    assert "LiteRT int8: none lost (0 suspected, 1 confirmed)" in said.out
    assert "REAL CLIPS ABSENT" in said.err, "what it does not prove is said loudly"
    written = json.loads((alone / "out" / "parity.json").read_text())
    assert written["passed"] is True
    assert written["real_clips"] is False
    by_name = {form["name"]: form for form in written["forms"]}
    assert written["reference"] == "ONNX float"
    assert 0.0 < by_name["LiteRT int8"]["clips"]["p99"] <= gate.P99_BAR
    assert by_name["LiteRT int8"]["stream"]["steps"] == 360
    picture = cv2.imread(str(alone / "out" / "parity.png"))
    assert picture is not None
    assert picture.std() > 10.0, "something is drawn on it"


def test_an_untied_state_is_refused(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited(bundle, untie)
    assert parity(str(bundle), "--hours", "0") == 1
    assert "REFUSED: " in (said := capsys.readouterr().out)
    assert "state_03 is not tied" in said
    assert parity(str(bundle), "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"] is False
    assert "state_03 is not tied" in answer["refused"]


def test_a_spoilt_weight_behind_a_right_hash_is_refused_and_the_lost_fall_named(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited(bundle, spoil)
    assert read_card(bundle), "its hashes are right"
    assert parity(str(bundle), "--hours", "0", "--out", "json", "--json") == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False
    assert parity(str(bundle), "--hours", "0", "--out", "out") == 1
    verdict = capsys.readouterr().out.partition("REFUSED: ")[2]
    assert f"LiteRT int8: LOST against float: {FALL} (confirmed)" in verdict
    assert "LiteRT int8, clips: 99th percentile of |dp|" in verdict
    assert "ONNX int8" not in verdict, "the file that was left alone keeps its good name"
    assert json.loads(Path("out/parity.json").read_text())["passed"] is False


def test_a_checkpoint_of_another_network_is_told_from_the_bundles(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The float files must be the checkpoint's own, to rounding: then int8 is held against the right network."""
    torch.manual_seed(1)
    network = build(NetworkConfig())
    store.save(Checkpoint(network.config, network.state_dict(), {}, 1), alone / "other.pt")
    assert parity("--checkpoint", "other.pt", "--hours", "0", "--out", "out") == 1
    verdict = capsys.readouterr().out.partition("REFUSED: ")[2]
    assert "ONNX float, clips: 99th percentile of |dp|" in verdict
    assert "torch, as evaluated" not in verdict, "windows at once and step by step are one network"


def test_a_file_that_tensorrt_would_refuse_is_refused(bundle: Path) -> None:
    shutil.copy(bundle / ONNX_FILE, bundle / ONNX_TENSORRT_FILE)
    said_again(bundle)
    refused = gate.refusals(gate.of_files(bundle, read_card(bundle)))
    assert [one.what for one in refused] == ["TensorRT"]
    assert "TensorRT takes" in refused[0].said
    assert gate.only_about_twins(refused) == (ONNX_TENSORRT_FILE,), "it may be shipped without"
    unit = gate.Finding("falls", False, "lost", TFLITE_FILE)
    assert gate.only_about_twins([*refused, unit]) == ()


def test_a_bundle_without_a_float_network_proves_nothing(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / ONNX_FLOAT_FILE).unlink()
    said_again(bundle)
    assert parity(str(bundle), "--hours", "0") == 1
    assert "no float network to compare with; name the checkpoint" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (["nowhere"], "REFUSED: nowhere: no card.toml there", 1),
        (["--hours", "-1"], "outside 0..24", 2),
        (["--hours", "0", "--clips", "nowhere.csv"], "nowhere.csv: cannot be read", 1),
        (["--checkpoint", "nowhere.pt"], "nowhere.pt: no such file", 1),
        (["--hours", "0", "--synth", "."], "no *.npz in it", 1),
    ],
)
@pytest.mark.usefixtures("alone")
def test_what_is_missing_is_said_in_a_sentence(
    words: list[str], says: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parity(*words) == code
    said = capsys.readouterr()
    assert says in said.out + said.err


RASTER = Raster(32, 24, 1, 3)
THRESHOLDS = Thresholds(fall_on=0.5, fall_off=0.25, down_on=0.5, down_off=0.25)


def footage(steps: int, value: int = 0) -> Footage:
    grey = (np.arange(steps)[:, None, None] + np.full((steps, 24, 32), value)).astype(np.uint8)
    return Footage(np.arange(steps) / 10, grey, np.arange(steps) == 0, (32, 24))


def scores(steps: int, falling: slice, floor: slice, level: float = 0.9) -> np.ndarray[Any, np.dtype[np.float32]]:
    said = np.full((steps, len(LABELS)), 0.01, np.float32)
    said[falling, INDEX[FALLING]] = level
    said[floor, INDEX[FLOOR]] = level
    return said


FALLEN = Reference("made", footage(200), FallTime(8.0, 9.0))
SEEN = scores(200, slice(80, 90), slice(90, 200))
LEVEL_TOO_LOW = scores(200, slice(80, 90), slice(90, 200), 0.45)


def test_a_fall_is_lost_where_float_tells_it_and_the_other_does_not() -> None:
    truth, same, late, less = (
        measures.told(FALLEN, said, THRESHOLDS, 10)
        for said in (SEEN, SEEN, scores(200, slice(83, 93), slice(93, 200)), LEVEL_TOO_LOW)
    )
    assert truth.answered.keys() == {"suspected", "confirmed"}
    assert measures.falls([FALLEN], [truth], [same]).lost == ()
    lost = measures.falls([FALLEN], [truth], [less])
    assert lost.lost == (measures.Change("made", "suspected"), measures.Change("made", "confirmed"))
    assert measures.counted(lost.lost) == "made (suspected, confirmed)"
    assert measures.falls([FALLEN], [less], [truth]).won == lost.lost
    assert measures.falls([FALLEN], [truth], [late]).moved_s == pytest.approx(0.3, abs=0.11)


def test_an_incident_long_before_the_fall_does_not_answer_it() -> None:
    late = Reference("late", footage(400), FallTime(35.0, 36.0))
    assert measures.told(late, scores(400, slice(80, 90), slice(90, 200)), THRESHOLDS, 10).answered == {}


def test_what_everyday_clips_tell_is_counted_unless_it_is_on_purpose() -> None:
    everyday = [Reference("chair", footage(200), None), Reference("yoga", footage(200), None, on_floor=True)]
    said = [measures.told(one, SEEN, THRESHOLDS, 10) for one in everyday]
    assert measures.falls(everyday, said, said).everyday == {"suspected": 1, "confirmed": 1}


def test_drift_compares_the_same_pictures_at_both_ends() -> None:
    truth = np.zeros((60, len(LABELS)), np.float32)
    steady, growing = truth + np.float32(0.02), truth + np.linspace(0.0, 0.06, 60, dtype=np.float32)[:, None]
    assert measures.drift(truth, steady, 10, 3).grown == 0.0
    found = measures.drift(truth, growing, 10, 3)
    assert found.first == pytest.approx(0.009, abs=0.001)
    assert found.last == pytest.approx(0.06, abs=0.001)
    assert found.echo == pytest.approx(0.05, abs=0.002)
    assert gate._drifted("x", found).ok is False
    assert gate._drifted("x", measures.drift(truth, steady, 10, 3)).ok is True


def test_the_stream_ends_as_it_began_and_cuts_are_not_resets() -> None:
    clips = [Reference(str(n), footage(40, 50 * n), None) for n in range(4)]
    stream = joined(clips, 1 / 60)
    assert (len(stream), stream.block) == (600, 100)
    inputs = np.stack(list(stream.inputs(RASTER)))
    assert inputs.shape == (600, 24, 32, 3)
    np.testing.assert_array_equal(inputs[:100, ..., 0], inputs[-100:, ..., 0])
    expected = Differencer(RASTER)
    whole = np.concatenate(stream.pieces)
    np.testing.assert_array_equal(inputs, np.stack([expected.step(grey) for grey in whole]))
    again = joined(clips, 1 / 60)
    np.testing.assert_array_equal(whole, np.concatenate(again.pieces))
