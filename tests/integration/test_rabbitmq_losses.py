"""RabbitMQ holds the queue, and one of the two servers forgets: no job stays New for good."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from faults.proxy import Proxy
from redis import Redis
from support.append_only_file import cut, end_of, marked
from support.eventually import eventually
from support.rabbitmq import RabbitMQ
from support.service import Service

from jobs.celery_app import create_celery
from jobs.messages.queue import Queue
from jobs.model.keys import KEYS
from jobs.store.recovery import Recovery
from launch.redis_server import RedisServer, free_port

LEASE = 2.0


@pytest.fixture(scope="module")
def running(rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("losses")
    settings = {"JOBS_BROKER_URL": rabbitmq.url, "JOBS_LEASE": str(LEASE)}
    with RedisServer(directory / "redis") as server, Service(directory, server, **settings) as service:
        yield service


@pytest.fixture
def site(running: Service) -> Service:
    """Without a worker: what is submitted waits in RabbitMQ."""
    running.stop_workers()
    return running


@pytest.fixture
def redis(site: Service) -> Iterator[Redis]:
    with Redis.from_url(site.redis.url, decode_responses=True) as client:
        yield client


def in_rabbitmq(site: Service, redis: Redis) -> str:
    """A job that was handed over."""
    job_id: str = site.submit().json()["id"]
    eventually(lambda: redis.zscore(KEYS.scheduled, job_id) is None, within=20)
    return job_id


def test_a_job_whose_end_redis_has_forgotten_runs_once_more(site: Service, redis: Redis) -> None:
    """Its message is acknowledged; and who submitted it did so too long ago to remember."""
    job_id = in_rabbitmq(site, redis)
    mark = marked(redis)
    before = eventually(lambda: end_of(site.redis, mark))
    site.start_worker()
    assert site.finished(job_id, within=20)["attempt"] == 1
    last = marked(redis)
    eventually(lambda: end_of(site.redis, last))
    site.redis.kill()
    assert cut(site.redis, before) > 0
    site.redis.start()
    assert eventually(lambda: redis.hget(KEYS.record(job_id), "status") == "Completed", within=20)


def test_a_job_whose_message_rabbitmq_has_lost_gets_another(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    jobs = [in_rabbitmq(site, redis), *site.submit_batch([{"type": "demo.noop", "priority": 9}] * 3).json()["jobs"]]
    assert rabbitmq.purge("default") == 4
    site.start_worker()
    for job_id in jobs:
        assert site.finished(job_id, within=20)["status"] == "Completed"


def test_a_message_for_a_queue_that_was_deleted_is_not_with_the_broker(
    site: Service, rabbitmq: RabbitMQ, redis: Redis
) -> None:
    """RabbitMQ confirms what it could put nowhere."""
    in_rabbitmq(site, redis)
    rabbitmq.control("delete_queue", "default")
    jobs = [site.submit().json()["id"] for _ in range(2)]
    eventually(lambda: rabbitmq.messages().get("default"), within=30)
    site.start_worker()
    for job_id in jobs:
        assert site.finished(job_id, within=20)["status"] == "Completed"


def test_a_plain_task_gets_no_other_message(site: Service, redis: Redis) -> None:
    """Redis came back without its claim, say: only who sent it has its arguments."""
    site.start_worker()
    with create_celery(site.settings) as app:
        sent = app.send_task("sample.plain", (1, 2))
        assert sent.get(timeout=30) == 3
        redis.hset(KEYS.record(sent.id), "status", "New")
        Recovery(app.backend.store, Queue(app)).message_used_up(sent.id)
    assert redis.zscore(KEYS.scheduled, sent.id) is None
    redis.hset(KEYS.record(sent.id), "status", "Completed")


def test_a_job_that_redis_says_is_early_runs_when_it_is_time(site: Service, redis: Redis) -> None:
    """A Redis that takes over may have a clock that is behind: a worker is refused what was due."""
    job_id = site.submit(delay=0.5).json()["id"]
    worker = site.start_ready_worker("-Q", "nobody")  # reconciles
    eventually(lambda: redis.zscore(KEYS.scheduled, job_id) is None, within=20)
    redis.hset(KEYS.record(job_id), "run_at", int((redis.time()[0] + 6) * 1e6))
    with create_celery(site.settings) as app:
        app.control.add_consumer("default")
    eventually(lambda: "is not run" in worker.text, within=20)
    assert site.finished(job_id, within=30)["status"] == "Completed"


def test_a_job_whose_process_was_killed_before_it_could_claim_it_gets_another_message(
    site: Service, rabbitmq: RabbitMQ, redis: Redis
) -> None:
    """Redis is away, and its message is acknowledged when the process is lost."""
    first, *others = [in_rabbitmq(site, redis) for _ in range(6)]
    worker = site.start_ready_worker("-Q", "nobody", "-c", "1")
    site.redis.kill()
    try:
        with create_celery(site.settings) as app:
            app.control.add_consumer("default")
        eventually(lambda: "Failed operation claim" in worker.text, within=20)
        [process] = psutil.Process(worker.popen.pid).children()
        process.kill()
        eventually(lambda: not process.is_running(), within=10)
    finally:
        site.redis.start()
    for job_id in (first, *others):
        assert eventually(lambda: site.get(f"/jobs/{job_id}").json()["status"] == "Completed", within=20)  # noqa: B023


def test_jobs_in_a_long_queue_get_no_second_message(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    others = site.start_ready_worker("-Q", "nobody")  # reconciles
    batch = site.submit_batch([{"type": "demo.noop"}] * 300).json()
    eventually(lambda: not redis.zcard(KEYS.scheduled), within=20)
    time.sleep(3 * LEASE)
    assert "enqueued" not in others.text
    site.start_ready_worker()
    assert site.get(f"/batches/{batch['id']}", params={"wait": 50}).json()["counts"]["Completed"] == 300
    eventually(lambda: not redis.zcard(KEYS.waiting("default")), within=20)


def test_a_worker_whose_queue_is_deleted_goes_on(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    site.start_ready_worker()
    assert site.submit(wait=10).status_code == 200
    rabbitmq.control("delete_queue", "default")
    jobs = [site.submit().json()["id"] for _ in range(5)]
    for job_id in jobs:
        assert site.finished(job_id, within=20)["status"] == "Completed"


@pytest.fixture
def behind_proxy(rabbitmq: RabbitMQ, running: Service, tmp_path: Path) -> Iterator[tuple[Service, Proxy]]:
    """A service whose way to RabbitMQ can be cut."""
    running.stop_workers()
    with Proxy(free_port(), rabbitmq.port) as proxy:
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}//"
        with Service(tmp_path, running.redis, JOBS_BROKER_URL=url, JOBS_LEASE=str(LEASE)) as service:
            yield service, proxy


def test_jobs_go_on_through_a_lost_connection_and_end_once(
    behind_proxy: tuple[Service, Proxy], rabbitmq: RabbitMQ, redis: Redis
) -> None:
    """RabbitMQ hands their messages out again, to the same worker, which afterwards has as many in hand as before."""
    site, proxy = behind_proxy
    long = {"type": "demo.random_delay", "parameters": {"seconds": 3 * LEASE}}
    jobs = site.submit_batch([long] * 4).json()["jobs"]
    eventually(lambda: redis.zcard(KEYS.leases) == 4, within=20)
    chance = random.Random(1)
    for _ in range(40):
        proxy.reset_one(chance)
    for job_id in jobs:
        done = site.finished(job_id, within=20)
        assert (done["status"], done["attempt"]) == ("Completed", 1)
    assert "onnection to broker lost" in site.workers[0].text
    eventually(lambda: not sum(rabbitmq.messages().values()), within=30)
    assert site.submit(wait=10).status_code == 200  # its front door had lost its connection too
    eventually(lambda: site.submit(wait=1).status_code == 200)
    began = time.monotonic()
    batch = site.submit_batch([{"type": "demo.random_delay", "parameters": {"seconds": 3}}] * 4, wait=20).json()
    assert batch["counts"]["Completed"] == 4
    assert time.monotonic() - began < 6  # two at a time would take as long
