"""What comes in: receipts of consumers, answers and wishes of people; checked, journalled, passed on, answered."""

from __future__ import annotations

import json
import logging
import re
from collections import deque
from collections.abc import Mapping

from device.clock import Clock, rfc3339
from device.feature import NAMES, Wish
from device.inbound import INBOUND, asked_for, inbound, wish
from device.mqtt.faults import Faults
from device.mqtt.link import Link, Message, Post
from device.outbox import Outbox
from device.payloads import PayloadError, Verdict, result_payload
from device.records import Receipt, ReceiptLevel
from device.settings import Unit
from device.store import StoreError

log = logging.getLogger(__name__)

INBOX = 1000
"""Receipts kept for a loop that does not fetch them; the journal has them all."""
RESULTS = 200
"""Answers to answers kept while the link is slow; whoever misses one asks again with the same nonce."""
REPLIES = 2
"""Results on their way at once; with the retained topics within window.TRUTHS."""
REPLY_S = 10.0
"""A result that the broker does not acknowledge for this long is forgotten; the link is judged by the alerts."""
FRESH_S = 5.0
"""What comes sooner after connecting may have waited in the broker for days: a bare ON that soon tells nothing."""
RESPONSE_MAX = 256
"""Characters of a response topic that is answered to."""


class Answers:
    """The door for messages from outside. Whatever comes through it, the courier goes on.

    inbox: Receipts that counted, newest last. count: how many messages changed something. results: what is said to
    whoever asked. last: level -> Unix seconds of the newest receipt. outbox: None while the journal cannot be opened.
    """

    def __init__(self, branch: str, unit: Unit, clock: Clock, faults: Faults) -> None:
        self.inbox: deque[Receipt] = deque(maxlen=INBOX)
        self.results: deque[Post] = deque(maxlen=RESULTS)
        self.count = 0
        self.last: dict[ReceiptLevel, float] = {}
        self.outbox: Outbox | None = None
        self.topics = [f"{branch}/alert/+/{word}" for word in INBOUND] + [f"{branch}/{name}/set" for name in NAMES]
        words, names = "|".join(INBOUND), "|".join(NAMES)
        self._pattern = re.compile(
            rf"{re.escape(branch)}/(?:alert/(?P<id>[a-zA-Z0-9_-]{{1,64}})/(?P<word>{words})|(?P<feature>{names})/set)"
        )
        self._branch = branch
        self._unit = unit
        self._clock = clock
        self._faults = faults
        self._flying: dict[int, float] = {}
        self._connected_at = float("-inf")

    def connected(self) -> None:
        """A connection begins: what the broker kept meanwhile comes now."""
        self._connected_at = self._clock.now()
        self._flying.clear()

    def reply(self, link: Link) -> None:
        """Send what is to be said to whoever asked, a few at a time beside the alerts. Raises LinkError."""
        now = self._clock.now()
        self._flying = {mid: t for mid, t in self._flying.items() if now - t < REPLY_S}
        while self.results and len(self._flying) < REPLIES:
            self._flying[link.publish(self.results.popleft())] = now

    def replied(self, mid: int) -> None:
        """The broker has this one, if it was ours."""
        self._flying.pop(mid, None)

    def take(self, message: Message) -> None:
        """One message; on return its effect is on disk, or a result and one line in the log say why it has none."""
        try:
            match = self._pattern.fullmatch(message.topic)
            if match is None:
                raise PayloadError(f"{message.topic[:100]!r} is no topic of an answer or a wish")
            self._enter(match, message)
        except PayloadError as error:
            log.warning("ignored a message: %s", error)
        except StoreError as error:
            self._faults.latch("disk", str(error), self._clock.wall())
        except Exception:  # a message must not be able to stop the alerts, whatever is wrong with it or with us
            log.exception("ignored a message on %.100r", message.topic)

    def _enter(self, match: re.Match[str], message: Message) -> None:
        if self.outbox is None:
            raise StoreError("an answer came while the journal cannot be opened, and does not count; free the disk")
        about = {"feature": match["feature"]} if match["feature"] else {"alert_id": match["id"]}
        try:
            if match["feature"]:
                verdict = self._wish(self.outbox, match["feature"], message)
            else:
                verdict = self._answer(self.outbox, match["id"], match["word"], message.payload)
        except PayloadError as error:
            log.warning("ignored a message: %s", error)
            verdict = Verdict(counts=False, reason=str(error))
        self.count += verdict.counts
        if self.outbox.trouble is not None:
            self._faults.latch("disk", str(self.outbox.trouble), self._clock.wall())
        self._tell(about, match["word"] or "", message, verdict)

    def _answer(self, outbox: Outbox, alert_id: str, word: str, raw: bytes) -> Verdict:
        receipt, nonce = inbound(word, alert_id, raw)
        verdict = outbox.answer(receipt, nonce, self._clock.wall(), self._clock.now())
        if verdict.counts:
            self.inbox.append(receipt)
            self.last[receipt.level] = self._clock.wall()
        else:
            log.info("%s: %s from %s does not count: %s", alert_id, receipt.action, receipt.by, verdict.reason)
        return verdict

    def _wish(self, outbox: Outbox, name: str, message: Message) -> Verdict:
        wished = wish(next(one for one in NAMES if one == name), message.payload)
        if reason := self._untimely(wished, message):
            verdict = Verdict(counts=False, reason=reason)
        else:
            verdict = outbox.switch(wished, self._clock.wall(), self._clock.now())
        if not verdict.counts:
            log.info("%s/set from %s does not count: %s", name, wished.by, verdict.reason)
        return verdict

    def _untimely(self, wished: Wish, message: Message) -> str:
        """Why nobody can tell when this was said; "" when it is good, or when what it asks for is never harmful."""
        if wished.name == "staff" and not wished.on:
            return ""
        if message.retain:
            return "it was retained, so that nobody can tell when it was said; publish it without retain"
        if wished.at is None and self._clock.now() - self._connected_at < FRESH_S:
            return "it may have waited in the broker; say it again, or say with it when it was said"
        return ""

    def _tell(self, about: Mapping[str, str], word: str, message: Message, verdict: Verdict) -> None:
        """On the result topic, and where the sender asked for it (MQTT 5)."""
        payload = result_payload(self._unit, about, asked_for(message.payload), verdict)
        text = json.dumps({**payload, "published_at": rfc3339(self._clock.wall())})
        asked = message.response_topic
        if word != "receipt":
            place = f"alert/{about['alert_id']}" if "alert_id" in about else about["feature"]
            self.results.append(Post(f"{self._branch}/{place}/result", text, correlation=message.correlation))
        if asked and may_answer_to(asked, self._branch):
            self.results.append(Post(asked, text, correlation=message.correlation))


def may_answer_to(topic: str, branch: str) -> bool:
    """Whether a sender may have its answer there: nobody makes a unit speak on a topic that means something else."""
    plain = len(topic) <= RESPONSE_MAX and not re.search(r"[+#\x00-\x1f]", topic) and not topic.startswith("$")
    return plain and (not topic.startswith("fallwatch/") or topic.startswith(f"{branch}/response/"))
