"""Filling a store with jobs that have ended, as fast as Redis runs the scripts that accept, claim and end them.

One job goes through the store; what was sent for it is sent again under other ids, many jobs at a time. So each has
what a real one has: record, indexes, expiry and three events in two streams. Only its message was never in a queue.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from redis import Redis

from benchmarks.systems import BenchmarkError
from jobs.connections.client import connect
from jobs.connections.scripts import Scripts
from jobs.model.keys import KEYS
from jobs.model.submission import Submission
from jobs.settings import Settings
from jobs.store.job_store import JobStore

OWNER = "anonymous"
HOLDER = f"{'0' * 32}/12345"
"""As long as that of a worker's process."""
AT_ONCE = 500
TOLD_EVERY = 100_000
FILLED_WITHIN = 900.0
"""Seconds; a million take about 150 on two cores."""
REWRITTEN_WITHIN = 180.0


class _Noting(JobStore):
    """A store that notes what it sends to Redis."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        super().__init__(client, settings)
        self.sent: list[tuple[Any, ...]] = []
        self._scripts = Scripts(client, self._asked)

    def _asked(self, *command: Any) -> Any:
        answer = self.client.execute_command(*command)
        self.sent.append(command)
        return answer


def fill(url: str, first: int, last: int, tell: Callable[[str], None]) -> None:
    """Store the ended no-op jobs of these numbers, ``last`` not included.

    Raises:
        BenchmarkError: a script refused one, or it takes longer than ``FILLED_WITHIN``.
    """
    deadline = time.monotonic() + FILLED_WITHIN
    with connect(url) as client:
        connection = client.connection_pool.get_connection()
        try:
            own_id, packed, each = _life_of_a_job(client, connection, first)
            for start in range(first + 1, last, AT_ONCE):
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"only {start} of {last} jobs could be stored in {FILLED_WITHIN:g} s")
                ids = [_id(number).encode() for number in range(start, min(start + AT_ONCE, last))]
                connection.send_packed_command(packed.replace(own_id, one) for one in ids)
                _check(connection.read_response() for _ in range(each * len(ids)))
                if start % TOLD_EVERY < AT_ONCE < start:
                    tell(f"filling: {start:,} of {last:,} jobs")
        finally:
            connection.disconnect()
            client.connection_pool.release(connection)


def bytes_used(url: str) -> tuple[int, int]:
    """What Redis holds: all but the streams of events, what it buffers and its clients; and those streams."""
    with Redis.from_url(url) as client:
        info: Any = client.info("memory")
        streams = sum(int(client.memory_usage(key, samples=0) or 0) for key in (KEYS.stream, KEYS.stream_of(OWNER)))
    beside = info["mem_clients_normal"] + info["mem_aof_buffer"]
    return info["used_memory"] - streams - beside, streams


def settle(url: str) -> None:
    """Have the append-only file rewritten, which a fill has made long, and wait for it: it is not what is measured.

    Raises:
        BenchmarkError: it takes longer than ``REWRITTEN_WITHIN`` seconds.
    """
    deadline = time.monotonic() + REWRITTEN_WITHIN
    with Redis.from_url(url) as client:
        while is_rewriting(client):  # one that it began by itself
            _wait(deadline)
        client.bgrewriteaof()
        while is_rewriting(client):
            _wait(deadline)


def is_rewriting(client: Redis) -> bool:
    """Whether the append-only file is being rewritten, or about to be."""
    info: Any = client.info("persistence")
    return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise BenchmarkError(f"Redis still rewrites its append-only file after {REWRITTEN_WITHIN:g} s")
    time.sleep(0.5)


def _life_of_a_job(client: Redis, connection: Any, number: int) -> tuple[bytes, bytes, int]:
    """Store one job; its id, what was sent for it, and how many answers there are to that."""
    store = _Noting(client, Settings())
    job = Submission(
        type="demo.noop", owner=OWNER, parameters_json="{}", queue="default", max_attempts=3, id=_id(number)
    )
    store.submit(job, None)
    claim = store.claim(job.id, holder=HOLDER, nonce="00000000")
    store.complete(job.id, "{}", claim)
    packed = b"".join(part for command in store.sent for part in connection.pack_command(*command))
    return job.id.encode(), packed, len(store.sent)


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def _check(answers: Iterable[Any]) -> None:
    for answer in answers:
        if answer[0] != 1:
            raise BenchmarkError(f"a job could not be stored: {answer}")
