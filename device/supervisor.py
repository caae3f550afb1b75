"""What systemd is told about the watch: ready, still classifying, a status line, stopping (sd_notify protocol).

The watchdog is fed by classified frames and by nothing else: a loop that turns without seeing anything must be
restarted. Without systemd (no NOTIFY_SOCKET) every call does nothing. Protocol: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)

FEEDS_PER_WATCHDOG = 3
"""At least 2 by sd_watchdog_enabled(3); 3 leaves room for one lost turn of a busy small board."""
STATUS_EVERY_S = 10.0
"""A status line is for a person who types `systemctl status`; more often would only fill systemd's queue."""


class Supervisor:
    """One unit's line to systemd; times are monotonic seconds given by the caller."""

    def __init__(self, environment: Mapping[str, str] | None = None, pid: int | None = None) -> None:
        """Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; `environment` defaults to os.environ, `pid` to ours."""
        environment = os.environ if environment is None else environment
        self._address = _socket_address(environment.get("NOTIFY_SOCKET", ""))
        self.feed_every_s = _feed_every_s(environment, os.getpid() if pid is None else pid)
        self._ready = False
        self._fed_at: float | None = None
        self._status = ""
        self._status_at: float | None = None

    @property
    def listening(self) -> bool:
        """True when systemd, or another supervisor that speaks its protocol, waits for our word."""
        return self._address is not None

    def classified(self, t: float) -> None:
        """A frame taken now at `t` has gone through the network: READY=1 the first time, WATCHDOG=1 when it is due."""
        words = []
        if not self._ready:
            words.append("READY=1")
        if self.feed_every_s is not None and (self._fed_at is None or t - self._fed_at >= self.feed_every_s):
            words.append("WATCHDOG=1")
        if words and self._send("\n".join(words)):
            self._ready = True
            self._fed_at = t

    def status(self, text: str, t: float) -> None:
        """One line for `systemctl status`; an unchanged line is not repeated, a changed one at most every 10 s."""
        if text == self._status or (self._status_at is not None and t - self._status_at < STATUS_EVERY_S):
            return
        if self._send("STATUS=" + text.replace("\n", " ")):
            self._status, self._status_at = text, t

    def stopping(self, why: str) -> None:
        """Say that the unit is about to end on purpose, and why."""
        self._send("STOPPING=1\nSTATUS=" + why.replace("\n", " "))

    def _send(self, words: str) -> bool:
        if self._address is None:
            return False
        try:
            # A new socket per word: systemd may have been re-executed since the last one. Never block the watch.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as line:
                line.sendto(words.encode(), self._address)
        except OSError as error:
            log.warning("systemd could not be told %s: %s", words.split("\n", 1)[0], error)
            return False
        return True


def _socket_address(given: str) -> str | None:
    """The address to send to; '@' stands for the leading zero byte of an abstract socket."""
    if given.startswith("@"):
        return "\0" + given[1:]
    if given.startswith("/"):
        return given
    if given:
        log.warning("NOTIFY_SOCKET=%s is neither a path nor an abstract socket: systemd is not told anything", given)
    return None


def _feed_every_s(environment: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two feeds; None when no watchdog is set for this process."""
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    try:
        timeout_us = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        log.warning("WATCHDOG_USEC=%s is no number: the watchdog is not fed", environment["WATCHDOG_USEC"])
        return None
    return timeout_us / 1e6 / FEEDS_PER_WATCHDOG if timeout_us > 0 else None
