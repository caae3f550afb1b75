"""A receiver of Fallwatch alerts in one file: hears every room of a site, says that it has each alert, claims on Enter.

    pip install paho-mqtt
    python consumer.py --host localhost --site home --name desk-1
    python consumer.py --host broker.home.lan --port 8883 --ca ca.pem --cert desk-1.pem --key desk-1.key --name desk-1

What a receiver must do, and this one does: a lasting session, so that nothing is missed while it is away; QoS 1 for all
but health; a receipt for every message; each (alert_id, seq) counted once; alert/active believed after a reconnect;
fields it does not know ignored. Everything it says has a nonce, so that saying it twice is harmless.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

SESSION_S = 7 * 24 * 3600
"""The broker keeps what we miss for a week."""
REMEMBERED = 10_000
"""(alert_id, seq) pairs kept; a repeat comes within minutes."""
RINGS = ("warning", "alarm", "urgent")
WAYS = (("alert/event", 1), ("alert/active", 1), ("alert/+/result", 1), ("fault/active", 1), ("availability", 1))


class Consumer:
    """Keeps what is open, room by room; `say` gets one line for a person at a time."""

    def __init__(self, site: str, name: str, claim_as: str) -> None:
        self.site, self.name, self.claim_as = site, name, claim_as
        self.open: dict[str, dict[str, Any]] = {}
        """alert_id -> its newest message, oldest alert first."""
        self._seen: dict[tuple[str, int], None] = {}
        self._lock = threading.Lock()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.reconnect_delay_set(1, 10)

    def connect(self, host: str, port: int) -> None:
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = SESSION_S
        self.client.connect_async(host, port, keepalive=15, clean_start=False, properties=session)
        self.client.loop_start()

    def claim(self) -> None:
        """ "I am going": for the oldest alert that nobody has claimed."""
        with self._lock:
            waiting = [one for one in self.open.values() if one["state"] == "open"]
        if not waiting:
            self.say("nothing to claim")
            return
        alert = waiting[0]
        body = {"action": "claim", "by": self.claim_as, "at": now(), "nonce": uuid4().hex}
        self._publish(f"{alert['device']}/alert/{alert['alert_id']}/ack", body)

    def say(self, line: str) -> None:
        print(f"{datetime.now():%H:%M:%S}  {line}", flush=True)

    def _on_connect(self, client: paho.Client, _user: object, _flags: object, reason: Any, _p: object) -> None:
        if reason.is_failure:
            self.say(f"the broker refuses {self.name}: {reason}")
            return
        every = f"fallwatch/{self.site}/+"
        client.subscribe([(f"{every}/{way}", qos) for way, qos in WAYS])
        self.say(f"connected as {self.name}")

    def _on_message(self, _client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
        unit, way = message.topic.split("/", 3)[2:]
        try:
            if way == "availability":
                self.say(f"{unit} is {message.payload.decode()}")
                return
            body = json.loads(message.payload)
            {"alert/event": self._event, "alert/active": self._active, "fault/active": self._faults}.get(
                way, self._result
            )(unit, body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.say(f"{message.topic}: not understood ({error!r})")  # one odd message must not end the receiver

    def _event(self, unit: str, body: dict[str, Any]) -> None:
        """One step of an alert. The receipt goes out even for a repeat: the unit repeats because it missed ours."""
        alert_id, seq = body["alert_id"], body["seq"]
        self._publish(f"{unit}/alert/{alert_id}/receipt", {"by": self.name, "at": now(), "seq": seq})
        if (alert_id, seq) in self._seen:
            return
        self._seen[alert_id, seq] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        with self._lock:
            if body["type"] == "end":
                self.open.pop(alert_id, None)
            elif not body["test"]:
                self.open[alert_id] = {**self.open.get(alert_id, {}), **body, "device": unit}
        rings = body["state"] == "open" and body["priority"] in RINGS
        bell = "RING  " if rings and not body["test"] else "      "
        self.say(f"{bell}{body['text']}  [{body['event_type']}]{'  (test)' if body['test'] else ''}")

    def _active(self, unit: str, body: dict[str, Any]) -> None:
        """What holds now, also for whoever was away: the worst open alert of this unit, or none."""
        with self._lock:
            if body["state"] == "clear":
                self.open = {key: one for key, one in self.open.items() if one["device"] != unit}
                return
            known = body["alert_id"] in self.open
            self.open[body["alert_id"]] = {**self.open.get(body["alert_id"], {}), **body, "device": unit}
        if not known:
            self.say(f"{'RING  ' if body['state'] == 'open' else '      '}{body['text']}  [{body['state']}]")

    def _faults(self, unit: str, body: dict[str, Any]) -> None:
        for fault in body["faults"]:
            self.say(f"{unit}: fault, {fault.get('text') or fault['cause']}")

    def _result(self, unit: str, body: dict[str, Any]) -> None:
        if not body["counts"]:
            self.say(f"{unit}: {body['action']} does not count, {body['reason']}")

    def _publish(self, way: str, body: dict[str, Any]) -> None:
        self.client.publish(f"fallwatch/{self.site}/{way}", json.dumps(body), qos=1)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main() -> int:
    parser = argparse.ArgumentParser(description="Hears Fallwatch alerts; Enter claims the oldest that is open.")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--ca", help="the site's ca.pem: switches TLS on")
    parser.add_argument("--cert", help="this receiver's certificate")
    parser.add_argument("--key", help="this receiver's private key")
    parser.add_argument("--site", default="home")
    parser.add_argument("--name", default="desk-1", help="of this receiver, as in its certificate")
    parser.add_argument("--claim-as", default="nurse", metavar="WHO", help="who claims when Enter is pressed")
    args = parser.parse_args()
    consumer = Consumer(args.site, args.name, args.claim_as)
    if args.ca:
        consumer.client.tls_set(args.ca, args.cert, args.key)
    consumer.connect(args.host, args.port)
    try:
        for _ in sys.stdin:
            consumer.claim()
    except KeyboardInterrupt:
        pass
    consumer.client.disconnect()
    consumer.client.loop_stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
