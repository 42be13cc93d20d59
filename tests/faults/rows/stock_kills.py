"""The first row: stock Celery on Redis under the same kills as row 1."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from celery import Celery
from redis import Redis

from faults.kills import Kill, Killer
from faults.outcome import Bench, Outcome, Row
from faults.rows.worker_kills import bodies, kill_again_and_again, rate
from faults.site import Site

QUIET_FOR = 22.0
"""Seconds without another end, in more than two visibility timeouts: what has not ended then, never will."""
AT_MOST = 120.0


class StockSite(Site):
    """Redis and stock workers; there is no web process."""

    worker_module = ("celery", "-A", "faults.stock", "worker")

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.environ = {"STOCK_REDIS_URL": self.server.url}


class StockCensus:
    """From what the tasks note, and Celery's own list of what is not acknowledged."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def running(self, pids: set[int]) -> dict[str, int]:
        found = self._redis.hgetall("faults:running")
        return self._starts({job_id for pid, job_id in found.items() if int(pid) in pids})

    def fetched(self) -> dict[str, int]:
        messages = [json.loads(text)[0] for text in self._redis.hvals("unacked")]
        fetched = {message["headers"]["id"] for message in messages}
        return self._starts(fetched - set(self._redis.hvals("faults:running")))

    def _starts(self, job_ids: set[str]) -> dict[str, int]:
        return {job_id: self._redis.llen(f"faults:starts:{job_id}") for job_id in job_ids}


def run(bench: Bench) -> Outcome:
    """The same jobs, the same kills, the same pauses."""
    count, kills = bench.size(10_000, 1_000), bench.size(40, 6)
    with StockSite(bench.room("stock")) as site:
        app = Celery("client", broker=site.server.url, backend=site.server.url)
        for worker in [site.start_worker(wait=False), site.start_worker(wait=False)]:
            site.wait_until_ready(worker)
        killer = Killer(site, StockCensus(site.redis), bench.chance)
        seconds = [body["parameters"]["seconds"] for body in bodies(bench.chance, count)]
        with ThreadPoolExecutor(1) as clients:
            sent = clients.submit(_send, app, seconds, rate(count, kills))
            kill_again_and_again(killer, bench.chance, kills)
        _wait_until_quiet(site.redis, count)
        app.close()
        return _outcome(sent.result(), killer.kills, site.redis)


def _send(app: Celery, seconds: list[float], each_second: float) -> list[str]:
    """Every job, at the rate of row 1; the ids."""
    began, ids = time.monotonic(), []
    for n, one in enumerate(seconds):
        time.sleep(max(0.0, began + n / each_second - time.monotonic()))
        ids.append(str(app.send_task("stock.work", [one]).id))
    return ids


def _wait_until_quiet(redis: Redis, count: int) -> None:
    """Until all have ended and are acknowledged, or nothing has changed for ``QUIET_FOR`` seconds."""
    began = changed = time.monotonic()
    before = (-1, -1, -1)
    while (now := time.monotonic()) - changed < QUIET_FOR and now - began < AT_MOST:
        state = (redis.hlen("faults:ends"), redis.hlen("unacked"), redis.llen("celery"))
        if state == (count, 0, 0):
            return
        if state != before:
            before, changed = state, now
        time.sleep(0.2)


def _outcome(ids: list[str], kills: list[Kill], redis: Redis) -> Outcome:
    kinds = [kill.what for kill in kills]
    ends = redis.hgetall("faults:ends")
    unended = [job_id for job_id in ids if job_id not in ends]
    kept = {json.loads(text)[0]["headers"]["id"] for text in redis.hvals("unacked")}
    kept |= {json.loads(text)["headers"]["id"] for text in redis.lrange("celery", 0, -1)}
    missing = [job_id for job_id in unended if job_id not in kept]
    twice = [job_id for job_id, times in ends.items() if int(times) > 1]
    outcome = Outcome(
        accepted=len(ids),
        faults=", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds)),
        lost=len(missing),
        twice=len(twice),
        recovery=_recovery(kills, redis),
    )
    for job_id in missing:
        outcome.require(False, "was sent, has no message and never ended", job_id)
    for job_id in twice:
        outcome.require(False, "ended twice", job_id)
    outcome.notes.append("its visibility timeout is 10 s here, for it is what recovery waits for; the default is 1 h")
    stuck = len(unended) - len(missing)
    outcome.notes.append(f"{stuck} more had not ended {QUIET_FOR:g} s after the last sign of life, and had a message")
    return outcome


def _recovery(kills: list[Kill], redis: Redis) -> list[float]:
    times = []
    for kill in kills:
        for job_id, starts in kill.attempts.items():
            again = redis.lindex(f"faults:starts:{job_id}", starts)
            if again is not None:
                times.append(max(0.0, float(again) - kill.at))
    return times


ROW = Row("stock", "stock Celery, acks_late, reject_on_worker_lost, 2 workers: kill -9", run)
