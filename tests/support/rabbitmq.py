"""A RabbitMQ of a test's own, where Debian's rabbitmq-server is installed."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from kombu import Connection

from launch.redis_server import free_port
from support.eventually import eventually

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
SERVER = PROGRAMS / "rabbitmq-server"


class RabbitMQ:
    """A server with nothing in it; what it holds outlives a stop."""

    def __init__(self, directory: Path) -> None:
        self.port, self._directory = free_port(), directory
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._process: subprocess.Popen[bytes] | None = None
        self._environ = {
            **os.environ,
            "HOME": str(directory),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        }

    def start(self) -> None:
        before = self._started()
        with (self._directory / "rabbitmq.log").open("ab") as log:
            self._process = subprocess.Popen(
                [SERVER], env=self._environ, stdout=log, stderr=log, start_new_session=True
            )
        eventually(lambda: self._started() > before, within=60)

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def control(self, *arguments: str) -> str:
        """What ``rabbitmqctl`` answers."""
        command = [PROGRAMS / "rabbitmqctl", "--quiet", *arguments]
        return subprocess.run(command, env=self._environ, check=True, capture_output=True, text=True).stdout

    def send(self, message: dict[str, Any], queue: str = "default") -> None:
        """Send what would lie in Redis as ``message``: see :mod:`support.messages`."""
        properties = message["properties"]
        with Connection(self.url) as connection:
            connection.Producer().publish(
                message["body"],
                exchange="",
                routing_key=queue,
                headers=message["headers"],
                content_type=message["content-type"],
                content_encoding=message["content-encoding"],
                priority=properties["priority"],
                correlation_id=properties["correlation_id"],
            )

    def purge(self, queue: str) -> int:
        """Forget what waits in a queue; how many messages that was."""
        with Connection(self.url) as connection:
            return int(connection.default_channel.queue_purge(queue))

    def messages(self) -> dict[str, int]:
        """How many messages each queue holds, those that somebody has fetched and not acknowledged too."""
        lines = self.control("list_queues", "name", "messages", "--no-table-headers").splitlines()
        return {name: int(count) for name, count in (line.split("\t") for line in lines)}

    def _started(self) -> int:
        log = self._directory / "rabbitmq.log"
        return log.read_text(errors="replace").count("completed with") if log.exists() else 0
