"""Subscribers in processes of their own: live, through a break, and only what concerns them."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from support.eventually import eventually
from support.listening import listening
from support.processes import Process
from support.service import Service

from jobs.model.event import Event
from jobs.model.keys import KEYS
from subscribers import Subscriber

Started = Callable[[str], Process]


@pytest.fixture
def start(service: Service, redis: Redis, tmp_path: Path) -> Iterator[Started]:
    started: list[Process] = []

    def start(name: str) -> Process:
        started.append(Process(tmp_path / f"{name}.log", f"subscribers.{name}", **service.environ))
        eventually(lambda: listening(redis, started[-1].popen.pid), within=10)
        return started[-1]

    yield start
    for process in started:
        process.kill()


def test_microservice_x_is_silent_until_a_job_has_it_as_its_owner(service: Service, start: Started) -> None:
    process = start("microservice_x")
    other = service.submit(owner="me", wait=5).json()["id"]
    own = service.submit("demo.random_delay", owner="microservice-x", parameters={"seconds": 0.7}, wait=5).json()["id"]
    eventually(lambda: "received completed" in process.text)
    assert other not in process.text
    assert [line.split()[1] for line in process.text.splitlines()] == [
        "created:",
        "updated:",
        "progress:",
        "completed:",
    ]
    assert process.text.count(own) == 4
    assert process.stop() == 0


def test_microservice_x_told_durably_is_told_of_what_happened_while_it_was_away(
    service: Service, redis: Redis, tmp_path: Path
) -> None:
    def durable(name: str) -> Process:
        return Process(tmp_path / name, "subscribers.microservice_x", "--durable", **service.environ)

    seen = KEYS.subscription("microservice-x:microservice-x", "consumers")
    before = set(redis.zrange(seen, 0, -1))
    first = durable("first")
    eventually(lambda: set(redis.zrange(seen, 0, -1)) - before, within=10)
    assert first.stop() == 0
    job_id = service.submit(owner="microservice-x", wait=5).json()["id"]
    second = durable("second")
    eventually(lambda: second.text.count(job_id) == 3, within=10)
    told = [line.split()[1] for line in second.text.splitlines() if job_id in line]
    assert told == ["created:", "updated:", "completed:"]
    assert second.stop() == 0
    wrong = Process(tmp_path / "wrong", "subscribers.microservice_x", "--durably", **service.environ)
    assert wrong.popen.wait(10) == 2


def test_the_console_shows_one_line_a_change(service: Service, start: Started) -> None:
    process = start("console")
    job_id = service.submit("demo.fail", owner="me", parameters={"message": "no paper"}, wait=5).json()["id"]
    lines = eventually(lambda: len(found := [li for li in process.text.splitlines() if job_id in li]) == 3 and found)
    assert "New -> InProgress" in lines[1]
    assert "InProgress -> Failed  demo-failure: no paper" in lines[2]
    assert process.stop() == 0


def test_a_subscriber_is_one_loop_and_one_function(service: Service, redis: Redis) -> None:
    owner = f"subscriber-{uuid4().hex[:8]}"
    seen: list[Event] = []

    def handle(event: Event) -> None:
        seen.append(event)
        if len(seen) == 1:
            raise RuntimeError("a handler that fails does not stop the events")

    subscriber = Subscriber("test", owner=owner, events=["created", "completed"], settings=service.settings)
    thread = threading.Thread(target=subscriber.run, args=(handle,))
    thread.start()
    eventually(lambda: listening(redis, os.getpid()))
    job_id = service.submit(owner=owner, wait=5).json()["id"]
    eventually(lambda: len(seen) == 2)
    assert [(event.name, event.job_id, event.sequence) for event in seen] == [
        ("created", job_id, 1),
        ("completed", job_id, 3),
    ]

    for connection in listening(redis, os.getpid()):
        redis.client_kill_filter(_id=connection)
    eventually(lambda: listening(redis, os.getpid()))
    service.submit(owner=owner, wait=5)
    eventually(lambda: len(seen) >= 4)
    subscriber.stop()
    thread.join(3)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "arguments",
    [
        {"events": ["compleated"]},
        {"mode": "sometimes"},
        {"owner": "me and you"},
        {"mode": "durable", "start": "yesterday"},
        {"start": "beginning"},
        {"mode": "durable", "service": "a b"},
        {"mode": "durable", "max_deliveries": 0},
        {"mode": "durable", "backoff": -1.0},
    ],
)
def test_what_cannot_be_subscribed_to_is_told(service: Service, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no such"):
        Subscriber(**{"service": "test", "settings": service.settings, **arguments})


def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for module in ("subscribers.console", "workers", "app"):
        process = Process(tmp_path / module, module, JOBS_MAX_WAIT="soon", JOBS_WIAT="1")
        assert process.popen.wait(20) == 2
        assert process.text.startswith(
            "joborchestrator: JOBS_MAX_WAIT='soon' is not a number of seconds; JOBS_WIAT is no setting"
        )
        assert len(process.text.splitlines()) == 1
