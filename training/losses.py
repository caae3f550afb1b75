"""What a network is trained to do: sums and counts, so that several processes can add theirs up before dividing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from device.labels import FALLING, INDEX

LABELS_LOSS: Final = "labels"

WEIGHTS: Final = {LABELS_LOSS: 1.0, "mask": 0.2, "presence": 0.1, "height": 0.1}
"""Of each part in the whole loss. The auxiliary ones are small: they are there for the features, not for their own
sake."""

Part = tuple[Tensor, Tensor]
"""Sum of a loss over the places that count, and how many count: two scalars."""

SMOOTHING: Final = 0.05
"""Of the target, spread over all labels alike (MODEL.md II.5: 0.05-0.1)."""


def set_loss(logits: Tensor, allowed: Tensor, begun: Tensor, weight: Tensor, smoothing: float = SMOOTHING) -> Part:
    """Minus the log of the probability of all allowed labels together; `falling` instead where a fall has begun.

    logits: float (b, t, labels). allowed: bool alike. begun: float (b, t), 0..1, how much of the target is `falling`.
    weight: float (b, t). smoothing: how much of the target is every label alike.
    """
    log = logits.float().log_softmax(-1)
    among = -log.masked_fill(~allowed, -torch.inf).logsumexp(-1)
    fall = -log[..., INDEX[FALLING]]
    told = torch.where(begun > 0, (1 - begun) * among + begun * fall, among)
    loss = (1 - smoothing) * told + smoothing * -log.mean(-1)
    return (loss * weight).sum(), weight.sum()


def mask_loss(logits: Tensor, mask: Tensor, known: Tensor) -> Part:
    """Cross-entropy of the share of each cell that shows a person. logits, mask: (b, t, 1, h, w). known: bool (b,)."""
    loss = F.binary_cross_entropy_with_logits(logits[known].float(), mask[known], reduction="none")
    return loss.mean((1, 2, 3, 4)).sum(), known.sum().float()


def presence_loss(logit: Tensor, presence: Tensor, known: Tensor) -> Part:
    """Cross-entropy of somebody being seen. logit, presence: (b, t). known: bool (b, t)."""
    loss = F.binary_cross_entropy_with_logits(logit[known].float(), presence[known], reduction="sum")
    return loss, known.sum().float()


def height_loss(said: Tensor, height: Tensor) -> Part:
    """Smooth L1, bent at 0.1 (20 cm), of the lowest head's height in units of 2 m. (b, t), nan where unknown."""
    known = ~height.isnan()
    return F.smooth_l1_loss(said[known].float(), height[known], reduction="sum", beta=0.1), known.sum().float()


def loss_parts(
    logits: Tensor, said: Mapping[str, Tensor], batch: Mapping[str, Tensor], smoothing: float
) -> dict[str, Part]:
    """Every part of the loss by name; `said` is what the auxiliary heads answered, `batch` the fields of a Batch."""
    parts = {LABELS_LOSS: set_loss(logits, batch["allowed"], batch["begun"], batch["weight"], smoothing)}
    if "mask" in said:
        parts["mask"] = mask_loss(said["mask"], batch["mask"], batch["has_mask"])
    if "presence" in said:
        parts["presence"] = presence_loss(said["presence"], batch["presence"], batch["has_presence"])
    if "height" in said:
        parts["height"] = height_loss(said["height"], batch["height"])
    return parts
