"""Celery's events, which cost no job anything: task events only while somebody listens, and no event is waited for.

A Flower wants task events, and they cost a third of the throughput.
"""

from collections import deque
from typing import Any

from celery import bootsteps
from celery.events import EventDispatcher

ASK_EVERY = 1.0
"""Seconds between two questions whether somebody listens."""
QUESTION = "jobs-question"
"""An event of no group that Celery or Flower knows: they drop it. Redis says how many got it."""

MOST_KEPT = 100
"""Events kept for later while Redis is away, the latest."""


class Dispatcher(EventDispatcher):  # type: ignore[misc]
    """Tries once. Celery's heartbeats try for ever, and meanwhile the event loop that takes up jobs stands still."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._outbound_buffer: deque[Any] = deque(maxlen=MOST_KEPT)

    def send(self, type: str, *args: Any, retry: bool = False, **fields: Any) -> Any:
        if self.groups and "task" not in self.groups and type.startswith("task-"):
            return None  # as Celery would find out, later
        return super().send(type, *args, retry=False, **fields)


class TaskEvents(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the consumer: task events are on from its start, off when nobody listens, on again when somebody does.

    A worker started with ``--task-events`` sends them always, as Celery has it.
    """

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        if consumer.event_dispatcher.groups:  # without groups, all events are sent
            consumer.event_dispatcher.groups.add("task")
            self._timer = consumer.timer.call_repeatedly(ASK_EVERY, _ask, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _ask(consumer: Any) -> None:
    dispatcher = consumer.event_dispatcher
    if dispatcher is not None and dispatcher.enabled:
        dispatcher.publish(QUESTION, {}, dispatcher.producer)
        if getattr(dispatcher.producer.channel, "receivers", True):  # RabbitMQ does not say how many
            dispatcher.groups.add("task")
        else:
            dispatcher.groups.discard("task")
