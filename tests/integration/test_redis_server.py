"""The embedded server: its data survives, and nobody shares its directory."""

from pathlib import Path

import pytest
from redis import Redis

from launch.redis_server import RedisServer, ServerError, find_binary, free_port


def test_what_was_written_survives_a_crash_and_a_restart(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        server.start()
        with Redis.from_url(server.url) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
            client.set("kept", 1)
        server.kill()
        server.start()
        with Redis.from_url(server.url) as client:
            assert client.get("kept") == b"1"
        server.stop()
        assert not server.is_running
        server.start()
        with Redis.from_url(server.url) as client:
            assert client.get("kept") == b"1"
    finally:
        server.stop()


def test_a_directory_belongs_to_one_server(tmp_path: Path) -> None:
    with RedisServer(tmp_path), pytest.raises(ServerError, match="is in use; JOBS_DATA_DIR names another"):
        RedisServer(tmp_path).start()
    with RedisServer(tmp_path):
        pass


def test_a_server_that_cannot_start_is_told(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, options={"no-such-setting": "1"})
    with pytest.raises(ServerError, match="ended at once"):
        server.start()
    assert not server.is_running


def test_a_free_port_is_free() -> None:
    port = free_port()
    assert free_port(port) == port
    assert find_binary()
