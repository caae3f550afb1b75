"""A broker that was away for days is told how every alert stands, and not every time that it has rung meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from device.alerts import HUMAN_EVENTS, alert_for
from device.chaos.reckoning import LEFT, SAID, reckon
from device.journal import Journal
from device.outbox import Outbox
from device.overtaking import overtakes
from device.records import Action, Incident, Receipt
from device.spill import Spill
from tests.conftest import REPO
from tests.incident_samples import WALL, T, incident, moved, open_outbox, put, unit_settings
from tests.test_outbox import fill_up, make_room
from tests.test_ringing import broken

DAY_S = 86_400.0


def body(event_type: str = "unclaimed", **changes: Any) -> dict[str, Any]:
    base = {"kind": "fall", "type": "update", "ring": False, "cause": None, "text": "r12: somebody fell"}
    return {"event_type": event_type, **base, **changes}


RING = body(ring=True)
FAULT = body("fault", kind="blind")


@pytest.mark.parametrize("older", [RING, body("unclosed", ring=True)])
@pytest.mark.parametrize(
    ("newer", "goes"),
    [
        (RING, True),
        (body("unclosed", ring=True), True),
        (body("fall_still_down", ring=True), True),
        (body("rearmed", ring=True), True),
        (body("claimed"), True),
        (body("arrived"), True),
        (body("reopened", ring=True), True),
        (body("closed", type="end"), True),
        (body("fall_recovered", type="end"), True),
        (body("fall_recovered"), False),  # told, and the alert goes on: who hears it last must still ring
        (body("fall_still_down"), False),  # somebody has claimed it, so that this does not ring
    ],
)
def test_a_ring_goes_for_what_rings_itself_for_an_answer_and_for_the_end(
    older: dict[str, Any], newer: dict[str, Any], goes: bool
) -> None:
    assert overtakes(newer, older) is goes


@pytest.mark.parametrize(
    "kept",
    ["fall_suspected", "fall_confirmed", "fall_still_down", "claimed", "arrived", "closed", "reopened", "rearmed"],
)
def test_what_somebody_did_and_every_stage_is_never_overtaken(kept: str) -> None:
    assert not overtakes(RING, body(kept, ring=True))
    assert not overtakes(body("closed", type="end"), body(kept))


def test_a_fault_goes_for_the_same_fault_said_again_and_for_its_end_and_never_the_first_time_it_is_said() -> None:
    assert overtakes(FAULT, FAULT)
    assert overtakes(body("fault_cleared", kind="blind", type="end"), FAULT)
    assert not overtakes(FAULT, body("fault", kind="blind", type="new"))
    assert not overtakes(body("fault", kind="blind", text="another"), FAULT), "the fault has become another"
    changed = body("fault", kind="blind", cause="black")
    assert not overtakes(FAULT, changed), "only this message says what the cause has become"
    assert not overtakes(body("claimed", kind="blind"), FAULT)


def tick(outbox: Outbox, after_s: float) -> None:
    outbox.tick(WALL + after_s, T + after_s)


def says(outbox: Outbox, alert_id: str, action: Action, after_s: float) -> None:
    receipt = Receipt(alert_id, "human", "Anna", WALL + after_s, action)
    assert outbox.answer(receipt, f"nonce-{action}-{after_s}", WALL + after_s, T + after_s).counts


def waiting(outbox: Outbox) -> list[tuple[str, int]]:
    return [(one.payload["event_type"], one.seq) for one in outbox.pending(1000)]


def balance(outbox: Outbox) -> tuple[int, int]:
    """Messages that the journal says were written; that wait, that the broker confirmed or that were overtaken."""
    said, left = (outbox.journal.connection.execute(query).fetchone()[0] for query in (SAID, LEFT))
    return said, left


def test_a_day_without_the_broker_leaves_the_fall_and_one_ring_and_the_journal_has_them_all(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    fall = put(outbox, incident())
    for minute in range(1, 1440):
        tick(outbox, 60.0 * minute + 10.0)
    (first, last) = waiting(outbox)
    assert (first, last[0]) == (("fall_confirmed", 1), "unclaimed")
    rings = [row for row in outbox.journal.entries(incident_id=fall.id, limit=10_000) if row["what"] == "ring"]
    assert len(rings) == 1439
    assert last[1] == 1 + len(rings), "the numbers of the rings that were not sent are not given out again"
    assert outbox.pending()[1].payload["tier"] == 3
    assert balance(outbox) == (1440, 1440)
    outbox.journal.close()


def test_what_people_did_during_an_outage_is_told_step_by_step_without_the_rings_between(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    fall = put(outbox, incident())
    tick(outbox, 70.0)
    put(outbox, moved(fall, "still_down", 75.0))
    tick(outbox, 190.0)
    says(outbox, fall.id, "claim", 200.0)
    tick(outbox, 400.0)
    says(outbox, fall.id, "arrive", 410.0)
    says(outbox, fall.id, "close", 500.0)
    says(outbox, fall.id, "reopen", 600.0)
    tick(outbox, 700.0)
    tick(outbox, 800.0)
    assert [word for word, _ in waiting(outbox)] == [
        "fall_confirmed",
        "fall_still_down",
        "claimed",
        "arrived",
        "closed",
        "reopened",
        "unclaimed",
    ]
    outbox.journal.close()


def test_a_fault_of_three_days_waits_as_two_messages_and_its_end_as_one_more(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    blind = put(outbox, incident("blind", "latched", 0.0, detail={"cause": "black"}))
    for hour in range(1, 73):
        tick(outbox, 3600.0 * hour + 5.0)
    assert [word for word, _ in waiting(outbox)] == ["fault", "fault"]
    put(outbox, replace(moved(blind, "cleared", 3 * DAY_S), ended=True))
    assert [word for word, _ in waiting(outbox)] == ["fault", "fault_cleared"]
    outbox.journal.close()


def test_one_alert_never_overtakes_another(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    for _ in range(3):
        put(outbox, incident())
    for minute in range(2, 30):
        tick(outbox, 60.0 * minute)
    ids = [one.alert_id for one in outbox.pending() if one.payload["event_type"] == "unclaimed"]
    assert len(set(ids)) == len(ids) == 3
    outbox.journal.close()


def test_a_receipt_for_what_was_overtaken_on_its_way_is_not_counted_twice(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    fall = put(outbox, incident())
    tick(outbox, 70.0)
    tick(outbox, 140.0)  # overtakes the ring that is on its way at this moment
    receipts = {seq: Receipt(fall.id, "broker", "b:1", WALL + 141.0) for seq in (1, 2)}
    assert outbox.delivered(receipts, WALL + 141.0, T + 141.0) is None
    assert waiting(outbox) == [("unclaimed", 3)]
    assert balance(outbox) == (3, 3)
    heard = [{"alert_id": fall.id, "seq": seq, "event_type": "any"} for seq in (1, 2, 3)]
    outbox.delivered({3: receipts[2]}, WALL + 142.0, T + 142.0)
    found = reckon(tmp_path, heard)
    assert (found.lost, found.repeated_alarms, found.faults) == (0, 0, [])
    assert reckon(tmp_path, heard[:1]).lost == 1, "the ring that was not overtaken has to come"
    outbox.journal.close()


def test_rings_that_only_memory_knows_give_way_too_and_are_all_written_down_later(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    fall = put(outbox, incident())
    whole, outbox.journal.connection = outbox.journal.connection, broken()
    for minute in range(2, 60):
        tick(outbox, 60.0 * minute)
    assert [word for word, _ in waiting(outbox)] == ["unclaimed"]
    outbox.journal.connection = whole
    assert outbox.settle(WALL + 9000.0, T + 9000.0)
    assert [word for word, _ in waiting(outbox)] == ["fall_confirmed", "unclaimed"]
    rings = [row for row in outbox.journal.entries(incident_id=fall.id) if row["what"] == "ring"]
    assert len(rings) == 58
    assert balance(outbox) == (59, 59)
    outbox.journal.close()


def test_what_another_thread_is_writing_down_is_not_overtaken_under_its_hands(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    put(outbox, incident())
    outbox.journal.connection = broken()
    tick(outbox, 70.0)
    spill = outbox.spill
    (older,) = spill.all()
    newer = replace(older, letter=replace(older.letter, seq=9))  # type: ignore[type-var]
    with spill.settling:
        spill.add(newer)
    assert [letter.seq for letter in spill.letters()] == [2, 9]
    spill.drop(older)
    assert [letter.seq for letter in spill.letters()] == [9]


def test_a_desk_that_is_away_is_waited_for_with_the_newest_ring_alone(tmp_path: Path) -> None:
    outbox = open_outbox(tmp_path)
    outbox.settings = outbox.settings.model_copy(
        update={"alerts": outbox.settings.alerts.model_copy(update={"receipt": "consumer"})}
    )
    outbox = Outbox(outbox.journal, outbox.settings)
    put(outbox, incident())
    for minute in range(2, 20):
        tick(outbox, 60.0 * minute)
        receipts = {one.seq: Receipt(one.alert_id, "broker", "b:1", WALL) for one in outbox.pending()}
        outbox.delivered(receipts, WALL + 60.0 * minute, T + 60.0 * minute)
    assert [one.payload["event_type"] for one in outbox.unheard()] == ["fall_confirmed", "unclaimed"]
    outbox.journal.close()


RINGER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tests.incident_samples import T, WALL, incident, open_outbox, put
    from tests.test_overtaking import says
    outbox = open_outbox(Path(sys.argv[1]))
    first = put(outbox, incident())
    minute = 1
    while True:
        minute += 1
        fall = put(outbox, incident(id=f"FALL{minute}"))
        outbox.tick(WALL + 60.0 * minute, T + 60.0 * minute)
        print(outbox.journal.last_seq(), fall.id, flush=True)
        says(outbox, fall.id, "close", 60.0 * minute)
    """
)


