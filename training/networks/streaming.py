"""What every network is to the rest of the project: a window form for training, a step form for the unit."""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from device.labels import LABELS
from training.networks.auxiliary import AuxiliaryHeads
from training.networks.config import NetworkConfig
from training.networks.layers import ConvNorm, Pixels, StateShape


class FallNetwork(nn.Module, ABC):
    """Seven logits a step from grey level and differences; the order is device.labels.LABELS.

    A family says how frames become one feature vector a step, in both forms; the labels and the training-only heads on
    top of it are the same for all.

    READS: fields of NetworkConfig that a command line may set for it. HAS_AUXILIARY: it can have training-only heads.
    STATE: what it keeps from step to step, in words. dropped: input channels (training.channels) that it was trained
    with at zero, and that whoever scores with it leaves at zero.
    """

    READS: ClassVar[frozenset[str]]
    HAS_AUXILIARY: ClassVar[bool] = False
    STATE: ClassVar[str]
    dropped: tuple[str, ...] = ()

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.dropout = nn.Dropout(config.dropout)
        self.labels = nn.Conv2d(config.head, len(LABELS), 1)

    @staticmethod
    @abstractmethod
    def look_back(config: NetworkConfig) -> int:
        """How many steps before the present one can still change its scores."""

    @abstractmethod
    def features(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Float (batch, time, 3, height, width) -> features (batch * time, head, 1, 1), and the mask head's map."""

    @abstractmethod
    def step_features(self, x: Tensor, past: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(1, 3, height, width) and the states -> features (1, head, 1, 1) and the states of the next step."""

    @abstractmethod
    def state_shapes(self) -> list[StateShape]:
        """(1, steps of the past, pixels, channels) of each state, channels last, in the order of `step_features`."""

    @property
    def mask_size(self) -> Pixels:
        """Height and width of the mask head's answer. Raises ValueError where the family has none."""
        raise ValueError(f"network family {self.config.family!r} has no mask head")

    def window(self, x: Tensor) -> Tensor:
        """Float (batch, time, 3, height, width) in 0..1 -> logits (batch, time, labels); before the window, zeros."""
        return self._logits(self.features(x)[0], x)

    def window_with_aux(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """As `window`, and what each head of config.aux says: see AuxiliaryHeads.answers. No heads: an empty dict."""
        features, feature_map = self.features(x)
        if not self.config.aux or feature_map is None:
            return self._logits(features, x), {}
        heads: AuxiliaryHeads = self.aux
        return self._logits(features, x), heads.answers(features, feature_map, len(x))

    forward = window

    def _logits(self, features: Tensor, x: Tensor) -> Tensor:
        logits: Tensor = self.labels(self.dropout(features))
        return logits.reshape(x.shape[0], x.shape[1], len(LABELS))

    def _add_auxiliary(self, map_channels: int) -> None:
        """Called last by a family that has them: without aux, no weight and no random number differs."""
        if self.config.aux:
            self.aux = AuxiliaryHeads(self.config.aux, map_channels, self.config.head)


class Step(nn.Module):
    """One frame through a network whose past is handed in and handed back: what the unit's graph is made from.

    Input `frame` float (1, height, width, 3) in 0..1 and `state_00`, `state_01`, ...; output a dict of `logits`
    (1, labels) and `next_00`, `next_01`, ..., each of the shape of its state. Fold the batch norms first.
    """

    def __init__(self, network: FallNetwork) -> None:
        super().__init__()
        self.network = network.eval()

    @property
    def state_names(self) -> list[str]:
        """state_00, state_01, ... in the network's order; two digits, so that sorting keeps the order."""
        return [f"state_{index:02d}" for index in range(len(self.network.state_shapes()))]

    def initial_states(self) -> dict[str, Tensor]:
        """Zeros: what every state is before the first frame, and after a gap."""
        return {name: torch.zeros(s) for name, s in zip(self.state_names, self.network.state_shapes(), strict=True)}

    def forward(self, frame: Tensor, **states: Tensor) -> dict[str, Tensor]:
        network = self.network
        features, following = network.step_features(
            frame.permute(0, 3, 1, 2), [states[name] for name in self.state_names]
        )
        answer = {"logits": network.labels(features).permute(0, 2, 3, 1).reshape(1, len(LABELS))}
        return answer | {f"next_{index:02d}": state for index, state in enumerate(following)}

    def follow(self, answer: dict[str, Tensor]) -> dict[str, Tensor]:
        """The states of the next step, taken from the answer of this one."""
        return {name: answer[name.replace("state", "next")] for name in self.state_names}


def fold_batchnorm(network: FallNetwork) -> FallNetwork:
    """A copy in eval mode, batch norms folded into their convolutions, training-only heads gone; the same logits."""
    folded = copy.deepcopy(network).eval()
    if folded.config.aux:
        folded.config = dataclasses.replace(folded.config, aux=())
        del folded.aux
    for part in folded.modules():
        if isinstance(part, ConvNorm):
            part.fold()
    return folded
