"""The pager line: messages that ring, faults and tests as calls of a paging system, ESPA 4.4.4 on a serial port.

pyserial drives the port (extra `pager`).
"""

from __future__ import annotations

import termios
import time
from collections.abc import Callable, Sequence
from typing import Any

from device.alert_life import Life
from device.clock import Clock
from device.settings import Settings
from device.settings_ways import Pager as PagerSettings
from device.ways.espa import call, displayed
from device.ways.espa_line import ControlStation, Tributary
from device.ways.way import Body, Item, WayError

READ_S = 0.05
WRITE_S = 5.0
"""A longest call of 200 characters takes 7.4 s at 300 bit/s, and most of it fits into the driver's buffer at once."""


class Pager:
    """One paging system; every call from one thread."""

    name = "pager"

    def __init__(
        self, settings: Settings, clock: Clock, open_port: Callable[[PagerSettings], Any] | None = None
    ) -> None:
        self._settings = settings.pager
        self._clock = clock
        self._open_port = open_port or serial_port
        self._port: Any = None
        self._line: ControlStation | Tributary | None = None
        self._proved_at = float("-inf")

    @property
    def turn_s(self) -> float:
        """A tributary must be there when it is polled."""
        return 1.0 if self._settings.control else 0.0

    def wants(self, body: Body, told: bool) -> bool:
        """What rings, faults and tests; where the settings say so, that somebody is going, for a call that was made."""
        if body["test"] or body.get("ring"):
            return True
        if body["priority"] == "fault":
            return self._settings.faults and body["state"] == "open"
        return self._settings.cancel and told and body["state"] != "open"

    def send(self, item: Item, _attempt: int, _wall: float) -> None:
        body = item.body
        over = not body["test"] and body["state"] != "open" and not body.get("ring")
        block = call(
            self._settings.call,
            displayed(body["text"], self._settings.length),
            body["priority"],
            transmissions=self._settings.transmissions,
            reset=over,
        )
        self._talk(lambda line: line.call(block))
        self._proved_at = self._clock.now()

    def turn(self, lives: Sequence[Life], now: float) -> bool:
        """Poll, or be polled: a line that has nothing to say must be known to be there."""
        due = now - self._proved_at >= self._settings.poll_s
        if self._settings.control and not due:
            return False
        proved = self._talk(lambda line: line.listen())
        if proved:
            self._proved_at = self._clock.now()
        return bool(proved)

    def close(self) -> None:
        port, self._port, self._line = self._port, None, None
        if port is not None:
            port.close()

    def _talk(self, do: Callable[[ControlStation | Tributary], Any]) -> Any:
        try:
            if self._line is None:
                self._port = self._open_port(self._settings)
                role = ControlStation if self._settings.control else Tributary
                self._line = role(self._port, self._settings)
            return do(self._line)
        except OSError as error:
            self.close()
            said = getattr(error, "strerror", None) or str(error)
            raise WayError(f"{self._settings.port}: the serial line is gone ({said}); plug it in again") from None


def serial_port(settings: PagerSettings) -> SerialPort:
    """The line of this board. Raises WayError where pyserial or the line is missing."""
    try:
        import serial  # not in every installation
    except ModuleNotFoundError:
        raise WayError("pager: serial is not installed; run: pip install 'fallwatch[pager]'", refused=True) from None
    bits, parity, stops = settings.format
    try:
        line = serial.Serial(
            settings.port,
            settings.baud,
            bytesize=int(bits),
            parity=parity,
            stopbits=int(stops),
            timeout=READ_S,
            write_timeout=WRITE_S,
            exclusive=True,
        )
    except (serial.SerialException, ValueError, termios.error) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise WayError(
            f"pager.port {settings.port}: cannot be opened ({said}); plug it in, add the unit to group dialout, and "
            "let no other program use it"
        ) from None
    return SerialPort(line)


class SerialPort:
    """A pyserial line as espa_line.Port wants it."""

    def __init__(self, line: Any) -> None:
        self._line = line

    def read(self, timeout_s: float) -> int | None:
        end = time.monotonic() + timeout_s
        while True:
            if got := self._guarded(lambda: self._line.read(1)):
                return int(got[0]) & 0x7F
            if time.monotonic() >= end:
                return None

    def write(self, raw: bytes) -> None:
        self._guarded(lambda: self._line.write(raw))

    def close(self) -> None:
        self._line.close()

    def _guarded(self, do: Callable[[], Any]) -> Any:
        """A line that is pulled out shows in many ways: as an OSError, in pyserial's own, or in termios'."""
        try:
            return do()
        except (termios.error, TypeError) as error:  # TypeError: pyserial's file number is None after a hang-up
            raise OSError(str(error)) from None
