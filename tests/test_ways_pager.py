"""ESPA 4.4.4 over a pty with a scripted paging system: answers, refusals, silence, noise, a pulled cable."""

from __future__ import annotations

import builtins
import os
import pty
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from device.settings import Settings
from device.ways import espa_line, worker
from device.ways.espa import ACK, ENQ, EOT, ETX, NAK, SOH, bcc, call, decode, displayed, encode
from device.ways.pager import Pager
from device.ways.way import Item, WayError
from tests.conftest import eventually
from tests.incident_samples import put
from tests.ways_made import CLOCK, a_test, at_work, just_now, outbox_of, says, settings_with

POLL_OURS, POLL_THEIRS = b"1\x05", b"2\x05"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espa_line, "REPLY_S", 0.4)
    monkeypatch.setattr(espa_line, "BLOCK_REPLY_S", 0.4)
    monkeypatch.setattr(espa_line, "LISTEN_S", 0.1)
    monkeypatch.setattr(worker, "BACKOFF_S", (0.1, 0.2))
    monkeypatch.setattr(worker, "PATIENCE_S", 0.5)
    monkeypatch.setattr(worker, "TURN_S", 0.1)


class PagingSystem:
    """The other end of the line. polls: it is the control station; else it is polled, and then says EOT or `has`.

    select_word, word: what it says to the nth selection and block. calls: data by record of each block that it has
    acknowledged. heard: every character as it came. told: what it was answered to each block of `has`.
    """

    def __init__(self, polls: bool = False) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.calls: list[dict[str, str]] = []
        self.heard = bytearray()
        self.select_word: Callable[[int], bytes] = lambda nth: bytes((ACK,))
        self.word: Callable[[int], bytes] = lambda nth: bytes((ACK,))
        self.has: list[bytes] = []
        self.told: list[bytes] = []
        self.dead = False
        self._polls = polls
        self._selects = self._blocks = 0
        self._stop = False
        self._thread = threading.Thread(target=self._poll if polls else self._serve, daemon=True)

    def __enter__(self) -> PagingSystem:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()
        self._thread.join(5.0)

    def unplug(self) -> None:
        """Both ends go, as with a USB line that is pulled out."""
        self._stop = True
        for end in (self._master, self._slave):
            with suppress(OSError):
                os.close(end)

    def _read(self, timeout_s: float = 0.2) -> int | None:
        end = time.monotonic() + timeout_s
        os.set_blocking(self._master, False)
        while not self._stop and time.monotonic() < end:
            try:
                code = os.read(self._master, 1)[0]
            except (BlockingIOError, OSError, IndexError):
                time.sleep(0.002)
                continue
            self.heard.append(code)
            return code
        return None

    def _say(self, raw: bytes) -> None:
        if not self.dead:
            with suppress(OSError):
                os.write(self._master, raw)

    def _serve(self) -> None:
        """A tributary: the unit is the control station."""
        polled, before = b"", 0
        while not self._stop:
            code = self._read()
            if code == EOT:
                polled = b""
            elif code == ENQ and before == ord("1"):
                polled = b"1"
            elif code == ENQ and before == ord("2"):
                if polled:  # the second address selects
                    self._selects += 1
                    self._say(self.select_word(self._selects))
                else:
                    self._answer_poll()
            elif code == SOH:
                self._block()
            before = code or before

    def _answer_poll(self) -> None:
        if not self.has:
            self._say(bytes((EOT,)))
            return
        self._say(POLL_OURS)
        if self._read(1.0) == ACK:
            for block in self.has:
                self._say(block)
                self.told.append(self._until_reply())
            self.has = []
        self._say(bytes((EOT,)))

    def _until_reply(self) -> bytes:
        said = b""
        while (code := self._read(1.0)) is not None:
            said += bytes((code,))
            if code in (ACK, NAK):
                break
        return said

    def _poll(self) -> None:
        """A control station: polls the unit for ever and takes what it has."""
        while not self._stop:
            if self.dead:
                time.sleep(0.02)
                continue
            self._say(bytes((EOT,)) + POLL_OURS)
            first = self._read(0.5)
            if first == ord("2") and self._read(0.5) == ENQ:
                self._selects += 1
                self._say(self.select_word(self._selects))
                while self._read(0.5) == SOH:
                    self._block()
            time.sleep(0.01)

    def _block(self) -> None:
        raw = bytearray((SOH,))
        while not self._stop and (code := self._read(1.0)) is not None:
            raw.append(code)
            if len(raw) > 2 and raw[-2] == ETX:
                break
        self._blocks += 1
        word = self.word(self._blocks)
        if word == bytes((ACK,)):
            block = decode(bytes(raw))
            assert block.header == "1"
            self.calls.append(dict(block.records))
        self._say(word)


