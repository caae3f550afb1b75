"""What the broker says of one alert, and what that means for the fault about all of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any, cast

from device.clock import ReplayClock
from device.mqtt.faults import Faults
from device.mqtt.link import Acked, Link, Post
from device.mqtt.window import REFUSED_RETRY_S, Window
from tests.incident_samples import WALL, T, incident, open_outbox, put

NOT_AUTHORIZED = 0x87


class Line:
    """A link that notes what is published and gives each the next number."""

    receive_max = 65_535

    def __init__(self) -> None:
        self.sent: list[Post] = []

    def publish(self, post: Post) -> int:
        self.sent.append(post)
        return len(self.sent)


def causes(faults: Faults) -> set[Any]:
    return {fault["cause"] for fault in faults.all()}


def test_a_refused_alert_stays_a_fault_until_it_is_taken_whatever_becomes_of_the_others(tmp_path: Path) -> None:
    outbox, faults, clock, line = open_outbox(tmp_path), Faults(), ReplayClock(WALL, T), Line()
    link = cast(Link, line)
    with closing(outbox.journal):
        window = Window(outbox, "fallwatch/home1/cam-r12", clock, faults)
        put(outbox, incident())
        put(outbox, incident("floor"))
        window.fill(link)
        window.acked([Acked(1, NOT_AUTHORIZED, "Not authorized"), Acked(2, 0, "Success")], "broker")
        assert causes(faults) == {"alert_refused"}, "the second was taken, the first still waits"
        clock.t += REFUSED_RETRY_S
        window.fill(link)
        assert len(line.sent) == 3
        window.acked([Acked(3, 0, "Success")], "broker")
        assert causes(faults) == set()
        assert not outbox.pending()
