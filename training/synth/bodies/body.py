"""One dressed body: shaped mesh, what it wears, as layers to be drawn, and the build of the solid body inside."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.synth.bodies.files import Flags, Floats, Ints
from training.synth.bodies.garments import Piece, fitted
from training.synth.bodies.rig import Rest, to_room
from training.synth.bodies.shape import Bodies, Shape
from training.synth.build import Build, measured_build, standing_height


@dataclass(frozen=True)
class Outfit:
    """What a body wears: rows of cloth (shirt, trousers, shoes, hair), folder, garment, part of it (whole: all)."""

    proxy: str
    worn: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, eq=False)
class Layer:
    """One skin to draw in the rest pose: vertices (n, 3) in m, triangles (k, 3), uv (n, 2), weights (n, parts)."""

    cloth: str
    vertices: Floats
    triangles: Ints
    uv: Floats
    weights: Floats


@dataclass(frozen=True, eq=False)
class Body:
    """A person's skins and the frames of the parts in the pose in which they are given; height_m standing straight."""

    shape: Shape
    outfit: Outfit
    layers: tuple[Layer, ...]
    rest: Rest
    build: Build
    height_m: float

    def scaled(self, factor: float) -> Body:
        """The same body larger or smaller in all directions."""
        layers = tuple(replace(layer, vertices=layer.vertices * factor) for layer in self.layers)
        rest = Rest(self.rest.place * factor, self.rest.turn)
        return replace(self, layers=layers, rest=rest, height_m=self.height_m * factor)


def dress(bodies: Bodies, shape: Shape, outfit: Outfit) -> Body:
    """Shape a body, put the outfit on it and take the hidden skin off. Raises BodyFileError."""
    base = bodies.vertices(shape)
    hidden = np.zeros(len(base), bool)
    layers = []
    for cloth, kind, name, part in outfit.worn:
        garment = bodies.garment(kind, name)
        for each in (part,) if part != "whole" else garment.pieces:
            hidden[garment.hides[each]] = True
            layers.append(_layer(cloth, garment.pieces[each], base))
    bare = bodies.garment("proxies", outfit.proxy).pieces["whole"]
    layers.insert(0, _uncovered(_layer("skin", bare, base), bare, hidden))
    rest = bodies.rest(base)
    place = to_room(base[bodies.skin])
    sole = min(float(layer.vertices[:, 2].min()) for layer in layers if layer.cloth in ("skin", "shoes"))
    height = standing_height(place, sole, rest)
    build = measured_build(place, bodies.weights[bodies.skin], rest, sole, height)
    return Body(shape, outfit, tuple(layers), rest, build, height)


def _layer(cloth: str, piece: Piece, base: Floats) -> Layer:
    return Layer(cloth, to_room(fitted(piece.fit, base)), piece.triangles, piece.uv, piece.weights)


def _uncovered(skin: Layer, piece: Piece, hidden: Flags) -> Layer:
    """The skin without triangles that lie wholly on hidden base vertices, and without the vertices they leave over."""
    covered = np.einsum("nk,nk->n", np.maximum(piece.fit.share, 0.0), hidden[piece.fit.vertex]) > 0.5
    kept = skin.triangles[~covered[skin.triangles].all(axis=1)]
    used, position = np.unique(kept, return_inverse=True)
    return Layer(skin.cloth, skin.vertices[used], position.reshape(-1, 3), skin.uv[used], skin.weights[used])
