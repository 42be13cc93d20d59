"""What `make run` starts, from outside: one terminal, everything ready, and nothing left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from redis import Redis
from support.commands import in_a_process
from support.eventually import eventually
from support.processes import ROOT, clean_environ

from jobs.model.keys import KEYS
from launch.redis_server import RedisServer, free_port


class Running:
    """`python -m launch` in a process of its own, on free ports."""

    def __init__(self, directory: Path, **environ: str) -> None:
        self.port, self.flower_port = free_port(), free_port()
        self.output = directory / "terminal.txt"
        ports = {"PORT": str(self.port), "FLOWER_PORT": str(self.flower_port), "JOBS_DATA_DIR": str(directory / "data")}
        self.environ = clean_environ(**{**ports, **environ})
        with self.output.open("wb") as stream:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "launch"],
                env=self.environ,
                cwd=ROOT,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ready(self, within: float = 40) -> "Running":
        eventually(lambda: "ready;" in self.text or self.popen.poll() is not None, within=within)
        assert "ready;" in self.text, self.text
        return self

    def post(self, body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{self.url}/jobs", json=body, timeout=30)

    def descendants(self) -> set[int]:
        found: set[int] = set()
        frontier = {self.popen.pid}
        while frontier:
            children = {c for pid in frontier for c in _children(pid)}
            frontier = children - found
            found |= children
        return found

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(40)


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found |= {int(child) for child in task.read_text().split()}
        except OSError:
            continue
    return found


def _alive(pids: set[int]) -> set[int]:
    """Those that run; an ended process whose parent has not looked yet does not count."""
    alive = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state != "Z":
            alive.add(pid)
    return alive


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    one = Running(tmp_path)
    yield one
    if one.popen.poll() is None:
        one.end(signal.SIGTERM)


pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes through /proc")


def test_everything_comes_up_shows_each_change_and_goes_without_a_trace(running: Running, tmp_path: Path) -> None:
    began = time.monotonic()
    running.ready()
    took = time.monotonic() - began
    for shown in (running.url, f"127.0.0.1:{running.flower_port}", "redis://127.0.0.1:", "Ctrl-C stops everything"):
        assert shown in running.text
    job = running.post(
        {"type": "demo.random_delay", "owner": "microservice-x", "parameters": {"seconds": 0.7}, "wait": 9}
    )
    job_id = job.json()["id"]
    assert job.status_code == 200
    lines = eventually(lambda: len(li := [t for t in running.text.splitlines() if job_id in t]) == 8 and li)
    assert sum(text.startswith("microservice-x | received") for text in lines) == 4
    info = f"http://127.0.0.1:{running.flower_port}/api/task/info/{job_id}"
    eventually(lambda: requests.get(info, timeout=5).status_code in {200, 404})

    waiting = running.post({"type": "demo.noop", "parameters": {"kept": True}, "wait": 9}).json()["id"]
    pids = running.descendants()
    assert len(pids) >= 6
    assert running.end() == 0
    eventually(lambda: not _alive(pids))

    again = Running(tmp_path, PORT=str(free_port()))
    began = time.monotonic()
    try:
        again.port = int(again.environ["PORT"])
        again.ready(within=15)
        assert time.monotonic() - began < max(8, 2 * took)  # 5 on a quiet machine
        assert requests.get(f"{again.url}/jobs/{waiting}", timeout=5).json()["result"] == {"kept": True}
    finally:
        assert again.end(signal.SIGTERM) == 0


def test_a_process_that_dies_is_started_again_and_a_killed_launcher_leaves_nobody(running: Running) -> None:
    running.ready()
    pids = running.descendants()
    web = next(p for p in pids if b"-m\0app\0" in Path(f"/proc/{p}/cmdline").read_bytes() and _children(p))
    os.kill(web, signal.SIGKILL)
    eventually(lambda: "web died (exit code -9); starting it again" in running.text)
    eventually(lambda: _answers(f"{running.url}/health/ready"), within=20)
    pids = running.descendants()
    os.kill(running.popen.pid, signal.SIGKILL)
    running.popen.wait()
    eventually(lambda: not _alive(pids), within=20)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_what_cannot_start_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        cases = {
            f"127.0.0.1:{port} for the API cannot be had": {"PORT": port},
            f"127.0.0.1:{port} for Flower cannot be had": {"FLOWER_PORT": port},
            "redis://127.0.0.1:1/0 (JOBS_REDIS_URL) cannot be used": {
                "JOBS_REDIS_URL": "redis://u:secret@127.0.0.1:1/0"
            },
            "PORT='x' is not a whole number": {"PORT": "x"},
            "JOBS_WIAT is no setting (did you mean JOBS_MAX_WAIT?)": {"JOBS_WIAT": "1"},
            "no.such cannot be imported": {"JOBS_MODULES": "no.such"},
        }
        for expected, environ in cases.items():
            ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
            done = in_a_process("launch", **{"JOBS_DATA_DIR": str(tmp_path / "data"), **ports, **environ})
            assert done.returncode == 2, done.stdout + done.stderr
            assert done.stdout == ""
            assert len(done.stderr.splitlines()) == 1, done.stderr
            assert done.stderr.startswith("joborchestrator: ")
            assert expected in done.stderr
            assert "secret" not in done.stderr


def test_a_server_that_is_given_is_used_and_none_is_started(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "given") as given, Redis.from_url(given.url) as redis:
        running = Running(tmp_path, JOBS_REDIS_URL=given.url)
        try:
            running.ready()
            assert not (tmp_path / "data" / "redis").exists()
            job = running.post({"type": "demo.noop", "wait": 9})
            assert job.status_code == 200
        finally:
            assert running.end() == 0
        assert redis.exists(KEYS.record(job.json()["id"]))
