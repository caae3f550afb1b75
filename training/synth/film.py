"""Filming: scene -> camera -> pictures -> sensor -> clip. Clip i depends on (seed, i) and the options only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.labels import FALLING, FLOOR, LABELS
from device.preprocess import Raster, letterbox, to_grey
from training.synth.behaviours import CATALOGUE, draw_behaviour
from training.synth.camera import Camera, place_camera, sway
from training.synth.clip import FORMAT, PEOPLE, SEEN_PIXELS, Clip, visible
from training.synth.labels_truth import scene_labels
from training.synth.light import light_plan, screen_flicker
from training.synth.render import HEIGHT, WIDTH, Look, Painter
from training.synth.rooms import Room
from training.synth.scene import Scene, SceneRefusedError, make_scene
from training.synth.sensor import barrel_maps, degrade, distort, held_frames, random_sensor
from training.synth.simulate import STEPS_PER_S
from training.synth.stage import PREFIXES

RASTER: Final = Raster(128, 96)
INFRARED_SHADES: Final = 8
SHUTTER_HALF: Final = 0.5
"""The second moment of a picture lies half the open time back: the mean of the two is the blur's first order."""
MASK_EVERY: Final = 2
"""A segmentation picture costs 40 % of a colour one: every second step has its own, the next shares it."""
TRIES: Final = 40


@dataclass(frozen=True)
class Options:
    """What the clips of one run share: length in steps and the folder of CC0 data (None: procedural only)."""

    steps: int = 60
    data: Path | None = None


def make_clip(seed: int, index: int, options: Options) -> Clip:
    """Clip `index` of `seed`. The behaviour is drawn first and kept: what is hard to draw does not become rare."""
    name = draw_behaviour(np.random.default_rng([seed, index]))
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, index, attempt + 1])
        try:
            scene = make_scene(name, options.steps, rng, options.data, (WIDTH, HEIGHT))
            return _film(scene, rng, {"seed": seed, "index": index, "attempt": attempt})
        except (LookupError, FloatingPointError, SceneRefusedError):
            continue
    raise RuntimeError(f"clip {index} of seed {seed} ({name}): {TRIES} draws gave no valid scene")


def _film(scene: Scene, rng: np.random.Generator, origin: dict[str, int]) -> Clip:
    """Hang the camera, paint the filmed steps, send them through the sensor, label what can be seen."""
    steps = scene.filmed.stop - scene.filmed.start
    look = draw_look(scene.room, place_camera(scene.room, _action(scene), CATALOGUE[scene.name].aim, rng), steps, rng)
    look.shadows = scene.shadows
    sensor = random_sensor(rng, look.lights[0][1].kind == "night")
    painter = Painter(scene.model, PREFIXES[: len(scene.figures)], look, picture_size(look.camera))
    try:
        _check_seen(painter, scene)
        pictures, maps = _paint(painter, scene.trace.qpos[scene.filmed], sensor.shutter)
    finally:
        painter.close()
    pictures, maps = through_lens(pictures, look.camera), through_lens(maps, look.camera, nearest=True)
    shown = held_frames(steps, sensor, rng)
    delivered = degrade(pictures, sensor, rng)
    grey = np.stack([to_grey(delivered[i], RASTER) for i in shown])
    owners = np.stack([_in_raster(owner) for owner in maps])
    meta = {**origin, "format": FORMAT, "behaviour": scene.name, "group": CATALOGUE[scene.name].group,
            "labels": list(LABELS), "steps_per_s": STEPS_PER_S, "content": list(letterbox(*painter.size, RASTER)),
            "room": scene.room.kind, "light": [light.kind for _, light in look.lights], "shadows": scene.shadows,
            "bodies": [figure.body is not None for figure in scene.figures], "shaken": look.sway is not None,
            "camera": asdict(look.camera), "sensor": asdict(sensor), **_fall_times(scene)}  # fmt: skip
    # Through JSON at once, so that a clip just made equals the same clip read back.
    owner = owners[shown]
    height = _heights(scene, shown, visible(owner))
    return Clip(grey.astype(np.uint8), owner, _labels(scene, owners), height, json.loads(json.dumps(meta)))


