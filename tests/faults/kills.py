"""``kill -9`` of workers and their children, and how long the jobs they had take to start again."""

import contextlib
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from support.processes import Process

from faults.evidence import Evidence, attempt_of, without_message
from faults.site import READY, Site, children_of
from jobs.model.keys import KEYS
from jobs.model.status import Status

_RECEIVED = re.compile(r"Task \S+?\[([0-9a-f-]+)\] received")


@dataclass(frozen=True)
class Kill:
    """One kill: when (wall clock), and which attempts of which jobs it took."""

    at: float
    what: str
    attempts: dict[str, int] = field(default_factory=dict)


class Census(Protocol):
    """Who has which job: asked while the victims stand still."""

    def running(self, pids: set[int]) -> dict[str, int]:
        """Jobs that these processes run, and the attempt."""

    def fetched(self) -> dict[str, int]:
        """Jobs that some worker has fetched and not started, and how often they have started."""


class OurCensus:
    """From the records in Redis."""

    def __init__(self, site: Site) -> None:
        self._redis = site.redis

    def running(self, pids: set[int]) -> dict[str, int]:
        records = self._of(self._redis.zrange(KEYS.index_of_status(Status.IN_PROGRESS), 0, -1))
        return {
            job_id: attempt_of(fields)
            for job_id, fields in records.items()
            if fields["status"] == Status.IN_PROGRESS and int(fields["holder"].rpartition("/")[2]) in pids
        }

    def fetched(self) -> dict[str, int]:
        records = self._of(list(without_message(self._redis)))
        return {job_id: attempt_of(f) for job_id, f in records.items() if f["status"] == Status.NEW}

    def _of(self, job_ids: list[str]) -> dict[str, dict[str, str]]:
        pipe = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hmget(KEYS.record(job_id), "status", "attempt", "holder")
        found = zip(job_ids, pipe.execute(), strict=True)
        return {i: {"status": s, "attempt": a, "holder": h or "/0"} for i, (s, a, h) in found if s}


class Killer:
    """Kills processes of the workers of ``site``, and starts new ones as a supervisor would."""

    def __init__(self, site: Site, census: Census, chance: random.Random) -> None:
        self._site, self._census, self._chance = site, census, chance
        self.kills: list[Kill] = []

    def child(self) -> None:
        """One process of a pool."""
        worker = self._victim()
        children = [child.pid for child in children_of(worker)]
        if not children:
            return
        pid = self._chance.choice(children)
        with standing_still([pid]):
            running = self._census.running({pid})
            self._note("child", running)
            self._site.end(worker, [pid])

    def main(self) -> None:
        """A worker's main process alone: its children finish what they run."""
        worker = self._victim()
        with standing_still([worker.popen.pid]):
            fetched = self._fetched_by(worker)
            self._note("main process", fetched)
            self._site.end(worker, [worker.popen.pid])
        self._site.start_worker(wait=False)

    def whole(self) -> None:
        """A worker with all its children, as the end of a container."""
        worker = self._victim()
        pids = [worker.popen.pid, *(child.pid for child in children_of(worker))]
        with standing_still(pids):
            attempts = self._fetched_by(worker) | self._census.running(set(pids))
            self._note("worker", attempts)
            self._site.end(worker, pids)
        self._site.start_worker(wait=False)

    def _note(self, what: str, attempts: dict[str, int]) -> None:
        self.kills.append(Kill(time.time(), what, attempts))

    def _victim(self) -> Process:
        """One of the workers; the others are up, for a service whose every worker is dead at once cannot heal."""
        for worker in self._site.workers:
            self._site.wait_until_ready(worker)
        return self._chance.choice(self._site.workers)

    def _fetched_by(self, victim: Process) -> dict[str, int]:
        """What no other worker has received: the victim's, logged by it or not."""
        fetched = self._census.fetched()
        others = [worker for worker in self._site.workers if worker is not victim and READY in worker.text]
        received = {job_id for worker in others for job_id in _RECEIVED.findall(worker.text)}
        return {job_id: attempt for job_id, attempt in fetched.items() if job_id not in received}


@contextmanager
def standing_still(pids: list[int]) -> Iterator[None]:
    """Stop processes while it is seen what they have."""
    for pid in pids:
        _send(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        _send(pid, signal.SIGCONT)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def recovery_times(kills: list[Kill], evidence: Evidence) -> list[float]:
    """For every attempt that a kill took: seconds until the job's next one began.

    A job may be taken again before that: only its last kill counts then.
    """
    taken = {(job_id, attempt): kill.at for kill in kills for job_id, attempt in kill.attempts.items()}
    starts = {key: _start_after(evidence, *key) for key in taken}
    return [max(0.0, start - taken[key]) for key, start in starts.items() if start is not None]


def _start_after(evidence: Evidence, job_id: str, attempt: int) -> float | None:
    for event in evidence.events.get(job_id, []):
        if event.data["status"] == Status.IN_PROGRESS and event.data["attempt"] > attempt:
            return datetime.fromisoformat(event.time).timestamp()
    return None
