"""An articulated person for MuJoCo: proportions, masses, joint limits, clothes.

Lengths and masses as shares of body height and mass: D. A. Winter, Biomechanics and Motor Control of Human Movement
(2009), tables 4.1 and figure 4.1. Joint ranges: everyday ranges of a healthy adult, rounded to 5 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import mujoco
import numpy as np
from numpy.typing import NDArray

Rgb = tuple[float, float, float]
Xyz = tuple[float, float, float]

BODY_BIT: Final = 1
ROOM_BIT: Final = 2

HIP_HEIGHT: Final = 0.530
WAIST_ABOVE_HIP: Final = 0.085
SHOULDER_ABOVE_WAIST: Final = 0.203
THIGH: Final = 0.245
SHIN: Final = 0.246
FOOT_HEIGHT: Final = 0.039
UPPER_ARM: Final = 0.186
FOREARM: Final = 0.146
SHOULDER_HALF: Final = 0.115
HIP_HALF: Final = 0.055


@dataclass(frozen=True, slots=True)
class Joint:
    """One hinge: the part it moves, its axis in that part, its range in degrees, its strength in Nm per radian."""

    name: str
    part: str
    axis: Xyz
    low: float
    high: float
    stiffness: float


def _side(side: str, out: float) -> tuple[Joint, ...]:
    """The joints of one arm and one leg; `out` is +1 on the left, so that abduction is positive on both sides."""
    return (
        Joint(f"{side}_shoulder", f"{side}_upper_arm", (0, -1, 0), -60, 175, 70),
        Joint(f"{side}_arm_out", f"{side}_upper_arm", (out, 0, 0), -20, 150, 70),
        Joint(f"{side}_arm_twist", f"{side}_upper_arm", (0, 0, out), -80, 80, 30),
        Joint(f"{side}_elbow", f"{side}_forearm", (0, -1, 0), 0, 145, 45),
        Joint(f"{side}_hip", f"{side}_thigh", (0, -1, 0), -25, 125, 400),
        Joint(f"{side}_leg_out", f"{side}_thigh", (out, 0, 0), -20, 50, 300),
        Joint(f"{side}_leg_twist", f"{side}_thigh", (0, 0, -out), -40, 40, 120),
        Joint(f"{side}_knee", f"{side}_shin", (0, 1, 0), 0, 150, 350),
        Joint(f"{side}_ankle", f"{side}_foot", (0, -1, 0), -50, 30, 150),
    )


JOINTS: Final = (
    Joint("waist", "chest", (0, 1, 0), -25, 75, 450),
    Joint("waist_side", "chest", (1, 0, 0), -30, 30, 350),
    Joint("waist_twist", "chest", (0, 0, 1), -40, 40, 250),
    Joint("neck", "head", (0, 1, 0), -50, 50, 40),
    Joint("neck_twist", "head", (0, 0, 1), -70, 70, 25),
    *_side("l", 1.0),
    *_side("r", -1.0),
)
"""Order of every joint vector in this package. Positive flexes: thigh and arm forward, heel to buttock, trunk bowed."""

JOINT_INDEX: Final = {joint.name: index for index, joint in enumerate(JOINTS)}
STIFFNESS: Final = np.array([joint.stiffness for joint in JOINTS])


@dataclass(frozen=True, slots=True)
class Look:
    """Colours 0..1 and cut of the clothes."""

    shirt: Rgb
    trousers: Rgb
    skin: Rgb
    hair: Rgb
    shoes: Rgb
    long_sleeves: bool = True
    long_legs: bool = True
    skirt: bool = False
    bald: bool = False
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A person's size and look: height in m, mass in kg, girth (1 is slim average), stoop of the back in degrees."""

    height_m: float
    mass_kg: float
    girth: float
    stoop_deg: float
    look: Look

    @property
    def hip_m(self) -> float:
        """Height of the hip joints over the floor when standing straight, in m."""
        return HIP_HEIGHT * self.height_m

    @property
    def seat_m(self) -> float:
        """Height of the hip joints over what the person sits on, in m."""
        return 0.056 * self.height_m * self.girth


def _colour(rng: np.random.Generator) -> Rgb:
    """A cloth colour: a third dark, the rest of any lightness, saturation mostly low as real wardrobes are."""
    value = rng.uniform(0.04, 0.22) if rng.random() < 0.33 else rng.uniform(0.15, 0.95)
    tint = rng.normal(0.0, 0.35 * value * rng.random(), 3)
    r, g, b = np.clip(value + tint - tint.mean(), 0.02, 1.0)
    return float(r), float(g), float(b)


def random_figure(rng: np.random.Generator) -> Figure:
    """A random adult; old and stooped people are as common as young ones."""
    old = rng.random() < 0.5
    height = float(np.clip(rng.normal(1.67, 0.09), 1.45, 1.92))
    girth = float(rng.uniform(0.88, 1.35))
    tone = float(rng.uniform(0.25, 0.9))
    hair_value = float(rng.uniform(0.55, 0.9) if old and rng.random() < 0.7 else rng.uniform(0.02, 0.4))
    shirt = _colour(rng)
    look = Look(
        shirt=shirt,
        trousers=shirt if rng.random() < 0.15 else _colour(rng),
        skin=(tone, tone * 0.8, tone * 0.66),
        hair=(hair_value, hair_value * 0.92, hair_value * 0.82),
        shoes=_colour(rng),
        long_sleeves=bool(rng.random() < 0.6),
        long_legs=bool(rng.random() < 0.8),
        skirt=bool(rng.random() < 0.15),
        bald=bool(rng.random() < 0.12),
        pattern=str(rng.choice(["", "", "", "stripes", "checks", "spots"])),
    )
    body_mass_index = float(rng.uniform(19, 22) * girth**1.2)
    return Figure(
        height, body_mass_index * height**2, girth, float(rng.uniform(8, 26) if old else rng.uniform(0, 8)), look
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """One geom: a capsule between two points, or an ellipsoid when `size` is given."""

    part: str
    start: Xyz
    end: Xyz
    radius: float
    cloth: str
    mass_share: float
    size: Xyz | None = None
    solid: bool = True


def _trunk(w: float, hair: bool) -> list[_Piece]:
    """Pelvis, belly, chest, neck, head in units of body height; `w` is the girth."""
    top = SHOULDER_ABOVE_WAIST
    pieces = [
        _Piece("pelvis", (0, -0.045, 0.01), (0, 0.045, 0.01), 0.056 * w, "trousers", 0.142),
        _Piece("pelvis", (0, 0, 0.07), (0, 0, 0), 0, "shirt", 0.0, (0.062 * w, 0.088 * w, 0.075), solid=False),
        _Piece("chest", (0, -0.03, 0.03), (0, 0.03, 0.03), 0.056 * w, "shirt", 0.139),
        _Piece("chest", (0, -0.05, 0.13), (0, 0.05, 0.13), 0.060 * w, "shirt", 0.216),
        _Piece("chest", (0.005 * w, 0, 0.10), (0, 0, 0), 0, "shirt", 0.0, (0.066 * w, 0.100 * w, 0.125), solid=False),
        _Piece("chest", (-0.005, -0.085, top - 0.008), (-0.005, 0.085, top - 0.008), 0.034, "shirt", 0.0, solid=False),
        _Piece("head", (0, 0, -0.01), (0.006, 0, 0.05), 0.030, "skin", 0.01),
        _Piece("head", (0.008, 0, 0.092), (0.008, 0, 0.104), 0.052, "skin", 0.071),
        _Piece("head", (0.062, 0, 0.088), (0.066, 0, 0.082), 0.010, "skin", 0.0, solid=False),
    ]
    if hair:
        pieces.append(_Piece("head", (-0.006, 0, 0.112), (0, 0, 0), 0, "hair", 0.0, (0.058, 0.057, 0.056), solid=False))
    return pieces


def _limbs(side: str, w: float, look: Look) -> list[_Piece]:
    """One arm and one leg in units of body height."""
    sleeve = "shirt" if look.long_sleeves else "skin"
    leg = "trousers" if look.long_legs and not look.skirt else "skin"
    thick = 0.5 + 0.5 * w
    pieces = [
        _Piece(f"{side}_upper_arm", (0, 0, 0), (0, 0, -UPPER_ARM), 0.028 * thick, "shirt", 0.028),
        _Piece(f"{side}_forearm", (0, 0, 0), (0, 0, -FOREARM + 0.01), 0.022 * thick, sleeve, 0.016),
        _Piece(f"{side}_forearm", (0.004, 0, -FOREARM - 0.012), (0.010, 0, -FOREARM - 0.055), 0.019, "skin", 0.006),
        _Piece(f"{side}_thigh", (0, 0, -0.01), (0, 0, -THIGH), 0.047 * w, "trousers", 0.100),
        _Piece(f"{side}_shin", (0, 0, 0), (0, 0, -SHIN), 0.031 * thick, leg, 0.0465),
        _Piece(f"{side}_foot", (-0.028, 0, -0.020), (0.095, 0, -0.022), 0.018, "shoes", 0.0145),
        _Piece(f"{side}_foot", (0.03, 0, -0.016), (0, 0, 0), 0, "shoes", 0.0, (0.078, 0.030, 0.023), solid=False),
    ]
    if look.skirt:
        pieces.append(
            _Piece(f"{side}_thigh", (0, 0, -0.15), (0, 0, 0), 0, "trousers", 0, (0.085, 0.075, 0.16), solid=False)
        )
    return pieces


_PART_OF: Final = (
    # part, parent, place in the parent (units of height; y is mirrored on the right)
    ("chest", "pelvis", (0.0, 0.0, WAIST_ABOVE_HIP)),
    ("head", "chest", (0.0, 0.0, SHOULDER_ABOVE_WAIST + 0.015)),
    ("upper_arm", "chest", (0.0, SHOULDER_HALF, SHOULDER_ABOVE_WAIST - 0.012)),
    ("forearm", "upper_arm", (0.0, 0.0, -UPPER_ARM)),
    ("thigh", "pelvis", (0.0, HIP_HALF, 0.0)),
    ("shin", "thigh", (0.0, 0.0, -THIGH)),
    ("foot", "shin", (0.0, 0.0, -SHIN)),
)


def _skeleton(spec: Any, prefix: str, figure: Figure) -> dict[str, Any]:
    """The tree of bodies with their joints; returns part name -> body."""
    h = figure.height_m
    pelvis = spec.worldbody.add_body(name=f"{prefix}pelvis", pos=[0, 0, figure.hip_m])
    pelvis.add_freejoint(name=f"{prefix}root")
    parts = {"pelvis": pelvis}
    for part, parent, (x, y, z) in _PART_OF:
        sides = ("",) if part in ("chest", "head") else ("l_", "r_")
        for side in sides:
            above = parts[parent if parent in ("pelvis", "chest") else side + parent]
            sign = -1.0 if side == "r_" else 1.0
            parts[side + part] = above.add_body(name=f"{prefix}{side}{part}", pos=[x * h, sign * y * h, z * h])
    for joint in JOINTS:
        parts[joint.part].add_joint(
            name=prefix + joint.name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=list(joint.axis),
            range=[np.radians(joint.low), np.radians(joint.high)], limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            damping=[0.012 * joint.stiffness + 0.4, 0, 0], armature=0.01,
        )  # fmt: skip
    return parts


def _materials(spec: Any, prefix: str, look: Look) -> dict[str, str]:
    """One material per cloth; the shirt may carry a pattern. Returns cloth -> material name."""
    names = {}
    for cloth in ("shirt", "trousers", "skin", "hair", "shoes"):
        material = spec.add_material(
            name=f"{prefix}{cloth}", rgba=[*getattr(look, cloth), 1.0], specular=0.1, shininess=0.2
        )
        if cloth == "shirt" and look.pattern:
            texture = spec.add_texture(
                name=f"{prefix}cloth", type=mujoco.mjtTexture.mjTEXTURE_CUBE, width=32, height=32 * 6, nchannel=3
            )
            texture.data = np.tile(_pattern(look.pattern), (6, 1, 1)).tobytes()
            material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"{prefix}cloth"
        names[cloth] = f"{prefix}{cloth}"
    return names


def _pattern(name: str) -> NDArray[np.uint8]:
    """A light-dark cloth pattern, uint8 (32, 32, 3), multiplied with the cloth colour by the renderer."""
    y, x = np.mgrid[0:32, 0:32]
    dark = {
        "stripes": y % 8 < 3,
        "checks": (y // 8 + x // 8) % 2 == 0,
        "spots": (y % 8 - 4) ** 2 + (x % 8 - 4) ** 2 < 7,
    }[name]
    grey = np.where(dark, 110, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def add_person(spec: Any, prefix: str, figure: Figure) -> None:
    """Put a person into the world: bodies, geoms, position actuators, and a mocap body welded to the pelvis.

    The weld is the person's balance: while it holds, the pelvis follows a target; a fall begins by switching it off.
    """
    h = figure.height_m
    parts = _skeleton(spec, prefix, figure)
    cloths = _materials(spec, prefix, figure.look)
    pieces = _trunk(figure.girth, not figure.look.bald) + [
        piece for side in ("l", "r") for piece in _limbs(side, figure.girth, figure.look)
    ]
    for piece in pieces:
        shape: dict[str, Any] = {
            "size": [piece.radius * h, 0, 0],
            "fromto": [v * h for v in (*piece.start, *piece.end)],
        }
        if piece.size is not None:
            shape = {"size": [v * h for v in piece.size], "pos": [v * h for v in piece.start]}
        kind = mujoco.mjtGeom.mjGEOM_CAPSULE if piece.size is None else mujoco.mjtGeom.mjGEOM_ELLIPSOID
        parts[piece.part].add_geom(
            type=kind, material=cloths[piece.cloth], mass=piece.mass_share * figure.mass_kg,
            contype=BODY_BIT if piece.solid else 0, conaffinity=ROOM_BIT if piece.solid else 0,
            friction=[0.8, 0.01, 0.002], priority=1, solref=[0.02, 1.0], **shape,
        )  # fmt: skip
    for joint in JOINTS:
        actuator = spec.add_actuator(name=prefix + joint.name, target=prefix + joint.name)
        actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
        actuator.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        actuator.gainprm[0] = joint.stiffness
        actuator.biasprm[1], actuator.biasprm[2] = -joint.stiffness, -0.06 * joint.stiffness
    spec.worldbody.add_body(name=f"{prefix}target", mocap=True, pos=[0, 0, figure.hip_m])
    weld = spec.add_equality(name=f"{prefix}balance", type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY)
    weld.name1, weld.name2 = f"{prefix}target", f"{prefix}pelvis"
    weld.solref = [0.03, 1.0]
    weld.data = np.array([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1.0, 0.0])
