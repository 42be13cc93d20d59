"""Jobs of a megabyte each: whoever reads many reads some megabytes at a time, and misses none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.eventually import eventually
from support.publishing import store_of
from support.service import Service

from jobs.celery_app import create_celery
from jobs.messages.queue import Queue
from jobs.model.keys import KEYS
from jobs.model.priority import queue_key
from jobs.model.status import Status
from jobs.model.submission import Submission
from jobs.settings import Settings
from jobs.store.job_store import JobStore
from jobs.store.job_types import JobTypeInfo, announce
from jobs.store.listing import Position, Selection, page
from jobs.store.reader import MOST_BYTES
from jobs.store.recovery import Recovery
from launch.redis_server import RedisServer

MEGABYTE = 1_000_000
MEMBERS = 1_000
"""Bytes of a job's document beside its parameters and its result, at most."""


@pytest.fixture
def site(own_server: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """A front door, and no worker."""
    with Service(tmp_path, own_server).without_workers() as service:
        yield service


@pytest.fixture
def store(own_server: RedisServer) -> Iterator[JobStore]:
    with store_of(Settings(redis_url=own_server.url)) as store:
        yield store


def stored(store: JobStore, size: int, **job: Any) -> str:
    """The id of a job whose parameters are so long."""
    asked = {"type": "large", "owner": "anybody", "queue": "nobody", "max_attempts": 1, **job}
    return store.submit(Submission(parameters_json=f'"{"x" * size}"', **asked), message=None).id


def ended(store: JobStore, size: int) -> str:
    """The id of a Completed job whose result is so long."""
    job_id = stored(store, 2)
    store.complete(job_id, f'"{"x" * size}"', store.claim(job_id))
    return job_id


def most_memory(service: Service) -> int:
    """What the front door has had of memory at most, in bytes."""
    assert service.web is not None
    return max(peak(each.pid) for each in psutil.Process(service.web.popen.pid).children())


def peak(pid: int) -> int:
    """What a process has had of memory at most, in bytes: of a server, what its scripts had too."""
    return 1024 * int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])


def followed(service: Service, path: str) -> Iterator[tuple[list[Any], int]]:
    """The jobs of each page of a list, and the bytes of the answer."""
    url: str | None = service.url + path
    while url:
        answer = service.session.get(url, timeout=30)
        assert answer.status_code == 200, answer.text[:1000]
        yield answer.json(), len(answer.content)
        url = answer.links.get("next", {}).get("url")


def test_a_list_of_large_results_is_read_some_megabytes_at_a_time(
    site: Service, store: JobStore, own_server: RedisServer
) -> None:
    wanted = [ended(store, MEGABYTE) for _ in range(100)]
    site.get("/jobs?limit=1")
    memory, server = most_memory(site), peak(own_server.pid)
    seen: list[str] = []
    for jobs, size in followed(site, "/jobs?limit=200"):
        assert 0 < size <= MOST_BYTES + MEMBERS * len(jobs)
        seen += [job["id"] for job in jobs]
    assert seen == wanted[::-1]
    assert most_memory(site) - memory < 10 * MOST_BYTES
    assert peak(own_server.pid) - server < 5 * MOST_BYTES


def test_a_page_has_one_job_however_large_that_is(site: Service, store: JobStore) -> None:
    wanted = [stored(store, size) for size in (2 * MOST_BYTES, 2, MOST_BYTES + 1, MOST_BYTES - MEMBERS, 2)]
    pages = [[job["id"] for job in jobs] for jobs, _ in followed(site, "/jobs")]
    assert pages == [wanted[:2:-1], [wanted[2]], [wanted[1]], [wanted[0]]]


@pytest.mark.parametrize("selection", [Selection(), Selection(owner="anybody", type="large")], ids=["any", "every"])
@pytest.mark.parametrize("limit", [5, 200])
def test_short_pages_miss_no_job_and_repeat_none(store: JobStore, selection: Selection, limit: int) -> None:
    wanted: list[tuple[int, str]] = []
    for number in range(36):
        job_id, moment = stored(store, 900_000 if number % 5 else 2), 1000 + number // 6  # six jobs each
        store.client.hset(KEYS.record(job_id), "created_at", moment)
        for index in (KEYS.index_of_status(Status.NEW), KEYS.index_of_owner("anybody"), KEYS.index_of_type("large")):
            store.client.zadd(index, {job_id: moment})
        match number % 7:
            case 0:
                store.client.delete(KEYS.record(job_id))  # it has expired, and was not swept yet
            case 1:
                store.client.set(KEYS.record(job_id), "no record")
            case 2:
                store.client.hset(KEYS.record(job_id), "parameters", b"\xff no text")
            case _:
                wanted.append((moment, job_id))
    pages: list[list[tuple[int, str]]] = []
    after: Position | None = None
    while after is not None or not pages:
        jobs, after = page(store, selection, limit, after)
        assert sum(len(job.parameters_json) for job in jobs) <= MOST_BYTES
        pages.append([(job.created_at, job.id) for job in jobs])
    assert [job for each in pages for job in each] == sorted(wanted, reverse=True)
    assert len(pages) <= 36 / 4  # each but the last has as many as fit


def test_who_goes_through_many_jobs_reads_some_megabytes_at_a_time(store: JobStore, own_server: RedisServer) -> None:
    wanted = [stored(store, MEGABYTE) for _ in range(30)]
    store.client.delete(KEYS.record(wanted[7]))
    server = peak(own_server.pid)
    found = [record and record.id for record in store.records(wanted)]
    assert found == [*wanted[:7], None, *wanted[8:]]
    assert peak(own_server.pid) - server < 5 * MOST_BYTES


def test_a_reconciler_that_looks_into_a_queue_of_long_messages_holds_a_few_of_them(
    store: JobStore, own_server: RedisServer
) -> None:
    settings = Settings(redis_url=own_server.url, lease=0.5)
    app = create_celery(settings)
    recovery, queue = Recovery(app.backend.store, Queue(app)), queue_key("default", 5)
    job_id = stored(store, 2, queue="default")
    for _ in range(60):
        store.client.rpush(queue, "x" * MEGABYTE)  # a plain task, with long arguments
    store.client.zadd(KEYS.waiting(queue), {job_id: 1})
    server = peak(own_server.pid)
    eventually(lambda: recovery.reconcile("a worker", ["default"], False) is False and store.client.llen(queue) > 60)
    assert peak(own_server.pid) - server < 25 * MEGABYTE
    app.close()


def test_the_jobs_of_a_batch_are_read_some_megabytes_at_a_time(site: Service, store: JobStore) -> None:
    announce(store, [JobTypeInfo("large")])
    batch = site.submit_batch([{"type": "large"}] * 30).json()
    wanted = batch["jobs"]
    for number, job_id in enumerate(wanted):
        if number % 3:
            store.client.hset(KEYS.record(job_id), "parameters", f'"{"x" * MEGABYTE}"')
    seen: list[str] = []
    for jobs, size in followed(site, f"/batches/{batch['id']}/jobs?limit=20"):
        assert 0 < size <= MOST_BYTES + MEMBERS * len(jobs)
        seen += [job["id"] for job in jobs]
    assert seen == wanted
