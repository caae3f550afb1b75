"""`python -m training.synth.demo_footage`: the film that `fallwatch demo` plays as a camera.

One person comes into an evening room, sits on the bed, rises, walks, loses balance and lies. The fall is physics, the
room is procedural: no third-party picture is in it, so the film is the project's own.
"""

from __future__ import annotations

import argparse
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.synth.camera import Camera
from training.synth.falls import topple
from training.synth.labels_truth import find_fall
from training.synth.light import WINDOW, Light, add_lights
from training.synth.motion import Gait, Wriggle
from training.synth.people import JOINTS, Figure, add_person
from training.synth.people import Look as Clothes
from training.synth.poses import Vector
from training.synth.render import Look, Painter
from training.synth.room_model import Decor, RoomBuilder
from training.synth.rooms import Item, Room
from training.synth.scene import base_spec, start_of
from training.synth.script import Script, Spot
from training.synth.simulate import Person, simulate
from training.synth.textures import Picture, grained, planks

SIZE: Final = (640, 480)
OVERSAMPLE: Final = 2
FPS: Final = 15
LENGTH_S: Final = 33.0
TICKS_PER_S: Final = 50
CRF: Final = 27
"""x264 quality: the film stays below 700 kB."""

OUT: Final = Path(__file__).resolve().parents[2] / "device" / "footage" / "night_fall.mp4"
FALL_SEED: Final = 8

ROOM: Final = Room(
    (2.6, 2.2), 2.6,
    (
        Item("bed", (1.5, 1.1), (1.0, 0.6), -np.pi / 2, 0.95, 0.50),
        Item("armchair", (-1.75, 1.55), (0.40, 0.42), -np.pi / 3, 0.95, 0.42),
        Item("chest", (0.55, 1.96), (0.20, 0.24), -np.pi / 2, 0.55),
        Item("shelf", (-0.55, 2.03), (0.15, 0.45), -np.pi / 2, 1.6),
        Item("wardrobe", (2.29, -0.75), (0.30, 0.62), np.pi, 2.0),
        Item("rug", (-0.55, 0.1), (0.75, 1.05), 0.0, 0.014),
    ),
)  # fmt: skip
FIGURE: Final = Figure(
    1.68, 66.0, 1.05, 12.0,
    Clothes((0.62, 0.22, 0.20), (0.20, 0.23, 0.34), (0.80, 0.62, 0.52), (0.72, 0.70, 0.68), (0.14, 0.12, 0.12)),
)  # fmt: skip
BEDSIDE: Final = Spot((1.08, 0.75), np.pi, 0.50, (0.62, 0.75))
CAMERA: Final = Camera((-2.45, -2.05, 2.3), (0.15, 0.25, 0.75), 82.0, 0.8, 0.0)
EVENING: Final = Light("lamp", 0.80, 0.38, 0.06, 0.30)


class EveningRoom(RoomBuilder):
    """A room in calm colours instead of random ones, with a bedside lamp, a dark window and framed pictures."""

    CLOTH: Final = ((0.42, 0.50, 0.46), (0.62, 0.55, 0.45), (0.55, 0.38, 0.32), (0.40, 0.44, 0.55))
    WOOD: Final = (0.55, 0.37, 0.22)
    PLAIN: Final = ((0.35, 0.25, 0.18), (0.50, 0.22, 0.18), (0.22, 0.34, 0.40), (0.75, 0.62, 0.35), (0.90, 0.87, 0.80))

    def _tinted(self, light: NDArray[np.float32], colour: tuple[float, float, float], side: int) -> Picture:
        picture = np.clip(255 * light[..., None] * np.array(colour), 0, 255).astype(np.uint8)
        return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)

    def soft(self) -> str:
        self._count_cloth = getattr(self, "_count_cloth", -1) + 1
        colour = self.CLOTH[self._count_cloth % len(self.CLOTH)]
        return self.material(self._tinted(grained(self.rng, 0.05, 0.8), colour, 64))

    def hard(self) -> str:
        return self.material(self._tinted(planks(self.rng), self.WOOD, 64))

    def material(self, picture: Picture | None, repeat: tuple[float, float] = (1, 1), glow: float = 0.0) -> str:
        name = super().material(picture, repeat, glow)
        if picture is None:
            colour = self.PLAIN[self._count % len(self.PLAIN)]
            self.spec.material(name).rgba = [*colour, 1.0]
        return name

    def _plain(self, colour: tuple[float, float, float], glow: float = 0.0) -> str:
        name = super().material(None, glow=glow)
        self.spec.material(name).rgba = [*colour, 1.0]
        return name

    def shell(self) -> None:
        (hx, hy), h = self.room.half, self.room.height
        floor = self.material(self._tinted(planks(self.rng), (0.62, 0.44, 0.28), 256), (2, 2))
        self.surface([0, 0, 0], [hx, hy], [1, 0, 0, 0, 1, 0], floor)
        self.surface([0, 0, h], [hx, hy], [1, 0, 0, 0, -1, 0], self._plain((0.9, 0.9, 0.88)))
        paint = self.material(self._tinted(grained(self.rng, 0.015, 6), (0.80, 0.76, 0.66), 256))
        walls = (([hx, 0.0], [0, -1, 0]), ([0.0, hy], [1, 0, 0]), ([-hx, 0.0], [0, 1, 0]), ([0.0, -hy], [-1, 0, 0]))
        for (x, y), along in walls:
            half = hy if x else hx
            self.surface([x, y, h / 2], [half, h / 2], [*along, 0, 0, 1], paint)
            board = [0.012 if x else hx, hy if x else 0.012, 0.05]
            self.box([x, y, 0.05], board, self._plain((0.92, 0.90, 0.86)), solid=False)

    def clutter(self) -> None:
        """Window, lamp, pictures."""
        hx, hy = self.room.half
        frame, white = self._plain((0.35, 0.25, 0.18)), self._plain((0.93, 0.92, 0.88))
        self.box([hx, 0.75, 1.55], [0.02, 0.62, 0.55], white, solid=False)
        for y in (0.45, 1.05):
            self.box([hx - 0.01, y, 1.55], [0.02, 0.26, 0.48], self._plain((0.07, 0.10, 0.22), 0.5), solid=False)
        for y in (0.02, 1.48):
            self.box([hx - 0.06, y, 1.35], [0.04, 0.16, 0.85], self._plain((0.52, 0.33, 0.30)), solid=False)
        for x, w, z, colour in ((-1.75, 0.30, 1.65, (0.35, 0.48, 0.52)), (-1.15, 0.14, 1.75, (0.70, 0.58, 0.35))):
            self.box([x, hy, z], [w, 0.015, 0.22], frame, solid=False)
            self.box([x, hy - 0.01, z], [w - 0.04, 0.015, 0.18], self._plain(colour), solid=False)
        self.box([0.55, 1.96, 0.62], [0.03, 0.03, 0.09], frame, solid=False)
        self.box([0.55, 1.96, 0.80], [0.11, 0.11, 0.10], self._plain((1.0, 0.88, 0.62), 0.95), solid=False)


