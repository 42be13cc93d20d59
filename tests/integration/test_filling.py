"""The jobs that a benchmark fills a store with are like one that a worker ran."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from support.servers import WITH_ONE_SERVER
from support.service import Service

from benchmarks.filling import OWNER, bytes_used, fill
from jobs.model.keys import KEYS
from launch.redis_server import RedisServer

pytestmark = WITH_ONE_SERVER

INDEXES = [
    KEYS.index_of_owner(OWNER),
    KEYS.index_of_type("demo.noop"),
    KEYS.index_of_status("Completed"),
]


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    return redis_server.url.removesuffix("/0") + "/10"


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    with Redis.from_url(url, decode_responses=True) as client:
        client.flushdb()
        yield client
        client.flushdb()


def expiry_of(redis: Redis) -> dict[str, list[str]]:
    entries = [json.loads(entry) for entry in redis.zrange(KEYS.expiry, 0, -1)]
    return {job_id: rest for job_id, *rest in entries}


def events_of(redis: Redis, stream: str) -> dict[str, list[tuple[str, list[str]]]]:
    """Type and data's members of each event, by job."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    for _, entry in redis.xrange(stream):
        event = json.loads(entry["event"])
        found.setdefault(event["subject"], []).append((event["type"], list(event["data"])))
    return found


def test_a_filled_job_has_all_that_a_real_one_has(
    redis_server: RedisServer, url: str, redis: Redis, tmp_path: Path
) -> None:
    with Service(tmp_path, redis_server, JOBS_REDIS_URL=url) as site:
        real = str(site.submit("demo.noop", wait=10).json()["id"])
    fill(url, 7, 10, lambda _: None)
    filled = [f"00000000-0000-4000-8000-{number:012x}" for number in (7, 8, 9)]

    for index in INDEXES:
        assert set(redis.zrange(index, 0, -1)) == {real, *filled}, index
    wanted = redis.hgetall(KEYS.record(real))
    for job_id in filled:
        record = redis.hgetall(KEYS.record(job_id))
        assert record.keys() == wanted.keys()
        same = ("type", "owner", "status", "attempt", "sequence", "parameters", "result", "queue", "priority")
        assert [record[name] for name in same] == [wanted[name] for name in same]
        assert {name: len(text) for name, text in record.items() if name != "holder"} == {
            name: len(text) for name, text in wanted.items() if name != "holder"
        }
        assert abs(redis.pttl(KEYS.record(job_id)) - redis.pttl(KEYS.record(real))) < 60_000
        assert expiry_of(redis)[job_id] == expiry_of(redis)[real]
        for stream in (KEYS.stream, KEYS.stream_of(OWNER)):
            events = events_of(redis, stream)
            assert events[job_id] == events[real]
    assert redis.zcard(KEYS.index_of_status("New")) == redis.zcard(KEYS.leases) == redis.llen("default") == 0
    assert redis.hget(KEYS.counts, "finished") == "4"


def test_more_jobs_take_more_memory_and_their_events_are_counted_apart(url: str, redis: Redis) -> None:
    fill(url, 0, 500, lambda _: None)
    first, first_events = bytes_used(url)
    fill(url, 500, 1500, lambda _: None)
    more, more_events = bytes_used(url)
    assert 700 < (more - first) / 1000 < 1500
    assert 2000 < (more_events - first_events) / 1000 < 4500
    assert redis.zcard(KEYS.index_of_owner(OWNER)) == 1500
