"""`fallwatch parity BUNDLE`: every form of the network over every reference clip and a long stream, and a verdict.

Exit code 0: the bundle may go on a wall. 1: refused, and the reason said. The dev clips are looked at here and choose
nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device.card import BundleError, Card, shipped_bundle
from device.errors import FallwatchError, UsageError
from device.preprocess import Raster
from device.runner import open_runner
from quantize.agreement import Agreement
from quantize.bundle import RUNTIMES
from quantize.parity import gate, measures
from quantize.parity.footage import STEPS_PER_HOUR, Reference, joined, real_clips, rendered_clips, the_film
from quantize.parity.forms import Form, Scores, as_evaluated, forms_of
from quantize.parity.gate import Finding, FormReport
from quantize.parity.picture import Drawn, write_picture
from quantize.parity.runs import ClipRun, over_clips, over_stream
from training.checkpoint import Checkpoint, CheckpointError, load
from training.evaluate import CLIPS
from training.footage import CACHE, FootageError
from training.index import ClipTableError
from training.table import SMOOTHING_S
from training.unit_policy import STAGES
from training.written import json_of, write_text

AS_EVALUATED: Final = "torch, as evaluated"
MOST_HOURS: Final = 24.0
MARKS: Final = {True: "ok  ", False: "FAIL", None: "note"}


class ParityError(FallwatchError):
    """What kept the gate from being tried, in one sentence."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured, and what follows from it."""

    bundle: str
    model_id: str
    reference: str
    clips: int
    falls: int
    hours: float
    stream_hours: float
    real_clips: bool
    forms: list[FormReport]
    findings: list[Finding]

    @property
    def passed(self) -> bool:
        """Whether nothing keeps the bundle off the wall."""
        return not gate.refusals(self.findings)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand."""
    add = parser.add_argument
    add("bundle", type=Path, nargs="?", help="folder of a bundle (default: the one that ships)")
    add(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="the network it was made from (else its float ONNX is the truth)",
    )
    add("--clips", type=Path, action="append", help=f"table of real clips; repeatable (default {CLIPS})")
    add("--synth", type=Path, metavar="FOLDER", help="rendered clips besides")
    add("--hours", type=float, default=1.0, help="length of the stream without a reset, 0 for none (default 1)")
    add("--out", type=Path, metavar="FOLDER", help="parity.json and parity.png go there (default runs/parity/MODEL)")
    add("--cache", type=Path, default=CACHE, help="decoded footage (default: %(default)s)")
    add("--json", action="store_true", help="what parity.json holds, as one JSON object, instead of the table")


def run(args: argparse.Namespace) -> int:
    """Try the gate; 0 passed, 1 refused."""
    import torch

    torch.set_num_threads(1)  # steps are too small to share; two threads only wait for each other
    if not 0.0 <= args.hours <= MOST_HOURS:
        raise UsageError(f"--hours {args.hours:g} is outside 0..{MOST_HOURS:g}")
    bundle = args.bundle or shipped_bundle()
    try:
        card = open_runner(bundle, runtime="litert").card
        checkpoint = load(args.checkpoint) if args.checkpoint else None
        forms = forms_of(bundle, card, checkpoint)
    except BundleError as error:
        print(json_of({"passed": False, "refused": str(error)}) if args.json else f"REFUSED: {error}")
        return 1
    except CheckpointError as error:
        raise ParityError(str(error)) from None
    try:
        report = examine(args, bundle, card, checkpoint, forms)
    except (FootageError, ClipTableError, ValueError, OSError) as error:
        raise ParityError(str(error)) from None
    return 0 if report.passed else 1


def examine(
    args: argparse.Namespace, bundle: Path, card: Card, checkpoint: Checkpoint | None, forms: list[Form]
) -> Report:
    """Run everything over everything, print the report, write JSON and picture."""
    raster = card.input.raster()
    references, with_real = _references(args, card)
    whole = {AS_EVALUATED: as_evaluated(checkpoint.build())} if checkpoint else {}
    runs = over_clips(forms, references, raster, whole)
    streamed = _streamed(forms, references, args.hours, raster)
    named = [(form.name, form.file, form.int8) for form in forms] + [(name, "checkpoint", False) for name in whole]
    truth = forms[0].name
    reports = [_form_report(one, truth, runs, card, streamed) for one in named]
    report = Report(
        str(bundle),
        card.model_id,
        truth,
        len(references),
        sum(one.fall is not None for one in references),
        sum(len(one.film) for one in references) / STEPS_PER_HOUR,
        args.hours,
        with_real,
        reports,
        _findings(bundle, card, reports, with_real),
    )
    print(json_of(plain(report)) if args.json else text_of(report))
    drawn = Drawn(_title(report), reports[1:], truth, runs, streamed.said, streamed.block, card.thresholds)
    _write(args, report, drawn)
    return report


@dataclass(frozen=True, slots=True)
class _Streamed:
    """What every form said of the stream, None where there was none; see footage.Stream.block."""

    said: dict[str, Scores] | None
    block: int


def _streamed(forms: Sequence[Form], references: Sequence[Reference], hours: float, raster: Raster) -> _Streamed:
    if not hours:
        return _Streamed(None, 0)
    stream = joined(references, hours)
    return _Streamed(over_stream(forms, stream, raster), stream.block)


def _findings(bundle: Path, card: Card, reports: Sequence[FormReport], with_real: bool) -> list[Finding]:
    found = gate.of_files(bundle, card) + _absent(card)
    for one in reports[1:]:
        found += gate.of_form(one, reports[0])
    if not with_real:
        found.append(Finding("clips", None, f"REAL CLIPS ABSENT ({CLIPS}): of real rooms this proves nothing"))
    return found


def _form_report(
    named: tuple[str, str, bool], truth: str, runs: Sequence[ClipRun], card: Card, streamed: _Streamed
) -> FormReport:
    name, file, int8 = named
    references = [one.reference for one in runs]
    told = {
        form: [measures.told(one.reference, one.said[form], card.thresholds, card.warm_steps) for one in runs]
        for form in {truth, name}
    }
    stream = drift = None
    if streamed.said and name in streamed.said:
        stream = measures.agreement([streamed.said[truth]], [streamed.said[name]])
        settle = round(card.look_back_s / card.input.step_s) + card.input.long_steps
        drift = measures.drift(streamed.said[truth], streamed.said[name], streamed.block, settle)
    return FormReport(
        name,
        file,
        int8,
        measures.agreement([one.said[truth] for one in runs], [one.said[name] for one in runs]),
        stream,
        drift,
        measures.falls(references, told[truth], told[name]),
        {_smoothing(s): measures.windows_of(runs, name, s) for s in SMOOTHING_S},
    )


def _smoothing(seconds: float) -> str:
    return f"mean of {seconds:g} s" if seconds else "raw"


def _references(args: argparse.Namespace, card: Card) -> tuple[list[Reference], bool]:
    """All clips, and whether real ones are among them."""
    raster = card.input.raster()
    tables = args.clips or ([CLIPS] if CLIPS.is_file() else [])
    if not tables:
        print(
            f"REAL CLIPS ABSENT: {CLIPS} not found. Only the film that comes with the package is compared: one fall, "
            "rendered. Name a table with --clips before this bundle goes on a wall.",
            file=sys.stderr,
        )
    real = real_clips(tables, raster, args.cache) if tables else []
    rendered = rendered_clips(args.synth, raster) if args.synth else []
    return [*real, *rendered, the_film(raster)], bool(tables)


def _absent(card: Card) -> list[Finding]:
    gone = [file for file in RUNTIMES if file not in card.files]
    return [Finding("files", None, f"NOT IN THIS BUNDLE, so not tried: {file} ({RUNTIMES[file]})") for file in gone]


def plain(report: Report) -> dict[str, object]:
    """The report for programs: what parity.json holds."""
    return {"passed": report.passed, **dataclasses.asdict(report)}


def text_of(report: Report) -> str:
    """The report for people: a table of forms, then one line a finding, then the verdict."""
    stream = (
        f"{report.stream_hours:.2f} h of stream without a reset" if report.stream_hours else "NO STREAM (--hours 0)"
    )
    lines = [
        f"parity of {report.bundle} ({report.model_id}) against {report.reference}",
        f"{report.clips} clips with {report.falls} falls, {report.hours:.2f} h; {stream}",
        "",
        f"{'form':<20}{'same label':>11}{'|dp| p50':>10}{'p99':>8}{'largest':>9}{'stream p99':>12}"
        f"{'suspected':>11}{'confirmed':>11}{'lost':>6}{'everyday: suspected, confirmed':>32}",
    ]
    lines += [_row(form) for form in report.forms]
    lines += ["", *(f"{MARKS[one.ok]}  {one.what:<11}{one.said}" for one in report.findings), ""]
    refused = gate.refusals(report.findings)
    if refused:
        lines.append("REFUSED: " + "; ".join(one.said for one in refused))
        if twins := gate.only_about_twins(report.findings):
            lines.append(
                f"to ship without {' and '.join(twins)}: delete it there, then say the card anew with "
                f"`fallwatch quantize {report.bundle} --about TEXT`"
            )
    else:
        lines.append(f"PASSED: {report.model_id} says in int8 what it says in float")
    return "\n".join(lines)


def _row(form: FormReport) -> str:
    found: Agreement = form.clips
    stream = f"{form.stream.p99:.4f}" if form.stream else "-"
    told = "".join(f"{form.falls.reached[stage]:>11}" for stage in STAGES)
    everyday = ", ".join(str(form.falls.everyday[stage]) for stage in STAGES)
    return (
        f"{form.name:<20}{found.argmax:>11.2%}{found.p50:>10.4f}{found.p99:>8.4f}{found.largest:>9.3f}{stream:>12}"
        f"{told}{len(form.falls.lost):>6}{everyday:>32}"
    )


def _title(report: Report) -> str:
    verdict = "passed" if report.passed else "REFUSED"
    return f"{report.model_id} against {report.reference}: {report.clips} clips, {report.falls} falls: {verdict}"


def _write(args: argparse.Namespace, report: Report, drawn: Drawn) -> None:
    folder = args.out or Path("runs/parity") / report.model_id
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "parity.json", json_of(plain(report)) + "\n")
    write_picture(folder / "parity.png", drawn)
    print(f"{folder}: parity.json and parity.png written", file=sys.stderr)
