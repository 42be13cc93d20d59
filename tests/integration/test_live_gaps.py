"""Live mode through breaks of its connection: every event, in order, none twice; and a gap is told."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis
from support.append_only_file import end_of, marked
from support.events import Producer
from support.eventually import eventually
from support.listening import listening

from jobs.connections.client import connect
from jobs.events.gap import Gap
from jobs.model.event import NAMES, Event
from jobs.model.keys import KEYS
from launch.redis_server import RedisServer
from subscribers import Subscriber
from subscribers.live import Live


class Listening:
    """A live subscriber in a thread of this process."""

    def __init__(self, producer: Producer, pause: float = 0.0, **settings: Any) -> None:
        self.events: list[Event] = []
        self.gaps: list[Gap] = []
        self.pause = pause
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.subscriber = Subscriber("live", owner=producer.owner, **{"settings": producer.settings, **settings})
        self.thread = threading.Thread(target=self.subscriber.run, args=(self._handle, self.gaps.append), daemon=True)
        self.thread.start()

    def _handle(self, event: Event) -> None:
        self.goes_on.wait()
        time.sleep(self.pause)
        self.events.append(event)

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(event.job_id, event.sequence) for event in self.events]

    def stop(self) -> None:
        self.subscriber.stop()
        self.goes_on.set()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def producer(redis_server: RedisServer, redis: Redis) -> Iterator[Producer]:
    making = Producer(redis_server.url)
    yield making
    redis.delete(making.stream)


Listen = Callable[..., Listening]


@pytest.fixture
def listen(producer: Producer, redis: Redis) -> Iterator[Listen]:
    started: list[Listening] = []

    def listen(**more: Any) -> Listening:
        started.append(Listening(producer, **more))
        eventually(lambda: listening(redis, os.getpid()))
        return started[-1]

    yield listen
    for each in started:
        each.stop()


def cut(redis: Redis) -> None:
    """End the connection of whoever listens in this process."""
    for connection in listening(redis, os.getpid()):
        redis.client_kill_filter(_id=connection)


def test_a_killed_connection_costs_no_event_and_repeats_none(producer: Producer, listen: Listen, redis: Redis) -> None:
    listening = listen()
    stop = threading.Event()

    def go_on_killing() -> None:
        with Redis.from_url(producer.settings.redis_url, decode_responses=True) as own:
            while not stop.wait(0.05):
                cut(own)

    killing = threading.Thread(target=go_on_killing)
    killing.start()
    for _ in range(20):
        producer.jobs(20, events=5)
    stop.set()
    killing.join()
    eventually(lambda: len(listening.told) >= len(producer.told), within=20)
    producer.jobs(1)
    eventually(lambda: listening.told[-1:] == producer.told[-1:])
    assert listening.told == producer.told
    assert listening.gaps == []


def test_a_break_before_the_first_event_is_filled(producer: Producer, listen: Listen, redis: Redis) -> None:
    producer.jobs(3)
    before = len(producer.told)
    listening = listen()
    for _ in range(5):
        cut(redis)
        producer.jobs(1)
    eventually(lambda: len(listening.told) == len(producer.told) - before)
    assert listening.told == producer.told[before:]


def test_a_slow_handler_is_cut_off_and_misses_nothing(tmp_path: Path) -> None:
    limit = {"client-output-buffer-limit": "pubsub 32kb 16kb 1"}
    with RedisServer(tmp_path, options=limit) as server:
        producer = Producer(server.url)
        redis = producer.store.client
        listening = Listening(producer)
        eventually(lambda: redis.pubsub_numpat() == 1)
        listening.pause = 0.02
        producer.jobs(100, events=30, message="x" * 10_000)
        cuts = redis.info("stats")["client_output_buffer_limit_disconnections"]
        assert cuts > 0, "the handler was not slow enough to be cut off"
        listening.pause = 0.0
        eventually(lambda: len(listening.told) >= len(producer.told), within=20)
        listening.stop()
        assert listening.told == producer.told
        assert listening.gaps == []


def test_redis_may_be_killed_and_come_back(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        producer = Producer(server.url)
        listening = Listening(producer)
        eventually(lambda: producer.store.client.pubsub_numpat() == 1)
        producer.jobs(5)
        eventually(lambda: len(listening.told) == 15)
        mark = marked(producer.store.client)
        eventually(lambda: end_of(server, mark))  # else Redis may lose events that it has told
        server.kill()
        server.start()
        producer.jobs(5)  # before it has connected again
        eventually(lambda: len(listening.told) == 30, within=15)
        listening.stop()
        assert listening.told == producer.told


def test_what_the_stream_no_longer_holds_is_told_as_a_gap(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        producer = Producer(server.url)
        redis = producer.store.client
        listening = Listening(producer)
        eventually(lambda: redis.pubsub_numpat() == 1)
        producer.jobs(2)
        eventually(lambda: len(listening.told) == 6)
        listening.goes_on.clear()
        producer.jobs(1)
        redis.client_kill_filter(_type="pubsub")  # the handler is held up: nothing is noticed yet
        producer.jobs(10)
        redis.xtrim(producer.stream, 7, approximate=False)
        listening.goes_on.set()
        eventually(lambda: listening.told[-1:] == producer.told[-1:])
        told = listening.told
        assert told == [*producer.told[: len(told) - 7], *producer.told[-7:]]
        [gap] = listening.gaps
        assert gap.missed == len(producer.told) - len(told) > 0
        assert gap.before == redis.xrange(producer.stream, count=1)[0][0]
        redis.client_kill_filter(_type="pubsub")
        producer.jobs(1)
        eventually(lambda: listening.told[-1:] == producer.told[-1:])
        listening.stop()
        assert listening.gaps == [gap]


def test_who_may_not_read_the_stream_has_the_fanout_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer(tmp_path) as server:
        producer = Producer(server.url)
        redis = producer.store.client
        channel = f"&jobs.events.{producer.owner}.*"
        redis.execute_command("ACL", "SETUSER", "reader", "on", ">x", "resetchannels", channel, "+@all", "resetkeys")
        url = server.url.replace("redis://", "redis://reader:x@")
        listening = Listening(producer, settings=Producer(url).settings)
        eventually(lambda: redis.pubsub_numpat() == 1)
        producer.jobs(1)
        eventually(lambda: listening.told == producer.told)
        redis.client_kill_filter(_type="pubsub")
        eventually(lambda: redis.pubsub_numpat() == 1)
        producer.jobs(1)
        eventually(lambda: listening.told == producer.told)
        listening.stop()
    assert len([record for record in caplog.records if "breaks cannot be filled" in record.message]) == 1


def test_what_is_no_event_is_left_out(producer: Producer, listen: Listen, redis: Redis) -> None:
    listening = listen()
    for text in (b"\xff\xfe", b"[" * 100_000, b"", b"42", b"x" * 2_000_000):
        redis.publish(f"jobs.events.{producer.owner}.created", text)
        redis.xadd(producer.stream, {"event": text})
    cut(redis)
    producer.jobs(1)
    eventually(lambda: listening.told == producer.told)


def test_an_event_of_no_time_costs_nothing_when_the_connection_breaks(
    producer: Producer, listen: Listen, redis: Redis
) -> None:
    listening = listen()
    producer.jobs(1)
    eventually(lambda: listening.told == producer.told)
    odd = {**json.loads(listening.events[-1].text), "id": "odd:1", "time": "yesterday"}
    redis.publish(f"{KEYS.channel_prefix(producer.owner)}updated", json.dumps(odd))
    eventually(lambda: listening.events[-1].id == "odd:1")
    cut(redis)
    producer.jobs(1)
    eventually(lambda: len(listening.events) == len(producer.told) + 1)
    assert [event.sequence for event in listening.events[-3:]] == [1, 2, 3]


class Odd:
    """A client of Redis that fails once, as nobody expects it to."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.has_failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def pipeline(self, **options: Any) -> Any:
        if not self.has_failed:
            self.has_failed = True
            raise RuntimeError("a bug")
        return self._client.pipeline(**options)


def test_an_error_that_nobody_expects_is_logged_and_all_goes_on(
    producer: Producer, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[Event] = []
    stopped = threading.Event()
    with connect(producer.settings.redis_url, as_text=False) as client:
        live = Live(cast(Redis, Odd(client)), "live", producer.owner, frozenset(NAMES), stopped)
        thread = threading.Thread(target=live.run, args=(events.append, print), daemon=True)
        thread.start()
        eventually(lambda: listening(redis, os.getpid()))
        producer.jobs(1)
        eventually(lambda: [event.sequence for event in events] == [1, 2, 3])
        stopped.set()
        thread.join(5)
    assert "a bug" in caplog.text
