"""ESPA 4.4.4 (November 1984): the blocks on the line and what they mean, pure. docs/ways-out.md names the sources.

    SOH header STX record RS record … ETX BCC        record: identifier US data

BCC is the exclusive or of everything after SOH up to ETX, ETX included, in seven bits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

from device.records import Priority

SOH, STX, ETX, EOT, ENQ, ACK, NAK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x15
RS, US = 0x1E, 0x1F

CALL_TO_PAGER = "1"
"""Header of the one kind of block that we send."""
ADDRESS, MESSAGE, BEEP, CALL_TYPE, TRANSMISSIONS, PRIORITY = "1", "2", "3", "4", "5", "6"
"""Identifiers of the records of a call."""
RESET_CALL, STANDARD_CALL = "1", "3"
"""Call types: take an earlier call off, and a call without speech."""
PRIORITIES: dict[Priority, str] = {
    "urgent": "1",
    "alarm": "1",
    "warning": "2",
    "fault": "3",
    "info": "3",
    "silent": "3",
}
"""1 alarm, 2 high, 3 normal."""
BEEPS: dict[Priority, str] = {"urgent": "4", "alarm": "3", "warning": "2", "fault": "1", "info": "1", "silent": "1"}
"""1 to 9; what each sounds like is the paging system's to say. The worse the higher, so that they can be told apart."""
SPELT = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ø": "oe", "æ": "ae"}
)
"""The line carries seven bits, and national variants of its alphabet differ in their brackets."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it was received: header, and data by record identifier."""

    header: str
    records: tuple[tuple[str, str], ...]


def encode(header: str, records: Sequence[tuple[str, str]]) -> bytes:
    """One block, from SOH to BCC."""
    texts = [f"{identifier}{chr(US)}{data}" for identifier, data in records]
    body = f"{header}{chr(STX)}{chr(RS).join(texts)}{chr(ETX)}".encode("ascii")
    return bytes((SOH, *body, bcc(body)))


def bcc(body: bytes) -> int:
    """The check character of what stands between SOH and itself."""
    return reduce(xor, body, 0) & 0x7F


def decode(raw: bytes) -> Block:
    """A block from SOH to BCC; an RS before ETX, which some send, is passed over. Raises ValueError when garbled."""
    if len(raw) < 4 or raw[0] != SOH or raw[-2] != ETX:
        raise ValueError("no block")
    if bcc(raw[1:-1]) != raw[-1] & 0x7F:
        raise ValueError("its check character does not fit")
    header, mark, rest = raw[1:-2].decode("latin-1").partition(chr(STX))
    if not mark:
        raise ValueError("it has no text")
    pairs = [record.partition(chr(US)) for record in rest.split(chr(RS)) if record]
    return Block(header, tuple((identifier, data) for identifier, _, data in pairs))


def call(address: str, text: str, priority: Priority, *, transmissions: int, reset: bool = False) -> bytes:
    """A call to a pager or group; reset: take the earlier call with this text off."""
    records = (
        (ADDRESS, address),
        (MESSAGE, text),
        (BEEP, BEEPS[priority]),
        (CALL_TYPE, RESET_CALL if reset else STANDARD_CALL),
        (TRANSMISSIONS, str(transmissions)),
        (PRIORITY, PRIORITIES[priority]),
    )
    return encode(CALL_TO_PAGER, records)


def displayed(text: str, length: int) -> str:
    """A text as a pager can show it: printable seven-bit characters, umlauts spelt out, at most `length`."""
    plain = unicodedata.normalize("NFKD", text.translate(SPELT))
    kept = "".join(one for one in plain if not unicodedata.combining(one))
    return "".join(one if " " <= one <= "~" else "?" for one in kept)[:length]
