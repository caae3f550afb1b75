"""Clips of the first generator go on being useful."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from device.labels import FALLING, INDEX, UPRIGHT
from training.synth.clip import load_clip
from training.synth.upgrade import main


def old_clip(path: Path, format_: int = 1) -> np.ndarray:
    """A clip as version 0.1 wrote it: somebody in the middle third, who falls in the last steps."""
    grey = np.random.default_rng(3).integers(0, 255, (12, 96, 128), np.uint8)
    mask = np.zeros(grey.shape, bool)
    mask[:, 30:60, 40:80] = True
    label = np.array([INDEX[UPRIGHT]] * 8 + [INDEX[FALLING]] * 4, np.uint8)
    meta = np.frombuffer(json.dumps({"format": format_, "seed": 1}).encode(), np.uint8)
    np.savez_compressed(path, grey=grey, mask=np.packbits(mask, axis=-1), label=label, meta=meta)
    return grey


def test_an_old_clip_is_read_as_one_of_today_with_heights_unknown(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    grey = old_clip(tmp_path / "old" / "clip_000007.npz")
    assert main([str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    clip = load_clip(tmp_path / "new" / "old_clip_000007.npz")
    assert np.array_equal(clip.grey, grey)
    assert clip.mask.sum() == 12 * 30 * 40
    assert clip.mask[:, 30:60, 40:80].all()
    assert clip.label.tolist() == [INDEX[UPRIGHT]] * 8 + [INDEX[FALLING]] * 4
    assert np.isnan(clip.height).all()
    assert clip.meta == {"format": 2, "seed": 1, "content": [0, 0, 128, 96]}


def test_a_clip_of_another_format_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old").mkdir()
    old_clip(tmp_path / "old" / "clip_000001.npz", format_=2)
    assert main([str(tmp_path / "old"), str(tmp_path / "new")]) == 1
    assert "clip_000001.npz is not a whole clip of the first generator" in capsys.readouterr().err
    assert not list((tmp_path / "new").glob("*.npz"))
