"""``python -m subscribers.undelivered``: what was given up is listed, sent after all, or forgotten."""

import json
import subprocess
from collections.abc import Iterator

import pytest
from redis import Redis
from support.commands import called, in_a_process

from jobs.connections.client import connect
from jobs.model.callback import Callback
from jobs.model.event import Event
from jobs.model.keys import KEYS
from jobs.model.submission import Submission
from jobs.settings import Settings
from jobs.store.job_store import JobStore
from jobs.webhooks.deliveries import CALLBACK, Deliveries, Delivery
from jobs.webhooks.undelivered import UndeliveredEvent, UndeliveredEvents
from launch.redis_server import RedisServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("undelivered")) as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis]:
    with connect(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def store(client: Redis) -> JobStore:
    return JobStore(client, Settings())


@pytest.fixture
def deliveries(store: JobStore) -> Deliveries:
    return Deliveries(store, 60.0)


def command(server: RedisServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return called("subscribers.undelivered", *arguments, JOBS_REDIS_URL=server.url)


def take(deliveries: Deliveries) -> list[Delivery]:
    return deliveries.take(100, 100, {})[0]


def given_up(store: JobStore, deliveries: Deliveries, url: str = "https://hooks.example/x?y") -> UndeliveredEvent:
    """The end of a job that could not be told."""
    job = Submission(
        type="t", owner="me", parameters_json="{}", queue="nobody", max_attempts=1, callback=Callback.to(url)
    )
    store.submit(job, message=None)
    store.complete(job.id, "1", store.claim(job.id))
    for _, fields in store.client.xrange(KEYS.stream_of("me")):
        deliveries.plan(Event.from_json(fields["event"]))
    [delivery] = take(deliveries)
    assert deliveries.give_up(delivery, "answered 500")
    return list(UndeliveredEvents(store))[-1]


def test_it_is_listed_and_shown(server: RedisServer, store: JobStore, deliveries: Deliveries) -> None:
    letter = given_up(store, deliveries)
    line = f"{letter.id:20}  {letter.at}  https://hooks.example/x?y  {letter.delivery}  1 attempts  answered 500\n"
    assert command(server, "list").stdout == line
    [listed] = map(json.loads, command(server, "list", "--json").stdout.splitlines())
    assert listed == json.loads(command(server, "show", letter.id).stdout)
    assert json.loads(listed["event"])["type"] == "job.completed"
    assert letter.delivery == f"{json.loads(listed['event'])['id']} {CALLBACK}"


@pytest.mark.parametrize("url", ["https://hooks.example/x", "http://[2001:db8::1]:81/x"])
def test_it_is_sent_after_all_with_all_its_attempts_and_the_same_id(
    server: RedisServer, store: JobStore, deliveries: Deliveries, url: str
) -> None:
    letter = given_up(store, deliveries, url)
    done = command(server, "requeue", letter.id)
    assert (done.returncode, done.stdout) == (0, f"{letter.id} put back\n")
    [again] = take(deliveries)
    assert (again.id, again.url, again.text, again.attempt) == (letter.delivery, url, letter.event, 1)
    assert again.event_id == f"{again.job_id}:3"
    assert store.client.ttl(KEYS.delivery(again.id)) == -1
    deliveries.arrived(again)
    assert take(deliveries) == []
    assert command(server, "list").stdout == ""


def test_nobody_sends_it_twice(server: RedisServer, store: JobStore, deliveries: Deliveries) -> None:
    letter = given_up(store, deliveries)
    ids = (letter.id, letter.id, "1-1", "x")
    done = in_a_process("subscribers.undelivered", "requeue", *ids, JOBS_REDIS_URL=server.url)
    assert (done.returncode, done.stdout) == (2, f"{letter.id} put back\n")
    assert done.stderr.splitlines() == [
        f"undelivered: There is no dead letter {entry}." for entry in (letter.id, "1-1", "x")
    ]
    assert len(take(deliveries)) == 1


def test_one_that_is_under_way_again_is_left_alone(
    server: RedisServer, store: JobStore, deliveries: Deliveries, client: Redis
) -> None:
    letter = given_up(store, deliveries)
    twice = str(client.xadd(KEYS.deliveries_dead, client.xrange(KEYS.deliveries_dead)[0][1]))  # type: ignore[index]
    assert command(server, "requeue", letter.id).returncode == 0
    [under_way] = take(deliveries)
    assert command(server, "requeue", twice).returncode == 0
    assert take(deliveries) == []
    assert deliveries.put_off(under_way, 0.0), "it is still at its attempt"


def test_they_are_forgotten_one_by_one_or_all(server: RedisServer, store: JobStore, deliveries: Deliveries) -> None:
    letters = [given_up(store, deliveries) for _ in range(3)]
    assert command(server, "drop", letters[0].id).stdout == f"{letters[0].id} dropped\n"
    assert command(server, "drop", letters[0].id).returncode == 2
    assert command(server, "drop", "--all").stdout == "2 dropped\n"
    assert list(UndeliveredEvents(store)) == []


def test_what_is_no_delivery_and_a_redis_that_is_away_are_told(
    server: RedisServer, store: JobStore, client: Redis
) -> None:
    entry = str(client.xadd(KEYS.deliveries_dead, {"x": "y"}))
    assert command(server, "list").returncode == 0
    done = command(server, "requeue", entry)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be put back" in done.stderr
    assert command(server, "drop", entry).returncode == 0
    client.set(KEYS.deliveries_dead, "no stream")
    assert command(server, "list").returncode == 1
    with RedisServer(server.data_dir / "other") as gone:
        pass
    assert (done := command(gone, "list")).returncode == 1
    assert "Redis" in done.stderr
