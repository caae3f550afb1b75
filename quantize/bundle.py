"""Everything a unit needs of a network, in one folder: int8 model, ONNX pair, card with the hash of each file.

A bundle appears whole or not at all: it is written beside its place, read back by the unit's own code, and then named.
"""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.card import CARD_FILE, TFLITE_FILE, BundleError, Card, read_card, sha256
from device.labels import LABELS
from device.runner import Int8Step, open_runner
from quantize import int8
from quantize import onnx as onnx_files
from quantize.about import About
from quantize.agreement import Agreement, compare_runs, run_int8, run_step
from quantize.export import step_of, to_tflite
from training.footage import STEP_S
from training.networks import FallNetwork, Step, count_macs, count_parameters

ONNX_FILE: Final = "model.onnx"
ONNX_FLOAT_FILE: Final = "model-fp32.onnx"

Windows = Sequence[NDArray[np.uint8]]
"""Footage as the model sees it: uint8 (steps, height, width, 3) each, streamed from zero states."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Footage for making a bundle: what the ranges are measured on, and other clips to choose the method by."""

    calibration: Windows
    held_out: Windows


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was written, and how well its int8 model agrees with the float network on held-out footage."""

    path: Path
    card: Card
    agreement: Agreement
    by_method: dict[str, Agreement]
    operators: dict[str, int]


def make_bundle(network: FallNetwork, about: About, pictures: Pictures, out: Path, say: Say) -> Made:
    """Export, quantize, choose the calibration method on held-out clips, write the bundle folder `out`.

    Raises QuantizationError where the network does not become full int8, BundleError where the result does not open.
    """
    step, calibration, held_out = step_of(network), pictures.calibration, pictures.held_out
    say("float .tflite")
    model = to_tflite(step)
    say(f"calibration: {len(calibration)} clips, {sum(map(len, calibration))} steps")
    seen = int8.calibrate(model, calibration)
    method, quantized, by_method = choose_method(step, model, seen, held_out, say)
    operators = int8.check_full_int8(quantized)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as work:
        folder = Path(work) / out.name
        folder.mkdir()
        (folder / TFLITE_FILE).write_bytes(quantized)
        say("ONNX")
        onnx_files.write_float(step, folder / ONNX_FLOAT_FILE)
        onnx_files.write_int8(folder / ONNX_FLOAT_FILE, folder / ONNX_FILE, calibration)
        facts = _quantization(method, seen, by_method[method], held_out)
        write_card(folder, _card(network, step, about, facts, quantized))
        open_runner(folder)
        _put(folder, out)
    return Made(out, read_card(out), by_method[method], by_method, operators)


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


def choose_method(
    step: Step, model: bytes, seen: int8.Calibration, held_out: Windows, say: Say
) -> tuple[str, bytes, dict[str, Agreement]]:
    """(method, int8 model, agreement by method): the one whose scores stay nearest to float, 99th percentile first."""
    groups = int8.tie_groups(model)
    truth = run_step(step, held_out)
    models, by_method = {}, {}
    for method in int8.METHODS:
        models[method] = int8.quantize(model, int8.ranges(seen, groups, method))
        by_method[method] = compare_runs(truth, run_int8(Int8Step(models[method]), held_out))
        say(f"{method}: {by_method[method]}")
    best = min(by_method, key=lambda method: by_method[method].order)
    return best, models[best], by_method


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """card.toml of a folder, with the hash of every other file in it; checked by the reader the unit uses."""
    import tomli_w

    files = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name.strip(".") != CARD_FILE}
    text = tomli_w.dumps({**card, "files": files}, multiline_strings=False)
    partial = folder / f".{CARD_FILE}"
    partial.write_text(text, encoding="utf-8")
    partial.replace(folder / CARD_FILE)
    read_card(folder)


def _card(network: FallNetwork, step: Step, about: About, facts: dict[str, Any], quantized: bytes) -> dict[str, Any]:
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
        "states": _states(Int8Step(quantized)),
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


def _quantization(method: str, seen: int8.Calibration, found: Agreement, held_out: Windows) -> dict[str, Any]:
    return {
        "scheme": "static int8, weights by channel, activations by tensor, picture pinned to 0..1, state groups tied",
        "method": method,
        "calibration_clips": seen.clips,
        "calibration_steps": seen.steps,
        "held_out_clips": len(held_out),
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
