"""An answer given on the unit's own page: checked, journalled and told to everybody, as one over the broker is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from device.clock import Clock, rfc3339
from device.inbound import inbound
from device.journal import Journal
from device.outbox import Outbox
from device.payloads import Verdict
from device.ringing import CONSOLE
from device.settings import Settings


def answer_here(folder: Path, settings: Settings, alert_id: str, body: Mapping[str, str], clock: Clock) -> Verdict:
    """Enter what a person answered into the store in `folder`; body: as in schemas/ack.json, without `at`: it is now.

    It counts only when it is on disk: the running unit, in another process, hears of it there and tells everybody
    else. Raises PayloadError, StoreError.
    """
    wall = clock.wall()
    raw = json.dumps({**body, "at": rfc3339(wall)}).encode("utf-8", "surrogatepass")
    receipt, nonce = inbound("ack", alert_id, raw)
    with closing(Journal(folder, room=settings.unit.room)) as journal:
        outbox = Outbox(journal, settings)
        verdict = outbox.answer(receipt, nonce, wall, clock.now(), via=CONSOLE)
        if outbox.trouble is not None:
            raise outbox.trouble
        return verdict
