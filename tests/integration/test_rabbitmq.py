"""The queue in RabbitMQ, the jobs in Redis; run where Debian's rabbitmq-server is installed."""

import base64
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from faults.proxy import Proxy
from redis import Redis
from support.eventually import eventually
from support.messages import BROKEN, NOT_TO_BE_RUN, message, of_job
from support.rabbitmq import RabbitMQ
from support.service import Service

from jobs.celery_app import UNCONFIRMED, create_celery
from jobs.connections.client import has_input
from jobs.errors import NotPublished
from jobs.letters.dead_letters import OF_ANOTHER_BROKER, DeadLetter, DeadLetters
from jobs.messages.publisher import Publisher
from jobs.messages.queue import Queue
from jobs.model.keys import KEYS
from jobs.model.submission import Submission
from jobs.store.recovery import MOST_AT_ONCE
from launch.redis_server import RedisServer, free_port

LEASE = 2.0
NONE, ENOUGH = "0.0001", "0.4"
"""Shares of the machine's memory that RabbitMQ may take."""
WAITS = "a message waits with its broker to be set aside"


@pytest.fixture(scope="module")
def site(rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One worker for all of these tests: it has to live through them."""
    directory = tmp_path_factory.mktemp("rabbitmq-site")
    with (
        RedisServer(directory / "redis") as redis,
        Service(directory, redis, JOBS_BROKER_URL=rabbitmq.url, JOBS_LEASE=str(LEASE)) as running,
    ):
        yield running


@pytest.fixture
def redis(site: Service) -> Iterator[Redis]:
    with Redis.from_url(site.redis.url, decode_responses=True) as client:
        client.delete(KEYS.dead)
        yield client


@pytest.fixture(autouse=True)
def _the_worker_lives(site: Service) -> Iterator[None]:
    yield
    assert site.submit("demo.noop", wait=20).status_code == 200
    assert site.workers[0].popen.poll() is None


def in_amqp(sound: dict[str, Any]) -> dict[str, Any]:
    """The same message with its body as it is: AMQP has no need of base64."""
    return {**sound, "body": base64.b64decode(sound["body"]).decode()}


def letters(redis: Redis, count: int = 1) -> list[DeadLetter]:
    return eventually(lambda: len(found := list(DeadLetters(redis))) >= count and found, within=10)


def test_jobs_go_through_it(site: Service) -> None:
    assert site.submit("demo.noop", parameters={"a": 1}, wait=10).json()["result"] == {"a": 1}
    assert site.finished(site.submit("demo.fail", parameters={"retryable": True}).json()["id"], 20)["attempt"] == 3
    delayed = site.submit("demo.noop", delay=1).json()["id"]
    assert site.finished(delayed)["status"] == "Completed"
    batch = site.submit_batch([{"type": "demo.noop"}] * 50, wait=20)
    assert (batch.status_code, batch.json()["counts"]["Completed"]) == (200, 50)


BAD_HEADERS = {
    kind: BROKEN[kind]
    for kind in (
        *("an id that is an object", "an empty id", "a time limit that is text", "a time limit of three"),
        *("an eta that is no time", "an eta in the year 1", "an expiry that is no time", "retries that are text"),
        "stamps that are a list",
    )
}
"""Of what Celery must not see, what AMQP can carry and is not about the body."""


@pytest.mark.parametrize("kind", [*NOT_TO_BE_RUN, *BAD_HEADERS])
def test_a_message_that_no_worker_can_run_is_set_aside(
    site: Service, rabbitmq: RabbitMQ, redis: Redis, kind: str
) -> None:
    broken, reason = (NOT_TO_BE_RUN | BAD_HEADERS)[kind]
    counted = int(redis.hget(KEYS.counts, "dead_letters") or 0)
    rabbitmq.send(in_amqp(broken))
    [letter] = letters(redis)
    assert reason in letter.reason
    assert letter.queue == "default"
    assert json.dumps(broken["headers"]["id"]) in letter.message
    assert base64.b64encode(base64.b64decode(broken["body"])).decode() in letter.message
    assert "RabbitMQ" in letter.note
    assert int(redis.hget(KEYS.counts, "dead_letters") or 0) == counted + 1


def test_a_plain_task_still_runs(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    with create_celery(site.settings) as app:
        sent = app.send_task("sample.plain", [1], {"b": 2}, countdown=0.1, expires=60, time_limit=20)
        eventually(lambda: redis.hget(KEYS.record(sent.id), "result") == "3")
    assert not redis.exists(KEYS.dead)


def test_no_room_is_lost_by_messages_that_are_set_aside(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    """A worker that kept one unacknowledged would have one less in hand for good: it may hold four."""
    for _ in range(6):
        rabbitmq.send(in_amqp(of_job()))
        rabbitmq.send(in_amqp(message("nobody.knows")))
    assert len(letters(redis, 12)) == 12
    assert site.submit("demo.noop", wait=10).status_code == 200
    eventually(lambda: not sum(rabbitmq.messages().values()))


def test_a_letter_that_cannot_be_kept_holds_nobody_up(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    redis.set(KEYS.dead, "no stream")
    for _ in range(6):
        rabbitmq.send(in_amqp(of_job()))
        rabbitmq.send(in_amqp(message("nobody.knows")))
    eventually(lambda: site.workers[0].text.count("it is lost") >= 12, within=10)
    assert site.submit("demo.noop", wait=10).status_code == 200
    redis.delete(KEYS.dead)


def test_a_job_whose_message_is_set_aside_gets_another(
    site: Service, rabbitmq: RabbitMQ, redis: Redis, tmp_path: Path
) -> None:
    """A worker that does not know the type yet may have taken it."""
    held = {"file": str(tmp_path / "goes on")}
    busy = [site.submit("sample.holds", parameters=held).json()["id"] for _ in range(4)]
    eventually(lambda: all(redis.hget(KEYS.record(each), "status") == "InProgress" for each in busy))
    job_id = site.submit("demo.noop").json()["id"]
    assert rabbitmq.purge("default") == 1
    rabbitmq.send(in_amqp(message("nobody.knows", job_id, owner="anonymous")))
    (tmp_path / "goes on").touch()
    assert site.finished(job_id, within=15)["status"] == "Completed"
    assert redis.zscore(KEYS.waiting("default"), job_id) is None
    assert redis.exists("default") == 0


def test_a_message_that_comes_while_redis_is_away_is_set_aside_afterwards(
    site: Service, rabbitmq: RabbitMQ, redis: Redis
) -> None:
    """Until then its broker keeps it, and its job is not forgotten: nobody else would give that another."""
    job_id = site.submit("demo.noop", delay=3).json()["id"]
    assert redis.zrem(KEYS.scheduled, job_id)  # as when its message is on its way
    told = site.workers[0].text.count(WAITS)
    site.redis.kill()
    try:
        for _ in range(6):
            rabbitmq.send(in_amqp(message("nobody.knows", job_id, owner="anonymous")))
        eventually(lambda: site.workers[0].text.count(WAITS) > told, within=10)
        assert eventually(lambda: rabbitmq.messages()["default"] == 6, within=10)
    finally:
        site.redis.start()
    assert site.finished(job_id, within=20)["status"] == "Completed"
    assert len(letters(redis, 6)) == 6
    assert eventually(lambda: not sum(rabbitmq.messages().values()), within=10)


def test_a_redis_that_is_full_keeps_no_message_from_being_set_aside(
    site: Service, rabbitmq: RabbitMQ, redis: Redis
) -> None:
    """Else they take all places of a worker, and the jobs that would make room do not run."""
    job_id = site.submit("demo.noop", delay=3).json()["id"]
    assert redis.zrem(KEYS.scheduled, job_id)
    redis.config_set("maxmemory", 1)
    try:
        for _ in range(6):
            rabbitmq.send(in_amqp(message("nobody.knows", job_id, owner="anonymous")))
        assert len(letters(redis, 6)) == 6
        assert site.finished(job_id, within=20)["status"] == "Completed"
    finally:
        redis.config_set("maxmemory", 0)


def test_a_message_without_a_record_waits_for_redis_too(site: Service, rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    """The process that was to run it has found that, and Redis goes before the letter is written."""
    queue = "reports"
    with Proxy(free_port(), site.redis.port) as between:
        url = f"redis://127.0.0.1:{between.port}/0"
        with Service(tmp_path, site.redis, JOBS_BROKER_URL=rabbitmq.url, JOBS_REDIS_URL=url).without_workers() as other:
            worker = other.start_ready_worker("-Q", queue)
            between.lose_answers(to=OF_ANOTHER_BROKER.encode(), times=4)
            rabbitmq.send(in_amqp(of_job()), queue)
            eventually(lambda: between.answers_lost, within=10)
            assert eventually(lambda: not rabbitmq.messages()[queue], within=10)
            assert WAITS in worker.text
            assert "it is lost" not in worker.text


def assert_are_accepted_at_once_and_run_later(submits: Service, site: Service, again: Callable[[], object]) -> None:
    """``again`` makes the broker well."""
    with ThreadPoolExecutor(40) as pool:
        began = time.monotonic()
        answers = list(pool.map(lambda _: submits.submit("demo.noop"), range(40)))
        took = time.monotonic() - began
    more = submits.submit("demo.noop")
    assert {answer.status_code for answer in [*answers, more]} == {202}
    assert took < 4
    again()
    for answer in [*answers, more]:
        assert site.finished(answer.json()["id"], within=20)["status"] == "Completed"
    assert submits.submit("demo.noop", wait=10).status_code == 200


def test_a_broker_without_memory_holds_up_no_submit(site: Service, rabbitmq: RabbitMQ) -> None:
    """It reads no more from whoever publishes, and confirms nothing."""
    assert site.submit("demo.noop", wait=10).status_code == 200
    waiting = site.submit("demo.random_delay", parameters={"seconds": 3.0}).json()["id"]
    rabbitmq.control("set_vm_memory_high_watermark", NONE)
    try:
        assert_are_accepted_at_once_and_run_later(
            site, site, lambda: rabbitmq.control("set_vm_memory_high_watermark", ENOUGH)
        )
        assert site.finished(waiting)["status"] == "Completed"
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", ENOUGH)


def test_a_worker_goes_on_while_its_broker_has_no_memory(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    """Else nothing would ever leave the broker's memory."""
    jobs = [site.submit("demo.random_delay", parameters={"seconds": 1.0}).json()["id"] for _ in range(24)]
    rabbitmq.control("set_vm_memory_high_watermark", NONE)
    try:
        assert {site.finished(each, within=20)["status"] for each in jobs} == {"Completed"}
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", ENOUGH)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_worker_sends_no_events_to_a_broker_without_memory(site: Service, rabbitmq: RabbitMQ, redis: Redis) -> None:
    """They would fill its socket: then its event loop waits, and the kernel ends the connection of the events."""
    worker = site.workers[0]
    lost, sent_again = (worker.text.count(each) for each in ("onnection to broker lost", "events are sent again"))
    with create_celery(site.settings) as app, app.connection_for_write(transport_options=UNCONFIRMED) as connection:
        with stopped(worker.popen.pid):
            long = site.submit("demo.random_delay", parameters={"seconds": 3 * LEASE}).json()["id"]
            for _ in range(600):
                last = app.send_task("sample.plain", [1], {"b": 2}, kwargsrepr="b" * 6000, connection=connection)
            rabbitmq.control("set_vm_memory_high_watermark", NONE)
        try:
            eventually(lambda: redis.hget(KEYS.record(last.id), "status") == "Completed", within=30)
            done = site.finished(long)
            assert (done["status"], done["attempt"]) == ("Completed", 1)
            assert worker.text.count("onnection to broker lost") == lost
        finally:
            rabbitmq.control("set_vm_memory_high_watermark", ENOUGH)
    eventually(lambda: worker.text.count("events are sent again") > sent_again)


def test_a_worker_that_starts_while_its_broker_has_no_memory_is_ready(
    site: Service, rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    """It says hello to the others, and nobody confirms that."""
    other = Service(tmp_path, site.redis, JOBS_BROKER_URL=rabbitmq.url, JOBS_LEASE=str(LEASE))
    rabbitmq.control("set_vm_memory_high_watermark", NONE)
    try:
        with other.without_workers():
            worker = other.start_worker("-Q", "reports")
            eventually(lambda: " ready." in worker.text, within=20)
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", ENOUGH)


def test_an_answer_to_remote_control_holds_no_worker_up(site: Service, rabbitmq: RabbitMQ) -> None:
    """It was asked for before the broker had no memory, and it is not confirmed."""
    jobs = [site.submit("demo.random_delay", parameters={"seconds": 0.5}).json()["id"] for _ in range(12)]
    with stopped(site.workers[0].popen.pid):
        with create_celery(site.settings) as app:
            app.control.broadcast("ping", reply=True, timeout=0.1)
        rabbitmq.control("set_vm_memory_high_watermark", NONE)
    try:
        assert {site.finished(each)["status"] for each in jobs} == {"Completed"}
    finally:
        rabbitmq.control("set_vm_memory_high_watermark", ENOUGH)


def test_a_worker_of_greenlets_is_not_slow(site: Service, rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    """Celery waits a tenth of a second for what comes on the connection of the events, after each job."""
    rabbitmq.control("add_vhost", "greenlets")
    rabbitmq.control("set_permissions", "-p", "greenlets", "guest", ".*", ".*", ".*")
    url = rabbitmq.url.removesuffix("/") + "greenlets"
    with Service(tmp_path, site.redis, JOBS_BROKER_URL=url).without_workers() as other:
        other.start_ready_worker("-P", "gevent")
        assert other.submit_batch([{"type": "demo.noop"}] * 300, wait=25).json()["counts"]["Completed"] == 300


@pytest.fixture
def proxy(rabbitmq: RabbitMQ) -> Iterator[Proxy]:
    with Proxy(free_port(), rabbitmq.port) as running:
        yield running


def test_a_silent_broker_holds_up_no_submit(site: Service, proxy: Proxy, tmp_path: Path) -> None:
    """New connections are taken, and answered no more than those that there were."""
    url = f"amqp://guest:guest@127.0.0.1:{proxy.port}//"
    with Service(tmp_path, site.redis, JOBS_BROKER_URL=url, JOBS_LEASE=str(LEASE)).without_workers() as other:
        assert other.submit("demo.noop", wait=10).status_code == 200
        silence = proxy.silence()
        silence.__enter__()
        assert_are_accepted_at_once_and_run_later(other, site, lambda: silence.__exit__(None, None, None))


def submission(queue: str, **changes: Any) -> Submission:
    told = {"type": "demo.noop", "owner": "me", "parameters_json": "{}", "max_attempts": 1, **changes}
    return Submission(queue=queue, **told)


def publish_often(queue: Queue, job: Submission) -> None:
    for _ in range(200):  # a quorum queue notices late that it is full
        queue.publish(job)


def test_a_queue_that_takes_no_more_is_not_published_to(site: Service, rabbitmq: RabbitMQ) -> None:
    """It answers with a nack, which says nothing of the other queues."""
    rabbitmq.control("set_policy", "full", "^full$", '{"max-length": 1, "overflow": "reject-publish"}')
    app = create_celery(site.settings)
    queue = Queue(app)
    full, other = (submission(name) for name in ("full", "other"))
    with pytest.raises(NotPublished):
        publish_often(queue, full)
    assert not queue.is_away
    queue.publish(other)
    app.close()


def test_a_connection_that_the_broker_has_closed_costs_no_submit_anything(site: Service, rabbitmq: RabbitMQ) -> None:
    with create_celery(site.settings) as app:
        queue = Queue(app)
        queue.publish(submission("default"))
        with app.connection_or_acquire() as connection:
            rabbitmq.control("close_all_connections", "a test")
            eventually(lambda: has_input(connection.connection.sock))
        queue.publish(submission("default"))


def test_whatever_a_submit_may_hold_can_be_written(site: Service) -> None:
    app = create_celery(site.settings)
    longest = submission("q" * 100, type="t" * 100, owner="o" * 64, priority=9)
    odd = submission("default", parameters_json=json.dumps({"a": "\0\U0001f600" * 2000}, ensure_ascii=False))
    for job in (longest, odd):
        Queue(app).publish(job)
    app.close()


def test_a_message_that_cannot_be_written_says_nothing_of_the_broker(site: Service) -> None:
    app = create_celery(site.settings)
    publisher = Publisher(app)
    unwritable: list[dict[str, Any]] = [{"args": [object()]}, {"headers": {"owner": object()}}, {"priority": 300}]
    for options in unwritable:
        with pytest.raises(NotPublished):
            publisher.publish(str(uuid4()), "demo.noop", queue="default", **options)
        assert not publisher.is_away
    app.close()


def test_a_record_of_which_no_message_can_be_made_harms_no_other_job(
    site: Service, rabbitmq: RabbitMQ, redis: Redis
) -> None:
    many = MOST_AT_ONCE + 10
    damaged = site.submit_batch([{"type": "demo.noop", "delay": 4}] * many).json()["jobs"]
    with redis.pipeline() as pipe:  # long before their time has come
        for job_id in damaged:
            pipe.hset(KEYS.record(job_id), "priority", 300)
        pipe.execute()
    sound = site.submit("demo.noop", delay=4).json()["id"]
    assert site.finished(sound, within=20)["status"] == "Completed"
    for job_id in damaged:
        assert site.post(f"/jobs/{job_id}/cancel").json()["status"] == "Cancelled"


def test_jobs_survive_its_absence(site: Service, rabbitmq: RabbitMQ) -> None:
    rabbitmq.stop()
    accepted = site.submit("demo.noop")
    assert accepted.status_code == 202
    began = time.monotonic()
    batch = site.submit_batch([{"type": "demo.noop"}] * 200).json()
    assert time.monotonic() - began < 3
    rabbitmq.start()
    done = eventually(lambda: (a := site.get(f"/jobs/{accepted.json()['id']}")).status_code == 200 and a.json(), 40)
    assert done["status"] == "Completed"
    ended = site.get(f"/batches/{batch['id']}", params={"wait": 40})
    assert (ended.status_code, ended.json()["counts"]["Completed"]) == (200, 200)
