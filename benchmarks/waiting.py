"""What requests that wait cost: the time of a quick job, and the web process's memory, with and without them.

One job of an hour runs throughout, in one of the worker's two children. A web process, fresh in each round, is timed
before and while thousands of requests wait on it for the long job. A second one on the same worker and server, where
nobody ever waits, gets quick jobs in turn with it: what the waiting costs the parts that both share shows there, and so
does a machine that gets slower meanwhile.
"""

import json
import resource
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from statistics import median
from typing import Any

import psutil

from benchmarks import machine
from benchmarks.process import ROOT, MeasuredProcess
from benchmarks.systems import HOST, QUICK_JOB, BenchmarkError, System
from launch.child import child_options

WARM_UP_TURNS, TURNS, JOBS_A_TURN = 4, 12, 25
LONG_JOB = b'{"type":"demo.random_delay","parameters":{"seconds":3600}}'
SPARE_FILES = 200
SENT_WITHIN = 60.0
ENDED_WITHIN = 10.0
QUIET_WITHIN = 15.0
QUIET = 0.1
"""Share of a core below which the web process has taken in all requests."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round: medians of quick jobs in ms, bytes of memory for each waiting request."""

    before_ms: float
    crowded_ms: float
    beside_ms: float
    """At the same time as ``crowded_ms``, through the web process where nobody waits."""
    bytes_each: float
    others: float
    """Share of the machine that others used meanwhile (see :mod:`benchmarks.machine`)."""
    odd: dict[str, int]
    """What waiting requests met that they should not have: kind and how often."""

    @property
    def ratio(self) -> float:
        return self.crowded_ms / self.before_ms


def measure(system: System, rounds: int, waiters: int, tell: Callable[[str], None]) -> list[Round]:
    """Raises BenchmarkError when the machine's file limit is too low for so many waiters, or nothing got to wait."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < waiters + SPARE_FILES:
        raise BenchmarkError(f"{waiters} waiting requests need a file limit of {waiters + SPARE_FILES}, it is {most}")
    path = f"/jobs/{_start_long_job(system)}"
    found = []
    for number in range(rounds):
        with system.another_web() as (port, web):
            found.append(_round(system.port, port, web, path, waiters))
        tell(f"waiting, round {number + 1}: {found[-1].before_ms:.2f} ms before, {found[-1].crowded_ms:.2f} ms crowded")
    return found


def _round(beside: int, crowded: int, web: MeasuredProcess, path: str, waiters: int) -> Round:
    """``beside`` and ``crowded`` are ports; ``web`` is the process behind the second."""
    _in_turns(WARM_UP_TURNS, beside, crowded)
    began = machine.read()
    quiet = _in_turns(TURNS, beside, crowded)
    before = _memory(web)
    with _waiting(crowded, path, waiters) as odd:
        _let_settle(web)
        took = _in_turns(TURNS, beside, crowded)
        after = _memory(web)
        others = machine.taken_by_others(began, machine.read())
    return Round(
        before_ms=median(quiet[crowded]),
        crowded_ms=median(took[crowded]),
        beside_ms=median(took[beside]),
        bytes_each=(after - before) / waiters,
        others=others,
        odd=odd,
    )


def _in_turns(turns: int, *ports: int) -> dict[int, list[float]]:
    """Milliseconds of quick jobs, one after the other, on one connection to each of the ports."""
    took: dict[int, list[float]] = {port: [] for port in ports}
    with ExitStack() as stack:
        to = {port: stack.enter_context(closing(HTTPConnection(HOST, port, timeout=15))) for port in ports}
        for _ in range(turns):
            for port, connection in to.items():
                took[port] += [_quick_job(connection) for _ in range(JOBS_A_TURN)]
    return took


def _quick_job(connection: HTTPConnection) -> float:
    began = time.perf_counter()
    status, _ = _post(connection, QUICK_JOB)
    if status != 200:
        raise BenchmarkError(f"a quick job was answered {status}")
    return (time.perf_counter() - began) * 1000


def _start_long_job(system: System) -> str:
    with closing(HTTPConnection(HOST, system.port, timeout=15)) as connection:
        status, document = _post(connection, LONG_JOB)
    if status != 202:
        raise BenchmarkError(f"{system.name}: the long job was answered {status}")
    return str(document["id"])


def _post(connection: HTTPConnection, body: bytes) -> tuple[int, dict[str, Any]]:
    connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def _memory(web: MeasuredProcess) -> int:
    """Bytes that the web process has to itself (USS), without what the kernel holds for its sockets."""
    return sum(child.memory_full_info().uss for child in web.children)


@contextmanager
def _waiting(port: int, path: str, count: int) -> Iterator[dict[str, int]]:
    """``count`` requests wait, sent by a process of their own; what went wrong for them is in the dict afterwards."""
    command = [sys.executable, "-m", "benchmarks.waiters", str(port), path, str(count)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **child_options())
    assert process.stdout is not None
    final: dict[str, int] = {}
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(SENT_WITHIN) or process.stdout.readline() != "waiting\n":
                raise BenchmarkError(f"not all of {count} requests could be sent")
        yield final
        process.terminate()
        final.update(json.loads(process.communicate(timeout=ENDED_WITHIN)[0]))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _let_settle(web: MeasuredProcess) -> None:
    """Wait until the web process is idle: all requests are read, and their waits have begun."""
    deadline = time.monotonic() + QUIET_WITHIN
    while time.monotonic() < deadline:
        if sum(_share_of_a_core(child) for child in web.children) < QUIET:
            return
    raise BenchmarkError("the web process is busy though all its requests wait")


def _share_of_a_core(process: psutil.Process) -> float:
    return float(process.cpu_percent(interval=0.5)) / 100
