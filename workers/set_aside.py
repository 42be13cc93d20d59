"""What no task can take is set aside in Redis. While that is away, the broker keeps it, if it is another server."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from celery import bootsteps

from jobs.errors import StoreUnavailable
from workers.repeating import Repeating

log = logging.getLogger(__name__)

AGAIN_AFTER, AGAIN_AFTER_AT_MOST = 1.0, 8.0
"""Seconds between two tries to set aside what waits for it, twice as long after each: the event loop stands still while
a Redis that hangs is asked."""


class Held(NamedTuple):
    """A message that is not acknowledged before it has been set aside: else its job would have none, for good."""

    message: Any
    reason: str
    settle: Callable[[], Any]
    """Acknowledges or rejects it."""


class SetAside(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the consumer, with its ``set_aside``.

    A message that has to wait takes a place of those that the worker may have in hand. It is not given back to the
    broker, which would hand it out again at once, and drop it after some times. Once the connection is lost it is with
    the broker again.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._app = consumer.app
        self._held = deque[Held]()
        self._pause = AGAIN_AFTER
        self._tries: Repeating | None = None
        consumer.set_aside = self.set_aside

    def start(self, consumer: Any) -> None:
        self._held, self._pause = deque(), AGAIN_AFTER
        if self._app.settings.broker_url is not None:
            self._tries = Repeating(consumer.timer, lambda: self._pause, partial(self._again, self._held))

    def stop(self, consumer: Any) -> None:
        self._held.clear()
        if self._tries is not None:
            self._tries.stop()

    def set_aside(self, message: Any, reason: str, settle: Callable[[], Any]) -> None:
        """Keep a message that no worker can run, then ``settle`` it: at once, or when Redis is back."""
        held = Held(message, reason, settle)
        if self._held or not self._is_done(held):  # one at a time finds out whether Redis is back
            self._held.append(held)

    def _again(self, waiting: deque[Held]) -> None:
        while waiting:
            held = waiting[0]
            if not self._is_done(held):
                self._pause = min(2 * self._pause, AGAIN_AFTER_AT_MOST)
                return
            if waiting:  # or they are with the broker again meanwhile
                waiting.popleft()
        self._pause = AGAIN_AFTER

    def _is_done(self, held: Held) -> bool:
        try:
            self._app.backend.set_aside(held.reason, held.message)
        except StoreUnavailable as away:
            log.warning("a message waits with its broker to be set aside: %s (%s)", held.reason, away.reason)
            return False
        held.settle()
        return True
