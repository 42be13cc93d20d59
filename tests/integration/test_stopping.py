"""A job has been sent to a process, which has not begun it, as the worker is asked to stop or the process is killed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis
from support.eventually import eventually
from support.processes import Process
from support.service import Service

from jobs.celery_app import create_celery
from jobs.model.keys import KEYS
from launch.redis_server import RedisServer

STOPS_WITHIN = 8.0


def of_its_own(server: RedisServer) -> str:
    """A database that no worker of other tests looks at."""
    return server.url.removesuffix("/0") + "/8"


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(of_its_own(redis_server), decode_responses=True) as client:
        yield client


@pytest.fixture(scope="module")
def front_door(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {"JOBS_LEASE": "2", "JOBS_REDIS_URL": of_its_own(redis_server)}
    with Service(tmp_path_factory.mktemp("stopping"), redis_server, **settings).without_workers() as service:
        yield service


@pytest.fixture
def running(front_door: Service, redis: Redis) -> Iterator[Service]:
    """A service without a worker, and nothing in the queue."""
    redis.flushdb()
    yield front_door
    front_door.stop_workers()


def stopped_with_a_job_on_its_way(service: Service, redis: Redis, worker: Process, seconds: float) -> str:
    """Its process stands still while the job is sent to it, and goes on when the worker is stopping."""
    (child,) = psutil.Process(worker.popen.pid).children()
    os.kill(child.pid, signal.SIGSTOP)
    job_id = str(service.submit("demo.random_delay", parameters={"seconds": seconds}).json()["id"])
    eventually(lambda: redis.zscore(KEYS.fetched, job_id))
    worker.popen.terminate()
    eventually(lambda: "Warm shutdown" in worker.text)
    time.sleep(1)  # nothing to be seen from outside says that it reads no more from its processes
    os.kill(child.pid, signal.SIGCONT)
    return job_id


def test_a_job_on_its_way_into_a_process_that_is_killed_runs_in_the_next_one(running: Service, redis: Redis) -> None:
    worker = running.start_ready_worker("-c", "1")
    (child,) = psutil.Process(worker.popen.pid).children()
    os.kill(child.pid, signal.SIGSTOP)
    job_id = str(running.submit().json()["id"])
    eventually(lambda: redis.zscore(KEYS.fetched, job_id))
    os.kill(child.pid, signal.SIGKILL)
    document = running.finished(job_id, within=5)
    assert (document["status"], document["attempt"]) == ("Completed", 1)
    assert f"job {job_id}: enqueued" not in worker.text  # no reconciler was needed


def test_it_ends_once_the_job_has(running: Service, redis: Redis) -> None:
    worker = running.start_ready_worker("-c", "1")
    job_id = stopped_with_a_job_on_its_way(running, redis, worker, seconds=0.1)
    assert worker.popen.wait(STOPS_WITHIN) == 0
    assert running.finished(job_id)["attempt"] == 1
    assert redis.llen("default") == 0


def test_the_job_keeps_its_lease_meanwhile(running: Service, redis: Redis) -> None:
    worker = running.start_ready_worker("-c", "1")
    job_id = stopped_with_a_job_on_its_way(running, redis, worker, seconds=4)
    another = running.start_ready_worker("-c", "1")
    document = running.finished(job_id)
    assert (document["status"], document["attempt"]) == ("Completed", 1)
    assert f"job {job_id}" not in another.text


def test_a_plain_task_that_outlasts_the_grace_goes_back_too(running: Service, redis: Redis, tmp_path: Path) -> None:
    worker = running.start_ready_worker("-c", "1", JOBS_GRACE="1")
    with create_celery(running.settings) as app:
        sent = app.send_task("sample.plain_marks", (8, str(tmp_path / "mark")))
    eventually(lambda: f"{sent.id}] received" in worker.text)
    assert worker.stop() == 0
    running.workers.remove(worker)
    assert not redis.exists("unacked")
    assert redis.llen("default") == 1
    running.start_ready_worker("-c", "1")
    eventually((tmp_path / "mark").exists, within=15)
