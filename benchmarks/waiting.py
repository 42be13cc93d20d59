"""What it costs others, and how much memory it takes, when thousands of requests wait in one web process."""

import http.client
import json
import multiprocessing
import resource
import socket
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import NOOP, System

WAITERS = 5_000
QUICK_JOBS = 300
ROUNDS = 3
WAIT = 60


@dataclass(frozen=True, slots=True)
class Waiting:
    """Milliseconds a quick job takes with nobody waiting and with all of them, and bytes for each waiter."""

    waiters: int
    alone: float
    among: float
    bytes_each: float


def measure(system: System, waiters: int = WAITERS) -> Waiting:
    """Quick jobs with 0 and with ``waiters`` requests waiting for one long job, in turn; the medians of the rounds."""
    job_id = _start_long_job(system.port)
    _quick_jobs(system.port)  # warm
    alone, among, memory = [], [], []
    for _ in range(ROUNDS):
        before = _memory(system.web_worker_pid())
        alone.append(_quick_jobs(system.port))
        stop, up = multiprocessing.Event(), multiprocessing.Event()
        crowd = multiprocessing.Process(target=_wait_together, args=(system.port, job_id, waiters, up, stop))
        crowd.start()
        try:
            if not up.wait(30):
                raise SystemExit(f"{waiters} requests could not be brought to wait")
            time.sleep(1.0)  # let the last of them be read: nothing tells us from outside
            among.append(_quick_jobs(system.port))
            memory.append((_memory(system.web_worker_pid()) - before) / waiters)
        finally:
            stop.set()
            crowd.join(20)
            crowd.kill()
        time.sleep(1.0)
    return Waiting(waiters, statistics.median(alone), statistics.median(among), memory[0])


def _start_long_job(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=12)
    body = json.dumps({"type": "demo.random_delay", "parameters": {"seconds": 600}})
    connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
    job_id: str = json.load(connection.getresponse())["id"]
    connection.close()
    return job_id


def _quick_jobs(port: int) -> float:
    """The median time of a no-op job, in milliseconds, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=12)
    times = []
    for _ in range(QUICK_JOBS):
        began = time.perf_counter()
        connection.request("POST", "/jobs", NOOP, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"a quick job was answered {answer.status}")
        times.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(times) * 1000


def _wait_together(port: int, job_id: str, waiters: int, up: object, stop: object) -> None:
    """Have that many requests wait, in a process of its own, until told to stop."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < waiters + 100:
        raise SystemExit(f"at most {hard} files may be open here (ulimit -Hn); {waiters + 100} are needed")
    request = f"GET /jobs/{job_id}?wait={WAIT} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    sockets = []
    for _ in range(waiters):
        one = socket.create_connection(("127.0.0.1", port), timeout=10)
        one.sendall(request)
        sockets.append(one)
    up.set()  # type: ignore[attr-defined]
    stop.wait(WAIT)  # type: ignore[attr-defined]
    for one in sockets:
        one.close()


def _memory(pid: int) -> int:
    """Bytes that this process alone holds."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))) * 1024
