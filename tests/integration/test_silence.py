"""Half-open connections: the peer is silent without a word, and later ones work. Nobody waits long for the old ones."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from faults.proxy import Proxy
from redis.exceptions import TimeoutError as RedisTimeoutError
from support.eventually import eventually
from support.service import Service

from jobs.connections.client import ANSWER_WITHIN, connect
from jobs.settings import Settings
from launch.redis_server import RedisServer, free_port
from workers.celery_app import create_worker_app
from workers.task_events import MOST_KEPT

LASTS = 6.0
BACK_WITHIN = 6.0


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(free_port(), redis_server.port) as running:
        yield running


@contextmanager
def hanging(server: RedisServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def url_of(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


def test_one_connection_without_an_answer_has_the_others_made_anew(proxy: Proxy) -> None:
    client = connect(url_of(proxy))
    pool = client.connection_pool
    for connection in [pool.get_connection() for _ in range(5)]:
        pool.release(connection)
    with proxy.silence(), pytest.raises(RedisTimeoutError):
        client.ping()
    began = time.monotonic()
    for connection in [pool.get_connection() for _ in range(5)]:
        connection.send_command("PING")
        assert connection.read_response() == "PONG"
        pool.release(connection)
    assert time.monotonic() - began < ANSWER_WITHIN
    client.close()


def test_a_connection_that_was_made_since_is_kept(proxy: Proxy) -> None:
    client = connect(url_of(proxy))
    with proxy.silence(), pytest.raises(RedisTimeoutError):
        client.ping()
    made = client.client_id()
    assert client.client_id() == made
    client.close()


def test_a_worker_runs_jobs_within_seconds_of_a_hang_and_of_a_silence(own_server: RedisServer, tmp_path: Path) -> None:
    with (
        Proxy(free_port(), own_server.port) as proxy,
        Service(tmp_path, own_server, JOBS_REDIS_URL=url_of(proxy)) as running,
    ):
        for fault in (hanging(own_server), proxy.silence()):
            with fault:
                time.sleep(LASTS)  # the fault itself
            eventually(lambda: running.submit("demo.noop", wait=1).status_code == 200, within=BACK_WITHIN)


def test_a_worker_that_was_there_before_its_redis_is_soon_ready(own_server: RedisServer, tmp_path: Path) -> None:
    own_server.kill()
    running = Service(tmp_path, own_server)
    try:
        worker = running.start_worker()
        eventually(lambda: worker.text.count("Cannot connect") >= 4, within=30)
        own_server.start()
        eventually(lambda: " ready." in worker.text, within=6)  # Celery's next try would come after 8
    finally:
        running.stop()


def test_an_event_that_cannot_be_sent_holds_nobody_up_and_the_last_ones_are_kept(own_server: RedisServer) -> None:
    app = create_worker_app(Settings.from_environ({"JOBS_REDIS_URL": own_server.url}))
    with app.connection_for_write() as connection:
        events = app.events.Dispatcher(connection, hostname="w")
        events.send("worker-online", retry=True)
        assert not events._outbound_buffer
        own_server.kill()
        beating = Thread(target=lambda: [events.send("worker-heartbeat", retry=True) for _ in range(200)], daemon=True)
        beating.start()
        beating.join(ANSWER_WITHIN)
        assert not beating.is_alive()
        assert len(events._outbound_buffer) == MOST_KEPT
        events.disable()
