"""A training run on disk: weights, the shape they belong to, the settings that made them, what was measured.

Plain tensors, numbers and strings only, so that opening a checkpoint runs no code of whoever made it.
"""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from device.preprocess import Raster
from training.networks import BlockConfig, FallNetwork, NetworkConfig, build
from training.written import whole

FORMAT = 1

UNREADABLE = (
    OSError, RuntimeError, EOFError, KeyError, TypeError, AttributeError, ValueError, pickle.UnpicklingError
)  # fmt: skip
"""What torch.load and the building of a config raise for a file that is no checkpoint, or half of one."""


class CheckpointError(ValueError):
    """A file that is no usable checkpoint; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One network as it stood after some steps.

    weights: the averaged ones, the ones to use. train: settings as plain values. step: optimizer steps done.
    metrics: figures on the held-back rendered clips. progress: what a resumed run needs, else empty.
    """

    network: NetworkConfig
    weights: dict[str, Tensor]
    train: dict[str, Any]
    step: int
    metrics: dict[str, float] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)

    def build(self) -> FallNetwork:
        """The network with these weights, in eval mode."""
        network = build(self.network)
        network.load_state_dict(self.weights)
        network.dropped = tuple(self.train.get("drop_channel", ()))
        return network.eval()


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write whole, then name: a reader never sees half a file, and one that cannot be written leaves the last good one.

    Raises CheckpointError with one sentence, e.g. for a full disk.
    """
    content = {f.name: getattr(checkpoint, f.name) for f in dataclasses.fields(checkpoint)}
    saved = io.BytesIO()
    torch.save({**content, "network": dataclasses.asdict(checkpoint.network), "format": FORMAT}, saved)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial, partial.open("wb") as file:
            file.write(saved.getbuffer())
            file.flush()
            # A name that outlives a power cut while its content does not would be a checkpoint lost.
            os.fsync(file.fileno())
    except OSError as error:
        before = "the one before is still there" if path.exists() else "there was none before"
        raise CheckpointError(f"{path}: cannot be written ({error.strerror}); {before}") from None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises CheckpointError with one sentence."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content.pop("format", None) != FORMAT:
            raise CheckpointError(f"{path}: not a checkpoint of this version; train again, or use the version it is of")
        return Checkpoint(**{**content, "network": network_config(content["network"])})
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; name a checkpoint made by fallwatch train") from None
    except CheckpointError:
        raise
    except UNREADABLE as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: cannot be read as a checkpoint ({reason}); copy or train it again") from None


def network_config(values: dict[str, Any]) -> NetworkConfig:
    """The shape from plain values, as written by `save`; a field that is not named there has its default."""
    built: dict[str, Any] = {
        **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()},
        "raster": Raster(**values["raster"]),
        "blocks": tuple(BlockConfig(**block) for block in values["blocks"]),
    }
    return NetworkConfig(**built)
