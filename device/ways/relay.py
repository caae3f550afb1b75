"""A relay or buzzer at a pin of the board: on while an alert rings that nobody has claimed.

gpiozero drives the pin (extra `relay`); it knows the boards and brings pins for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from device.alert_life import Life
from device.alerts import RANK
from device.clock import Clock
from device.records import Priority
from device.settings import Settings
from device.ways.way import Body, Item, WayError

BEATS: dict[Priority, tuple[float, float]] = {"warning": (0.5, 4.5), "alarm": (0.5, 1.5), "urgent": (0.5, 0.5)}
"""Seconds on and off; silent for less than 10 s, the longest that UL 1069 allows between two sounds of a call."""
CHIRP_S = 0.5
"""A test is heard, and is too short to be taken for an alert."""
SETTLE_S = 0.2
"""A relay's contact has closed and stopped bouncing long before: data sheets say 5 to 20 ms."""
BEAT_TURN_S = 0.1
REST_TURN_S = 1.0


class Pins(Protocol):
    """One output, and an input that may follow it."""

    def drive(self, on: bool) -> None: ...

    def follows(self) -> bool | None:
        """Whether the auxiliary contact is closed; None where there is none."""

    def close(self) -> None: ...


class Relay:
    """One output; every call from one thread."""

    name = "relay"

    def __init__(self, settings: Settings, clock: Clock, open_pins: Callable[[Any], Pins] | None = None) -> None:
        self._settings = settings.relay
        self._clock = clock
        self._open_pins = open_pins or gpiozero_pins
        self._pins: Pins | None = None
        self._on: bool | None = None
        self._changed_at = 0.0
        self._began: tuple[Priority, float] | None = None
        self._chirp_until = float("-inf")

    @property
    def turn_s(self) -> float:
        beating = self._began is not None and self._settings.pulses
        return BEAT_TURN_S if beating or self._chirp_until > self._clock.now() else REST_TURN_S

    def wants(self, body: Body, _told: bool) -> bool:
        """Only tests: what rings is seen in the state of the alerts, which no message can get ahead of."""
        return bool(body["test"])

    def send(self, _item: Item, _attempt: int, _wall: float) -> None:
        now = self._clock.now()
        self._chirp_until = now + CHIRP_S
        self._show(True, now)

    def turn(self, lives: Sequence[Life], now: float) -> bool:
        """Set the output to what is due at this moment, and look whether it got there."""
        self._note(worst_ringing(lives, last_resort=self._settings.when == "fallback"), now)
        self._show(self._due(now), now)
        self._check(now)
        return True

    def close(self) -> None:
        """Let the pin go: it floats, and the relay drops. With failsafe that is the alarm."""
        if self._pins is not None:
            self._pins.close()
            self._pins = None
            self._on = None

    def _note(self, priority: Priority | None, now: float) -> None:
        if priority is None:
            self._began = None
        elif self._began is None or self._began[0] != priority:
            self._began = (priority, now)

    def _due(self, now: float) -> bool:
        if self._began is None:
            return now < self._chirp_until
        priority, since = self._began
        return not self._settings.pulses or beats(priority, now - since)

    def _show(self, calling: bool, now: float) -> None:
        wanted = calling is not self._settings.failsafe
        try:
            if self._pins is None:
                self._pins = self._open_pins(self._settings)
            if wanted is not self._on:
                self._pins.drive(wanted)
                self._on, self._changed_at = wanted, now
        except WayError:
            raise
        except Exception as error:  # gpiozero and its backends raise what they like
            self.close()
            raise WayError(
                f"relay.pin {self._settings.pin}: cannot be driven ({error}); check wiring and rights",
                retry_s=REST_TURN_S,
            ) from None

    def _check(self, now: float) -> None:
        """A contact that does not follow: the coil is open, the relay stuck or unplugged."""
        if self._pins is None or now - self._changed_at < SETTLE_S:
            return
        closed = self._pins.follows()
        if closed is not None and closed is not self._on:
            stands = "closed" if closed else "open"
            raise WayError(
                f"relay.feedback_pin {self._settings.feedback_pin}: the contact is {stands} while the relay is "
                f"{'on' if self._on else 'off'}; check the relay and its wires",
                retry_s=self.turn_s,  # it goes on being driven: a contact that is not seen may still ring
            )


def worst_ringing(lives: Sequence[Life], *, last_resort: bool) -> Priority | None:
    """The loudest priority that rings now; as a last resort only of alerts that no receiver has confirmed in time."""
    ringing = [life.alert.priority for life in lives if life.rings and (life.helpless or not last_resort)]
    return max(ringing, key=lambda priority: RANK[priority], default=None)


def beats(priority: Priority, since_s: float) -> bool:
    """Whether the output is on, so long after an alert of this priority began to ring."""
    on_s, off_s = BEATS[priority]
    return since_s % (on_s + off_s) < on_s


def gpiozero_pins(settings: Any) -> Pins:
    """The pins of this board. Raises WayError where gpiozero, its way to the board, or a pin is missing."""
    try:
        from gpiozero import DigitalInputDevice, DigitalOutputDevice  # not in every installation
        from gpiozero.exc import BadPinFactory, GPIOZeroError
    except ModuleNotFoundError as error:
        raise WayError(
            f"relay: {error.name} is not installed; run: pip install 'fallwatch[relay]'", refused=True
        ) from None
    try:
        output = DigitalOutputDevice(settings.pin, active_high=not settings.active_low, initial_value=settings.failsafe)
        feedback = None
        if settings.feedback_pin is not None:
            feedback = DigitalInputDevice(settings.feedback_pin, pull_up=True)
    except BadPinFactory:
        raise WayError(
            "relay: this machine shows no pins; is /dev/gpiochip0 there and may we use it?", refused=True
        ) from None
    except (GPIOZeroError, OSError) as error:
        raise WayError(f"relay.pin {settings.pin}: cannot be opened ({error}); is it in use?", refused=True) from None
    return _Gpiozero(output, feedback)


class _Gpiozero:
    def __init__(self, output: Any, feedback: Any) -> None:
        self._output = output
        self._feedback = feedback

    def drive(self, on: bool) -> None:
        self._output.value = on

    def follows(self) -> bool | None:
        return None if self._feedback is None else bool(self._feedback.value)

    def close(self) -> None:
        for pin in (self._output, self._feedback):
            if pin is not None:
                pin.close()
