"""Alerts on a real disk until somebody has dealt with them: rings, answers, reboots, staff, a disk that fails."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from device import store
from device.feature import Wish
from device.journal import Journal
from device.outbox import Outbox, active_alert
from device.payloads import Verdict, stamped, validate
from device.records import Action, Incident, Receipt
from device.ringing import CONSOLE, Ringing
from device.settings import Settings
from device.spill import Spill
from tests.incident_samples import WALL, T, alert_of, incident, moved, unit_settings
from tests.test_outbox import fill_up, make_room

START = 5.0
"""The alerts of incident_samples are confirmed 5 s after T."""


def opened(folder: Path, spill: Spill | None = None, rooms: tuple[str, ...] = (), **times: Any) -> Outbox:
    """An outbox as the unit opens it; rooms: of several cameras."""
    table = unit_settings(folder).model_dump(mode="json", exclude={"camera", "cameras"})
    table["alerts"] |= times
    table["cameras"] = [{"id": f"cam-{room}", "room": room, "source": f"/dev/{room}"} for room in rooms]
    if not rooms:
        del table["cameras"]
    settings = Settings.model_validate(table)
    return Outbox(Journal(folder, room="r12"), settings, spill)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    made = opened(tmp_path)
    yield made
    made.journal.close()


def put(outbox: Outbox, one: Incident) -> Incident:
    room = one.room or "r12"
    assert outbox.put(one, alert_of(one, room), "m-1") is None
    return one


def tick(outbox: Outbox, after_s: float) -> list[str]:
    """The unit looks at its alerts, seconds after T; returns the ids of those that no consumer has."""
    return [life.id for life in outbox.tick(WALL + after_s, T + after_s)]


def says(outbox: Outbox, alert_id: str, action: Action, after_s: float, cause: str = "", **more: Any) -> Verdict:
    receipt = Receipt(alert_id, "human", "Anna", WALL + after_s, action, cause, "unhurt" if cause else "")
    return outbox.answer(receipt, f"nonce-{action}-{after_s}", WALL + after_s, T + after_s, **more)


def desk_has(outbox: Outbox, alert_id: str, after_s: float, seq: int = 0) -> Verdict:
    receipt = Receipt(alert_id, "consumer", "desk-1", WALL + after_s, seq=seq)
    return outbox.answer(receipt, "", WALL + after_s, T + after_s)


def broker_has(outbox: Outbox, after_s: float, *seqs: int, sent_s: float | None = None) -> None:
    receipts = {one.seq: Receipt(one.alert_id, "broker", "b:1", WALL) for one in outbox.pending() if one.seq in seqs}
    sent = {seq: T + (after_s if sent_s is None else sent_s) for seq in seqs}
    assert outbox.delivered(receipts, WALL + after_s, T + after_s, sent) is None


def messages(outbox: Outbox) -> list[dict[str, Any]]:
    """Everything that waits for the broker, each held against its schema."""
    found = [stamped(one.payload, one.seq, 1, WALL + 9e5) for one in outbox.pending(1000)]
    for one in found:
        validate("alert-event", one)
    return found


def told(outbox: Outbox, alert_id: str) -> list[tuple[str, int, bool, str]]:
    return [
        (one["event_type"], one["tier"], one["ring"], one["state"])
        for one in messages(outbox)
        if one["alert_id"] == alert_id
    ]


def entries(outbox: Outbox, what: str) -> list[dict[str, Any]]:
    return [json.loads(row["body"]) for row in outbox.journal.entries() if row["what"] == what]


def staff(outbox: Outbox, on: bool, after_s: float, **more: Any) -> Verdict:
    wish = Wish("staff", on, "Anna", at=WALL + after_s, nonce=f"staff-{on}-{after_s}", **more)
    return outbox.switch(wish, WALL + after_s, T + after_s)


def test_an_alert_that_nobody_claims_goes_out_again_with_numbers_of_its_own(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    said = messages(outbox)
    for after_s in range(6, 200):
        broker_has(outbox, after_s, *(one["seq"] for one in messages(outbox)))
        tick(outbox, float(after_s))
        said += messages(outbox)
    assert [(one["event_type"], one["tier"], one["ring"]) for one in said] == [
        ("fall_confirmed", 0, True),
        ("unclaimed", 1, True),
        ("unclaimed", 2, True),
        ("unclaimed", 3, True),
    ]
    assert [one["seq"] for one in said] == [1, 2, 3, 4]
    assert {one["type"] for one in said[1:]} == {"update"}
    assert {one["alert_id"] for one in said} == {fall.id}
    assert said[1]["text"] == "r12: somebody fell and is on the floor, and nobody is going"
    assert (said[1]["priority"], said[1]["started_at"]) == ("alarm", said[0]["started_at"])
    assert [(one["why"], one["tier"], one["by"]) for one in entries(outbox, "ring")] == [
        ("unclaimed", tier, "unit") for tier in (1, 2, 3)
    ]


def test_a_claim_that_is_not_closed_rings_by_its_name(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    says(outbox, fall.id, "claim", 20.0)
    tick(outbox, 199.0)
    assert told(outbox, fall.id)[-1] == ("claimed", 0, False, "claimed")
    tick(outbox, 200.0)
    assert told(outbox, fall.id)[-1] == ("unclosed", 1, True, "claimed")
    assert messages(outbox)[-1]["text"].endswith("Anna is going and has not closed it")
    says(outbox, fall.id, "arrive", 210.0)
    tick(outbox, 390.0)
    assert messages(outbox)[-1]["text"].endswith("Anna is there and has not closed it")
    says(outbox, fall.id, "close", 400.0, "slipped")
    tick(outbox, 9000.0)
    last = messages(outbox)[-1]
    assert (last["event_type"], last["cause"], last["outcome"], last["type"]) == ("closed", "slipped", "unhurt", "end")
    assert outbox.journal.event(fall.id)["outcome"] == "unhurt"  # type: ignore[index]
    assert active_alert(outbox) == (None, None, 0)


def test_opened_again_it_rings_and_is_the_truth_again(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    says(outbox, fall.id, "reject", 20.0, "a coat")
    assert "too late" in says(outbox, fall.id, "claim", 25.0).reason
    assert says(outbox, fall.id, "reopen", 30.0) == Verdict(counts=True, state="open")
    assert told(outbox, fall.id)[-1] == ("reopened", 0, True, "open")
    assert active_alert(outbox)[2] == 1
    assert outbox.journal.event(fall.id)["state"] == "open"  # type: ignore[index]
    tick(outbox, 95.0)
    assert told(outbox, fall.id)[-1] == ("unclaimed", 1, True, "open")


@pytest.mark.parametrize("action", ["claim", "arrive", "close", "reject"])
def test_an_answer_that_waited_while_the_alert_was_opened_again_does_not_count_for_what_it_is_now(
    outbox: Outbox, action: Action
) -> None:
    fall = put(outbox, incident())
    says(outbox, fall.id, "close", 30.0)
    says(outbox, fall.id, "reopen", 60.0)
    queued = Receipt(fall.id, "human", "Ben", WALL + 20.0, action)
    verdict = outbox.answer(queued, "nonce-queued", WALL + 90.0, T + 90.0)
    assert not verdict.counts
    assert "opened again after that was said" in verdict.reason
    assert outbox.lives.open()[0].state == "open"
    assert says(outbox, fall.id, action, 100.0).counts, "what is said now counts"


def test_a_clock_that_goes_fast_where_it_was_opened_again_keeps_nobody_from_closing_it(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    says(outbox, fall.id, "close", 30.0)
    fast = Receipt(fall.id, "human", "Ben", WALL + 3660.0, "reopen")
    assert outbox.answer(fast, "nonce-fast", WALL + 60.0, T + 60.0).counts
    assert says(outbox, fall.id, "close", 70.0).counts


def test_a_long_lie_that_was_opened_again_is_not_closed_by_what_was_said_of_the_fall_before(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    lie = put(outbox, incident("long_lie", "confirmed", 3600.0, detail={"of": fall.id}))
    says(outbox, lie.id, "close", 3610.0)
    says(outbox, lie.id, "reopen", 3650.0)
    queued = Receipt(fall.id, "human", "Ben", WALL + 3640.0, "close")
    assert outbox.answer(queued, "nonce-queued", WALL + 3700.0, T + 3700.0).counts
    assert [life.id for life in outbox.lives.open()] == [lie.id]


def test_a_restart_goes_on_where_it_was_and_a_reboot_rings_at_once(tmp_path: Path) -> None:
    first = opened(tmp_path)
    fall = put(first, incident())
    tick(first, 64.0)
    first.journal.close()
    second = opened(tmp_path)
    assert second.begin(WALL + 64.5, T + 64.5) is None
    tick(second, 64.9)
    assert len(told(second, fall.id)) == 1, "the same boot: not a second early"
    tick(second, 65.0)
    assert told(second, fall.id)[-1] == ("unclaimed", 1, True, "open")
    second.journal.close()
    third = opened(tmp_path)
    third.journal.boot = "another boot"
    third.tick(WALL - 86_400.0, 3.0)
    assert told(third, fall.id)[-1] == ("unclaimed", 2, True, "open"), "the clock went back a day, and it rings"
    third.journal.close()


def test_closing_a_fall_closes_the_long_lie_that_grew_from_it(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    lie = put(outbox, incident("long_lie", "confirmed", 3600.0, detail={"of": fall.id, "down_s": 3595.0}))
    other = put(outbox, incident())
    says(outbox, fall.id, "close", 3700.0, "helped up")
    assert [life.id for life in outbox.lives.open()] == [other.id]
    assert told(outbox, lie.id)[-1] == ("closed", 0, False, "closed")
    assert outbox.journal.event(lie.id)["by"] == "Anna"  # type: ignore[index]


def test_where_only_people_end_alerts_a_recovery_leaves_it_open(tmp_path: Path) -> None:
    outbox = opened(tmp_path, recovery_ends=False)
    fall = put(outbox, incident())
    put(outbox, moved(fall, "recovered", 45.0, down_s=40.0))
    assert told(outbox, fall.id)[-1] == ("fall_recovered", 0, False, "open")
    assert messages(outbox)[-1]["type"] == "update"
    assert outbox.journal.event(fall.id)["state"] == "open"  # type: ignore[index]
    assert outbox.journal.open_incidents() == [], "the watch has nothing to go on with"
    tick(outbox, 65.0)
    assert messages(outbox)[-1]["text"] == "r12: the person who fell got up after 40 s, and nobody is going"
    assert says(outbox, fall.id, "close", 70.0).counts
    outbox.journal.close()


def test_a_fault_of_the_last_run_ends_with_it_and_its_people_are_told(tmp_path: Path) -> None:
    first = opened(tmp_path)
    fault = put(first, incident("unit", "latched", detail={"cause": "broker"}))
    first.journal.close()
    second = opened(tmp_path)
    second.begin(WALL + 100.0, T + 100.0)
    assert told(second, fault.id) == [("fault", 0, False, "open"), ("fault_cleared", 0, False, "cleared")]
    assert second.lives.open() == []
    second.begin(WALL + 200.0, T + 200.0)
    assert len(messages(second)) == 2, "once"
    second.journal.close()


def test_no_consumer_in_half_a_minute_is_told_once_a_ring_and_the_message_is_given_up_on(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    assert tick(outbox, 34.0) == []
    broker_has(outbox, 34.5, 1)
    assert [one.seq for one in outbox.unheard()] == [1]
    assert tick(outbox, 35.0) == [fall.id]
    assert tick(outbox, 36.0) == []
    assert outbox.unheard() == [], "the next ring is watched in its turn"
    assert [one["by"] for one in entries(outbox, "fallback")] == ["unit"]
    tick(outbox, 65.0)
    assert tick(outbox, 95.0) == [fall.id]


def test_a_desk_that_has_it_ends_the_watch_for_a_desk(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    broker_has(outbox, 6.0, 1)
    assert not active_alert(outbox)[1].heard  # type: ignore[union-attr]
    assert desk_has(outbox, fall.id, 7.0).counts
    assert active_alert(outbox)[1].heard  # type: ignore[union-attr]
    assert outbox.unheard() == []
    assert tick(outbox, 36.0) == []
    assert outbox.lives.open()[0].state == "open"


def test_a_desk_that_is_faster_than_the_brokers_receipt_counts(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    desk_has(outbox, fall.id, 6.1)
    broker_has(outbox, 6.2, 1, sent_s=6.0)
    assert outbox.unheard() == []
    tick(outbox, 65.0)
    broker_has(outbox, 66.0, 2, sent_s=65.1)
    assert [one.seq for one in outbox.unheard()] == [2], "it had the first message, not this one"
    desk_has(outbox, fall.id, 67.0, seq=1)
    assert [one.seq for one in outbox.unheard()] == [2]
    desk_has(outbox, fall.id, 68.0, seq=2)
    assert outbox.unheard() == []


def test_what_does_not_ring_is_not_watched_for_a_desk_unless_only_its_receipt_counts(tmp_path: Path) -> None:
    for receipt, unheard in (("broker", 0), ("consumer", 1)):
        outbox = opened(tmp_path / receipt, receipt=receipt)
        put(outbox, incident("fall", "suspected", 0.0))
        assert outbox.waiting() == 1
        broker_has(outbox, 1.0, 1)
        assert (len(outbox.unheard()), outbox.waiting()) == (unheard, unheard)
        outbox.journal.close()


def test_where_only_a_desks_receipt_counts_a_message_waits_for_it_beyond_the_last_resort(tmp_path: Path) -> None:
    outbox = opened(tmp_path, receipt="consumer")
    fall = put(outbox, incident())
    broker_has(outbox, 6.0, 1)
    assert tick(outbox, 40.0) == [fall.id]
    assert (outbox.pending(), outbox.waiting()) == ([], 1)
    desk_has(outbox, fall.id, 50.0)
    assert outbox.waiting() == 0
    outbox.journal.close()


def test_a_claim_shows_that_somebody_has_it(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    broker_has(outbox, 6.0, 1)
    says(outbox, fall.id, "claim", 10.0)
    assert outbox.unheard() == []
    assert tick(outbox, 100.0) == []


def test_staff_hush_the_first_alert_and_it_rings_when_their_time_is_over(outbox: Outbox) -> None:
    assert staff(outbox, True, 0.0, seconds=300.0).state == "ON"
    fall = put(outbox, incident("fall", "suspected", 1.0))
    put(outbox, moved(fall, "confirmed", 6.0))
    put(outbox, moved(fall, "still_down", 61.0))
    assert told(outbox, fall.id)[1:] == [
        ("fall_confirmed", 0, False, "open"),
        ("fall_still_down", 0, False, "open"),
    ]
    assert {(one["priority"], one["hushed"]) for one in messages(outbox)[1:]} == {("silent", True)}
    assert active_alert(outbox)[2] == 0
    tick(outbox, 299.0)
    assert len(messages(outbox)) == 3
    tick(outbox, 300.0)
    assert told(outbox, fall.id)[-1] == ("rearmed", 0, True, "open")
    assert (messages(outbox)[-1]["priority"], messages(outbox)[-1]["hushed"]) == ("urgent", False)
    assert active_alert(outbox)[2] == 1
    said = entries(outbox, "feature")
    assert [(one["on"], one["by"], one["why"]) for one in said] == [
        (True, "Anna", ""),
        (True, "Anna", "an alert is hushed"),
        (False, "unit", "its time is over"),
    ]
    assert said[1]["hushed"] == fall.id


def test_staff_who_leave_a_person_on_the_floor_make_it_ring(outbox: Outbox) -> None:
    staff(outbox, True, 0.0)
    fall = put(outbox, incident())
    assert staff(outbox, False, 90.0).state == "OFF"
    tick(outbox, 90.5)
    assert told(outbox, fall.id)[-1] == ("rearmed", 0, True, "open")


def test_a_second_fall_rings_and_the_first_with_it(outbox: Outbox) -> None:
    staff(outbox, True, 0.0)
    first = put(outbox, incident())
    second = put(outbox, incident("floor", "confirmed", 30.0))
    assert told(outbox, second.id) == [("floor_confirmed", 0, True, "open")]
    assert [one.on for one in outbox.features("staff")] == [False]
    tick(outbox, 31.0)
    assert told(outbox, first.id)[-1] == ("rearmed", 0, True, "open")
    assert entries(outbox, "feature")[-1]["why"] == "a second alert in the room"


def test_staff_do_not_hush_who_rang_before_they_came_nor_a_second_one_by_saying_it_again(outbox: Outbox) -> None:
    fall = put(outbox, incident())
    staff(outbox, True, 10.0)
    put(outbox, moved(fall, "still_down", 65.0))
    assert told(outbox, fall.id)[-1] == ("fall_still_down", 0, True, "open")
    says(outbox, fall.id, "close", 70.0)
    hushed = put(outbox, incident("fall", "confirmed", 80.0))
    says(outbox, hushed.id, "close", 85.0)
    staff(outbox, True, 90.0)
    again = put(outbox, incident("fall", "confirmed", 100.0))
    assert told(outbox, again.id) == [("fall_confirmed", 0, True, "open")]


def test_staff_in_one_room_hush_nobody_in_the_next(tmp_path: Path) -> None:
    outbox = opened(tmp_path, rooms=("r12", "r13"))
    assert "room is missing" in staff(outbox, True, 0.0).reason
    assert staff(outbox, True, 1.0, room="r13").counts
    here = put(outbox, incident(room="r12"))
    there = put(outbox, incident(room="r13"))
    assert told(outbox, here.id)[0][2]
    assert not told(outbox, there.id)[0][2]
    outbox.journal.close()


def test_a_presence_of_staff_survives_a_restart_and_not_a_reboot_and_privacy_begins_once_more(tmp_path: Path) -> None:
    first = opened(tmp_path)
    staff(first, True, 0.0)
    first.switch(Wish("privacy", True, "Anna", at=WALL), WALL, T)
    first.journal.close()
    second = opened(tmp_path)
    second.begin(WALL + 5.0, T + 5.0)
    fall = put(second, incident())
    assert not told(second, fall.id)[0][2]
    assert Ringing(second).look(WALL + 5.0, T + 5.0).private == {"r12"}  # type: ignore[union-attr]
    second.journal.close()
    third = opened(tmp_path)
    third.journal.boot = "another boot"
    third.begin(WALL, 20.0)
    ringing = Ringing(third)
    assert ringing.look(WALL, 20.0).private == {"r12"}  # type: ignore[union-attr]
    assert told(third, fall.id)[-1] == ("rearmed", 0, True, "open")
    assert ringing.look(WALL, 20.5) is None, "once a second is enough"
    assert ringing.look(WALL, 3621.0).private == frozenset()  # type: ignore[union-attr]
    third.journal.close()


def test_a_wish_counts_once_and_a_late_one_is_refused_or_shortened(outbox: Outbox) -> None:
    wish = Wish("staff", True, "Anna", at=WALL - 100.0, seconds=300.0, nonce="abcd-1234")
    assert outbox.switch(wish, WALL, T).counts
    assert outbox.features("staff")[0].length_s == 200.0
    assert outbox.switch(wish, WALL + 1.0, T + 1.0) == Verdict(False, "this was entered before", True, "ON")
    late = Wish("staff", True, "Anna", at=WALL - 1000.0, nonce="abcd-5678")
    assert "too late" in outbox.switch(late, WALL, T).reason
    longest = Wish("staff", True, "Anna", at=WALL + 1e6, seconds=86_400.0)
    assert outbox.switch(longest, WALL, T).counts
    assert outbox.features("staff")[0].length_s == 900.0, "bounded, whatever the sender's clock says"
    outbox.switch(Wish("privacy", True, "Anna", at=WALL), WALL, T)
    assert "too late" in outbox.switch(Wish("privacy", False, "Anna", at=WALL - 5.0), WALL, T).reason
    assert "not one of this unit's: r12" in outbox.switch(Wish("privacy", False, "Anna", room="r99"), WALL, T).reason


def test_with_no_byte_free_it_rings_from_memory_and_a_claim_counts_and_is_written_down_later(
    outbox: Outbox,
) -> None:
    fill_up(outbox)
    fall = incident()
    assert outbox.put(fall, alert_of(fall), "m-1") is not None
    tick(outbox, 65.0)
    assert told(outbox, fall.id)[-1] == ("unclaimed", 1, True, "open")
    assert says(outbox, fall.id, "claim", 70.0).counts
    assert says(outbox, fall.id, "claim", 70.0).repeated, "the nonce is known although the disk has not got it"
    assert active_alert(outbox)[1].state == "claimed"  # type: ignore[union-attr]
    assert tick(outbox, 100.0) == []
    make_room(outbox)
    assert outbox.settle(WALL + 110.0, T + 110.0)
    again = opened(outbox.journal.folder)
    assert again.lives.open()[0].state == "claimed"
    assert [one["event_type"] for one in messages(again)] == ["fall_confirmed", "claimed"], (
        "the claim overtook the ring"
    )
    assert [row["what"] for row in again.journal.entries(incident_id=fall.id)] == [
        "incident",
        "alert",
        "ring",
        "overtaken",
        "receipt",
    ]
    again.journal.close()


def test_what_only_memory_knows_waits_for_the_desk_too_where_its_receipt_counts(tmp_path: Path) -> None:
    outbox = opened(tmp_path, receipt="consumer")
    before = put(outbox, incident())
    broker_has(outbox, 6.0, 1)
    desk_has(outbox, before.id, 6.0)
    takes(outbox, False)
    falls = [incident(), incident()]
    for fall in falls:
        assert outbox.put(fall, alert_of(fall), "m-1") is not None
    broker_has(outbox, 7.0, 2, 3)
    assert outbox.pending() == []
    assert [one.seq for one in outbox.unheard()] == [2, 3], "so that they are said again until a desk has them"
    assert (outbox.waiting(), outbox.unsent_count()) == (2, 0)
    assert desk_has(outbox, falls[0].id, 8.0, seq=2).counts
    assert [one.seq for one in outbox.unheard()] == [3]
    takes(outbox, True)
    assert outbox.settle(WALL + 20.0, T + 20.0)
    assert [one.seq for one in outbox.unheard()] == [3], "the disk knows it now"
    again = opened(tmp_path, receipt="consumer")
    assert again.waiting() == 1, "and after a restart"
    assert desk_has(again, falls[1].id, 30.0).counts
    assert again.waiting() == 0
    again.journal.close()
    outbox.journal.close()


def test_a_desk_that_was_faster_than_the_broker_counts_for_what_only_memory_knows(tmp_path: Path) -> None:
    outbox = opened(tmp_path, receipt="consumer")
    takes(outbox, False)
    fall = incident()
    outbox.put(fall, alert_of(fall), "m-1")
    (seq,) = [one.seq for one in outbox.pending()]
    desk_has(outbox, fall.id, 7.0, seq=seq)
    broker_has(outbox, 8.0, seq)
    assert (outbox.pending(), outbox.waiting()) == ([], 0)


@pytest.mark.parametrize("faster", [False, True])
def test_a_desk_has_what_is_on_a_disk_that_takes_nothing_any_more(tmp_path: Path, faster: bool) -> None:
    outbox = opened(tmp_path, receipt="consumer")
    one, two = put(outbox, incident()), put(outbox, incident())
    broker_has(outbox, 7.0, 1)
    takes(outbox, False)
    if faster:
        desk_has(outbox, two.id, 7.5, seq=2)
    assert outbox.delivered({2: Receipt(two.id, "broker", "b:1", WALL)}, WALL + 8.0, T + 8.0) is not None
    assert [letter.seq for letter in outbox.unheard()] == ([1] if faster else [1, 2])
    desk_has(outbox, one.id, 9.0)
    assert [letter.seq for letter in outbox.unheard()] == ([] if faster else [2]), "it is not said again for ever"
    if not faster:
        desk_has(outbox, two.id, 9.0)
    assert outbox.waiting() == 0
    takes(outbox, True)
    assert outbox.settle(WALL + 20.0, T + 20.0)
    assert (outbox.waiting(), outbox.pending()) == (0, [])
    outbox.journal.close()


def test_a_test_alert_leaves_when_a_desk_has_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path, receipt="consumer")
    one = put(outbox, incident("test"))
    broker_has(outbox, 7.0, 1)
    assert outbox.waiting() == 1
    assert desk_has(outbox, one.id, 8.0).counts
    assert outbox.waiting() == 0
    outbox.journal.close()


def test_staff_hush_nothing_while_the_disk_fails(outbox: Outbox) -> None:
    staff(outbox, True, 0.0)
    fill_up(outbox)
    fall = incident()
    outbox.put(fall, alert_of(fall), "m-1")
    assert told(outbox, fall.id) == [("fall_confirmed", 0, True, "open")]
    assert "disk takes nothing" in staff(outbox, True, 10.0).reason


def test_a_store_that_breaks_after_the_fall_does_not_silence_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    fall = put(outbox, incident())
    tick(outbox, 6.0)
    outbox.journal.connection.close()
    outbox.journal.connection = broken()
    tick(outbox, 65.0)
    assert [one.payload["event_type"] for one in outbox.pending()] == ["unclaimed"]
    assert says(outbox, fall.id, "close", 70.0).counts
    tick(outbox, 700.0)
    assert [one.payload["event_type"] for one in outbox.pending()] == ["closed"], "and no ring for what is over"


def takes(outbox: Outbox, whether: bool) -> None:
    """A disk that can be read and takes nothing, and one that does again."""
    outbox.journal.connection.execute(f"PRAGMA query_only = {not whether}")


def broken() -> sqlite3.Connection:
    """A connection to a database without a single table: every question to it fails."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def test_what_was_answered_on_the_units_own_page_is_heard(outbox: Outbox) -> None:
    ringing = Ringing(outbox)
    fall = put(outbox, incident())
    page = opened(outbox.journal.folder)
    says(page, fall.id, "close", 20.0, via=CONSOLE)
    page.journal.close()
    heard = ringing.look(WALL + 21.0, T + 21.0)
    assert heard is not None
    assert [(one.alert_id, one.action) for one in heard.answers] == [(fall.id, "close")]
    assert ringing.look(WALL + 23.0, T + 23.0).answers == ()  # type: ignore[union-attr]
    assert outbox.lives.open() == []


