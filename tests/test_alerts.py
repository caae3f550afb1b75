"""Walk the table: every stage has words, every alert can end, nothing gets quieter while a person lies there."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest

from device import alerts
from device.alerts import RANK, RULES, alert_for, spell
from device.records import Kind, Priority
from tests.incident_samples import incident

STAGES: dict[Kind, list[str]] = {
    "fall": ["suspected", "confirmed", "still_down", "very_long", "recovered", "dismissed"],
    "floor": ["noticed", "confirmed", "still_down", "very_long", "recovered", "dismissed"],
    "long_lie": ["confirmed", "recovered"],
    "inactivity": ["noticed", "confirmed", "ended"],
    "blind": ["latched", "cleared"],
    "unit": ["latched", "cleared"],
    "test": ["confirmed"],
}
TOLD = [key for key, rule in RULES.items() if rule is not None]


def test_every_stage_of_every_kind_has_its_row_and_no_row_is_idle() -> None:
    assert {(kind, stage) for kind, stages in STAGES.items() for stage in stages} == set(RULES)
    assert {kind for kind, _ in RULES} == set(get_args(Kind))
    assert set(RANK) == set(alerts.SEVERITY) == set(get_args(Priority))


@pytest.mark.parametrize(("kind", "stage"), TOLD)
def test_text_names_the_room_and_leaves_no_gap(kind: Kind, stage: str) -> None:
    alert = alert_for(incident(kind, stage, 90.0, detail={"cause": "frozen", "down_s": 40.0}), "room-12")
    assert alert is not None
    assert alert.text.startswith("room-12: ")
    assert "{" not in alert.text
    assert alert.test == (kind == "test")


@pytest.mark.parametrize("kind", [kind for kind in STAGES if kind != "test"])
def test_every_alert_can_end_and_only_its_last_stage_ends_it(kind: Kind) -> None:
    for stage in STAGES[kind]:
        rule = RULES[kind, stage]
        if rule is not None:
            assert rule.ends == (stage in ("recovered", "dismissed", "ended", "cleared"))
    assert any(rule and rule.ends for (of, _), rule in RULES.items() if of == kind)


def test_what_rings_rings_again_and_what_does_not_ring_never_does() -> None:
    for rule in RULES.values():
        if rule is not None:
            assert (rule.repeat_s is not None) == (rule.priority in (*alerts.RINGING, "fault"))


@pytest.mark.parametrize("kind", ["fall", "floor"])
def test_it_gets_louder_and_never_slower_while_somebody_is_down(kind: Kind) -> None:
    rules = [RULES[kind, stage] for stage in ("confirmed", "still_down", "very_long")] + [
        RULES["long_lie", "confirmed"]
    ]
    for earlier, later in pairwise(rules):
        assert earlier is not None
        assert later is not None
        assert RANK[later.priority] >= RANK[earlier.priority]
        assert (later.repeat_s or 0) <= (earlier.repeat_s or 0)


def test_a_suspected_fall_is_shown_and_does_not_ring() -> None:
    alert = alert_for(incident("fall", "suspected", 0.0), "r12")
    assert alert is not None
    assert (alert.priority, alert.repeat_s) == ("silent", None)


def test_fell_is_said_only_when_a_fall_was_seen() -> None:
    for (kind, _), rule in RULES.items():
        if rule is not None and kind != "fall":
            assert "fell" not in rule.text
            assert "fall" not in rule.text
    floor = alert_for(incident("floor", "confirmed", 20.0), "r12")
    assert floor is not None
    assert floor.text == "r12: somebody is on the floor"


def test_got_up_after_40_s() -> None:
    alert = alert_for(incident("fall", "recovered", 50.0, detail={"down_s": 40.2}), "r12")
    assert alert is not None
    assert alert.text.endswith("got up after 40 s")


def test_a_fault_says_its_cause_in_words_and_an_unknown_cause_as_it_stands() -> None:
    known = alert_for(incident("blind", "latched", 30.0, detail={"cause": "frozen"}), "r12")
    unknown = alert_for(incident("unit", "latched", 30.0, detail={"cause": "heat 91 °C"}), "r12")
    assert known is not None
    assert unknown is not None
    assert "the picture is frozen" in known.text
    assert "heat 91 °C" in unknown.text


def test_somebody_on_the_floor_for_a_moment_is_journalled_and_told_to_nobody() -> None:
    assert alert_for(incident("floor", "noticed", 2.0), "r12") is None
    assert alert_for(incident("floor", "recovered", 9.0, t_confirmed=None), "r12") is None
    assert alert_for(incident("floor", "recovered", 40.0), "r12") is not None


def test_a_stage_without_a_row_is_named() -> None:
    with pytest.raises(ValueError, match="no row for fall/levitating"):
        alert_for(incident("fall", "levitating"), "r12")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "0 s"), (0.4, "0 s"), (40.2, "40 s"), (119, "119 s"), (120, "2 min"), (3900, "65 min"), (7500, "2 h 5 min")],
)
def test_spells_of_time(seconds: float, words: str) -> None:
    assert spell(seconds) == words
