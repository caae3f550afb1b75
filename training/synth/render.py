"""Trace -> pictures: one off-screen OpenGL context a process, colour pictures and a map of who is where."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass, field
from typing import Any, Final

import mujoco
import numpy as np
from numpy.typing import NDArray

from training.synth.camera import Camera
from training.synth.light import Light, aim_lights, ray_to
from training.synth.poses import Vector
from training.synth.rooms import Room
from training.synth.shadows import cast

WIDTH: Final = 256
HEIGHT: Final = 192
MAX_GEOMS: Final = 600

SHADOW_PARTS: Final = (
    "pelvis",
    "chest",
    "head",
    "l_shin",
    "r_shin",
    "l_foot",
    "r_foot",
    "l_thigh",
    "r_thigh",
    "l_forearm",
    "r_forearm",
)


class Canvas:
    """The process's OpenGL context; made once, since making it costs far more than a picture."""

    _shared: Canvas | None = None

    def __init__(self, width: int, height: int) -> None:
        try:
            self._context = mujoco.GLContext(width, height)
        except Exception as error:  # each back-end raises its own kind
            raise RuntimeError(
                f"no off-screen OpenGL ({os.environ['MUJOCO_GL']}): {error}; install libosmesa6 or set MUJOCO_GL=egl"
            ) from error
        self._context.make_current()
        # Freed here and not by the garbage collector, which comes too late for PyOpenGL and prints a traceback.
        atexit.register(self._context.free)
        self.size = (width, height)

    @classmethod
    def shared(cls, width: int, height: int) -> Canvas:
        """The context of this process, large enough for the picture."""
        if cls._shared is None or cls._shared.size[0] < width or cls._shared.size[1] < height:
            cls._shared = cls(width, height)
        return cls._shared


@dataclass
class Look:
    """What a picture sequence needs besides the physics: camera, light over time, ground shadow, curtain swing in m.

    shadows: real ones, by shadow map. room: for shadows thrown on walls and the television's place. sway: pan, tilt,
    roll in degrees of each step. flicker: factor on the screen's light of each step. infrared: how far 0..1 each of a
    person's materials is pulled to white in night infrared, where cotton and wool are bright whatever their colour.
    """

    camera: Camera
    lights: list[tuple[int, Light]]
    blob_shadow: float = 0.3
    curtain_m: float = 0.0
    shadows: bool = False
    room: Room | None = None
    sway: NDArray[np.float64] | None = None
    flicker: NDArray[np.float64] | None = None
    infrared: NDArray[np.float64] | None = None


