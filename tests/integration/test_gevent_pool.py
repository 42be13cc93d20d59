"""A worker with a pool of gevent (`-P gevent`): a job there is run by a greenlet, and is as safe as in a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.eventually import eventually
from support.servers import WITH_ONE_SERVER
from support.service import Service

from launch.redis_server import RedisServer

pytestmark = WITH_ONE_SERVER

LEASE = 2.0
GRACE = 6.0
"""Longer than the 2 s that Celery's worker may take there to notice that it is to read no more."""


@pytest.fixture(scope="module")
def front_door(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a worker, on a database of its own."""
    url = redis_server.url.removesuffix("/0") + "/9"
    with Redis.from_url(url) as redis:
        redis.flushdb()
    settings = {"JOBS_LEASE": str(LEASE), "JOBS_GRACE": str(GRACE), "JOBS_REDIS_URL": url}
    with Service(tmp_path_factory.mktemp("gevent"), redis_server, **settings).without_workers() as service:
        yield service


@pytest.fixture
def site(front_door: Service) -> Service:
    """A service whose only worker is one of gevent; the next test has it too, if this one does not end it."""
    if not front_door.workers:
        front_door.start_ready_worker("-P", "gevent")
    return front_door


def submit(site: Service, job_type: str, **body: object) -> str:
    return str(site.submit(job_type, **body).json()["id"])


def is_fetching(redis: Redis) -> bool:
    """Whether a worker that uses this database waits for messages."""
    own_database = str(redis.get_connection_kwargs()["db"])
    return any(client["cmd"] == "blmpop" and client["db"] == own_database for client in redis.client_list())


def test_a_job_that_outlasts_its_lease_runs_once(site: Service) -> None:
    jobs = [submit(site, "demo.random_delay", parameters={"seconds": 2 * LEASE}) for _ in range(3)]
    ended = [site.finished(job_id) for job_id in jobs]
    assert [(job["status"], job["attempt"]) for job in ended] == [("Completed", 1)] * 3
    assert "MonkeyPatchWarning" not in site.workers[0].text


def test_a_hard_time_limit_ends_a_job_that_waits(site: Service) -> None:
    ended = site.finished(submit(site, "sample.slow"))
    assert (ended["status"], ended["error"]["type"], ended["attempt"]) == ("Failed", "time-limit", 1)


def test_a_forced_cancel_ends_the_greenlet(site: Service, tmp_path: Path) -> None:
    marks = [submit(site, "sample.marks", parameters={"seconds": 3, "file": str(tmp_path / name)}) for name in "ab"]
    job_id = marks[0]
    eventually(lambda: site.get(f"/jobs/{job_id}").json()["status"] == "InProgress")
    site.post(f"/jobs/{job_id}/cancel", {"force": True})
    eventually(lambda: "cancelled by force" in site.workers[0].text)
    assert site.finished(marks[1])["status"] == "Completed"  # it began later: the first would have made its file
    assert [path.name for path in tmp_path.glob("[ab]")] == ["b"]


def test_a_worker_that_is_stopped_gives_its_job_back_and_ends(site: Service) -> None:
    job_id = submit(site, "demo.random_delay", parameters={"seconds": 3 * GRACE})
    eventually(lambda: site.get(f"/jobs/{job_id}").json()["status"] == "InProgress")
    assert site.workers[0].stop(within=2 * GRACE) == 0
    assert site.get(f"/jobs/{job_id}").json()["status"] == "New"
    assert "Error" not in site.workers.pop().text
    assert site.post(f"/jobs/{job_id}/cancel").status_code == 200


def test_one_that_is_to_stop_fetches_no_more_while_its_jobs_end(site: Service, tmp_path: Path) -> None:
    """Its last fetch is ended: what comes now is for other workers, and not for a connection that nobody reads."""
    end = tmp_path / "end"
    running = submit(site, "sample.holds", parameters={"file": str(end)})
    eventually(lambda: site.get(f"/jobs/{running}").json()["status"] == "InProgress")
    worker = site.workers.pop()
    worker.popen.terminate()
    with Redis.from_url(site.environ["JOBS_REDIS_URL"]) as redis:
        eventually(lambda: not is_fetching(redis), within=GRACE - 1)
        job_id = submit(site, "demo.noop")
        assert worker.popen.poll() is None
        assert redis.llen("default") == 1
    end.touch()
    assert worker.popen.wait(2 * GRACE) == 0
    assert site.get(f"/jobs/{running}").json()["status"] == "Completed"
    assert site.post(f"/jobs/{job_id}/cancel").status_code == 200


def test_one_that_was_full_fetches_again_when_a_job_ends(front_door: Service) -> None:
    """Not when it has waited two seconds for a message that it had not asked for: ten times here."""
    for worker in front_door.workers:  # of a test before, should it have failed
        worker.kill()
    front_door.workers.clear()
    front_door.start_ready_worker("-P", "gevent", "-c", "2")
    jobs = [submit(front_door, "demo.random_delay", parameters={"seconds": 0.01}) for _ in range(20)]
    eventually(lambda: all(front_door.get(f"/jobs/{job_id}").status_code == 200 for job_id in jobs), within=10)
