"""The short ways to Redis that scripts take: what breaks is mended, and nothing is shared that must not be."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, ResponseError, TimeoutError
from support.eventually import eventually
from support.processes import ROOT, clean_environ

from jobs.connections.client import MOST_CONNECTIONS, connect
from jobs.connections.line import AT_HAND, MOST_AT_ONCE, MOST_BYTES_AT_ONCE, Line, SharedLine
from launch.redis_server import RedisServer

Kind = type[Line] | type[SharedLine]
KINDS = pytest.mark.parametrize("kind", [Line, SharedLine])
GREENLETS = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
from jobs.connections.line import SharedLine
from jobs.connections.client import connect
client = connect(sys.argv[1])
line = SharedLine(client.connection_pool)
asks = gevent.spawn(line.ask, "BLPOP", "held", 0)
while "blpop" not in {each["cmd"] for each in client.client_list()}:
    gevent.sleep(0.01)
wait = [gevent.spawn(line.ask, "ECHO", str(number)) for number in range(4)]
gevent.idle()
wait[0].kill()  # the next to ask for all
wait[2].kill()
if sys.argv[2] == "kill":
    asks.kill()
client.lpush("held", "free")
gevent.joinall([asks, *wait], timeout=5)
print([wait[1].value, wait[3].value])
print(line.ask("ECHO", "after"))
"""


@contextmanager
def line_to(url: str, kind: Kind = Line, within: float | None = None) -> Iterator[tuple[Line | SharedLine, Redis]]:
    client = connect(url, within=within)
    try:
        yield kind(client.connection_pool), client
    finally:
        client.connection_pool.disconnect()


@KINDS
def test_a_connection_that_broke_while_idle_is_replaced(redis_server: RedisServer, kind: Kind) -> None:
    with line_to(redis_server.url, kind) as (line, _), Redis.from_url(redis_server.url) as other:
        first = line.ask("CLIENT", "ID")
        other.client_kill_filter(_id=first)

        assert line.ask("CLIENT", "ID") != first


@KINDS
def test_one_connection_does_for_one_asker_and_survives_a_refusal(redis_server: RedisServer, kind: Kind) -> None:
    with line_to(redis_server.url, kind) as (line, _):
        first = line.ask("CLIENT", "ID")
        with pytest.raises(ResponseError):
            line.ask("NO-SUCH-COMMAND")

        assert line.ask("CLIENT", "ID") == first


@KINDS
def test_a_fork_does_not_use_its_parents_connections(redis_server: RedisServer, kind: Kind) -> None:
    with line_to(redis_server.url, kind) as (line, _):
        ours = line.ask("CLIENT", "ID")
        read, write = os.pipe()
        if os.fork() == 0:
            os.write(write, str(line.ask("CLIENT", "ID")).encode())
            os._exit(0)
        os.wait()

        assert os.read(read, 20) not in {b"", str(ours).encode()}
        assert line.ask("CLIENT", "ID") == ours


