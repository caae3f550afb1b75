"""What the demo shows in the terminal: the network at work in one line, and every alert as the nurse's side gets it."""

from __future__ import annotations

import shutil
import sys
from typing import Any, TextIO

from device.health import Pulse
from device.labels import LABELS
from device.records import Scores

REDRAW_S = 0.2
"""Seconds between two drawings of the live line on a terminal; a reader follows no more."""

LINE_EVERY_S = 2.0
"""Seconds between two lines where the output is no terminal, such as a log."""

BAR = "▏▎▍▌▋▊▉█"
BOLD, RED, GREEN, DIM, PLAIN = "\x1b[1m", "\x1b[1;31m", "\x1b[1;32m", "\x1b[2m", "\x1b[0m"
LOUD = {"urgent": RED, "alarm": RED, "warning": RED, "info": GREEN}


class View:
    """One terminal; lines above, the live line at the bottom."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._tty = out.isatty()
        self._pulse = Pulse()
        self._drawn_t = float("-inf")

    def look(self, scores: Scores) -> None:
        """Show one step; most are counted and not drawn."""
        self._pulse.beat(scores)
        if scores.t - self._drawn_t < (REDRAW_S if self._tty else LINE_EVERY_S):
            return
        self._drawn_t = scores.t
        rate = f"{self._pulse.steps_per_s(scores.t):4.1f} steps/s  {self._pulse.step_ms() or 0.0:4.2f} ms"
        if self._tty:
            width = shutil.get_terminal_size().columns
            best = sorted(LABELS, key=scores.of, reverse=True)[:3]
            bars = "  ".join(f"{label} {bar(scores.of(label))} {scores.of(label):.2f}" for label in best)
            self._out.write(f"\r\x1b[K{rate}  {bars}"[: width + 4])
        else:
            row = "  ".join(f"{label} {scores.of(label):.2f}" for label in LABELS)
            self._out.write(f"{rate}  {row}\n")
        self._out.flush()

    def say(self, text: str = "") -> None:
        """A line above the live one."""
        clear = "\r\x1b[K" if self._tty else ""
        self._out.write(f"{clear}{text}\n")
        self._out.flush()

    def message(self, payload: dict[str, Any]) -> None:
        """An alert/event as it came from the broker."""
        priority = str(payload.get("priority", ""))
        at, what = str(payload.get("detected_at", ""))[11:19], str(payload.get("event_type", ""))
        text = f"{at}  {what:<16} {payload.get('text', '')}"
        if priority == "silent":
            self.say(self._painted(DIM, f"  (silent)  {text}"))
        else:
            mark = "ALERT" if priority in ("urgent", "alarm", "warning") else "news "
            self.say(self._painted(LOUD.get(priority, BOLD), f"  {mark}     {text}"))

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self._tty else text


def bar(share: float, width: int = 8) -> str:
    """A bar of block characters; share 0..1."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (BAR[part - 1] if part else "")).ljust(width)
