"""GET /jobs: filters, pages, cursor."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from support.eventually import eventually
from support.service import Service

from jobs.model.keys import KEYS
from jobs.model.status import Status
from jobs.model.submission import Submission
from jobs.settings import Settings
from jobs.store.job_store import JobStore
from jobs.store.listing import MOST_LOOKED_AT, Selection, page
from launch.redis_server import RedisServer


@pytest.fixture
def owner(service: Service, tmp_path: Path) -> Iterator[str]:
    """An owner with five jobs: three noops, of which one is tagged, one failed and one running."""
    owner = f"lister-{uuid4().hex[:8]}"
    for n in range(3):
        service.submit(owner=owner, parameters={"n": n}, tags={"n": str(n), "team": "x"} if n == 1 else {}, wait=5)
    service.submit("demo.fail", owner=owner, wait=5)
    end = tmp_path / "end"
    running = service.submit("sample.holds", owner=owner, parameters={"file": str(end)}).json()["id"]
    eventually(lambda: service.get(f"/jobs/{running}").json()["status"] == "InProgress")
    yield owner
    end.touch()


def test_jobs_are_listed_newest_first(service: Service, owner: str) -> None:
    jobs = service.get("/jobs", params={"owner": owner}).json()
    assert [job["type"] for job in jobs] == ["sample.holds", "demo.fail", "demo.noop", "demo.noop", "demo.noop"]
    assert [job["created_at"] for job in jobs] == sorted((job["created_at"] for job in jobs), reverse=True)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "Completed"}, 3),
        ({"status": "Failed"}, 1),
        ({"status": "InProgress"}, 1),
        ({"status": "Cancelled"}, 0),
        ({"type": "demo.noop"}, 3),
        ({"type": "demo.noop", "status": "Failed"}, 0),
        ({"type": "no.such"}, 0),
        ({"tag": "n=1"}, 1),
        ({"tag": ["n=1", "team=x"]}, 1),
        ({"tag": ["n=1", "team=y"]}, 0),
        ({"tag": ["n=1", "n=1"]}, 1),
        ({"tag": ["n=2", "n=1"]}, 0),
        ({"created_after": "2020-01-01T00:00:00Z"}, 5),
        ({"created_before": "2020-01-01T00:00:00+02:00"}, 0),
        ({"created_before": "1970-01-01T00:00:00Z"}, 0),
    ],
)
def test_filters_narrow_the_list(service: Service, owner: str, filters: dict[str, str], expected: int) -> None:
    assert len(service.get("/jobs", params={"owner": owner, **filters}).json()) == expected


def test_times_split_the_list(service: Service, owner: str) -> None:
    middle = service.get("/jobs", params={"owner": owner}).json()[2]["created_at"]
    older = service.get("/jobs", params={"owner": owner, "created_before": middle}).json()
    newer = service.get("/jobs", params={"owner": owner, "created_after": middle}).json()
    assert len(older) + len(newer) == 6  # both have the one in the middle
    assert all(job["created_at"] <= middle for job in older)
    assert all(job["created_at"] >= middle for job in newer)


def test_following_the_links_gives_every_job_once(service: Service, owner: str) -> None:
    seen: list[str] = []
    url: str | None = f"{service.url}/jobs?owner={owner}&limit=2"
    pages = 0
    while url:
        answer = service.session.get(url, timeout=10)
        assert len(answer.json()) <= 2
        seen += [job["id"] for job in answer.json()]
        url = answer.links.get("next", {}).get("url")
        pages += 1
    assert (len(seen), len(set(seen)), pages) == (5, 5, 3)


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "limit=1_0", "limit=%2B5", "limit=%EF%BC%95", "limit=5.0", "limit=%205"),
        *("limit=1&limit=2", "status=new", "cursor=abc", "cursor=", "owner=a%20b"),
        *("created_after=yesterday", "created_after=2026-01-01", "tag=x", "no_such=1", "tag=%00=x", "cursor=WzEsMl0"),
        "cursor=WzEsIlx1ZDgwMCJd",  # a half of a character
    ],
)
def test_a_wrong_query_is_told(service: Service, query: str) -> None:
    answer = service.get(f"/jobs?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == query.split("=")[0]


def test_a_page_looks_at_a_bounded_number_of_entries(service: Service, celery: object) -> None:
    store: JobStore = celery.backend.store  # type: ignore[attr-defined]
    owner = f"many-{uuid4().hex[:8]}"
    for _ in range(3):
        store.submit(_job("rare", owner), message=None)
    for _ in range(MOST_LOOKED_AT + 5):
        store.submit(_job("common", owner), message=None)
    for _ in range(MOST_LOOKED_AT + 5):
        store.submit(_job("rare", "somebody-else"), message=None)
    selection = Selection(owner=owner, type="rare")
    first, more = page(store, selection, 10, None)
    assert (len(first), more is not None) == (0, True)
    second, end = page(store, selection, 10, more)
    assert (len(second), end) == (3, None)


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_all_jobs_come_newest_first_whatever_their_status_and_however_many_of_one_moment(
    redis_server: RedisServer, limit: int
) -> None:
    with Redis.from_url(f"{redis_server.url[:-1]}1", decode_responses=True) as redis:  # a database of its own
        redis.flushdb()
        store = JobStore(redis, Settings())
        for number in range(24):
            job_id = store.submit(_job("mixed", "anybody"), message=None).id
            moment = 1000 + number // 6  # six jobs each
            redis.hset(KEYS.record(job_id), "created_at", moment)
            redis.zadd(KEYS.index_of_status(Status.NEW), {job_id: moment})
            if number % 4 == 1:
                store.cancel(job_id)
            if number % 4 > 1:
                claim = store.claim(job_id)
            if number % 4 == 3:
                store.complete(job_id, "1", claim)
        seen: list[tuple[int, str]] = []
        after = None
        while len(seen) < 24:
            jobs, after = page(store, Selection(), limit, after)
            assert len(jobs) == min(limit, 24 - len(seen))
            assert (after is None) == (len(seen) + len(jobs) == 24)
            seen += [(job.created_at, job.id) for job in jobs]
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == 24
        found, _ = page(store, Selection(created_after=1001, created_before=1002), 100, None)
        assert {job.created_at for job in found} == {1001, 1002}
        redis.flushdb()


def _job(job_type: str, owner: str) -> Submission:
    return Submission(type=job_type, owner=owner, parameters_json="{}", queue="nobody", max_attempts=1)


def test_a_tag_of_several_lines_is_found(service: Service, owner: str) -> None:
    job_id = service.submit(owner=owner, tags={"lines": "a\nb"}).json()["id"]
    found = service.get("/jobs", params={"tag": "lines=a\nb"}).json()
    assert [job["id"] for job in found] == [job_id]
