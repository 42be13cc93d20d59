"""The queue in RabbitMQ, the jobs in Redis; run where Debian's rabbitmq-server is installed."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.eventually import eventually
from support.service import Service

from launch.redis_server import RedisServer, free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

pytestmark = pytest.mark.skipif(not SERVER.exists(), reason="Debian's rabbitmq-server is not installed")


class RabbitMQ:
    """A server of the test's own, with nothing in it."""

    def __init__(self, directory: Path) -> None:
        self.port, self._directory = free_port(), directory
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environ = {
            **os.environ,
            "HOME": str(self._directory),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self._directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._directory / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._directory / "plugins"),
        }
        with (self._directory / "rabbitmq.log").open("ab") as log:
            self._process = subprocess.Popen([SERVER], env=environ, stdout=log, stderr=log, start_new_session=True)
        eventually(self._is_ready, within=60)

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _is_ready(self) -> bool:
        return "completed with" in (self._directory / "rabbitmq.log").read_text(errors="replace")


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitMQ]:
    server = RabbitMQ(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def test_jobs_go_through_it_and_survive_its_absence(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as redis:
        site = Service(tmp_path, redis, JOBS_BROKER_URL=rabbitmq.url, JOBS_LEASE="2")
        try:
            site.start()
            assert site.submit("demo.noop", parameters={"a": 1}, wait=10).json()["result"] == {"a": 1}
            assert (
                site.finished(site.submit("demo.fail", parameters={"retryable": True}).json()["id"], 20)["attempt"] == 3
            )
            delayed = site.submit("demo.noop", delay=1).json()["id"]
            assert site.finished(delayed)["status"] == "Completed"
            batch = site.submit_batch([{"type": "demo.noop"}] * 50, wait=20)
            assert (batch.status_code, batch.json()["counts"]["Completed"]) == (200, 50)
            rabbitmq.stop()
            accepted = site.submit("demo.noop")
            assert accepted.status_code == 202
            began = time.monotonic()
            batch = site.submit_batch([{"type": "demo.noop"}] * 200).json()
            assert time.monotonic() - began < 3
            rabbitmq.start()
            done = eventually(
                lambda: (a := site.get(f"/jobs/{accepted.json()['id']}")).status_code == 200 and a.json(), 40
            )
            assert done["status"] == "Completed"
            ended = site.get(f"/batches/{batch['id']}", params={"wait": 40})
            assert (ended.status_code, ended.json()["counts"]["Completed"]) == (200, 200)
        finally:
            site.stop()
