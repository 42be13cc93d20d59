"""Row 9: durable subscribers: ``kill -9`` of consumers, one away for a minute, one slow, and entries of all kinds."""

import random
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import psutil
from redis import Redis
from support.bad_entries import NO_EVENTS
from support.eventually import eventually
from support.processes import Process

from faults.consumer import Handled, handled
from faults.evidence import gather, settle
from faults.invariants import Violation
from faults.load import Body, Load
from faults.outcome import Bench, Outcome, Row
from faults.site import Site
from faults.table import recovery
from jobs.events.group import subscription_name
from jobs.model.event import Event
from jobs.model.keys import KEYS

BODY: Body = {"type": "faults.work", "parameters": {"seconds": 0.0}}
EVENTS_A_JOB = 3
CONSUMERS = 3
PAUSE = 0.015
"""Seconds a handler takes: three consumers are busy for most of the time, and a kill takes what one has in hand."""
QUICK, SLOW = 0.001, 0.012
"""Slow: it falls behind."""
ALL_WITHIN = 60.0
"""Seconds after the last event in which every one has been handled."""
SET_ASIDE_WITHIN = 60.0
GROWTH = 30
"""MB that a subscriber may need for being far behind."""


class Consumers:
    """The processes of one subscribing service, each with a file of what it was handed."""

    def __init__(self, site: Site, service: str, mode: str = "durable", pause: float = PAUSE) -> None:
        self._site, self._service, self._mode, self._pause = site, service, mode, pause
        self._running: list[Process] = []
        self.files: list[Path] = []

    def start(self, count: int = 1) -> None:
        for _ in range(count):
            file = self._site.directory / f"{self._service}-{len(self.files)}.txt"
            file.touch()
            self.files.append(file)
            arguments = (self._service, self._mode, str(self._pause), str(file))
            self._running.append(self._site.start_process(self._service, "faults.consumer", *arguments))

    def wait_until_listening(self) -> None:
        """The first of all: a new group begins with what comes from then on."""
        redis = self._site.redis
        if self._mode == "durable":
            eventually(lambda: self._service in _groups(redis), within=20)
        else:
            eventually(lambda: redis.pubsub_numpat() >= 1, within=20)

    def kill_one(self, chance: random.Random) -> None:
        victim = chance.choice(self._running)
        self._running.remove(victim)
        victim.kill()

    def kill_all(self) -> None:
        for process in self._running:
            process.kill()
        self._running.clear()

    def megabytes(self) -> int:
        return max(psutil.Process(process.popen.pid).memory_info().rss for process in self._running) >> 20

    def handled(self) -> list[Handled]:
        return handled(*self.files)

    def handled_ids(self) -> set[tuple[str, int]]:
        return {(call.job_id, call.sequence) for call in self.handled()}


def run(bench: Bench) -> Outcome:
    """All at once: one service whose consumers are killed, one that is away, one that is slow."""
    count, kills, away = bench.size(3_400, 400), bench.size(20, 5), bench.size(60, 6)
    outcome = Outcome(
        faults=f"{kills} x kill -9 of a consumer, {away} s away, one slow, {len(NO_EVENTS)} bad entries, one twice"
    )
    with Site(bench.room("site")) as site:
        site.start(workers=1)
        busy, absent, slow = (
            Consumers(site, name, pause=p) for name, p in (("busy", PAUSE), ("absent", QUICK), ("slow", SLOW))
        )
        for service, size in ((busy, CONSUMERS), (absent, 1), (slow, 1)):
            service.start(size)
            service.wait_until_listening()
        memory = slow.megabytes()
        absent.kill_all()
        gone_at, strewn = time.monotonic(), []
        with Load(site, [BODY] * count, rate=count / (away + 5)) as load:
            for _ in range(kills):
                time.sleep(bench.chance.uniform(0.3, 1.7) * away / kills)
                busy.kill_one(bench.chance)
                busy.start()
                strewn = strewn or _strew(site.redis)
            time.sleep(max(0.0, gone_at + away - time.monotonic()))
            absent.start()
        settle(site)
        memory = slow.megabytes() - memory
        for name in ("busy", "absent", "slow"):
            _judge_dead_letters(outcome, site.redis, name)
        site.redis.xdel(KEYS.stream, *strewn)  # of the jobs' own events nothing may be missing, and nothing is twice
        evidence = gather(site, load)
        events = [event for some in evidence.events.values() for event in some]
        _all_handled((busy, absent, slow), len(events), within=ALL_WITHIN + len(events) * SLOW)
    outcome.judge(evidence)
    outcome.require(len(events) >= EVENTS_A_JOB * count, f"there were only {len(events)} events")
    outcome.require(memory < GROWTH, f"the slow subscriber grew by {memory} MB")
    again = len(busy.handled()) - len(busy.handled_ids())
    outcome.require(bench.short or again, "no kill took an event with it: nothing was tried")
    for name, service in (("busy", busy), ("absent", absent), ("slow", slow)):
        _judge(outcome, name, service.handled(), events)
    return outcome


