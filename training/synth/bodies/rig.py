"""From MakeHuman's 163 bones to the thirteen parts of people.py: skin weights, and the parts' rest frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synth.bodies.files import BASE_VERTICES, Floats, Ints

PARTS: Final = (
    "pelvis", "chest", "head",
    "l_upper_arm", "l_forearm", "l_thigh", "l_shin", "l_foot",
    "r_upper_arm", "r_forearm", "r_thigh", "r_shin", "r_foot",
)  # fmt: skip
PART_INDEX: Final = {part: index for index, part in enumerate(PARTS)}

LIMB_BONES: Final = ("upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot")
RIG_BONES: Final = ("spine03", "neck01", *(f"{bone}.{side}" for side in "LR" for bone in LIMB_BONES))
"""The bones whose ends are the joints of our body: spine03 begins at the waist, neck01 at the base of the neck."""

_SHARES: Final[tuple[tuple[str, tuple[tuple[str, float], ...]], ...]] = (
    # beginning of the bone's name, parts that carry it; the trunk's are shared, so that it bends and does not fold
    ("root", (("pelvis", 1.0),)),
    ("pelvis", (("pelvis", 1.0),)),
    ("spine05", (("pelvis", 0.9), ("chest", 0.1))),
    ("spine04", (("pelvis", 0.6), ("chest", 0.4))),
    ("spine03", (("pelvis", 0.25), ("chest", 0.75))),
    ("spine0", (("chest", 1.0),)),
    ("breast", (("chest", 1.0),)),
    ("clavicle", (("chest", 0.85), ("upper_arm", 0.15))),
    ("shoulder", (("chest", 0.5), ("upper_arm", 0.5))),
    ("upperarm", (("upper_arm", 1.0),)),
    ("lowerarm", (("forearm", 1.0),)),
    ("wrist", (("forearm", 1.0),)),
    ("metacarpal", (("forearm", 1.0),)),
    ("finger", (("forearm", 1.0),)),
    ("upperleg", (("thigh", 1.0),)),
    ("lowerleg", (("shin", 1.0),)),
    ("foot", (("foot", 1.0),)),
    ("toe", (("foot", 1.0),)),
    ("neck01", (("chest", 0.6), ("head", 0.4))),
    ("neck02", (("chest", 0.2), ("head", 0.8))),
    ("", (("head", 1.0),)),
)


def _part_column(part: str, bone: str) -> int:
    side = {"L": "l_", "R": "r_"}.get(bone.rpartition(".")[2], "")
    return PART_INDEX.get(part, -1) if part in PART_INDEX else PART_INDEX[side + part]


def part_weights(bones: Mapping[str, tuple[Ints, Floats]]) -> Floats:
    """Skin weights of the base vertices, (BASE_VERTICES, parts); each row sums to 1, or is 0 where no bone pulls."""
    table = np.zeros((BASE_VERTICES, len(PARTS)))
    for bone, (vertex, weight) in bones.items():
        shares = next(shares for prefix, shares in _SHARES if bone.startswith(prefix))
        for part, share in shares:
            np.add.at(table[:, _part_column(part, bone)], vertex, share * weight)
    total = table.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(table, total, out=np.zeros_like(table), where=total > 0))


def to_room(decimetres: Floats) -> Floats:
    """MakeHuman's axes (x left, y up, z forward, decimetres) to ours (x forward, y left, z up, metres)."""
    return np.ascontiguousarray(decimetres[..., [2, 0, 1]] * 0.1)


@dataclass(frozen=True, eq=False)
class Rest:
    """Where the parts are in the mesh's rest pose: place (parts, 3) in m, turn (parts, 3, 3) as rotation matrices."""

    place: Floats
    turn: Floats

    def of(self, part: str) -> tuple[Floats, Floats]:
        """Place and turn of one part."""
        return self.place[PART_INDEX[part]], self.turn[PART_INDEX[part]]


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))


def shortest_turn(start: Floats, end: Floats) -> Floats:
    """The rotation matrix that turns one direction into another and nothing else; not for opposite directions."""
    a, b = _unit(start), _unit(end)
    x, y, z = np.cross(a, b)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + float(a @ b)))


def _arm(upper: Floats, lower: Floats) -> tuple[Floats, Floats]:
    """Turns of upper arm and forearm from their directions; the elbow's hinge is square to both."""
    z, hinge = -_unit(upper), _unit(np.cross(upper, lower))
    above = np.stack([np.cross(-hinge, z), -hinge, z], axis=1)
    return above, shortest_turn(upper, lower) @ above


def rest_pose(head: Mapping[str, Floats], tail: Mapping[str, Floats]) -> Rest:
    """Frames of the parts in which our joint angles are zero, carried to the mesh's rest pose.

    head, tail: places in m of the ends of RIG_BONES. A limb's frame hangs along its bone (-z); the trunk is upright.
    """
    down = np.array([0.0, 0.0, -1.0])
    frames = {
        "pelvis": (0.5 * (head["upperleg01.L"] + head["upperleg01.R"]), np.eye(3)),
        "chest": (head["spine03"], np.eye(3)),
        "head": (head["neck01"], np.eye(3)),
    }
    for side, letter in (("l", "L"), ("r", "R")):
        shoulder, elbow, wrist, hip, knee, ankle = (head[f"{bone}.{letter}"] for bone in LIMB_BONES)
        upper_arm, forearm = _arm(elbow - shoulder, wrist - elbow)
        thigh = shortest_turn(down, knee - hip)
        shin = shortest_turn(thigh @ down, ankle - knee) @ thigh
        ahead = tail[f"foot.{letter}"] - ankle
        yaw = np.arctan2(ahead[1], ahead[0])
        foot = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        for part, place, turn in (
            ("upper_arm", shoulder, upper_arm), ("forearm", elbow, forearm),
            ("thigh", hip, thigh), ("shin", knee, shin), ("foot", ankle, foot),
        ):  # fmt: skip
            frames[f"{side}_{part}"] = place, turn
    return Rest(np.stack([frames[part][0] for part in PARTS]), np.stack([frames[part][1] for part in PARTS]))
