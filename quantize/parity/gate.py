"""The bars that a bundle must keep to go on a wall, and the sentence for each that it breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from device.card import TFLITE_FILE, Card
from device.runner import ONNX_FILE, ONNX_TENSORRT_FILE, Int8Step
from quantize import int8, onnx_int8
from quantize.agreement import Agreement
from quantize.parity.measures import Drift, Falls, counted
from training.scoring import WindowFigures
from training.unit_policy import STAGES

P99_BAR: Final = 0.05
"""99th percentile of |probability difference| that int8 may have against float: a bar of the project."""

FLOAT_P99_BAR: Final = 0.001
"""The same between two float forms of one network: a file of other weights is far above it. The shipped network's forms
differ by 4e-7 (measured), which is rounding."""

DRIFT_BAR: Final = 0.005
"""By how much the 99th percentile may have grown after the stream: a tenth of P99_BAR."""

AUC_BAR: Final = 0.005
"""Window AUC that int8 may differ by from float: said, and no ground for a refusal."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ok None: worth knowing, refuses nothing. file: of the bundle, where it is about one."""

    what: str
    ok: bool | None
    said: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class FormReport:
    """What was measured of one form against the reference. stream, drift: None where there was no stream."""

    name: str
    file: str
    int8: bool
    clips: Agreement
    stream: Agreement | None
    drift: Drift | None
    falls: Falls
    windows: dict[str, WindowFigures]


def of_files(bundle: Path, card: Card) -> list[Finding]:
    """What can be seen without any footage: operators, states, TensorRT's rules, files that are not there."""
    model = (bundle / TFLITE_FILE).read_bytes()
    found = [
        _unless_refused("operators", TFLITE_FILE, lambda: _operators(model)),
        Finding("states", True, f"{len(Int8Step(model).loops)}, each at one scale and zero point in and out"),
    ]
    if ONNX_TENSORRT_FILE in card.files:
        found.append(_unless_refused("TensorRT", ONNX_TENSORRT_FILE, lambda: _tensorrt(bundle)))
    return found


def _operators(model: bytes) -> str:
    counts = int8.check_full_int8(model)
    named = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{sum(counts.values())}, all int8: {named}"


def _tensorrt(bundle: Path) -> str:
    onnx_int8.check_tensorrt((bundle / ONNX_TENSORRT_FILE).read_bytes())
    return "every zero point is 0, no bias in int32"


def _unless_refused(what: str, file: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look(), file)
    except int8.QuantizationError as error:
        return Finding(what, False, str(error), file)


def of_form(form: FormReport, reference: FormReport) -> list[Finding]:
    """Every bar that one form is held against."""
    found = [_p99(form, "clips", form.clips), _lost(form)]
    if form.stream is not None and form.drift is not None:
        found += [_p99(form, "stream", form.stream), _drifted(form.name, form.drift)]
    return [replace(finding, file=form.file) for finding in found + _auc(form, reference)]


def refusals(findings: Sequence[Finding]) -> list[Finding]:
    """Those that keep a bundle off the wall."""
    return [finding for finding in findings if finding.ok is False]


def only_about_twins(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The files that a bundle could be shipped without, where they alone break a bar; else none.

    The unit watches with model.tflite; ONNX Runtime and TensorRT have the float file to fall back on.
    """
    files = dict.fromkeys(finding.file for finding in refusals(findings))
    return tuple(files) if files.keys() <= {ONNX_FILE, ONNX_TENSORRT_FILE} else ()


def _p99(form: FormReport, where: str, found: Agreement) -> Finding:
    bar = P99_BAR if form.int8 else FLOAT_P99_BAR
    said = f"{form.name}, {where}: 99th percentile of |dp| {found.p99:.4f}, at most {bar}"
    return Finding("difference", found.p99 <= bar, said)


def _drifted(name: str, drift: Drift) -> Finding:
    said = (
        f"{name}: 99th percentile {drift.first:.4f} in the first sixth of the stream, {drift.last:.4f} over the same "
        f"pictures in the last: {drift.grown:+.4f}, at most {DRIFT_BAR}; its own answers differ by {drift.echo:.4f} "
        "at most"
    )
    return Finding("drift", drift.grown <= DRIFT_BAR, said)


def _lost(form: FormReport) -> Finding:
    if form.falls.lost:
        return Finding("falls", False, f"{form.name}: LOST against float: {counted(form.falls.lost)}")
    told = ", ".join(f"{form.falls.reached[stage]} {stage}" for stage in STAGES)
    won = f"; told here and not by float: {counted(form.falls.won)}" if form.falls.won else ""
    return Finding(
        "falls", True, f"{form.name}: none lost ({told}); moments moved by {form.falls.moved_s:.1f} s at most{won}"
    )


def _auc(form: FormReport, reference: FormReport) -> list[Finding]:
    found = []
    for smoothing, figures in form.windows.items():
        auc = reference.windows[smoothing].auc
        if figures.falls and figures.windows:
            off = abs(figures.auc - auc)
            kept = "within" if off <= AUC_BAR else "NOT within"
            said = f"{form.name}, {smoothing}: window AUC {figures.auc:.4f}, float {auc:.4f}: {kept} {AUC_BAR}"
            found.append(Finding("AUC", None, said))
    return found
