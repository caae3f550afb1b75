"""`python -m training.synth.demo_footage`: the film that `fallwatch demo` plays as a camera.

A night in a care home by infrared: an old woman wakes, sits up, rises without her walking frame, walks, loses balance
and lies. The fall is physics, the room is procedural, the body is MakeHuman's (CC0): no picture of anybody is in it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.synth.acts_low import lie, sit_up
from training.synth.bodies.body import Outfit, dress
from training.synth.bodies.files import BodyFileError
from training.synth.bodies.shape import Bodies, Shape, open_bodies
from training.synth.camera import Camera
from training.synth.cli import DEFAULT_DATA
from training.synth.demo_blanket import Cloth, add_blanket
from training.synth.demo_room import ROOM, NightRoom
from training.synth.falls import LOSE_S, topple
from training.synth.labels_truth import Fall, find_fall
from training.synth.layers import LayeredPainter
from training.synth.light import INFRARED, Light, add_lights
from training.synth.motion import Gait, Lose, Wriggle
from training.synth.people import JOINT_INDEX, JOINTS, Figure, add_person
from training.synth.people import Look as Clothes
from training.synth.poses import Vector, varied
from training.synth.render import Look
from training.synth.room_model import Decor
from training.synth.scene import base_spec, start_of
from training.synth.script import Script, Spot
from training.synth.sensor import barrel_maps, distort
from training.synth.simulate import TICKS_PER_STEP, Person, Track, simulate

SIZE: Final = (640, 480)
OVERSAMPLE: Final = 1.25
FPS: Final = 15
LENGTH_S: Final = 33.0
TICKS_PER_S: Final = 50
CRF: Final = 26
"""x264 quality."""

OUT: Final = Path(__file__).resolve().parents[2] / "device" / "footage" / "night_fall.mp4"
FALL_SEED: Final = 3
TOWARD: Final = 1.9
"""Which way she topples, rad: ahead and to her right, along the rug."""
MOVED: Final = ("l_shoulder", "l_elbow", "r_elbow", "neck_twist", "l_knee")
"""What she still moves on the floor."""

SHAPE: Final = Shape(female=True, races=(0.0, 0.0, 1.0), age=0.9, weight=0.15, height_m=1.60)
OUTFIT: Final = Outfit(
    "female1605", (("shirt", "tailored", "nightgown", "whole"), ("hair", "hair", "bob01", "whole"))
)  # fmt: skip
GREYS: Final = Clothes((0.66,) * 3, (0.6,) * 3, (0.46,) * 3, (0.72,) * 3, (0.3,) * 3)
"""Cotton is bright by infrared, whatever its colour."""

BED: Final = ROOM.item("bed")
LYING: Final = Spot(BED.world(0.0, 0.12), BED.yaw, BED.seat_m, BED.centre)
EDGE: Final = Spot(
    BED.world(0.10, BED.half[1] - 0.16), BED.yaw + np.pi / 2, BED.seat_m, BED.world(0.10, BED.half[1] + 0.32)
)
CAMERA: Final = Camera((-1.93, -1.63, 2.36), (0.22, 0.22, 0.5), 77.0, 0.8, 0.06)
NIGHT: Final = Light("night", 0.0, 0.0, 0.20, 0.10, infrared=1.05)
GAIN: Final = 2.9
"""How steeply the sensor's curve begins; it bends towards white as film does, so that near cloth keeps its folds."""
CLOCK: Final = dt.datetime(2000, 1, 1, 3, 41, 7)


@dataclass(frozen=True)
class Play:
    """The simulated story: model, positions at TICKS_PER_S, when the blanket is thrown back, the fall in seconds."""

    model: Any
    qpos: Vector
    thrown_s: tuple[float, float]
    fall_s: tuple[float, float]


def drawn(size: tuple[int, int]) -> tuple[int, int]:
    """The size at which a picture is painted before it is shrunk to `size`."""
    return round(size[0] * OVERSAMPLE), round(size[1] * OVERSAMPLE)


def story(figure: Figure, seed: int) -> tuple[Script, tuple[float, float]]:
    """What she does, and when she throws the blanket back; the seed decides the details of the fall."""
    rng = np.random.default_rng(seed)
    script = Script(figure, np.random.default_rng(5), ROOM)
    lie(script, LYING, "on_back", 0.0).stay(2.8, 2.8, sway=0.3)
    lie(script, LYING, "on_back", 1.2).stay(0.5, 0.5)
    lie(script, LYING, "on_back", 0.9)
    thrown = script.now_s
    sit_up(script, LYING, EDGE, 4.0)
    script.stay(1.6, 1.6).rise(EDGE, 2.0).stay(0.5, 0.5)
    script.walk([EDGE.before, (0.5, -0.05), (-0.15, -0.05)], Gait(0.37, 0.9, 0.6, 0.5, 0.04))
    script.rng = rng
    stumble = topple(figure, rng, TOWARD, "curl")
    script.lose(replace(stumble, duration_s=2.4, wriggle=None))
    reach = np.full(len(JOINTS), 0.05)
    reach[[JOINT_INDEX[name] for name in MOVED]] = 0.25
    script.lose(Lose(LOSE_S, varied("on_front", rng), 0.2, 0.5, wriggle=Wriggle(reach, 1.1)))
    return script, (thrown, thrown + 2.2)


def old_woman(bodies: Bodies) -> Figure:
    """The person of the film."""
    body = dress(bodies, SHAPE, OUTFIT)
    return Figure(body.height_m, 61.0, 1.05, 14.0, GREYS, body)


