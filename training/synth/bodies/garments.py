"""Clothes, shoes, hair and the drawn body: pieces that follow the base mesh, made once and fitted to everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.synth.bodies.files import Fit, Floats, Ints, Mesh
from training.synth.bodies.rig import PARTS

WEIGHT_FLOOR: Final = 0.02
"""A part that pulls a vertex by less is left out: it would move it by millimetres and cost as much as any other."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One drawable part of a garment: fit of its vertices, triangles (k, 3), uv (n, 2), weights (n, parts)."""

    fit: Fit
    triangles: Ints
    uv: Floats
    weights: Floats


def fitted_weights(fit: Fit, base_weights: Floats) -> Floats:
    """Skin weights of a garment from the base vertices it hangs on, (n, parts); every row sums to 1."""
    table = np.einsum("nk,nkp->np", np.maximum(fit.share, 0.0), base_weights[fit.vertex])
    table = table / table.sum(axis=1, keepdims=True)
    table[table < WEIGHT_FLOOR] = 0.0
    return np.asarray(table / table.sum(axis=1, keepdims=True))


def fitted(fit: Fit, base: Floats) -> Floats:
    """Places of a garment's vertices on a shaped base mesh, both in MakeHuman's axes and decimetres."""
    scale = [abs(base[a, axis] - base[b, axis]) / length for axis, (a, b, length) in enumerate(fit.scale)]
    return np.asarray(np.einsum("nk,nkd->nd", fit.share, base[fit.vertex]) + fit.offset * np.array(scale))


def _rows(fit: Fit, keep: Ints) -> Fit:
    return Fit(fit.vertex[keep], fit.share[keep], fit.offset[keep], fit.scale, fit.hides)


def make_piece(mesh: Mesh, chosen: Ints, fit: Fit, base_weights: Floats) -> Piece:
    """A piece of the chosen triangles; a vertex at a seam of the texture becomes one for each side."""
    pairs = np.stack([mesh.triangles[chosen], mesh.uv_triangles[chosen]], axis=-1).reshape(-1, 2)
    corners, position = np.unique(pairs, axis=0, return_inverse=True)
    rows = _rows(fit, corners[:, 0])
    return Piece(rows, position.reshape(-1, 3), mesh.uv[corners[:, 1]], fitted_weights(rows, base_weights))


def shell_of(mesh: Mesh) -> Ints:
    """The number of the separate shell that each vertex belongs to, (n,)."""
    shell, known = np.arange(len(mesh.vertices)), np.zeros(0, np.int64)
    while not np.array_equal(shell, known):
        known = shell.copy()
        lowest = shell[mesh.triangles].min(axis=1)
        for corner in range(3):
            np.minimum.at(shell, mesh.triangles[:, corner], lowest)
        shell = shell[shell]
    return shell


def shells(mesh: Mesh) -> list[Ints]:
    """The separate shells of a mesh, as triangle numbers, largest first."""
    shell = shell_of(mesh)
    of_triangle = shell[mesh.triangles[:, 0]]
    found = [np.flatnonzero(of_triangle == number) for number in np.unique(of_triangle)]
    return sorted(found, key=len, reverse=True)


def thinned(mesh: Mesh, fit: Fit, cell: float) -> tuple[Mesh, Fit]:
    """The mesh with one vertex of each shell a cubic cell of `cell` decimetres, that nearest the mean of all there."""
    key = np.concatenate([np.floor(mesh.vertices / cell).astype(np.int64), shell_of(mesh)[:, None]], axis=1)
    _, group = np.unique(key, axis=0, return_inverse=True)
    group = group.reshape(-1)
    count = np.bincount(group)
    mean = np.stack([np.bincount(group, mesh.vertices[:, axis]) / count for axis in range(3)], axis=1)
    order = np.argsort(np.linalg.norm(mesh.vertices - mean[group], axis=1), kind="stable")
    _, first = np.unique(group[order], return_index=True)
    chosen = order[first]
    uv_of = np.zeros(len(mesh.vertices), np.int64)
    uv_of[mesh.triangles.reshape(-1)] = mesh.uv_triangles.reshape(-1)
    corners = group[mesh.triangles]
    whole = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 0] != corners[:, 2])
    _, once = np.unique(np.sort(corners[whole], axis=1), axis=0, return_index=True)
    triangles = corners[whole][np.sort(once)]
    rows = _rows(fit, chosen)
    return Mesh(
        mesh.vertices[chosen], mesh.uv, triangles, uv_of[chosen][triangles], mesh.group[whole][np.sort(once)]
    ), rows


def is_bottom(piece: Piece) -> bool:
    """Whether pelvis and legs carry more than half of a piece: trousers, skirts and belts against shirts."""
    below = [index for index, part in enumerate(PARTS) if part == "pelvis" or part[2:] in ("thigh", "shin", "foot")]
    return bool(piece.weights[:, below].sum(axis=1).mean() > 0.5)
