"""A dressed body as MuJoCo skins: linear blend skinning over the parts of an articulated person."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from training.synth.bodies.body import Body, Layer
from training.synth.bodies.rig import PARTS


def add_skins(spec: Any, prefix: str, body: Body, materials: dict[str, str]) -> None:
    """Hang every layer of a body on the parts `prefix` + name; materials: cloth -> material name."""
    turns = np.zeros((len(PARTS), 4))
    for row, turn in zip(turns, body.rest.turn, strict=True):
        mujoco.mju_mat2Quat(row, turn.ravel())
    for number, layer in enumerate(body.layers):
        if len(layer.triangles):
            skin = spec.add_skin(name=f"{prefix}skin{number}", material=materials[layer.cloth])
            pulling = _set_mesh(skin, layer)
            skin.bodyname = [prefix + PARTS[index] for index in pulling]
            skin.bindpos = body.rest.place[pulling].ravel().tolist()
            skin.bindquat = turns[pulling].ravel().tolist()


def _set_mesh(skin: Any, layer: Layer) -> list[int]:
    """Vertices, triangles and weights; returns the numbers of the parts that pull, in the order of the weights."""
    pulling = [index for index in range(len(PARTS)) if layer.weights[:, index].any()]
    skin.vertid = [np.flatnonzero(layer.weights[:, index]).tolist() for index in pulling]
    skin.vertweight = [layer.weights[layer.weights[:, index] > 0, index].tolist() for index in pulling]
    skin.vert = layer.vertices.ravel().tolist()
    skin.texcoord = layer.uv.ravel().tolist()
    skin.face = layer.triangles.ravel().tolist()
    return pulling
