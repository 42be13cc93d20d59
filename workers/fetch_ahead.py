"""A worker whose jobs are quick fetches some ahead: a process that ends one has the next at once.

Else it waits for a round trip to the broker and a turn of the event loop. What was fetched waits in the worker, out of
sight of others and of jobs of a higher priority; so it is no more than the processes are about to take, and is given
back when none of them has taken anything for a while.
"""

import logging
from contextlib import suppress
from time import monotonic
from typing import Any

from celery import bootsteps
from celery.worker import state
from redis.exceptions import RedisError, ResponseError

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

    Where somebody has chosen how many messages to fetch, or none ahead (``--prefetch-multiplier``,
    ``--disable-prefetch``), that stays.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._ahead = 0
        self._begun, self._looked_at = 0, 0.0
        self._hurried_until = 0.0

    def include_if(self, consumer: Any) -> bool:
        return bool(
            consumer.hub
            and consumer.controller.semaphore
            and consumer.prefetch_multiplier == 1
            and not consumer.app.conf.worker_disable_prefetch
        )

    def start(self, consumer: Any) -> None:
        self._ahead, self._hurried_until = 0, 0.0
        self._begun, self._looked_at = _begun(), monotonic()
        if consumer.connection.transport.driver_type == "redis":
            self._look_again(consumer)

    def stop(self, consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if state.should_stop is not None:
            with suppress(RedisError):  # else the channel gives them back, or a reconciler finds them
                self._give_back(consumer)

    def _look_again(self, consumer: Any) -> None:
        pause = LOOK_EVERY if monotonic() < self._hurried_until else IDLE_LOOK_EVERY
        self._timer = consumer.timer.call_after(pause, self._look, (consumer,))

    def _look(self, consumer: Any) -> None:
        now, begun = monotonic(), _begun()
        processes = consumer.pool.num_processes
        rate = (begun - self._begun) / (now - self._looked_at) / processes
        self._begun, self._looked_at = begun, now
        self._fetch(consumer, min(int(rate * AHEAD), MOST) * processes)
        try:
            if not rate:
                self._give_back(consumer)
        except ResponseError as error:  # a Redis that is full
            self._hurried_until = 0.0
            log.warning("what was fetched ahead cannot be given back: %s", error)
        finally:
            self._look_again(consumer)

    def _fetch(self, consumer: Any, ahead: int) -> None:
        if ahead > self._ahead:
            consumer.qos.increment_eventually(ahead - self._ahead)
        elif ahead < self._ahead:
            consumer.qos.decrement_eventually(self._ahead - ahead)
            consumer.qos.update()  # before anything is given back, and fetched again
        self._ahead = ahead
        if ahead:  # a fetch that is sent now may take so many as long as it lasts
            self._hurried_until = monotonic() + consumer.task_consumer.channel.brpop_timeout + LOOK_EVERY

    def _give_back(self, consumer: Any) -> None:
        """The jobs for which there has been no process are the next to be fetched, by whoever has one."""
        waiting = consumer.controller.semaphore._waiting
        if not waiting:
            return
        requests = [request for _, (request,), _ in waiting]
        consumer.task_consumer.channel.give_back([each.message for each in requests if isinstance(each, JobRequest)])
        waiting.clear()
        for request in requests:
            state.task_ready(request)
            if not isinstance(request, JobRequest):  # a plain Celery task, of which kombu keeps a note
                request.message.reject_log_error(log, consumer.connection_errors, requeue=True)
        log.info("%d jobs that were fetched ahead go back to the queue: no process is free for them", len(requests))


def _begun() -> int:
    return int(state.all_total_count[0])
