"""`fallwatch quantize CHECKPOINT -o BUNDLE`: from trained weights to the folder a unit runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from device.card import TFLITE_FILE, Trial
from device.errors import FallwatchError, UsageError

if TYPE_CHECKING:
    from quantize.signing import PrivateKey

CARDS: Final = Path(__file__).parent / "cards"
CLIPS: Final = Path("../shared/data/clips.csv")
"""Where the real clips lie beside a checkout."""
CACHE: Final = Path("runs/cache")
"""As training.footage.CACHE, which needs more to be imported than a --help should."""


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
        help=f"real clips; trainable rows calibrate (default: as trained, else {CLIPS})",
    )
    parser.add_argument(
        "--synth", type=Path, metavar="FOLDER", help="rendered clips to calibrate on besides (default: as trained)"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="decoded footage (default: %(default)s)")
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="private key of `fallwatch bundle keygen` to sign the bundle with"
    )


def run(args: argparse.Namespace) -> int:
    """Make the bundle and say how well it agrees with the float network; 0 when it was written."""
    import torch

    from device.card import BundleError
    from quantize.int8 import QuantizationError
    from training.checkpoint import CheckpointError
    from training.footage import FootageError
    from training.index import ClipTableError

    torch.set_num_threads(1)  # steps are too small to share; two threads only wait for each other
    try:
        if args.checkpoint.is_dir():
            _say_anew(args)
        else:
            _make(args)
    except (BundleError, CheckpointError, ClipTableError, FootageError, QuantizationError, ValueError) as error:
        raise QuantizeError(str(error)) from None
    return 0


def _say_anew(args: argparse.Namespace) -> None:
    from quantize.about import read_about
    from quantize.bundle import say_again

    key = _key(args)
    card = say_again(args.checkpoint, read_about(args.about))
    print(f"{args.checkpoint}: card of {card.model_id} said anew{_signed(args.checkpoint, key)}")


def _make(args: argparse.Namespace) -> None:
    from quantize.about import read_about
    from quantize.agreement import compare
    from quantize.bundle import make_bundle
    from quantize.footage import gather, one_stream
    from training.checkpoint import load

    if args.out is None:
        raise UsageError("where to? name the bundle's folder with -o BUNDLE")
    key, about = _key(args), read_about(args.about)
    checkpoint = load(args.checkpoint)
    network = checkpoint.build()
    clips, synth = _footage(args, checkpoint.train)
    pictures = gather(clips, synth, network.config.raster, args.cache)
    made = make_bundle(network, about, pictures, args.out, _say)
    signed = _signed(made.path, key)
    stream = compare(network, made.path, [one_stream([*pictures.held_out])])
    size = (made.path / TFLITE_FILE).stat().st_size
    print(f"{made.path}: {made.card.model_id}, {size} bytes int8, {len(made.card.states)} states tied{signed}")
    print("operators, all int8: " + ", ".join(f"{count} {name}" for name, count in made.operators.items()))
    print(
        f"calibrated on {clips or 'no real clips'} and {synth or 'no rendered clips'}; the best of each file is taken"
    )
    print(_table(made.card.trials))
    print(f"held-out clips ({made.card.quantization['method']}): {made.agreement}")
    print(f"one stream, no reset: {stream}")
    print(f"next: fallwatch parity {made.path} --checkpoint {args.checkpoint}")


def _key(args: argparse.Namespace) -> PrivateKey | None:
    """The key to sign with, read before anything takes its time."""
    if args.key is None:
        return None
    from quantize.signing import read_private_key

    return read_private_key(args.key)


def _signed(bundle: Path, key: PrivateKey | None) -> str:
    if key is None:
        return ""
    from quantize.signing import sign_bundle

    return f", signed by {sign_bundle(bundle, key).fingerprint}"


def _footage(args: argparse.Namespace, trained: dict[str, Any]) -> tuple[Path | None, Path | None]:
    """Table and folder to calibrate on: as given, else as the checkpoint was trained, where that is still there.

    A network that learned from rendered clips alone meets real rooms on the wall: real clips calibrate it all the same.
    """
    named = _first(trained.get("clips"))
    trained_clips = (named if named.is_file() else None) if named else (CLIPS if CLIPS.is_file() else None)
    trained_synth = _first(trained.get("synth"))
    synth = args.synth or (trained_synth if trained_synth and trained_synth.is_dir() else None)
    return args.clips or trained_clips, synth


def _table(trials: Sequence[Trial]) -> str:
    """The calibration methods each int8 file was chosen from, on held-out clips; > marks the chosen."""
    rows = [f"  {'file':<16}{'calibration':<18}{'same label':>10}{'|dp| p50':>10}{'p99':>8}{'largest':>9}"]
    for one in trials:
        mark = ">" if one.chosen else " "
        rows.append(
            f"{mark} {one.file:<16}{one.method:<18}{one.argmax_agreement:>10.2%}{one.difference_p50:>10.4f}"
            f"{one.difference_p99:>8.4f}{one.difference_max:>9.3f}"
        )
    return "\n".join(rows)


def _first(named: str | Sequence[str] | None) -> Path | None:
    """Of the tables or folders of a training, the first: one is enough to calibrate on."""
    if not named:
        return None
    return Path(named if isinstance(named, str) else named[0])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
