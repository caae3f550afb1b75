"""A person's build: lengths of the segments and girths of the solid geoms, all as shares of body height.

Average lengths: D. A. Winter, Biomechanics and Motor Control of Human Movement (2009), figure 4.1. The girths of an
average build are those at which capsules looked like people; a body's own build is measured on its mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synth.bodies.files import Floats
from training.synth.bodies.rig import PART_INDEX, Rest

Xyz = tuple[float, float, float]

HAND: Final = 0.079
"""How far the hand's geom reaches beyond the wrist."""


@dataclass(frozen=True, slots=True)
class Build:
    """Shares of body height. Offsets of a part's joint in its parent (left side; y is mirrored on the right), lengths
    along limbs; seat is from the hip joints down to what one sits on. Capsules: _x and _z where one lies from its
    part's joint, _half how far its ends stand from the middle line, _r its radius; head is the skull's centre.
    """

    waist: Xyz = (0.0, 0.0, 0.085)
    neck: Xyz = (0.0, 0.0, 0.218)
    shoulder: Xyz = (0.0, 0.115, 0.191)
    hip: Xyz = (0.0, 0.055, 0.0)
    upper_arm: float = 0.186
    forearm: float = 0.146
    thigh: float = 0.245
    shin: float = 0.246
    foot_height: float = 0.039
    heel: float = -0.046
    toe: float = 0.113
    seat: float = 0.056
    pelvis_x: float = 0.0
    pelvis_z: float = 0.01
    belly_x: float = 0.0
    chest_x: float = 0.0
    head: Xyz = (0.008, 0.0, 0.098)
    pelvis_half: float = 0.045
    belly_half: float = 0.03
    chest_half: float = 0.05
    pelvis_r: float = 0.056
    belly_r: float = 0.056
    chest_r: float = 0.060
    head_r: float = 0.052
    upper_arm_r: float = 0.028
    forearm_r: float = 0.022
    thigh_r: float = 0.047
    shin_r: float = 0.031

    @property
    def hip_height(self) -> float:
        """Height of the hip joints over the sole when standing straight."""
        return self.thigh + self.shin + self.foot_height


def average_build(girth: float) -> Build:
    """Winter's lengths with girths for `girth` (1 is slim average); arms and shins grow half as much as the trunk."""
    thick = 0.5 + 0.5 * girth
    return Build(
        seat=0.056 * girth, pelvis_r=0.056 * girth, belly_r=0.056 * girth, chest_r=0.060 * girth, thigh_r=0.047 * girth,
        upper_arm_r=0.028 * thick, forearm_r=0.022 * thick, shin_r=0.031 * thick,
    )  # fmt: skip


def standing_height(place: Floats, sole: float, rest: Rest) -> float:
    """Height in m of a shaped body with its legs straight; `place` its drawn vertices in m, `sole` their floor."""
    legs = sum(np.linalg.norm(rest.of(a)[0] - rest.of(b)[0]) for a, b in (("l_thigh", "l_shin"), ("l_shin", "l_foot")))
    return float(legs + rest.of("l_foot")[0][2] - sole + place[:, 2].max() - rest.of("pelvis")[0][2])


@dataclass(frozen=True)
class _Surface:
    """A shaped body's drawn base vertices (n, 3) in m, their part weights (n, parts), and what to share them by."""

    place: Floats
    weights: Floats
    rest: Rest
    height: float

    def between(self, part: str, parent: str) -> Floats:
        """A part's joint from its parent's."""
        return np.asarray(self.rest.of(part)[0] - self.rest.of(parent)[0]) / self.height

    def own(self, part: str, *others: str) -> Floats:
        """The vertices that follow a part, or it and others, in the part's frame."""
        origin, turn = self.rest.of(part)
        pull = self.weights[:, [PART_INDEX[name] for name in (part, *others)]].sum(axis=1)
        return np.asarray((self.place[pull > 0.6] - origin) @ turn) / self.height

    def thickness(self, part: str) -> float:
        """Distance of a limb's surface from its axis, the median."""
        local = self.own(part)
        length = np.quantile(-local[:, 2], 0.9)
        middle = local[(local[:, 2] < -0.15 * length) & (local[:, 2] > -0.85 * length)]
        return float(np.quantile(np.hypot(middle[:, 0], middle[:, 1]), 0.5))