def simulate_story(bodies: Bodies, seed: int) -> Play:
    """Build, play and time the story. Raises RuntimeError when nobody falls with this seed."""
    figure = old_woman(bodies)
    spec = base_spec(drawn(SIZE), True, 28)
    spec.visual.quality.shadowsize, spec.visual.quality.numquads = 2048, 40
    room = NightRoom(spec, ROOM, Decor(None, False), np.random.default_rng(4))
    room.build()
    add_lights(spec, ROOM.height, np.random.default_rng(11), True)
    spec.light(INFRARED).exponent = 2.5
    add_person(spec, "a_", figure)
    add_blanket(spec, room.grey(0.24))
    model = spec.compile()
    script, thrown = story(figure, seed)
    person = Person(model, "a_", figure, script.segments)
    trace = simulate(model, [person], [start_of(script, person)], round(LENGTH_S * 10), ticks=1)
    fall = _fall(trace.tracks[0])
    if fall is None:
        raise RuntimeError(f"nobody falls with seed {seed}; choose another")
    return Play(model, trace.qpos, thrown, (fall.start / 10, fall.end / 10))


def _fall(track: Track) -> Fall | None:
    """The fall of a track that has a row a tick, in steps."""
    names = ("pelvis", "head", "chest", "feet", "speed", "lost")
    return find_fall(replace(track, **{name: getattr(track, name)[::TICKS_PER_STEP] for name in names}))


def pictures(play: Play, times: Vector, size: tuple[int, int] = SIZE) -> Iterator[NDArray[np.uint8]]:
    """The film's pictures at these seconds one by one, uint8 (height, width) grey, as an infrared camera gives them."""
    model = play.model
    look = Look(CAMERA, [(0, NIGHT)], blob_shadow=0.22)
    painter = LayeredPainter(model, ("a_",), look, drawn(size))
    cloth = Cloth(model, "a_", BED, play.thrown_s)
    maps, before = barrel_maps(*size, CAMERA.barrel), -1.0
    sensor = NightSensor(size)
    try:
        for t in times:
            at = min(float(t) * TICKS_PER_S, len(play.qpos) - 1.001)
            share, low = at % 1.0, int(at)
            qpos = (1 - share) * play.qpos[low] + share * play.qpos[low + 1]
            painter.pose(qpos, 0)
            cloth.lay(qpos, float(t), float(t) - before)
            before = float(t)
            grey = np.asarray(cv2.cvtColor(painter.picture(), cv2.COLOR_RGB2GRAY), np.uint8)
            small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
            yield sensor.deliver(distort(small, maps), float(t))
    finally:
        painter.close()


class NightSensor:
    """A small sensor in the dark: soft, noisy, darker at the rim, with the time written into the picture."""

    def __init__(self, size: tuple[int, int]) -> None:
        width, height = size
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        radius2 = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (width / 2) ** 2
        self._rim = (1 - 0.28 * radius2).astype(np.float32)
        self._rng, self._noise = np.random.default_rng(0), np.zeros((height, width), np.float32)

    def deliver(self, picture: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        """The picture as the camera gives it. Its noise lives for some pictures, as noise reduction leaves it."""
        fresh = cv2.GaussianBlur(self._rng.normal(0, 5.0, picture.shape).astype(np.float32), (0, 0), 0.8)
        self._noise = 0.6 * self._noise + 0.8 * np.asarray(fresh, np.float32)
        light = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.7) * self._rim
        shown = np.clip(255 * (1 - np.exp(-GAIN / 255 * light)) + self._noise, 0, 255).astype(np.uint8)
        text = f"ROOM 12   {CLOCK + dt.timedelta(seconds=int(t)):%H:%M:%S}   IR"
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_PLAIN, 1.2, 1)
        cv2.rectangle(shown, (8, 8), (20 + width, 20 + height), 0, -1)
        cv2.putText(shown, text, (14, 14 + height), cv2.FONT_HERSHEY_PLAIN, 1.2, 235, 1, cv2.LINE_AA)
        return np.asarray(shown, np.uint8)


def encode(frames: Iterator[NDArray[np.uint8]], path: Path) -> None:
    """H.264 in an MP4 that starts playing before it is whole."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as film:
        stream = film.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"crf": str(CRF), "preset": "veryslow"}
        for picture in tqdm(frames, total=int(LENGTH_S * FPS), unit="frame", desc=path.name):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")))
        film.mux(stream.encode())


def main() -> int:
    """Render the film; prints its size and when the fall is."""
    parser = argparse.ArgumentParser(prog="python -m training.synth.demo_footage", description="render the demo film")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=FALL_SEED, help="details of the fall")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with bodies/ (CC0)")
    args = parser.parse_args()
    if not args.out.parent.is_dir():
        print(f"demo_footage: {args.out.parent} is not a folder; make it first", file=sys.stderr)
        return 2
    try:
        bodies = open_bodies(args.data / "bodies")
    except BodyFileError as error:
        print(f"demo_footage: {error}", file=sys.stderr)
        return 1
    if bodies is None:
        print(f"demo_footage: no folder {args.data / 'bodies'}; name one with --data", file=sys.stderr)
        return 2
    play = simulate_story(bodies, args.seed)
    encode(pictures(play, np.arange(int(LENGTH_S * FPS)) / FPS), args.out)
    start, end = play.fall_s
    print(f"{args.out}: {args.out.stat().st_size} bytes, {LENGTH_S:.0f} s, fall {start:.1f} s to {end:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
