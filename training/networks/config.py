"""What shape a network has: one frozen config for every family, and the way it is written on a command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from device.preprocess import Raster

AUXILIARY: Final = ("mask", "presence", "height")
"""Heads that only training has; see training.networks.auxiliary."""


@dataclass(frozen=True, slots=True)
class BlockConfig:
    """One inverted-residual block: channels out, expansion, spatial stride, temporal dilation in steps."""

    width: int
    expansion: int
    stride: int = 1
    dilation: int = 1


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Everything the shape of a network depends on. The defaults are 219 k parameters and 8.0 MMAC a step.

    family: a name of training.networks.FAMILIES, which also says which of the other fields that family reads.
    temporal: kernel of every temporal convolution, in steps. head: channels of the feature vector of a step.
    head_dilations: temporal layers after spatial pooling. pools: lengths of tpool's temporal pooling, in steps, the
    present one included. dropout: on the features before the labels, training only. aux: training-only heads.
    """

    family: str = "r2plus1d"
    raster: Raster = Raster()  # noqa: RUF009 - frozen, so sharing one default is safe
    stem: tuple[int, int] = (16, 24)
    blocks: tuple[BlockConfig, ...] = (
        BlockConfig(24, 2),
        BlockConfig(32, 3, stride=2),
        BlockConfig(40, 4),
        BlockConfig(64, 4, stride=2),
        BlockConfig(64, 4, dilation=2),
        BlockConfig(96, 4, dilation=2),
    )
    temporal: int = 3
    head: int = 128
    head_dilations: tuple[int, ...] = (1, 2, 4, 8)
    pools: tuple[int, ...] = (10, 20, 40)
    dropout: float = 0.1
    aux: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        from training.networks.families import FAMILIES

        if self.family not in FAMILIES:
            raise ValueError(f"network family {self.family!r} is none of {', '.join(FAMILIES)}")
        if self.temporal < 2 or not self.blocks or not self.head_dilations:
            raise ValueError("a network wants a temporal kernel of 2 or more, a block and a temporal head layer")
        if len(self.stem) != 2 or min(*self.stem, self.head, *self.head_dilations) < 1:
            raise ValueError("a network wants two stem widths, and widths and dilations of 1 or more")
        if not self.pools or min(self.pools) < 2:
            raise ValueError(f"temporal pooling over {self.pools} steps; name lengths of 2 or more")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout {self.dropout} is outside 0..1")
        wrong = [name for name in self.aux if name not in AUXILIARY]
        if wrong or len(set(self.aux)) < len(self.aux):
            raise ValueError(f"auxiliary heads {', '.join(self.aux)}: name each once, of {', '.join(AUXILIARY)}")
        if self.aux and not FAMILIES[self.family].HAS_AUXILIARY:
            raise ValueError(f"network family {self.family!r} has no auxiliary heads; train it without --aux")

    @property
    def look_back_steps(self) -> int:
        """How many steps before the present one can still change its scores (the input's own differences apart)."""
        from training.networks.families import FAMILIES

        return FAMILIES[self.family].look_back(self)


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("-"))


WRITTEN: Final[dict[str, Callable[[str], Any]]] = {
    "stem": _integers,
    "temporal": int,
    "head": int,
    "head_dilations": _integers,
    "pools": _integers,
    "dropout": float,
}
"""The fields that a command line may set, and how each is read; lists are written 1-2-4."""


def parse_network(text: str, aux: Sequence[str] = ()) -> NetworkConfig:
    """`family[:key=value,...]`, e.g. r2plus1d:head_dilations=1-2-4-8-16,dropout=0.1 -> the config.

    Raises ValueError with one sentence for an unknown family, a key which that family does not read, or a bad value.
    """
    from training.networks.families import FAMILIES

    family, _, rest = text.partition(":")
    config = NetworkConfig(family=family)
    reads = [name for name in WRITTEN if name in FAMILIES[family].READS]
    values: dict[str, Any] = {}
    for item in rest.split(",") if rest else ():
        key, equals, value = item.partition("=")
        if not equals or key not in reads:
            raise ValueError(f"network {text!r}: {item!r} is no key=value of {family}; its keys are {', '.join(reads)}")
        try:
            values[key] = WRITTEN[key](value)
        except ValueError:
            raise ValueError(f"network {text!r}: {value!r} is no value of {key}; write e.g. {_example(key)}") from None
    return dataclasses.replace(config, **values, aux=tuple(aux))


def _example(key: str) -> str:
    default = getattr(NetworkConfig(), key)
    return f"{key}={'-'.join(map(str, default)) if isinstance(default, tuple) else default}"
