"""Jobs whose worker, process or message is gone: they run again, and end once."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import requests
from redis import Redis
from support.eventually import eventually
from support.processes import is_gone
from support.publishing import created, store_of
from support.service import Service
from support.stored import job_ids
from support.timing import assert_takes

from jobs.model.event import Event
from jobs.model.keys import KEYS
from jobs.model.status import Status
from launch.redis_server import RedisServer

LEASE = 2.0
RECOVERED_WITHIN = 10.0


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One that tests may kill workers on, and that no other worker uses."""
    with RedisServer(tmp_path_factory.mktemp("recovery-redis")) as server:
        yield server


@pytest.fixture(scope="module")
def front_door(own_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a worker."""
    with Service(tmp_path_factory.mktemp("recovery"), own_server, JOBS_LEASE=str(LEASE)).without_workers() as service:
        yield service


@pytest.fixture
def site(front_door: Service) -> Service:
    """A service with one worker, which the test may kill."""
    front_door.have_one_worker()
    return front_door


@contextmanager
def site_with(front_door: Service, **settings: str) -> Iterator[Service]:
    """A service whose one worker has such settings."""
    front_door.stop_workers()
    try:
        front_door.start_ready_worker(**settings)
        yield front_door
    finally:
        front_door.stop_workers()


@pytest.fixture
def redis(own_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(own_server.url, decode_responses=True) as client:
        yield client


def submit(site: Service, job_type: str, **body: Any) -> str:
    answer = site.submit(job_type, **body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def held(file: Path) -> dict[str, Any]:
    """A body: a job that runs until there is the file."""
    return {"type": "sample.holds", "parameters": {"file": str(file)}}


def submit_held(site: Service, file: Path) -> str:
    body = held(file)
    return submit(site, body.pop("type"), **body)


def running(site: Service, job_id: str) -> dict[str, Any]:
    return eventually(lambda: (d := site.get(f"/jobs/{job_id}").json())["status"] == "InProgress" and d, within=15)


def events_of(redis: Redis, job_id: str) -> list[Event]:
    events = [Event.from_json(fields["event"]) for _, fields in redis.xrange(KEYS.stream)]
    return [event for event in events if event.job_id == job_id]


def test_a_job_whose_worker_is_killed_runs_again_on_another(site: Service, redis: Redis, tmp_path: Path) -> None:
    job_id = submit_held(site, tmp_path / "goes on")
    running(site, job_id)
    site.workers[0].kill()
    (tmp_path / "goes on").touch()
    site.start_worker()
    done = site.finished(job_id, within=LEASE + RECOVERED_WITHIN)
    assert (done["status"], done["attempt"]) == ("Completed", 2)
    assert [e.name for e in events_of(redis, job_id) if e.name != "progress"] == [
        *("created", "updated", "updated", "updated", "completed")
    ]
    assert redis.zcard(KEYS.leases) == 0


def test_a_batch_whose_worker_is_killed_ends_once_with_every_job_counted(
    site: Service, redis: Redis, tmp_path: Path
) -> None:
    batch = site.submit_batch([{"type": "demo.noop"}] * 4 + [held(tmp_path / "goes on")] * 8).json()
    path = f"/batches/{batch['id']}"
    so_far = {"New": 4, "InProgress": 4, "Completed": 4, "Failed": 0, "Cancelled": 0}
    eventually(lambda: site.get(path).json()["counts"] == so_far, within=15)
    site.workers[0].kill()
    (tmp_path / "goes on").touch()
    site.start_worker()
    done = site.get(path, params={"wait": LEASE + RECOVERED_WITHIN}).json()
    assert done["counts"] == {"New": 0, "InProgress": 0, "Completed": 12, "Failed": 0, "Cancelled": 0}
    assert [e.name for e in events_of(redis, batch["id"])] == ["batch.completed"]


def test_a_job_whose_process_is_killed_runs_again_at_once(site: Service, redis: Redis, tmp_path: Path) -> None:
    def lose_its_process() -> None:
        file = tmp_path / uuid4().hex
        job_id = submit_held(site, file)
        running(site, job_id)
        _, pid = str(redis.hget(KEYS.record(job_id), "holder")).split("/")
        os.kill(int(pid), signal.SIGKILL)
        file.touch()
        done = site.finished(job_id)
        assert (done["status"], done["attempt"]) == ("Completed", 2)

    assert_takes(lose_its_process, at_least=0, at_most=LEASE)


def test_a_job_that_kills_its_process_is_failed_after_its_attempts(site: Service) -> None:
    good = [submit(site, "demo.noop", parameters={"n": n}) for n in range(10)]
    job_id = submit(site, "demo.crash")
    good += [submit(site, "demo.noop", parameters={"n": n}) for n in range(10)]
    done = site.finished(job_id, within=30)
    assert (done["status"], done["attempt"], done["error"]["type"]) == ("Failed", 3, "worker-lost")
    assert "SIGKILL" in done["error"]["message"]
    assert {site.finished(each)["status"] for each in good} == {"Completed"}


def test_a_job_whose_message_is_gone_gets_another(site: Service, redis: Redis) -> None:
    site.workers[0].stop()
    lost, kept = submit(site, "demo.noop"), submit(site, "demo.noop")
    assert redis.rpop("default")  # as a worker that is killed right after it has taken it
    assert redis.llen("default") == 1
    site.start_worker()
    assert site.finished(kept)["status"] == "Completed"
    assert site.finished(lost, within=LEASE + RECOVERED_WITHIN)["attempt"] == 1


def test_a_long_queue_is_not_taken_for_lost_messages(site: Service, redis: Redis) -> None:
    before = len(site.workers[0].text)
    ids = [submit(site, "demo.random_delay", parameters={"seconds": 0.05}) for _ in range(400)]
    for job_id in ids:
        assert site.finished(job_id, within=60)["attempt"] == 1
    assert "enqueued" not in site.workers[0].text[before:]


def test_a_stopped_worker_writes_nothing_after_its_lease(site: Service, redis: Redis, tmp_path: Path) -> None:
    first = site.workers[0]
    job_id = submit_held(site, tmp_path / "goes on")
    running(site, job_id)
    group = psutil.Process(first.popen.pid)
    everyone = [group, *group.children(recursive=True)]
    for process in everyone:
        process.suspend()
    (tmp_path / "goes on").touch()
    site.start_worker()
    done = site.finished(job_id, within=3 * LEASE + RECOVERED_WITHIN)
    assert (done["status"], done["attempt"]) == ("Completed", 2)
    for process in everyone:
        process.resume()
    eventually(lambda: int(redis.hget(KEYS.counts, "stale_writes_refused") or 0) >= 1)
    after = site.get(f"/jobs/{job_id}").json()
    assert after == done
    assert [e.name for e in events_of(redis, job_id)].count("completed") == 1


@pytest.mark.parametrize("damaged", [False, True])
def test_a_job_whose_record_is_gone_or_damaged_is_not_looked_for_for_ever(
    site: Service, redis: Redis, damaged: bool
) -> None:
    job_id = submit(site, "demo.random_delay", parameters={"seconds": 3 * LEASE})
    running(site, job_id)
    redis.delete(KEYS.record(job_id))
    if damaged:
        redis.set(KEYS.record(job_id), "no record", ex=60)
    kept_in = (KEYS.leases, KEYS.index_of_status(Status.IN_PROGRESS))
    eventually(lambda: not any(redis.zscore(key, job_id) is not None for key in kept_in), within=10 * LEASE)
    assert site.finished(submit(site, "demo.noop"))["status"] == "Completed"


def test_a_delayed_job_runs_when_its_time_has_come(site: Service) -> None:
    began = time.time()
    answer = site.submit("demo.noop", delay=1.5).json()
    assert answer["status"] == "New"
    assert answer["run_at"] > answer["created_at"]
    done = site.finished(answer["id"])
    assert time.time() - began >= 1.5
    assert (done["status"], done["run_at"]) == ("Completed", None)


def test_a_delay_of_days_waits_in_our_index_only(site: Service, redis: Redis) -> None:
    job_id = submit(site, "demo.noop", delay=5 * 86_400)
    assert redis.zscore(KEYS.scheduled, job_id)
    assert redis.llen("default") == 0
    assert site.post(f"/jobs/{job_id}/cancel").status_code == 200
    assert redis.zscore(KEYS.scheduled, job_id) is None


def test_a_job_that_waits_for_its_next_attempt_says_when_and_why(site: Service) -> None:
    job_id = submit(site, "sample.unreachable")
    waiting = eventually(lambda: (d := site.get(f"/jobs/{job_id}").json())["run_at"] and d)
    assert (waiting["status"], waiting["attempt"], waiting["error"]["retryable"]) == ("New", 1, True)
    assert site.post(f"/jobs/{job_id}/cancel").status_code == 200


def test_a_retryable_failure_runs_again_after_a_pause(site: Service, redis: Redis) -> None:
    job_id = submit(site, "demo.fail", parameters={"retryable": True})
    done = site.finished(job_id, within=20)
    assert (done["status"], done["attempt"], done["error"]["retryable"]) == ("Failed", 3, True)
    told = [event.data for event in events_of(redis, job_id)]
    assert [(each["status"], each["attempt"]) for each in told[2:4]] == [("New", 1), ("InProgress", 2)]
    paused = [datetime.fromisoformat(event.time) for event in events_of(redis, job_id)[2:4]]
    assert (paused[1] - paused[0]).total_seconds() >= 0.49  # half a second at least, and both are rounded
    assert told[2]["error"]["type"] == "demo-failure"
    assert [e.sequence for e in events_of(redis, job_id)] == list(range(1, 8))


def test_a_failed_job_runs_again_when_somebody_asks(site: Service, redis: Redis) -> None:
    job_id = submit(site, "demo.fail")
    assert site.finished(job_id)["status"] == "Failed"
    answer = site.post(f"/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "New")
    assert answer.headers["Location"].endswith(job_id)
    done = site.finished(job_id)
    assert (done["status"], done["attempt"]) == ("Failed", 2)
    completed = submit(site, "demo.noop")
    site.finished(completed)
    assert site.post(f"/jobs/{completed}/retry").status_code == 409
    assert site.post(f"/jobs/{uuid4()}/retry").status_code == 404


def test_a_forced_cancel_ends_the_process(site: Service, redis: Redis) -> None:
    job_id = submit(site, "demo.hang")
    running(site, job_id)
    _, pid = str(redis.hget(KEYS.record(job_id), "holder")).split("/")
    answer = site.post(f"/jobs/{job_id}/cancel", {"force": True})
    assert (answer.status_code, answer.json()["status"]) == (200, "Cancelled")
    eventually(lambda: is_gone(int(pid)), within=6)
    assert site.finished(submit(site, "demo.noop"))["status"] == "Completed"
    assert site.get(f"/jobs/{job_id}").json()["status"] == "Cancelled"


def test_a_forced_cancel_ends_the_process_after_a_plain_one_and_a_retry_too(site: Service, redis: Redis) -> None:
    job_id = submit(site, "demo.hang")
    running(site, job_id)
    _, pid = str(redis.hget(KEYS.record(job_id), "holder")).split("/")
    site.post(f"/jobs/{job_id}/cancel")
    eventually(lambda: f"job {job_id}: this worker's attempt counts no more" in site.workers[0].text, within=5)
    site.post(f"/jobs/{job_id}/cancel", {"force": True})
    assert site.post(f"/jobs/{job_id}/retry").status_code == 202
    eventually(lambda: is_gone(int(pid)), within=6)
    assert running(site, job_id)["attempt"] == 2
    site.post(f"/jobs/{job_id}/cancel", {"force": True})


def test_a_job_that_is_retried_while_its_cancelled_attempt_goes_on_keeps_its_lease(
    site: Service, tmp_path: Path
) -> None:
    job_id = submit(site, "sample.marks", parameters={"seconds": 2.5 * LEASE, "file": str(tmp_path / "mark")})
    running(site, job_id)
    site.post(f"/jobs/{job_id}/cancel")
    assert site.post(f"/jobs/{job_id}/retry").status_code == 202
    done = site.finished(job_id, within=30)
    assert (done["status"], done["attempt"]) == ("Completed", 2)


def test_a_cancelled_job_never_starts_after_a_restart(site: Service) -> None:
    site.workers[0].stop()
    job_id = submit(site, "demo.noop")
    site.post(f"/jobs/{job_id}/cancel")
    site.start_worker()
    site.finished(submit(site, "demo.noop"))
    document = site.get(f"/jobs/{job_id}").json()
    assert (document["status"], document["attempt"]) == ("Cancelled", 0)


def test_a_job_whose_process_is_told_to_end_runs_again(site: Service, redis: Redis, tmp_path: Path) -> None:
    job_id = submit_held(site, tmp_path / "goes on")
    running(site, job_id)
    pid = int(str(redis.hget(KEYS.record(job_id), "holder")).partition("/")[2])
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: is_gone(pid))
    (tmp_path / "goes on").touch()
    done = site.finished(job_id, within=20)
    assert (done["status"], done["attempt"]) == ("Completed", 2)


def test_memory_and_time_are_limited(front_door: Service) -> None:
    with site_with(front_door, JOBS_MAX_MEMORY=str(400 * 1024 * 1024)) as site:
        hungry, hanging = submit(site, "demo.memory"), submit(site, "demo.hang")
        assert site.finished(hungry, within=20)["error"]["type"] == "memory-limit"
        assert site.finished(hanging, within=20)["error"]["type"] == "time-limit"


def test_a_result_that_there_is_no_memory_to_write_ends_the_job_alone(front_door: Service) -> None:
    with site_with(front_door, JOBS_MAX_MEMORY=str(400 * 1024 * 1024)) as site:
        job = site.finished(submit(site, "sample.huge"), within=20)
        assert (job["status"], job["error"]["type"], job["attempt"]) == ("Failed", "memory-limit", 1)
        assert site.finished(submit(site, "demo.noop"))["status"] == "Completed"
        assert site.workers[0].popen.poll() is None


def test_a_stopped_worker_gives_its_job_back_after_the_grace(front_door: Service, tmp_path: Path) -> None:
    with site_with(front_door, JOBS_GRACE="1") as site:
        job_id = submit_held(site, tmp_path / "goes on")
        running(site, job_id)
        site.start_worker()
        assert site.workers[0].stop() == 0
        (tmp_path / "goes on").touch()
        done = site.finished(job_id, within=20)
        assert (done["status"], done["attempt"], done["max_attempts"]) == ("Completed", 2, 4)


def test_what_is_left_of_expired_jobs_is_swept(front_door: Service, redis: Redis) -> None:
    with site_with(front_door, JOBS_RETENTION="2") as site:
        job_id = submit(site, "demo.noop", owner="swept", tags={"a": "b"})
        assert site.finished(job_id)["expires_at"]
        eventually(lambda: site.get(f"/jobs/{job_id}").status_code == 404)
        keys = [KEYS.index_of_owner("swept"), KEYS.index_of_tag("a", "b"), KEYS.stream_of("swept")]
        eventually(lambda: not redis.exists(*keys) and job_id not in job_ids(redis))


def test_a_look_goes_on_while_there_is_more(own_server: RedisServer, tmp_path: Path) -> None:
    """It takes up 200 jobs of a kind: else so many would be all that expire, or whose time comes, between two looks."""
    settings = {"JOBS_LEASE": "72", "JOBS_RETENTION": "1"}  # it looks every six seconds
    url = own_server.url.removesuffix("/0") + "/7"
    with Service(tmp_path, own_server, JOBS_REDIS_URL=url, **settings).without_workers() as site:
        with store_of(site.settings) as store:
            for _ in range(900):
                job_id = created(store, "swept")
                store.complete(job_id, "{}", store.claim(job_id))
        delayed = [{"type": "demo.noop", "delay": 0.1}] * 900
        site.start_ready_worker()
        assert site.post("/jobs/batch", {"jobs": delayed}).status_code == 202
        with Redis.from_url(url) as redis:
            eventually(lambda: not redis.exists(KEYS.scheduled, KEYS.index_of_owner("swept")), within=25)


def test_a_web_process_that_is_stopped_answers_those_who_wait(site: Service, tmp_path: Path) -> None:
    with Service(tmp_path, site.redis).without_workers() as own:
        job = {"type": "demo.noop", "delay": 86_400, "owner": "waits", "wait": 30}
        with ThreadPoolExecutor(20) as pool:
            answers = [pool.submit(requests.post, f"{own.url}/jobs", json=job, timeout=40) for _ in range(20)]
            eventually(lambda: len(own.get("/jobs", params={"owner": "waits"}).json()) == 20)
            began = time.monotonic()
            assert own.web is not None
            assert own.web.stop() == 0
            assert [answer.result().status_code for answer in answers] == [202] * 20
            assert time.monotonic() - began < 5


def test_a_message_of_a_deleted_job_is_not_that_of_another_job_with_its_id(site: Service, redis: Redis) -> None:
    """Of another type and another owner: it would be run as the deleted one, and the owner of that one told."""
    site.stop_workers()
    job_id = str(uuid4())
    submit(site, "demo.noop", id=job_id, owner="first")
    assert site.post(f"/jobs/{job_id}/cancel").status_code == 200
    assert site.delete(f"/jobs/{job_id}").status_code == 204
    submit(site, "sample.greet", id=job_id, owner="second", parameters={"name": "Ada"})
    site.start_ready_worker()
    assert site.finished(job_id)["result"]["text"] == "Hello Ada!"
    told = [Event.from_json(fields["event"]) for _, fields in redis.xrange(KEYS.stream_of("second"))]
    assert [event.sequence for event in told] == [3, 4, 5]
