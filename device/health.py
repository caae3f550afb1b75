"""How the unit is: latched faults as incidents like any other, and the numbers on the health topic."""

from __future__ import annotations

import json
import logging
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device import __version__, alerts
from device.clock import rfc3339
from device.incidents.policy import NewId, latched, new_ulid
from device.records import Incident, Scores

log = logging.getLogger(__name__)

THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
CLOCK_SYNCED = Path("/run/systemd/timesync/synchronized")
STATUS = Path("/proc/self/status")
RATE_WINDOW_S = 10.0
HEARTBEAT_FILE = "health.json"
MB = 1024 * 1024


class Faults:
    """Faults of the unit itself, one per cause: latched when it appears, cleared when it is gone."""

    def __init__(self, new_id: NewId = new_ulid) -> None:
        self._new_id = new_id
        self._open: dict[str, Incident] = {}

    def set(self, cause: str, so: bool, t: float, wall: float) -> list[Incident]:
        """Say whether a cause is there now; returns the transition, if it is one. cause: a word of alerts.CAUSES."""
        known = self._open.get(cause)
        if so and known is None:
            self._open[cause] = latched("unit", cause, t, wall, self._new_id(wall))
            return [self._open[cause]]
        if not so and known is not None:
            del self._open[cause]
            return [replace(known, stage="cleared", t=t, wall=wall, ended=True)]
        return []

    def open(self) -> list[Incident]:
        """The faults that are latched now, oldest first."""
        return list(self._open.values())


def fault_rows(incidents: list[Incident]) -> list[dict[str, Any]]:
    """Latched faults as fault/active lists them; one that belongs to a camera says to which."""
    return [
        {
            "cause": str(incident.detail["cause"]),
            "kind": incident.kind,
            "text": alerts.cause(incident),
            "since": rfc3339(incident.wall_start),
            **({"camera": incident.camera, "room": incident.room} if incident.camera else {}),
        }
        for incident in incidents
    ]


class Pulse:
    """Steps a second and milliseconds a step over the last ten seconds."""

    def __init__(self) -> None:
        self._beats: deque[tuple[float, float]] = deque()

    def beat(self, scores: Scores) -> None:
        """One step was classified."""
        self._beats.append((scores.t, scores.inference_ms))
        while scores.t - self._beats[0][0] > RATE_WINDOW_S:
            self._beats.popleft()

    def steps_per_s(self, t: float) -> float:
        """Steps classified per second, up to now; 0 when none came in the window."""
        recent = [at for at, _ in self._beats if t - at <= RATE_WINDOW_S]
        span = t - recent[0] if recent else 0.0
        return (len(recent) - 1) / span if span > 0 else 0.0

    def step_ms(self) -> float | None:
        """Median time of one step of the network, milliseconds."""
        times = sorted(ms for _, ms in self._beats)
        return times[len(times) // 2] if times else None


def readings(folder: Path, pulses: Sequence[Pulse], t: float, started_t: float) -> dict[str, Any]:
    """What this machine says of itself; a reading it has not got is None. pulses: one a camera, the worst is told."""
    step_ms = [ms for pulse in pulses if (ms := pulse.step_ms()) is not None]
    return {
        "fps": round(min(pulse.steps_per_s(t) for pulse in pulses), 2),
        "step_ms": round(max(step_ms), 2) if step_ms else None,
        "temperature_c": _temperature(),
        "disk_free_mb": disk_free_mb(folder),
        "rss_mb": _rss_mb(),
        "uptime_s": round(t - started_t, 1),
        "clock": {"synced": CLOCK_SYNCED.exists()},
        "version": __version__,
    }


def beat(folder: Path, health: Mapping[str, Any], wall: float) -> None:
    """Leave the newest health beside the journal, for whoever asks whether this unit is alive; replaced whole.

    A disk that does not take it costs only the heartbeat, and its absence is then said by whoever looks.
    """
    part = folder / f"{HEARTBEAT_FILE}.part"
    try:
        part.write_text(json.dumps({**health, "wall": wall}), encoding="utf-8")
        part.replace(folder / HEARTBEAT_FILE)
    except OSError as error:
        log.debug("no heartbeat: %s", error)


def last_beat(folder: Path) -> dict[str, Any] | None:
    """The newest heartbeat, its Unix time in `wall`; None where there is none that can be read."""
    try:
        found = json.loads((folder / HEARTBEAT_FILE).read_text(encoding="utf-8"))
        return {**found, "wall": float(found["wall"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def disk_free_mb(folder: Path) -> float | None:
    """Free space where the journal lies, megabytes."""
    try:
        return round(shutil.disk_usage(folder).free / MB, 1)
    except OSError:
        return None


def status_line(health: Mapping[str, Any]) -> str:
    """One line for `systemctl status`."""
    faults = ", ".join(health["faults"]) or "none"
    return f"{health['state']}, {health['fps']} steps/s, {health['rss_mb']} MB, faults: {faults}"


def _temperature() -> float | None:
    try:
        return round(int(THERMAL.read_text()) / 1000.0, 1)
    except (OSError, ValueError):
        return None


def _rss_mb() -> float | None:
    try:
        line = next(row for row in STATUS.read_text().splitlines() if row.startswith("VmRSS:"))
        return round(int(line.split()[1]) / 1024, 1)
    except (OSError, StopIteration, ValueError):
        return None
