"""``python -m benchmarks.listener HOW FILE``: a process that notes when it is told of which job.

HOW is ``live`` or ``durable``, our subscriber in that mode, or ``bare``: redis-py on a channel, and nothing else.
"""

import os
import sys
import time
from collections.abc import Callable

from redis import Redis

from subscribers import Event, Subscriber

BARE_CHANNEL = "bench.events"
ID_LENGTH = 36
"""Characters of a job's id, which a bare message begins with."""


def owner_of(how: str) -> str:
    """Whose events a listener is told."""
    return f"bench-{how}"


def main(how: str, file: str) -> None:
    """Listen until told to stop."""
    notes = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(job_id: str) -> None:
        os.write(notes, f"{time.time()} {job_id}\n".encode())

    if how == "bare":
        _listen(note)
    else:
        Subscriber("bench", owner=owner_of(how), events=["completed"], mode=how).run(lambda event: _note(note, event))


def _note(note: Callable[[str], None], event: Event) -> None:
    note(event.job_id)


def _listen(note: Callable[[str], None]) -> None:
    with Redis.from_url(os.environ["JOBS_REDIS_URL"], decode_responses=True) as redis, redis.pubsub() as pubsub:
        pubsub.subscribe(BARE_CHANNEL)
        for message in pubsub.listen():
            if message["type"] == "message":
                note(message["data"][:ID_LENGTH])


if __name__ == "__main__":
    main(*sys.argv[1:])
