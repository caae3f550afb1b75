"""Keep what fooled a network: `fallwatch mine MODEL FOOTAGE... --out DIR`, read by `fallwatch train --negatives DIR`.

The network runs over hours of everyday footage; around each peak of P(falling) + P(floor) where the truth says that
nobody falls, a piece of ten seconds is kept. Can be stopped at any moment: the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from device.errors import FallwatchError
from device.labels import LABELS
from training.failures import SHOWN, Moment, peaks, write_sheet
from training.footage import STEP_S
from training.judged import Model, open_model
from training.lineage import LEDGER
from training.metrics import smooth
from training.mine_sources import Stretch, sources_of, stretches
from training.pieces import Piece, read_facts, read_piece, write_piece
from training.scoring import evidence
from training.written import json_of, write_text

BEFORE_S, AFTER_S = 6.0, 4.0
"""What is kept around a peak: more than a network looks back (4.6 s), and what came of it."""

SHORTEST_S: Final = 2.0
"""A window of training is that long at least; less, where the truth ends, is not kept."""

SMOOTH_S: Final = 0.5
SHEET: Final = "mined.png"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is worth keeping. level: mean evidence of half a second, 0..1. per_hour: moments of one source, at most."""

    level: float
    per_hour: float

    def most(self, seconds: float) -> int:
        """How many of a stretch of this length; of a short clip one."""
        return max(1, math.ceil(self.per_hour * seconds / 3600))


