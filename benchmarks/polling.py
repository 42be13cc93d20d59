"""What ``Retry-After`` is worth: a client that obeys it, how often it asks and how late it learns of the end."""

import json
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from statistics import mean, median, quantiles

from benchmarks.systems import HOST, BenchmarkError, Ours

AT_ONCE = 60
SEED = 7
PRICES = [number / 50 for number in range(1, 101)]
"""What a poll may cost, in lengths of lateness: each gives another best schedule."""


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
    """Polls and lateness by type, with the best there can be and what most people do: asking once a second."""
    lines = [
        "| jobs | lengths | polls, mean | late, in lengths: median | 90 % within "
        "| the best schedule of no more polls: late | asking each second: polls |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for kind, what in (("bench.steady", "about 5 s"), ("bench.mixed", "1 to 30 s, log-uniform"), (None, "all")):
        some = [one for one in found if kind is None or one.type == kind]
        late, polls = [one.late / one.seconds for one in some], mean(one.polls for one in some)
        best = "" if kind is None else f"{best_median_late([one.seconds for one in some], polls):.0%}"
        lines.append(
            f"| {len(some)} | {what} | {polls:.2f} | {median(late):.0%} | {quantiles(late, n=10)[-1]:.0%} "
            f"| {best} | {mean(math.ceil(one.seconds) for one in some):.1f} |"
        )
    return "\n".join(lines)


def best_median_late(lengths: Sequence[float], most_polls: float) -> float:
    """The median of how late (in lengths) the ends of jobs are known to whoever asks at the best times there are.

    These are whole seconds after the start, the same for all jobs, chosen in the knowledge of all lengths, and with
    ``most_polls`` in the mean.
    """
    found = [_late_and_polls(lengths, best_schedule(lengths, price)) for price in PRICES]
    return min(late for late, polls in found if polls <= most_polls + 0.005)


def best_schedule(lengths: Sequence[float], price: float) -> list[int]:
    """Whole seconds at which to ask so that the sum of lateness (in lengths) and ``price`` times the polls is least."""
    end = math.ceil(max(lengths))
    cost, then = [0.0] * (end + 1), [end] * (end + 1)
    for at in range(end - 1, -1, -1):
        running = [length for length in lengths if length > at]
        options = []
        for look in range(at + 1, end + 1):
            late = sum(look / length - 1 for length in running if length <= look)
            options.append((late + price * len(running) + cost[look], look))
        cost[at], then[at] = min(options)
    schedule = [then[0]]
    while schedule[-1] < end:
        schedule.append(then[schedule[-1]])
    return schedule


def _late_and_polls(lengths: Sequence[float], schedule: Sequence[int]) -> tuple[float, float]:
    """Median of the lateness in lengths, mean of the polls."""
    number = [next(i for i, look in enumerate(schedule) if look >= length) for length in lengths]
    late = [schedule[i] / length - 1 for i, length in zip(number, lengths, strict=True)]
    return median(late), mean(i + 1 for i in number)


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