@dataclass
class Painter:
    """Draws one compiled model. `close` frees its textures; the context stays."""

    model: Any
    prefixes: tuple[str, ...]
    look: Look
    size: tuple[int, int] = (WIDTH, HEIGHT)
    _owner: dict[int, NDArray[np.uint8]] = field(init=False)

    def __post_init__(self) -> None:
        Canvas.shared(*self.size)
        model, camera = self.model, self.look.camera
        self._data = mujoco.MjData(model)
        self._gl = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._gl)
        self._scene, self._option = mujoco.MjvScene(model, MAX_GEOMS), mujoco.MjvOption()
        eye = self._eye = model.camera("eye").id
        model.cam_pos[eye], model.cam_fovy[eye] = camera.place, camera.fovy_deg
        mujoco.mju_mat2Quat(model.cam_quat[eye], camera.axes().ravel())
        aim_lights(model, camera, self.look.room)
        self._mirrors = bool((model.mat_reflectance > 0).any())
        self._by_day, self._by_night = model.mat_rgba.copy(), self._infrared_materials()
        self._view = mujoco.MjvCamera()
        self._view.type, self._view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, eye
        of_body = self._owners_of_bodies()
        self._owner = {
            mujoco.mjtObj.mjOBJ_GEOM.value: of_body[model.geom_bodyid],
            mujoco.mjtObj.mjOBJ_SKIN.value: of_body[model.skin_bonebodyid[model.skin_boneadr]],
        }
        self._parts = [model.body(p + part).id for p in self.prefixes for part in SHADOW_PARTS]
        self._curtain = next(
            (int(model.body(b).mocapid[0]) for b in range(model.nbody) if model.body(b).name == "curtain"), -1
        )

    def _owners_of_bodies(self) -> NDArray[np.uint8]:
        """Whose each body of the model is: 0 nobody's, else the person's number."""
        names = [self.model.body(b).name for b in range(self.model.nbody)]
        owner = [next((i + 1 for i, p in enumerate(self.prefixes) if n.startswith(p)), 0) for n in names]
        return np.array(owner, np.uint8)

    def _infrared_materials(self) -> NDArray[np.float32]:
        """Colours of all materials as an infrared camera sees them."""
        seen = np.array(self.model.mat_rgba, np.float32)
        if self.look.infrared is not None:
            theirs = [i for i in range(self.model.nmat) if self.model.material(i).name.startswith(self.prefixes)]
            share = np.resize(self.look.infrared, len(theirs))[:, None].astype(np.float32)
            seen[theirs, :3] += (1 - seen[theirs, :3]) * share
        return seen

    def close(self) -> None:
        """Free the model's textures on the renderer and leave the model's colours as they were."""
        self._gl.free()
        self.model.mat_rgba[:] = self._by_day

    def pose(self, qpos: Vector, step: float) -> None:
        """Put everything where it is at this step."""
        self._data.qpos[:] = qpos
        if self._curtain >= 0:
            swing = self.look.curtain_m
            self._data.mocap_pos[self._curtain] = (
                swing * np.sin(0.31 * step),
                0.5 * swing * np.sin(0.23 * step + 1),
                0.0,
            )
        mujoco.mj_kinematics(self.model, self._data)
        mujoco.mj_comPos(self.model, self._data)
        if self.look.sway is not None:
            turn = self.look.camera.axes(*self.look.sway[int(step)])
            mujoco.mju_mat2Quat(self.model.cam_quat[self._eye], turn.ravel())
        mujoco.mj_camlight(self.model, self._data)
        self._light = [light for start, light in self.look.lights if start <= step][-1]
        self._light.apply(self.model, 1.0 if self.look.flicker is None else float(self.look.flicker[int(step)]))
        self.model.mat_rgba[:] = self._by_night if self._light.kind == "night" else self._by_day

    def _update(self, segments: bool) -> None:
        scene, flag = self._scene, mujoco.mjtRndFlag
        mujoco.mjv_updateScene(
            self.model, self._data, self._option, None, self._view, mujoco.mjtCatBit.mjCAT_ALL.value, scene
        )
        scene.flags[flag.mjRND_SHADOW] = self.look.shadows and not segments
        scene.flags[flag.mjRND_REFLECTION] = self._mirrors and not segments
        scene.flags[flag.mjRND_SKYBOX] = False
        scene.flags[flag.mjRND_SEGMENT] = scene.flags[flag.mjRND_IDCOLOR] = segments
        if not segments and self.look.blob_shadow > 0:
            self._blobs()
            if self.look.room is not None and not self.look.shadows:
                self._cast_shadows(self.look.room)

    def _blobs(self) -> None:
        """A dark patch on the floor under each part, fainter the higher it is: a contact shadow nearly for free."""
        for body in self._parts:
            place = self._data.xipos[body]
            height = max(0.0, float(place[2]))
            alpha = self.look.blob_shadow * float(np.exp(-1.8 * height))
            spread = 0.12 + 0.15 * height
            self._patch(np.array([place[0], place[1], 0.016]), np.eye(3), (spread, spread), alpha)

    def _cast_shadows(self, room: Room) -> None:
        """A slanting shadow of each part on floor or wall, away from the strongest light."""
        for body in self._parts:
            part = self._data.xipos[body]
            ray = ray_to(self.model, self._light, part)
            patch = cast(part, ray, room.half) if ray is not None else None
            if patch is not None:
                alpha = 0.9 * self.look.blob_shadow * float(np.exp(-0.5 * patch.way_m))
                self._patch(patch.place, patch.axes, patch.half, alpha)

    def _patch(self, place: Vector, axes: Vector, half: tuple[float, float], alpha: float) -> None:
        """A dark flat ellipse in the picture, unless it is too faint to see."""
        if alpha < 0.03 or self._scene.ngeom >= self._scene.maxgeom:
            return
        geom = self._scene.geoms[self._scene.ngeom]
        mujoco.mjv_initGeom(
            geom, mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            np.array([*half, 0.002]), place, axes.ravel(), np.array([0, 0, 0, alpha], np.float32),
        )  # fmt: skip
        # mjv_initGeom leaves these as the memory was, and the order in which transparent geoms are blended hangs on
        # them: 10 of 100 repeated pictures of one scene differed by a grey level (measured).
        geom.category, geom.objtype, geom.objid = mujoco.mjtCatBit.mjCAT_DECOR, mujoco.mjtObj.mjOBJ_UNKNOWN, -1
        geom.camdist, geom.modelrbound, geom.transparent = 0.0, 0.0, 0
        self._scene.ngeom += 1

    def picture(self) -> NDArray[np.uint8]:
        """The colour picture of the present pose, uint8 (height, width, 3) RGB."""
        self._update(False)
        return self._draw(*self.size)[::-1]

    def people(self) -> NDArray[np.uint8]:
        """Who is where, uint8 (half height, half width of the picture): 0 nobody, 1 the first person, 2 the second."""
        self._update(True)
        ids = self._draw(self.size[0] // 2, self.size[1] // 2).astype(np.int64)
        segid = ids[..., 0] + 256 * ids[..., 1] + 65536 * ids[..., 2]
        lookup = np.zeros(MAX_GEOMS + 2, np.uint8)
        for geom in self._scene.geoms[: self._scene.ngeom]:
            if geom.objtype in self._owner and geom.segid >= 0 and geom.objid >= 0:
                lookup[geom.segid + 1] = self._owner[geom.objtype][geom.objid]
        return np.ascontiguousarray(lookup[np.minimum(segid, MAX_GEOMS + 1)][::-1])

    def _draw(self, width: int, height: int) -> NDArray[np.uint8]:
        rect = mujoco.MjrRect(0, 0, width, height)
        out = np.empty((height, width, 3), np.uint8)
        mujoco.mjr_render(rect, self._scene, self._gl)
        mujoco.mjr_readPixels(out, None, rect, self._gl)
        return out
