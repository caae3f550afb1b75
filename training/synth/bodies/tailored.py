"""Clothes cut from the base mesh's own helper shells, tights and skirt: skirts, nightgowns, pyjamas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synth.bodies.files import Fit, Flags, Floats, Ints, Mesh
from training.synth.bodies.rig import PARTS

KNEE_Y: Final = -3.9
CALF_Y: Final = -5.6
ANKLE_Y: Final = -7.2
HIP_Y: Final = 1.0
NECK_Y: Final = 5.9
"""Heights on the unshaped base mesh in decimetres over its origin, which lies at the hip joints."""
WRIST_X: Final = 4.2
"""How far the wrists of the unshaped base mesh stand from its middle plane, in decimetres."""


@dataclass(frozen=True)
class Cut:
    """What is left of the two shells: down to the hem, arms to the elbow or the wrist.

    skirt: a skirt hangs from the hip, else tights go on; top: whether the trunk is covered too.
    """

    hem_y: float
    skirt: bool = True
    top: bool = True
    long_sleeves: bool = False


CUTS: Final = {
    "skirt": Cut(KNEE_Y, top=False),
    "long_skirt": Cut(CALF_Y, top=False),
    "nightgown": Cut(CALF_Y),
    "long_nightgown": Cut(ANKLE_Y, long_sleeves=True),
    "hospital_shirt": Cut(KNEE_Y),
    "pyjamas": Cut(ANKLE_Y, skirt=False, long_sleeves=True),
}


def _pull(weights: Floats, *parts: str) -> Floats:
    """How much of each vertex the named parts pull; a name without a side means both."""
    return np.asarray(weights[:, [i for i, part in enumerate(PARTS) if part in parts or part[2:] in parts]].sum(axis=1))


def covered(cut: Cut, places: Floats, weights: Floats) -> Flags:
    """Which base vertices lie under a cut; places: of the unshaped base mesh, in decimetres."""
    y = places[:, 1]
    arms = _pull(weights, "upper_arm", "forearm") > 0.5
    bare = np.abs(places[:, 0]) > WRIST_X if cut.long_sleeves else _pull(weights, "forearm") > 0.5
    trunk = ~arms & (y > cut.hem_y) & (y < (NECK_Y if cut.top else HIP_Y))
    return np.asarray((trunk | (arms & ~bare & cut.top)) & (_pull(weights, "head") < 0.5))


def cut_triangles(mesh: Mesh, cut: Cut, weights: Floats) -> Ints:
    """The triangles of the helper shells that make up a cut."""
    inside = covered(cut, mesh.vertices, weights)[mesh.triangles].all(axis=1)
    tights, skirt = mesh.group == "helper-tights", mesh.group == "helper-skirt"
    y = mesh.vertices[mesh.triangles, 1]
    # Not the mean: the two triangles of a quadrangle must fall on the same side of a hem.
    middle = 0.5 * (y.max(axis=1) + y.min(axis=1))
    if not cut.skirt:
        return np.flatnonzero(tights & inside)
    over_skirt = tights & inside & (middle > HIP_Y - 0.6)
    return np.flatnonzero((skirt & (middle > cut.hem_y)) | (over_skirt & cut.top))


def cloth_uv(places: Floats) -> Floats:
    """Texture coordinates of cloth cut from a bolt of 1 m a unit, (n, 2); the shells' own would stretch a pattern."""
    return np.stack([places[:, 0] + places[:, 2], places[:, 1]], axis=1) * 0.1


def own_fit(mesh: Mesh, hides: Ints) -> Fit:
    """The fit of the base mesh to itself: each vertex hangs on itself alone."""
    count = len(mesh.vertices)
    alone = np.tile(np.array([1.0, 0.0, 0.0]), (count, 1))
    scale = tuple((0, 1, 1.0) for _ in range(3))
    return Fit(np.repeat(np.arange(count)[:, None], 3, axis=1), alone, np.zeros((count, 3)), scale, hides)
