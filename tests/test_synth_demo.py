"""The demo film's blanket: flat over nobody, above whoever lies below it, gathered at the wall once thrown back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.synth.demo_blanket import COLUMNS, LENGTH, ROWS, Cloth, add_blanket
from training.synth.demo_footage import BED, LYING
from training.synth.people import add_person, random_figure
from training.synth.poses import Vector, named_pose, turn_quaternion
from training.synth.scene import base_spec

THROWN_S = (5.0, 7.0)


@pytest.fixture(scope="module")
def model() -> Any:
    spec = base_spec((64, 48), False, 10)
    add_person(spec, "a_", random_figure(np.random.default_rng(1)))
    add_blanket(spec, spec.add_material(name="wool").name)
    return spec.compile()


def lying(model: Any, off_m: float = 0.0) -> Vector:
    """A person on their back in bed, or so far from it."""
    qpos = np.zeros(model.nq)
    pose = named_pose("on_back")
    qpos[:7] = (LYING.xy[0], LYING.xy[1] - off_m, BED.seat_m + 0.1, *turn_quaternion(BED.yaw, pose))
    return qpos


def laid(model: Any, qpos: Vector, t: float) -> Vector:
    """Heights of the cloth, (ROWS, COLUMNS), and its places in the room."""
    Cloth(model, "a_", BED, THROWN_S).lay(qpos, t, 1.0)
    return np.array(model.skin_vert[: ROWS * COLUMNS], float).reshape(ROWS, COLUMNS, 3)


def test_an_empty_bed_has_a_flat_blanket_that_hangs_over_the_near_edge(model: Any) -> None:
    places = laid(model, lying(model, 3.0), 0.0)
    on_bed = places[:, COLUMNS // 3 :, 2]
    assert on_bed.min() > BED.seat_m
    assert on_bed.max() < BED.seat_m + 0.05
    assert places[:, 0, 2].max() < BED.seat_m - 0.1


def test_the_blanket_lies_above_the_sleeper(model: Any) -> None:
    places = laid(model, lying(model), 0.0)
    near = np.hypot(places[..., 0] - LYING.xy[0], places[..., 1] - LYING.xy[1]) < 0.1
    assert places[near, 2].min() > BED.seat_m + 0.15
    assert np.ptp(places[..., 0]) == pytest.approx(LENGTH * 2 * BED.half[0])


def test_a_blanket_thrown_back_lies_along_the_wall_and_leaves_the_edge_free(model: Any) -> None:
    wall = BED.centre[1] + BED.half[1]
    before, after = laid(model, lying(model), 0.0), laid(model, lying(model), 8.0)
    assert wall - before[..., 1].min() > 0.95
    assert wall - after[..., 1].min() < 0.75


def test_cloth_sinks_slowly_where_nobody_holds_it_up_any_more(model: Any) -> None:
    cloth = Cloth(model, "a_", BED, THROWN_S)
    cloth.lay(lying(model), 0.0, 0.1)
    high = float(model.skin_vert[: ROWS * COLUMNS, 2].max())
    cloth.lay(lying(model, 3.0), 0.1, 0.1)
    assert float(model.skin_vert[: ROWS * COLUMNS, 2].max()) == pytest.approx(high - 0.05, abs=1e-4)
