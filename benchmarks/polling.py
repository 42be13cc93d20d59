"""What ``Retry-After`` is worth: a client that obeys it, how often it asks and how late it learns of the end."""

import json
import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from statistics import mean, median, quantiles

from benchmarks.systems import HOST, BenchmarkError, Ours

AT_ONCE = 60
SEED = 7


class OursWithLengths(Ours):
    """One worker whose pool runs everything at once: what is measured is the answer, not the queue."""

    def worker_arguments(self) -> list[str]:
        return ["workers", "-P", "threads", "-c", str(AT_ONCE)]

    def environ(self, port: int) -> dict[str, str]:
        return {**super().environ(port), "JOBS_MODULES": "benchmarks.lengths"}


@dataclass(frozen=True, slots=True)
class Learned:
    """One job: its type and length in seconds, how often it was asked for, and how late its end was known."""

    type: str
    seconds: float
    polls: int
    late: float


def measure(system: Ours, jobs: int, tell: Callable[[str], None]) -> list[Learned]:
    """Half of the jobs are of about 5 s, half anything from 1 to 30 s; none has been seen when the first begins."""
    rng = random.Random(SEED)
    lengths = [("bench.steady", rng.gauss(5, 0.3)) for _ in range(jobs // 2)]
    lengths += [("bench.mixed", math.exp(rng.uniform(0, math.log(30)))) for _ in range(jobs // 2)]
    rng.shuffle(lengths)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda one: _follow(system.port, *one), lengths))
    tell(f"polling: {jobs} jobs, {mean(one.polls for one in found):.1f} polls each")
    return found


def table(found: list[Learned]) -> str:
    """Polls and lateness by type, with what most people do instead: asking once a second."""
    lines = [
        "| jobs | lengths | polls, mean | late, in lengths: median | 90 % within | asking each second: polls |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for kind, what in (("bench.steady", "about 5 s"), ("bench.mixed", "1 to 30 s, log-uniform"), (None, "all")):
        some = [one for one in found if kind is None or one.type == kind]
        late = [one.late / one.seconds for one in some]
        lines.append(
            f"| {len(some)} | {what} | {mean(one.polls for one in some):.2f} | {median(late):.0%} "
            f"| {quantiles(late, n=10)[-1]:.0%} | {mean(math.ceil(one.seconds) for one in some):.1f} |"
        )
    return "\n".join(lines)


def _follow(port: int, job_type: str, seconds: float) -> Learned:
    body = json.dumps({"type": job_type, "parameters": {"seconds": seconds}}).encode()
    connection = HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
        polls = 0
        while answer.status == 202:
            threading.Event().wait(int(answer.headers["Retry-After"]))
            polls += 1
            connection.request("GET", f"/jobs/{document['id']}")
            answer = connection.getresponse()
            document = json.loads(answer.read())
        if answer.status != 200 or document["status"] != "Completed":
            raise BenchmarkError(f"a job of {seconds:.1f} s: {answer.status} {document}")
        ended = datetime.fromisoformat(document["finished_at"]).timestamp()
        return Learned(job_type, seconds, polls, max(0.0, time.time() - ended))
    finally:
        connection.close()
