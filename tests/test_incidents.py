"""Policy, told as situations in a room."""

from __future__ import annotations

from datetime import datetime

import pytest

from device.incidents import Incidents, policy_of
from device.incidents.evidence import Budget, MovingMean, Switch
from device.incidents.inactivity import in_hours
from device.settings import Fall, Inactivity, Settings, parse_hours
from tests.score_script import CARD, WALL, Script, when


def test_falls_and_stays_down_rings_after_five_seconds_down() -> None:
    room = Script()
    room.play("upright", 10)
    room.play("falling", 1.0)
    room.play("floor", 10)
    assert room.stages() == ["fall suspected", "fall confirmed"]
    assert when(room.said, "suspected") == pytest.approx(10.3, abs=0.11)
    assert when(room.said, "confirmed") == pytest.approx(11.0 + 0.3 + 5.0, abs=0.2)
    first, second = room.said
    assert first.id == second.id
    assert first.t_confirmed is None
    assert second.t_confirmed == second.t
    assert not second.ended


def test_gets_up_after_forty_seconds_says_so() -> None:
    room = Script()
    room.play("upright", 5)
    room.play("falling", 1)
    room.play("floor", 40)
    room.play("upright", 6)
    assert room.stages() == ["fall suspected", "fall confirmed", "fall recovered"]
    assert room.said[-1].ended
    assert room.said[-1].detail["down_s"] == pytest.approx(41.0, abs=0.5)


def test_stays_down_for_over_an_hour_climbs_every_stage_to_a_long_lie() -> None:
    room = Script()
    room.play("upright", 5)
    room.play("falling", 1)
    room.play("floor", 3700)
    assert room.stages() == [
        "fall suspected",
        "fall confirmed",
        "fall still_down",
        "fall very_long",
        "long_lie confirmed",
    ]
    start = room.said[0].t_start
    assert when(room.said, "still_down") - start == pytest.approx(60, abs=0.2)
    assert when(room.said, "very_long") - start == pytest.approx(600, abs=0.2)
    assert room.said[-1].t - start == pytest.approx(3600, abs=0.2)
    assert room.said[-1].id != room.said[0].id
    assert room.said[-1].detail["of"] == room.said[0].id
    room.play("upright", 6)
    assert room.stages()[-2:] == ["fall recovered", "long_lie recovered"]


def test_sits_down_hard_is_suspected_at_most_and_never_rings() -> None:
    room = Script()
    room.play("upright", 5)
    room.play("falling", 0.6)
    room.play("seated", 60)
    assert room.stages() == ["fall suspected", "fall dismissed"]
    assert when(room.said, "dismissed") - when(room.said, "suspected") < 6


def test_a_single_wild_step_says_nothing() -> None:
    room = Script()
    room.play("upright", 5)
    room.play("falling", 0.2, sure=1.0)
    room.play("upright", 30)
    assert room.stages() == []


def test_an_uncertain_second_does_not_undo_a_fall() -> None:
    room = Script()
    room.play("upright", 5)
    room.play("falling", 1)
    room.play("floor", 3)
    room.play("low", 1)
    room.play("floor", 4)
    assert "fall confirmed" in room.stages()


def test_on_the_floor_without_a_seen_fall_rings_after_twenty_seconds_and_is_called_floor() -> None:
    room = Script()
    room.play("upright", 5)
    room.play("low", 3)
    room.play("floor", 30)
    assert room.stages() == ["floor confirmed"]
    assert room.said[0].t == pytest.approx(28.3, abs=0.3)
    assert room.said[0].t - room.said[0].t_start == pytest.approx(20, abs=0.2)


def test_half_sure_of_the_floor_is_enough_after_a_seen_fall_and_not_enough_without_one() -> None:
    sits = Script()
    sits.play("upright", 5)
    sits.play("floor", 120, sure=0.6)
    assert sits.stages() == []
    fell = Script()
    fell.play("upright", 5)
    fell.play("falling", 1)
    fell.play("floor", 10, sure=0.6)
    assert fell.stages() == ["fall suspected", "fall confirmed"]


def test_sleeps_in_bed_for_hours_rings_nothing() -> None:
    room = Script()
    room.play("lying", 7200, motion=0.0005)
    assert room.stages() == []


def test_on_the_floor_again_after_getting_up_is_a_second_incident() -> None:
    room = Script()
    for _ in range(2):
        room.play("upright", 10)
        room.play("falling", 1)
        room.play("floor", 10)
        room.play("upright", 6)
    assert room.stages() == ["fall suspected", "fall confirmed", "fall recovered"] * 2
    assert len({incident.id for incident in room.said}) == 2


def test_fall_evidence_during_a_lie_is_the_same_incident() -> None:
    room = Script()
    room.play("falling", 1)
    room.play("floor", 10)
    room.play("falling", 1)
    room.play("floor", 10)
    assert room.stages() == ["fall suspected", "fall confirmed"]


def test_closed_by_a_nurse_while_still_down_rings_again_as_floor() -> None:
    room = Script()
    room.play("falling", 1)
    room.play("floor", 10)
    room.incidents.close(room.said[-1].id, room.t)
    room.play("floor", 19)
    assert room.stages() == ["fall suspected", "fall confirmed"]
    room.play("floor", 3)
    assert room.stages()[-1] == "floor confirmed"


def test_a_restart_in_the_middle_goes_on_with_the_same_incident() -> None:
    before = Script()
    before.play("falling", 1)
    before.play("floor", 10)
    after = Script()
    after.incidents.restore([before.said[-1]], t=500.0, wall=WALL + 30.0)
    after.count, after.t = 5000, 500.0
    after.play("floor", 40)
    assert after.stages() == ["fall still_down"]
    assert after.said[0].id == before.said[-1].id
    after.play("upright", 6)
    assert after.stages()[-1] == "fall recovered"


