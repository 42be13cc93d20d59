"""A worker whose jobs are quick fetches some ahead: a process that ends one has the next at once.

Else it waits for a round trip to the broker and a turn of the event loop. What was fetched waits in the worker, out of
sight of others and of jobs of a higher priority; so it is no more than the processes are about to take, and is given
back when their jobs are quick no more.
"""

import logging
from functools import partial
from time import monotonic
from typing import Any

from celery import bootsteps
from celery.worker import state
from redis.exceptions import ResponseError

from workers.repeating import Repeating
from workers.request import JobRequest

log = logging.getLogger(__name__)

LOOK_EVERY = 0.1
"""Seconds between two looks at how quick the jobs are; a job that waits behind long ones is given back by the next."""
IDLE_LOOK_EVERY = 1.0
AHEAD = 0.02
"""Seconds of work that are fetched ahead for each process."""
MOST = 8
"""Jobs for each process."""


class FetchAhead(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the consumer, for the pool of processes and Redis as the broker.

    Where somebody has chosen to fetch more, or never ahead (``--prefetch-multiplier`` above 1, ``--disable-prefetch``),
    that stays.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._looks: Repeating | None = None
        self._ahead = 0
        self._begun, self._looked_at = 0, 0.0
        self._hurried_until = 0.0

    def include_if(self, consumer: Any) -> bool:
        controller = consumer.controller
        return bool(
            consumer.hub
            and controller.semaphore
            and consumer.prefetch_multiplier == 1
            and not consumer.app.conf.worker_disable_prefetch
            # where a process is replaced, Celery lets one of those who wait into the pool, where nobody gets at it
            and not controller.max_tasks_per_child
            and not controller.max_memory_per_child
        )

    def start(self, consumer: Any) -> None:
        self._ahead, self._hurried_until = 0, 0.0
        self._begun, self._looked_at = _begun(), monotonic()
        if consumer.connection.transport.driver_type == "redis":
            consumer.fetch_ahead = self
            self._looks = Repeating(consumer.timer, self._pause, partial(self._look, consumer))

    def stop(self, consumer: Any) -> None:
        consumer.fetch_ahead = None
        if self._looks is not None:
            self._looks.stop()

    def give_back(self, consumer: Any) -> None:
        """What waits for a process is the next to be fetched, by whoever has one."""
        channel, waiting = consumer.task_consumer.channel, consumer.controller.semaphore._waiting
        requests = [request for _, (request,), _ in waiting]
        jobs = [request for request in requests if isinstance(request, JobRequest)]
        channel.give_back([request.message for request in jobs])
        for request in jobs:
            self._forget(waiting, request)
        for request in reversed(requests):
            if request not in jobs:  # a plain Celery task, of which kombu keeps a note
                channel.give_back_noted(request.message)
                self._forget(waiting, request)
        if requests:
            log.info("%d jobs that were fetched ahead go back to the queue: no process is free for them", len(requests))

    def _pause(self) -> float:
        return LOOK_EVERY if monotonic() < self._hurried_until else IDLE_LOOK_EVERY

    def _look(self, consumer: Any) -> None:
        try:
            ahead = self._ahead_now(max(consumer.pool.num_processes, 1))
            self._fetch(consumer, ahead)
            if not ahead:
                self.give_back(consumer)
        except ResponseError as error:  # a Redis that is full
            self._hurried_until = 0.0
            log.warning("what was fetched ahead cannot be given back: %s", error)

    def _ahead_now(self, processes: int) -> int:
        now, begun = monotonic(), _begun()
        rate = (begun - self._begun) / (now - self._looked_at) / processes
        self._begun, self._looked_at = begun, now
        return min(int(rate * AHEAD), MOST) * processes

    def _fetch(self, consumer: Any, ahead: int) -> None:
        if ahead > self._ahead:
            consumer.qos.increment_eventually(ahead - self._ahead)
        elif ahead < self._ahead:
            consumer.qos.decrement_eventually(self._ahead - ahead)
            consumer.qos.update()  # before anything is given back, and fetched again
        self._ahead = ahead
        if ahead:  # a fetch that is sent now may take so many as long as it lasts
            self._hurried_until = monotonic() + consumer.task_consumer.channel.brpop_timeout + LOOK_EVERY

    @staticmethod
    def _forget(waiting: Any, request: Any) -> None:
        waiting.remove(next(each for each in waiting if each[1] == (request,)))
        state.task_ready(request)


def _begun() -> int:
    return int(state.all_total_count[0])
