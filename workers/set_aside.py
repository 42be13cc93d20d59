"""What no task can take is set aside in Redis. While that is away, the broker keeps it, if it is another server."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from celery import bootsteps

from jobs.errors import StoreUnavailable

log = logging.getLogger(__name__)

AGAIN_EVERY = 1.0
"""Seconds between two tries to set aside what waits for it."""


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
        self._timer: Any = None
        consumer.set_aside = self.set_aside

    def start(self, consumer: Any) -> None:
        self._timer = consumer.timer.call_repeatedly(AGAIN_EVERY, self._again)

    def stop(self, consumer: Any) -> None:
        self._held = deque()
        if self._timer is not None:
            self._timer.cancel()

    def set_aside(self, message: Any, reason: str, settle: Callable[[], Any]) -> None:
        """Keep a message that no worker can run, then ``settle`` it: at once, or when Redis is back."""
        held = Held(message, reason, settle)
        if self._held or not self._is_done(held):  # one at a time finds out whether Redis is back
            self._held.append(held)

    def _again(self) -> None:
        waiting = self._held
        while waiting:
            held = waiting.popleft()
            if not self._is_done(held):
                waiting.appendleft(held)
                return

    def _is_done(self, held: Held) -> bool:
        try:
            self._app.backend.set_aside(held.reason, held.message)
        except StoreUnavailable as away:
            log.warning("a message waits with its broker to be set aside: %s (%s)", held.reason, away.reason)
            return False
        held.settle()
        return True