def _labels(scene: Scene, owners: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The label of each filmed step; somebody with hardly a pixel in the picture is not there."""
    return scene_labels([labels[scene.filmed] for labels in scene.labels], visible(owners).T[: len(scene.figures)])


def _heights(scene: Scene, shown: NDArray[np.int64], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Head heights of the pictures shown: float32 (steps, 2) in m, nan for nobody or unseen."""
    out = np.full((len(shown), PEOPLE), np.nan, np.float32)
    for person, track in enumerate(scene.trace.tracks[:PEOPLE]):
        out[:, person] = track.head[scene.filmed][shown, 2]
    out[~seen] = np.nan
    return out


def _fall_times(scene: Scene) -> dict[str, float | None]:
    """Start and end of the fall in seconds of the clip; None where there is none or it began before the clip."""
    fall, first = scene.fall, scene.filmed.start
    if fall is None or not first <= fall.start < scene.filmed.stop:
        return {"fall_start_s": None, "fall_end_s": None}
    return {"fall_start_s": (fall.start - first) / STEPS_PER_S, "fall_end_s": (fall.end - first) / STEPS_PER_S}


def _action(scene: Scene) -> NDArray[np.float64]:
    """What the camera is hung for: pelvis and head of the first person over the filmed time, or the room's middle."""
    if not scene.trace.tracks:
        return np.array([[0.0, 0.0, 0.8]])
    track = scene.trace.tracks[0]
    return np.stack([track.pelvis[scene.filmed], track.head[scene.filmed]], axis=1).reshape(-1, 3)


def _check_seen(painter: Painter, scene: Scene) -> None:
    """A fall that the camera cannot see would be a wrong label; so would a floor clip with nobody in view."""
    if CATALOGUE[scene.name].group == "everyday" or not scene.figures:
        return
    steps = range(scene.filmed.start, scene.filmed.stop, 9)
    relevant = [s for s in steps if scene.labels[0][s] in (FALLING, FLOOR)]
    pixels = []
    for step in relevant:
        painter.pose(scene.trace.qpos[step], step - scene.filmed.start)
        pixels.append(int((painter.people() == 1).sum()))
    if not pixels or np.median(pixels) < 6 * SEEN_PIXELS or min(pixels) < SEEN_PIXELS:
        raise SceneRefusedError("the camera hardly sees the person")


def _paint(
    painter: Painter, qpos: NDArray[np.float64], shutter: float
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Picture and owner map of each step; with an open shutter a picture is the mean of two moments."""
    pictures: list[NDArray[np.uint8]] = []
    owners: list[NDArray[np.uint8]] = []
    for step, row in enumerate(qpos):
        painter.pose(row, step)
        picture = np.asarray(cv2.cvtColor(painter.picture(), cv2.COLOR_RGB2GRAY), np.uint8)
        owners.append(painter.people() if step % MASK_EVERY == 0 else owners[-1])
        if shutter and step:
            painter.pose(row + SHUTTER_HALF * shutter * (qpos[step - 1] - row), step)
            before = np.asarray(cv2.cvtColor(painter.picture(), cv2.COLOR_RGB2GRAY), np.uint8)
            picture = np.asarray(cv2.addWeighted(picture, 0.5, before, 0.5, 0), np.uint8)
        pictures.append(picture)
    return pictures, owners


def picture_size(camera: Camera) -> tuple[int, int]:
    """Pixels drawn for a camera: WIDTH wide, as high as its ratio says, even so that H.264 takes it."""
    return WIDTH, 2 * round(WIDTH / camera.ratio / 2)


def draw_look(room: Room, camera: Camera, steps: int, rng: np.random.Generator) -> Look:
    """Everything about how a room looks through this camera that lasts the whole clip."""
    lights = light_plan(rng, steps)
    flicker = screen_flicker(rng, steps) if any(light.screen for _, light in lights) else None
    return Look(
        camera, lights, float(rng.uniform(0.05, 0.35)), float(rng.uniform(0.02, 0.15)), room=room,
        sway=sway(rng, steps), flicker=flicker, infrared=rng.uniform(0, 0.9, INFRARED_SHADES),
    )  # fmt: skip


def through_lens(pictures: list[NDArray[np.uint8]], camera: Camera, nearest: bool = False) -> list[NDArray[np.uint8]]:
    """The pictures as the camera's lens distorts them; nearest for maps whose values must not mix."""
    if not camera.barrel:
        return pictures
    height, width = pictures[0].shape
    maps = barrel_maps(width, height, camera.barrel)
    return [distort(picture, maps, nearest) for picture in pictures]


def _in_raster(owner: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An owner map between the bars of the raster."""
    left, top, width, height = letterbox(owner.shape[1], owner.shape[0], RASTER)
    out = np.zeros((RASTER.height, RASTER.width), np.uint8)
    out[top : top + height, left : left + width] = owner
    return out
