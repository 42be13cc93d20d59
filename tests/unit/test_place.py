"""Where a message says that its job stands."""

from types import SimpleNamespace

import pytest

from jobs.model.claim import Place
from jobs.settings import Settings
from workers.celery_app import create_worker_app

RABBITMQ = "amqp://guest:guest@127.0.0.1:1//"


@pytest.mark.parametrize(("broker_url", "in_message"), [(None, 0), (RABBITMQ, 9)])
def test_a_claim_is_told_our_priority_whatever_the_broker_counts_from(broker_url: str | None, in_message: int) -> None:
    """kombu's Redis counts from 0, the highest; RabbitMQ counts as we do."""
    task = create_worker_app(Settings(broker_url=broker_url)).tasks["demo.noop"]
    told = {"exchange": "", "routing_key": "default", "priority": in_message}
    request = SimpleNamespace(delivery_info=told, owner="me")
    assert task._place(request) == Place("me", "demo.noop", "default", 9)
