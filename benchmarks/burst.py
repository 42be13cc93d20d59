"""Thousands of requests, each waiting for a job of its own, whose jobs all end at once: how soon is the last answered?

The jobs end by ``finish.lua``, sent by this process as fast as the server takes it: no worker could, on two cores.
"""

import json
import resource
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from typing import Any

from redis import Redis

from benchmarks import table
from benchmarks.systems import HOST, BenchmarkError, Ours
from jobs.connections.scripts import Scripts
from jobs.settings import Settings
from jobs.store.job_store import JobStore

AN_HOUR_AWAY = {"type": "demo.noop", "delay": 3600}
A_BATCH = 1_000
ARRIVE_EACH_SECOND = 400
WAIT = 120
ANSWERED_WITHIN = 30.0
AT_ONCE = 100
"""Commands in one pipeline."""


class PatientOurs(Ours):
    """Ours, where more may wait than are going to."""

    def environ(self, port: int) -> dict[str, str]:
        return {**super().environ(port), "JOBS_MAX_WAITERS": "100000"}


def measure(system: Ours, rounds: int, waiters: int, tell: Callable[[str], None]) -> str:
    """A sentence: medians over the rounds with (lowest to highest)."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    ended, answered = [], []
    for number in range(rounds):
        done = _round(system, waiters)
        ended.append(done[0])
        answered.append(done[1])
        tell(f"burst, round {number + 1}: jobs ended after {done[0]:.2f} s, all were answered after {done[1]:.2f} s")
    jobs, answers = table.cell(ended, "{:.2f}"), table.cell(answered, "{:.2f}")
    return (
        f"{waiters:,} requests wait in one web process, each for a job of its own. All jobs end within {jobs} s, and "
        f"{answers} s after the first end all are answered 200."
    )


def _round(system: Ours, waiters: int) -> tuple[float, float]:
    first, *job_ids = _submit(system.port, waiters + 1)
    with Redis.from_url(system.redis_url, decode_responses=True) as client, _waiting(system.port, job_ids) as selector:
        JobStore(client, Settings()).cancel(first)  # the server learns the script
        pipelines = list(_pipelines(client, job_ids))
        took: list[float] = []
        began = time.monotonic()

        def end() -> None:
            for pipeline in pipelines:
                pipeline.execute()
            took.append(time.monotonic() - began)

        ending = threading.Thread(target=end)
        ending.start()
        answered = _all_answered(selector, began)
        ending.join()
    return took[0], answered


def _submit(port: int, count: int) -> Iterator[str]:
    with closing(HTTPConnection(HOST, port, timeout=30)) as connection:
        for begin in range(0, count, A_BATCH):
            body = json.dumps({"jobs": [AN_HOUR_AWAY] * min(A_BATCH, count - begin)})
            connection.request("POST", "/jobs/batch", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            document = json.loads(answer.read())
            if answer.status != 202:
                raise BenchmarkError(f"a batch was answered {answer.status}")
            yield from document["jobs"]


@contextmanager
def _waiting(port: int, job_ids: Sequence[str]) -> Iterator[selectors.BaseSelector]:
    """A connection for each job, on which a request waits for it."""
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        began = time.monotonic()
        for number, job_id in enumerate(job_ids):
            time.sleep(max(0.0, began + number / ARRIVE_EACH_SECOND - time.monotonic()))
            connection = stack.enter_context(socket.create_connection((HOST, port), timeout=10))
            connection.sendall(f"GET /jobs/{job_id}?wait={WAIT} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
            selector.register(connection, selectors.EVENT_READ)
        if selector.select(1):
            raise BenchmarkError("a request was answered that was to wait")
        yield selector


def _all_answered(selector: selectors.BaseSelector, began: float) -> float:
    """Seconds from ``began`` to the last answer."""
    left = len(selector.get_map())
    while left and time.monotonic() - began < ANSWERED_WITHIN:
        for key, _ in selector.select(1):
            head = key.fileobj.recv(65_536)  # type: ignore[union-attr]
            if not head.startswith(b"HTTP/1.1 200 "):
                raise BenchmarkError(f"a request that waited was answered {head[:40]!r}")
            selector.unregister(key.fileobj)
            left -= 1
    if left:
        raise BenchmarkError(f"{left} requests were not answered in {ANSWERED_WITHIN:g} s")
    return time.monotonic() - began


class _Collecting(JobStore):
    """A store whose script calls go into a pipeline, as if each had been done."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client, Settings())
        self._scripts = Scripts(client, self._collect)
        self.pipeline: Any = None

    def _collect(self, *command: Any) -> list[int]:
        self.pipeline.execute_command(*command)
        return [1]


def _pipelines(client: Redis, job_ids: Sequence[str]) -> Iterator[Any]:
    """What makes the jobs end, ``AT_ONCE`` at a time."""
    store = _Collecting(client)
    for begin in range(0, len(job_ids), AT_ONCE):
        store.pipeline = client.pipeline(transaction=False)
        for job_id in job_ids[begin : begin + AT_ONCE]:
            store.cancel(job_id)
        yield store.pipeline
