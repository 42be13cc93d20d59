"""Bad messages and damaged keys: set aside with a reason, counted, and no process ends by them."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from support.commands import called, in_a_process
from support.eventually import eventually
from support.messages import BROKEN, NOT_TO_BE_RUN, as_bytes, message, of_job
from support.service import Service

from jobs.celery_app import create_celery
from jobs.letters.dead_letters import LONGEST_TEXT, DeadLetter, DeadLetters
from jobs.model.keys import KEYS
from jobs.model.status import Status
from launch.redis_server import RedisServer

LEASE = 2.0


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("dead-letters-redis")) as server:
        yield server


@pytest.fixture(scope="module")
def site(own_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One worker for all of these tests: it has to live through them."""
    with Service(tmp_path_factory.mktemp("dead-letters"), own_server, JOBS_LEASE=str(LEASE)) as running:
        yield running


@pytest.fixture
def redis(own_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(own_server.url, decode_responses=True) as client:
        client.delete(KEYS.dead)
        yield client


def letters(redis: Redis, count: int = 1) -> list[DeadLetter]:
    return eventually(lambda: len(found := list(DeadLetters(redis))) >= count and found, within=10)


def completes_a_job(site: Service) -> bool:
    job_id = site.submit("demo.noop", parameters={"n": 1}).json()["id"]
    return bool(site.finished(job_id)["status"] == "Completed")


def command(site: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    return called("workers.dead_letters", *arguments, **site.environ)


@pytest.fixture(autouse=True)
def _the_worker_lives(site: Service) -> Iterator[None]:
    pid = site.workers[0].popen.pid
    restarts = site.workers[0].text.count("Connected to redis")
    yield
    assert completes_a_job(site)
    assert (site.workers[0].popen.poll(), site.workers[0].popen.pid) == (None, pid)
    assert site.workers[0].text.count("Connected to redis") == restarts, "it had to connect anew"


@pytest.mark.parametrize("kind", [*BROKEN, *NOT_TO_BE_RUN])
def test_a_bad_message_is_set_aside(site: Service, redis: Redis, kind: str) -> None:
    broken, reason = (BROKEN | NOT_TO_BE_RUN)[kind]
    counted = int(redis.hget(KEYS.counts, "dead_letters") or 0)
    raw = as_bytes(broken)
    redis.lpush("default", raw)
    assert completes_a_job(site)
    [letter] = letters(redis)
    assert reason in letter.reason
    assert letter.queue == "default"
    assert letter.message.startswith(raw.decode(errors="backslashreplace")[:10])
    assert int(redis.hget(KEYS.counts, "dead_letters") or 0) == counted + 1
    assert redis.llen("default") == 0
    eventually(lambda: redis.hlen("unacked") == 0)
    eventually(lambda: letter.reason in site.workers[0].text)


def test_all_of_them_at_once_among_good_jobs(site: Service, redis: Redis) -> None:
    everything = [broken for broken, _ in (BROKEN | NOT_TO_BE_RUN).values()]
    good = []
    for broken in everything:
        good.append(site.submit("demo.noop").json()["id"])
        redis.lpush("default", as_bytes(broken))
    assert {site.finished(job_id)["status"] for job_id in good} == {"Completed"}
    assert len(letters(redis, len(everything))) == len(everything)


def test_a_long_message_is_cut(site: Service, redis: Redis) -> None:
    redis.lpush("default", b"x" * 150_000)
    [letter] = letters(redis)
    assert len(letter.message) == LONGEST_TEXT
    assert "150000 bytes" in letter.note


def test_a_job_whose_message_was_bad_gets_a_good_one(site: Service, redis: Redis, tmp_path: Path) -> None:
    end = tmp_path / "end"
    busy = [site.submit("sample.holds", parameters={"file": str(end)}).json()["id"] for _ in range(8)]
    job_id = site.submit("demo.noop", parameters={}).json()["id"]

    def was_there() -> bool:
        return any(redis.lrem("default", 1, text) for text in redis.lrange("default", 0, -1) if job_id in text)

    eventually(was_there)
    redis.lpush("default", as_bytes(message("nobody.knows", job_id, owner="anonymous")))
    end.touch()
    assert site.finished(job_id, within=20)["status"] == "Completed"
    assert {site.finished(each)["status"] for each in busy} == {"Completed"}


def test_celerys_own_notes_may_be_damaged(site: Service, redis: Redis) -> None:
    keys = ("unacked", "unacked_index")
    redis.mset(dict.fromkeys(keys, "x"))
    sound = message()
    redis.lpush("default", as_bytes(sound))
    eventually(lambda: redis.hget(KEYS.record(sound["headers"]["id"]), "result") == "3")
    assert completes_a_job(site)
    redis.delete(*keys)
    for tag, text in {"1": "not JSON", "2": "42", "3": "[1, 2, 3]"}.items():
        redis.hset("unacked", tag, text)
        redis.zadd("unacked_index", {tag: 1})
    with create_celery(site.settings).connection_for_read() as connection:
        connection.default_channel.qos.restore_visible(interval=1)  # as every worker does, less often
    assert [letter.queue for letter in letters(redis, 2)] == ["unacked"] * 2
    eventually(lambda: not redis.exists(*keys))  # the worker may be at it as well


@pytest.mark.parametrize("kind", ["not JSON", "a body that is an object"])
def test_a_priority_has_its_own_list(site: Service, redis: Redis, kind: str) -> None:
    redis.lpush("default\x06\x169", as_bytes(BROKEN[kind][0]))
    [letter] = letters(redis)
    assert letter.queue == "default\x06\x169"


def test_a_plain_task_still_runs(site: Service, redis: Redis) -> None:
    sound = message()
    redis.lpush("default", as_bytes(sound))
    eventually(lambda: redis.hget(KEYS.record(sound["headers"]["id"]), "result") == "3")
    assert not redis.exists(KEYS.dead)


def test_what_is_no_list_is_moved_out_of_a_queues_place(site: Service, redis: Redis) -> None:
    redis.set("default", "somebody's")
    eventually(lambda: redis.get("jobs:not-a-queue:default") == "somebody's")
    assert redis.ttl("jobs:not-a-queue:default") > 0


def test_the_dead_letters_are_no_stream(site: Service, redis: Redis) -> None:
    redis.set(KEYS.dead, "x")
    redis.lpush("default", b"lost")
    eventually(lambda: "it is lost" in site.workers[0].text)
    assert command(site, "list").returncode == 1
    redis.delete(KEYS.dead)


# --- the command


def test_the_command_lists_and_shows(site: Service, redis: Redis) -> None:
    redis.lpush("default", b"first", b"\xffsecond")
    first, second = letters(redis, 2)
    lines = command(site, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [first.id, second.id]
    assert "not JSON" in lines[0]
    documents = [json.loads(line) for line in command(site, "list", "--json").stdout.splitlines()]
    assert [document["message"] for document in documents] == ["first", "\\xffsecond"]
    shown = json.loads(command(site, "show", first.id).stdout)
    assert (shown["queue"], shown["message"], shown["note"]) == ("default", "first", "")
    assert shown["at"].endswith("Z")


def test_the_command_puts_a_message_back(site: Service, redis: Redis) -> None:
    sound = message()
    DeadLetters(redis).set_aside("a mistake", "default", as_bytes(sound))
    [letter] = letters(redis)
    done = command(site, "requeue", letter.id)
    assert (done.returncode, done.stdout) == (0, f"{letter.id} put back\n")
    eventually(lambda: redis.hget(KEYS.record(sound["headers"]["id"]), "result") == "3")
    assert redis.xlen(KEYS.dead) == 0


def test_what_was_not_kept_whole_is_not_put_back(site: Service, redis: Redis) -> None:
    redis.lpush("default", b"\xff")
    [letter] = letters(redis)
    refused = in_a_process("workers.dead_letters", "requeue", letter.id, **site.environ)
    assert refused.returncode == 2
    assert "not UTF-8" in refused.stderr
    assert redis.xlen(KEYS.dead) == 1


def test_the_command_drops(site: Service, redis: Redis) -> None:
    redis.lpush("default", b"1", b"2", b"3")
    first, *_ = letters(redis, 3)
    assert command(site, "drop", first.id).returncode == 0
    assert redis.xlen(KEYS.dead) == 2
    assert command(site, "drop", "--all").stdout == "2 dropped\n"
    assert redis.xlen(KEYS.dead) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["frob"], ["show"], ["requeue"], ["drop"], ["drop", "--all", "1-1"]),
        *(["show", "1-1"], ["requeue", "1-1"], ["drop", "1-1"], ["show", "no id"], ["drop", "-"], ["show", "1-x"]),
    ],
)
def test_a_wrong_use_is_code_2(site: Service, arguments: list[str]) -> None:
    done = command(site, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


# --- damaged records


def damaged(redis: Redis, value: Any) -> str:
    """A job in every index whose record is not one."""
    job_id = str(uuid4())
    if isinstance(value, dict):
        redis.hset(KEYS.record(job_id), mapping=value)
    else:
        redis.set(KEYS.record(job_id), value)
    now = int(redis.time()[0]) * 1_000_000
    for key in (KEYS.index_of_status(Status.NEW), KEYS.index_of_owner("anonymous")):
        redis.zadd(key, {job_id: now})
    return job_id


@pytest.mark.parametrize(
    "value", ["x", {"status": "New"}, {"status": "Frob", "owner": "anonymous"}, {"other": "1"}, {"owner": b"\xff"}]
)
def test_a_damaged_record_is_a_clear_answer(site: Service, redis: Redis, value: Any) -> None:
    job_id = damaged(redis, value)
    good = site.submit("demo.noop").json()["id"]
    answers = [
        site.get(f"/jobs/{job_id}"),
        site.get(f"/jobs/{job_id}", params={"wait": 1}),
        site.get(f"/jobs/{job_id}/result"),
        site.post(f"/jobs/{job_id}/cancel"),
        site.post(f"/jobs/{job_id}/retry"),
        site.delete(f"/jobs/{job_id}"),
        site.submit("demo.noop", id=job_id),
    ]
    for answer in answers[:-1]:
        assert answer.status_code in {404, 503}, (answer.request.url, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert answers[-1].status_code in {202, 409, 422, 503}, answers[-1].text
    listed = site.get("/jobs")
    assert listed.status_code == 200, listed.text
    assert good in listed.text
    redis.delete(KEYS.record(job_id))


def test_a_job_with_a_damaged_record_is_not_run(site: Service, redis: Redis) -> None:
    job_id = damaged(redis, "x")
    redis.lpush("default", as_bytes(of_job(job_id)))
    [letter] = letters(redis)
    assert "WRONGTYPE" in letter.reason
    redis.delete(KEYS.record(job_id))


@pytest.mark.parametrize("replaced", [False, True])
def test_a_record_that_goes_away_under_a_running_job(
    site: Service, redis: Redis, replaced: bool, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    other = site.submit("demo.random_delay", parameters={"seconds": LEASE + 2}).json()["id"]
    job_id = site.submit("sample.holds", parameters={"file": str(end)}).json()["id"]
    eventually(lambda: redis.hget(KEYS.record(job_id), "status") == "InProgress")
    redis.delete(KEYS.record(job_id))
    if replaced:
        redis.set(KEYS.record(job_id), "x")
    end.touch()
    assert completes_a_job(site)
    done = site.finished(other, within=LEASE + 8)
    assert (done["status"], done["attempt"]) == ("Completed", 1)
    assert site.get(f"/jobs/{job_id}").status_code == (503 if replaced else 404)
    os.kill(site.workers[0].popen.pid, 0)
    redis.delete(KEYS.record(job_id))


SOUND_PLACE = {"delivery_tag": "1", "delivery_info": {"exchange": "x", "routing_key": "y"}, "body_encoding": "base64"}


@pytest.mark.parametrize("channel", ["/0.celery.pidbox", "/0.celeryev/worker.heartbeat"])
def test_a_bad_broadcast_is_passed_over(site: Service, redis: Redis, channel: str) -> None:
    texts = ["42", "[]", "x", "{}", "null", "[" * 100_000, '{"properties": {}}', '{"properties": {"delivery_tag": 1}}']
    bodies = [{"body": "%"}, {"body": "AAAA"}, {"body": "AAAA", "content-type": "application/json"}, {"headers": [1]}]
    texts += [json.dumps({"properties": SOUND_PLACE, **body}) for body in bodies]
    for text in texts:
        assert redis.publish(channel, text) >= 1
        assert completes_a_job(site)


SHARED = [
    *(KEYS.index_of_owner("anonymous"), KEYS.index_of_status(Status.NEW), KEYS.index_of_type("demo.noop")),
    *(KEYS.stream, KEYS.stream_of("anonymous"), KEYS.types, KEYS.types_seen, KEYS.counts, KEYS.leases),
    *(KEYS.scheduled, KEYS.waiting("default"), KEYS.expiry, KEYS.reconciler, KEYS.durations("demo.noop")),
]


@pytest.mark.parametrize("key", SHARED)
def test_a_shared_key_of_the_wrong_type_is_never_a_500(site: Service, redis: Redis, key: str) -> None:
    running = site.submit("demo.random_delay", parameters={"seconds": 0.5}).json()["id"]
    kept = f"kept:{key}"
    with suppress(ResponseError):
        redis.rename(key, kept)
    with redis.pipeline() as pipe:  # in one step: what is in use is made again at once
        pipe.delete(key)
        pipe.hset(key, "a", "b") if key == KEYS.reconciler else pipe.set(key, "x")
        pipe.execute()
    try:
        answers = [
            *(site.get(path) for path in ("/jobs", "/job-types", "/health/ready", f"/jobs/{running}")),
            *(site.submit(wait=0.2), site.submit(delay=5), site.post(f"/jobs/{running}/cancel")),
        ]
        time.sleep(1.2)  # the worker's threads and the running job meet it too
    finally:
        redis.delete(key)
        with suppress(ResponseError):
            redis.rename(kept, key)
    sound = {200, 202, 503, 409}  # the last: it may have ended before it is to be cancelled
    assert not [(a.request.method, a.request.url, a.status_code) for a in answers if a.status_code not in sound]
