"""The queue in RabbitMQ, the jobs in Redis; run where Debian's rabbitmq-server is installed."""

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from support.eventually import eventually
from support.messages import NOT_TO_BE_RUN, message, of_job
from support.rabbitmq import SERVER, RabbitMQ
from support.service import Service

from jobs.dead_letters import DeadLetter, DeadLetters
from jobs.keys import KEYS
from launch.redis_server import RedisServer

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason="Debian's rabbitmq-server is not installed")

LEASE = 2.0


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    server = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def site(rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One worker for all of these tests: it has to live through them."""
    directory = tmp_path_factory.mktemp("rabbitmq-site")
    with (
        RedisServer(directory / "redis") as redis,
        Service(directory, redis, JOBS_BROKER_URL=rabbitmq.url, JOBS_LEASE=str(LEASE)) as running,
    ):
        yield running


@pytest.fixture
def redis(site: Service) -> Iterator[Redis]:
    with Redis.from_url(site.redis.url, decode_responses=True) as client:
        client.delete(KEYS.dead)
        yield client


@pytest.fixture(autouse=True)
def _the_worker_lives(site: Service) -> Iterator[None]:
    yield
    assert site.submit("demo.noop", wait=20).status_code == 200
    assert site.workers[0].popen.poll() is None


def in_amqp(sound: dict[str, Any]) -> dict[str, Any]:
    """The same message with its body as it is: AMQP has no need of base64."""
    return {**sound, "body": base64.b64decode(sound["body"]).decode()}


def letters(redis: Redis, count: int = 1) -> list[DeadLetter]:
    return eventually(lambda: len(found := list(DeadLetters(redis))) >= count and found, within=10)


def test_jobs_go_through_it(site: Service) -> None:
    assert site.submit("demo.noop", parameters={"a": 1}, wait=10).json()["result"] == {"a": 1}
    assert site.finished(site.submit("demo.fail", parameters={"retryable": True}).json()["id"], 20)["attempt"] == 3
    delayed = site.submit("demo.noop", delay=1).json()["id"]
    assert site.finished(delayed)["status"] == "Completed"
    batch = site.submit_batch([{"type": "demo.noop"}] * 50, wait=20)
    assert (batch.status_code, batch.json()["counts"]["Completed"]) == (200, 50)


@pytest.mark.parametrize("kind", NOT_TO_BE_RUN)
def test_a_message_that_no_worker_can_run_is_set_aside(
    site: Service, rabbitmq: RabbitMQ, redis: Redis, kind: str
) -> None:
    broken, reason = NOT_TO_BE_RUN[kind]
    counted = int(redis.hget(KEYS.counts, "dead_letters") or 0)
    rabbitmq.send(in_amqp(broken))
    [letter] = letters(redis)
    assert reason in letter.reason
    assert letter.queue == "default"
    assert broken["headers"]["id"] in letter.message
    assert base64.b64encode(base64.b64decode(broken["body"])).decode() in letter.message
    assert "RabbitMQ" in letter.note
    assert int(redis.hget(KEYS.counts, "dead_letters") or 0) == counted + 1


def test_no_room_is_lost_by_messages_that_are_set_aside(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    """A worker that kept one unacknowledged would have one less in hand for good: it may hold four."""
    for _ in range(6):
        rabbitmq.send(in_amqp(of_job()))
        rabbitmq.send(in_amqp(message("nobody.knows")))
    assert len(letters(redis, 12)) == 12
    assert site.submit("demo.noop", wait=10).status_code == 200
    eventually(lambda: not sum(rabbitmq.messages().values()))


def test_a_letter_that_cannot_be_kept_holds_nobody_up(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    redis.set(KEYS.dead, "no stream")
    for _ in range(6):
        rabbitmq.send(in_amqp(of_job()))
        rabbitmq.send(in_amqp(message("nobody.knows")))
    eventually(lambda: site.workers[0].text.count("it is lost") >= 12, within=10)
    assert site.submit("demo.noop", wait=10).status_code == 200
    redis.delete(KEYS.dead)


def test_a_job_whose_message_is_set_aside_gets_another(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    """A worker that does not know the type yet may have taken it."""
    busy = [site.submit("demo.random_delay", parameters={"seconds": 1.0}).json()["id"] for _ in range(4)]
    eventually(lambda: all(redis.hget(KEYS.record(each), "status") == "InProgress" for each in busy))
    job_id = site.submit("demo.noop").json()["id"]
    assert rabbitmq.purge("default") == 1
    rabbitmq.send(in_amqp(message("nobody.knows", job_id, owner="anonymous")))
    assert site.finished(job_id, within=15)["status"] == "Completed"
    assert redis.zscore(KEYS.waiting("default"), job_id) is None
    assert redis.exists("default") == 0


def test_jobs_survive_its_absence(site: Service, rabbitmq: RabbitMQ) -> None:
    rabbitmq.stop()
    accepted = site.submit("demo.noop")
    assert accepted.status_code == 202
    began = time.monotonic()
    batch = site.submit_batch([{"type": "demo.noop"}] * 200).json()
    assert time.monotonic() - began < 3
    rabbitmq.start()
    done = eventually(lambda: (a := site.get(f"/jobs/{accepted.json()['id']}")).status_code == 200 and a.json(), 40)
    assert done["status"] == "Completed"
    ended = site.get(f"/batches/{batch['id']}", params={"wait": 40})
    assert (ended.status_code, ended.json()["counts"]["Completed"]) == (200, 200)
