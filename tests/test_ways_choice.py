"""What a way out that was away still tells, and what it leaves out."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.alert_life import Life, Moment
from device.ways.choice import LATE_S, PATIENCE_S, TEST_S, Verdict, age_s, allowed, of_last_resort, tells, verdict
from device.ways.way import Body, Item
from tests.incident_samples import alert_of, incident

BOOT = "this-boot"
OLD = LATE_S + 1.0


def item(seq: int, alert_id: str = "A", **body: Any) -> Item:
    said = {"type": "update", "state": "open", "test": False, "ring": True, "priority": "alarm", **body}
    return Item(seq, alert_id, said, 1000.0)


def everything(_body: Body, _told: bool) -> bool:
    return True


def rings_only(body: Body, _told: bool) -> bool:
    return bool(body["ring"])


def chosen(items: list[Item], told: set[str], age: float, wants: Any = everything) -> list[int]:
    """The numbers that a way carries of these, all of one age; keeps the book as the ledger does."""
    carried, told = [], set(told)
    for at, one in enumerate(items):
        judged = verdict(one, items[at + 1 :], wants, told=one.alert_id in told, age=age)
        if judged is Verdict.SEND:
            carried.append(one.seq)
            if tells(one.body):
                told.add(one.alert_id)
        if not tells(one.body) and judged is not Verdict.OVERTAKEN:
            told.discard(one.alert_id)
    return carried


END: dict[str, Any] = {"type": "end", "state": "closed", "ring": False}


def test_a_way_that_keeps_up_carries_every_message_in_order() -> None:
    assert chosen([item(1), item(2, "B"), item(3), item(4, **END)], set(), 1.0) == [1, 2, 3, 4]


def test_a_way_that_was_away_carries_how_each_alert_stands_now() -> None:
    assert chosen([item(1), item(2, "B"), item(3), item(4), item(5, "B")], set(), OLD) == [4, 5]


def test_what_is_over_and_was_never_told_is_not_told() -> None:
    assert chosen([item(1), item(2), item(3, **END), item(4, "B")], set(), OLD) == [4]


def test_what_was_told_before_the_outage_is_ended_after_it() -> None:
    assert chosen([item(2), item(3, **END)], {"A"}, OLD) == [3]


def test_a_pager_is_not_called_late_for_what_somebody_has_claimed() -> None:
    claimed = item(2, state="claimed", ring=False)
    assert chosen([item(1), claimed], set(), OLD, rings_only) == []
    assert chosen([item(1), claimed, item(3, state="claimed")], set(), OLD, rings_only) == [3], "it rings again"


def test_a_pager_is_called_late_although_something_silent_came_after() -> None:
    got_up_but_open = item(2, ring=False, priority="info")
    assert chosen([item(1), got_up_but_open], set(), OLD, rings_only) == [1]


def test_a_test_goes_through_at_once_and_never_hours_later() -> None:
    test = item(1, test=True, ring=False)
    assert chosen([test], set(), 5.0) == [1]
    assert chosen([test], set(), TEST_S + 1.0) == []


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["ring", "quiet", "end", "reopen"])), max_size=30),
    st.sets(st.sampled_from("ABC")),
    st.sampled_from([0.0, OLD, inf]),
)
def test_no_open_alert_is_left_out_and_nothing_told_stays_unended(
    script: list[tuple[str, str]], told: set[str], age: float
) -> None:
    kinds: dict[str, dict[str, Any]] = {"ring": {}, "quiet": {"ring": False}, "end": END, "reopen": {}}
    items = [item(seq, alert_id, **kinds[kind]) for seq, (alert_id, kind) in enumerate(script, 1)]
    carried = chosen(items, told, age)
    assert carried == sorted(set(carried))
    for alert_id in {one.alert_id for one in items}:
        last = [one for one in items if one.alert_id == alert_id][-1]
        heard = [one for one in items if one.alert_id == alert_id and one.seq in carried]
        knew = alert_id in told or any(tells(one.body) for one in heard)
        if last.body["type"] != "end":
            assert last.seq in carried, "how an open alert stands is always told"
        elif knew:
            assert heard[-1].seq == last.seq, "whoever was told is told the end"
        elif age > LATE_S:
            assert heard == [], "what is over is not told late"


def life_of(**changes: Any) -> Life:
    now = Moment(0.0, 0.0, BOOT)
    return replace(Life(alert_of(incident()), "open", now, rang=now), **changes)


@pytest.mark.parametrize(
    ("life", "told", "age", "expected"),
    [
        (life_of(), False, 5.0, Verdict.WAIT),
        (life_of(helpless=True), False, 31.0, Verdict.SEND),
        (life_of(heard=True), False, 5.0, Verdict.SKIP),
        (life_of(state="claimed"), False, 5.0, Verdict.SKIP),
        (life_of(), False, 30.0 + PATIENCE_S + 1, Verdict.SEND),
        (life_of(heard=True), True, 5.0, Verdict.SEND),
        (None, False, 5.0, Verdict.SKIP),
    ],
)
def test_a_last_resort_carries_what_no_receiver_has_in_time(
    life: Life | None, told: bool, age: float, expected: Verdict
) -> None:
    assert of_last_resort(item(1).body, life, told=told, age=age, fallback_s=30.0) is expected


def test_a_last_resort_is_tested_without_waiting_and_leaves_silent_messages_alone() -> None:
    waiting = life_of()
    assert of_last_resort(item(1, test=True).body, None, told=False, age=0.0, fallback_s=30.0) is Verdict.SEND
    assert of_last_resort(item(1, ring=False).body, waiting, told=False, age=0.0, fallback_s=30.0) is Verdict.SKIP
    assert allowed("always", Verdict.SEND, lambda: Verdict.SKIP) is Verdict.SEND
    assert allowed("fallback", Verdict.SEND, lambda: Verdict.WAIT) is Verdict.WAIT
    assert allowed("fallback", Verdict.SKIP, lambda: Verdict.SEND) is Verdict.SKIP


def test_the_age_of_a_message_survives_a_clock_that_steps_a_day() -> None:
    one = Item(1, "A", {"boot_id": BOOT, "mono_ms": 50_000}, 1000.0)
    for wall in (1010.0, 1010.0 + 86_400, 1010.0 - 86_400):
        assert age_s(one, 60.0, wall, BOOT) == 10.0
    assert age_s(one, 5.0, 1300.0, "another-boot") == 300.0
    assert age_s(one, 5.0, 900.0, "another-boot") == inf, "nobody can tell: taken for late, never for a test of now"
