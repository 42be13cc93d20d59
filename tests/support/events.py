"""Events made without a worker, what subscribers wrote down of them, and whether that is as promised."""

import json
from collections import defaultdict
from pathlib import Path
from uuid import uuid4

from redis import Redis

from jobs.connections.client import connect
from jobs.model.keys import KEYS
from jobs.model.submission import Submission
from jobs.settings import Settings
from jobs.store.job_store import JobStore

Told = tuple[str, int]
"""A job and the sequence of one of its events."""


class Producer:
    """Makes jobs of one owner and moves them along: each move is an event."""

    def __init__(self, url: str, **settings: str) -> None:
        self.settings = Settings.from_environ({"JOBS_REDIS_URL": url, **settings})
        self.store = JobStore(connect(url), self.settings)
        self.owner = f"owner-{uuid4().hex[:8]}"
        self.told: list[Told] = []

    @property
    def stream(self) -> str:
        return KEYS.stream_of(self.owner)

    def jobs(self, number: int, events: int = 3, job_id: str = "", message: str = "") -> list[str]:
        """So many finished jobs of so many events each (three at least), their events all mixed.

        ``message`` is what those in between say.
        """
        progress = json.dumps({"percent": None, "current": 1, "total": None, "message": message})
        ids = [self._submit(job_id) for _ in range(number)]
        claims = [self.store.claim(job_id) for job_id in ids]
        self.told += [(job_id, 2) for job_id in ids]
        for step in range(3, events):
            for claim in claims:
                self.store.progress(claim, progress)
                self.told.append((claim.id, step))
        for job_id in ids:
            self.store.complete(job_id, "1")
            self.told.append((job_id, events))
        return ids

    def _submit(self, job_id: str) -> str:
        job = Submission(type="t", owner=self.owner, parameters_json="{}", queue="nobody", max_attempts=1, id=job_id)
        self.store.submit(job, message=None)
        self.told.append((job.id, 1))
        return job.id


def told_in(file: Path) -> list[Told]:
    """What the handlers of :mod:`support.subscribing` were called with, in the order of the calls."""
    lines = [line.split() for line in _lines(file)]
    return [(line[1], int(line[2])) for line in lines if len(line) == 3 and line[1] != "gap"]


def gaps_in(file: Path) -> list[int]:
    return [int(line.split()[2]) for line in _lines(file) if " gap " in line]


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def check_order(told: list[Told]) -> None:
    """Within each job, an event comes for the first time only after all before it; repeats may come at any time."""
    seen: dict[str, int] = defaultdict(int)
    for job_id, sequence in told:
        assert sequence <= seen[job_id] + 1, f"event {sequence} of {job_id} came when {seen[job_id]} was the last"
        seen[job_id] = max(seen[job_id], sequence)


def pending(redis: Redis, stream: str, group: str) -> int:
    return int(redis.xpending(stream, group)["pending"])
