"""The site's own broker: a unit is killed there too, with messages marked as tests, below a branch of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from device.chaos.bench import CHAOS, Bench, Lives, NotDoneError, Outcome
from device.chaos.brokers import START_S, Recording
from device.chaos.kills import end_of, kill_often
from device.mqtt.courier import branch
from device.mqtt.desk import Desk
from device.mqtt.link import Link, LinkError, Message, Post
from device.mqtt.window import FAILURE
from device.settings import Settings

KILLS, QUICK_KILLS = 20, 3
TURN_S = 0.1
RETAINED = (
    "availability",
    "health",
    "alert/active",
    "fault/active",
    "staff/state",
    "privacy/state",
)
"""What a unit leaves on the broker; taken away again."""


def site_broker(bench: Bench) -> Outcome:
    """Some random kills of a unit called `<unit>-chaos` at the broker of the settings, if it lets that unit in."""
    outcome, place = Outcome(), bench.place()
    if not bench.site:
        raise NotDoneError("give --config with the settings of a unit to play at its broker too")
    settings = bench.unit(place / "state", bench.base.mqtt, receipts=True)
    with _received(settings) as broker:
        if not broker.desk:
            settings = bench.unit(place / "state", bench.base.mqtt)
        lives = Lives(settings, place)
        kill_often(bench, outcome, lives, QUICK_KILLS if bench.quick else KILLS, "site")
        if broker.desk:
            end_of(outcome, lives, broker)
        else:
            lives.finish(outcome, 0, "fall")
    outcome.figures["heard by a desk"] = float(broker.desk)
    return outcome


@contextmanager
def _received(settings: Settings) -> Iterator[Recording]:
    """What arrives at the site's broker; Recording.desk: whether this certificate may listen there at all."""
    may_listen = _ask(settings)
    found = Recording(settings.mqtt, desk=may_listen)
    try:
        with Desk(settings.mqtt, f"{settings.unit.id}-desk", f"{branch(settings)}/#", found.note) as desk:
            desk.ready.wait(START_S)
            yield found
    finally:
        _tidy(settings)


def _ask(settings: Settings) -> bool:
    """Whether the broker hands what we say back to us. Raises NotDoneError when it does not even take it."""
    heard: list[Message] = []
    topic = f"{branch(settings)}/alert/probe"
    link = Link(settings.mqtt, f"{settings.unit.id}-probe", heard.append)
    end = time.monotonic() + START_S
    try:
        link.open()
        _until(link, link.connected, end)
        link.subscribe([topic])
        link.publish(Post(topic, "{}"))
        _until(link, lambda: bool(link.acked), end)
        code, name = (link.acked[0].code, link.acked[0].name) if link.acked else (FAILURE, "no answer")
        _until(link, lambda: bool(heard), min(end, time.monotonic() + 2.0))
        link.close()
    except LinkError as error:
        raise NotDoneError(str(error)) from None
    finally:
        link.drop()
    if code >= FAILURE:
        user = settings.mqtt.username or settings.unit.id.removesuffix(CHAOS)
        raise NotDoneError(
            f"{link.address} does not let this unit write below {branch(settings)} ({name}), as it should be; to play "
            f"there, add to the broker's ACL, below the line `user {user}`, for as long as it plays: "
            f"topic readwrite {branch(settings)}/#"
        )
    return bool(heard)


def _until(link: Link, question: Callable[[], bool], end: float) -> None:
    while not question() and time.monotonic() < end:
        link.turn(TURN_S)


def _tidy(settings: Settings) -> None:
    """Take away what the unit under test has left on the broker, its session included."""
    link = Link(settings.mqtt, settings.unit.id, lambda message: None)  # no will: the session ends with the connection
    end = time.monotonic() + START_S
    try:
        link.open()
        _until(link, link.connected, end)
        for word in RETAINED:
            link.publish(Post(f"{branch(settings)}/{word}", "", retain=True))
        _until(link, lambda: len(link.acked) >= len(RETAINED), end)
        link.close()
    except LinkError:
        return  # a broker that is gone by now keeps what it has; the next run takes it away
    finally:
        link.drop()