SCHEMA_1 = """
CREATE TABLE journal (seq INTEGER PRIMARY KEY AUTOINCREMENT, wall REAL NOT NULL, t REAL NOT NULL, boot_id TEXT NOT NULL,
    what TEXT NOT NULL, incident_id TEXT, body TEXT NOT NULL);
CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, alert_id TEXT NOT NULL, topic TEXT NOT NULL,
    payload TEXT NOT NULL, created REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0);
CREATE TABLE event (incident_id TEXT PRIMARY KEY, kind TEXT NOT NULL, stage TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open', room TEXT NOT NULL, wall_start REAL NOT NULL, wall_confirmed REAL,
    wall_end REAL, peak REAL NOT NULL, by TEXT, cause TEXT, label TEXT, incident TEXT NOT NULL, clip TEXT,
    clip_sha256 TEXT, model_id TEXT);
PRAGMA user_version=1;
"""


def test_what_a_unit_of_the_first_version_left_open_is_taken_over_and_rings(tmp_path: Path) -> None:
    """The file of schema 1, with an open fall, a claimed one and one that is over."""
    falls = [incident(), incident(), incident("fall", "recovered", 60.0)]
    with sqlite3.connect(tmp_path / store.FILE) as old:
        old.executescript(SCHEMA_1)
        for fall, state, by in zip(falls, ("open", "claimed", "recovered"), (None, "Ben", None), strict=True):
            body = {name: value for name, value in asdict(fall).items() if name not in ("camera", "room")}
            old.execute(
                "INSERT INTO event (incident_id, kind, stage, state, room, wall_start, peak, by, incident, wall_end)"
                " VALUES (?, 'fall', ?, ?, 'r12', ?, 0.9, ?, ?, ?)",
                (fall.id, fall.stage, state, WALL, by, json.dumps(body), WALL if fall.ended else None),
            )
    old.close()
    outbox = opened(tmp_path)
    assert outbox.begin(WALL + 100.0, T + 100.0) is None
    assert {life.id: life.state for life in outbox.lives.open()} == {falls[0].id: "open", falls[1].id: "claimed"}
    tick(outbox, 100.0)
    assert told(outbox, falls[0].id) == [("unclaimed", 0, True, "open")]
    assert told(outbox, falls[1].id) == []
    tick(outbox, 280.0)
    assert told(outbox, falls[1].id) == [("unclosed", 1, True, "claimed")]
    assert says(outbox, falls[2].id, "close", 300.0, "rug").counts, "what was over by itself may be given its cause"
    assert outbox.journal.event(falls[2].id)["outcome"] == "unhurt"  # type: ignore[index]
    outbox.journal.close()
    opened(tmp_path).journal.close()
