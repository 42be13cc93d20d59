"""The processes under measurement: each system on a server of its own, ended by pid."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from launch.child import child_options
from launch.redis_server import RedisServer, free_port

NOOP = json.dumps({"type": "demo.noop", "wait": 10}).encode()
READY_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class System:
    """A running system: where it listens, and the process that answers."""

    name: str
    port: int
    web: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jobs"

    def web_worker_pid(self) -> int:
        """The process that handles requests: gunicorn's only child."""
        return int(Path(f"/proc/{self.web.pid}/task/{self.web.pid}/children").read_text().split()[0])


@contextlib.contextmanager
def stock(directory: Path) -> Iterator[System]:
    """Flask under gunicorn with 64 threads, a Celery worker with 2 processes."""
    with RedisServer(directory / "stock-redis") as server:
        port, environ = free_port(), {"STOCK_REDIS_URL": server.url}
        web = [*("gunicorn", "-w", "1", "-k", "gthread", "--threads", "64", "-b", f"127.0.0.1:{port}")]
        worker = ["celery", "-A", "benchmarks.stock.tasks", "worker", "-c", "2", "-l", "error"]
        commands = [[*web, "--log-level", "error", "benchmarks.stock.web:web"], worker]
        with _running(commands, environ, directory, "stock") as (process, _):
            yield _ready(System("stock Flask + Celery", port, process))


@contextlib.contextmanager
def ours(directory: Path, events: bool = True) -> Iterator[System]:
    """One web process, one worker with 2 processes; every event is written, and worker events are on for Flower."""
    with RedisServer(directory / "ours-redis") as server:
        port = free_port()
        environ = {"JOBS_REDIS_URL": server.url, "PORT": str(port)}
        commands = [["app"], ["workers", "-c", "2", "-l", "error", *([] if events else ["--without-heartbeat"])]]
        with _running(commands, environ, directory, "ours") as (process, _):
            yield _ready(System("joborchestrator", port, process))


@contextlib.contextmanager
def _running(
    commands: list[list[str]], environ: dict[str, str], directory: Path, name: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("JOBS_")}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate(commands):
            with (directory / f"{name}{number}.log").open("wb") as log:
                started.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *command],
                        env={**inherited, **environ},
                        stdout=log,
                        stderr=log,
                        **child_options(),
                    )
                )
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ready(system: System) -> System:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if submit(system.port) == 200:
                return system
        time.sleep(0.2)
    raise SystemExit(f"{system.name} did not come up within {READY_WITHIN:g} s")


def submit(port: int, body: bytes = NOOP) -> int:
    """One request on a connection of its own; its status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=12)
    try:
        connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()
