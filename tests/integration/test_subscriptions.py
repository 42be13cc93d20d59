"""What is known of durable subscriptions, over HTTP and by command; and streams that keep what they still need."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.commands import called, in_a_process
from support.events import Producer, pending
from support.eventually import eventually
from support.service import Service

from jobs.connections.client import connect
from jobs.errors import LeaseLost
from jobs.events.group import Group
from jobs.events.subscriptions import entry_at
from jobs.model.keys import KEYS
from jobs.store.recovery import Recovery
from launch.redis_server import RedisServer
from subscribers import Event, Subscriber


@pytest.fixture
def producer(redis_server: RedisServer, redis: Redis) -> Iterator[Producer]:
    making = Producer(redis_server.url)
    yield making
    redis.delete(making.stream)


class Telling:
    """A durable subscriber in a thread of this process."""

    def __init__(self, producer: Producer, service: str, **terms: Any) -> None:
        self.events: list[Event] = []
        self.fails = False
        self.subscriber = Subscriber(
            service, owner=producer.owner, mode="durable", settings=producer.settings, backoff=0.01, **terms
        )
        self.thread = threading.Thread(target=self.subscriber.run, args=(self._handle,), daemon=True)
        self.thread.start()

    def _handle(self, event: Event) -> None:
        if self.fails:
            raise RuntimeError("not today")
        self.events.append(event)

    @property
    def told(self) -> list[tuple[str, int]]:
        return [(event.job_id, event.sequence) for event in self.events]


@contextmanager
def told(producer: Producer, service: str = "svc", **terms: Any) -> Iterator[Telling]:
    telling = Telling(producer, service, **terms)
    try:
        key = KEYS.subscription(f"{producer.owner}:{service}", "consumers")
        eventually(lambda: producer.store.client.exists(key))
        yield telling
    finally:
        telling.subscriber.stop()
        telling.thread.join(5)
        assert not telling.thread.is_alive()


def command(producer: Producer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return called("subscribers.groups", *arguments, JOBS_REDIS_URL=producer.settings.redis_url)


def listed(service: Service, producer: Producer) -> list[dict[str, Any]]:
    found = service.get("/subscriptions").json()
    return [each for each in found if each["owner"] == producer.owner]


# --- over HTTP


def test_every_subscription_is_listed_with_how_far_behind_it_is(service: Service, producer: Producer) -> None:
    with told(producer, "one") as one, told(producer, "two"):
        producer.jobs(4)
        eventually(lambda: len(one.events) == 12)
        eventually(lambda: [each["lag"] for each in listed(service, producer)] == [0, 0])
    producer.jobs(1)
    first, second = listed(service, producer)
    assert (first["service"], second["service"]) == ("one", "two")
    assert first["stream"] == producer.stream
    assert (first["lag"], first["pending"], first["dead_letters"]) == (3, 0, 0)
    assert first["last_seen_at"].endswith("Z")
    assert first["last_delivered_id"] == one.events[-1].entry_id
    assert first["consumers"] == second["consumers"] == 0


def test_who_has_left_is_not_brought_back_by_its_last_beat(producer: Producer) -> None:
    """It was under way on another thread, and would have let the service wait a lease for one who reads nothing."""
    with connect(producer.settings.redis_url, as_text=False) as client:
        group = Group(client, producer.settings, "svc", producer.owner)
        group.join("me", "$")
        group.beat("me", takes=True)
        group.leave("me")
        with pytest.raises(LeaseLost):
            group.beat("me", takes=True)


@pytest.mark.parametrize(("start", "known"), [("$", 1), ("0", 0)])
def test_who_lost_its_group_before_it_was_told_anything_joins_the_one_that_another_made(
    producer: Producer, redis: Redis, start: str, known: int
) -> None:
    """From the beginning it goes back there; from now on means from where the other has begun."""
    with connect(producer.settings.redis_url, as_text=False) as client:
        group = Group(client, producer.settings, "svc", producer.owner)
        group.join("me", start)
        redis.xgroup_destroy(producer.stream, "svc")
        producer.jobs(1)
        assert group.join("another", start)
        read = group.next("another", [], most=100, in_hand=0).entries
        assert len(read) == 3 - 3 * known
        group.next("another", read, most=0, in_hand=0)
        assert not group.join("me", start, again=True)
        producer.jobs(1)
        taken = group.next("me", [], most=1, in_hand=0)
    ids = [entry_id for entry_id, _ in redis.xrange(producer.stream)]
    assert ([entry.id for entry in taken.entries], taken.gaps) == ([ids[3 * known]], [])


def test_living_processes_pending_events_and_dead_letters_are_counted(service: Service, producer: Producer) -> None:
    held, goes_on = threading.Event(), threading.Event()

    def handle(event: Event) -> None:
        if event.sequence == 1:
            raise RuntimeError("no first ones")
        held.set()
        goes_on.wait(10)

    terms: dict[str, Any] = {"settings": producer.settings, "max_deliveries": 1, "mode": "durable"}
    subscriber = Subscriber("counted", owner=producer.owner, start="beginning", **terms)
    producer.jobs(1)
    thread = threading.Thread(target=subscriber.run, args=(handle,), daemon=True)
    thread.start()
    assert held.wait(10)
    [found] = listed(service, producer)
    goes_on.set()
    subscriber.stop()
    thread.join(5)
    assert (found["consumers"], found["pending"], found["dead_letters"]) == (1, 2, 1)


def test_the_list_is_empty_json_and_nothing_else(service: Service) -> None:
    assert isinstance(service.get("/subscriptions").json(), list)
    assert service.post("/subscriptions", {}).status_code == 405
    assert service.get("/subscriptions", headers={"Accept": "text/html"}).status_code == 406


@pytest.mark.parametrize("damaged", ["a string", {"*:svc": "yesterday"}])
def test_what_is_damaged_is_503_and_no_traceback(
    service: Service, producer: Producer, redis: Redis, damaged: str | dict[str, str]
) -> None:
    redis.xgroup_create(KEYS.stream, "svc", mkstream=True)
    kept = "kept:subscriptions"
    if redis.exists(KEYS.subscriptions):
        redis.rename(KEYS.subscriptions, kept)
    if isinstance(damaged, str):
        redis.set(KEYS.subscriptions, damaged)
    else:
        redis.hset(KEYS.subscriptions, mapping=damaged)
    try:
        answer, line = service.get("/subscriptions"), command(producer, "list")
    finally:
        redis.delete(KEYS.subscriptions)
        if redis.exists(kept):
            redis.rename(kept, KEYS.subscriptions)
        redis.xgroup_destroy(KEYS.stream, "svc")
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert (line.returncode, "Traceback" in line.stderr) == (1, False)


# --- by command


def test_the_command_lists(producer: Producer) -> None:
    with told(producer):
        done = in_a_process("subscribers.groups", "list", JOBS_REDIS_URL=producer.settings.redis_url)
        [line] = [line for line in done.stdout.splitlines() if producer.owner in line]
        assert "lag 0" in line
        documents = [json.loads(line) for line in command(producer, "list", "--json").stdout.splitlines()]
        [document] = [each for each in documents if each["owner"] == producer.owner]
        assert document["consumers"] == 1


@pytest.mark.parametrize("by", ["id", "time"])
def test_replay_has_events_come_again_while_the_service_runs(producer: Producer, redis: Redis, by: str) -> None:
    with told(producer) as telling:
        producer.jobs(2)
        eventually(lambda: len(telling.events) == 6)
        if by == "id":
            first = str(telling.events[3].entry_id)
        else:
            milliseconds = int(str(telling.events[3].entry_id).partition("-")[0])
            first = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
        again = telling.told[_index(telling, first) :]
        done = command(producer, "replay", "svc", "--owner", producer.owner, "--from", first)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{len(again)} events come again")
        eventually(lambda: len(telling.events) == 6 + len(again))
        assert telling.told[6:] == again
        eventually(lambda: redis.xinfo_groups(producer.stream)[0]["lag"] == 0)
        assert not redis.exists(KEYS.subscription(f"{producer.owner}:svc", "gaps"))


def _index(telling: Telling, first: str) -> int:
    at = entry_at(first)
    order = [tuple(map(int, str(event.entry_id).split("-"))) for event in telling.events]
    return next(i for i, each in enumerate(order) if each >= tuple(map(int, at.split("-"))))


def test_replay_from_before_the_stream_says_so_and_is_no_gap(producer: Producer, redis: Redis) -> None:
    with told(producer) as telling:
        producer.jobs(10)
        eventually(lambda: len(telling.events) == 30)
        eventually(lambda: pending(redis, producer.stream, "svc") == 0)
        redis.xtrim(producer.stream, 10, approximate=False)
        done = command(producer, "replay", "svc", "--owner", producer.owner, "--from", "2020-01-01T00:00:00Z")
        assert "10 events come again" in done.stdout
        assert "begins later" in done.stdout
        eventually(lambda: len(telling.events) == 40)
        assert not redis.exists(KEYS.subscription(f"{producer.owner}:svc", "gaps"))


def test_dead_letters_are_shown_and_forgotten(producer: Producer) -> None:
    with told(producer, max_deliveries=2) as telling:
        telling.fails = True
        producer.jobs(1)
        asked = ("dead", "svc", "--owner", producer.owner)
        eventually(lambda: len(command(producer, *asked).stdout.splitlines()) == 3)
        line, *_ = command(producer, *asked).stdout.splitlines()
        assert "2 deliveries  RuntimeError: not today" in line
        documents = [json.loads(line) for line in command(producer, *asked, "--json").stdout.splitlines()]
        assert [Event.from_json(each["event"]).sequence for each in documents] == [1, 2, 3]
        assert command(producer, *asked, "--forget").stdout == "3 forgotten\n"
        assert command(producer, *asked).stdout == ""


def test_a_subscription_is_dropped_unless_it_lives(producer: Producer, redis: Redis) -> None:
    asked = ("drop", "svc", "--owner", producer.owner)
    with told(producer):
        refused = command(producer, *asked)
        assert refused.returncode == 2
        assert "1 processes" in refused.stderr
    assert command(producer, *asked).stdout == "dropped\n"
    assert redis.xinfo_groups(producer.stream) == []
    assert not redis.hexists(KEYS.subscriptions, f"{producer.owner}:svc")
    assert not list(redis.scan_iter(f"jobs:subscription:{producer.owner}:*"))
    assert command(producer, *asked).returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["frob"], ["replay", "svc"], ["drop"], ["dead", "nobody"], ["drop", "nobody"]),
        *(["replay", "nobody", "--from", "0-0"], ["replay", "nobody", "--from", "yesterday"]),
        ["replay", "nobody", "--from", "2026-11-24T03:00:00"],
    ],
)
def test_a_wrong_use_is_code_2(producer: Producer, arguments: list[str]) -> None:
    done = command(producer, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


# --- what streams keep


def sweep(producer: Producer, retention: float) -> None:
    Recovery(producer.store, queue=None).sweep(retention)  # type: ignore[arg-type]  # a sweep enqueues nothing


def test_a_stream_is_trimmed_to_its_length_while_no_group_needs_more(redis_server: RedisServer, redis: Redis) -> None:
    producer = Producer(redis_server.url, JOBS_STREAM_LENGTH="200")
    producer.jobs(1000)
    assert redis.xlen(producer.stream) < 1200  # one event in a hundred looks, and whole nodes go
    redis.delete(producer.stream)


def test_what_a_living_group_still_needs_is_not_trimmed(redis_server: RedisServer, redis: Redis) -> None:
    producer = Producer(redis_server.url, JOBS_STREAM_LENGTH="200", JOBS_STREAM_HARD_LENGTH="100000")
    with told(producer) as telling:
        producer.jobs(10)
        eventually(lambda: len(telling.events) == 30)
    producer.jobs(1000)
    assert redis.xlen(producer.stream) >= 3000
    with told(producer) as telling:
        eventually(lambda: len(telling.events) == 3000, within=30)
        assert telling.told == producer.told[30:]
        eventually(lambda: pending(redis, producer.stream, "svc") == 0)
        producer.jobs(300)
        assert redis.xlen(producer.stream) < 1500
    assert not redis.exists(KEYS.subscription(f"{producer.owner}:svc", "gaps"))
    redis.delete(producer.stream)


def test_a_group_that_nobody_reads_with_any_more_keeps_nothing(redis_server: RedisServer, redis: Redis) -> None:
    producer = Producer(redis_server.url, JOBS_STREAM_LENGTH="200", JOBS_RETENTION="1")
    with told(producer):
        pass
    producer.jobs(100)
    eventually(lambda: redis.xinfo_consumers(producer.stream, "svc")[0]["idle"] > 1000)
    producer.jobs(1000)
    assert redis.xlen(producer.stream) < 1500
    redis.delete(producer.stream)


def test_pending_events_are_kept_too(redis_server: RedisServer, redis: Redis) -> None:
    producer = Producer(redis_server.url, JOBS_STREAM_LENGTH="100", JOBS_STREAM_HARD_LENGTH="100000")
    entered, goes_on = threading.Event(), threading.Event()

    def handle(event: Event) -> None:
        entered.set()
        goes_on.wait(20)

    subscriber = Subscriber("svc", owner=producer.owner, mode="durable", start="beginning", settings=producer.settings)
    thread = threading.Thread(target=subscriber.run, args=(handle,), daemon=True)
    thread.start()
    producer.jobs(1)
    assert entered.wait(5)
    redis.xgroup_setid(producer.stream, "svc", "$")
    producer.jobs(500)
    assert redis.xlen(producer.stream) == 1503
    goes_on.set()
    subscriber.stop()
    thread.join(5)
    redis.delete(producer.stream)


def test_old_events_are_swept_unless_a_living_group_needs_them(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:  # no worker sweeps there
        producer = Producer(server.url, JOBS_RETENTION="0.5", JOBS_LEASE="2")
        redis = producer.store.client
        entered, goes_on = threading.Event(), threading.Event()

        def handle(event: Event) -> None:
            entered.set()
            goes_on.wait(20)

        terms: dict[str, Any] = {"settings": producer.settings, "mode": "durable", "start": "beginning"}
        subscriber = Subscriber("svc", owner=producer.owner, **terms)
        thread = threading.Thread(target=subscriber.run, args=(handle,), daemon=True)
        producer.jobs(5)
        thread.start()
        assert entered.wait(5)
        time.sleep(2.0)  # all of it is old by now, and the group is seen all the time
        sweep(producer, 2.0)
        assert redis.xlen(producer.stream) == 15
        goes_on.set()
        eventually(lambda: pending(redis, producer.stream, "svc") == 0)
        producer.jobs(1)
        eventually(lambda: not redis.exists(KEYS.record(producer.told[-1][0])))
        eventually(lambda: redis.xinfo_groups(producer.stream)[0]["lag"] == 0)
        sweep(producer, 0.5)
        assert redis.xlen(producer.stream) <= 1  # the last one that was delivered
        subscriber.stop()
        thread.join(5)
        assert not redis.exists(KEYS.subscription(f"{producer.owner}:svc", "gaps"))
        sweep(producer, 0.5)
        assert redis.exists(producer.stream), "a group is never forgotten with its stream"


def test_a_time_or_an_id_names_an_entry() -> None:
    assert entry_at("1795528964422-5") == "1795528964422-5"
    assert entry_at("1795528964422") == "1795528964422-0"
    assert entry_at("2026-11-24T03:00:00.123Z") == "1795489200123-0"
    assert entry_at("1969-01-01T00:00:00Z") == "0-0"


SOME_JOB = "6f1c0a2b-0000-4000-8000-000000000000"


@pytest.mark.parametrize("wrong", ["yesterday", "2026-11-24T03:00:00", "", "1-x", SOME_JOB])
def test_what_is_neither_a_time_nor_an_id_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid isoformat|no offset"):
        entry_at(wrong)
