"""kill -9: at random moments, and at every point that an alert passes on its way."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess

from device.chaos.bench import Bench, Lives, NotDoneError, Outcome, loopback
from device.chaos.brokers import Recording, recorder, recording
from device.chaos.life import Job, born
from device.chaos.reckoning import reckon
from device.chaos.taps import WHERE
from device.mqtt.courier import branch

ACTS_MOST = 6
RESPITE = 20
"""After so many kills a life may send what has piled up."""
JITTER_S = 0.03
"""Most time after the last act that was waited for: a few commits and a round to the broker."""
PATIENCE_S = 60.0
PLAN = ("fall", "claim", "ring", "fall", "worse", "close", "ring", "up")
"""A life that passes every kind of transaction: an alert told, worse, answered, rung again, over."""
QUICK_POINTS = 12
"""Places to die with --quick, drawn by chance; all of them else."""


def random_kills(bench: Bench) -> Outcome:
    """A unit that gets alerts without end is killed at a random moment, looked at, and started again."""
    outcome, place = Outcome(), bench.place()
    settings = bench.unit(place / "state", loopback(1))
    with recorder(place / "broker", branch(settings)) as broker:
        lives = Lives(bench.unit(place / "state", broker.mqtt, receipts=broker.desk), place)
        kill_often(bench, outcome, lives, bench.kills, "random")
        end_of(outcome, lives, broker)
    outcome.figures["with_mosquitto"] = float(broker.desk)
    return outcome


def kill_often(bench: Bench, outcome: Outcome, lives: Lives, kills: int, name: str) -> None:
    """That many lives, each killed at a random moment and its store looked at before the next begins."""
    rng, began = bench.rng(f"kills {name}"), time.monotonic()
    done = 0
    with _stoppable(bench):
        for number in range(kills):
            bench.tell("kills", number, kills)
            _one(outcome, lives, rng)
            done += 1
            if number % RESPITE == RESPITE - 1:
                lives.finish(outcome, number)
    outcome.counts["kills"] += done
    outcome.figures["kills_per_s"] = round(done / (time.monotonic() - began), 2)
    outcome.counts.update({f"killed {word}": count for word, count in lives.deaths.items()})


def _one(outcome: Outcome, lives: Lives, rng: random.Random) -> None:
    job = lives.job(rng.getrandbits(32))
    process = born(job, lives.target)
    _kill(process, job, rng.randrange(ACTS_MOST + 1), rng.uniform(0.0, JITTER_S), lives.deaths)
    said = lives.read(job)
    outcome.counts["promises"] += sum(line["did"] in ("told", "answered") for line in said)
    outcome.add(lives.now(said))
    job.ledger.unlink(missing_ok=True)


@contextmanager
def _stoppable(bench: Bench) -> Iterator[None]:
    """Ctrl-C ends what is inside and nothing else: what was counted until then is still told."""
    try:
        yield
    except KeyboardInterrupt:
        bench.stopped = True


def points(bench: Bench) -> Outcome:
    """A unit kills itself at the 1st, 2nd, 3rd … transaction, write, sync, publish or receipt, and is started again."""
    outcome, place = Outcome(), bench.place()
    with recording() as broker:
        lives = Lives(bench.unit(place / "state", broker.mqtt), place)
        said = lives.run(outcome, lives.job(0, plan=PLAN, count_disk=True))
        if why := next((line["why"] for line in said if line["did"] == "not done"), ""):
            raise NotDoneError(why)
        every = range(1, 1 + sum(said[-1].get("points", {}).values()))
        outcome.counts["points of one life"] = len(every)
        places = sorted(bench.rng("points").sample(every, min(QUICK_POINTS, len(every)))) if bench.quick else every
        for done, number in enumerate(places):
            bench.tell("points", done, len(places))
            said = lives.run(outcome, lives.job(number, plan=PLAN, die_at=number, count_disk=True))
            if said and said[-1]["did"] == "died":  # else the life was shorter than the first
                outcome.counts["kills"] += 1
                outcome.counts[f"killed at {said[-1]['at']}"] += 1
                lives.finish(outcome, number)
        end_of(outcome, lives, broker)
    return outcome


def _kill(process: ForkServerProcess, job: Job, acts: int, jitter_s: float, deaths: Counter[str]) -> None:
    """Kill a life `jitter_s` after it has written `acts` lines into its ledger; 0: after its birth."""
    try:
        end = time.monotonic() + PATIENCE_S
        while acts and process.is_alive() and time.monotonic() < end and _lines(job) < acts:
            time.sleep(0.001)
        time.sleep(jitter_s)
        was_alive = process.is_alive()
    finally:
        process.kill()
        process.join()
    here = job.where.read_bytes()
    deaths[WHERE[max(here)] if was_alive else "by itself"] += 1


def _lines(job: Job) -> int:
    return job.ledger.read_bytes().count(b"\n") if job.ledger.exists() else 0


def end_of(outcome: Outcome, lives: Lives, broker: Recording) -> None:
    """One more life that sends what is left; then what was written is held against what arrived."""
    lives.finish(outcome, 0, "fall")
    folder = lives.settings.store.path()
    end = time.monotonic() + PATIENCE_S
    found = reckon(folder, broker.received)
    while found.lost and time.monotonic() < end:  # the desk may still be reading
        time.sleep(0.1)
        found = reckon(folder, list(broker.received))
    outcome.add(found)
