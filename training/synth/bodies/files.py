"""Readers of MakeHuman's text files: meshes, targets, skeleton, weights, garments. All name the file they refuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BASE_VERTICES: Final = 19158
"""Every file counts on the order of the base mesh's vertices (hm08)."""


class BodyFileError(ValueError):
    """A file of the bodies folder is missing or is not what its name says."""


def _refused(path: Path, why: object) -> BodyFileError:
    return BodyFileError(f"{path}: {why}; fetch the bodies folder again, or remove it to draw capsule people")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(path, f"cannot be read ({error})") from error


def _checked(path: Path, indices: Ints, count: int) -> Ints:
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < count:
        raise _refused(path, f"names a vertex outside 0..{count - 1}")
    return indices


@dataclass(frozen=True, eq=False)
class Mesh:
    """vertices (n, 3) and uv (m, 2); corners of triangles as vertex and uv numbers (k, 3); group of each triangle."""

    vertices: Floats
    uv: Floats
    triangles: Ints
    uv_triangles: Ints
    group: NDArray[np.str_]


def read_mesh(path: Path) -> Mesh:
    """Read a Wavefront OBJ with triangles and quadrangles. Raises BodyFileError."""
    places, uvs, corners, groups, group = [], [], [], [], ""
    try:
        for line in _text(path).splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                places.append([float(word) for word in rest.split()[:3]])
            elif kind == "vt":
                uvs.append([float(word) for word in rest.split()[:2]])
            elif kind == "g":
                group = rest.strip()
            elif kind == "f":
                face = [[int(number) for number in word.split("/")[:2]] for word in rest.split()]
                fan = [(face[0], face[i], face[i + 1]) for i in range(1, len(face) - 1)]
                corners += fan
                groups += [group] * len(fan)
        faces = np.array(corners, np.int64).reshape(-1, 3, 2) - 1
        vertices = np.array(places, np.float64).reshape(-1, 3)
    except ValueError as error:
        raise _refused(path, f"is not a mesh with texture coordinates ({error})") from error
    if not len(faces):
        raise _refused(path, "holds no faces")
    return Mesh(
        vertices, np.array(uvs), _checked(path, faces[..., 0], len(vertices)), _checked(path, faces[..., 1], len(uvs)),
        np.array(groups),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Offsets:
    """A target: which base vertices move, int (n,), and by how much, (n, 3) in MakeHuman's decimetres."""

    vertex: Ints
    move: Floats


def read_target(path: Path) -> Offsets:
    """Read a morph target. Raises BodyFileError."""
    words = [line for line in _text(path).splitlines() if line and not line.startswith("#")]
    try:
        rows = np.loadtxt(words, ndmin=2) if words else np.zeros((0, 4))
    except ValueError as error:
        raise _refused(path, f"is not a target of lines 'vertex dx dy dz' ({error})") from error
    if rows.shape[1] != 4:
        raise _refused(path, "is not a target of lines 'vertex dx dy dz'")
    return Offsets(_checked(path, rows[:, 0].astype(np.int64), BASE_VERTICES), rows[:, 1:])


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise _refused(path, f"is not JSON ({error})") from error


def read_joints(path: Path, bones: Sequence[str]) -> dict[str, tuple[Ints, Ints]]:
    """For each bone asked for, base vertices whose mean is its head, and those of its tail. Raises BodyFileError."""
    rig = _json(path)
    try:
        ends = {bone: (rig["bones"][bone]["head"], rig["bones"][bone]["tail"]) for bone in bones}
        return {
            bone: (
                _checked(path, np.array(rig["joints"][head], np.int64), BASE_VERTICES),
                _checked(path, np.array(rig["joints"][tail], np.int64), BASE_VERTICES),
            )
            for bone, (head, tail) in ends.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(path, f"is not MakeHuman's default skeleton ({error!r})") from error


def read_weights(path: Path) -> dict[str, tuple[Ints, Floats]]:
    """Bone -> (base vertices, weights); not normalized. Raises BodyFileError."""
    try:
        listed = {bone: np.array(pairs, np.float64).reshape(-1, 2) for bone, pairs in _json(path)["weights"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused(path, f"is not a table of skin weights ({error!r})") from error
    return {
        bone: (_checked(path, pairs[:, 0].astype(np.int64), BASE_VERTICES), pairs[:, 1])
        for bone, pairs in listed.items()
    }


@dataclass(frozen=True, eq=False)
class Fit:
    """How a garment follows the base mesh: three base vertices (n, 3), their shares (n, 3), an offset (n, 3).

    scale: for x, y, z two base vertices and the distance between them at which the offset is as written.
    hides: base vertices that the garment covers.
    """

    vertex: Ints
    share: Floats
    offset: Floats
    scale: tuple[tuple[int, int, float], ...]
    hides: Ints


def read_fit(path: Path) -> Fit:
    """Read an mhclo or proxy file. Raises BodyFileError."""
    rows: list[list[float]] = []
    scale: dict[str, tuple[int, int, float]] = {}
    hidden: list[str] = []
    section = ""
    try:
        for line in _text(path).splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] in ("x_scale", "y_scale", "z_scale"):
                scale[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
            elif words[0][0].isalpha():
                section = words[0] if words[0] in ("verts", "delete_verts") else section
            elif section == "delete_verts":
                hidden += words
            elif section == "verts":
                row = [float(word) for word in words]
                rows.append(row if len(row) == 9 else [row[0]] * 3 + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
        table = np.array(rows, np.float64).reshape(-1, 9)
        return Fit(
            _checked(path, table[:, :3].astype(np.int64), BASE_VERTICES), table[:, 3:6], table[:, 6:],
            tuple(scale[axis] for axis in "xyz"), _checked(path, _ranges(hidden), BASE_VERTICES),
        )  # fmt: skip
    except BodyFileError:
        raise
    except (KeyError, IndexError, ValueError) as error:
        raise _refused(path, f"is not a fitted garment or proxy ({error!r})") from error


def _ranges(words: list[str]) -> Ints:
    """Vertex numbers written as single numbers and as ranges `first - last`."""
    numbers: list[int] = []
    position = 0
    while position < len(words):
        if position + 2 < len(words) and words[position + 1] == "-":
            numbers += range(int(words[position]), int(words[position + 2]) + 1)
            position += 3
        else:
            numbers.append(int(words[position]))
            position += 1
    return np.array(numbers, np.int64)
