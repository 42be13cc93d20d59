"""Celery's task events: sent while somebody like Flower listens, and not otherwise."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.client import PubSub
from support.eventually import eventually
from support.service import Service

EVERYTHING, TASKS_ONLY = "/0.celeryev/*", "/0.celeryev/task*"


@contextmanager
def listening(redis: Redis, pattern: str) -> Iterator[PubSub]:
    with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.psubscribe(pattern)
        yield pubsub


def task_event_comes(service: Service, pubsub: PubSub) -> bool:
    """Whether a job that has ended was told of."""
    service.submit("demo.noop", wait=5)
    until = time.monotonic() + 1
    while (left := until - time.monotonic()) > 0:
        message = pubsub.get_message(timeout=left)
        if message and message["channel"].startswith("/0.celeryev/task"):
            return True
    return False


def test_task_events_are_sent_only_while_somebody_listens_to_all(service: Service, redis: Redis) -> None:
    with listening(redis, EVERYTHING) as flower:
        eventually(lambda: task_event_comes(service, flower), within=10)
    with listening(redis, TASKS_ONLY) as nobody:  # it does not hear the workers' question
        eventually(lambda: not task_event_comes(service, nobody), within=10)
    with listening(redis, EVERYTHING) as flower:
        eventually(lambda: task_event_comes(service, flower), within=10)
