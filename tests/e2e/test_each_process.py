"""Each process started by itself: what it says, and what it refuses."""

import time
from pathlib import Path

import pytest
from support.commands import in_a_process
from support.eventually import eventually
from support.processes import Process

from app.server import GRACE
from launch.redis_server import RedisServer, free_port

WRONG: dict[str, tuple[list[str], dict[str, str], list[str]]] = {
    "app: all at once": (["app"], {"PORT": "abc", "JOBS_X": "1"}, ["PORT='abc'", "JOBS_X is no setting"]),
    "app: an argument": (["app", "--nosuch"], {}, ["--nosuch"]),
    "workers: an option that is none": (["workers", "--nosuch"], {}, ["--nosuch"]),
    "workers: an option without its value": (["workers", "-Q"], {}, ["-Q"]),
    "workers: a setting": (["workers"], {"JOBS_LEASE": "soon"}, ["JOBS_LEASE='soon'"]),
    "a subscriber: an argument": (["subscribers.microservice_x", "--nosuch"], {}, ["--nosuch"]),
}


@pytest.mark.parametrize(("command", "environ", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_without_a_traceback_and_exit_code_2(
    command: list[str], environ: dict[str, str], told: list[str]
) -> None:
    done = in_a_process(*command, **environ)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert all(part in done.stderr for part in told)


def test_the_front_door_says_where_it_listens(tmp_path: Path, redis_server: RedisServer) -> None:
    port = free_port()
    process = Process(tmp_path / "log", "app", JOBS_REDIS_URL=redis_server.url, PORT=str(port))
    try:
        eventually(lambda: f"listening on http://127.0.0.1:{port}" in process.text, within=20)
    finally:
        process.kill()


@pytest.mark.parametrize("after", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_one_that_is_stopped_while_it_starts_ends_at_once(tmp_path: Path, after: float) -> None:
    process = Process(tmp_path / "log", "app", PORT=str(free_port()))
    eventually(lambda: "listening on" in process.text, within=20)  # its worker is not there yet
    time.sleep(after)  # nothing to wait for: each moment of its start is one at which it may be stopped
    began = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - began < GRACE - 1
    assert "Traceback" not in process.text
