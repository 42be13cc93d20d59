"""The systems: each a private server, one web process and one worker (Celery's with two children)."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.process import CURRENT_PYTHON, MeasuredProcess, cpu_seconds
from launch.redis_server import RedisServer, free_port

HOST = "127.0.0.1"
READY_WITHIN = 60.0
QUICK_JOB = b'{"type":"demo.noop","wait":10}'
STOCK_THREADS = 64


class BenchmarkError(Exception):
    """The measurement cannot go on; the text says why."""


class System:
    """One system, from start to stop; a context manager.

    Subclasses say what runs, as arguments of ``python -m``; no arguments for the worker: it has none.

    Args:
        python: runs them.
        server: the binary of its Redis-protocol server; without it the one that `make run` takes.
    """

    name: str

    def __init__(self, directory: Path, python: Path = CURRENT_PYTHON, server: str | None = None) -> None:
        self._directory, self._python = directory, python
        self._redis = RedisServer(directory / "redis", binary=server)
        self._worker: MeasuredProcess | None = None
        self._web: MeasuredProcess | None = None
        self.port = 0

    @property
    def redis_url(self) -> str:
        return self._redis.url

    def web_arguments(self, port: int) -> list[str]:
        raise NotImplementedError

    def worker_arguments(self) -> list[str]:
        raise NotImplementedError

    def environ(self, port: int) -> dict[str, str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self._redis.start()
            if arguments := self.worker_arguments():
                self._worker = self._start(arguments, 0, "worker.log")
            self.port, self._web = self._start_web()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The processes, by name, while the system runs; web and worker have children."""
        assert self._web is not None, "the system has not been started"
        worker = {"worker": self._worker.pid} if self._worker else {}
        return {"web": self._web.pid, **worker, "server": self._redis.pid}

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time so far, by process."""
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    @contextmanager
    def another_web(self) -> Iterator[tuple[int, MeasuredProcess]]:
        """One more web process for a while, on a port of its own."""
        port, web = self._start_web()
        try:
            yield port, web
        finally:
            web.stop()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While it lasts, this is the system that is measured."""
        yield

    def drain(self) -> None:
        """Wait until the worker has caught up: a quick job gets through, behind all that was submitted before it."""
        assert self._web is not None, "the system has not been started"
        self._wait_until_ready(self.port, self._web)

    def stop(self) -> None:
        if self._web is not None:
            self._web.stop()
            self._web = None
        self.stop_worker()
        self._redis.stop()

    def _start(self, arguments: list[str], port: int, log: str) -> MeasuredProcess:
        return MeasuredProcess(arguments, self.environ(port), self._directory / log, self._python)

    def stop_worker(self) -> None:
        """From now on nothing runs what is submitted."""
        if self._worker is not None:
            self._worker.stop(grace=3)  # it may be in a job of an hour
            self._worker = None

    def _start_web(self) -> tuple[int, MeasuredProcess]:
        """A web process, once a quick job has gone through the whole system."""
        port = free_port()
        web = self._start(self.web_arguments(port), port, "web.log")
        try:
            self._wait_until_ready(port, web)
        except BaseException:
            web.stop()
            raise
        return port, web

    def _wait_until_ready(self, port: int, web: MeasuredProcess) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while (answer := _try(port)) != "200":
            for process in (web, self._worker):
                if process is not None and not process.is_running:
                    raise BenchmarkError(f"{self.name}: a process ended at once: {process.last_words}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self.name}: no job went through in {READY_WITHIN:g} s, the last try: {answer}")
            time.sleep(0.2)


class Stock(System):
    """gunicorn's threads and ``AsyncResult.get`` on Celery's own Redis backend."""

    name = "stock"

    def web_arguments(self, port: int) -> list[str]:
        threads = ["--worker-class", "gthread", "--workers", "1", "--threads", str(STOCK_THREADS)]
        where = ["--bind", f"{HOST}:{port}", "--no-control-socket"]
        return ["gunicorn", *threads, *where, "benchmarks.stock.web:app"]

    def worker_arguments(self) -> list[str]:
        return ["celery", "-A", "benchmarks.stock.tasks", "worker", "-c", "2"]

    def environ(self, port: int) -> dict[str, str]:
        return {"STOCK_REDIS_URL": self.redis_url}


class Ours(System):
    """This project as it comes: everything on; no Flower listens, so that its workers send no task events."""

    name = "ours"

    def web_arguments(self, port: int) -> list[str]:
        return ["app"]

    def worker_arguments(self) -> list[str]:
        return ["workers", "-c", "2"]

    def environ(self, port: int) -> dict[str, str]:
        return {"JOBS_REDIS_URL": self.redis_url, "HOST": HOST, "PORT": str(port)}

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The document that is answered.

        Raises:
            BenchmarkError: it was neither 200 nor 202.
        """
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            text, headers = ("", {}) if body is None else (json.dumps(body), {"Content-Type": "application/json"})
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            document: dict[str, Any] = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status not in {200, 202}:
            raise BenchmarkError(f"{method} {path}: {answer.status} {document}")
        return document


class OursInGreenlets(Ours):
    """The same with one worker process, which runs its jobs in greenlets, as those of the peers do in an event loop."""

    name = "ours, in greenlets"

    def worker_arguments(self) -> list[str]:
        return ["workers", "-P", "gevent", "-c", "10"]


class OursWithTaskEvents(Ours):
    """The same, sending task events as it does while a Flower listens."""

    name = "ours, with task events"

    def worker_arguments(self) -> list[str]:
        return [*super().worker_arguments(), "--task-events"]


class Peer(System):
    """FastAPI on one uvicorn process, and one worker process; both run by the peers' own venv."""

    web: str

    def web_arguments(self, port: int) -> list[str]:
        return ["uvicorn", self.web, "--host", HOST, "--port", str(port), "--no-access-log"]

    def environ(self, port: int) -> dict[str, str]:
        return {"PEER_REDIS_URL": self.redis_url}


class Arq(Peer):
    """Its worker asks Redis every 2 ms, also when there is nothing to do: it runs only in its own turn."""

    name = "FastAPI + arq"
    web = "benchmarks.peers.arq_web:app"

    def worker_arguments(self) -> list[str]:
        return ["arq", "benchmarks.peers.arq_jobs.WorkerSettings"]

    def __enter__(self) -> Self:
        super().__enter__()
        self.stop_worker()
        return self

    @contextmanager
    def turn(self) -> Iterator[None]:
        self._worker = self._start(self.worker_arguments(), 0, "worker.log")
        try:
            self.drain()
            yield
        finally:
            self.stop_worker()


class Taskiq(Peer):
    """On Redis streams, which it recommends."""

    name = "FastAPI + taskiq"
    web = "benchmarks.peers.taskiq_web:app"

    def worker_arguments(self) -> list[str]:
        return ["taskiq", "worker", "--workers", "1", "benchmarks.peers.taskiq_jobs:broker"]


def _try(port: int) -> str:
    """The status of a quick job, or why there is none."""
    connection = http.client.HTTPConnection(HOST, port, timeout=15)
    try:
        connection.request("POST", "/jobs", QUICK_JOB, {"Content-Type": "application/json"})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
