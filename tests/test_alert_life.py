"""What becomes of one alert: the stories a ward tells, and that no sequence of them ends in silence."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from device import alert_life
from device.alert_life import ALLOWED_FROM, ENDED_STATES, OPEN_STATES, Life, Moment, State
from device.alerts import RINGING
from device.records import Action, Alert, Kind, Receipt
from device.settings_alerts import Alerts
from tests.incident_samples import WALL, alert_of, incident

TIMES = Alerts()
BOOT = "boot-1"


def at(t: float, boot: str = BOOT) -> Moment:
    return Moment(WALL + t, t, boot)


def alert(kind: Kind = "fall", stage: str = "confirmed") -> Alert:
    return alert_of(incident(kind, stage, detail={"cause": "frozen", "down_s": 40.0}))


def said(life: Life | None, one: Alert, t: float, *, silence: bool = False, recovery_ends: bool = True) -> Life:
    return alert_life.said(life, one, at(t), silence=silence, recovery_ends=recovery_ends)


def does(life: Life, action: Action, t: float, by: str = "Anna", cause: str = "") -> Life:
    assert alert_life.refusal(life, action) == ""
    return alert_life.answered(life, Receipt(life.id, "human", by, WALL + t, action, cause, "unhurt"), at(t))


def played(life: Life, start: float, end: float, *, staff: bool = False) -> tuple[Life, list[tuple[int, int, str]]]:
    """Live on second by second; returns the life then, and when it rang, at which tier and why."""
    rang: list[tuple[int, int, str]] = []
    for t in range(int(start), int(end) + 1):
        if ring := alert_life.due(life, at(t), TIMES, staff=staff):
            life = alert_life.rung(life, ring, at(t), TIMES)
            rang.append((t, ring.tier, ring.why))
    return life, rang


def test_nobody_comes_and_it_rings_at_every_tier_and_then_for_ever() -> None:
    _, rang = played(said(None, alert(), 0.0), 0, 420)
    assert rang[:3] == [(60, 1, "unclaimed"), (120, 2, "unclaimed"), (180, 3, "unclaimed")]
    assert [(t, tier) for t, tier, _ in rang[3:]] == [(240, 3), (300, 3), (360, 3), (420, 3)]


def test_an_urgent_one_rings_twice_as_often_and_still_goes_up_at_its_tiers() -> None:
    _, rang = played(said(None, alert("fall", "still_down"), 0.0), 0, 200)
    assert [t for t, _, _ in rang] == [30, 60, 90, 120, 150, 180]
    assert [tier for _, tier, _ in rang] == [0, 1, 1, 2, 2, 3]


def test_a_week_later_it_still_rings() -> None:
    week = 7 * 86_400.0
    life = said(None, alert(), 0.0)
    life = alert_life.rung(life, alert_life.Ring(3, "unclaimed"), at(week - 61.0), TIMES)
    assert alert_life.due(life, at(week), TIMES, staff=False) == alert_life.Ring(3, "unclaimed")


def test_a_suspected_fall_is_shown_and_never_rings() -> None:
    life, rang = played(said(None, alert("fall", "suspected"), 0.0), 0, 600)
    assert (life.state, life.calls, rang) == ("open", False, [])
    confirmed = said(life, alert(), 601.0)
    assert (confirmed.rings, confirmed.tier, confirmed.rang) == (True, 0, at(601.0))
    assert played(confirmed, 601, 662)[1] == [(661, 1, "unclaimed")], "its tiers count from the first ring"


def test_anna_claims_and_forgets_and_it_rings_again_after_three_minutes() -> None:
    life = does(said(None, alert(), 0.0), "claim", 20.0)
    life, rang = played(life, 21, 600)
    assert [(t, why) for t, _, why in rang] == [(200, "unclosed"), (380, "unclosed"), (560, "unclosed")]
    assert [tier for _, tier, _ in rang] == [1, 2, 3]
    assert (life.state, life.by) == ("claimed", "Anna")


def test_claim_arrive_close_and_it_is_quiet_for_ever() -> None:
    life = does(said(None, alert(), 0.0), "claim", 20.0)
    life = does(life, "arrive", 60.0)
    assert played(life, 61, 239)[1] == []
    again = does(life, "arrive", 200.0)
    assert played(again, 201, 379)[1] == [], "who says again that she is there is given the time again"
    closed = does(again, "close", 300.0, cause="slipped")
    assert (closed.state, closed.cause, closed.outcome, closed.by, closed.open) == (
        "closed",
        "slipped",
        "unhurt",
        "Anna",
        False,
    )
    assert played(closed, 300, 3000)[1] == []


def test_ben_takes_over_from_anna() -> None:
    life = does(does(said(None, alert(), 0.0), "claim", 20.0), "claim", 100.0, by="Ben")
    assert (life.by, played(life, 101, 279)[1]) == ("Ben", [])


def test_a_false_alarm_is_rejected_and_can_be_opened_again_and_then_rings() -> None:
    life = does(said(None, alert(), 0.0), "reject", 30.0, cause="a coat on the floor")
    assert life.state == "rejected"
    opened = does(life, "reopen", 90.0, by="Ben")
    assert (opened.rings, opened.tier, opened.by, opened.cause) == (True, 0, "Ben", "")
    assert played(opened, 90, 160)[1] == [(150, 1, "unclaimed")]


def test_even_a_dismissed_suspicion_calls_somebody_when_it_is_opened_again() -> None:
    life = said(said(None, alert("fall", "suspected"), 0.0), alert("fall", "dismissed"), 4.0)
    assert life.state == "dismissed"
    assert does(life, "reopen", 60.0).rings


def test_she_got_up_by_herself() -> None:
    life = said(said(None, alert(), 0.0), alert("fall", "recovered"), 40.0)
    assert (life.state, life.open) == ("recovered", False)
    assert does(life, "close", 300.0, cause="rug").state == "closed", "a cause may still be given"


def test_where_only_people_end_alerts_a_recovery_is_told_and_it_rings_on() -> None:
    life = said(said(None, alert(), 0.0), alert("fall", "recovered"), 40.0, recovery_ends=False)
    assert (life.state, life.rings, life.alert.text) == ("open", True, alert("fall", "recovered").text)
    assert played(life, 41, 70)[1] == [(60, 1, "unclaimed")]
    quiet = said(said(None, alert("fall", "suspected"), 0.0), alert("fall", "dismissed"), 9.0, recovery_ends=False)
    assert not quiet.open, "nobody was called: there is nothing for a person to end"


def test_what_the_unit_sees_later_does_not_reopen_what_a_person_closed() -> None:
    closed = does(said(None, alert(), 0.0), "close", 30.0)
    assert said(closed, alert("fall", "still_down"), 60.0) == closed


def test_staff_in_the_room_hush_it_and_it_rings_when_they_leave() -> None:
    life = said(None, alert(), 0.0, silence=True)
    assert (life.silenced, life.calls) == (True, False)
    life, rang = played(life, 0, 300, staff=True)
    assert rang == []
    life, rang = played(life, 301, 370, staff=False)
    assert rang == [(301, 0, "rearmed"), (361, 1, "unclaimed")]
    assert not life.silenced


def test_a_hushed_alert_that_was_claimed_rings_when_it_is_not_closed() -> None:
    life = does(said(None, alert(), 0.0, silence=True), "claim", 20.0)
    assert played(life, 21, 210, staff=True)[1] == [(200, 1, "unclosed")]


def test_a_fault_is_said_again_every_hour_and_only_its_cause_ends_it() -> None:
    life = said(None, alert("blind", "latched"), 0.0)
    life, rang = played(life, 0, 7300)
    assert [(t, why) for t, _, why in rang] == [(3600, "fault"), (7200, "fault")]
    for action in ("close", "reject"):
        assert "nobody can close it" in alert_life.refusal(life, action)
    assert does(life, "claim", 10.0).state == "claimed"
    assert said(life, alert("blind", "cleared"), 9000.0, recovery_ends=False).state == "cleared"


def test_a_reboot_rings_at_once_and_then_in_its_time() -> None:
    life, _ = played(said(None, alert(), 5000.0), 5000, 5070)
    assert life.tier == 1
    rang = []
    for t in range(20, 230):
        now = Moment(WALL - 86_400.0, float(t), "boot-2")
        if ring := alert_life.due(life, now, TIMES, staff=False):
            life = alert_life.rung(life, ring, now, TIMES)
            rang.append((t, ring.tier))
    assert rang == [(20, 2), (80, 3), (140, 3), (200, 3)]


@pytest.mark.parametrize("step_s", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_a_day_on_or_back_changes_nothing(step_s: float) -> None:
    life = said(None, alert(), 0.0)
    early, late = Moment(WALL + step_s, 59.0, BOOT), Moment(WALL + step_s, 60.0, BOOT)
    assert alert_life.due(life, early, TIMES, staff=False) is None
    assert alert_life.due(life, late, TIMES, staff=False) == alert_life.Ring(1, "unclaimed")


def test_no_consumer_has_it_after_half_a_minute() -> None:
    life = said(None, alert(), 0.0)
    assert not alert_life.unheard(life, at(29.0), TIMES)
    assert alert_life.unheard(life, at(30.0), TIMES)
    heard = alert_life.answered(life, Receipt(life.id, "consumer", "desk", WALL), at(2.0))
    assert not alert_life.unheard(heard, at(3000.0), TIMES)
    assert heard.state == "open", "a desk is no person"
    again = alert_life.rung(heard, alert_life.Ring(1, "unclaimed"), at(60.0), TIMES)
    assert alert_life.unheard(again, at(90.0), TIMES), "a desk that has died since is missed at the next ring"
    assert not alert_life.unheard(replace(again, helpless=True), at(95.0), TIMES), "told once a ring"
    assert not alert_life.unheard(again, at(90.0), Alerts(consumer_receipts=False))


def test_every_action_says_from_which_states_it_counts_and_no_claim_follows_an_end() -> None:
    assert set(ALLOWED_FROM) == set(get_args(Action))
    assert set(OPEN_STATES) | set(ENDED_STATES) == set(get_args(State))
    for action in ("claim", "arrive"):
        assert not set(ENDED_STATES) & set(ALLOWED_FROM[action])
    for action in ("close", "reject"):
        assert not {"closed", "rejected"} & set(ALLOWED_FROM[action])  # type: ignore[index]
    assert not set(OPEN_STATES) & set(ALLOWED_FROM["reopen"])


def test_a_life_survives_json_and_what_a_newer_version_wrote_beside_it() -> None:
    life = does(said(None, alert(), 0.0), "claim", 20.0)
    body = json.loads(json.dumps(alert_life.to_body(life)))
    assert alert_life.life_from(body) == life
    body["mood"] = body["alert"]["mood"] = "good"
    assert alert_life.life_from(body) == life


# Every sequence of what can happen, against a model that knows only: who has it, is it loud, are staff there.

QUIETEST_S = 180.0
"""The slowest repeat of a ringing alert (inactivity); claims and arrivals are given the same time by default."""
STAGES: dict[str, list[str]] = {
    "fall": ["suspected", "confirmed", "still_down", "very_long"],
    "floor": ["confirmed", "still_down", "very_long"],
    "inactivity": ["noticed", "confirmed"],
    "long_lie": ["confirmed"],
}
END: dict[str, str] = {"fall": "recovered", "floor": "recovered", "inactivity": "ended", "long_lie": "recovered"}


class AlertsOfAWard(RuleBasedStateMachine):
    """One alert; the machine's own idea of it is `holder`, `loud` and `hush_left`, its ears are `silence_s`."""

    def __init__(self) -> None:
        super().__init__()
        self.t, self.wall, self.boot, self.up = 1000.0, WALL, 1, 0.0
        self.life: Life | None = None
        self.holder = ""
        self.over = False
        self.loud = False
        self.hush_left = 0.0
        self.hushed = False
        self.silence_s = inf

    @initialize(kind=st.sampled_from(sorted(STAGES)), recovery_ends=st.booleans(), stay_s=st.sampled_from([0.0, 300.0]))
    def begin(self, kind: Any, recovery_ends: bool, stay_s: float) -> None:
        self.kind: Kind = kind
        self.recovery_ends = recovery_ends
        self.hush_left = stay_s
        self.stages = list(STAGES[kind])
        while not self.loud:
            self.next_stage()

    @precondition(lambda self: self.stages)
    @rule()
    def next_stage(self) -> None:
        one = alert(self.kind, self.stages.pop(0))
        was_open = self.life is None or self.life.open
        hush = self.hush_left > 0.0 and not (self.loud and not self.hushed)
        self.life = alert_life.said(self.life, one, self.now, silence=hush, recovery_ends=self.recovery_ends)
        if was_open and one.priority in RINGING:
            self.loud, self.hushed = True, hush and self.holder == ""
            if not self.hushed and not self.holder:
                self.silence_s = 0.0

    @precondition(lambda self: not self.over)
    @rule(action=st.sampled_from(["claim", "arrive"]), by=st.sampled_from(["Anna", "Ben"]))
    def somebody_goes(self, action: Action, by: str) -> None:
        self.answer(action, by)

    @precondition(lambda self: not self.over)
    @rule(action=st.sampled_from(["close", "reject"]))
    def somebody_ends_it(self, action: Action) -> None:
        self.answer(action, "Anna")

    @precondition(lambda self: self.over)
    @rule()
    def somebody_opens_it_again(self) -> None:
        self.answer("reopen", "Ben")

    def answer(self, action: Action, by: str) -> None:
        assert self.life is not None
        if alert_life.refusal(self.life, action):
            assert (self.life.state, action) == ("arrived", "claim"), "the only answer here that comes too late"
            return
        self.life = alert_life.answered(self.life, Receipt(self.life.id, "human", by, self.wall, action), self.now)
        self.holder = "" if action == "reopen" else by
        self.over = action in ("close", "reject")
        self.hushed = False
        self.silence_s = 0.0
        if action == "reopen":
            self.loud = True

    @rule()
    def desk(self) -> None:
        assert self.life is not None
        self.life = alert_life.answered(self.life, Receipt(self.life.id, "consumer", "desk", self.wall), self.now)

    @rule()
    def recovers(self) -> None:
        assert self.life is not None
        one = alert(self.kind, END[self.kind])
        was_open = self.life.open
        self.life = alert_life.said(self.life, one, self.now, silence=False, recovery_ends=self.recovery_ends)
        self.over = self.over or (was_open and (self.recovery_ends or not self.loud))
        if was_open and self.over:
            self.hushed = False

    @rule(stay_s=st.floats(60.0, 900.0))
    def staff_come(self, stay_s: float) -> None:
        self.hush_left = stay_s

    @rule()
    def staff_leave(self) -> None:
        assert self.life is not None
        self.hush_left = 0.0
        self.look()

    @rule(seconds=st.sampled_from([1, 30, 61, 200, 400]))
    def time_passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.t += 1.0
            self.wall += 1.0
            self.hush_left = max(0.0, self.hush_left - 1.0)
            self.silence_s += 1.0
            self.look()
            self.nobody_is_left_alone()

    @rule(step_s=st.sampled_from([-86_400.0, -1.0, 1.0, 86_400.0]))
    def clock_is_set(self, step_s: float) -> None:
        self.wall += step_s

    @rule(off_s=st.floats(0.0, 86_400.0), uptime_s=st.floats(0.0, 3e6))
    def reboots(self, off_s: float, uptime_s: float) -> None:
        self.wall += off_s
        self.t = uptime_s
        self.boot += 1
        self.hush_left = 0.0
        self.look()

    @rule()
    def is_killed(self) -> None:
        assert self.life is not None
        self.life = alert_life.life_from(json.loads(json.dumps(alert_life.to_body(self.life))))

    @property
    def now(self) -> Moment:
        return Moment(self.wall, self.t, f"boot-{self.boot}")

    def look(self) -> None:
        assert self.life is not None
        ring = alert_life.due(self.life, self.now, TIMES, staff=self.hush_left > 0.0)
        if ring is not None:
            assert self.loud, "what is silent never rings"
            assert not self.over, "what is over never rings"
            self.life = alert_life.rung(self.life, ring, self.now, TIMES)
            self.silence_s = 0.0
            self.hushed = False

    @invariant()
    def nobody_is_left_alone(self) -> None:
        if self.life is None:
            return
        assert self.life.open != self.over
        if self.over or not self.loud:
            return
        if self.hushed:
            assert self.hush_left > 0.0, "nobody is there any more, and it is still hushed"
            return
        assert self.silence_s <= QUIETEST_S + 1.0, "an alert fell silent"

    @invariant()
    def somebody_can_always_end_it(self) -> None:
        if self.life is not None and not self.over:
            assert alert_life.refusal(self.life, "close") == ""
            assert alert_life.refusal(self.life, "reject") == ""

    @invariant()
    def tiers_stay_in_their_bounds(self) -> None:
        assert self.life is None or 0 <= self.life.tier <= len(TIMES.tiers_s)


AlertsOfAWard.TestCase.settings = settings(
    max_examples=150, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_no_sequence_of_what_can_happen_leaves_an_alert_silent = AlertsOfAWard.TestCase
