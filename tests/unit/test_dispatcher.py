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
        self.before_sending: Callable[[str], None] = lambda _: None

    def publish(self, event: dict[str, Any], **_: Any) -> None:
        self.before_sending(event["type"])
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


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def dispatcher(producer: Producer) -> Dispatcher:
    """Of a worker whose broker is RabbitMQ."""
    app = create_celery(Settings(broker_url="amqp://guest:guest@127.0.0.1:1//"))
    made = Dispatcher(None, hostname="w", app=app, enabled=False, buffer_group=set())
    made.enabled, made.producer = True, producer
    producer.channel.connection = AMQPConnection()
    return made


def test_no_event_is_sent_to_a_rabbitmq_that_reads_none(dispatcher: Dispatcher, producer: Producer) -> None:
    dispatcher.send("first")
    producer.channel.connection.on_blocked("low on memory")
    for each in ("second", "third"):
        dispatcher.send(each)
    assert producer.sent == ["first"]
    producer.channel.connection.on_unblocked()
    dispatcher.send("fourth")
    assert producer.sent == ["first", "second", "third", "fourth"]


def test_a_new_connection_is_not_blocked(dispatcher: Dispatcher, producer: Producer) -> None:
    """The first was lost: nobody will say that it is blocked no more."""
    dispatcher.send("first")
    producer.channel.connection.on_blocked("low on memory")
    producer.channel.connection = AMQPConnection()
    dispatcher.send("second")
    assert producer.sent == ["first", "second"]


def test_what_could_not_be_sent_is_sent_later_in_its_order(dispatcher: Dispatcher, producer: Producer) -> None:
    def fail(_: str) -> None:
        raise OSError

    producer.before_sending = fail
    for each in ("first", "second", "third"):
        dispatcher.send(each)
    producer.before_sending = lambda _: None
    dispatcher.send("fourth")
    assert producer.sent == ["first", "second", "third", "fourth"]


def test_a_rabbitmq_that_reads_no_more_is_sent_none_of_those_that_were_kept(
    dispatcher: Dispatcher, producer: Producer
) -> None:
    connection = producer.channel.connection
    dispatcher.send("first")
    connection.on_blocked("low on memory")
    for each in ("second", "third", "fourth"):
        dispatcher.send(each)
    connection.on_unblocked()
    producer.before_sending = lambda kind: connection.on_blocked("low on disk") if kind == "third" else None
    dispatcher.send("fifth")
    assert producer.sent == ["first", "second", "third"]
    producer.before_sending = lambda _: None
    connection.on_unblocked()
    dispatcher.send("sixth")
    assert producer.sent == ["first", "second", "third", "fourth", "fifth", "sixth"]
