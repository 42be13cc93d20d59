"""A worker with quick jobs fetches some ahead, and gives them back when its processes have long ones."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.eventually import eventually
from support.servers import WITH_ONE_SERVER
from support.service import Service

from jobs.celery_app import create_celery
from launch.redis_server import RedisServer

pytestmark = WITH_ONE_SERVER

NOOP = {"type": "demo.noop"}
LONG = {"type": "demo.random_delay", "parameters": {"seconds": 0.5}}


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    """A database of this file's own."""
    with Redis.from_url(redis_server.url.removesuffix("/0") + "/13", decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def site(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """A service without a worker."""
    service = Service(tmp_path, redis_server, JOBS_REDIS_URL=redis_server.url.removesuffix("/0") + "/13")
    try:
        service.start_web()
        yield service
    finally:
        service.stop()


def submit(site: Service, jobs: list[Any]) -> list[str]:
    answer = site.submit_batch(jobs)
    assert answer.status_code == 202, answer.text
    ids: list[str] = answer.json()["jobs"]
    return ids


def busy(site: Service, redis: Redis) -> None:
    """Some hundred jobs are done, and others wait."""
    for _ in range(4):
        submit(site, [NOOP] * 1000)
    eventually(lambda: redis.llen("default") < 3500, within=20)
    assert redis.llen("default") > 500


def test_a_worker_with_quick_jobs_holds_more_than_its_processes_run(site: Service, redis: Redis) -> None:
    site.start_ready_worker("-c", "2")
    app = create_celery(site.settings)
    try:
        busy(site, redis)
        worker = eventually(lambda: app.control.inspect(timeout=1).reserved())
        eventually(lambda: max(map(len, (app.control.inspect(timeout=1).reserved() or worker).values())) > 2, within=20)
    finally:
        app.close()


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
    assert overtook < begun[3]
    assert "fetched ahead go back to the queue" in site.workers[0].text


def test_a_plain_task_that_waits_behind_long_jobs_goes_back_too(site: Service, redis: Redis) -> None:
    site.start_ready_worker("-c", "1")
    busy(site, redis)
    [long] = submit(site, [LONG])
    app = create_celery(site.settings)
    try:
        for number in range(4):
            app.send_task("sample.plain", (number, number))
        behind = submit(site, [NOOP] * 5)
        site.finished(long, within=60)  # it ran, and they waited behind it
        eventually(lambda: not redis.llen("default"), within=20)
        eventually(lambda: not redis.hlen("unacked"), within=20)
    finally:
        app.close()
    told = site.workers[0].text
    assert len(re.findall(r"Task sample\.plain\[\S+\] succeeded", told)) == 4
    assert len(re.findall(r"Task sample\.plain\[\S+\] received", told)) > 4
    site.finished(behind[0])
    told = site.workers[0].text
    assert told.rindex("Task sample.plain") < told.index(f"Task demo.noop[{behind[0]}] succeeded")


def test_a_worker_that_is_stopped_leaves_them_to_others(site: Service, redis: Redis) -> None:
    first = site.start_ready_worker("-c", "1")
    busy(site, redis)
    assert first.stop() == 0
    left = redis.llen("default")
    assert left > 0
    second = site.start_ready_worker("-c", "1")
    eventually(lambda: not redis.llen("default"), within=30)
    jobs = eventually(lambda: int(redis.hget("jobs:counts", "finished") or 0) == 4000)
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
