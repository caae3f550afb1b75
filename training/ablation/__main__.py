"""Compare variants of the network: `python -m training.ablation --synth DIR --clips clips.csv --steps N`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from device.errors import FallwatchError
from training.ablation.comparison import compare, planned
from training.ablation.variants import VARIANTS, chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all chosen variants are compared; 1: one failed, or something is no good."""
    parser = argparse.ArgumentParser(prog="python -m training.ablation", description="Compare variants of the network.")
    parser.epilog = "example: python -m training.ablation --synth synth --clips ../shared/data/clips.csv --steps 700"
    add = parser.add_argument
    add("--synth", type=Path, action="append", required=True, help="folder of rendered clips; repeatable")
    add("--clips", type=Path, action="append", required=True, help="table of real clips; repeatable")
    add("--out", type=Path, default=Path("runs/ablation"), help="folder of all runs and of the report")
    add("--steps", type=int, required=True, help="optimizer steps of every variant")
    add("--batch", type=int, default=0, help="windows in a batch, of 40 steps each (default: the usual shapes)")
    add("--only", default="", metavar="NAME,...", help=f"of {', '.join(v.name for v in VARIANTS)} (default: all)")
    add("--threads", type=int, default=2, help="CPU threads that train (default 2)")
    args = parser.parse_args(arguments)
    try:
        variants = chosen([name for name in args.only.split(",") if name])
        failed = compare(variants, planned(args))
    except (FallwatchError, ValueError, OSError) as error:
        print(f"training.ablation: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 1
    if failed:
        names = ", ".join(failed)
        print(f"training.ablation: {names} failed, see above; the same command tries again", file=sys.stderr)
        return 1
    print(args.out / "ablation.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
