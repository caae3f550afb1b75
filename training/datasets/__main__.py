"""`python -m training.datasets NAME FOLDER -o table.csv`: a table in the form of data/clips.csv from a public dataset.

0: the table is written; 1: clips were refused (and nothing written, unless --skip-refused) or there are none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from training.clip import ClipTableError
from training.datasets.catalogue import DATASETS
from training.datasets.rows import sort_out, write_table


def main(arguments: list[str] | None = None) -> int:
    """Read, refuse by name, write; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.datasets",
        description="Make a table of clips from the folder of a public dataset. Layouts: docs/data.md.",
        epilog="example: python -m training.datasets gmdcsa24 ~/GMDCSA24 -o ~/gmdcsa24.csv",
    )
    parser.add_argument("name", choices=sorted(DATASETS), help="which dataset")
    parser.add_argument("folder", type=Path, help="where it lies, as its owners ship it")
    parser.add_argument("-o", "--out", type=Path, required=True, help="table to write")
    parser.add_argument(
        "--skip-refused", action="store_true", help="write the table without the clips that are refused"
    )
    args = parser.parse_args(arguments)
    dataset = DATASETS[args.name]
    if not args.folder.is_dir():
        print(f"{args.folder}: no such folder; name the one that holds {args.name}", file=sys.stderr)
        return 2
    root = args.out.parent
    good, refused = sort_out(dataset, iter(tqdm(dataset.read(args.folder), desc=args.name, unit="clip")), root)
    for one in refused:
        print(f"refused: {one}", file=sys.stderr)
    if not good or (refused and not args.skip_refused):
        print(f"{args.name}: {len(refused)} refused of {len(good) + len(refused)}, no table written; put them right"
              f"{', or leave them out with --skip-refused' if good else ''}", file=sys.stderr)  # fmt: skip
        return 1
    try:
        clips = write_table(good, args.out)
    except ClipTableError as error:
        print(error, file=sys.stderr)
        return 1
    falls = sum(clip.fall for clip in clips)
    use = "may be trained on" if dataset.split == "train" else "for evaluation only"
    print(f"{args.out}: {len(clips)} clips, {falls} falls, {use}; {len(refused)} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main())
