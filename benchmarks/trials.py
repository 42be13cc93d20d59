"""What a worker's pool can do to a job that goes wrong: tried on a running worker, not taken from its documentation."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis

from benchmarks.systems import BenchmarkError, Ours
from jobs.model.keys import KEYS

LEASE = 2.0
MEGABYTES = 600
"""``JOBS_MAX_MEMORY`` of the worker; a job asks for twice that."""
LONG = 3.0
"""Seconds of a job that is to be ended before, with a limit of 1."""
SOON = 1.0
SETTLED_WITHIN = 20.0


class OursWithPool(Ours):
    """Ours with another pool in its worker, and the job types of :mod:`benchmarks.kinds`."""

    def __init__(self, directory: Path, pool: str, count: int) -> None:
        super().__init__(directory)
        self.directory, self._pool = directory, [pool, "-c", str(count)]
        self.name = f"{pool}, {count}" if pool != "solo" else pool

    def worker_arguments(self) -> list[str]:
        return ["workers", "-P", *self._pool]

    def environ(self, port: int) -> dict[str, str]:
        return {**super().environ(port), "JOBS_MODULES": "benchmarks.kinds"}


class Tried(OursWithPool):
    """With limits that a trial need not wait long for."""

    def environ(self, port: int) -> dict[str, str]:
        limits = {"JOBS_LEASE": str(LEASE), "JOBS_MAX_MEMORY": str(MEGABYTES * 1024 * 1024)}
        return {**super().environ(port), **limits}

    def run(self, job_type: str, wait: float = 15.0, **parameters: Any) -> dict[str, Any]:
        """The job after at most ``wait`` seconds."""
        return self.ask("POST", "/jobs", {"type": job_type, "parameters": parameters, "wait": wait})

    def cancel(self, job_id: str) -> None:
        """By force."""
        self.ask("POST", f"/jobs/{job_id}/cancel", {"force": True})

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended, or after ``SETTLED_WITHIN`` seconds."""
        return self.ask("GET", f"/jobs/{job_id}?wait={SETTLED_WITHIN:g}")

    @property
    def worker_lives(self) -> bool:
        return self._worker is not None and self._worker.is_running

    def replace_worker(self) -> None:
        """Another one in place of one that has died."""
        self.stop_worker()
        self._worker = self._start(self.worker_arguments(), 0, "worker.log")


def hard_limit_of_a_wait(pool: Tried) -> str:
    return _hard_limit(pool, "bench.stay_limited")


def hard_limit_of_a_computation(pool: Tried) -> str:
    return _hard_limit(pool, "bench.spin_limited")


def soft_limit(pool: Tried) -> str:
    return "raised" if pool.run("bench.stay_softly", seconds=LONG)["result"] else "not raised"


def forced_cancel(pool: Tried) -> str:
    file = pool.directory / "cancelled"
    job_id = pool.run("bench.stay", wait=SOON / 2, seconds=LONG, file=str(file))["id"]
    pool.cancel(job_id)
    time.sleep(LONG)
    return _code_ended(file)


def memory_limit(pool: Tried) -> str:
    document = pool.run("bench.take", megabytes=2 * MEGABYTES)
    return "MemoryError" if (document["error"] or {}).get("type") == "memory-limit" else "not limited"


def lease_of_a_computation(pool: Tried) -> str:
    """Whether another worker would have taken the job meanwhile."""
    job_id = pool.run("bench.spin", wait=0, seconds=2 * LEASE)["id"]
    lapsed = False
    with Redis.from_url(pool.redis_url, decode_responses=True) as redis:
        until = time.monotonic() + 2 * LEASE
        while time.monotonic() < until:
            lease, (seconds, micros) = redis.zscore(KEYS.leases, job_id), redis.time()
            lapsed |= lease is not None and lease < seconds * 1e6 + micros
            time.sleep(LEASE / 20)
    pool.ended(job_id)
    return "**lost**: it runs twice" if lapsed else "kept"


def others_meanwhile(pool: Tried) -> str:
    """How long a quick job takes beside one that computes."""
    job_id = pool.run("bench.spin", wait=0, seconds=LONG)["id"]
    time.sleep(SOON / 2)
    began = time.monotonic()
    pool.run("demo.noop")
    took = time.monotonic() - began
    pool.ended(job_id)
    return f"wait {took:.1f} s" if took > SOON else "go on"


def crash(pool: Tried) -> str:
    """What one job that kills its process takes along; the last trial, for there may be no worker afterwards."""
    beside = pool.run("bench.stay", wait=SOON / 2, seconds=LONG, file=str(pool.directory / "beside"))["id"]
    crashed = pool.run("bench.crash", wait=LONG + SOON)
    lives = pool.worker_lives
    if not lives:
        pool.replace_worker()
    ends = pool.ended(crashed["id"]), pool.ended(beside)
    if ends[0]["status"] != "Failed" or ends[1]["status"] != "Completed":
        raise BenchmarkError(f"{pool.name}: after a crash: {ends}")
    if lives and ends[1]["attempt"] == 1:
        return "that process"
    return "the worker; others run again" if ends[1]["attempt"] > 1 else "the worker"


TRIALS: dict[str, Callable[[Tried], str]] = {
    "hard time limit, the job waits": hard_limit_of_a_wait,
    "hard time limit, it computes": hard_limit_of_a_computation,
    "soft time limit": soft_limit,
    "forced cancel": forced_cancel,
    "`JOBS_MAX_MEMORY`": memory_limit,
    "lease, while it computes": lease_of_a_computation,
    "other jobs, while one computes": others_meanwhile,
    "a crash ends": crash,
}
"""In the order in which they are made."""


def table_of(found: dict[str, dict[str, str]]) -> str:
    """``found``: by pool, the outcome of each trial."""
    lines = [f"| tried | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    lines += [f"| {trial} | {' | '.join(one[trial] for one in found.values())} |" for trial in TRIALS]
    return "\n".join(lines)


def _hard_limit(pool: Tried, job_type: str) -> str:
    file = pool.directory / job_type
    began = time.monotonic()
    document = pool.run(job_type, seconds=LONG, file=str(file))
    time.sleep(max(0.0, began + LONG + SOON - time.monotonic()))
    told = (document["error"] or {}).get("type") == "time-limit"
    return _code_ended(file) if told else "**not ended**"


def _code_ended(file: Path) -> str:
    return "**runs on**" if file.exists() else "ended"
