"""What requests that wait cost: the time of a quick job, and the web process's memory, with and without them.

One job of an hour runs throughout, in one of the worker's two children. Each round has a fresh web process: quick jobs
with nobody waiting, then with thousands of requests that wait for the long job.
"""

import http.client
import json
import resource
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import psutil

from benchmarks.process import ROOT
from benchmarks.systems import HOST, QUICK_JOB, BenchmarkError, System
from launch.child import child_options

JOBS = 300
LONG_JOB = b'{"type":"demo.random_delay","parameters":{"seconds":3600}}'
SPARE_FILES = 200
SENT_WITHIN = 40.0
QUIET_WITHIN = 15.0
QUIET = 0.1
"""Share of a core below which the web process has taken in all requests."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round: medians of quick jobs in ms, bytes of memory for each waiting request."""

    alone_ms: float
    crowded_ms: float
    bytes_each: float
    odd: dict[str, int]
    """What waiting requests met that they should not have: kind and how often."""

    @property
    def ratio(self) -> float:
        return self.crowded_ms / self.alone_ms


def measure(system: System, rounds: int, waiters: int, tell: Callable[[str], None]) -> list[Round]:
    """Raises BenchmarkError when the machine's file limit is too low for so many waiters, or nothing got to wait."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < waiters + SPARE_FILES:
        raise BenchmarkError(f"{waiters} waiting requests need a file limit of {waiters + SPARE_FILES}, it is {most}")
    path = f"/jobs/{_start_long_job(system)}"
    found = []
    for number in range(rounds):
        if number:
            system.stop_web()
            system.start_web()
        found.append(_round(system, path, waiters))
        tell(f"waiting, round {number + 1}: {found[-1].alone_ms:.2f} ms alone, {found[-1].crowded_ms:.2f} ms crowded")
    return found


def _round(system: System, path: str, waiters: int) -> Round:
    _quick_jobs(system)  # warm-up
    alone = _quick_jobs(system)
    before = _memory(system)
    with _waiting(system, path, waiters) as final:
        _let_settle(system)
        crowded = _quick_jobs(system)
        after = _memory(system)
    return Round(median(alone), median(crowded), (after - before) / waiters, final)


def _quick_jobs(system: System) -> list[float]:
    """Milliseconds of each of JOBS jobs, one after the other on one connection."""
    connection = http.client.HTTPConnection(HOST, system.port, timeout=15)
    took = []
    try:
        for _ in range(JOBS):
            began = time.perf_counter()
            status, _document = _post(connection, QUICK_JOB)
            took.append((time.perf_counter() - began) * 1000)
            if status != 200:
                raise BenchmarkError(f"{system.name}: a quick job was answered {status} among waiting requests")
    finally:
        connection.close()
    return took


def _start_long_job(system: System) -> str:
    connection = http.client.HTTPConnection(HOST, system.port, timeout=15)
    try:
        status, document = _post(connection, LONG_JOB)
    finally:
        connection.close()
    if status != 202:
        raise BenchmarkError(f"{system.name}: the long job was answered {status}")
    return str(document["id"])


def _post(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, dict[str, Any]]:
    connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def _memory(system: System) -> int:
    """Bytes that the web process has to itself (USS), without what the kernel holds for its sockets."""
    return sum(child.memory_full_info().uss for child in system.web.children)


@contextmanager
def _waiting(system: System, path: str, count: int) -> Iterator[dict[str, int]]:
    """``count`` requests wait, sent by a process of their own; what went wrong for them is in the dict afterwards."""
    command = [sys.executable, "-m", "benchmarks.waiters", str(system.port), path, str(count)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **child_options())
    assert process.stdout is not None
    final: dict[str, int] = {}
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(SENT_WITHIN) or process.stdout.readline() != "waiting\n":
                raise BenchmarkError(f"{system.name}: not all of {count} requests could be sent")
        yield final
        process.terminate()
        final.update(json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _let_settle(system: System) -> None:
    """Wait until the web process is idle: all requests are read, and their waits have begun."""
    deadline = time.monotonic() + QUIET_WITHIN
    while time.monotonic() < deadline:
        if sum(_share_of_a_core(child) for child in system.web.children) < QUIET:
            return
    raise BenchmarkError(f"{system.name}: the web process is busy though all its requests wait")


def _share_of_a_core(process: psutil.Process) -> float:
    return float(process.cpu_percent(interval=0.5)) / 100