class Ledger:
    """How far each source has been gone through, and what was kept of it; a file in the folder of pieces.

    Raises ValueError when the folder holds what fooled another network, or by another rule.
    """

    def __init__(self, out: Path, model: Model, rule: Rule) -> None:
        self.path = out / LEDGER
        head: dict[str, Any] = {"model": f"{model.name} {model.digest}", "level": rule.level, "per_hour": rule.per_hour}
        self.content: dict[str, Any] = {**head, "sources": {}}
        if self.path.exists():
            self.content = self._read()
            for name, value in head.items():
                if _mark(self.content.get(name)) != _mark(value):
                    raise ValueError(
                        f"{out}: was mined with {name} {self.content.get(name)!r}, not {value!r}; name another --out"
                    )

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(content, dict) or not isinstance(content["sources"], dict):
                raise ValueError("no sources in it")
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{self.path}: cannot be read ({error}); name another --out, or delete it") from None
        return content

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Source -> mark (size and time of the file), done_s, complete, kept, doing (pieces by what happened)."""
        found: dict[str, dict[str, Any]] = self.content["sources"]
        return found

    def of(self, source: Path) -> dict[str, Any]:
        """The entry of a source; a new one when the file has changed."""
        stat = source.stat()
        mark = f"{stat.st_size} {stat.st_mtime_ns}"
        entry = self.sources.get(str(source))
        if entry is None or entry["mark"] != mark:
            entry = self.sources[str(source)] = {"mark": mark, "done_s": 0.0, "complete": False, "kept": 0, "doing": {}}
        return entry

    def save(self) -> None:
        """Written whole, then named."""
        write_text(self.path, json_of(self.content))


def _mark(value: Any) -> Any:
    """A network is known by its digest, the last word of its entry, wherever its file lies; a number by itself."""
    return value.rpartition(" ")[2] or value if isinstance(value, str) else value


def mine_source(source: Path, model: Model, rule: Rule, ledger: Ledger, come: Callable[[float], None]) -> None:
    """Go through one source from where it was left; `come` is told how many seconds of it are done.

    Raises FootageError or ValueError naming the file, OSError when the folder cannot be written.
    """
    entry = ledger.of(source)
    for stretch in stretches(source, model.raster):
        if stretch.end_s > entry["done_s"] + STEP_S / 2:
            pieces = fooled(stretch, model, rule)
            for piece in pieces:
                piece.meta["source"] = str(source)
                write_piece(piece, ledger.path.parent / piece_name(source, piece))
            doing = Counter(entry.get("doing", {})) + Counter(name for piece in pieces for name in piece.meta["doing"])
            entry.update(done_s=round(stretch.end_s, 3), kept=entry["kept"] + len(pieces), doing=dict(doing))
            ledger.save()
        come(stretch.end_s)
    entry["complete"] = True
    ledger.save()


def fooled(stretch: Stretch, model: Model, rule: Rule) -> list[Piece]:
    """The pieces of a stretch around the highest everyday peaks, worst first; none overlaps another."""
    answers = model.answers(stretch.film)
    t = answers.t
    score = smooth(t, evidence(answers.probabilities), SMOOTH_S)
    new = np.arange(len(t)) >= stretch.fresh
    asked = np.where(stretch.everyday & answers.warm & new, score, -1.0)
    found = peaks(t, asked, rule.level, BEFORE_S + AFTER_S)
    pieces = (cut(stretch, score, step) for step in found[: rule.most(float(new.sum()) * STEP_S)])
    return [piece for piece in pieces if len(piece) >= SHORTEST_S / STEP_S]


def cut(stretch: Stretch, score: NDArray[np.float64], peak: int) -> Piece:
    """The piece around a peak, as far as the truth is everyday life and the footage without a gap."""
    first, last = around(stretch.everyday, stretch.film.reset, peak)
    span = slice(first, last)
    truth = None if stretch.label is None else stretch.label[span]
    meta = {
        "truth": "everyday",
        "start_s": round(float(stretch.film.t[first]), 3),
        "peak_s": round(float(stretch.film.t[peak]), 3),
        "score": round(float(score[peak]), 4),
        "scores": np.round(score[span], 3).tolist(),
        "content": list(stretch.content),
        "doing": sorted({one.name for one in stretch.doing if one.from_s <= stretch.film.t[peak] < one.to_s}),
    }
    return Piece(stretch.stored[span], truth, meta)


def around(everyday: NDArray[np.bool_], reset: NDArray[np.bool_], peak: int) -> tuple[int, int]:
    """First step and the one after the last, within reach of the peak and of nothing that ends the piece."""
    first = max(0, peak - round(BEFORE_S / STEP_S))
    last = min(len(everyday), peak + round(AFTER_S / STEP_S))
    before = np.flatnonzero(~everyday[first:peak] | reset[first + 1 : peak + 1])
    after = np.flatnonzero(~everyday[peak:last] | np.append(reset[peak + 1 : last], False))
    start = first + int(before[-1]) + 1 if before.size else first
    if after.size:
        end = peak + int(after[0])
        last = end if not everyday[end] else end + 1
    return start, last


def piece_name(source: Path, piece: Piece) -> str:
    """The same for the same moment of the same source, so that a repeated run adds nothing."""
    digest = hashlib.sha256(str(source).encode()).hexdigest()[:6]
    return f"{source.stem}_{digest}_{round(1000 * piece.meta['peak_s']):09d}.npz"


def sheet_of(folder: Path) -> list[Moment]:
    """The worst of everything that was ever kept in a folder, worst first."""
    worst = []
    for path in folder.glob("*.npz"):
        if not path.name.startswith("."):
            worst.append((float(read_facts(path).meta["score"]), path))
    return [_moment(path) for _, path in sorted(worst, key=lambda pair: (-pair[0], pair[1].name))[:SHOWN]]


def _moment(path: Path) -> Moment:
    piece = read_piece(path)
    meta = piece.meta
    t = float(meta["start_s"]) + np.arange(len(piece), dtype=np.float64) * STEP_S
    at = round((float(meta["peak_s"]) - float(meta["start_s"])) / STEP_S)
    truth = f" while {LABELS[int(piece.label[at])]}" if piece.label is not None else ""
    truth += f" ({', '.join(meta['doing'])})" if meta.get("doing") else ""
    title = f"{Path(meta['source']).name} at {meta['peak_s']:.1f} s, {meta['score']:.2f}{truth}"
    return Moment.cut(
        "false", title, (piece.grey, t, np.asarray(meta["scores"], np.float64)), (float(t[0]), float(t[-1]))
    )


def summary(ledger: Ledger) -> dict[str, Any]:
    """What was gone through and kept; by_source, by_doing: pieces of each source that gave any, and by what happened
    where that is known, the most first."""
    entries = ledger.sources
    kept = Counter({source: entry["kept"] for source, entry in entries.items() if entry["kept"]})
    doing = sum((Counter(entry.get("doing", {})) for entry in entries.values()), Counter[str]())
    hours = sum(entry["done_s"] for entry in entries.values()) / 3600
    return {
        "sources": len(entries),
        "hours": round(hours, 3),
        "kept": kept.total(),
        "by_source": dict(kept.most_common()),
        "by_doing": dict(doing.most_common()),
    }


def summary_text(said: dict[str, Any]) -> str:
    """The summary as people read it, with the sources that gave most."""
    by_source = list(said["by_source"].items())
    head = f"{said['sources']} sources, {said['hours']:.2f} h, {said['kept']} pieces kept of {len(by_source)} sources"
    doing = ", ".join(f"{name} {count}" for name, count in said["by_doing"].items())
    lines = [f"{count:6} {source}" for source, count in by_source[:SHOWN]]
    return "\n".join([head, *lines, *([f"what happened there: {doing}"] if doing else [])])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `fallwatch mine`."""
    add = parser.add_argument
    add("model", type=Path, help="the checkpoint or bundle that is to be fooled")
    add(
        "footage",
        type=Path,
        nargs="+",
        help="videos, folders of them, simulated days, rendered clips; in a video nobody may fall, unless the table of "
        "clips beside it says when",
    )
    add(
        "--out", type=Path, required=True, metavar="DIR", help="folder of pieces, for `fallwatch train --negatives DIR`"
    )
    add("--level", type=float, default=0.3, help="mean evidence of half a second worth keeping (default %(default)s)")
    add("--json", action="store_true", help="the summary as one JSON object")
    add("--per-hour", type=float, default=60.0, help="moments of one source an hour, at most (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Mine by the command line's options. 0: done; 1: a source, the model or the folder is no good."""
    try:
        if not (0.0 < args.level < 1.0 and args.per_hour > 0.0):
            raise ValueError(
                f"--level {args.level} --per-hour {args.per_hour}: a level within 0..1 and a positive rate"
            )
        failed = mine(args)
    except (FallwatchError, ValueError) as error:
        print(f"fallwatch mine: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        told = f"{error.filename or args.out}: {error.strerror or error}"
        print(f"fallwatch mine: {told}; put that right, and the same command goes on where it was", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fallwatch mine: stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 1 if failed else 0


def mine(args: argparse.Namespace) -> int:
    """Go through all sources, then draw the sheet; returns how many sources could not be read."""
    from tqdm import tqdm

    # What was kept before is no new footage, though the folder of pieces may lie in that of the footage.
    sources = [path for path in sources_of(args.footage) if not path.is_relative_to(args.out.absolute())]
    model, rule = open_model(args.model), Rule(args.level, args.per_hour)
    args.out.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(args.out, model, rule)
    left = [source for source in sources if not ledger.of(source)["complete"]]
    failed = 0
    bar = tqdm(left, desc="mine", unit="source", initial=len(sources) - len(left), total=len(sources))

    def come(seconds: float) -> None:
        kept = sum(entry["kept"] for entry in ledger.sources.values())
        bar.set_postfix_str(f"{seconds / 60:.0f} min of this one, {kept} kept")

    for source in bar:
        try:
            mine_source(source, model, rule, ledger, come)
        except (FallwatchError, ValueError) as error:
            bar.write(f"fallwatch mine: {error}", file=sys.stderr)
            failed += 1
    moments = sheet_of(args.out)
    if moments:
        write_sheet(moments, args.out / SHEET)
        print(f"{args.out / SHEET}: look at it before training: a true fall in it is a loss", file=sys.stderr)
    said = summary(ledger) | {"failed": failed}
    print(json.dumps(said) if args.json else summary_text(said))
    return failed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="fallwatch mine", description="Keep what fooled a network.")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
