"""Clips of the first generator (format 1) as clips of today: `python -m training.synth.upgrade OLD NEW`.

The first generator's people were capsules: simpler, and cheap to render. A mask then told no one person from another
and heads had no heights, so everybody is the first person here and heights are unknown.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from tqdm import tqdm

from training.pieces import pieces_in
from training.synth.clip import FORMAT, PEOPLE, Clip, save_clip

OLD_FORMAT: Final = 1


def upgraded(path: Path) -> Clip:
    """A clip of format 1, read as one of today's. Raises ValueError naming the file when it is not a whole one."""
    try:
        with np.load(path, allow_pickle=False) as parts:
            meta = json.loads(parts["meta"].tobytes())
            if meta.get("format") != OLD_FORMAT:
                raise ValueError(f"it holds clip format {meta.get('format')}, expected {OLD_FORMAT}")
            grey, label = parts["grey"], parts["label"]
            owner = np.unpackbits(parts["mask"], axis=-1)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a whole clip of the first generator ({error}); leave it out") from error
    height = np.full((len(label), PEOPLE), np.nan, np.float32)
    # All cameras then were 4:3, so that the picture fills the raster.
    content = [0, 0, grey.shape[2], grey.shape[1]]
    return Clip(grey, owner, label, height, {**meta, "format": FORMAT, "content": content})


def main(arguments: Sequence[str] | None = None) -> int:
    """Write NEW/old_<name> for every clip of OLD that is not there yet; 0, or 1 with one sentence."""
    parser = argparse.ArgumentParser(prog="python -m training.synth.upgrade", description="Read old clips as new ones.")
    parser.add_argument("old", type=Path, help="folder of clips by `fallwatch synth` of version 0.1")
    parser.add_argument("new", type=Path, help="folder for the same clips in today's format; made if absent")
    args = parser.parse_args(arguments)
    try:
        paths = pieces_in(args.old, "clip_*.npz")
        args.new.mkdir(parents=True, exist_ok=True)
        for path in tqdm(paths, desc="upgrade", unit="clip"):
            target = args.new / f"old_{path.name}"
            if not target.exists():
                save_clip(upgraded(path), target)
    except (ValueError, OSError) as error:
        print(f"training.synth.upgrade: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