@pytest.fixture
def system() -> Iterator[PagingSystem]:
    with PagingSystem() as running:
        yield running


def settings_for(system: PagingSystem, folder: Path, **pager: Any) -> Settings:
    """8N1, because a pty has eight bits and no parity whatever it is asked for."""
    return settings_with(folder, pager={"port": system.port, "call": "550", "poll_s": 0.2, "format": "8N1", **pager})


@contextmanager
def pager_on(system: PagingSystem, folder: Path, **pager: Any) -> Iterator[Pager]:
    way = Pager(settings_for(system, folder, **pager), CLOCK)
    try:
        yield way
    finally:
        way.close()


def message(text: str = "r12: somebody fell and is on the floor", **body: Any) -> Item:
    said = {"text": text, "priority": "alarm", "state": "open", "ring": True, "test": False, "type": "new", **body}
    return Item(1, "A", said, 0.0)


def until_it_fails(way: Pager) -> None:
    end = time.monotonic() + 20.0
    while time.monotonic() < end:
        way.turn([], CLOCK.now())


class TestBlocks:
    """The bytes, held against what others have published (docs/ways-out.md)."""

    def test_the_example_of_a_maker_of_intercoms(self) -> None:
        """Zenitel's wiki shows this call, without its check character and with a space that its own text lacks."""
        shown = bytes.fromhex(
            "01 31 02 31 1F 35 35 30 1E 32 1F 43 41 4C 4C 20 4D 45 20 31 30 31"
            "1E 33 1F 33 1E 34 1F 33 1E 35 1F 33 1E 36 1F 33 03"
        )
        records = [("1", "550"), ("2", "CALL ME 101"), ("3", "3"), ("4", "3"), ("5", "3"), ("6", "3")]
        assert encode("1", records)[:-1] == shown

    def test_the_check_character_that_another_implementation_computed_by_hand(self) -> None:
        """northplane's espa_test.go: SOH '1' STX '1' US 'A' ETX has 0x5F."""
        assert encode("1", [("1", "A")]) == bytes((0x01, 0x31, 0x02, 0x31, 0x1F, 0x41, 0x03, 0x5F))

    def test_the_whole_with_its_check_character_is_even_in_every_bit(self) -> None:
        """The specification's own words: the longitudinal parity including the BCC is even."""
        raw = call("550", "r12: somebody fell", "urgent", transmissions=2)
        assert bcc(raw[1:]) == 0

    def test_a_call_says_whom_what_how_loudly_and_how_often(self) -> None:
        block = decode(call("550", "r12: somebody fell", "urgent", transmissions=2))
        assert block.header == "1"
        assert dict(block.records) == {"1": "550", "2": "r12: somebody fell", "3": "4", "4": "3", "5": "2", "6": "1"}
        assert dict(decode(call("550", "x", "info", transmissions=1, reset=True)).records)["4"] == "1"

    def test_an_extra_separator_before_the_end_is_passed_over(self) -> None:
        body = b"1\x021\x1fA\x1e\x03"
        assert decode(bytes((SOH, *body, bcc(body)))).records == (("1", "A"),)

    @given(st.text(max_size=300), st.integers(16, 128))
    def test_any_text_fits_the_line(self, text: str, length: int) -> None:
        shown = displayed(text, length)
        assert len(shown) <= length
        assert all(0x20 <= ord(one) <= 0x7E for one in shown)
        assert dict(decode(call("1", shown, "alarm", transmissions=1)).records)["2"] == shown

    @given(st.binary(max_size=60))
    def test_no_noise_is_taken_for_a_block(self, noise: bytes) -> None:
        block = bytearray(call("550", "x", "alarm", transmissions=1))
        with suppress(ValueError):
            decode(noise)
        at = len(noise) % (len(block) - 1) + 1
        block[at] ^= 0x20
        with pytest.raises(ValueError, match=r"check character|no block|no text"):
            decode(bytes(block))

    def test_umlauts_are_spelt_out(self) -> None:
        assert displayed("Flur Süd: Ödön fällt ☂", 60) == "Flur Sued: Oedoen faellt ?"


def test_a_call_goes_over_the_line_as_the_specification_tells_it(system: PagingSystem, tmp_path: Path) -> None:
    with pager_on(system, tmp_path) as way:
        block = call("550", "r12: somebody fell and is on the floor", "alarm", transmissions=1)
        whole = bytes((EOT,)) + POLL_OURS + POLL_THEIRS + block + bytes((EOT,))
        way.send(message(), 1, 0.0)
        eventually(lambda: len(system.heard) >= len(whole))
    assert bytes(system.heard) == whole