def story(seed: int) -> Script:
    """What the person does; the seed decides the details of the fall."""
    rng = np.random.default_rng(seed)
    script = Script(FIGURE, rng, ROOM)
    gait = Gait(0.78, arms=0.8)
    script.start("stand", (1.3, -1.98), 2.6).stay(0.3, 0.3)
    script.walk([(1.3, -1.98), (0.55, -0.7), BEDSIDE.before], gait).stay(0.2, 0.2)
    script.sit(BEDSIDE, 1.5).stay(4.2, 4.2).rise(BEDSIDE, 1.8).stay(0.5, 0.5)
    script.walk([BEDSIDE.before, (-0.35, -0.15)], Gait(0.7, arms=0.8))
    loss = topple(FIGURE, rng, -0.35, "throw_arms")
    loss.wriggle = Wriggle(np.full(len(JOINTS), 0.09), still_s=12.0)
    return script.lose(loss)


def simulate_story(seed: int) -> tuple[Any, Vector, float, float]:
    """Model, positions at TICKS_PER_S, and when the fall begins and ends, in seconds."""
    size = (SIZE[0] * OVERSAMPLE, SIZE[1] * OVERSAMPLE)
    spec = base_spec(size, True, 28)
    spec.visual.quality.shadowsize, spec.visual.quality.numquads = 2048, 40
    EveningRoom(spec, ROOM, Decor(None, False), np.random.default_rng(3)).build()
    add_lights(spec, ROOM.height, np.random.default_rng(11), True)
    # Steep light keeps the cast shadows under the things that cast them, as a ceiling lamp would.
    spec.light(WINDOW).dir, spec.light(WINDOW).pos = [0.12, 0.16, -1.0], [0.0, 0.0, 2.5]
    add_person(spec, "a_", FIGURE)
    model, script = spec.compile(), story(seed)
    person = Person(model, "a_", FIGURE, script.segments)
    trace = simulate(model, [person], [start_of(script, person)], round(LENGTH_S * 10), ticks=1)
    fall = find_fall(trace.tracks[0])
    if fall is None:
        raise RuntimeError(f"nobody falls with seed {seed}; choose another")
    return model, trace.qpos, fall.start / TICKS_PER_S, fall.end / TICKS_PER_S


def pictures(model: Any, qpos: Vector) -> Any:
    """The film's frames one by one, uint8 (480, 640, 3) RGB, with the grain of a small sensor."""
    look = Look(CAMERA, [(0, EVENING)], blob_shadow=0.10, shadows=True)
    painter = Painter(model, ("a_",), look, (SIZE[0] * OVERSAMPLE, SIZE[1] * OVERSAMPLE))
    rng, grain = np.random.default_rng(0), 1.2
    try:
        for frame in range(int(LENGTH_S * FPS)):
            at = min(frame * TICKS_PER_S / FPS, len(qpos) - 1.001)
            share, low = at % 1.0, int(at)
            painter.pose((1 - share) * qpos[low] + share * qpos[low + 1], 0)
            small = cv2.resize(painter.picture(), SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)
            small += cv2.GaussianBlur(rng.normal(0, 2 * grain, small.shape[:2]).astype(np.float32), (0, 0), 0.7)[
                ..., None
            ]
            yield np.clip(small, 0, 255).astype(np.uint8)
    finally:
        painter.close()


def encode(frames: Any, path: Path) -> None:
    """H.264 in an MP4 that starts playing before it is whole."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as film:
        stream = film.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"crf": str(CRF), "preset": "veryslow"}
        for picture in tqdm(frames, total=int(LENGTH_S * FPS), unit="frame", desc=path.name):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode())


def main() -> int:
    """Render the film; prints its size and when the fall is."""
    parser = argparse.ArgumentParser(prog="python -m training.synth.demo_footage", description="render the demo film")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=FALL_SEED, help="details of the fall")
    args = parser.parse_args()
    if not args.out.parent.is_dir():
        print(f"demo_footage: {args.out.parent} is not a folder; make it first", file=sys.stderr)
        return 2
    model, qpos, start, end = simulate_story(args.seed)
    encode(pictures(model, qpos), args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, {LENGTH_S:.0f} s, fall {start:.1f} s to {end:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
