"""A running service that may be broken: its own Redis, web processes and workers, each ended by its pid."""

import contextlib
import os
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from redis import Redis
from support.append_only_file import cut, written
from support.eventually import eventually
from support.processes import Process

from faults.client import BROKEN, Client
from launch.redis_server import RedisServer, free_port

STARTED_WITHIN = 30.0
CHILDREN = 4
READY = " ready."


class Site:
    """Ours. A context manager that leaves no process behind.

    Args:
        directory: for logs and Redis's file.
        redis_options: settings of the server. ``redis_binary``: another server to run.
        redis_url: where the service reaches Redis, if not directly.
        settings: ``JOBS_…`` settings of its processes.
    """

    worker_module: tuple[str, ...] = ("workers",)

    def __init__(
        self,
        directory: Path,
        *,
        redis_options: dict[str, str] | None = None,
        redis_binary: str | None = None,
        redis_url: str | None = None,
        **settings: str,
    ) -> None:
        self.directory = directory
        self.server = RedisServer(directory / "redis", options=redis_options, binary=redis_binary)
        self.redis = Redis.from_url(self.server.url, decode_responses=True, socket_timeout=30)
        self.environ = {"JOBS_REDIS_URL": redis_url or self.server.url, "JOBS_MODULES": "faults.job_types", **settings}
        self.webs: dict[int, Process] = {}
        self.workers: list[Process] = []
        self._everyone: list[Process] = []
        self._orphans: list[psutil.Process] = []

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop_processes()
        self.redis.close()
        self.server.stop()

    def stop_processes(self) -> None:
        """Whatever has been started, Redis apart."""
        for process in self._everyone:
            process.kill()
        for orphan in self._orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                orphan.kill()

    @property
    def port(self) -> int:
        """The first web process's."""
        return next(iter(self.webs))

    def client(self, **options: float) -> Client:
        return Client(self.port, **options)

    def start_web(self, *module: str, port: int | None = None, **environ: str) -> int:
        """A web process, once it answers; its port."""
        port = port or free_port()
        process = self.start_process("web", *(module or ("app",)), PORT=str(port), **environ)
        self.webs[port] = process
        with contextlib.closing(Client(port, timeout=5)) as client:
            eventually(lambda: self._answers(client, process), within=STARTED_WITHIN)
        return port

    def start_worker(self, *module: str, children: int = CHILDREN, wait: bool = True) -> Process:
        """A worker; ``wait`` until it is ready."""
        name = f"w{len(self._everyone)}@{self.server.port}"
        options = ("-c", str(children), "-l", "info", "-n", name)
        process = self.start_process("worker", *(module or self.worker_module), *options)
        self.workers.append(process)
        if wait:
            self.wait_until_ready(process)
        return process

    def wait_until_ready(self, worker: Process) -> None:
        eventually(lambda: READY in worker.text or self._fail_if_ended(worker), within=STARTED_WITHIN)

    def start(self, workers: int = 2) -> Self:
        """One web process and some workers, all ready, and their job types known."""
        self.start_web()
        for worker in [self.start_worker(wait=False) for _ in range(workers)]:
            self.wait_until_ready(worker)
        self.wait_for_types()
        return self

    def wait_for_types(self) -> None:
        with contextlib.closing(self.client()) as client:
            eventually(lambda: "faults.work" in client.get("/job-types").text.decode(), within=STARTED_WITHIN)

    def end(self, worker: Process, pids: list[int]) -> None:
        """``kill -9`` of processes of a worker; it counts no more when its main process is among them."""
        children = children_of(worker)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if worker.popen.pid in pids:
            worker.popen.wait()
            self.workers.remove(worker)
            self._orphans += children

    def logs(self) -> list[str]:
        """What all its processes have said."""
        return [process.text for process in self._everyone]

    def restart_redis(self, down: float, loses: float = 0.0) -> float:
        """``kill -9`` of Redis, ``down`` seconds without it, and a start; when it answered again (wall clock).

        It has then lost what it wrote in the last ``loses`` seconds, as in a power cut.
        """
        size = written(self.server)
        time.sleep(loses)
        self.server.kill()
        if loses:
            cut(self.server, size)
        time.sleep(down)
        self.server.start()
        return time.time()

    def start_process(self, role: str, module: str, *arguments: str, **environ: str) -> Process:
        """``python -m module arguments`` with the site's settings, ended with the site."""
        log = self.directory / f"{role}{len(self._everyone)}.log"
        process = Process(log, module, *arguments, **{**self.environ, **environ})
        self._everyone.append(process)
        return process

    def _answers(self, client: Client, process: Process) -> bool:
        self._fail_if_ended(process)
        try:
            return client.get("/health/live").status == 200
        except BROKEN:
            return False

    def _fail_if_ended(self, process: Process) -> bool:
        assert process.popen.poll() is None, f"a process ended at once: {process.text[-2000:]}"
        return False


def children_of(process: Process) -> list[psutil.Process]:
    try:
        return list(psutil.Process(process.popen.pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []
