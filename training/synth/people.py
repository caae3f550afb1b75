"""An articulated person for MuJoCo: size, joints and their limits, clothes; drawn as capsules or as a skinned body.

Joint ranges: everyday ranges of a healthy adult, rounded to 5 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.synth.bodies.body import Body
from training.synth.bodies.shape import Bodies
from training.synth.bodies.skins import add_skins
from training.synth.bodies.wardrobe import random_body, random_shape, random_tone
from training.synth.build import Build, Xyz, average_build
from training.synth.solids import Piece, limb_cover, limbs, trunk, trunk_cover

Rgb = tuple[float, float, float]

BODY_BIT: Final = 1
ROOM_BIT: Final = 2

HIDDEN_GROUP: Final = 3
"""MuJoCo draws the groups 0 to 2; the solid body inside a skin lies in this one."""
BODIES_SHARE: Final = 0.85
PATTERNS: Final = ("", "", "", "", "", "", "stripes", "lengthwise", "checks", "plaid", "spots", "flowers")
"""Half of the shirts are plain."""


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
    """A person's size and look: height in m, mass in kg, girth (1 is slim average), stoop of the back in degrees.

    body: the skinned body to draw; None draws capsules.
    """

    height_m: float
    mass_kg: float
    girth: float
    stoop_deg: float
    look: Look
    body: Body | None = None

    @property
    def build(self) -> Build:
        """Lengths and girths as shares of height: measured on the body, average where there is none."""
        return self.body.build if self.body is not None else average_build(self.girth)

    @property
    def hip_m(self) -> float:
        """Height of the hip joints over the floor when standing straight, in m."""
        return self.build.hip_height * self.height_m

    @property
    def seat_m(self) -> float:
        """Height of the hip joints over what the person sits on, in m."""
        return self.build.seat * self.height_m


def _colour(rng: np.random.Generator) -> Rgb:
    """A cloth colour: a third dark, the rest of any lightness, saturation mostly low as real wardrobes are."""
    value = rng.uniform(0.04, 0.22) if rng.random() < 0.33 else rng.uniform(0.15, 0.95)
    tint = rng.normal(0.0, 0.35 * value * rng.random(), 3)
    r, g, b = np.clip(value + tint - tint.mean(), 0.02, 1.0)
    return float(r), float(g), float(b)


def _skin_colour(tone: float) -> Rgb:
    return tone, tone * 0.8, tone * 0.66


def random_figure(rng: np.random.Generator, bodies: Bodies | None = None) -> Figure:
    """A random adult; old and stooped people are as common as young ones. With `bodies` most have a skinned body."""
    old = rng.random() < 0.5
    height = float(np.clip(rng.normal(1.67, 0.09), 1.45, 1.92))
    girth = float(rng.uniform(0.88, 1.35))
    tone = float(rng.uniform(0.25, 0.9))
    hair_value = float(rng.uniform(0.55, 0.9) if old and rng.random() < 0.7 else rng.uniform(0.02, 0.4))
    shirt = _colour(rng)
    look = Look(
        shirt=shirt,
        trousers=shirt if rng.random() < 0.15 else _colour(rng),
        skin=_skin_colour(tone),
        hair=(hair_value, hair_value * 0.92, hair_value * 0.82),
        shoes=_colour(rng),
        long_sleeves=bool(rng.random() < 0.6),
        long_legs=bool(rng.random() < 0.8),
        skirt=bool(rng.random() < 0.15),
        bald=bool(rng.random() < 0.12),
        pattern=str(rng.choice(PATTERNS)),
    )
    body_mass_index = float(rng.uniform(19, 22) * girth**1.2)
    stoop = float(rng.uniform(8, 26) if old else rng.uniform(0, 8))
    body = None
    if bodies is not None and rng.random() < BODIES_SHARE:
        shape = random_shape(rng, old, height, girth)
        body = random_body(rng, bodies, shape, look.bald)
        height, look = body.height_m, replace(look, skin=_skin_colour(random_tone(rng, shape)))
    return Figure(height, body_mass_index * height**2, girth, stoop, look, body)


def _part_of(build: Build) -> tuple[tuple[str, str, Xyz], ...]:
    """Part, its parent, its joint's place in the parent (shares of height; y is mirrored on the right)."""
    return (
        ("chest", "pelvis", build.waist),
        ("head", "chest", build.neck),
        ("upper_arm", "chest", build.shoulder),
        ("forearm", "upper_arm", (0.0, 0.0, -build.upper_arm)),
        ("thigh", "pelvis", build.hip),
        ("shin", "thigh", (0.0, 0.0, -build.thigh)),
        ("foot", "shin", (0.0, 0.0, -build.shin)),
    )


