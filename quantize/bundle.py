"""Everything a unit needs of a network, in one folder: int8 and float models, card with the hash of each file.

A bundle appears whole or not at all: it is written beside its place, read back by the unit's own code, and then named.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from device.card import CARD_FILE, TFLITE_FILE, BundleError, Card, read_card, sha256
from device.labels import LABELS
from device.runner import ONNX_FILE, ONNX_FLOAT_FILE, ONNX_TENSORRT_FILE, Int8Step, OnnxStep, open_runner
from device.seal import SIGNATURE_FILE
from quantize import int8, onnx_int8
from quantize.about import About
from quantize.agreement import Agreement, Windows, run_step
from quantize.choice import Choice, HeldOut, Say, choose
from quantize.export import step_of, to_tflite
from quantize.onnx import write_float
from training.footage import STEP_S
from training.networks import FallNetwork, Step, count_macs, count_parameters
from training.written import whole

log = logging.getLogger(__name__)

TFLITE_FLOAT_FILE: Final = "model-fp32.tflite"

RUNTIMES: Final = {
    TFLITE_FILE: "the unit: ai-edge-litert or tflite-runtime; full int8, states fed back raw",
    TFLITE_FLOAT_FILE: "ai-edge-litert, float32: what model.tflite was made from; parity compares with it",
    ONNX_FILE: "ONNX Runtime, CPU provider: int8 QDQ, asymmetric activations, states in float",
    ONNX_TENSORRT_FILE: "TensorRT, int8: QDQ with zero points of 0 and biases in float, states in float",
    ONNX_FLOAT_FILE: "ONNX Runtime, any provider; TensorRT with fp16; what both other ONNX files were made from",
}
"""Which runtime takes which file of a bundle; the card says it too."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """Footage for making a bundle: what the ranges are measured on, and other clips to choose the method by."""

    calibration: Windows
    held_out: Windows


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was written: which method each int8 file was made by, and the operators of the unit's own."""

    path: Path
    card: Card
    choices: dict[str, Choice]
    operators: dict[str, int]

    @property
    def agreement(self) -> Agreement:
        """How well the unit's model agrees with the float network on held-out footage."""
        return self.choices[TFLITE_FILE].agreement


def make_bundle(network: FallNetwork, about: About, pictures: Pictures, out: Path, say: Say) -> Made:
    """Export, quantize, choose each file's calibration method on held-out clips, write the bundle folder `out`.

    Raises QuantizationError where the network does not become full int8, BundleError where the result does not open.
    """
    step, calibration = step_of(network), pictures.calibration
    say(f"float scores of {len(pictures.held_out)} held-out clips, {sum(map(len, pictures.held_out))} steps")
    held_out = HeldOut(pictures.held_out, run_step(step, pictures.held_out))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as work:
        folder = Path(work) / out.name
        folder.mkdir()
        say("float .tflite")
        (folder / TFLITE_FLOAT_FILE).write_bytes(to_tflite(step))
        say("float ONNX")
        write_float(step, folder / ONNX_FLOAT_FILE)
        say(f"calibration: {len(calibration)} clips, {sum(map(len, calibration))} steps")
        unit = _tflite(folder / TFLITE_FLOAT_FILE, calibration, held_out, say)
        operators = int8.check_full_int8(unit.model)
        twins = _onnx(folder / ONNX_FLOAT_FILE, calibration, held_out, say)
        choices = {one.file: one for one in (unit, *twins)}
        for one in choices.values():
            (folder / one.file).write_bytes(one.model)
        facts = _quantization(unit, calibration, held_out)
        write_card(folder, _card(network, step, about, facts, choices))
        open_runner(folder)
        _put(folder, out)
    return Made(out, read_card(out), choices, operators)


def _tflite(model: Path, calibration: Windows, held_out: HeldOut, say: Say) -> Choice:
    """The unit's own int8 model from the float .tflite."""
    flat = model.read_bytes()
    seen, groups = int8.calibrate(flat, calibration), int8.tie_groups(flat)
    return choose(
        TFLITE_FILE,
        lambda method: int8.quantize(flat, int8.ranges(seen, groups, method)),
        Int8Step,
        held_out,
        say,
    )


def _onnx(model: Path, calibration: Windows, held_out: HeldOut, say: Say) -> list[Choice]:
    """Both int8 twins of the float ONNX. Raises QuantizationError where TensorRT would refuse its own."""
    seen = onnx_int8.calibrate(model, calibration)
    schemes = {ONNX_FILE: onnx_int8.CPU, ONNX_TENSORRT_FILE: onnx_int8.TENSORRT}

    def made(scheme: onnx_int8.Scheme, method: str) -> bytes:
        return onnx_int8.quantize(model, int8.spans_by(seen, method), scheme)

    choices = [choose(file, partial(made, scheme), OnnxStep, held_out, say) for file, scheme in schemes.items()]
    onnx_int8.check_tensorrt(choices[-1].model)
    return choices


