"""The solid body: capsules that carry mass and touch the room, and ellipsoids that only round off a capsule person."""

from __future__ import annotations

from dataclasses import dataclass

from training.synth.build import HAND, Build, Xyz


@dataclass(frozen=True, slots=True)
class Piece:
    """One geom in shares of body height: a capsule between two points, or an ellipsoid when `size` is given."""

    part: str
    start: Xyz
    end: Xyz
    radius: float
    cloth: str
    mass_share: float
    size: Xyz | None = None
    solid: bool = True


def _across(part: str, place: Xyz, half: float, radius: float, mass_share: float) -> Piece:
    """A capsule lying across the trunk whose ends stand `half` from the middle line."""
    x, _, z = place
    cloth = "trousers" if part == "pelvis" else "shirt"
    return Piece(part, (x, -half, z), (x, half, z), radius, cloth, mass_share)


def trunk(build: Build) -> list[Piece]:
    """Pelvis, belly, chest, neck and head; masses as shares of body mass (Winter, table 4.1)."""
    b = build
    return [
        _across("pelvis", (b.pelvis_x, 0, b.pelvis_z), b.pelvis_half, b.pelvis_r, 0.142),
        _across("chest", (b.belly_x, 0, 0.03), b.belly_half, b.belly_r, 0.139),
        _across("chest", (b.chest_x, 0, 0.13), b.chest_half, b.chest_r, 0.216),
        Piece("head", (0, 0, -0.01), (0.006, 0, 0.05), 0.030, "skin", 0.01),
        Piece("head", (b.head[0], 0, b.head[2] - 0.006), (b.head[0], 0, b.head[2] + 0.006), b.head_r, "skin", 0.071),
    ]


def trunk_cover(girth: float, hair: bool) -> list[Piece]:
    """What rounds off the trunk of a capsule person; touches nothing and weighs nothing."""
    w, top = girth, 0.203
    pieces = [
        Piece("pelvis", (0, 0, 0.07), (0, 0, 0), 0, "shirt", 0.0, (0.062 * w, 0.088 * w, 0.075), solid=False),
        Piece("chest", (0.005 * w, 0, 0.10), (0, 0, 0), 0, "shirt", 0.0, (0.066 * w, 0.100 * w, 0.125), solid=False),
        Piece("chest", (-0.005, -0.085, top - 0.008), (-0.005, 0.085, top - 0.008), 0.034, "shirt", 0.0, solid=False),
        Piece("head", (0.062, 0, 0.088), (0.066, 0, 0.082), 0.010, "skin", 0.0, solid=False),
    ]
    if hair:
        pieces.append(Piece("head", (-0.006, 0, 0.112), (0, 0, 0), 0, "hair", 0.0, (0.058, 0.057, 0.056), solid=False))
    return pieces


def limbs(side: str, build: Build, sleeve: str, leg: str) -> list[Piece]:
    """One arm and one leg; sleeve and leg are the cloths of forearm and shin."""
    b, sole = build, 0.039 - build.foot_height
    return [
        Piece(f"{side}_upper_arm", (0, 0, 0), (0, 0, -b.upper_arm), b.upper_arm_r, "shirt", 0.028),
        Piece(f"{side}_forearm", (0, 0, 0), (0, 0, -b.forearm + 0.01), b.forearm_r, sleeve, 0.016),
        Piece(
            f"{side}_forearm",
            (0.004, 0, -b.forearm - 0.012),
            (0.010, 0, -b.forearm - HAND + 0.024),
            0.019,
            "skin",
            0.006,
        ),
        Piece(f"{side}_thigh", (0, 0, -0.01), (0, 0, -b.thigh), b.thigh_r, "trousers", 0.100),
        Piece(f"{side}_shin", (0, 0, 0), (0, 0, -b.shin), b.shin_r, leg, 0.0465),
        Piece(
            f"{side}_foot", (b.heel + 0.018, 0, sole - 0.020), (b.toe - 0.018, 0, sole - 0.022), 0.018, "shoes", 0.0145
        ),
    ]


def limb_cover(side: str, skirt: bool) -> list[Piece]:
    """What rounds off a capsule person's foot, and the skirt over the thighs."""
    pieces = [Piece(f"{side}_foot", (0.03, 0, -0.016), (0, 0, 0), 0, "shoes", 0.0, (0.078, 0.030, 0.023), solid=False)]
    if skirt:
        size = (0.085, 0.075, 0.16)
        pieces.append(Piece(f"{side}_thigh", (0, 0, -0.15), (0, 0, 0), 0, "trousers", 0, size, solid=False))
    return pieces
