"""How fast the event of an ended job is with its subscriber, beside a bare PUBLISH; and how fast one catches up.

Jobs that run already are ended one after the other; the time from the call that ends one to the subscriber's handler
counts. The bare one is told as much text by redis-py's ``publish``. All listen at once, each to its own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

from redis import Redis

from benchmarks.listener import BARE_CHANNEL, owner_of
from benchmarks.process import MeasuredProcess
from benchmarks.systems import BenchmarkError
from jobs.connections.client import connect
from jobs.model.claim import Claim, Place
from jobs.model.keys import KEYS
from jobs.model.submission import Submission
from jobs.settings import Settings
from jobs.store.job_store import JobStore
from launch.redis_server import RedisServer

HOWS = ("bare", "live", "durable")
SELDOM, OFTEN = 1, 500
"""Events a second."""
MANY = 100_000
"""Events that are caught up with."""
WITHIN = 120.0
TEXT = "x" * 450
"""What a bare message says besides the id: an event has as much."""
AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from the end of each job to its handler, at one rate."""

    how: str
    rate: int
    seconds: list[float]

    def at(self, share: float) -> float:
        """Milliseconds that a ``share`` of them do not exceed."""
        return 1000 * sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def measure(directory: Path, rounds: int, seconds: int, tell: Callable[[str], None]) -> str:
    """Two tables: delays by subscriber and rate, medians over the rounds; and a catching up."""
    directory.mkdir()
    with RedisServer(directory / "redis") as server:
        store = JobStore(connect(server.url), Settings(redis_url=server.url))
        with ExitStack() as stack:
            ears = {how: stack.enter_context(_listening(directory, server.url, how)) for how in HOWS}
            delays = [one for _ in range(rounds) for one in _round(store, ears, seconds, tell)]
        caught_up = [_catch_up(directory, server.url, tell) for _ in range(rounds)]
    return "\n".join(
        [
            *_table(delays),
            "",
            f"Catching up with {MANY:,} missed events, one durable subscriber: {median(caught_up):,.0f} events/s "
            f"({min(caught_up):,.0f} to {max(caught_up):,.0f}; at least 5,000 asked).",
        ]
    )


def _round(store: JobStore, ears: dict[str, Path], seconds: int, tell: Callable[[str], None]) -> Iterator[Delays]:
    for rate in (SELDOM, OFTEN):
        running = {how: [_running(store, how) for _ in range(rate * seconds)] for how in HOWS}
        if rate == SELDOM:  # in turn, for between two of one kind is time enough for the others
            sent = [
                (how, claim)
                for turn in zip(*running.values(), strict=True)
                for how, claim in zip(HOWS, turn, strict=True)
            ]
            yield from _delays(ears, rate, _send(store, sent, rate * len(HOWS)))
        else:
            for how in HOWS:
                yield from _delays(ears, rate, _send(store, [(how, claim) for claim in running[how]], rate))
    tell("events: a round")


def _running(store: JobStore, how: str) -> Claim:
    owner = owner_of(how)
    job = Submission(type="bench", owner=owner, parameters_json="{}", queue="none", max_attempts=1)
    store.submit(job, None)
    return store.claim(job.id, place=Place(owner, job.type, job.queue, job.priority))


def _send(store: JobStore, jobs: list[tuple[str, Claim]], rate: int) -> dict[str, dict[str, float]]:
    """End the jobs, so many a second; when each was ended, by listener and id."""
    sent: dict[str, dict[str, float]] = {}
    began = time.monotonic()
    for n, (how, claim) in enumerate(jobs):
        time.sleep(max(0.0, began + n / rate - time.monotonic()))
        sent.setdefault(how, {})[claim.id] = time.time()
        if how == "bare":
            store.client.publish(BARE_CHANNEL, claim.id + TEXT)
        else:
            store.complete(claim.id, "null", claim)
    return sent


def _delays(ears: dict[str, Path], rate: int, sent: dict[str, dict[str, float]]) -> Iterator[Delays]:
    for how, times in sent.items():
        heard = _heard(ears[how], set(times))
        yield Delays(how, rate, [heard[job_id] - at for job_id, at in times.items()])


def _heard(file: Path, ids: set[str]) -> dict[str, float]:
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        lines = (line.split() for line in file.read_text().splitlines())
        heard = {job_id: float(at) for at, job_id in lines}
        if ids <= heard.keys():
            return heard
        time.sleep(0.2)
    raise BenchmarkError(f"{len(ids - heard.keys())} of {len(ids)} events were not heard: {file.name}")


@contextmanager
def _listening(directory: Path, url: str, how: str) -> Iterator[Path]:
    """A listener, once it listens."""
    file = directory / f"{how}-{uuid4().hex[:8]}.txt"
    file.touch()
    process = MeasuredProcess(["benchmarks.listener", how, str(file)], {"JOBS_REDIS_URL": url}, directory / "log")
    try:
        with Redis.from_url(url, decode_responses=True) as redis:
            _wait_until(lambda: _is_listening(redis, how))
        yield file
    finally:
        process.stop()


def _is_listening(redis: Redis, how: str) -> bool:
    if how == "bare":
        return bool(redis.pubsub_numsub(BARE_CHANNEL)[0][1])
    if how == "live":
        return bool(redis.pubsub_numpat())
    stream = KEYS.stream_of(owner_of(how))
    return bool(redis.exists(stream) and redis.xinfo_groups(stream))


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not true():
        if time.monotonic() > deadline:
            raise BenchmarkError("a subscriber does not listen")
        time.sleep(0.05)


def _catch_up(directory: Path, url: str, tell: Callable[[str], None]) -> float:
    """Events a second of a durable subscriber that was away for ``MANY`` of them."""
    stream = KEYS.stream_of(owner_of("durable"))
    with Redis.from_url(url, decode_responses=True) as redis:
        with _listening(directory, url, "durable"):
            pass  # the group is there from now on
        ids = _fill(redis, stream)
        with _listening(directory, url, "durable") as file:
            heard = _heard(file, ids)
    times = [heard[job_id] for job_id in ids]
    rate = len(ids) / (max(times) - min(times))
    tell(f"events: caught up, {rate:,.0f} events/s")
    return rate


def _fill(redis: Redis, stream: str) -> set[str]:
    """Append ``MANY`` copies of the newest event of an ended job, each under the id of a job of its own."""
    text: str = redis.xrevrange(stream, count=1)[0][1]["event"]
    job_id = text.partition('"subject":"')[2][:36]
    ids = [str(uuid4()) for _ in range(MANY)]
    for start in range(0, MANY, AT_ONCE):
        with redis.pipeline(transaction=False) as pipe:
            for one in ids[start : start + AT_ONCE]:
                pipe.xadd(stream, {"event": text.replace(job_id, one)})
            pipe.execute()
    return set(ids)


def _table(delays: list[Delays]) -> list[str]:
    lines = [
        "| subscriber | events/s | p50 ms | p99 ms | p50 to bare |",
        "|---|---:|---:|---:|---:|",
    ]
    for rate in (SELDOM, OFTEN):
        bare = [one.at(0.5) for one in delays if (one.how, one.rate) == ("bare", rate)]
        for how in HOWS:
            some = [one for one in delays if (one.how, one.rate) == (how, rate)]
            ratio = median(one.at(0.5) / other for one, other in zip(some, bare, strict=True))
            p50, p99 = (median(one.at(share) for one in some) for share in (0.5, 0.99))
            lines.append(f"| {how} | {rate} | {p50:.2f} | {p99:.2f} | {ratio:.2f} |")
    return lines