def _skeleton(spec: Any, prefix: str, figure: Figure) -> dict[str, Any]:
    """The tree of bodies with their joints; returns part name -> body."""
    h = figure.height_m
    pelvis = spec.worldbody.add_body(name=f"{prefix}pelvis", pos=[0, 0, figure.hip_m])
    pelvis.add_freejoint(name=f"{prefix}root")
    parts = {"pelvis": pelvis}
    for part, parent, (x, y, z) in _part_of(figure.build):
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


def _materials(spec: Any, prefix: str, figure: Figure) -> dict[str, str]:
    """One material per cloth; the shirt may carry a pattern. Returns cloth -> material name."""
    names, look = {}, figure.look
    for cloth in ("shirt", "trousers", "skin", "hair", "shoes"):
        material = spec.add_material(
            name=f"{prefix}{cloth}", rgba=[*getattr(look, cloth), 1.0], specular=0.1, shininess=0.2
        )
        if cloth == "shirt" and look.pattern:
            _add_pattern(spec, f"{prefix}cloth", _pattern(look.pattern), skinned=figure.body is not None)
            material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"{prefix}cloth"
        names[cloth] = f"{prefix}{cloth}"
    return names


def _add_pattern(spec: Any, name: str, tile: NDArray[np.uint8], skinned: bool) -> None:
    """A pattern as a cube texture for capsules, or tiled over the flat texture that a garment's uv index."""
    kind, copies = (
        (mujoco.mjtTexture.mjTEXTURE_2D, (6, 6, 1)) if skinned else (mujoco.mjtTexture.mjTEXTURE_CUBE, (6, 1, 1))
    )
    picture = np.tile(tile, copies)
    texture = spec.add_texture(name=name, type=kind, width=picture.shape[1], height=picture.shape[0], nchannel=3)
    texture.data = picture.tobytes()


def _pattern(name: str) -> NDArray[np.uint8]:
    """A light-dark cloth pattern, uint8 (32, 32, 3), multiplied with the cloth colour by the renderer."""
    y, x = np.mgrid[0:32, 0:32]
    dark = {
        "stripes": y % 8 < 3,
        "lengthwise": x % 8 < 3,
        "checks": (y // 8 + x // 8) % 2 == 0,
        "plaid": (y % 16 < 5) ^ (x % 16 < 5),
        "spots": (y % 8 - 4) ** 2 + (x % 8 - 4) ** 2 < 7,
        "flowers": np.abs(np.sin(0.59 * x) * np.sin(0.59 * y) + 0.4 * np.sin(1.18 * (x + y))) > 0.75,
    }[name]
    grey = np.where(dark, 110, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _pieces(figure: Figure) -> list[Piece]:
    """The geoms of a figure: the solid body, and for a capsule person what rounds it off."""
    look, build = figure.look, figure.build
    sleeve = "shirt" if look.long_sleeves else "skin"
    leg = "trousers" if look.long_legs and not look.skirt else "skin"
    solid = trunk(build) + [piece for side in ("l", "r") for piece in limbs(side, build, sleeve, leg)]
    if figure.body is not None:
        return solid
    cover = [piece for side in ("l", "r") for piece in limb_cover(side, look.skirt)]
    return solid + trunk_cover(figure.girth, not look.bald) + cover


def _add_geom(part: Any, piece: Piece, figure: Figure, material: str) -> None:
    h = figure.height_m
    shape: dict[str, Any] = {"size": [piece.radius * h, 0, 0], "fromto": [v * h for v in (*piece.start, *piece.end)]}
    if piece.size is not None:
        shape = {"size": [v * h for v in piece.size], "pos": [v * h for v in piece.start]}
    part.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE if piece.size is None else mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        material=material, mass=piece.mass_share * figure.mass_kg, group=0 if figure.body is None else HIDDEN_GROUP,
        contype=BODY_BIT if piece.solid else 0, conaffinity=ROOM_BIT if piece.solid else 0,
        friction=[0.8, 0.01, 0.002], priority=1, solref=[0.02, 1.0], **shape,
    )  # fmt: skip


def add_person(spec: Any, prefix: str, figure: Figure) -> None:
    """Put a person into the world: bodies, geoms, skins, position actuators, and a mocap body welded to the pelvis.

    The weld is the person's balance: while it holds, the pelvis follows a target; a fall begins by switching it off.
    """
    parts = _skeleton(spec, prefix, figure)
    cloths = _materials(spec, prefix, figure)
    for piece in _pieces(figure):
        _add_geom(parts[piece.part], piece, figure, cloths[piece.cloth])
    if figure.body is not None:
        add_skins(spec, prefix, figure.body, cloths)
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
