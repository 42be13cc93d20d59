"""The short way to Redis that scripts take: what breaks is mended, and nothing is shared that must not be."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, ResponseError

from jobs.redis_client import AT_HAND, MOST_CONNECTIONS, Line, connect
from launch.redis_server import RedisServer


@contextmanager
def line_to(url: str) -> Iterator[tuple[Line, Redis]]:
    client = connect(url)
    try:
        yield Line(client.connection_pool), client
    finally:
        client.connection_pool.disconnect()


def test_a_connection_that_broke_while_idle_is_replaced(redis_server: RedisServer) -> None:
    with line_to(redis_server.url) as (line, _), Redis.from_url(redis_server.url) as other:
        first = line.ask("CLIENT", "ID")
        other.client_kill_filter(_id=first)

        assert line.ask("CLIENT", "ID") != first


def test_one_connection_does_for_one_asker_and_survives_a_refusal(redis_server: RedisServer) -> None:
    with line_to(redis_server.url) as (line, _):
        first = line.ask("CLIENT", "ID")
        with pytest.raises(ResponseError):
            line.ask("NO-SUCH-COMMAND")

        assert line.ask("CLIENT", "ID") == first


def test_a_fork_does_not_use_its_parents_connections(redis_server: RedisServer) -> None:
    with line_to(redis_server.url) as (line, _):
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


def test_a_server_that_is_away_is_an_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = RedisServer(tmp_path_factory.mktemp("away"))
    server.start()
    with line_to(server.url) as (line, _):
        line.ask("PING")
        server.stop()
        with pytest.raises(ConnectionError):
            line.ask("PING")
