"""Hours of everyday life for counting false alarms: `fallwatch synth --hours`. Piece i depends on (seed, i) only.

A piece is one room, one camera, one or two residents and several minutes of one act after another, with nobody falling.
The physics is that of the clips; pictures are drawn smaller and only when something visible moved, and every step gets
its own sensor noise.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from device.labels import FALLING, FLOOR, LABELS, LYING
from device.preprocess import letterbox, to_grey
from training.pieces import Piece
from training.synth.bodies.shape import open_bodies
from training.synth.camera import Camera, place_camera
from training.synth.clip import SEEN_PIXELS
from training.synth.day_story import MARKED, Episode, live_together
from training.synth.film import RASTER, draw_look, picture_size, through_lens
from training.synth.labels_truth import check_labels, scene_labels
from training.synth.layers import LayeredPainter
from training.synth.light import Light, random_light, screen_flicker
from training.synth.mocap import open_motions
from training.synth.people import random_figure
from training.synth.render import Look
from training.synth.room_model import Decor
from training.synth.rooms import plan_room
from training.synth.scene import SceneRefusedError, check_inside, compile_stage, play
from training.synth.sensor import degrade, held_frames, random_sensor
from training.synth.simulate import STEPS_PER_S, Trace
from training.synth.stage import PREFIXES, Stage

FORMAT: Final = 1
PIECE_S: Final = 300.0
"""Length of a piece: long enough for an alarm to be confirmed and to ring again, short enough to be drawn anew."""
SHORTEST_PIECE_S, LONGEST_PIECE_S = 5.0, 1800.0
"""Below, nobody gets anywhere; above, a scene of which one step fails its checks is too long to draw again."""
SCALE: Final = 0.75
"""Width and height against those of a clip: 192 pixels are still half as many again as the raster has."""
TRIES: Final = 40
STILL: Final = 0.012
"""Joint angles (rad) and places (m) that changed less since the last drawn picture show less than a pixel: at 2 m and
70 degrees a pixel of 192 is 15 mm wide."""
SWAY_DEG: Final = 0.03
LOOK_EVERY: Final = 10
"""Who can be seen is looked up once a second."""
NEEDS: Final = ((), (), ("bed",), ("bed", "armchair"), ("armchair",), ("chair", "table"), ("sofa",))
GRACE_S: Final = 1.0
"""How far a posture on the floor may reach out of the act that it belongs to."""
TOUCH_M: Final = 0.3
"""Hips of two people nearer than this are one in the other: a pelvis is 0.3 to 0.4 m broad."""
IN_BED: Final = ("sleep", "restless")
LYING_SHARE: Final = 0.5
"""Who sleeps or tosses lies at least this share of the time, else the furniture holds them half up."""
SEEN_SHARE: Final = 0.6
Span = tuple[float, float]


@dataclass(frozen=True)
class DayOptions:
    """What the pieces of one run share: length in s and the folder of CC0 data (None: procedural only)."""

    piece_s: float = PIECE_S
    data: Path | None = None

    @property
    def steps(self) -> int:
        """Steps of a piece."""
        return round(self.piece_s * STEPS_PER_S)


@dataclass(frozen=True)
class Played:
    """A piece after the physics: stage, model, trace, one label a step for each person, who does what when."""

    stage: Stage
    model: Any
    trace: Trace
    labels: tuple[list[str], ...]
    episodes: list[Episode]

    @property
    def on_purpose(self) -> list[Span]:
        """Spans in seconds in which somebody is on the floor of their own will."""
        return [(e.from_s, e.to_s) for e in self.episodes if e.name in MARKED]


def make_piece(seed: int, index: int, options: DayOptions) -> Piece:
    """Piece `index` of `seed`. Raises RuntimeError when no draw gave a piece in which nobody falls."""
    reasons: list[str] = []
    for attempt in range(TRIES):
        rng = np.random.default_rng([seed, index, attempt, 77])
        try:
            played = play_piece(options, rng)
            return _film(played, options, rng, {"seed": seed, "index": index, "attempt": attempt})
        except (LookupError, FloatingPointError, SceneRefusedError) as error:
            reasons.append(str(error))
    raise RuntimeError(f"day piece {index} of seed {seed}: {TRIES} draws gave no valid piece, the last: {reasons[-1]}")


def play_piece(options: DayOptions, rng: np.random.Generator) -> Played:
    """Room, residents, their doings, the physics. Raises what make_piece draws again for."""
    room = plan_room(NEEDS[int(rng.integers(len(NEEDS)))], rng)
    bodies = open_bodies(options.data / "bodies") if options.data else None
    figures = tuple(random_figure(rng, bodies) for _ in range(2 if rng.random() < 0.35 else 1))
    stage = Stage(room, rng, figures, motions=open_motions(options.data))
    scripts, episodes = live_together(stage, options.piece_s)
    decor = Decor(options.data, bool(rng.random() < 0.5), False, bool(rng.random() < 0.15))
    model = compile_stage(stage, decor, False, (256, 256))
    trace, labels = play(model, stage, scripts, options.steps)
    played = Played(stage, model, trace, labels, [e for e in episodes if e.from_s < options.piece_s])
    _check(played)
    return played


def _check(played: Played) -> None:
    """Nobody falls, lies on the floor but on purpose, leaves through a wall, walks through somebody or is stuck.

    The labels are held against the physics as those of clips are.
    """
    tracks = played.trace.tracks
    for problem in (text for pair in zip(tracks, played.labels, strict=True) for text in check_labels(*pair)):
        raise SceneRefusedError(problem)
    if len(tracks) == 2:
        apart = np.linalg.norm(tracks[0].pelvis[:, :2] - tracks[1].pelvis[:, :2], axis=1)
        if float(apart.min()) < TOUCH_M:
            raise SceneRefusedError("two people walk through each other")
    for episode in played.episodes:
        steps = slice(round(episode.from_s * STEPS_PER_S), round(episode.to_s * STEPS_PER_S))
        labels = played.labels[episode.person][steps]
        if episode.name in IN_BED and labels.count(LYING) < LYING_SHARE * len(labels):
            raise SceneRefusedError("somebody is stuck half lying")
    check_inside(played.trace, played.stage.room)
    for labels in played.labels:
        if FALLING in labels:
            raise SceneRefusedError("somebody falls in a day without falls")
        for step in (step for step, label in enumerate(labels) if label == FLOOR):
            t = step / STEPS_PER_S
            if not any(start - GRACE_S <= t <= end + GRACE_S for start, end in played.on_purpose):
                raise SceneRefusedError(f"somebody lies on the floor at {t:.1f} s, and not on purpose")


def day_lights(rng: np.random.Generator, steps: int) -> list[tuple[int, Light]]:
    """(step from which, light): clouds or a dimmer every 20 to 90 s, once in a while another lamp, dusk or dawn."""
    plan = [(0, random_light(rng))]
    step = int(rng.integers(200, 900))
    while step < steps:
        light = plan[-1][1]
        if rng.random() < 0.2:
            plan.append((step, random_light(rng)))
        else:
            factor = float(rng.uniform(0.75, 1.3))
            plan.append((step, replace(light, lamp=light.lamp * factor, window=light.window * factor)))
        step += int(rng.integers(200, 900))
    return plan


def _look(played: Played, camera: Camera, steps: int, rng: np.random.Generator) -> Look:
    look = draw_look(played.stage.room, camera, steps, rng)
    look.lights = day_lights(rng, steps)
    look.curtain_m *= float(rng.random() < 0.1)
    # Shadows thrown on walls cost a third of a picture; contact shadows stay.
    look.room = look.room if rng.random() < 0.3 else None
    look.flicker = screen_flicker(rng, steps) if any(light.screen for _, light in look.lights) else None
    return look


def _hang_camera(played: Played, rng: np.random.Generator) -> Camera:
    """A camera that has its residents in the picture at least SEEN_SHARE of the time, furniture not considered."""
    points = np.concatenate([track.pelvis[::20] for track in played.trace.tracks])
    for _ in range(12):
        camera = place_camera(played.stage.room, points, "room" if rng.random() < 0.5 else "actor", rng)
        if camera.sees(points).mean() >= SEEN_SHARE:
            return camera
    raise LookupError("no camera sees the residents")


def _film(played: Played, options: DayOptions, rng: np.random.Generator, origin: dict[str, int]) -> Piece:
    """Camera, pictures, sensor, labels of what can be seen."""
    camera = _hang_camera(played, rng)
    look = _look(played, camera, options.steps, rng)
    # Two moments a picture would double the price of a day; motion blur is left to the clips.
    sensor = replace(random_sensor(rng, look.lights[0][1].kind == "night"), shutter=0.0)
    width, height = (2 * round(SCALE * pixels / 2) for pixels in picture_size(camera))
    painter = LayeredPainter(played.model, PREFIXES[: len(played.stage.figures)], look, (width, height))
    try:
        seen = _seen(painter, played.trace.qpos)
        if seen.any(axis=0).mean() < SEEN_SHARE / 2:
            raise SceneRefusedError("the camera hardly sees anybody")
        pictures, drawn = _paint(painter, played.trace.qpos, look)
    finally:
        painter.close()
    delivered = degrade(_through_lens(pictures, camera), sensor, rng)
    shown = held_frames(options.steps, sensor, rng)
    grey = np.stack([to_grey(delivered[i], RASTER) for i in shown])
    sizes = {"content": list(letterbox(width, height, RASTER)), "drawn": drawn}
    meta = {**origin, **_facts(played, options), **sizes, "camera": asdict(camera), "sensor": asdict(sensor),
            "light": [[start / STEPS_PER_S, light.kind] for start, light in look.lights]}  # fmt: skip
    return Piece(grey.astype(np.uint8), scene_labels(played.labels, seen), json.loads(json.dumps(meta)))


def _facts(played: Played, options: DayOptions) -> dict[str, Any]:
    """What the description of a piece says about its story."""
    return {"format": FORMAT, "kind": "day", "labels": list(LABELS), "steps_per_s": STEPS_PER_S,
            "piece_s": options.piece_s, "room": played.stage.room.kind, "people": len(played.stage.figures),
            "on_purpose": [list(span) for span in played.on_purpose],
            "episodes": [asdict(episode) for episode in played.episodes]}  # fmt: skip


def _through_lens(pictures: list[NDArray[np.uint8]], camera: Camera) -> list[NDArray[np.uint8]]:
    """Each drawn picture once through the lens, the repeats after it share the result."""
    out: list[NDArray[np.uint8]] = []
    for step, picture in enumerate(pictures):
        same = step > 0 and picture is pictures[step - 1]
        out.append(out[-1] if same else through_lens([picture], camera)[0])
    return out


def needs_drawing(qpos: NDArray[np.float64], drawn: NDArray[np.float64]) -> bool:
    """Whether a pose differs visibly from the one drawn last."""
    return bool(np.abs(qpos - drawn).max() > STILL)


def _paint(painter: LayeredPainter, qpos: NDArray[np.float64], look: Look) -> tuple[list[NDArray[np.uint8]], int]:
    """One picture a step, the last one again while nothing moves; and how many were drawn."""
    pictures: list[NDArray[np.uint8]] = []
    last, drawn, state = qpos[0], 0, None
    switches = {start for start, _ in look.lights}
    sway = np.zeros((len(qpos), 3)) if look.sway is None else look.sway
    flicker = np.ones(len(qpos)) if look.flicker is None else look.flicker
    for step, row in enumerate(qpos):
        now = (tuple(np.round(sway[step] / SWAY_DEG)), round(float(flicker[step]) / 0.05))
        waves = look.curtain_m > 0 and step % 2 == 0
        if pictures and step not in switches and now == state and not waves and not needs_drawing(row, last):
            pictures.append(pictures[-1])
            continue
        painter.pose(row, step)
        pictures.append(np.asarray(cv2.cvtColor(painter.picture(), cv2.COLOR_RGB2GRAY), np.uint8))
        last, state, drawn = row, now, drawn + 1
    return pictures, drawn


def _seen(painter: LayeredPainter, qpos: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the camera sees enough of each person: bool (people, steps), looked up once a second."""
    out = np.zeros((len(painter.prefixes), len(qpos)), bool)
    for step in range(0, len(qpos), LOOK_EVERY):
        painter.pose(qpos[step], step)
        owner = painter.people()
        for person in range(len(out)):
            out[person, step : step + LOOK_EVERY] = (owner == person + 1).sum() >= SEEN_PIXELS
    return out
