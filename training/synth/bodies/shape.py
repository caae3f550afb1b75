"""The bodies folder, opened once a process: base mesh, targets and rig; a person's shape as weights of the targets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from training.synth.bodies import files
from training.synth.bodies.files import BASE_VERTICES, BodyFileError, Flags, Floats, Ints, Offsets
from training.synth.bodies.garments import Piece, is_bottom, make_piece, shells, thinned
from training.synth.bodies.rig import PARTS, RIG_BONES, Rest, part_weights, rest_pose, to_room
from training.synth.bodies.tailored import CUTS, Cut, cloth_uv, covered, cut_triangles, own_fit

RACES: Final = ("african", "asian", "caucasian")
CELLS: Final = {"hair": 0.22, "shoes": 0.16, "suit": 0.2}
"""Sides in decimetres of the cells that leave one vertex of a heavy garment: a pixel of the picture is wider."""
HEAVY_VERTICES: Final = 3000


@dataclass(frozen=True)
class Shape:
    """What a body looks like: gender, shares of the three races (sum 1), age 0 (25 years) .. 1 (90 years),
    weight -1 (thin) .. 1 (heavy), and the height asked for in m."""

    female: bool
    races: tuple[float, float, float]
    age: float
    weight: float
    height_m: float

    def targets(self) -> dict[str, float]:
        """Target name -> share, all but the height's."""
        gender = "female" if self.female else "male"
        ages = {"young": 1.0 - self.age, "old": self.age}
        mix = {
            f"{race}-{gender}-{age}": share * part
            for race, share in zip(RACES, self.races, strict=True)
            for age, part in ages.items()
        }
        bulk = "maxweight" if self.weight > 0 else "minweight"
        for age, part in ages.items():
            mix[f"universal-{gender}-{age}-averagemuscle-{bulk}"] = part * abs(self.weight)
        return {name: share for name, share in mix.items() if share > 0}


@dataclass(frozen=True, eq=False)
class Garment:
    """A garment's drawable parts by what they are (top, bottom, whole) and the base vertices it hides, for each."""

    pieces: dict[str, Piece]
    hides: dict[str, Ints]


