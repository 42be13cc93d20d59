"""Durable subscribers in processes of their own: at least once, in order within a job, whatever dies."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from support.append_only_file import end_of, marked
from support.bad_entries import NO_EVENTS
from support.events import Producer, Told, check_order, gaps_in, pending, told_in
from support.eventually import eventually
from support.processes import ForkedProcess, Process

from jobs.model.keys import KEYS
from launch.redis_server import RedisServer

LEASE = 1.0
"""Of those that are to lose it soon: a busy machine may hold them up for so long."""
LONG_LEASE = 30.0
LOST = "others have what it had"
"""What a process says whose lease has ended."""

Start = Callable[..., Process]


@pytest.fixture
def producer(redis_server: RedisServer) -> Producer:
    return Producer(redis_server.url, JOBS_LEASE=str(LEASE))


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """The file that every handler of a test writes to."""
    return tmp_path / "told"


@pytest.fixture
def start(producer: Producer, told: Path, tmp_path: Path, redis: Redis) -> Iterator[Start]:
    """Start a process of the service ``svc``, and wait until it is a consumer; its lease is long unless it says so."""
    started: list[Process] = []

    def start(*options: str, **environ: str) -> Process:
        environ = {"JOBS_REDIS_URL": producer.settings.redis_url, "JOBS_LEASE": str(LONG_LEASE), **environ}
        log = tmp_path / f"svc{len(started)}.log"
        before = consumers(redis, producer)
        arguments = ("svc", str(told), "--owner", producer.owner, *options)
        started.append(ForkedProcess(log, "support.subscribing", *arguments, **environ))
        eventually(lambda: consumers(redis, producer) - before, within=20)
        return started[-1]

    yield start
    for process in started:
        process.kill()
    redis.delete(producer.stream)


def consumers(redis: Redis, producer: Producer) -> set[str]:
    return set(redis.zrange(kept(producer, "consumers"), 0, -1))


def kept(producer: Producer, part: str) -> str:
    return KEYS.subscription(f"{producer.owner}:svc", part)


def letters(redis: Redis, producer: Producer) -> list[dict[str, str]]:
    return [fields for _, fields in redis.xrange(kept(producer, "dead"))]


def handlers(told: Path) -> set[str]:
    """The processes that have handled something."""
    return {line.split()[0] for line in told.read_text().splitlines() if line.count(" ") == 2}


def all_told(redis: Redis, producer: Producer, told: Path, within: float = 20.0) -> list[Told]:
    """Once everything is handled and acknowledged: the calls of the handlers."""
    eventually(lambda: set(told_in(told)) >= set(producer.told), within)
    eventually(lambda: pending(redis, producer.stream, "svc") == 0)
    return told_in(told)


def test_what_happened_while_the_service_was_away_is_told(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    assert start().stop() == 0
    producer.jobs(20)
    start()
    assert all_told(redis, producer, told) == producer.told


@pytest.mark.parametrize("where", ["now", "beginning"])
def test_a_new_group_starts_where_it_is_asked_to(
    producer: Producer, start: Start, told: Path, redis: Redis, where: str
) -> None:
    producer.jobs(5)
    if where == "now":
        producer.told.clear()
    start("--start", where)
    producer.jobs(5)
    assert all_told(redis, producer, told) == producer.told


def test_processes_share_the_work_in_order_within_each_job(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    for _ in range(3):
        start("--pause", "0.001")
    producer.jobs(100, events=10)
    eventually(lambda: len(handlers(told)) == 3 or not producer.jobs(10), within=20)  # one may have been held up
    calls = all_told(redis, producer, told)
    assert sorted(calls) == sorted(producer.told)  # each once
    check_order(calls)
    assert redis.hlen(kept(producer, "held")) == 0


def test_a_killed_process_loses_nothing_and_breaks_no_order(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    processes = [start("--pause", "0.0005", JOBS_LEASE=str(LEASE)) for _ in range(3)]
    producer.jobs(50, events=20)
    processes[0].kill()
    producer.jobs(50, events=20)
    processes[1].kill()
    calls = all_told(redis, producer, told, within=30)
    check_order(calls)
    repeats = len(calls) - len(producer.told)
    losses = 2 + sum(process.text.count(LOST) for process in processes)
    assert repeats <= losses * 200, f"{repeats} events came twice"
    assert eventually(lambda: len(consumers(redis, producer)) == 1)
    assert not letters(redis, producer)
    assert not redis.exists(kept(producer, "attempts"), kept(producer, "held"))


def test_a_stopped_process_finds_that_others_have_its_events(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    first = start("--pause", "0.05", JOBS_LEASE=str(LEASE))
    producer.jobs(30)
    eventually(lambda: told_in(told))
    os.kill(first.popen.pid, signal.SIGSTOP)  # it has seconds of work in hand
    second = start(JOBS_LEASE=str(LEASE))
    all_told(redis, producer, told)
    handled = told.read_text().count(f"{first.popen.pid} ")
    os.kill(first.popen.pid, signal.SIGCONT)
    eventually(lambda: LOST in first.text, within=20)
    assert told.read_text().count(f"{first.popen.pid} ") <= handled + 1, "it went on without asking"
    eventually(lambda: len(consumers(redis, producer)) == 2)
    producer.jobs(30)
    calls = all_told(redis, producer, told)
    check_order(calls)
    assert {first.stop(), second.stop()} == {0}


def test_a_process_that_is_told_to_stop_hands_over_at_once(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    first = start("--pause", "0.02", JOBS_LEASE="30")
    producer.jobs(40)
    eventually(lambda: len(told_in(told)) > 5)
    start("--pause", "0.001", JOBS_LEASE="30")
    assert first.stop() == 0
    calls = all_told(redis, producer, told, within=5)
    assert sorted(calls) == sorted(producer.told)  # and none twice
    check_order(calls)


def test_what_the_last_process_left_goes_to_the_next_at_once(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    first = start("--pause", "0.02", JOBS_LEASE="30")
    producer.jobs(40)
    eventually(lambda: len(told_in(told)) > 5)
    assert first.stop() == 0
    start(JOBS_LEASE="30")
    calls = all_told(redis, producer, told, within=5)
    assert sorted(calls) == sorted(producer.told)
    check_order(calls)


def test_an_event_on_which_the_handler_fails_is_a_dead_letter_in_the_end(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    poison = str(uuid4())
    producer.jobs(10)
    told_of_poison = [(poison, 1), (poison, 2), (poison, 3)]
    producer.jobs(1, job_id=poison)
    good = producer.jobs(10)
    fails = ("--fails-on", f"{poison}:2", "--max-deliveries", "4", "--backoff", "0.2")
    start(*fails, "--start", "beginning")  # all are there: none comes late for another reason
    calls = all_told(redis, producer, told)
    check_order(calls)
    assert [call for call in calls if call[0] == poison] == [told_of_poison[0], *[(poison, 2)] * 4, told_of_poison[2]]
    [letter] = letters(redis, producer)
    assert letter["attempts"] == "4"
    assert letter["reason"] == "RuntimeError: the handler does not like it"
    assert f'"id":"{poison}:2"' in letter["event"]
    assert redis.xrange(producer.stream, letter["entry"], letter["entry"])[0][1]["event"] == letter["event"]
    assert calls.index((good[0], 3)) < calls.index((poison, 3))  # others did not wait


def test_an_event_that_kills_the_process_is_a_dead_letter_and_its_neighbours_are_not(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    poison = str(uuid4())
    options = ("--dies-of", f"{poison}:2", "--max-deliveries", "3")
    process = start(*options, JOBS_LEASE=str(LEASE))
    producer.jobs(20)
    producer.jobs(1, job_id=poison)
    producer.jobs(20)
    for _ in range(3):
        process.popen.wait(20)
        process = start(*options, JOBS_LEASE=str(LEASE))
    calls = all_told(redis, producer, told)
    check_order(calls)
    [letter] = letters(redis, producer)
    assert f'"id":"{poison}:2"' in letter["event"]
    assert letter["reason"] == "the process that handled it died"
    assert calls.count((poison, 2)) == 3
    assert process.popen.poll() is None


def test_what_is_no_event_is_a_dead_letter_at_once(producer: Producer, start: Start, told: Path, redis: Redis) -> None:
    start("--start", "beginning")
    producer.jobs(3)
    for fields, _ in NO_EVENTS.values():
        redis.xadd(producer.stream, fields)
    producer.jobs(3)
    calls = all_told(redis, producer, told)
    assert calls == producer.told
    found = letters(redis, producer)
    for (fields, reason), letter in zip(NO_EVENTS.values(), found, strict=True):
        assert reason in letter["reason"], (fields, letter["reason"])
        assert letter["attempts"] == "0"
        assert len(letter["event"]) <= 100_000
    assert found[-1]["note"] == "the first 100000 of 2000000 bytes"


def test_an_event_that_stands_twice_in_the_stream_comes_twice(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    start()
    producer.jobs(1)
    for _, fields in redis.xrange(producer.stream):
        redis.xadd(producer.stream, fields)
    eventually(lambda: len(told_in(told)) == 6)
    assert told_in(told) == producer.told * 2


def test_a_group_that_the_hard_limit_overtook_is_told_what_it_missed(
    redis_server: RedisServer, producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    assert start().stop() == 0
    producer.jobs(1)
    limited = Producer(redis_server.url, JOBS_STREAM_LENGTH="100", JOBS_STREAM_HARD_LENGTH="200")
    limited.owner = producer.owner
    limited.jobs(300)
    left = redis.xlen(producer.stream)
    assert left < 400
    start()
    producer.told = (producer.told + limited.told)[-left:]
    calls = all_told(redis, producer, told)
    assert calls == producer.told
    assert gaps_in(told) == [903 - left]
    assert redis.xinfo_groups(producer.stream)[0]["lag"] == 0


def test_events_in_hand_that_were_trimmed_are_told_as_a_gap(
    producer: Producer, start: Start, told: Path, redis: Redis
) -> None:
    first = start("--pause", "30", JOBS_LEASE=str(LEASE))
    producer.jobs(20)
    eventually(lambda: pending(redis, producer.stream, "svc"))
    first.kill()
    in_hand = pending(redis, producer.stream, "svc")
    redis.xtrim(producer.stream, 0)
    start(JOBS_LEASE=str(LEASE))
    eventually(lambda: len(gaps_in(told)) == 2, within=3 * LEASE + 7)
    assert sorted(gaps_in(told)) == sorted([in_hand, 60 - in_hand])
    after = producer.jobs(1)
    eventually(lambda: [call for call in told_in(told) if call[0] == after[0]] == [(after[0], n) for n in (1, 2, 3)])


@pytest.mark.parametrize("where", ["beginning", "now"])
def test_nothing_is_told_as_a_gap_that_is_none(
    producer: Producer, start: Start, told: Path, redis: Redis, where: str
) -> None:
    def has_read_all() -> bool:
        # In this order: what is read between the two looks is pending at the second.
        return redis.xinfo_groups(producer.stream)[0]["lag"] == 0 and pending(redis, producer.stream, "svc") == 0

    producer.jobs(100)
    redis.xtrim(producer.stream, 50, approximate=False)
    process = start("--start", where)
    producer.jobs(10)
    eventually(has_read_all)
    redis.xtrim(producer.stream, 0, approximate=False)
    producer.jobs(10)
    eventually(has_read_all)
    assert process.stop() == 0
    redis.xtrim(producer.stream, 0, approximate=False)
    start()
    producer.jobs(1)
    eventually(has_read_all)
    assert gaps_in(told) == []


def test_a_group_that_was_removed_is_made_again(producer: Producer, start: Start, told: Path, redis: Redis) -> None:
    process = start("--pause", "0.005")
    producer.jobs(30)
    eventually(lambda: len(told_in(told)) > 10)
    redis.xgroup_destroy(producer.stream, "svc")
    producer.jobs(5)
    calls = all_told(redis, producer, told)
    check_order(calls)
    assert "It is made anew" in process.text


def test_redis_may_be_killed_and_come_back(tmp_path: Path, told: Path) -> None:
    environ: dict[str, str] = {"JOBS_LEASE": str(LEASE)}
    with RedisServer(tmp_path / "redis") as server, Redis.from_url(server.url, decode_responses=True) as redis:
        producer = Producer(server.url, **environ)
        arguments = ("svc", str(told), "--owner", producer.owner, "--start", "beginning", "--pause", "0.001")
        processes = [
            ForkedProcess(
                tmp_path / f"{n}.log", "support.subscribing", *arguments, JOBS_REDIS_URL=server.url, **environ
            )
            for n in range(2)
        ]
        try:
            eventually(lambda: len(consumers(redis, producer)) == 2, within=20)
            producer.jobs(100)
            eventually(lambda: len(told_in(told)) > 20)
            mark = marked(redis)
            eventually(lambda: end_of(server, mark))  # else Redis may lose events that it has told
            server.kill()
            time.sleep(2 * LEASE)
            server.start()
            producer.jobs(100)
            calls = all_told(redis, producer, told)
            check_order(calls)
            assert len(calls) - len(set(calls)) < 100
            assert all(process.stop() == 0 for process in processes)
        finally:
            for process in processes:
                process.kill()
