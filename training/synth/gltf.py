"""Furniture modelled as glTF (data/furniture): static meshes with one colour picture, read without a glTF library.

Only what those files use is read: one binary buffer beside the file, float positions and texture places, triangles,
nodes with translation, rotation and scale. Anything else is refused by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.synth.textures import DataFileError

TEXTURE_SIDE: Final = 128
"""Pictures of furniture are shrunk to this: at 256 x 192 pixels a wardrobe is rarely larger."""

_COMPONENTS: Final = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


@dataclass(frozen=True)
class Shape:
    """A mesh standing on z = 0 around the origin, its front along x, in m.

    vertices: float64 (n, 3). texture_places: float32 (n, 2). faces: int32 (m, 3). picture: uint8 RGB, square.
    """

    vertices: NDArray[np.float64]
    texture_places: NDArray[np.float32]
    faces: NDArray[np.int32]
    picture: NDArray[np.uint8]

    @property
    def size(self) -> NDArray[np.float64]:
        """Extent along x, y, z in m."""
        return np.asarray(np.ptp(self.vertices, axis=0))


@lru_cache(maxsize=16)
def read_shape(path: Path) -> Shape:
    """All meshes of a glTF file as one shape. Raises DataFileError naming the file when it is not one of that kind."""
    try:
        return _shape(path)
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise DataFileError(f"{path} is not a furniture model that can be read ({error}); fetch it again") from error


def _shape(path: Path) -> Shape:
    document = json.loads(path.read_text())
    binary = (path.parent / document["buffers"][0]["uri"]).read_bytes()
    vertices, places, faces, count = [], [], [], 0
    for mesh, turn, shift in _placed(document):
        for primitive in document["meshes"][mesh]["primitives"]:
            points = _array(document, binary, primitive["attributes"]["POSITION"])
            vertices.append(points @ turn.T + shift)
            places.append(_array(document, binary, primitive["attributes"]["TEXCOORD_0"]))
            faces.append(_array(document, binary, primitive["indices"]).reshape(-1, 3) + count)
            count += len(points)
    upright = np.concatenate(vertices)[:, [2, 0, 1]].astype(np.float64)  # glTF is y up, front z
    middle = (upright.min(axis=0) + upright.max(axis=0)) / 2
    upright -= np.array([middle[0], middle[1], upright[:, 2].min()])
    return Shape(upright, np.concatenate(places).astype(np.float32), np.concatenate(faces).astype(np.int32),
                 _picture(document, path.parent))  # fmt: skip


def _array(document: dict[str, Any], binary: bytes, index: int) -> NDArray[Any]:
    """One accessor as an array (count, width)."""
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    if view.get("byteStride"):
        raise ValueError("interleaved buffers are not read")
    kind, width = _COMPONENTS[accessor["componentType"]], _WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    flat: NDArray[Any] = np.frombuffer(binary, np.dtype(kind), int(accessor["count"]) * width, int(start))
    return flat.reshape(-1, width)


def _placed(document: dict[str, Any]) -> list[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Every mesh with the turn-and-scale and the shift of its node; nodes within nodes are not used by these files."""
    found = []
    for node in document["nodes"]:
        if "mesh" not in node:
            continue
        x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
        turn = np.array([
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ])  # fmt: skip
        scale = np.diag(node.get("scale", (1.0, 1.0, 1.0)))
        found.append((node["mesh"], turn @ scale, np.array(node.get("translation", (0.0, 0.0, 0.0)))))
    return found


def _picture(document: dict[str, Any], folder: Path) -> NDArray[np.uint8]:
    colour = document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"]
    path = folder / document["images"][document["textures"][colour]["source"]]["uri"]
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"its picture {path.name} cannot be read")
    small = cv2.resize(picture, (TEXTURE_SIDE, TEXTURE_SIDE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[::-1, :, ::-1])  # MuJoCo's texture rows run upwards