def test_scores_of_a_cold_network_are_no_evidence() -> None:
    room = Script(warm=False)
    room.play("falling", 2)
    room.play("floor", 30)
    assert room.stages() == []


# inactivity -----------------------------------------------------------------------------------------------------------

ALL_DAY = Settings(inactivity=Inactivity(minutes=10, hours=["00:00-24:00"]))


def test_no_movement_for_the_minutes_set_gives_a_notice_and_then_rings() -> None:
    room = Script(ALL_DAY)
    room.play("seated", 650, motion=0.0)
    assert room.stages() == ["inactivity noticed", "inactivity confirmed"]
    assert when(room.said, "noticed") == pytest.approx(300, abs=1)
    assert when(room.said, "confirmed") == pytest.approx(600, abs=1)
    room.play("seated", 1, motion=0.05)
    assert room.stages()[-1] == "inactivity ended"


def test_an_empty_room_is_not_inactive() -> None:
    room = Script(ALL_DAY)
    room.play("empty", 3600, motion=0.0)
    assert room.stages() == []


def test_inactivity_is_off_unless_minutes_are_set() -> None:
    room = Script()
    room.play("seated", 7200, motion=0.0)
    assert room.stages() == []


def test_hours_may_pass_midnight() -> None:
    night = (parse_hours("22:00-06:30"),)

    def at(hour: int, minute: int) -> float:
        return datetime(2026, 11, 24, hour, minute).timestamp()

    assert in_hours(at(23, 0), night)
    assert in_hours(at(6, 29), night)
    assert not in_hours(at(6, 30), night)
    assert not in_hours(at(12, 0), night)


def test_stillness_outside_the_hours_does_not_count() -> None:
    local = datetime.fromtimestamp(WALL)
    other = (local.hour + 6) % 24
    room = Script(Settings(inactivity=Inactivity(minutes=1, hours=[f"{other:02d}:00-{other:02d}:59"])))
    room.play("seated", 600, motion=0.0)
    assert room.stages() == []


# blindness ------------------------------------------------------------------------------------------------------------


def test_a_frozen_picture_is_a_fault_after_thirty_seconds_and_clears_after_ten_good_ones() -> None:
    room = Script()
    room.play("upright", 5)
    room.play("upright", 31, still=True)
    assert room.stages() == ["blind latched"]
    assert room.said[0].detail["cause"] == "frozen"
    room.play("upright", 9)
    assert room.stages() == ["blind latched"]
    room.play("upright", 2)
    assert room.stages() == ["blind latched", "blind cleared"]


def test_a_black_picture_is_a_fault() -> None:
    room = Script()
    room.play("empty", 31, light=0.0)
    assert [incident.detail["cause"] for incident in room.said] == ["black"]


def test_no_frames_is_a_fault_after_five_seconds() -> None:
    room = Script()
    room.play("upright", 5)
    assert room.incidents.tick(9.0, WALL + 9.0) == []
    said = room.incidents.tick(10.0, WALL + 10.0)
    assert [(incident.kind, incident.stage, incident.detail["cause"]) for incident in said] == [
        ("blind", "latched", "no_frames")
    ]
    assert room.incidents.tick(11.0, WALL + 11.0) == []


def test_a_camera_that_never_gave_a_frame_is_a_fault_too() -> None:
    room = Script()
    assert room.incidents.tick(100.0, WALL) == []
    assert [incident.stage for incident in room.incidents.tick(105.1, WALL)] == ["latched"]


def test_a_network_that_always_says_the_same_is_a_fault() -> None:
    room = Script()
    frozen_output = room.play("upright", 0.1)
    assert frozen_output == []
    scores = room.incidents.blind._last
    assert scores is not None
    fields = {name: getattr(scores, name) for name in scores.__slots__}
    said = [
        incident
        for n in range(700)
        for incident in room.incidents.blind.update(type(scores)(**{**fields, "t": 0.1 * n}))
    ]
    assert [incident.detail["cause"] for incident in said] == ["constant_output"]


# parts ----------------------------------------------------------------------------------------------------------------


def test_moving_mean_is_over_time_not_over_steps() -> None:
    mean = MovingMean(0.5)
    assert [mean.update(t / 10, v) for t, v in enumerate([1, 0, 0, 0, 0, 0])] == pytest.approx(
        [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 0]
    )
    assert mean.update(10.0, 0.7) == 0.7


def test_switch_enters_high_and_leaves_low() -> None:
    switch = Switch(0.6, 0.3)
    assert [switch.update(value) for value in (0.5, 0.6, 0.4, 0.3, 0.29, 0.5)] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


def test_budget_fills_drains_and_never_counts_unwatched_time() -> None:
    budget = Budget(drain=0.5)
    assert budget.update(0.4, True) == pytest.approx(0.4)
    assert budget.update(0.4, False) == pytest.approx(0.2)
    assert budget.update(60.0, True) == pytest.approx(0.7)
    assert budget.update(-5.0, True) == pytest.approx(0.7)
    assert Budget(drain=2.0, seconds=0.1).update(0.4, False) == 0.0


def test_the_owners_threshold_wins_over_the_cards() -> None:
    policy = policy_of(Settings(fall=Fall(fall_on=0.8)), CARD)
    assert (policy.thresholds.fall_on, policy.thresholds.down_on) == (0.8, 0.5)
    with pytest.raises(ValueError, match="must be below"):
        policy_of(Settings(fall=Fall(fall_on=0.2)), CARD)


def test_ids_are_ulids_made_once() -> None:
    incidents = Incidents(policy_of(Settings(), CARD))
    (said,) = incidents.tick(0.0, WALL) + incidents.tick(6.0, WALL + 6)
    assert len(said.id) == 26