def test_a_system_that_is_not_ready_is_selected_again(system: PagingSystem, tmp_path: Path) -> None:
    system.select_word = lambda nth: bytes((NAK,)) if nth < 3 else bytes((ACK,))
    with pager_on(system, tmp_path) as way:
        way.send(message(), 1, 0.0)
    assert len(system.calls) == 1
    system.select_word = lambda nth: bytes((NAK,))
    with pager_on(system, tmp_path) as way, pytest.raises(WayError, match="the paging system is not ready"):
        way.send(message(), 1, 0.0)


@pytest.mark.parametrize("nak", [bytes((NAK,)), b"1" + bytes((NAK,)), b""], ids=["NAK", "1 NAK", "silence"])
def test_a_block_that_is_garbled_or_not_acknowledged_is_sent_again(
    system: PagingSystem, tmp_path: Path, nak: bytes
) -> None:
    system.word = lambda nth: nak if nth < espa_line.BLOCKS else bytes((ACK,))
    with pager_on(system, tmp_path) as way:
        way.send(message(), 1, 0.0)
    assert len(system.calls) == 1
    assert system.heard.count(SOH) == espa_line.BLOCKS


@pytest.mark.parametrize(
    ("word", "said", "blocks"),
    [
        (bytes((NAK,)), "got the block garbled 3 times", 3),
        (b"", "does not acknowledge the block", 3),
        (b"3" + bytes((NAK,)), "refuses the call .code '3'.", 1),
        (bytes((EOT,)), "ended it instead of acknowledging", 1),
        (bytes((ENQ,)), "answered a block with something else than ACK or NAK", 1),
    ],
)
def test_each_way_to_fail_has_its_sentence_and_ends_the_transaction(
    system: PagingSystem, tmp_path: Path, word: bytes, said: str, blocks: int
) -> None:
    system.word = lambda nth: word
    with pager_on(system, tmp_path) as way, pytest.raises(WayError, match=said):
        way.send(message(), 1, 0.0)
    assert system.heard.count(SOH) == blocks
    eventually(lambda: system.heard.endswith(bytes((EOT,))))
    assert system.calls == []


def test_noise_on_the_line_is_no_answer(system: PagingSystem, tmp_path: Path) -> None:
    system.word = lambda nth: b"\x7f#~" + bytes((ACK,))
    with pager_on(system, tmp_path) as way:
        way.send(message(), 1, 0.0)


def test_a_poll_proves_the_line_and_silence_is_an_error(system: PagingSystem, tmp_path: Path) -> None:
    with pager_on(system, tmp_path) as way:
        assert way.turn([], CLOCK.now())
        assert not way.turn([], CLOCK.now()), "not due again yet"
        system.dead = True
        with pytest.raises(WayError, match="does not answer its poll"):
            way.turn([], CLOCK.now() + 1.0)
        with pytest.raises(WayError, match="the paging system does not answer; look at it"):
            way.send(message(), 1, 0.0)