def test_after_a_burst_the_client_still_has_connections_of_its_own(redis_server: RedisServer) -> None:
    with line_to(redis_server.url) as (line, client):
        together = threading.Barrier(MOST_CONNECTIONS)

        def ask() -> None:
            together.wait()
            line.ask("EVAL", "local x = 0 for i = 1, 20000 do x = x + i end return x", 0)

        askers = [threading.Thread(target=ask) for _ in range(MOST_CONNECTIONS)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()

        kept = [client.connection_pool.get_connection() for _ in range(MOST_CONNECTIONS - AT_HAND)]
        for connection in kept:
            client.connection_pool.release(connection)


@KINDS
def test_a_server_that_is_away_is_an_error(own_server: RedisServer, kind: Kind) -> None:
    with line_to(own_server.url, kind) as (line, _):
        line.ask("PING")
        own_server.stop()
        with pytest.raises(ConnectionError):
            line.ask("PING")


@KINDS
def test_what_cannot_be_sent_is_an_error_and_leaves_the_line_as_it_was(redis_server: RedisServer, kind: Kind) -> None:
    with line_to(redis_server.url, kind) as (line, _):
        first = line.ask("CLIENT", "ID")
        with pytest.raises(TypeError):
            line.ask("ECHO", None)

        assert line.ask("CLIENT", "ID") == first


class Busy:
    """A shared line on which one asks, and is not answered until it is let go; what others ask has to wait."""

    def __init__(self, url: str, within: float = 10.0) -> None:
        self._url, self._within = url, within
        self._threads = ThreadPoolExecutor(64)
        self.asked: list[Future[Any]] = []

    def __enter__(self) -> "Busy":
        self._client = connect(self._url, within=self._within)
        self._line = SharedLine(self._client.connection_pool)
        self.connection = self._line.ask("CLIENT", "ID")
        self.holds = self._threads.submit(self._line.ask, "BLPOP", "held", 0)
        eventually(lambda: "blpop" in {each["cmd"] for each in self._client.client_list()})
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._client.connection_pool.disconnect()

    def ask(self, *command: Any) -> "Future[Any]":
        asked = self._threads.submit(self._line.ask, *command)
        eventually(lambda: len(self._line._asked) == len(self.asked) + 1)
        self.asked.append(asked)
        return asked

    def time_to_an_error(self) -> "Future[float]":
        """Seconds."""

        def ask() -> float:
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                self._line.ask("PING")
            return time.monotonic() - began

        return self._threads.submit(ask)

    def let_go(self) -> None:
        self._client.lpush("held", "free")
        assert self.holds.result(5) == ["held", "free"]


def test_what_is_asked_meanwhile_is_sent_at_once_and_each_has_its_own_answer(own_server: RedisServer) -> None:
    with Busy(own_server.url) as busy, Redis.from_url(own_server.url) as other:
        asked = [busy.ask("ECHO", number) for number in range(3 * MOST_AT_ONCE)]
        before = other.info("stats")["total_reads_processed"]
        busy.let_go()

        assert [each.result(5) for each in asked] == [str(number) for number in range(3 * MOST_AT_ONCE)]
        assert 3 < other.info("stats")["total_reads_processed"] - before < 10


def test_more_than_fits_is_sent_in_turns(own_server: RedisServer) -> None:
    with Busy(own_server.url) as busy:
        texts = [f"{number}" * MOST_BYTES_AT_ONCE for number in range(1, 6)]
        asked = [busy.ask("ECHO", text) for text in texts]
        busy.let_go()

        assert [each.result(5) for each in asked] == texts


def test_what_is_refused_or_cannot_be_read_is_an_error_for_who_asked_it_only(own_server: RedisServer) -> None:
    with Busy(own_server.url) as busy:
        first, refused = busy.ask("ECHO", "first"), busy.ask("NO-SUCH-COMMAND")
        unreadable = [busy.ask("ECHO", b"\xff"), busy.ask("ECHO", b"\xfe")]
        last, connection = busy.ask("ECHO", "last"), busy.ask("CLIENT", "ID")
        busy.let_go()

        assert (first.result(5), last.result(5), connection.result(5)) == ("first", "last", busy.connection)
        assert isinstance(refused.exception(5), ResponseError)
        assert {type(each.exception(5)) for each in unreadable} == {UnicodeDecodeError}


def test_when_the_connection_breaks_all_are_asked_again(own_server: RedisServer) -> None:
    with Busy(own_server.url) as busy, Redis.from_url(own_server.url) as other:
        asked = [busy.ask("ECHO", number) for number in range(5)]
        other.client_kill_filter(_id=busy.connection)
        busy.let_go()

        assert [each.result(5) for each in asked] == [str(number) for number in range(5)]


def test_a_server_that_hangs_is_an_error_after_two_tries_whoever_asks_and_whenever(own_server: RedisServer) -> None:
    limit = 1.0

    def longest_wait() -> float:
        took = []
        with Busy(own_server.url, within=limit) as busy:
            os.kill(own_server.pid, signal.SIGSTOP)
            try:
                while len(took) < 12:
                    took.append(busy.time_to_an_error())
                    time.sleep(limit / 4)
                longest = max(each.result(10) for each in took)
                assert isinstance(busy.holds.exception(), TimeoutError)
            finally:
                os.kill(own_server.pid, signal.SIGCONT)
        return longest

    eventually(lambda: longest_wait() < 2.6 * limit, within=3 * 12 * limit / 4)  # again if the machine held us up


@pytest.mark.parametrize("asks", ["kill", "keep"])
def test_greenlets_that_are_killed_keep_nobody_waiting(own_server: RedisServer, asks: str) -> None:
    command = [sys.executable, "-c", GREENLETS, own_server.url, asks]
    said = subprocess.run(
        command, env=clean_environ(), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )

    assert said.stdout.splitlines() == ["['1', '3']", "after"], said.stderr
