"""A worker with quick jobs fetches some ahead, and gives them back when its processes have long ones."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from support.eventually import eventually
from support.servers import WITH_ONE_SERVER
from support.service import Service

from jobs.celery_app import create_celery
from jobs.model.keys import KEYS
from launch.redis_server import RedisServer

pytestmark = WITH_ONE_SERVER

NOOP = {"type": "demo.noop"}
MOST_PROCESSES = 2
ENOUGH = 800
"""Quick jobs in the queue: what a test puts behind them is there before the worker comes to it."""
LONG = {"type": "demo.random_delay", "parameters": {"seconds": 0.5}}


@pytest.fixture(scope="module")
def front_door(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """On a database of this file's own."""
    url = redis_server.url.removesuffix("/0") + "/13"
    with Service(tmp_path_factory.mktemp("ahead"), redis_server, JOBS_REDIS_URL=url).without_workers() as service:
        yield service


@pytest.fixture
def redis(front_door: Service) -> Iterator[Redis]:
    with Redis.from_url(front_door.settings.redis_url, decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def site(front_door: Service, redis: Redis) -> Iterator[Service]:
    """A service without a worker, and nothing in the queue."""
    yield front_door
    front_door.stop_workers()


def submit(site: Service, jobs: list[Any]) -> list[str]:
    answer = site.submit_batch(jobs)
    assert answer.status_code == 202, answer.text
    ids: list[str] = answer.json()["jobs"]
    return ids


def busy(site: Service, redis: Redis) -> int:
    """Jobs are done, others wait, and the worker has fetched some ahead. How many jobs there were."""
    submitted = 0

    def fetches_ahead() -> bool:
        nonlocal submitted
        if redis.llen("default") < ENOUGH:
            submitted += len(submit(site, [NOOP] * ENOUGH))
        newest = redis.zrange(KEYS.fetched, -1, -1, withscores=True)
        at = newest[0][1] if newest else 0.0  # of one heartbeat, which notes all that wait in the worker
        return int(redis.zcount(KEYS.fetched, at, at)) > MOST_PROCESSES

    eventually(fetches_ahead, within=60)
    return submitted


def test_a_worker_with_quick_jobs_holds_more_than_its_processes_run(site: Service, redis: Redis) -> None:
    site.start_ready_worker("-c", str(MOST_PROCESSES))
    assert busy(site, redis)


def test_what_waits_behind_long_jobs_goes_back_in_its_order(site: Service, redis: Redis) -> None:
    site.start_ready_worker("-c", "1")
    busy(site, redis)
    long = submit(site, [LONG] * 6)
    site.finished(long[0], within=60)
    urgent = site.submit(priority=9, wait=5).json()["id"]
    documents = [site.finished(job_id, within=20) for job_id in (*long, urgent)]
    assert {(each["status"], each["attempt"]) for each in documents} == {("Completed", 1)}
    *begun, overtook = [each["started_at"] for each in documents]
    assert begun == sorted(begun)
    assert sum(documents[-1]["created_at"] < each < overtook for each in begun) <= 2
    assert "fetched ahead go back to the queue" in site.workers[0].text


def test_a_plain_task_that_waits_behind_long_jobs_goes_back_too(site: Service, redis: Redis) -> None:
    worker = site.start_ready_worker("-c", "1")
    with create_celery(site.settings) as app:
        app.send_task("sample.plain", (0, 0)).get(timeout=20)  # connected, before the quick jobs run out
        eventually(lambda: "] succeeded" in worker.text)

        def went_back() -> bool:
            """Whether one did: none is fetched ahead if the machine was slow at that moment."""
            before = len(worker.text)
            busy(site, redis)
            [long] = submit(site, [LONG])
            for number in range(3):
                app.send_task("sample.plain", (number, number))
            behind = submit(site, [NOOP] * 5)
            site.finished(long, within=60)  # it ran, and they waited behind it
            site.finished(behind[0], within=20)
            eventually(lambda: not redis.llen("default"), within=20)
            eventually(lambda: not redis.hlen("unacked"), within=20)
            eventually(lambda: f"Task demo.noop[{behind[-1]}] succeeded" in worker.text)
            told = worker.text[before:]
            assert len(re.findall(r"Task sample\.plain\[\S+\] succeeded", told)) == 3
            assert told.rindex("Task sample.plain") < told.index(f"Task demo.noop[{behind[0]}] succeeded")
            return len(re.findall(r"Task sample\.plain\[\S+\] received", told)) > 3

        eventually(went_back, within=30)


def test_a_worker_that_is_stopped_leaves_them_to_others(site: Service, redis: Redis) -> None:
    first = site.start_ready_worker("-c", "1")
    submitted = busy(site, redis)
    assert first.stop() == 0
    left = redis.llen("default")
    assert left > 0
    second = site.start_ready_worker("-c", "1")
    eventually(lambda: not redis.llen("default"), within=60)
    jobs = eventually(lambda: int(redis.hget("jobs:counts", "finished") or 0) == submitted)
    assert jobs
    assert "enqueued" not in second.text  # no reconciler had to look for any


def test_a_worker_that_is_stopped_keeps_none_while_it_ends_a_long_job(site: Service, redis: Redis) -> None:
    first = site.start_ready_worker("-c", "1")
    busy(site, redis)
    long, *behind = submit(site, [{**LONG, "parameters": {"seconds": 6}}, *[NOOP] * 20])
    eventually(lambda: site.get(f"/jobs/{long}").json()["status"] == "InProgress", within=60)
    first.popen.terminate()
    eventually(lambda: redis.llen("default") == len(behind))
    assert site.get(f"/jobs/{long}").json()["status"] == "InProgress"
    second = site.start_ready_worker("-c", "1")
    documents = [site.finished(job_id) for job_id in behind]
    assert [each["attempt"] for each in documents] == [1] * len(behind)
    begun = [each["started_at"] for each in documents]
    assert begun == sorted(begun)
    assert first.popen.wait(20) == 0
    assert site.get(f"/jobs/{long}").json()["attempt"] == 1
    assert "enqueued" not in second.text
