"""Which of Celery's events a worker sends: those of tasks only while its groups name them, or name none."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.celery_app import create_celery
from jobs.settings import Settings
from workers.task_events import Dispatcher


class Producer:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.channel = SimpleNamespace(connection=None)

    def publish(self, event: dict[str, Any], **_: Any) -> None:
        self.sent.append(event["type"])


@pytest.mark.parametrize(
    ("groups", "sent"),
    [
        ({"worker"}, ["worker-heartbeat"]),
        ({"worker", "task"}, ["task-started", "worker-heartbeat"]),
        (set(), ["task-started", "worker-heartbeat"]),  # a worker with --task-events
    ],
)
def test_events_of_tasks_are_sent_while_somebody_listens(groups: set[str], sent: list[str]) -> None:
    dispatcher = Dispatcher(None, hostname="w", app=create_celery(Settings()), enabled=False, buffer_group=set())
    dispatcher.enabled, dispatcher.groups, dispatcher.producer = True, groups, (producer := Producer())
    for kind in ("task-started", "worker-heartbeat"):
        dispatcher.send(kind, uuid="u")
    assert producer.sent == sent


class AMQPConnection:
    """What pyamqp's has of what RabbitMQ says."""

    on_blocked: Callable[[str], None]
    on_unblocked: Callable[[], None]


def test_no_event_is_sent_to_a_rabbitmq_that_reads_none() -> None:
    app = create_celery(Settings(broker_url="amqp://guest:guest@127.0.0.1:1//"))
    dispatcher = Dispatcher(None, hostname="w", app=app, enabled=False, buffer_group=set())
    dispatcher.enabled, dispatcher.producer = True, (producer := Producer())
    first, second = AMQPConnection(), AMQPConnection()
    producer.channel.connection = first
    dispatcher.send("worker-online")
    first.on_blocked("low on memory")
    dispatcher.send("worker-heartbeat")
    assert producer.sent == ["worker-online"]
    first.on_unblocked()
    dispatcher.send("worker-heartbeat")
    assert producer.sent == ["worker-online", "worker-heartbeat", "worker-heartbeat"]
    first.on_blocked("low on memory")
    producer.channel.connection = second  # the first was lost: nobody will say that it is blocked no more
    dispatcher.send("worker-offline")
    assert producer.sent[3:] == ["worker-offline"]