def twin(bench: Bench) -> Outcome:
    """A live subscriber, which is told what happens while it is there."""
    with Site(bench.room("twin")) as site:
        site.start(workers=1)
        live = Consumers(site, "live", mode="live")
        live.start()
        live.wait_until_listening()
        with Load(site, [BODY] * 200, rate=40) as load:
            time.sleep(1.5)
            live.kill_all()
            time.sleep(1.0)
            live.start()
        settle(site)
        evidence = gather(site, load)
        time.sleep(2.0)  # whatever is still under way is handed over by now
    outcome = Outcome().judge(evidence)
    _judge(outcome, "live", live.handled(), [event for some in evidence.events.values() for event in some])
    return outcome


def _judge(outcome: Outcome, name: str, calls: list[Handled], events: list[Event]) -> None:
    """I8: each event at least once, and those of a job in order."""
    first: dict[tuple[str, int], float] = {}
    for call in calls:
        first.setdefault((call.job_id, call.sequence), call.at)
    missed = [event for event in events if (event.job_id, event.sequence) not in first]
    if missed:
        what = f"{name}: {len(missed)} of {len(events)} events were not handled"
        outcome.violations.append(Violation("I8", missed[0].job_id, what))
    for job_id, times in _by_job(first).items():
        if any(later < earlier for earlier, later in pairwise(times)):
            outcome.violations.append(Violation("I8", job_id, f"{name}: its events were handled out of order"))
    outcome.notes.append(f"{name}: {len(calls) - len(first)} repeats in {len(calls)} calls; {_delays(first, events)}")


def _strew(redis: Redis) -> list[str]:
    """Put entries into the stream that are no events, and one event once more; their ids."""
    [(_, again)] = redis.xrange(KEYS.stream, count=1)
    return [str(redis.xadd(KEYS.stream, fields)) for fields in (*(bad for bad, _ in NO_EVENTS.values()), again)]


def _judge_dead_letters(outcome: Outcome, redis: Redis, service: str) -> None:
    """Each entry that is no event is set aside with its reason, once, and what came after it went on."""
    dead = KEYS.subscription(subscription_name(service, None), "dead")
    with suppress(AssertionError):
        eventually(lambda: redis.xlen(dead) >= len(NO_EVENTS), within=SET_ASIDE_WITHIN)
    found = [fields["reason"] for _, fields in redis.xrange(dead)]
    wanted = [reason for _, reason in NO_EVENTS.values()]
    fits = len(found) == len(wanted) and all(any(want in got for got in found) for want in wanted)
    outcome.require(fits, f"{service}: {len(wanted)} entries were no events, set aside were {found}")


def _groups(redis: Redis) -> set[str]:
    return {group["name"] for group in redis.xinfo_groups(KEYS.stream)} if redis.exists(KEYS.stream) else set()


def _by_job(first: dict[tuple[str, int], float]) -> dict[str, list[float]]:
    """When the events of each job were handled for the first time, in the order of the job."""
    jobs: dict[str, list[float]] = {}
    for job_id, sequence in sorted(first):
        jobs.setdefault(job_id, []).append(first[job_id, sequence])
    return jobs


def _delays(first: dict[tuple[str, int], float], events: list[Event]) -> str:
    """From an event to its handling."""
    happened = {(event.job_id, event.sequence): datetime.fromisoformat(event.time).timestamp() for event in events}
    delays = [when - happened[which] for which, when in first.items() if which in happened]
    return f"handled {recovery(delays)} s after the event (p50 / p99 / max)"


def _all_handled(services: Iterable[Consumers], events: int, within: float) -> None:
    """Wait until each service has been handed as many; what is missing at the deadline is found by the judge."""
    deadline = time.monotonic() + within
    for service in services:
        with suppress(AssertionError):
            eventually(lambda s=service: len(s.handled_ids()) >= events, max(0.0, deadline - time.monotonic()))


ROW = Row(
    "9",
    "10,000 events, durable subscribers: consumers killed, away, slow",
    run,
    twin_is="live mode",
    twin=twin,
    twin_breaks="I8",
    beside="outages",
)
