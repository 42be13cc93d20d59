"""The service as its users meet it: a web process and a worker on a server of their own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import requests

from jobs.settings import Settings
from launch.redis_server import RedisServer, free_port
from support.eventually import eventually
from support.processes import ForkedProcess, Process

JSON = {"Content-Type": "application/json"}


class Service:
    """A running service. ``url`` is the API, ``redis`` its server, ``settings`` what its processes read."""

    def __init__(self, directory: Path, redis: RedisServer, **settings: str) -> None:
        self.directory, self.redis = directory, redis
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {"JOBS_REDIS_URL": redis.url, "JOBS_MODULES": "support.sample_jobs", **settings}
        self.settings = Settings.from_environ(self.environ)
        self.web: Process | None = None
        self.workers: list[Process] = []
        self._numbers = count()
        self.session = requests.Session()

    def start(self) -> "Service":
        self.start_web()
        self.start_ready_worker()
        return self

    def __enter__(self) -> "Service":
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def without_workers(self) -> Iterator["Service"]:
        """Only the front door, unless workers are started too; all are gone at the end."""
        try:
            self.start_web()
            yield self
        finally:
            self.stop()

    def start_web(self) -> Process:
        self.web = Process(self.directory / "web.log", "app", PORT=str(self.port), **self.environ)
        eventually(self._answers, within=60)
        return self.web

    def have_one_worker(self) -> Process:
        """The one that earlier tests have left, or a new one if they left none, or several."""
        for worker in [each for each in self.workers if each.popen.poll() is not None]:
            worker.kill()  # what it may have left of its session
            self.workers.remove(worker)
        if len(self.workers) != 1:
            self.stop_workers()
            self.start_ready_worker()
        return self.workers[0]

    def start_ready_worker(self, *options: str, **settings: str) -> Process:
        """One that takes jobs, and whose types the front door knows."""
        worker = self.start_worker(*options, **settings)
        eventually(lambda: " ready." in worker.text, within=60)
        eventually(lambda: self.get("/job-types").json(), within=20)
        return worker

    def start_worker(self, *options: str, **settings: str) -> Process:
        number = next(self._numbers)
        name = f"w{number}@{self.port}"
        log = self.directory / f"worker{number}.log"
        options = ("-c", "4", "-l", "info", *options)
        started = Process if "-P" in options else ForkedProcess  # a pool of gevent patches before all imports
        self.workers.append(started(log, "workers", "-n", name, *options, **{**self.environ, **settings}))
        return self.workers[-1]

    def stop(self) -> None:
        self.session.close()
        if self.web is not None:
            self.web.kill()
        self.stop_workers()

    def stop_workers(self) -> None:
        while self.workers:
            self.workers.pop().kill()

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=70, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        headers = {**JSON, **kwargs.pop("headers", {})}
        return self.session.post(self.url + path, data=data, headers=headers, timeout=70, **kwargs)

    def delete(self, path: str) -> requests.Response:
        return self.session.delete(self.url + path, timeout=70)

    def submit(self, job_type: str = "demo.noop", **body: Any) -> requests.Response:
        headers = body.pop("headers", {})
        return self.post("/jobs", {"type": job_type, **body}, headers=headers)

    def submit_batch(self, jobs: list[Any], headers: dict[str, str] | None = None, **body: Any) -> requests.Response:
        return self.post("/jobs/batch", {"jobs": jobs, **body}, headers=headers or {})

    def finished(self, job_id: str, within: float = 10.0) -> dict[str, Any]:
        """The document of the job once it is final."""
        answer = self.get(f"/jobs/{job_id}", params={"wait": within})
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def _answers(self) -> bool:
        try:
            return self.get("/health/live").status_code == 200
        except requests.ConnectionError:
            return False