class Bodies:
    """The CC0 people of one folder. Everything read is kept; nothing drawn from it depends on what was read before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = files.read_mesh(folder / "base.obj")
        if len(self.base.vertices) != BASE_VERTICES:
            raise BodyFileError(f"{folder / 'base.obj'}: has {len(self.base.vertices)} vertices, not {BASE_VERTICES}")
        self.weights = part_weights(files.read_weights(folder / "default_weights.mhw"))
        self._joints = files.read_joints(folder / "default.mhskel", RIG_BONES)
        self.skin = np.unique(self.base.triangles[self.base.group == "body"])
        self._targets: dict[str, Offsets] = {}
        self._garments: dict[str, Garment] = {}

    def target(self, name: str) -> Offsets:
        """One morph target by its file's name without the suffix."""
        if name not in self._targets:
            self._targets[name] = files.read_target(self.folder / "targets" / f"{name}.target")
        return self._targets[name]

    def blend(self, mix: dict[str, float]) -> Floats:
        """Base vertices plus the sum of share times offset, (BASE_VERTICES, 3) in MakeHuman's axes and decimetres."""
        vertices = self.base.vertices.copy()
        for name, share in mix.items():
            offsets = self.target(name)
            vertices[offsets.vertex] += share * offsets.move
        return vertices

    def vertices(self, shape: Shape) -> Floats:
        """The shaped base mesh in MakeHuman's axes and decimetres, as tall as asked for."""
        mix = shape.targets()
        wanted = 10.0 * shape.height_m
        plain = self._tall(self.blend(mix))
        gender, size = "female" if shape.female else "male", "maxheight" if wanted > plain else "minheight"
        ages = {"young": 1.0 - shape.age, "old": shape.age}
        heights = {f"{gender}-{age}-averagemuscle-averageweight-{size}": part for age, part in ages.items() if part}
        extreme = self._tall(self.blend(mix | heights))
        share = float(np.clip((wanted - plain) / (extreme - plain), 0.0, 1.0)) if extreme != plain else 0.0
        vertices = self.blend(mix | {name: share * part for name, part in heights.items()})
        return np.asarray(vertices * (wanted / self._tall(vertices)))

    def _tall(self, vertices: Floats) -> float:
        up = vertices[self.skin, 1]
        return float(up.max() - up.min())

    def rest(self, vertices: Floats) -> Rest:
        """Frames of our parts in the shaped mesh's rest pose, in m and our axes."""
        place = to_room(vertices)
        heads = {bone: place[head].mean(axis=0) for bone, (head, _) in self._joints.items()}
        tails = {bone: place[tail].mean(axis=0) for bone, (_, tail) in self._joints.items()}
        return rest_pose(heads, tails)

    def garment(self, kind: str, name: str) -> Garment:
        """A garment by folder (clothes, hair, proxies) and name; suits come apart into top and bottom.

        tailored: no folder, but one of tailored.CUTS. Raises BodyFileError.
        """
        key = f"{kind}/{name}"
        if key not in self._garments:
            self._garments[key] = self._tailored(CUTS[name]) if kind == "tailored" else self._read_garment(kind, name)
        return self._garments[key]

    def _tailored(self, cut: Cut) -> Garment:
        chosen = cut_triangles(self.base, cut, self.weights)
        under = np.flatnonzero(covered(cut, self.base.vertices, self.weights))
        hides = np.intersect1d(under, self.skin)
        piece = make_piece(self.base, chosen, own_fit(self.base, hides), self.weights)
        piece = replace(piece, uv=cloth_uv(self.base.vertices[piece.fit.vertex[:, 0]]))
        return Garment({"whole": piece}, {"whole": hides})

    def _read_garment(self, kind: str, name: str) -> Garment:
        stem = self.folder / kind / name
        mesh = files.read_mesh(stem.with_suffix(".obj"))
        path = stem.with_suffix(".proxy" if kind == "proxies" else ".mhclo")
        fit = files.read_fit(path)
        if len(fit.vertex) != len(mesh.vertices):
            raise BodyFileError(
                f"{path}: fits {len(fit.vertex)} vertices, but the mesh beside it has {len(mesh.vertices)}"
            )
        cell = CELLS["hair"] if kind == "hair" else CELLS["shoes"] if name.startswith("shoes") else CELLS["suit"]
        if kind == "hair" or name.startswith("shoes") or len(mesh.vertices) > HEAVY_VERTICES:
            mesh, fit = thinned(mesh, fit, cell)
        if not name.partition("_")[2]:
            everything = np.arange(len(mesh.triangles))
            return Garment({"whole": make_piece(mesh, everything, fit, self.weights)}, {"whole": fit.hides})
        return self._suit(mesh, fit)

    def _suit(self, mesh: files.Mesh, fit: files.Fit) -> Garment:
        chosen: dict[str, list[Ints]] = {"top": [], "bottom": []}
        for shell in shells(mesh):
            bottom = is_bottom(make_piece(mesh, shell, fit, self.weights))
            chosen["bottom" if bottom else "top"].append(shell)
        found = {part: np.concatenate(parts) for part, parts in chosen.items() if parts}
        below = self._is_below(fit.hides)
        hides = {"top": fit.hides[~below], "bottom": fit.hides[below]}
        if len(found) == 1:
            found, hides = {"whole": np.arange(len(mesh.triangles))}, {"whole": fit.hides}
        return Garment({part: make_piece(mesh, parts, fit, self.weights) for part, parts in found.items()}, hides)

    def _is_below(self, vertex: Ints) -> Flags:
        """Which base vertices trousers cover and a shirt does not: on the legs, or on the pelvis under the belt."""
        arms = [index for index, part in enumerate(PARTS) if part[2:] in ("upper_arm", "forearm")]
        belt = 0.9  # decimetres over the base mesh's origin, near the top of the suits' trousers
        return np.asarray((self.base.vertices[vertex, 1] < belt) & (self.weights[vertex][:, arms].sum(axis=1) < 0.5))


@lru_cache(maxsize=2)
def open_bodies(folder: Path) -> Bodies | None:
    """The people of a folder, opened once a process; None where there is no such folder. Raises BodyFileError."""
    return Bodies(folder) if folder.is_dir() else None
