"""Celery's events, which cost no job anything: task events only while somebody listens, and no event is waited for.

A Flower wants task events, and they cost a third of the throughput.
"""

import logging
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from celery import bootsteps
from celery.events import EventDispatcher

from workers.repeating import Repeating

log = logging.getLogger(__name__)

ASK_EVERY = 1.0
"""Seconds between two questions whether somebody listens."""
QUESTION = "jobs-question"
"""An event of no group that Celery or Flower knows: they drop it. Redis says how many got it."""

MOST_KEPT = 100
"""Messages kept for later while the broker is away or takes none, the latest; one holds one event or some of tasks."""


class Dispatcher(EventDispatcher):  # type: ignore[misc]
    """Tries once. Celery's heartbeats try for ever, and meanwhile the event loop that takes up jobs stands still.

    RabbitMQ without memory reads no more from who publishes, and says so. What is sent all the same fills the socket;
    then who sends waits, and the kernel ends the connection, and with it the worker's others: nothing is sent.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._outbound_buffer: deque[Any] = deque(maxlen=MOST_KEPT)
        self._tells: Any = None
        """The AMQP connection that says whether it is blocked."""
        self._is_blocked = False

    def send(self, type: str, *args: Any, retry: bool = False, **fields: Any) -> Any:
        if self.groups and "task" not in self.groups and type.startswith("task-"):
            return None  # as Celery would find out, later
        return super().send(type, *args, retry=False, **fields)

    def _publish(self, event: Any, producer: Any, routing_key: str, **options: Any) -> Any:
        if producer is None or self.app.settings.broker_url is None:
            return super()._publish(event, producer, routing_key, **options)
        with suppress(Exception):  # what is wrong with the connection shows when it is used, too
            self._listen(producer.channel.connection)
        kept = self._outbound_buffer
        kept.append((event, routing_key))
        while kept and not self._is_blocked:
            first, its_key = kept.popleft()
            others = len(kept)
            super()._publish(first, producer, its_key, **options)
            if len(kept) > others:  # it could not be sent, and is kept again, behind them
                kept.rotate(1)
                return None
        return None

    def _listen(self, connection: Any) -> None:
        """Before anything is sent there: it is blocked by the first that is. The worker's event loop reads it."""
        if connection is not self._tells:
            self._tells, self._is_blocked = connection, False
            connection.on_blocked = partial(self._block, connection)
            connection.on_unblocked = partial(self._unblock, connection)

    def _block(self, connection: Any, reason: str) -> None:
        if connection is self._tells:
            self._is_blocked = True
            log.warning("no events are sent while the broker takes none: %s", reason)

    def _unblock(self, connection: Any) -> None:
        if connection is self._tells:
            self._is_blocked = False
            log.warning("events are sent again")


class TaskEvents(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the consumer: task events are on from its start, off when nobody listens, on again when somebody does.

    RabbitMQ does not say whether anybody does, so there they stay on. A worker started with ``--task-events`` sends
    them always, as Celery has it.
    """

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._asks: Repeating | None = None

    def start(self, consumer: Any) -> None:
        if not consumer.event_dispatcher.groups:  # all events are sent
            return
        consumer.event_dispatcher.groups.add("task")
        if consumer.app.settings.broker_url is None:
            self._asks = Repeating(consumer.timer, lambda: ASK_EVERY, partial(_ask, consumer))

    def stop(self, consumer: Any) -> None:
        if self._asks is not None:
            self._asks.stop()


def _ask(consumer: Any) -> None:
    dispatcher = consumer.event_dispatcher
    if dispatcher is not None and dispatcher.enabled:
        dispatcher.publish(QUESTION, {}, dispatcher.producer)
        if dispatcher.producer.channel.receivers:
            dispatcher.groups.add("task")
        else:
            dispatcher.groups.discard("task")
