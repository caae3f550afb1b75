"""Minutes of everyday life as one script: walk somewhere, do something there, go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from training.synth.acts import SEATED_ACTS, STANDING_ACTS, carry, colour, pace
from training.synth.acts_low import KNEELING_ACTS, LYING_ACTS, ON_PURPOSE_ACTS, lie, lie_down, sit_up
from training.synth.aided import frail_gait, pet_on_way
from training.synth.aids import FRAME, ROLLATOR, Aid
from training.synth.blanket import Blanket
from training.synth.holding import GRIPS, hold
from training.synth.motion import Move, Walk, Xy, heading_along, random_gait
from training.synth.poses import LYING_POSES, Vector
from training.synth.rooms import Item, Room, free_spot
from training.synth.script import Script, Spot, bed_spot, seat_spot
from training.synth.simulate import STEPS_PER_S
from training.synth.stage import Stage

WAY_MARGIN_M: Final = 0.22
"""As close as people pass furniture; a seat's place to stand keeps 0.24 m."""
MARKED: Final = ("floor_sit", *ON_PURPOSE_ACTS)
"""Acts on the floor on purpose: where a floor alarm would be right about the posture, and wrong about the need."""
APART_M: Final = 0.55
"""Two people's hips keep this far apart: half a shoulder's breadth each and swinging arms."""
LINGER_STEPS: Final = 20
"""Who ends an act is in nobody's way for these steps: time to go on."""
ACT_TRIES: Final = 24
SHARES: Final = {"stand": 0.34, "seat": 0.36, "bed": 0.22, "kneel": 0.06, "floor": 0.02}
"""How often the next thing is done standing, on a seat, in bed, kneeling, or lying on the floor on purpose."""


@dataclass(frozen=True)
class Episode:
    """One act of one person, in seconds of the piece."""

    person: int
    name: str
    from_s: float
    to_s: float


def route(room: Room, start: Xy, goal: Xy, rng: np.random.Generator) -> list[Xy]:
    """A way with at most two bends. Raises LookupError when 120 tries find none."""
    if room.clear_way(start, goal, WAY_MARGIN_M):
        return [start, goal]
    near: list[Xy] = []
    far: list[Xy] = []
    for _ in range(120):
        bend = free_spot(room, rng, 0.3)
        reached, reaches = room.clear_way(start, bend, WAY_MARGIN_M), room.clear_way(bend, goal, WAY_MARGIN_M)
        if reached and reaches:
            return [start, bend, goal]
        for other in far if reached else near if reaches else ():
            if room.clear_way(bend, other, WAY_MARGIN_M):
                return [start, bend, other, goal] if reached else [start, other, bend, goal]
        (near if reached else far if reaches else []).append(bend)
    raise LookupError("no way through the furniture")


def planned(script: Script) -> Vector:
    """Where a script leads its person: float64 (steps, 2), m, at STEPS_PER_S; turns on the spot stay there."""
    rows: list[Vector] = []
    here, began = np.zeros(2), 0.0
    for segment in script.segments:
        inner = getattr(segment, "inner", segment)
        points = np.array([here])
        if isinstance(inner, Walk):
            points = np.array(inner.path, float)
        elif isinstance(inner, Move) and inner.xy is not None:
            points = np.array([here, inner.xy])
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        ticks = np.arange(np.ceil(began * STEPS_PER_S), (began + segment.duration_s) * STEPS_PER_S) / STEPS_PER_S
        reached = (ticks - began) / max(segment.duration_s, 1e-6) * along[-1]
        rows.append(np.stack([np.interp(reached, along, points[:, axis]) for axis in (0, 1)], axis=1))
        here, began = points[-1], began + segment.duration_s
    return np.concatenate(rows)


def nearest_m(own: Vector, other: Vector, from_s: float) -> float:
    """How close two planned ways (see planned) come from a moment on, m; each waits where it ends."""
    steps = np.arange(int(from_s * STEPS_PER_S), max(len(own), int(from_s * STEPS_PER_S) + 1) + LINGER_STEPS)
    gap = own[np.minimum(steps, len(own) - 1)] - other[np.minimum(steps, len(other) - 1)]
    return float(np.linalg.norm(gap, axis=1).min())


