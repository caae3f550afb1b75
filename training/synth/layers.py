"""Pictures in layers: the room, which takes most of the time, is drawn once for each light, the people every step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.synth.poses import Vector
from training.synth.render import Painter

Layer = tuple[NDArray[np.uint8], NDArray[np.float32]]
"""Colours uint8 (height, width, 3) and depths float32 (height, width), 0 near, 1 far; bottom row first."""
FLICKER_LEVELS = 20
"""Steps between dark and full of a television's light that are told apart: 5 % of its light."""


@dataclass
class LayeredPainter(Painter):
    """A painter for a camera and furniture that stay: the moving layer is laid over the still one by depth.

    With a shaken camera, real shadows or a mirroring floor it draws whole pictures, as its parent does.
    """

    _still: dict[tuple[Any, int], Layer] = field(init=False, default_factory=dict)
    _as_light: bool = field(init=False, default=False)

    @property
    def layered(self) -> bool:
        """Whether the still layer can be kept."""
        return self.look.sway is None and not self.look.shadows and not self._mirrors and not self.look.curtain_m

    def pose(self, qpos: Vector, step: float) -> None:
        """Put everything where it is, in a light whose flicker is rounded to FLICKER_LEVELS."""
        super().pose(qpos, step)
        share = 1.0 if self.look.flicker is None else float(self.look.flicker[int(step)])
        self._level = round(share * FLICKER_LEVELS)
        if self.layered:
            self._light.apply(self.model, self._level / FLICKER_LEVELS)

    def picture(self) -> NDArray[np.uint8]:
        """The colour picture of the present pose, uint8 (height, width, 3) RGB."""
        if not self.layered:
            return super().picture()
        key = (self._light, self._level)
        if key not in self._still:
            self._still[key] = self._layer(mujoco.mjtCatBit.mjCAT_STATIC.value, skins=False)
        back, far = self._still[key]
        out = self._shaded(back, far)
        colours, depth = self._layer(mujoco.mjtCatBit.mjCAT_DYNAMIC.value, skins=True)
        nearer = depth < far
        out[nearer] = colours[nearer]
        return out[::-1]

    def _shaded(self, back: NDArray[np.uint8], far: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The still layer darkened by the people's shadows."""
        if self.look.blob_shadow <= 0:
            return back.copy()
        self._as_light = True
        self._update_only(0, skins=False)
        self._blobs()
        if self.look.room is not None:
            self._cast_shadows(self.look.room)
        self._as_light = False
        share, depth = self._render()
        keep = 255 - share[..., 0].astype(np.uint16)
        keep[depth > far] = 255
        return np.asarray(back * keep[..., None] // 255, np.uint8)

    def _patch(self, place: Vector, axes: Vector, half: tuple[float, float], alpha: float) -> None:
        """A shadow; in the shadow layer as a white glow whose brightness is how much light it takes away."""
        before = self._scene.ngeom
        super()._patch(place, axes, half, alpha)
        if self._as_light and self._scene.ngeom > before:
            geom = self._scene.geoms[before]
            geom.rgba[:3], geom.emission = 1.0, 1.0

    def _layer(self, categories: int, skins: bool) -> Layer:
        """Everything of these categories, drawn alone."""
        self._update_only(categories, skins)
        return self._render()

    def _update_only(self, categories: int, skins: bool) -> None:
        scene, flag = self._scene, mujoco.mjtRndFlag
        self._option.flags[mujoco.mjtVisFlag.mjVIS_SKIN] = skins
        mujoco.mjv_updateScene(self.model, self._data, self._option, None, self._view, categories, scene)
        self._option.flags[mujoco.mjtVisFlag.mjVIS_SKIN] = True
        for off in (flag.mjRND_SHADOW, flag.mjRND_REFLECTION, flag.mjRND_SKYBOX, flag.mjRND_SEGMENT,
                    flag.mjRND_IDCOLOR):  # fmt: skip
            scene.flags[off] = False

    def _render(self) -> Layer:
        width, height = self.size
        rect = mujoco.MjrRect(0, 0, width, height)
        colours, depth = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.float32)
        mujoco.mjr_render(rect, self._scene, self._gl)
        mujoco.mjr_readPixels(colours, depth, rect, self._gl)
        return colours, depth
