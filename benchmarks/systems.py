"""The two systems: each a private server, one web process and one Celery worker with two children."""

import http.client
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.process import MeasuredProcess
from launch.redis_server import RedisServer, free_port

HOST = "127.0.0.1"
READY_WITHIN = 60.0
QUICK_JOB = b'{"type":"demo.noop","wait":10}'
STOCK_THREADS = 64


class BenchmarkError(Exception):
    """The measurement cannot go on; the text says why."""


class System:
    """One system, from start to stop; a context manager.

    Subclasses say what runs: ``web`` and ``worker`` are the arguments of ``python -m``.
    """

    name: str

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._redis = RedisServer(directory / "redis")
        self._worker: MeasuredProcess | None = None
        self._web: MeasuredProcess | None = None
        self.port = free_port()

    @property
    def redis_url(self) -> str:
        return self._redis.url

    @property
    def web(self) -> MeasuredProcess:
        assert self._web is not None, "the system has not been started"
        return self._web

    def web_arguments(self) -> list[str]:
        raise NotImplementedError

    def worker_arguments(self) -> list[str]:
        raise NotImplementedError

    def environ(self) -> dict[str, str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self._redis.start()
            self._worker = MeasuredProcess(self.worker_arguments(), self.environ(), self._directory / "worker.log")
            self.start_web()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start_web(self) -> None:
        """Start the web process and return once a quick job has gone through the whole system.

        Raises:
            BenchmarkError: that did not happen in time.
        """
        self._web = MeasuredProcess(self.web_arguments(), self.environ(), self._directory / "web.log")
        self._wait_until_ready()

    def stop_web(self) -> None:
        if self._web is not None:
            self._web.stop()
            self._web = None

    def stop(self) -> None:
        self.stop_web()
        if self._worker is not None:
            self._worker.stop(grace=3)  # it may be in a job of an hour
            self._worker = None
        self._redis.stop()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while (answer := self._try()) != "200":
            for process in (self._web, self._worker):
                if process is not None and not process.is_running:
                    raise BenchmarkError(f"{self.name}: a process ended at once: {process.last_words}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self.name}: no job went through in {READY_WITHIN:g} s, the last try: {answer}")
            time.sleep(0.2)

    def _try(self) -> str:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=15)
        try:
            connection.request("POST", "/jobs", QUICK_JOB, {"Content-Type": "application/json"})
            return str(connection.getresponse().status)
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()


class Stock(System):
    """gunicorn's threads and ``AsyncResult.get`` on Celery's own Redis backend."""

    name = "stock"

    def web_arguments(self) -> list[str]:
        options = ["--worker-class", "gthread", "--workers", "1", "--threads", str(STOCK_THREADS)]
        return [
            "gunicorn",
            *options,
            "--bind",
            f"{HOST}:{self.port}",
            "--no-control-socket",
            "benchmarks.stock.web:app",
        ]

    def worker_arguments(self) -> list[str]:
        return ["celery", "-A", "benchmarks.stock.tasks", "worker", "-c", "2"]

    def environ(self) -> dict[str, str]:
        return {"STOCK_REDIS_URL": self.redis_url}


class Ours(System):
    """This project as it comes: job records, events, worker events."""

    name = "ours"

    def web_arguments(self) -> list[str]:
        return ["app"]

    def worker_arguments(self) -> list[str]:
        return ["workers", "-c", "2"]

    def environ(self) -> dict[str, str]:
        return {"JOBS_REDIS_URL": self.redis_url, "HOST": HOST, "PORT": str(self.port)}