def test_what_the_paging_system_reports_is_taken_and_a_garbled_report_asked_for_again(
    system: PagingSystem, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = encode("2", [("1", "550"), ("7", "4")])
    system.has = [good[:-1] + bytes((good[-1] ^ 1,)), good]
    with caplog.at_level("INFO"), pager_on(system, tmp_path) as way:
        assert way.turn([], CLOCK.now())
    assert system.told == [b"1" + bytes((NAK,)), bytes((ACK,))]
    assert "'7': '4'" in caplog.text


class TestPolled:
    """The paging system is the control station, as some want it."""

    @pytest.fixture
    def system(self) -> Iterator[PagingSystem]:
        with PagingSystem(polls=True) as running:
            yield running

    def test_nothing_to_say_is_said_and_a_call_waits_for_the_poll(self, system: PagingSystem, tmp_path: Path) -> None:
        with pager_on(system, tmp_path, control=False) as way:
            eventually(lambda: way.turn([], CLOCK.now()))
            assert EOT in system.heard
            way.send(message(), 1, 0.0)
            assert [one["2"] for one in system.calls] == ["r12: somebody fell and is on the floor"]
            assert way.turn_s == 0.0, "it must be there when it is polled"

    def test_it_never_speaks_unasked_and_a_missing_poll_is_a_fault_at_once(
        self, system: PagingSystem, tmp_path: Path
    ) -> None:
        with pager_on(system, tmp_path, control=False) as way:
            eventually(lambda: way.turn([], CLOCK.now()))
            system.dead = True
            with pytest.raises(WayError, match="no poll from the paging system for 1 s") as silent:
                until_it_fails(way)
            assert silent.value.refused
            with pytest.raises(WayError, match="no poll from the paging system for 1 s"):
                way.send(message(), 1, 0.0)
            assert SOH not in system.heard


def test_what_is_called_and_what_is_not(system: PagingSystem, tmp_path: Path) -> None:
    way = Pager(settings_for(system, tmp_path), CLOCK)
    quiet = Pager(settings_for(system, tmp_path, faults=False, cancel=True), CLOCK)

    def body(**changes: Any) -> dict[str, Any]:
        return {"priority": "alarm", "state": "open", "ring": True, "test": False, **changes}

    assert way.wants(body(), False)
    assert way.wants(body(state="claimed"), True), "claimed and not closed: it rings again"
    assert not way.wants(body(ring=False, priority="silent"), False)
    fault = body(ring=False, priority="fault")
    assert (way.wants(fault, False), quiet.wants(fault, False)) == (True, False)
    going = body(ring=False, priority="info", state="claimed")
    assert (way.wants(going, True), quiet.wants(going, True), quiet.wants(going, False)) == (False, True, False)


def test_from_the_outbox_to_the_pager_and_a_reset_once_somebody_is_going(system: PagingSystem, tmp_path: Path) -> None:
    settings = settings_for(system, tmp_path, cancel=True)
    with at_work(settings) as ways, outbox_of(settings) as outbox:
        fall = put(outbox, just_now())
        put(outbox, a_test())
        ways.wake()
        eventually(lambda: len(system.calls) == 2)
        says(outbox, fall.id, "claim")
        eventually(lambda: len(system.calls) == 3)
        assert ways.faults() == {"pager": ""}
    assert [(one["2"], one["4"], one["6"]) for one in system.calls] == [
        ("r12: somebody fell and is on the floor", "3", "1"),
        ("r12: TEST, nobody needs help", "3", "3"),
        ("r12: Anna is going", "1", "3"),
    ]


def test_a_pulled_cable_is_a_fault_and_the_call_goes_out_when_it_is_back(tmp_path: Path) -> None:
    link = tmp_path / "ttyUSB0"
    with PagingSystem() as first:
        link.symlink_to(first.port)
        settings = settings_with(tmp_path, pager={"port": str(link), "call": "550", "poll_s": 0.2, "format": "8N1"})
        with at_work(settings) as ways, outbox_of(settings) as outbox:
            eventually(lambda: EOT in first.heard)
            first.unplug()
            link.unlink()
            said = eventually(lambda: ways.faults()["pager"], 30.0)
            assert "serial line is gone" in said or "cannot be opened" in said or "does not answer" in said
            fall = put(outbox, just_now())
            ways.wake()
            with PagingSystem() as second:
                link.symlink_to(second.port)
                eventually(lambda: second.calls, 30.0)
                eventually(lambda: not ways.faults()["pager"])
                assert second.calls[0]["2"] == "r12: somebody fell and is on the floor"
            assert fall.id


def test_the_line_is_opened_as_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def opened(port: str, baud: int, **how: Any) -> None:
        asked.update(how, port=port, baud=baud)
        raise serial.SerialException("seen enough")

    monkeypatch.setattr(serial, "Serial", opened)
    settings = settings_with(tmp_path, pager={"port": "/dev/ttyUSB0", "call": "550", "baud": 1200})
    with pytest.raises(WayError, match="seen enough"):
        Pager(settings, CLOCK).turn([], 0.0)
    assert (asked["port"], asked["baud"]) == ("/dev/ttyUSB0", 1200)
    assert (asked["bytesize"], asked["parity"], asked["stopbits"]) == (7, "E", 2), "7E2, as ESPA 4.4.4 says"
    assert asked["exclusive"]


def test_a_missing_library_and_a_missing_line_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with(tmp_path, pager={"port": str(tmp_path / "ttyUSB7"), "call": "550"})
    with pytest.raises(WayError, match=r"ttyUSB7: cannot be opened .*plug it in"):
        Pager(settings, CLOCK).turn([], 0.0)
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "serial":
            raise ModuleNotFoundError("No module named 'serial'", name="serial")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(WayError, match=r"pip install 'fallwatch\[pager\]'") as missing:
        Pager(settings, CLOCK).turn([], 0.0)
    assert missing.value.refused
