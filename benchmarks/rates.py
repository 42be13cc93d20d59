"""What one web process does in a second besides submit and wait: polls, and jobs accepted in batches."""

import http.client
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks import load
from benchmarks.systems import HOST, QUICK_JOB, BenchmarkError, Ours

CONNECTIONS = 16
SUBMIT_AND_WAIT = load.Load(CONNECTIONS)
BATCHES, JOBS = 20, 1_000
CLIENTS = 2
JSON = {"Content-Type": "application/json"}
BATCH = json.dumps({"jobs": [{"type": "demo.noop", "parameters": {"n": n}} for n in range(JOBS)]}).encode()


def measure(system: Ours, rounds: int, seconds: int, tell: Callable[[str], None]) -> str:
    """A table of requests a second at 16 connections, medians; and how many jobs a second are accepted in batches.

    ``system`` has no worker at the end: what accepts jobs is not to share the machine with what runs them.
    """
    status, document, etag = _ask(system.port, "POST", "/jobs", QUICK_JOB, JSON)
    if status != 200:
        raise BenchmarkError(f"a quick job was answered {status}")
    path = f"/jobs/{json.loads(document)['id']}"
    found: dict[str, list[float]] = {}
    for number in range(rounds):
        for name, rate in _round(system, path, etag, seconds):
            found.setdefault(name, []).append(rate)
        tell(f"rates: round {number + 1}")
    system.stop_worker()
    accepted = [_accept(system.port) for _ in range(rounds)]
    submit = median(found["submit and wait"])
    lines = [f"| {CONNECTIONS} connections | requests/s | to submit and wait |", "|---|---:|---:|"]
    lines += [f"| {name} | {median(rates):,.0f} | {median(rates) / submit:.2f} |" for name, rates in found.items()]
    return "\n".join(
        [
            *lines,
            "",
            f"Accepted in batches of {JOBS:,} by {CLIENTS} clients: {median(accepted):,.0f} jobs/s "
            f"({min(accepted):,.0f} to {max(accepted):,.0f}; at least 8,000 asked).",
        ]
    )


def _round(system: Ours, path: str, etag: str, seconds: int) -> Iterator[tuple[str, float]]:
    base = f"http://{HOST}:{system.port}"
    yield "submit and wait", load.run(system, SUBMIT_AND_WAIT, seconds).rate
    yield "`GET /jobs/{id}`, 200", _wrk(seconds, base + path)
    yield "`GET /jobs/{id}`, 304", _wrk(seconds, "-H", f"If-None-Match: {etag}", base + path)


def _wrk(seconds: int, *arguments: str) -> float:
    command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout=15s", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    if rate is None or "Non-2xx" in done.stdout:
        raise BenchmarkError(f"wrk: {(done.stderr or done.stdout).strip()[-500:]}")
    return float(rate[1])


def _accept(port: int) -> float:
    """Jobs a second."""
    failed: list[int] = []

    def submit() -> None:
        for _ in range(BATCHES // CLIENTS):
            status, _, _ = _ask(port, "POST", "/jobs/batch", BATCH, JSON)
            if status != 202:
                failed.append(status)

    clients = [threading.Thread(target=submit) for _ in range(CLIENTS)]
    began = time.monotonic()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if failed:
        raise BenchmarkError(f"a batch was answered {failed[0]}")
    return BATCHES * JOBS / (time.monotonic() - began)


def _ask(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, str]:
    """Status, body and ETag."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("ETag", "")
    finally:
        connection.close()
