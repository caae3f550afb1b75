"""An onnxruntime with a GPU that is not there, and bundles made wrong on purpose: what tests of runtimes share."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest
from numpy.typing import NDArray

from device.card import CARD_FILE, sha256

GPU = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def reseal(bundle: Path, name: str) -> None:
    """Write a file's hash into the card, added if it is not listed."""
    card = bundle / CARD_FILE
    kept = [line for line in card.read_text().splitlines() if not line.startswith(f'"{name}"')]
    card.write_text("\n".join([*kept, f'"{name}" = "{sha256(bundle / name)}"']) + "\n")


class Gpu:
    """Stands for an onnxruntime with a GPU: says it has the providers, keeps what it was asked, computes on the CPU.

    Memory "on the GPU" is a copy, as ONNX Runtime documents it, so whoever forgets to bring a picture there is seen.
    """

    def __init__(self, patch: pytest.MonkeyPatch, providers: list[str]) -> None:
        self.asked: list[Any] = []
        self.options: list[Any] = []
        self.starts = set(providers)
        self.chatter = ""
        self._session = onnxruntime.InferenceSession
        self._value = onnxruntime.OrtValue.ortvalue_from_numpy
        patch.setattr(onnxruntime, "get_available_providers", lambda: providers)
        patch.setattr(onnxruntime, "InferenceSession", self.session)
        patch.setattr(onnxruntime, "OrtValue", SimpleNamespace(ortvalue_from_numpy=self.value))

    def session(self, model: bytes, options: Any, *, providers: list[Any], enable_fallback: int) -> Any:
        assert not enable_fallback, "ONNX Runtime would go on elsewhere by itself"
        self.asked.append(providers)
        self.options.append(options)
        os.write(2, self.chatter.encode())
        session = self._session(model, options, providers=["CPUExecutionProvider"])
        session.get_providers = lambda: [name for name, _ in providers if name in self.starts]
        return session

    def value(self, array: NDArray[Any], device: str = "cpu", number: int = 0) -> Any:
        return self._value(array if device == "cpu" else array.copy(), "cpu", number)
