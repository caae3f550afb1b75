"""The talk on an ESPA 4.4.4 line: who is polled, who is selected, who sends a block and hears ACK or NAK for it.

The control station polls <address>ENQ; who is polled selects another, <address>ENQ, and sends, or says EOT. A control
station that has something to say polls itself. Two stations only: this unit and the paging system.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Literal, Protocol

from device.settings_ways import Pager
from device.ways.espa import ACK, ENQ, EOT, ETX, NAK, SOH, Block, decode
from device.ways.way import WayError

log = logging.getLogger(__name__)

REPLY_S = 2.0
"""For one control character; at 300 bit/s two of them take 0.07 s, the rest is the other side's to think."""
BLOCK_REPLY_S = 5.0
"""For the word on a block, which a paging system may queue before it answers."""
SELECTS = 3
BLOCKS = 3
"""How often a selection or a block is repeated before the call is given up for now."""
LISTEN_S = 0.3
LONGEST_BLOCK = 512
"""Characters; a call takes at most about 200, more is noise."""
TRANSMISSION_ERROR = "1"
"""The digit before a NAK that asks for the block once more; what the others mean, systems do not agree on."""


class Port(Protocol):
    """A serial line. Raises OSError when it is gone."""

    def read(self, timeout_s: float) -> int | None:
        """The next character; None when none came in time."""

    def write(self, raw: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a control character, and the character before it (a digit that qualifies it, or an address)."""

    kind: Literal["ack", "nak", "eot", "enq", "block", "nothing"]
    before: str = ""


KINDS: dict[int, Literal["ack", "nak", "eot", "enq", "block"]] = {
    ACK: "ack",
    NAK: "nak",
    EOT: "eot",
    ENQ: "enq",
    SOH: "block",
}


class Line:
    """What both roles share; every call from one thread."""

    def __init__(self, port: Port, settings: Pager) -> None:
        self.settings = settings
        self._port = port

    def answer(self, timeout_s: float) -> Answer:
        """The next control character; anything else but the one character before it is noise."""
        end = time.monotonic() + timeout_s
        before = ""
        while (left := end - time.monotonic()) > 0:
            code = self._port.read(left)
            if code is None:
                break
            if kind := KINDS.get(code):
                return Answer(kind, before)
            before = chr(code)
        return Answer("nothing")

    def say(self, *codes: int | str) -> None:
        self._port.write(bytes(ord(code) if isinstance(code, str) else code for code in codes))

    def select(self) -> None:
        """Make the paging system ready for a block. Raises WayError."""
        for _ in range(SELECTS):
            self.say(self.settings.pager_address, ENQ)
            heard = self.answer(REPLY_S)
            if heard.kind == "ack":
                return
            if heard.kind == "eot":
                break
        self.say(EOT)
        word = {"nothing": "does not answer", "nak": "is not ready", "eot": "is not ready"}.get(
            heard.kind, "talks nonsense"
        )
        raise WayError(f"{self.settings.port}: the paging system {word}; look at it and at pager.pager_address")

    def deliver(self, block: bytes) -> None:
        """Send a block until it is acknowledged, then EOT. Raises WayError."""
        heard = Answer("nothing")
        for _ in range(BLOCKS):
            self._port.write(block)
            heard = self.answer(BLOCK_REPLY_S)
            if heard.kind == "ack":
                self.say(EOT)
                return
            if heard.kind != "nothing" and not (heard.kind == "nak" and heard.before in ("", TRANSMISSION_ERROR)):
                break
        self.say(EOT)
        raise WayError(f"{self.settings.port}: the paging system {_why(heard)}; look at its log and the cable")

    def receive(self) -> None:
        """Take what the paging system sends after it has selected us: its own states, which go to the log."""
        self.say(ACK)
        while (heard := self.answer(BLOCK_REPLY_S)).kind == "block":
            try:
                _tell(self._block())
            except ValueError:
                self.say(TRANSMISSION_ERROR, NAK)
            else:
                self.say(ACK)
        if heard.kind != "eot":
            self.say(EOT)

    def _block(self) -> Block:
        """A block whose SOH has been read. Raises ValueError when it is garbled."""
        raw = bytearray((SOH,))
        while len(raw) < LONGEST_BLOCK:
            code = self._port.read(REPLY_S)
            if code is None:
                break
            raw.append(code)
            if len(raw) > 2 and raw[-2] == ETX:  # the check character may look like any control character
                return decode(bytes(raw))
        raise ValueError("no end of the block")


class ControlStation(Line):
    """This unit polls."""

    def call(self, block: bytes) -> None:
        """Bring one block to the paging system. Raises WayError, OSError."""
        self.say(EOT)
        self.say(self.settings.address, ENQ)  # polls itself, and so becomes the one who may send
        self.select()
        self.deliver(block)

    def listen(self) -> bool:
        """Poll the paging system: it must say that it has nothing, or what it has. Raises WayError, OSError."""
        self.say(EOT)
        self.say(self.settings.pager_address, ENQ)
        heard = self.answer(REPLY_S)
        if heard.kind == "nothing":
            raise WayError(
                f"{self.settings.port}: the paging system does not answer its poll; look at it and the cable"
            )
        if heard.kind == "enq" and heard.before == self.settings.address:
            self.receive()
        elif heard.kind != "eot":
            self.say(EOT)
        return True


class Tributary(Line):
    """The paging system polls; this unit may speak only then."""

    def __init__(self, port: Port, settings: Pager) -> None:
        super().__init__(port, settings)
        self._polled_at = time.monotonic()
        self._polls_another = False

    def call(self, block: bytes) -> None:
        """Bring one block to the paging system when it next polls. Raises WayError, OSError."""
        end = time.monotonic() + self._patience_s
        while time.monotonic() < end:
            if self._hear():
                self.select()
                self.deliver(block)
                return
        self._must_be_polled()
        raise WayError(f"{self.settings.port}: the paging system polls others and not this unit; check pager.address")

    def listen(self) -> bool:
        """Answer polls for a moment; True when there was one. Raises WayError, OSError."""
        end = time.monotonic() + LISTEN_S
        polled = False
        while time.monotonic() < end:
            if self._hear():
                self.say(EOT)
                polled = True
        self._must_be_polled()
        return polled

    @property
    def _patience_s(self) -> float:
        return 3.0 * self.settings.poll_s

    def _must_be_polled(self) -> None:
        if time.monotonic() - self._polled_at > self._patience_s:
            raise WayError(
                f"{self.settings.port}: no poll from the paging system for {self._patience_s:.0f} s; look at it, at "
                "the cable and at pager.address",
                refused=True,  # it has been waited for long enough to be a fault at once
                retry_s=0.0,
            )

    def _hear(self) -> bool:
        """One control character; True when it was a poll of this unit."""
        heard = self.answer(LISTEN_S)
        if heard.kind == "enq" and heard.before == self.settings.address:
            if self._polls_another:  # the second address after an EOT selects
                self._polls_another = False
                self.receive()
                return False
            self._polled_at = time.monotonic()
            return True
        if heard.kind != "nothing":
            self._polls_another = heard.kind == "enq"
        return False


def _tell(block: Block) -> None:
    """What a paging system reports is for people to read: systems put different things into these records."""
    log.info("the paging system says: header %.8r, records %.200r", block.header, dict(block.records))


def _why(heard: Answer) -> str:
    if heard.kind == "nak" and heard.before not in ("", TRANSMISSION_ERROR):
        return f"refuses the call (code {heard.before!r})"
    return {
        "nak": f"got the block garbled {BLOCKS} times",
        "nothing": "does not acknowledge the block",
        "eot": "ended it instead of acknowledging the block",
    }.get(heard.kind, "answered a block with something else than ACK or NAK")
