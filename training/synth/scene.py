"""One scene from one generator: room, people, story, physics, labels. Refuses what the physics did not make true."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mujoco
import numpy as np

from device.labels import FALLING, FLOOR
from training.synth.aids import seated_labels, wheelchair_paths
from training.synth.behaviours import CATALOGUE, Behaviour
from training.synth.bodies.shape import open_bodies
from training.synth.labels_truth import LONGEST_FALL_S, Fall, check_labels, ends_down, find_fall, person_labels
from training.synth.light import add_lights
from training.synth.mocap import open_motions
from training.synth.motion import Move, Target
from training.synth.people import JOINTS, Figure, add_person, random_figure
from training.synth.poses import turn_quaternion
from training.synth.props import add_props, drive_props
from training.synth.room_model import Decor, RoomBuilder
from training.synth.rooms import Room, plan_room
from training.synth.script import Script
from training.synth.simulate import STEPS_PER_S, TIMESTEP_S, Person, Trace, simulate
from training.synth.stage import PREFIXES, Stage, child_of

MIN_DROP_M: Final = {
    "fall_out_of_bed": 0.25, "fall_from_seat": 0.35, "fall_seat_slide": 0.3, "fall_sitting_down": 0.3,
    "fall_rising": 0.35, "fall_wall_slide": 0.45, "fall_against": 0.45, "fall_onto_bed": 0.45,
    "fall_wheelchair": 0.35, "fall_wheelchair_slide": 0.3,
}  # fmt: skip
"""How far the head must sink in a fall that does not begin standing, or that may end sitting."""
OTHER_DROP_M: Final = 0.6
SITS_AFTER: Final = ("fall_wall_slide", "fall_seat_slide", "fall_wheelchair_slide")
MOST_STRAIN_M: Final = 0.25
"""Twice what the hardest free movement (sitting down hard) strains: measured 0.13 m at most."""
MOST_STEPS: Final = (250, 700)
"""Longest simulations: any story, and one filmed long after the fall."""


class SceneRefusedError(Exception):
    """The drawn scene is not what its behaviour says (a fall that ended on the sofa, a walk through a wall)."""


@dataclass(frozen=True)
class Scene:
    """A simulated scene: model, trace, one label a step for each person; `filmed` are its steps before the camera.

    shadows: whether real shadows are drawn: a picture takes 2 to 2.7 times as long, with a mirroring floor 1.5 to 1.9.
    """

    name: str
    room: Room
    model: Any
    figures: tuple[Figure, ...]
    trace: Trace
    labels: tuple[list[str], ...]
    filmed: slice
    fall: Fall | None
    shadows: bool


def base_spec(size: tuple[int, int], shadows: bool, smooth: int) -> Any:
    """An empty model specification with time step, picture size and drawing quality."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.iterations, spec.option.ls_iterations = 15, 10
    quality = spec.visual.quality
    quality.offsamples, quality.shadowsize = 0, 1024 if shadows else 0
    quality.numslices, quality.numstacks, quality.numquads = smooth, max(6, smooth // 2), 8
    spec.visual.global_.offwidth, spec.visual.global_.offheight = size
    spec.visual.map.znear, spec.visual.map.zfar, spec.stat.extent = 0.02, 30.0, 1.0
    spec.visual.headlight.specular = [0, 0, 0]
    spec.worldbody.add_camera(name="eye")
    return spec


def start_of(script: Script, person: Person) -> Target:
    """Where a story begins: the end of its first, durationless move."""
    first = script.segments[0]
    assert isinstance(first, Move)
    rest = Target(np.array([0.0, 0.0, person.figure.hip_m]), turn_quaternion(0.0, first.pose), np.zeros(len(JOINTS)))
    first.begin(rest, person.ground)
    return first.target(1.0)


def make_scene(name: str, steps: int, rng: np.random.Generator, data: Path | None, size: tuple[int, int]) -> Scene:
    """Draw, simulate and label one scene of which `steps` steps will be filmed.

    Raises LookupError (no place), FloatingPointError (physics diverged) or SceneRefusedError; the caller draws again.
    """
    behaviour = CATALOGUE[name]
    needs = (str(rng.choice(behaviour.needs)),) if behaviour.needs else ()
    room = plan_room(needs, rng)
    bodies = open_bodies(data / "bodies") if data else None
    figures = tuple(random_figure(rng, bodies) for _ in range(behaviour.people))
    if behaviour.child:
        figures = (child_of(figures[0], rng), *figures[1:])
    stage = Stage(room, rng, figures, motions=open_motions(data))
    scripts = behaviour.story(stage)
    shadows = bool(rng.random() < 0.12)
    shine = float(rng.uniform(0.05, 0.3)) if not shadows and rng.random() < 0.05 else 0.0
    decor = Decor(
        data, bool(rng.random() < 0.5), bool(rng.random() < behaviour.blanket), bool(rng.random() < 0.15), shine
    )
    model = compile_stage(stage, decor, shadows, size)
    total = _length(behaviour, scripts, steps)
    trace, labels = play(model, stage, scripts, total)
    _check(name, trace, labels, stage)
    fall = find_fall(trace.tracks[0], stage.landing) if trace.tracks else None
    first = _first(behaviour, fall, total, steps, rng)
    return Scene(name, room, model, figures, trace, labels, slice(first, first + steps), fall, shadows)


def compile_stage(stage: Stage, decor: Decor, shadows: bool, size: tuple[int, int]) -> Any:
    """The model of a stage: room, lights, people, props. size: the largest picture that will be drawn of it."""
    spec = base_spec(size, shadows, 10)
    RoomBuilder(spec, stage.room, decor, stage.rng).build()
    add_lights(spec, stage.room.height, stage.rng, shadows)
    for prefix, figure in zip(PREFIXES, stage.figures, strict=False):
        add_person(spec, prefix, figure)
    add_props(spec, stage.props)
    return spec.compile()


def play(model: Any, stage: Stage, scripts: list[Script], steps: int) -> tuple[Trace, tuple[list[str], ...]]:
    """Simulate the scripts on a stage: the trace with every prop in its place, and one label a step for each person.

    Raises FloatingPointError when the physics diverges.
    """
    by_prefix = dict(zip(PREFIXES, stage.figures, strict=False))
    people = [Person(model, p, f, s.segments) for (p, f), s in zip(by_prefix.items(), scripts, strict=True)]
    starts = [start_of(script, person) for script, person in zip(scripts, people, strict=True)]
    trace = simulate(model, people, starts, steps)
    trace = Trace(drive_props(model, trace.qpos, stage.props, by_prefix), trace.tracks)
    landings = (stage.landing, ())
    labels = tuple(person_labels(track, figure, stage.room.seats, landing)
                   for track, figure, landing in zip(trace.tracks, stage.figures, landings, strict=False))  # fmt: skip
    return trace, seated_labels(labels, trace.tracks, wheelchair_paths(model, trace.qpos, stage.props))


def _length(behaviour: Behaviour, scripts: list[Script], steps: int) -> int:
    """Steps to simulate: the longest story, at least the filmed time, at most what the window has use for."""
    longest = max((script.now_s for script in scripts), default=0.0)
    if behaviour.window == "fall":
        # However short the clip, a slow fall is simulated to its end: it must come to rest to be known as one.
        longest = min(longest, scripts[0].fall_s + max(0.1 * steps, LONGEST_FALL_S) + 0.5)
    return int(np.clip(longest * STEPS_PER_S, steps, max(MOST_STEPS[behaviour.window == "after"], steps)))


def _first(behaviour: Behaviour, fall: Fall | None, total: int, steps: int, rng: np.random.Generator) -> int:
    """First filmed step: the fall begins 0.6 s into the clip at the earliest and mostly ends in it."""
    last = max(0, total - steps)
    if behaviour.window == "fall" and fall is not None:
        latest = max(7, steps - (fall.end - fall.start) - int(rng.integers(0, 25)))
        return int(np.clip(fall.start - rng.integers(6, latest + 1), 0, last))
    if behaviour.window == "after" and fall is not None:
        return int(np.clip(rng.integers(fall.end - 5, max(last, fall.end) + 1), 0, last))
    return int(rng.integers(0, last + 1))


def check_inside(trace: Trace, room: Room) -> None:
    """Raises SceneRefusedError when somebody's hips went through a wall or the floor."""
    for track in trace.tracks:
        out = np.abs(track.pelvis[:, :2]) > np.array(room.half) + 0.05
        if out.any() or (track.pelvis[:, 2] < 0.02).any():
            raise SceneRefusedError("somebody left the room through a wall")


def _check(name: str, trace: Trace, labels: tuple[list[str], ...], stage: Stage) -> None:
    """The physics must have made the story true."""
    behaviour = CATALOGUE[name]
    check_inside(trace, stage.room)
    if any(track.strain_m > MOST_STRAIN_M for track in trace.tracks):
        raise SceneRefusedError("furniture kept somebody from where they wanted to go")
    if behaviour.window in ("fall", "after"):
        least_m, sits = MIN_DROP_M.get(name, OTHER_DROP_M), name in SITS_AFTER
        if not ends_down(trace.tracks[0], labels[0], least_m, sits, stage.landing):
            raise SceneRefusedError("the fall did not end where it should")
    elif any(FALLING in person or (FLOOR in person and not behaviour.on_purpose) for person in labels):
        raise SceneRefusedError("somebody lies on the floor in an everyday story")
    if not {label for person in labels for label in person}.issuperset(behaviour.shows):
        raise SceneRefusedError(f"nobody came to be {' and '.join(behaviour.shows)}")
    for track, person, landing in zip(trace.tracks, labels, (stage.landing, ()), strict=False):
        for problem in check_labels(track, person, landing):
            raise SceneRefusedError(problem)