@pytest.mark.parametrize("turns", [1, 6, 17])
def test_kill_9_while_rings_overtake_each_other_loses_no_alert_and_no_ring(tmp_path: Path, turns: int) -> None:
    ringer = subprocess.Popen(
        [sys.executable, "-c", RINGER, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPO, text=True
    )
    assert ringer.stdout is not None
    said = [ringer.stdout.readline().split() for _ in range(turns)]
    os.kill(ringer.pid, signal.SIGKILL)
    said += [line.split() for line in ringer.stdout.read().splitlines()]
    ringer.wait()
    outbox = open_outbox(tmp_path)
    letters = outbox.pending(10_000)
    first = letters[0].alert_id
    assert {one.alert_id for one in letters} >= {first, *(alert_id for _, alert_id in said)}
    assert [one.payload["event_type"] for one in letters if one.alert_id == first] == ["fall_confirmed", "unclaimed"]
    assert outbox.journal.last_seq() >= int(said[-1][0])
    assert len(set(balance(outbox))) == 1, "every message waits or is said to be overtaken, to the last commit"
    outbox.journal.close()


def newest_ring(said: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last message that rang since somebody answered."""
    for one in reversed(said):
        if one["ring"] or one["event_type"] in HUMAN_EVENTS:
            return one if one["ring"] else None
    return None


GIVE_WAY = {"unclaimed", "unclosed"}


class WardWithoutABroker(RuleBasedStateMachine):
    """Whatever happens while the broker is away, who hears what is left knows all that happened and how it stands."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="overtaking-"))
        self.spill = Spill()
        self.outbox = self.opened()
        self.after_s = 10.0
        self.written: dict[int, dict[str, Any]] = {}
        self.delivered: list[int] = []
        self.incidents: dict[str, Incident] = {}
        self.full = False
        self.count = 0

    def opened(self) -> Outbox:
        """Only people end alerts here: then the most can be said about one that is open."""
        settings = unit_settings(self.folder)
        alerts = settings.alerts.model_copy(update={"recovery_ends": False})
        return Outbox(Journal(self.folder, room="r12"), settings.model_copy(update={"alerts": alerts}), self.spill)

    def teardown(self) -> None:
        self.outbox.journal.close()
        shutil.rmtree(self.folder)

    def did(self) -> None:
        """Note what was written just now."""
        for letter in self.outbox.pending(10_000):
            self.written.setdefault(letter.seq, dict(letter.payload))

    def tell(self, one: Incident) -> None:
        self.outbox.put(one, alert_for(one, "r12"), "m-1")
        self.incidents[one.id] = one
        self.did()

    @precondition(lambda self: len(self.incidents) < 4)
    @rule(kind=st.sampled_from(["fall", "floor", "inactivity", "blind"]))
    def begins(self, kind: Any) -> None:
        stage = "latched" if kind == "blind" else "confirmed"
        detail = {"cause": "black"} if kind == "blind" else {}
        self.tell(incident(kind, stage, self.after_s, detail=detail))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data(), how=st.sampled_from(["still_down", "very_long", "recovered"]))
    def goes_on(self, data: st.DataObject, how: str) -> None:
        one = self.incidents[data.draw(st.sampled_from(sorted(self.incidents)))]
        words = {"blind": "cleared", "inactivity": "ended"}
        stage = words.get(one.kind, how) if how == "recovered" or one.kind in words else how
        if not one.ended:
            self.tell(replace(moved(one, stage, self.after_s), detail=one.detail))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data(), action=st.sampled_from(["claim", "arrive", "close", "reject", "reopen"]))
    def somebody_answers(self, data: st.DataObject, action: Action) -> None:
        alert_id = data.draw(st.sampled_from(sorted(self.incidents)))
        self.count += 1
        receipt = Receipt(alert_id, "human", "Anna", WALL + self.after_s, action)
        self.outbox.answer(receipt, f"nonce-{self.count:04d}", WALL + self.after_s, T + self.after_s)
        self.did()

    @rule(seconds=st.sampled_from([10.0, 61.0, 200.0, 3700.0]))
    def time_passes(self, seconds: float) -> None:
        self.after_s += seconds
        tick(self.outbox, self.after_s)
        self.did()

    @rule(count=st.integers(1, 3))
    def the_broker_takes_some(self, count: int) -> None:
        taken = self.outbox.pending(count)
        receipts = {one.seq: Receipt(one.alert_id, "broker", "b:1", WALL) for one in taken}
        self.outbox.delivered(receipts, WALL + self.after_s, T + self.after_s)
        self.delivered += receipts

    @precondition(lambda self: not self.full)
    @rule()
    def is_killed_and_starts_again(self) -> None:
        self.outbox.journal.close()
        self.spill = Spill()
        self.outbox = self.opened()

    @precondition(lambda self: not self.full)
    @rule()
    def the_disk_fills_up(self) -> None:
        fill_up(self.outbox)
        self.full = True

    @precondition(lambda self: self.full)
    @rule()
    def the_disk_takes_again(self) -> None:
        make_room(self.outbox)
        assert self.outbox.settle(WALL + self.after_s, T + self.after_s)
        self.full = False

    def left(self) -> list[int]:
        return self.delivered + [one.seq for one in self.outbox.pending(10_000)]

    @invariant()
    def all_comes_in_order_and_once(self) -> None:
        left = self.left()
        assert left == sorted(set(left))

    @invariant()
    def only_what_time_says_again_is_left_out(self) -> None:
        for seq in self.written.keys() - set(self.left()):
            one = self.written[seq]
            fault_again = (one["kind"], one["type"], one["event_type"]) == ("blind", "update", "fault")
            assert one["event_type"] in GIVE_WAY or fault_again, f"{one['event_type']} is lost"

    @invariant()
    def who_hears_what_is_left_knows_how_each_alert_stands(self) -> None:
        left = [self.written[seq] for seq in self.left()]
        for life in self.outbox.lives.open():
            told = [one for one in left if one["alert_id"] == life.id]
            wrote = [one for _, one in sorted(self.written.items()) if one["alert_id"] == life.id]
            assert told[-1]["state"] == life.state
            assert told[-1]["text"] == wrote[-1]["text"]
            assert newest_ring(told) == newest_ring(wrote), "who hears what is left would not ring as it did here"

    @invariant()
    def the_books_balance(self) -> None:
        if not self.full:
            said, left = balance(self.outbox)
            assert said == left


WardWithoutABroker.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
test_nothing_that_happened_during_an_outage_is_left_out = WardWithoutABroker.TestCase