def _slab(local: Floats, low: float, high: float) -> tuple[float, float, float]:
    """A capsule across a slice of the trunk: its middle front to back, its radius, half its length."""
    level = local[(local[:, 2] > low) & (local[:, 2] < high)]
    back, front = np.quantile(level[np.abs(level[:, 1]) < 0.06, 0], [0.01, 0.98])
    radius = 0.5 * (front - back)
    half = np.quantile(np.abs(level[:, 1]), 0.95) - radius
    return float(0.5 * (front + back)), float(radius), float(max(half, 0.01))


def _skull(head: Floats) -> tuple[Xyz, float]:
    """Centre and radius of the skull: as deep as the upper head is, and as high as it reaches."""
    upper = head[head[:, 2] > np.quantile(head[:, 2], 0.97) - 0.09]
    back, front = np.quantile(upper[:, 0], [0.02, 0.9])
    radius = float(0.5 * (front - back))
    return (float(0.5 * (front + back)), 0.0, float(head[:, 2].max()) - radius), radius


def measured_build(place: Floats, weights: Floats, rest: Rest, sole: float, height: float) -> Build:
    """The build of a shaped body: place (n, 3) of the drawn base vertices in m, their part weights (n, parts).

    sole: height of the floor it stands on; height: its own, standing straight; both in m.
    """
    body = _Surface(place, weights, rest, height)
    pelvis_x, pelvis_r, pelvis_half = _slab(body.own("pelvis", "l_thigh", "r_thigh"), -0.05, 0.05)
    belly_x, belly_r, belly_half = _slab(body.own("chest"), 0.0, 0.06)
    chest_x, chest_r, chest_half = _slab(body.own("chest"), 0.09, 0.17)
    head, head_r = _skull(body.own("head"))
    foot = body.own("l_foot")
    return Build(
        waist=_xyz(body.between("chest", "pelvis")), neck=_xyz(body.between("head", "chest")),
        shoulder=_xyz(body.between("l_upper_arm", "chest")), hip=_xyz(body.between("l_thigh", "pelvis")),
        upper_arm=float(np.linalg.norm(body.between("l_forearm", "l_upper_arm"))),
        forearm=_hand_to_wrist(body.own("l_forearm")),
        thigh=float(np.linalg.norm(body.between("l_shin", "l_thigh"))),
        shin=float(np.linalg.norm(body.between("l_foot", "l_shin"))),
        foot_height=float(rest.of("l_foot")[0][2] - sole) / height,
        heel=float(foot[:, 0].min()), toe=float(foot[:, 0].max()),
        # Sitting, the body rests on what is behind the hips when it stands.
        seat=pelvis_r - pelvis_x, pelvis_x=pelvis_x, pelvis_z=pelvis_x, belly_x=belly_x, chest_x=chest_x,
        pelvis_half=pelvis_half, belly_half=belly_half, chest_half=chest_half, head=head, head_r=head_r,
        pelvis_r=pelvis_r, belly_r=belly_r, chest_r=chest_r,
        upper_arm_r=body.thickness("l_upper_arm"), forearm_r=body.thickness("l_forearm"),
        thigh_r=body.thickness("l_thigh"), shin_r=body.thickness("l_shin"),
    )  # fmt: skip


def _hand_to_wrist(forearm: Floats) -> float:
    """Length of the forearm such that the hand's geom ends where the drawn hand ends."""
    return float(-forearm[:, 2].min()) - HAND


def _xyz(vector: Floats) -> Xyz:
    x, y, z = (float(value) for value in vector)
    return x, y, z
