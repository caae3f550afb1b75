"""The bridge of docs/performance.md, as it stands there: a house's broker joined to a central one."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from device.clock import SystemClock
from device.mqtt import Courier
from tests.conftest import REPO, eventually
from tests.incident_samples import incident, open_outbox, put, unit_settings
from tests.mosquitto import Listener, Mosquitto


def bridge(port: int) -> list[str]:
    """The lines of the page, with the central broker's real address."""
    page = (REPO / "docs" / "performance.md").read_text(encoding="utf-8")
    found = re.search(r"```\n(.*?connection house-1.*?)```", page, re.DOTALL)
    assert found, "the page has no bridge"
    text = textwrap.dedent(found[1]).replace("central.example:8883", f"127.0.0.1:{port}")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_a_desk_far_away_hears_the_house_and_its_answer_reaches_the_unit(tmp_path: Path) -> None:
    own = "fallwatch/home1/cam-r12"
    with Mosquitto(tmp_path / "central") as central, Mosquitto(tmp_path / "house", *bridge(central.port)) as house:
        folder = tmp_path / "unit"
        courier = Courier(unit_settings(folder, house.port), folder, SystemClock())
        outbox = open_outbox(folder, courier.spill)
        courier.start()
        try:
            with Listener(central.port, name="central-desk") as desk:
                fall = put(outbox, incident())
                courier.wake()
                eventually(lambda: desk.on("/alert/event"))
                eventually(lambda: [one.raw for one in desk.on("/availability")] == [b"online"])
                claim = {"action": "claim", "by": "Anna", "at": "2026-11-22T03:14:07.120Z", "nonce": "abcd-1234"}
                desk.say(f"{own}/alert/{fall.id}/ack", claim)
                eventually(lambda: "claim" in [receipt.action for receipt in courier.inbox])
                eventually(lambda: desk.on("/alert/active")[-1].body["state"] == "claimed")
                assert len(desk.on("/ack")) == 1, "nothing goes round in circles"
        finally:
            assert courier.stop(5.0)
            outbox.journal.close()
