"""Which of Celery's events a worker sends: those of tasks only while its groups name them, or name none."""

from typing import Any

import pytest

from jobs.celery_app import create_celery
from jobs.settings import Settings
from workers.task_events import Dispatcher


class Producer:
    def __init__(self) -> None:
        self.sent: list[str] = []

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
