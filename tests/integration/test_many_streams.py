"""A thousand open streams in one web process: one reader of Redis between them, and nobody waits for a slow one."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from redis import Redis
from support.eventually import eventually
from support.publishing import created, store_of, told_at_length
from support.service import Service
from support.streams import Stream, Streams

from jobs.events.listener import MOST_BEHIND
from jobs.store.job_store import JobStore
from launch.redis_server import RedisServer

T = TypeVar("T")

OWNERS = 90
STREAMS_OF_EACH = 11
STREAMS_OF_ALL = 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def service(server: RedisServer, tmp_path: Path) -> Iterator[Service]:
    """A service with a web process of its own, and no worker."""
    with Service(tmp_path, server).without_workers() as running:
        yield running


@pytest.fixture
def store(service: Service) -> Iterator[JobStore]:
    with store_of(service.settings) as store:
        yield store


def open_all(streams: Streams) -> list[Stream]:
    """A thousand: of each owner eleven, and ten of everything."""
    paths = [f"/events?owner=o{n}" for n in range(OWNERS)] * STREAMS_OF_EACH + ["/events"] * STREAMS_OF_ALL
    opened = [streams.open(path) for path in paths]
    streams.read(lambda: all(stream.has_begun for stream in opened), within=20)
    return opened


def publish(store: JobStore, each: int) -> dict[str, list[str]]:
    """What must arrive on which path."""
    sent = [created(store, f"o{n}") + ":1" for _ in range(each) for n in range(OWNERS)]
    return {"/events": sent, **{f"/events?owner=o{n}": sent[n::OWNERS] for n in range(OWNERS)}}


def have_come(streams: Streams, opened: list[Stream], expected: dict[str, list[str]]) -> bool:
    """Whether each got what it had to: nothing missed, nothing twice, in order."""
    streams.read(lambda: all(len(s.events) >= len(expected[s.path]) for s in opened), within=30)
    return all(stream.ids == expected[stream.path] for stream in opened)


def read_during(streams: Streams, work: Callable[[], T]) -> T:
    """Read while a thread of its own works, and give what that gave."""
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        streams.read(working.done, within=30)
        return working.result()


def process(service: Service) -> psutil.Process:
    """The web process that answers, not the one that watches it."""
    assert service.web is not None
    (worker,) = psutil.Process(service.web.popen.pid).children()
    return worker


def megabytes(service: Service) -> float:
    return float(process(service).memory_info().rss) / 2**20


def test_each_of_a_thousand_gets_each_of_its_events_and_others_are_answered_fast(
    service: Service, store: JobStore, streams: Streams
) -> None:
    with Redis.from_url(service.redis.url) as redis:
        store.client.ping()
        connections = len(redis.client_list())
        files, memory = process(service).num_fds(), megabytes(service)
        opened = open_all(streams)
        answering = Answering(service)
        expected = read_during(streams, lambda: publish(store, each=20))
        slowest = answering.slowest()
        assert have_come(streams, opened, expected)
        assert slowest < 3  # 0.2 on a quiet machine
        assert len(redis.client_list()) - connections <= 3
        assert megabytes(service) - memory < 100

    def all_left() -> bool:
        publish(store, each=1)  # who writes notices that nobody is there
        return process(service).num_fds() <= files + 5

    streams.close()
    eventually(all_left, within=20)
    after_one_round = megabytes(service)
    again = Streams(service.port)
    open_all(again)
    again.close()
    eventually(all_left, within=20)
    assert megabytes(service) - after_one_round < 10


class Answering(threading.Thread):
    """Asks for something small again and again."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self._service, self._goes_on, self._seconds = service, True, list[float]()
        self.start()

    def run(self) -> None:
        while self._goes_on:
            began = time.monotonic()
            assert self._service.get("/job-types").status_code == 200
            self._seconds.append(time.monotonic() - began)

    def slowest(self) -> float:
        """Seconds."""
        self._goes_on = False
        self.join()
        return max(self._seconds)


def test_a_thousand_that_lose_the_web_process_miss_nothing(service: Service, store: JobStore, streams: Streams) -> None:
    opened = open_all(streams)
    first = publish(store, each=1)
    assert have_come(streams, opened[: OWNERS * 5], first)
    assert service.web is not None
    service.web.kill()
    streams.read(lambda: all(stream.has_ended for stream in opened), within=10)
    missed = publish(store, each=2)  # while nobody is connected
    service.start_web()
    streams.come_back()
    last = publish(store, each=1)
    whole = {path: first[path] + missed[path] + last[path] for path in first}

    def all_have_come() -> bool:
        streams.come_back()  # one whose turn did not come in time is told to try again, and does
        return all(len(stream.events) >= len(whole[stream.path]) for stream in opened)

    streams.read(all_have_come, within=60)
    assert all(stream.ids == whole[stream.path] for stream in opened)


def test_one_that_does_not_read_is_cut_and_resumes_where_it_was(
    service: Service, store: JobStore, streams: Streams
) -> None:
    slow = streams.open_unread("/events?owner=o")
    eventually(lambda: slow.read() or slow.has_begun)
    quick = streams.open("/events?owner=o")
    streams.read(lambda: quick.has_begun, within=5)
    sent = read_during(streams, lambda: told_at_length(store, "o", MOST_BEHIND + 500))
    streams.read(lambda: len(quick.events) == len(sent), within=20)
    assert quick.ids == sent
    eventually(lambda: slow.read() or slow.has_ended)  # what the kernel had, and the end
    assert 0 < len(slow.events) < MOST_BEHIND
    rest = streams.open("/events?owner=o", slow.last)
    streams.read(lambda: len(slow.events) + len(rest.events) >= len(sent), within=20)
    assert slow.ids + rest.ids == sent


def test_those_that_do_not_read_cost_little_memory(service: Service, store: JobStore, streams: Streams) -> None:
    owners = [f"o{n}" for n in range(10)]
    slow = [streams.open_unread(f"/events?owner={owner}") for owner in owners]
    for stream in slow:
        eventually(lambda stream=stream: stream.read() or stream.has_begun)
    memory = megabytes(service)
    for owner in owners:
        told_at_length(store, owner, 150, length=100_000)
    eventually(lambda: all(stream.read() or stream.has_ended for stream in slow))
    assert megabytes(service) - memory < 70  # 150 were sent