def say_again(bundle: Path, about: About) -> Card:
    """Write the hand-written part of a bundle's card anew: results are measured after a bundle is made. Files stay.

    Raises BundleError when the bundle does not open, or the text is about a network of another name.
    """
    card = open_runner(bundle).card
    if (card.name, card.version) != (about.name, about.version):
        raise BundleError(
            f"{bundle}: holds {card.name} {card.version}, the text is about {about.name} {about.version}; "
            "name the text of this network"
        )
    with (bundle / CARD_FILE).open("rb") as file:
        before = tomllib.load(file)
    del before["files"]
    write_card(bundle, {**before, **about.model_dump(exclude_none=True, mode="json")})
    return read_card(bundle)


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """card.toml of a folder, with the hash of every other file in it; checked by the reader the unit uses.

    Of runtimes only those stay whose file is there. A signature over another card is worth nothing and is removed: the
    log says so.
    """
    import tomli_w

    own = (CARD_FILE, SIGNATURE_FILE)
    files = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name.strip(".") not in own}
    runtimes = {name: who for name, who in card.get("runtimes", {}).items() if name in files}
    said = {**card, "runtimes": runtimes} if runtimes else card
    text = tomli_w.dumps({**said, "files": files}, multiline_strings=False)
    before = folder / CARD_FILE
    changed = not before.exists() or before.read_text(encoding="utf-8") != text
    with whole(before) as partial:
        partial.write_text(text, encoding="utf-8")
    if changed and (folder / SIGNATURE_FILE).exists():
        (folder / SIGNATURE_FILE).unlink()
        log.warning("%s: its signature was over another card and is removed: sign it again", folder)
    read_card(folder)


def _card(
    network: FallNetwork, step: Step, about: About, facts: dict[str, Any], choices: dict[str, Choice]
) -> dict[str, Any]:
    config = network.config
    raster = config.raster
    said = about.model_dump(exclude_none=True)
    return {
        "schema": 1,
        **{key: said[key] for key in ("name", "version", "licence", "summary")},
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "family": config.family,
        "parameters": count_parameters(step),
        "mmac_per_step": round(count_macs(network) / 1e6, 2),
        "look_back_s": round(config.look_back_steps * STEP_S, 2),
        "warm_steps": raster.long_steps,
        "labels": list(LABELS),
        "limits": said["limits"],
        "input": {
            "width": raster.width,
            "height": raster.height,
            "short_steps": raster.short_steps,
            "long_steps": raster.long_steps,
            "step_s": STEP_S,
        },
        "thresholds": said["thresholds"],
        "quantization": facts,
        "runtimes": RUNTIMES,
        "trials": [trial.model_dump() for one in choices.values() for trial in one.trials],
        "states": _states(Int8Step(choices[TFLITE_FILE].model)),
        "data": said["data"],
        **{key: said[key] for key in ("trained_on",) if key in said},
        "results": said["results"],
    }


def _states(model: Int8Step) -> list[dict[str, Any]]:
    """As the card lists them; scales as the shortest decimal that is the same float32."""
    return [
        {
            "name": loop.state.name,
            "shape": list(loop.state.shape),
            "scale": float(str(np.float32(loop.state.scale))),
            "zero_point": loop.state.zero_point,
        }
        for loop in model.loops
    ]


def _quantization(unit: Choice, calibration: Windows, held_out: HeldOut) -> dict[str, Any]:
    found = unit.agreement
    return {
        "scheme": "static int8, weights by channel, activations by tensor, picture pinned to 0..1, state groups tied",
        "method": unit.method,
        "calibration_clips": len(calibration),
        "calibration_steps": sum(map(len, calibration)),
        "held_out_clips": len(held_out.windows),
        "held_out_steps": found.steps,
        "argmax_agreement": round(found.argmax, 4),
        "difference_p50": round(found.p50, 4),
        "difference_p99": round(found.p99, 4),
        "difference_max": round(found.largest, 4),
    }


def _put(folder: Path, out: Path) -> None:
    """Give the finished folder its name; a bundle of that name is set aside first and removed last."""
    aside = folder.parent / "replaced"
    if out.exists():
        out.rename(aside)
    folder.rename(out)
    shutil.rmtree(aside, ignore_errors=True)
