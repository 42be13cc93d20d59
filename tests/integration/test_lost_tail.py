"""Redis comes back without what it had accepted last: whoever submitted it does so again, and nobody notices.

It happens with ``appendfsync everysec`` when Redis is killed while its file is synced, and in a failover. Here the end
of its file is cut off.
"""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from support.append_only_file import cut, end_of, marked
from support.eventually import eventually
from support.service import Service

from jobs.model.keys import KEYS
from jobs.store.recent_submits import KEPT_FOR
from launch.redis_server import RedisServer

BACK_WITHIN = 15.0
"""Seconds for the service to be well again, on a busy machine."""


class Forgetful:
    """A server that loses what came after :meth:`mark`."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._marked = 0

    def mark(self) -> None:
        with Redis.from_url(self._server.url) as redis:
            mark = marked(redis)
        self._marked = eventually(lambda: end_of(self._server, mark))

    def restart(self, down: float = 0.0) -> None:
        self.lose()
        time.sleep(down)
        self._server.start()

    def lose(self) -> None:
        self._server.kill()
        cut(self._server, self._marked)  # and what was held back is lost anyway


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(scope="module")
def running(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("forgotten"), server) as running:
        yield running


@pytest.fixture
def service(running: Service) -> Service:
    """One that is well, whatever the test before did to its Redis."""
    eventually(lambda: running.submit(wait=5).status_code == 200, within=BACK_WITHIN)
    return running


def finals_of(server: RedisServer, job_id: str) -> int:
    with Redis.from_url(server.url, decode_responses=True) as redis:
        events = [fields["event"] for _, fields in redis.xrange(KEYS.stream)]
    return sum(f'"{job_id}:' in event and '"type":"job.completed"' in event for event in events)


def text_of(service: Service) -> str:
    """What its front door has said so far."""
    assert service.web is not None
    return service.web.text


def completed(service: Service, job_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        answer = service.get(f"/jobs/{job_id}", params={"wait": 1})
        return answer.json() if answer.status_code == 200 else None

    return eventually(look, within=BACK_WITHIN)


def test_jobs_and_batches_that_were_accepted_last_are_done(server: RedisServer, service: Service) -> None:
    forgetful = Forgetful(server)
    forgetful.mark()
    key = {"Idempotency-Key": str(uuid4())}
    jobs = [service.submit(parameters={"n": n}, delay=1).json()["id"] for n in range(20)]
    with_key = service.submit(headers=key, tags={"a": "b"}).json()["id"]
    batch = service.submit_batch([{"type": "demo.noop"}] * 3).json()
    forgetful.restart(down=KEPT_FOR + 1)
    assert eventually(lambda: service.submit().status_code == 202, within=BACK_WITHIN), (
        "and what is new comes before what was lost"
    )
    for number, job_id in enumerate(jobs):
        assert completed(service, job_id)["result"] == {"n": number}
    for job_id in (with_key, *batch["jobs"]):
        completed(service, job_id)
    assert service.submit(headers=key, tags={"a": "b"}).json()["id"] == with_key
    assert eventually(lambda: service.get(f"/batches/{batch['id']}").json()["counts"]["Completed"] == 3)
    assert [finals_of(server, job_id) for job_id in (*jobs, with_key)] == [1] * 21
    assert "Redis came back without 22 jobs or batches accepted last: submitted again" in text_of(service)


def test_a_server_that_fell_silent_first_is_no_exception(server: RedisServer, service: Service) -> None:
    """Its end is noticed 5 to 10 seconds later, when nothing has been accepted for longer than is remembered."""
    forgetful = Forgetful(server)
    forgetful.mark()
    job_id = service.submit(delay=1).json()["id"]
    before = len(text_of(service))
    os.kill(server.pid, signal.SIGSTOP)
    eventually(lambda: "reply channel lost" in text_of(service)[before:], within=20)
    forgetful.restart()
    completed(service, job_id)


def test_a_request_that_waits_for_one_is_answered(server: RedisServer, service: Service) -> None:
    forgetful = Forgetful(server)
    forgetful.mark()
    with ThreadPoolExecutor(1) as pool:
        tag = uuid4().hex
        answer = pool.submit(service.submit, "demo.noop", parameters={"a": 1}, tags={"t": tag}, delay=1, wait=30)
        eventually(lambda: service.get("/jobs", params={"tag": f"t={tag}"}).json())
        forgetful.restart()
        assert (answer.result().status_code, answer.result().json()["result"]) == (200, {"a": 1})


def test_one_that_was_deleted_meanwhile_stays_away(server: RedisServer, service: Service) -> None:
    forgetful = Forgetful(server)
    forgetful.mark()
    gone = service.submit(wait=5).json()["id"]
    assert service.delete(f"/jobs/{gone}").status_code == 204
    stays = service.submit().json()["id"]
    forgetful.restart()
    completed(service, stays)
    assert service.get(f"/jobs/{gone}").status_code == 404


def test_a_connection_that_breaks_brings_nothing_back(server: RedisServer, service: Service) -> None:
    job_id = service.submit(wait=5).json()["id"]
    with Redis.from_url(server.url, decode_responses=True) as redis:
        redis.delete(KEYS.record(job_id))  # as if somebody else had removed it
        before = len(text_of(service))
        redis.client_kill_filter(_type="pubsub")
        eventually(lambda: "subscribing again" in text_of(service)[before:])
        assert service.submit(wait=5).status_code == 200
        eventually(lambda: redis.pubsub_channels("jobs.reply.*"))
    assert service.get(f"/jobs/{job_id}").status_code == 404


def test_redis_that_is_full_when_it_comes_back_takes_them_once_it_has_room(
    server: RedisServer, service: Service
) -> None:
    forgetful = Forgetful(server)
    with Redis.from_url(server.url) as redis:
        redis.set("ballast", "x" * 20_000_000)
    forgetful.mark()
    job_id, before = service.submit(delay=1).json()["id"], len(text_of(service))
    forgetful.lose()
    tight = RedisServer(server.data_dir, port=server.port, options={"maxmemory": "10mb"})
    try:
        with tight, Redis.from_url(tight.url) as redis:
            eventually(lambda: "is to be submitted again" in text_of(service)[before:], within=BACK_WITHIN)
            redis.config_set("maxmemory", 0)
            completed(service, job_id)
    finally:
        server.start()
