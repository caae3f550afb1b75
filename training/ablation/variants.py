"""The table of variants: each differs from the baseline in one thing, and in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Variant:
    """One training of the comparison.

    group: what is asked of it. network: as training.networks.parse_network reads it. aux: training-only heads. drop:
    input channel left at zero. share: of the rendered clips, 0..1. seed: of everything random.
    """

    name: str
    group: str
    what: str
    network: str = "r2plus1d"
    aux: str = ""
    drop: str = ""
    share: float = 1.0
    seed: int = 1

    def clips(self, there: int) -> int:
        """Rendered clips it may draw on, of those that there are."""
        return max(1, int(self.share * there))

    def options(self, clips: int) -> list[str]:
        """What `training.train` is told besides where things lie; clips: rendered clips that there are."""
        said = [
            "--network",
            self.network,
            "--seed",
            str(self.seed),
            "--max-clips",
            str(max(1, int(self.share * clips))),
        ]
        said += ["--aux", self.aux] if self.aux else []
        return said + (["--drop-channel", self.drop] if self.drop else [])


BASELINE: Final = "baseline"
SECOND_SEED: Final = "baseline-seed2"

VARIANTS: Final = (
    Variant(BASELINE, "baseline", "r2plus1d, all inputs, all clips, no auxiliary head"),
    Variant(SECOND_SEED, "baseline", "the same with another seed", seed=2),
    Variant("tpool", "network", "2-D network, temporal pooling", network="tpool"),
    Variant("c3d", "network", "plain 3-D network", network="c3d"),
    Variant("cnn_gru", "network", "2-D network, recurrent head", network="cnn_gru"),
    Variant("two_stream", "network", "appearance and motion, late fusion", network="two_stream"),
    Variant("tubelet", "network", "tubelet video transformer", network="tubelet"),
    Variant("cnn_transformer", "network", "2-D network, transformer head", network="cnn_transformer"),
    Variant("no-grey", "input", "without the grey level", drop="grey"),
    Variant("no-short", "input", "without the 0.2 s difference", drop="short"),
    Variant("no-long", "input", "without the 1 s difference", drop="long"),
    Variant("clips-quarter", "volume", "a quarter of the rendered clips", share=0.25),
    Variant("clips-half", "volume", "half of the rendered clips", share=0.5),
    Variant("head-1-2-4", "look-back", "3.0 s instead of 4.6 s", network="r2plus1d:head_dilations=1-2-4"),
    Variant("head-1-2-4-8-16", "look-back", "7.8 s instead of 4.6 s", network="r2plus1d:head_dilations=1-2-4-8-16"),
    Variant("aux-mask", "auxiliary", "a head that says where people are", aux="mask"),
    Variant("aux-presence", "auxiliary", "a head that says whether anybody is there", aux="presence"),
    Variant("aux-height", "auxiliary", "a head that says how high a head is", aux="height"),
    Variant("aux-all", "auxiliary", "all three heads", aux="mask,presence,height"),
)
"""The rows that the baseline stands for itself (all clips, 4.6 s) are not trained again."""


def chosen(names: Sequence[str]) -> list[Variant]:
    """The named variants in the order of the table, all without names. Raises ValueError for one that there is not."""
    known = {variant.name for variant in VARIANTS}
    wrong = [name for name in names if name not in known]
    if wrong:
        raise ValueError(f"no variant {', '.join(wrong)}; there are {', '.join(sorted(known))}")
    return [variant for variant in VARIANTS if not names or variant.name in names]