@dataclass
class Life:
    """One person's piece of a day, growing act by act; `at` is where they stand between two acts.

    others: planned ways of those who were here first; this person waits for them or goes another way.
    """

    stage: Stage
    person: int
    taken: tuple[Item, ...] = ()
    others: tuple[Vector, ...] = ()
    episodes: list[Episode] = field(default_factory=list)
    used: list[Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.script: Script = self.stage.script(self.person)
        self.rng, self.room = self.stage.rng, self.stage.room
        self.aid = bool(self.rng.random() < 0.25 and self.script.figure.stoop_deg > 6)
        self.gait = frail_gait(self.rng) if self.aid else random_gait(self.rng)
        self.at: Xy = (0.0, 0.0)

    def live(self, seconds: float) -> None:
        """Fill the time. Raises LookupError when the room allows nothing more."""
        self._begin()
        self._keep_apart(0.0)
        while self.script.now_s < seconds:
            self._next()
        if self.aid:
            shapes = FRAME if self.rng.random() < 0.5 else ROLLATOR
            self.stage.props.append(Aid(shapes, self.stage.prefix(self.script), colour(self.rng)))

    def _begin(self) -> None:
        """Standing, seated or in bed, as chance and the room have it."""
        draw = self.rng.random()
        if draw < 0.35 and (item := self._seat(("chair", "armchair", "sofa", "wheelchair"))):
            self._sit_on(item, there=True)
        elif draw < 0.6 and (item := self._seat(("bed",))):
            self._in_bed(item, there=True)
        else:
            self.at = free_spot(self.room, self.rng, 0.4)
            self.script.start("stand", self.at, float(self.rng.uniform(-np.pi, np.pi))).stay(0.5, 4)

    def _seat(self, kinds: tuple[str, ...]) -> Item | None:
        items = [item for item in self.room.seats if item.kind in kinds and item not in self.taken]
        return items[int(self.rng.integers(len(items)))] if items else None

    def _next(self) -> None:
        """One thing more; what the room has no place for is drawn again."""
        ways: dict[str, Callable[[], None]] = {"stand": self._stand, "seat": self._sit, "bed": self._lie,
                                               "kneel": self._kneel, "floor": self._floor}  # fmt: skip
        for tried in range(ACT_TRIES):
            name = str(self.rng.choice(list(SHARES), p=list(SHARES.values())))
            kept = (len(self.script.segments), len(self.stage.props), self.at, len(self.episodes), len(self.used))
            began = self.script.now_s
            try:
                if tried and self.others:
                    self.script.stay(0.5, 8.0)
                ways[name]()
                self._keep_apart(began)
            except LookupError:
                del self.script.segments[kept[0] :]
                del self.stage.props[kept[1] :]
                self.at = kept[2]
                del self.episodes[kept[3] :]
                del self.used[kept[4] :]
                continue
            return
        raise LookupError("the room leaves no place for another act")

    def _keep_apart(self, from_s: float) -> None:
        """Raises LookupError when the story from a moment on leads into or through somebody."""
        own = planned(self.script) if self.others else np.zeros((0, 2))
        if any(nearest_m(own, other, from_s) < APART_M for other in self.others):
            raise LookupError("somebody is in the way")

    def _go(self, goal: Xy) -> int:
        """Walk to a place; returns the number of the first piece of the walk."""
        path, first = route(self.room, self.at, goal, self.rng), len(self.script.segments)
        if len(path) == 2 and float(np.hypot(goal[0] - self.at[0], goal[1] - self.at[1])) < 0.15:
            return first
        yaw = heading_along(path)
        self.script.go("stand", pace(self.script, 0.6, 1.2), yaw=yaw).walk(path, self.gait)
        if self.aid:
            hold(self.script, GRIPS, first)
        self.at = goal
        return first

    def _note(self, name: str, from_s: float) -> None:
        self.episodes.append(Episode(self.person, name, from_s, self.script.now_s))

    def _stand(self) -> None:
        began, first = self.script.now_s, self._go(free_spot(self.room, self.rng, 0.4))
        if not self.aid and self.rng.random() < 0.15:
            carry(self.stage, self.script, first)
        self._note("walk", began)
        if self.rng.random() < 0.75:
            self._act(str(self.rng.choice(list(STANDING_ACTS))))
        self.script.stay(0.5, 6)

    def _act(self, name: str) -> None:
        began = self.script.now_s
        {**STANDING_ACTS, **KNEELING_ACTS, **ON_PURPOSE_ACTS}[name](self.stage, self.script)
        self._note(name, began)

    def _kneel(self) -> None:
        self._go(free_spot(self.room, self.rng, 0.75))
        self._act(str(self.rng.choice(list(KNEELING_ACTS))))
        self._return()

    def _floor(self) -> None:
        self._go(free_spot(self.room, self.rng, 0.95))
        self._act(str(self.rng.choice(list(ON_PURPOSE_ACTS))))
        self._return()

    def _return(self) -> None:
        """Stand again where the walk ended: scrubbing moves along."""
        self.script.go("stand", 1.0, xy=self.at)

    def _sit(self) -> None:
        item = self._seat(("chair", "armchair", "sofa", "bed"))
        if item is None:
            raise LookupError("no seat")
        self._sit_on(item)

    def _sit_on(self, item: Item, there: bool = False) -> None:
        spot, script, began = seat_spot(item, self.room, self.rng), self.script, self.script.now_s
        if there:
            script.seated(spot)
        else:
            self._go(spot.before)
            script.sit(spot, float(self.rng.choice([self.rng.uniform(0.5, 0.9), pace(script, 1.0, 2.8)], p=[0.2, 0.8])))
        self._note("sit_down", began)
        for _ in range(int(self.rng.integers(1, 5))):
            began, name = script.now_s, str(self.rng.choice(list(SEATED_ACTS)))
            SEATED_ACTS[name](self.stage, script, spot)
            script.stay(0, 15)
            self._note(name, began)
        self._rise_from(spot, item)

    def _rise_from(self, spot: Spot, item: Item) -> None:
        began = self.script.now_s
        self.script.rise(spot, pace(self.script, 0.8, 2.5)).stay(0.3, 2)
        self._note("rise", began)
        self.at = spot.before
        self.used.append(item)

    def _lie(self) -> None:
        item = self._seat(("bed", "bed", "sofa"))
        if item is None:
            raise LookupError("no bed")
        self._in_bed(item)

    def _in_bed(self, item: Item, there: bool = False) -> None:
        edge, spot, script = seat_spot(item, self.room, self.rng), bed_spot(item, self.rng), self.script
        began = script.now_s
        if there:
            lie(script, spot, str(self.rng.choice(LYING_POSES)), 0.0)
        else:
            self._go(edge.before)
            script.sit(edge, pace(script, 0.8, 2.2)).stay(0.3, 4)
            lie_down(script, spot, float(self.rng.uniform(0.8, 3.2)), str(self.rng.choice(LYING_POSES)))
        self._note("lie_down", began)
        covered_from = script.now_s + 0.5
        for _ in range(int(self.rng.integers(1, 6))):
            began, name = script.now_s, str(self.rng.choice(list(LYING_ACTS), p=[0.6, 0.2, 0.2]))
            LYING_ACTS[name](self.stage, script, spot)
            script.stay(0, 25, sway=0.3)
            self._note(name, began)
        if item.kind == "bed" and self.rng.random() < 0.6:
            self._cover(item, spot, (covered_from, script.now_s))
        began = script.now_s
        sit_up(script, spot, edge, pace(script, 1.0, 3.0)).stay(0.5, 6)
        self._note("get_up", began)
        self._rise_from(edge, item)

    def _cover(self, item: Item, spot: Spot, span: tuple[float, float]) -> None:
        """A blanket over the sleeper for a while, thrown back afterwards; the bed has one."""
        prefix, props = self.stage.prefix(self.script), self.stage.props
        if not any(isinstance(prop, Blanket) and prop.xy == item.centre for prop in props):
            tint = colour(self.rng)
            props.append(Blanket(prefix, tint, item.centre, spot.yaw, item.half, item.seat_m, "chest", span))


def live_together(stage: Stage, seconds: float) -> tuple[list[Script], list[Episode]]:
    """A script of at least `seconds` for everybody on the stage, and who does what when. May add a pet."""
    scripts: list[Script] = []
    episodes: list[Episode] = []
    taken: list[Item] = []
    for person in range(len(stage.figures)):
        life = Life(stage, person, tuple(taken), tuple(planned(script) for script in scripts))
        life.live(seconds)
        taken += life.used
        scripts.append(life.script)
        episodes += life.episodes
    if stage.rng.random() < 0.15:
        stage.props.append(pet_on_way(stage))
    return scripts, episodes
