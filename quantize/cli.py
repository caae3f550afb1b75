"""`fallwatch quantize CHECKPOINT -o BUNDLE`: from trained weights to the folder a unit runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from device.card import TFLITE_FILE
from device.errors import FallwatchError, UsageError

CARDS: Final = Path(__file__).parent / "cards"


class QuantizeError(FallwatchError):
    """What stopped the making of a bundle, in one sentence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the subcommand."""
    parser.add_argument(
        "checkpoint",
        type=Path,
        help="trained weights from `fallwatch train`; or a bundle, whose card is then said anew from --about",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="BUNDLE", help="folder to make, or to replace")
    parser.add_argument(
        "--about",
        type=Path,
        default=CARDS / "own.toml",
        metavar="TOML",
        help="what the card says (default: own.toml)",
    )
    parser.add_argument(
        "--clips",
        type=Path,
        metavar="CSV",
        help="real clips; trainable rows calibrate (default: as trained)",
    )
    parser.add_argument(
        "--synth", type=Path, metavar="FOLDER", help="rendered clips to calibrate on besides (default: as trained)"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"), help="decoded footage (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Make the bundle and say how well it agrees with the float network; 0 when it was written."""
    import torch

    from device.card import BundleError
    from quantize.about import read_about
    from quantize.agreement import compare
    from quantize.bundle import make_bundle, say_again
    from quantize.footage import gather, one_stream
    from quantize.int8 import QuantizationError
    from training.checkpoint import CheckpointError, load
    from training.footage import FootageError
    from training.index import ClipTableError

    torch.set_num_threads(1)  # steps are too small to share; two threads only wait for each other
    try:
        about = read_about(args.about)
        if args.checkpoint.is_dir():
            print(f"{args.checkpoint}: card of {say_again(args.checkpoint, about).model_id} said anew")
            return 0
        if args.out is None:
            raise UsageError("where to? name the bundle's folder with -o BUNDLE")
        checkpoint = load(args.checkpoint)
        network = checkpoint.build()
        clips, synth = _footage(args, checkpoint.train)
        pictures = gather(clips, synth, network.config.raster, args.cache)
        made = make_bundle(network, about, pictures, args.out, _say)
        stream = compare(network, made.path, [one_stream([*pictures.held_out])])
    except (BundleError, CheckpointError, ClipTableError, FootageError, QuantizationError, ValueError) as error:
        raise QuantizeError(str(error)) from None
    size = (made.path / TFLITE_FILE).stat().st_size
    print(f"{made.path}: {made.card.model_id}, {size} bytes int8, {len(made.card.states)} states tied")
    print("operators, all int8: " + ", ".join(f"{count} {name}" for name, count in made.operators.items()))
    print(f"held-out clips ({made.card.quantization['method']}): {made.agreement}")
    print(f"one stream, no reset: {stream}")
    return 0


def _footage(args: argparse.Namespace, trained: dict[str, Any]) -> tuple[Path | None, Path | None]:
    """Table and folder to calibrate on: as given, else as the checkpoint was trained, where that is still there."""
    if args.clips or args.synth:
        return args.clips, args.synth
    clips, synth = (_first(trained.get(name)) for name in ("clips", "synth"))
    return clips if clips and clips.is_file() else None, synth if synth and synth.is_dir() else None


def _first(named: str | Sequence[str] | None) -> Path | None:
    """Of the tables or folders of a training, the first: one is enough to calibrate on."""
    if not named:
        return None
    return Path(named if isinstance(named, str) else named[0])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
