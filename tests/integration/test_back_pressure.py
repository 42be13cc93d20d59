"""When more cannot be taken: a clear 503, nothing stored, and well again after."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from support.eventually import eventually
from support.service import Service

from jobs.model.keys import KEYS
from jobs.model.priority import queue_key
from jobs.model.status import Status
from launch.redis_server import RedisServer

MOST = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="module")
def front_door(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"JOBS_MAX_QUEUE": str(MOST), "JOBS_LEASE": "2"}
    with Service(tmp_path_factory.mktemp("full"), server, **settings).without_workers() as running:
        yield running


@pytest.fixture
def site(front_door: Service) -> Service:
    """A service with one worker, which the test may stop."""
    front_door.have_one_worker()
    return front_door


@pytest.fixture
def redis(server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(server.url, decode_responses=True) as client:
        yield client


def test_past_the_most_that_may_wait_a_submit_is_refused(site: Service, redis: Redis) -> None:
    site.workers[0].stop()
    waiting = [site.submit("demo.noop").json()["id"] for _ in range(MOST)]
    before = set(redis.keys())
    refused = site.submit("demo.noop")
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) >= 1
    assert f"{MOST} jobs wait already" in refused.json()["detail"]
    assert set(redis.keys()) <= before  # what has a TTL may end meanwhile
    assert redis.zcard(KEYS.index_of_status(Status.NEW)) == MOST
    site.start_worker()
    assert {site.finished(job_id)["status"] for job_id in waiting} == {"Completed"}
    assert site.submit("demo.noop", wait=5).status_code == 200


def test_a_redis_that_is_nearly_full_takes_no_job_and_finishes_those_that_run(site: Service, redis: Redis) -> None:
    running = site.submit("demo.random_delay", parameters={"seconds": 2}).json()["id"]
    eventually(lambda: site.get(f"/jobs/{running}").json()["status"] == "InProgress")
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] / 0.9))
    try:
        refused = eventually(lambda: [a for a in [site.submit("demo.noop")] if a.status_code == 503])[0]
        assert "maxmemory" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert site.finished(running)["status"] == "Completed"
    finally:
        redis.config_set("maxmemory", 0)
    eventually(lambda: site.submit("demo.noop", wait=5).status_code == 200)


def test_a_job_of_priority_9_overtakes_a_thousand_that_wait(tmp_path: Path, site: Service, redis: Redis) -> None:
    site.workers[0].stop()
    with Service(tmp_path, site.redis).without_workers() as roomy:
        batch = roomy.submit_batch([{"type": "demo.noop"}] * 1000).json()
        urgent = roomy.submit("demo.noop", priority=9).json()["id"]
        assert (redis.llen(queue_key("default", 5)), redis.llen(queue_key("default", 9))) == (1000, 1)
        site.start_worker()
        site.finished(urgent, within=20)
        eventually(lambda: redis.zcard(KEYS.index_of_status(Status.NEW)) == 0, within=60)
        begun = [int(redis.hget(KEYS.record(job_id), "started_at") or 0) for job_id in (urgent, *batch["jobs"])]
        assert sum(each < begun[0] for each in begun) < 50


def test_a_hundred_equal_submits_at_once_make_one_job(site: Service) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: site.submit("demo.noop", owner="once", headers=key), range(100)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(site.get("/jobs", params={"owner": "once"}).json()) == 1
