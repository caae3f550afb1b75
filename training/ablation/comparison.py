"""One variant after another: trained in a process of its own, scored over real clips, measured, reported.

Rendered clips alone are trained on, so that every real clip is a room never seen. A variant that is finished is not
done again, one that was interrupted goes on where it stood.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from training import checkpoint as store
from training.ablation.figures import Figures, accuracies, cost
from training.ablation.report import write
from training.ablation.variants import Variant, chosen
from training.footage import CACHE
from training.index import Clip, read_indexes
from training.judged import open_model, score_clips
from training.record import CHOSEN, LAST
from training.written import json_of, write_text

FIGURES: Final = "figures.json"
SETTINGS: Final = "settings.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for all variants.

    clips: rendered clips there were when the comparison began. batch: windows in a batch, 0 for the usual shapes.
    """

    out: Path
    synth: tuple[str, ...]
    real: tuple[Clip, ...]
    steps: int
    clips: int
    threads: int
    batch: int = 0

    def settings(self) -> dict[str, Any]:
        """What may not change between one call and the next, or the rows could not be compared."""
        return {
            "synth": list(self.synth),
            "steps": self.steps,
            "batch": self.batch,
            "clips": self.clips,
            "real_clips": len(self.real),
        }


def command(variant: Variant, plan: Plan, resume: bool) -> list[str]:
    """How a variant is trained, in a process of its own."""
    said = [sys.executable, "-m", "training.train", "--out", str(plan.out / variant.name)]
    for folder in plan.synth:
        said += ["--synth", folder]
    said += ["--real", "0", "--steps", str(plan.steps), "--threads", str(plan.threads), "--batch", str(plan.batch)]
    said += variant.options(plan.clips)
    return [*said, "--resume"] if resume else said


def finish(variant: Variant, plan: Plan) -> Figures | None:
    """Train (or go on), score and measure one variant; None where its training fails, which has said why itself."""
    folder = plan.out / variant.name
    if subprocess.run(command(variant, plan, (folder / LAST).exists()), check=False).returncode:
        return None
    checkpoint = store.load(folder / CHOSEN)
    scored = score_clips(plan.real, open_model(folder / CHOSEN), [], CACHE)
    costs = cost(variant.network)
    figures = Figures(variant.name, accuracies(scored), costs, checkpoint.step, variant.clips(plan.clips))
    keep(figures, folder)
    return figures


def keep(figures: Figures, folder: Path) -> None:
    """Write a variant's figures: from then on it is done."""
    write_text(folder / FIGURES, json_of(figures.plain()))


def finished(variant: Variant, plan: Plan) -> Figures | None:
    """The figures of a variant that is done. Raises ValueError for a file of figures that cannot be read."""
    path = plan.out / variant.name / FIGURES
    try:
        return Figures.from_plain(_nan_for_null(json.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no figures of a variant ({error}); delete it to measure it again") from None


def compare(variants: Sequence[Variant], plan: Plan) -> list[str]:
    """Every variant that is not done yet, the report after each; returns the names of those that failed."""
    begin(plan)
    failed = []
    with tqdm(variants, desc="ablation", unit="variant") as bar:
        for variant in bar:
            bar.set_postfix_str(variant.name)
            if not finished(variant, plan) and not finish(variant, plan):
                failed.append(variant.name)
            _report(plan)
    return failed


def _report(plan: Plan) -> None:
    """Of all that is done, also by earlier calls."""
    found = [(variant, figures) for variant in chosen(()) if (figures := finished(variant, plan))]
    write(found, plan.settings(), plan.out)


def planned(args: argparse.Namespace) -> Plan:
    """From the command line and, where the comparison was begun before, what it was begun with. Raises ValueError."""
    if args.steps < 1 or args.threads < 1 or args.batch < 0:
        raise ValueError(
            f"--steps {args.steps} --threads {args.threads} --batch {args.batch}: 1 or more, 0 or more for the batch"
        )
    clips = clips_there(args.out, args.synth)
    real = tuple(read_indexes(args.clips))
    return Plan(args.out, tuple(map(str, args.synth)), real, args.steps, clips, args.threads, args.batch)


def begin(plan: Plan) -> None:
    """Write down what the comparison is made with; raises ValueError where it was begun with something else."""
    before = _begun(plan.out)
    if before and before != plan.settings():
        other = [f"{name} {before.get(name)}" for name, value in plan.settings().items() if before.get(name) != value]
        raise ValueError(f"{plan.out} was begun with {', '.join(other)}; go on with that, or name another --out")
    plan.out.mkdir(parents=True, exist_ok=True)
    write_text(plan.out / SETTINGS, json_of(plan.settings()))


def clips_there(out: Path, folders: Sequence[Path]) -> int:
    """Rendered clips to compare with, the first by name: as many as there were when the comparison began.

    The folders may have grown since. Raises ValueError for one that is absent, or where there is no clip at all.
    """
    absent = [str(folder) for folder in folders if not folder.is_dir()]
    if absent:
        raise ValueError(f"{', '.join(absent)}: no such folder; render first: fallwatch synth --out {absent[0]}")
    before = _begun(out)
    count = before["clips"] if before else sum(p.name[0] != "." for folder in folders for p in folder.glob("*.npz"))
    if not count:
        raise ValueError(f"{', '.join(map(str, folders))}: no rendered clip; render first: fallwatch synth")
    return int(count)


def _begun(out: Path) -> dict[str, Any] | None:
    try:
        settings: dict[str, Any] = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{out / SETTINGS}: cannot be read ({error}); name another --out") from None
    return settings


def _nan_for_null(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: _nan_for_null(value) for name, value in said.items()}
    if isinstance(said, list):
        return [_nan_for_null(value) for value in said]
    return math.nan if said is None else said
